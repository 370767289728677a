//! All nodes of a deployment at once, as far as the API sees them: they report when they are waited for.

use std::net::SocketAddr;

use plugbay_tests::{Bed, Client, Sent};
use serde_json::Value;

/// Reports that were taken, and how many of them by one connection each.
pub struct Reporter<'a> {
    bed: &'a Bed,
    address: SocketAddr,
}

impl<'a> Reporter<'a> {
    pub fn new(bed: &'a Bed, address: SocketAddr) -> Self {
        Self { bed, address }
    }

    /// Report once for every boot action of this node that waits, if it has a context of this deployment. The numbers of
    /// actions that wait no more and of all that report; none if there is no such context.
    pub async fn node(&self, node: &str, root: &str, word: &str) -> Option<(usize, usize)> {
        let answer = self.bed.operator("drydock", "GET", &format!("/bootactions/{node}")).await;
        let context: Value = serde_json::from_slice(&answer.body).ok()?;
        if context["posted_task_id"] != root {
            return None;
        }
        let key = context["key"].as_str()?;
        let actions = context["actions"].as_array()?.iter().filter(|one| one["action_status"] != "unreported");
        let (mut done, mut all) = (0, 0);
        let mut client = Client::try_connect(self.address).await.ok()?;
        for action in actions {
            all += 1;
            if action["action_status"] != "incomplete" {
                done += 1;
                continue;
            }
            let body =
                format!("{{\"status\": \"{word}\", \"details\": [{{\"message\": \"of {node}\", \"error\": false}}]}}");
            let sent = Sent::new("POST", &format!("/api/v1.0/bootactions/{}", action["action_id"].as_str()?))
                .header("x-bootaction-key", key)
                .header("content-type", "application/json")
                .body(body);
            let answer = client.send(sent).await.ok()?;
            done += usize::from(answer.status == 200 || answer.status == 409);
        }
        Some((done, all))
    }
}
