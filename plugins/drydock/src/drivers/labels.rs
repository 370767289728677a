//! Labels of nodes in Kubernetes, by way of Promenade.

use serde_json::json;

use super::{Call, Progress, Verdict};
use crate::design::Node;
use crate::http;

/// Give a node its labels: `PUT node-labels/NODE`.
pub fn relabel(node: &Node, call: &Call<'_>) -> Progress {
    let Some(service) = &call.settings.promenade else {
        return Verdict::bad(format!("{}: no Kubernetes provisioner is configured", node.name)).into();
    };
    let url = format!("{}/node-labels/{}", service.url.trim_end_matches('/'), node.name);
    let request = http::Call::new("PUT", url).json(&json!(node.labels)).credential(service.credential.as_ref());
    match call.world.http.send(&request) {
        Ok(reply) if reply.is_success() => Verdict::good(format!("{} has its labels", node.name)).into(),
        Ok(reply) => Verdict::bad(format!("labels of {}: the provisioner answers {}", node.name, reply.status)).into(),
        Err(error) => Verdict::bad(format!("labels of {}: {error}", node.name)).into(),
    }
}
