//! The plugin from request to answer, on a host in memory.

mod bulk;
mod clients;
mod collecting;
mod glance;
mod glance_data;
mod groups;
mod hashmaps;
mod identity;
mod image_lists;
mod images;
mod listings;
mod manifests;
mod objects;
mod public;
mod races;
mod refusals;
mod sharing;
mod updates;
mod versions;

use plugbay_sdk::testing::{TestAnswer, TestApp, TestRequest};
use sha2::{Digest as _, Sha256};

/// Two users, as the identity service would name them.
pub const ANN: &str = "9a2e10a2-3d2c-4fd4-8bd9-0d9a4b1f7a01";
pub const BEN: &str = "b0b2e10a-3d2c-4fd4-8bd9-0d9a4b1f7a02";
pub const CID: &str = "c1d2e10a-3d2c-4fd4-8bd9-0d9a4b1f7a03";

/// The plugin with two surfaces at hand.
pub struct Service {
    pub app: TestApp,
}

impl Service {
    pub fn new() -> Service {
        Service { app: TestApp::new(crate::plugin) }
    }

    /// With a container `c` of Ann's.
    pub fn with_container() -> Service {
        let service = Service::new();
        service.objects(ANN, "PUT", &format!("/{ANN}/c")).send().expect(201);
        service
    }

    pub fn objects(&self, user: &str, method: &str, target: &str) -> TestRequest<'_> {
        self.app.request(method, target).surface("objects").user(user, &[])
    }

    pub fn images(&self, user: &str, method: &str, target: &str) -> TestRequest<'_> {
        self.app.request(method, target).surface("images").user(user, &[])
    }

    pub fn glance(&self, user: &str, method: &str, target: &str) -> TestRequest<'_> {
        self.app.request(method, &format!("/v1{target}")).surface("glance").user(user, &[])
    }

    /// A user creates an image with this data through Glance; its id.
    pub fn create(&self, user: &str, name: &str, data: impl Into<Vec<u8>>) -> String {
        let answer = self
            .glance(user, "POST", "/images")
            .header("x-image-meta-name", name)
            .header("x-image-meta-disk_format", "raw")
            .header("x-image-meta-container_format", "bare")
            .header("content-type", "application/octet-stream")
            .header("transfer-encoding", "chunked")
            .body(data)
            .send()
            .expect(201);
        let body: serde_json::Value = answer.json();
        body["image"]["id"].as_str().unwrap().to_owned()
    }

    /// A user reserves an image through Glance; its id.
    pub fn reserve(&self, user: &str, name: &str) -> String {
        let answer = self
            .glance(user, "POST", "/images")
            .header("x-image-meta-name", name)
            .header("content-type", "application/octet-stream")
            .header("content-length", "0")
            .send()
            .expect(201);
        let body: serde_json::Value = answer.json();
        assert_eq!(body["image"]["status"], "queued");
        body["image"]["id"].as_str().unwrap().to_owned()
    }

    /// Names on a page of a user's list at Glance.
    pub fn page(&self, user: &str, query: &str) -> Vec<String> {
        let body: serde_json::Value =
            self.glance(user, "GET", &format!("/images/detail{query}")).send().expect(200).json();
        let rows = body["images"].as_array().unwrap();
        rows.iter().map(|row| row["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Ann puts an object into `c`.
    pub fn put(&self, name: &str, data: impl Into<Vec<u8>>) -> TestAnswer {
        let data = data.into();
        self.objects(ANN, "PUT", &format!("/{ANN}/c/{name}"))
            .header("content-type", "application/octet-stream")
            .header("content-length", data.len().to_string())
            .body(data)
            .send()
            .expect(201)
    }

    /// Ann asks about an object of `c`, with a query.
    pub fn get(&self, name: &str) -> TestAnswer {
        self.objects(ANN, "GET", &format!("/{ANN}/c/{name}")).send()
    }

    /// That many different blocks of four bytes and NULs, kept as another upload left them.
    pub fn seed(&self, count: u32) -> Vec<String> {
        let host = self.app.host();
        let seed = |n: u32| {
            let bytes = (n + 1).to_be_bytes();
            let hash = block_hash(&bytes);
            host.put_json(&format!("b/{hash}"), &serde_json::json!({ "kept": 4 }));
            host.put_blob(&format!("block/{hash}"), bytes);
            hash
        };
        (0..count).map(seed).collect()
    }

    /// Keys of this class.
    pub fn keys(&self, class: &str) -> Vec<String> {
        self.app.host().keys().into_iter().filter(|key| key.starts_with(class)).collect()
    }

    /// Ann registers an object of `c`; its id.
    pub fn register(&self, object: &str, name: &str, public: bool) -> String {
        let answer = self
            .images(ANN, "POST", "/images/")
            .header("X-Image-Meta-Name", name)
            .header("X-Image-Meta-Location", format!("pithos://{ANN}/c/{object}"))
            .header("X-Image-Meta-Is-Public", if public { "True" } else { "False" })
            .send()
            .expect(200);
        answer.header("x-image-meta-id").unwrap().to_owned()
    }

    /// Names in a user's image list.
    pub fn listed(&self, user: &str, query: &str) -> Vec<String> {
        let rows: Vec<serde_json::Value> =
            self.images(user, "GET", &format!("/images/detail{query}")).send().expect(200).json();
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// Bytes in a block.
pub const BLOCK: usize = 4 * 1024 * 1024;

/// The hash that a client works out for a block.
pub fn block_hash(block: &[u8]) -> String {
    let kept = block.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    crate::merkle::hex(&Sha256::digest(&block[..kept]))
}

/// The message of a fault, after checking its status and name.
#[track_caller]
pub fn fault(answer: &TestAnswer, status: u16, name: &str) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    let body: serde_json::Value = answer.json();
    assert_eq!(body[name]["code"], status, "{body}");
    body[name]["message"].as_str().unwrap().to_owned()
}
