//! One machine: its way through MaaS, its tags, and what MaaS found out about it.

use serde_json::Value;

use super::{LOOK, Maas, details, encoded};
use crate::drivers::{Call, Machine, Note, Progress, Verdict, text_at};
use crate::fault::Broken;
use crate::http::Http;
use crate::store::builddata;
use crate::task::{Action, Link};

/// Why a step is not done: trouble with MaaS is a sentence, trouble on this side an error.
pub(super) enum Stop {
    Said(String),
    Broken(Broken),
}

impl From<String> for Stop {
    fn from(text: String) -> Self {
        Self::Said(text)
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl Maas {
    /// The machine of a node: by the address it boots from, else by name.
    pub(super) fn find(&self, machine: &Machine<'_>, http: &dyn Http) -> Result<Option<Value>, String> {
        let query = match &machine.node.boot_mac {
            Some(mac) => format!("machines/?mac_address={}", encoded(mac)),
            None => format!("machines/?hostname={}", encoded(&machine.node.name)),
        };
        let found = self.get(http, &query)?;
        Ok(found.as_array().and_then(|list| list.first()).cloned())
    }

    pub(super) fn step(
        &self,
        action: Action,
        machine: &Machine<'_>,
        left: Option<Value>,
        call: &Call<'_>,
    ) -> Result<Progress, Stop> {
        let http = &*call.world.http;
        let name = &machine.node.name;
        let Some(found) = self.find(machine, http)? else {
            return Ok(match action {
                Action::IdentifyNode => Progress::Wait(LOOK, Value::Null),
                Action::DestroyNode => Verdict::good(format!("MaaS does not know {name}")).into(),
                _ => Verdict::bad(format!("MaaS does not know {name}")).into(),
            });
        };
        let status = text_at(&found, "/status_name").unwrap_or_default();
        let id = text_at(&found, "/system_id").ok_or_else(|| "a machine without system_id".to_owned())?;
        let path = format!("machines/{}/", encoded(id));
        let begun = left.is_some();
        let done = |text: String| Ok(Verdict::good(text).into());
        let wait = || Ok(Progress::Wait(LOOK, Value::Bool(true)));
        match (action, status) {
            (Action::IdentifyNode, _) => {
                if text_at(&found, "/hostname") != Some(name) {
                    self.send(http, "PUT", &path, &[("hostname", name)])?;
                }
                done(format!("{name} is {id} in MaaS"))
            }
            (Action::ConfigureHardware, "Ready" | "Allocated" | "Deployed") => {
                Ok(self.collect(name, id, status, call)?)
            }
            (Action::ConfigureHardware, "Commissioning" | "Testing") => wait(),
            (Action::ConfigureHardware, "New" | "Failed commissioning" | "Failed testing") if !begun => {
                self.send(http, "POST", &format!("{path}?op=commission"), &[("skip_bmc_config", "true")])?;
                wait()
            }
            (Action::ApplyNodePlatform, _) => {
                self.platform(machine, id, http)?;
                done(format!("kernel parameters, tags and labels of {name} are known to MaaS"))
            }
            (Action::ApplyNodeNetworking | Action::ApplyNodeStorage, _) => Ok(self.by_hand(action, name)),
            (Action::DeployNode, "Deployed") => done(format!("{name} is deployed")),
            (Action::DeployNode, "Deploying") => wait(),
            (Action::DeployNode, "Ready" | "Allocated") if !begun => {
                self.key(machine, id, http)?;
                if status == "Ready" {
                    self.send(http, "POST", "machines/?op=allocate", &[("system_id", id)])?;
                }
                let image = machine.node.image.as_deref().unwrap_or_default();
                let kernel = machine.node.kernel.as_deref().unwrap_or_default();
                let form = [("distro_series", image), ("hwe_kernel", kernel)];
                self.send(http, "POST", &format!("{path}?op=deploy"), &form)?;
                wait()
            }
            (Action::DestroyNode, "Ready" | "New" | "Failed commissioning" | "Broken") => {
                self.send(http, "DELETE", &path, &[])?;
                done(format!("{name} was removed from MaaS"))
            }
            (Action::DestroyNode, "Releasing" | "Disk erasing") => wait(),
            (Action::DestroyNode, _) if !begun => {
                self.send(http, "POST", &format!("{path}?op=release"), &[("erase", "true")])?;
                wait()
            }
            _ => Ok(Verdict::bad(format!("{name} is {status:?} in MaaS")).into()),
        }
    }

    /// Interfaces and disks are not written: they are what somebody made them in MaaS, if the operator says so.
    fn by_hand(&self, action: Action, name: &str) -> Progress {
        let what = if action == Action::ApplyNodeNetworking { "Interfaces" } else { "Disks" };
        match self.settings.configured_by_hand {
            true => {
                Verdict::good(format!("{what} of {name} are left as they are in MaaS: the operator configured them there"))
            }
            false => Verdict::bad(format!(
                "{what} of {name} are not written into MaaS: make them there, and say so by provisioner.configured_by_hand"
            )),
        }
        .into()
    }

    /// Keep what MaaS found out about a machine. What cannot be had is said, and no failure: the machine is ready.
    fn collect(&self, name: &str, id: &str, status: &str, call: &Call<'_>) -> Result<Progress, Broken> {
        let http = &*call.world.http;
        let path = encoded(id);
        let documents = self.send(http, "GET", &format!("machines/{path}/?op=details"), &[]);
        let documents = documents.and_then(|reply| details::documents(&reply.body));
        let scripts = self.get(http, &format!("nodes/{path}/results/?include_output=true"));
        let mut verdict = Verdict::good(format!("{name} is {status}"));
        let mut found = Vec::new();
        for part in [documents, scripts.map(|sets| details::scripts(&sets))] {
            match part {
                Ok(part) => found.extend(part),
                Err(why) => verdict.notes.push(Note::plain(format!("{name}: details cannot be read: {why}"))),
            }
        }
        for one in &found {
            let new = builddata::New {
                node: name,
                task: Some(&call.task.id),
                generator: &one.generator,
                format: one.format,
                data: &one.text,
            };
            builddata::add(new, call.world.now())?;
        }
        if !found.is_empty() {
            let href = format!("/api/v1.0/tasks/{}/builddata", call.task.id);
            verdict.links.push(Link { rel: "detail_logs".to_owned(), href });
        }
        Ok(verdict.into())
    }

    /// Kernel parameters go by a tag of the node's own, tags by name, labels as the owner's data.
    fn platform(&self, machine: &Machine<'_>, id: &str, http: &dyn Http) -> Result<(), String> {
        let node = machine.node;
        if !node.kernel_params.is_empty() {
            let option = |(name, value): (&String, &String)| match value.is_empty() {
                true => name.clone(),
                false => format!("{name}={value}"),
            };
            let options: Vec<String> = node.kernel_params.iter().map(option).collect();
            let tag = format!("{}_kp", node.name);
            self.tag(&tag, &[("kernel_opts", &options.join(" "))], id, http)?;
        }
        for tag in &node.tags {
            self.tag(tag, &[], id, http)?;
        }
        if !node.labels.is_empty() {
            let labels: Vec<(&str, &str)> =
                node.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            self.send(http, "POST", &format!("machines/{}/?op=set_owner_data", encoded(id)), &labels)?;
        }
        Ok(())
    }

    /// The node's key reaches it as a tag.
    fn key(&self, machine: &Machine<'_>, id: &str, http: &dyn Http) -> Result<(), String> {
        let Some(boot) = machine.boot else { return Ok(()) };
        self.tag(&format!("{}__baid__{}", machine.node.name, boot.key), &[], id, http)
    }

    /// Make sure of a tag, and that the machine has it.
    fn tag(&self, name: &str, more: &[(&str, &str)], id: &str, http: &dyn Http) -> Result<(), String> {
        let path = format!("tags/{}/", encoded(name));
        let made = self.send(http, "POST", "tags/", &[&[("name", name)], more].concat());
        // One that is there is changed, where there is something to change.
        if made.is_err() && !more.is_empty() {
            self.send(http, "PUT", &path, more)?;
        }
        self.send(http, "POST", &format!("{path}?op=update_nodes"), &[("add", id)]).map(drop)
    }
}
