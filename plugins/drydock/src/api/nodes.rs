//! Nodes: the provisioner's view of them, their build data, and filters over a design.

use plugbay_sdk::Answer;
use serde_json::Value;

use super::refusal::Refusal;
use super::{Call, body, caller, tasks};
use crate::drivers::provision;
use crate::loading::{self, Loaded};
use crate::store::builddata;

/// `GET /nodes`.
pub(super) fn list(call: &Call<'_>) -> Result<Answer, Refusal> {
    caller::admit(call, caller::READ_DATA)?;
    match provision::driver(&call.settings).nodes(call.world)? {
        Ok(nodes) => Ok(Answer::json(200, &nodes)),
        Err(why) => Err(Refusal::error(500, format!("The node provisioner cannot be asked: {why}")).retry()),
    }
}

/// `GET /nodes/{host}/builddata`.
pub(super) fn build_data(call: &Call<'_>, host: &str) -> Result<Answer, Refusal> {
    caller::admit(call, caller::READ_BUILD_DATA)?;
    let latest = call.request.query().get("latest").is_some_and(|latest| latest.eq_ignore_ascii_case("true"));
    let records = builddata::of_node(host, latest)?;
    if records.is_empty() {
        return Err(Refusal::error(404, format!("There is no build data of {host}")));
    }
    Ok(Answer::json(200, &records))
}

/// `POST /nodefilter`.
pub(super) fn filter(call: &Call<'_>) -> Result<Answer, Refusal> {
    caller::admit(call, caller::READ_DATA)?;
    let bad = |text: String| Refusal::error(400, text);
    let mut body = body::object(call.request).map_err(bad)?;
    let design_ref = match body.remove("design_ref") {
        Some(Value::String(reference)) if !reference.is_empty() => reference,
        _ => return Err(bad("design_ref is missing".to_owned())),
    };
    let filter = match body.remove("node_filter") {
        None | Some(Value::Null) => None,
        Some(filter) => Some(tasks::read_filter(&filter).map_err(bad)?),
    };
    let site = match loading::load(call.world, &call.settings, &design_ref) {
        Ok(Loaded::Site(site)) => site,
        Ok(Loaded::Uncompiled(error)) => return Err(bad(format!("The design is not valid: {error}"))),
        Ok(Loaded::Faults(faults)) => {
            let first = faults.into_iter().next().map(|fault| fault.text).unwrap_or_default();
            return Err(bad(format!("The design is not valid: {first}")));
        }
        Err(error) => return Err(bad(format!("The design cannot be loaded: {error}"))),
    };
    site.select(filter.as_ref()).map(|names| Answer::json(200, &names)).map_err(bad)
}
