//! MaaS by its REST API 2.0.
//!
//! Written from MaaS's published API and tried against a stand-in only. It finds, commissions, tags, allocates, deploys, releases and
//! removes machines, reads what was found out about them, writes keys, repositories and tags, and asks for images and rack
//! controllers. It does not write networks, interfaces or disks into MaaS: those steps fail with a sentence rather than
//! pretend, unless the operator says that they were configured there by hand.

mod details;
mod machine;
mod site;
#[cfg(test)]
mod tests;

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{NodeView, Provisioner};
use crate::design::effective::Shared;
use crate::drivers::{Call, Machine, Progress, Verdict, text_at};
use crate::fault::Broken;
use crate::http::{self, Http, Reply};
use crate::settings;
use crate::store::ids;
use crate::task::Action;
use crate::validation::Offer;
use crate::world::World;
use machine::Stop;

/// Between two looks at a machine that is busy.
const LOOK: Duration = Duration::from_secs(15);
/// Most bytes of a list of machines.
const LIST: u64 = 32 * 1024 * 1024;

/// A region controller.
#[derive(Debug, Clone)]
pub struct Maas {
    /// The operator's settings.
    pub settings: settings::Maas,
}

impl Maas {
    fn send(&self, http: &dyn Http, method: &'static str, path: &str, form: &[(&str, &str)]) -> Result<Reply, String> {
        let url = format!("{}/api/2.0/{path}", self.settings.url.trim_end_matches('/'));
        let mut call = http::Call::new(method, url).header("accept", "application/json");
        call.limit = LIST;
        call = match (&self.settings.credential, &self.settings.api_key) {
            (Some(name), _) => call.credential(Some(name)),
            (None, Some(key)) => call.header("authorization", signed(key)?),
            (None, None) => return Err("neither credential nor api_key is configured".to_owned()),
        };
        if !form.is_empty() {
            let pair = |(name, value): &(&str, &str)| format!("{}={}", encoded(name), encoded(value));
            call.body = form.iter().map(pair).collect::<Vec<_>>().join("&").into_bytes();
            call = call.header("content-type", "application/x-www-form-urlencoded");
        }
        let reply = http.send(&call).map_err(|error| error.to_string())?;
        match reply.status {
            _ if reply.is_success() => Ok(reply),
            401 | 403 => Err("MaaS refuses the API key".to_owned()),
            status => {
                let text: String = String::from_utf8_lossy(&reply.body).chars().take(80).collect();
                Err(format!("MaaS answers {status}: {text}"))
            }
        }
    }

    fn get(&self, http: &dyn Http, path: &str) -> Result<Value, String> {
        self.send(http, "GET", path, &[])?.json().map_err(|error| error.to_string())
    }
}

impl Provisioner for Maas {
    fn services(&self, world: &World) -> Result<Verdict, Broken> {
        let check = || -> Result<String, String> {
            let http = &*world.http;
            self.get(http, "version/").map_err(|text| format!("MaaS cannot be reached: {text}"))?;
            self.get(http, "users/?op=whoami")?;
            let images = self.get(http, "boot-resources/")?;
            if images.as_array().is_none_or(Vec::is_empty) {
                return Err("MaaS has no images".to_owned());
            }
            let racks = self.get(http, "rackcontrollers/")?;
            let healthy = |rack: &Value| {
                let services = rack.get("service_set").and_then(Value::as_array);
                services.is_some_and(|services| services.iter().all(|one| text_at(one, "/status") != Some("dead")))
            };
            if !racks.as_array().is_some_and(|racks| racks.iter().any(healthy)) {
                return Err("MaaS has no healthy rack controller".to_owned());
            }
            Ok("MaaS is reachable and has images and a healthy rack controller".to_owned())
        };
        Ok(check().map_or_else(Verdict::bad, Verdict::good))
    }

    fn offer(&self, world: &World) -> Offer {
        let images = match self.get(&*world.http, "boot-resources/") {
            Ok(images) => images,
            Err(why) => return Offer::Unknown(why),
        };
        let mut offer: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
        for image in images.as_array().map(Vec::as_slice).unwrap_or_default() {
            let name = text_at(image, "/name").unwrap_or_default();
            let series = name.rsplit('/').next().unwrap_or_default();
            let architecture = text_at(image, "/architecture").unwrap_or_default();
            let kernel = architecture.split_once('/').map_or("", |(_, kernel)| kernel);
            offer.entry(series.to_owned()).or_default().push(kernel.to_owned());
        }
        Offer::Images(offer)
    }

    fn nodes(&self, world: &World) -> Result<Result<Vec<NodeView>, String>, Broken> {
        let machines = match self.get(&*world.http, "machines/") {
            Ok(machines) => machines,
            Err(why) => return Ok(Err(why)),
        };
        let number = |machine: &Value, name: &str| machine.get(name).and_then(Value::as_u64).unwrap_or_default();
        let text =
            |machine: &Value, place: &str| text_at(machine, place).filter(|text| !text.is_empty()).map(str::to_owned);
        let view = |machine: &Value| NodeView {
            hostname: text(machine, "/hostname"),
            memory: number(machine, "memory"),
            cpu_count: number(machine, "cpu_count"),
            status_name: text(machine, "/status_name").unwrap_or_default(),
            boot_mac: text(machine, "/boot_interface/mac_address"),
            power_state: text(machine, "/power_state").unwrap_or_else(|| "unknown".to_owned()),
            power_address: None,
            boot_ip: text(machine, "/ip_addresses/0"),
        };
        Ok(Ok(machines.as_array().map(|list| list.iter().map(view).collect()).unwrap_or_default()))
    }

    fn knows(&self, machine: &Machine<'_>, world: &World) -> Result<bool, Broken> {
        Ok(matches!(self.find(machine, &*world.http), Ok(Some(_))))
    }

    fn site(&self, action: Action, shared: &Shared, _left: Option<Value>, call: &Call<'_>) -> Result<Progress, Broken> {
        Ok(self.prepare(action, shared, &*call.world.http))
    }

    fn act(
        &self,
        action: Action,
        machine: &Machine<'_>,
        left: Option<Value>,
        call: &Call<'_>,
    ) -> Result<Progress, Broken> {
        match self.step(action, machine, left, call) {
            Ok(progress) => Ok(progress),
            Err(Stop::Said(text)) => Ok(Verdict::bad(text).into()),
            Err(Stop::Broken(broken)) => Err(broken),
        }
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// OAuth 1.0 with PLAINTEXT signatures (RFC 5849, 3.4.4), as MaaS takes it.
fn signed(key: &str) -> Result<String, String> {
    let mut parts = key.split(':');
    let (Some(consumer), Some(token), Some(secret), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("the API key of MaaS is not CONSUMER:TOKEN:SECRET".to_owned());
    };
    let nonce = ids::uuid().map_err(|error| format!("{error:?}"))?;
    let now = crate::time::Clock::now(&crate::time::Wall).0 / 1_000_000;
    Ok(format!(
        "OAuth oauth_version=\"1.0\", oauth_signature_method=\"PLAINTEXT\", oauth_consumer_key=\"{}\", oauth_token=\"{}\", \
         oauth_signature=\"%26{}\", oauth_nonce=\"{nonce}\", oauth_timestamp=\"{now}\"",
        encoded(consumer),
        encoded(token),
        encoded(secret),
    ))
}
