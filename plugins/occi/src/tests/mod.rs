//! The plugin from request to answer, on a host in memory.

mod actions;
mod cdmi;
mod collections;
mod costs;
mod entities;
mod links;
mod query_interface;
mod races;
mod renderings;
mod suites;
mod templates;

use plugbay_sdk::testing::{TestAnswer, TestApp, TestRequest};

pub const I: &str = "http://schemas.ogf.org/occi/infrastructure#";
pub const COMPUTE: &str = "compute; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"";
pub const NETWORK: &str = "network; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"";
pub const STORAGE: &str = "storage; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"";

/// The plugin with a caller.
pub struct Cloud {
    pub app: TestApp,
}

impl Cloud {
    pub fn new() -> Cloud {
        Cloud { app: TestApp::new(crate::plugin) }
    }

    /// A request of Ann's.
    pub fn request(&self, method: &str, target: &str) -> TestRequest<'_> {
        self.app.request(method, target).user("ann", &[])
    }

    pub fn get(&self, target: &str) -> TestAnswer {
        self.request("GET", target).send()
    }

    pub fn delete(&self, target: &str) -> TestAnswer {
        self.request("DELETE", target).send()
    }

    /// With a body of these lines in text/plain.
    pub fn plain(&self, method: &str, target: &str, lines: &[&str]) -> TestAnswer {
        self.request(method, target).header("content-type", "text/plain").body(lines.join("\n")).send()
    }

    pub fn json(&self, method: &str, target: &str, value: &serde_json::Value) -> TestAnswer {
        self.request(method, target)
            .header("content-type", "application/occi+json")
            .header("accept", "application/occi+json")
            .body(value.to_string())
            .send()
    }

    pub fn get_json(&self, target: &str) -> serde_json::Value {
        self.request("GET", target).header("accept", "application/occi+json").send().expect(200).json()
    }

    /// Create by lines; the new path.
    pub fn create(&self, collection: &str, lines: &[&str]) -> String {
        let made = self.plain("POST", collection, lines).expect(201);
        path(made.header("location").unwrap())
    }

    pub fn compute(&self) -> String {
        self.create("/compute/", &[&format!("Category: {COMPUTE}"), "X-OCCI-Attribute: occi.compute.cores=2"])
    }

    pub fn network(&self) -> String {
        self.create("/network/", &[&format!("Category: {NETWORK}")])
    }

    pub fn storage(&self) -> String {
        self.create("/storage/", &[&format!("Category: {STORAGE}"), "X-OCCI-Attribute: occi.storage.size=1.5"])
    }

    /// Locations of a list, as paths.
    pub fn list(&self, target: &str) -> Vec<String> {
        let answer = self.get(target).expect(200);
        answer.text().lines().map(|line| path(line.strip_prefix("X-OCCI-Location: ").unwrap())).collect()
    }

    /// Locations of a list narrowed by these header fields.
    pub fn filter(&self, target: &str, fields: &[(&str, &str)]) -> TestAnswer {
        let request = self.request("GET", target).header("content-type", "text/occi");
        fields.iter().fold(request, |request, (name, value)| request.header(name, *value)).send()
    }
}

pub fn path(url: &str) -> String {
    url.strip_prefix("http://localhost").unwrap_or_else(|| panic!("{url} is not absolute")).to_owned()
}
