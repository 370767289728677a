//! LXD's API, as far as trust goes: section 4 of the sheet, for LXD 5.0 and later and Incus.
//!
//! Owns requests, envelope and answers of one node, over the seam. It decides nothing. Invariants: every request carries
//! the node's pin; a fingerprint in a path is 64 checked digits, since LXD takes it as a pattern; a POST has the fields
//! that mean the same in every version, never `password`.

pub mod envelope;

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;

use crate::certificate::is_fingerprint;
use crate::outside::{Fault, Outbound, Outside};
use crate::store::records::Node;

/// Milliseconds to a connection.
const CONNECT: u32 = 5_000;
/// Milliseconds for `GET /1.0`, which a node answers at once or not at all.
const PROBE: u32 = 8_000;
/// Milliseconds for the rest: without a quorum, a node takes 20 seconds to say so.
const CALL: u32 = 30_000;
/// Most bytes of an answer; an entry of a listing has about 1.5 KiB.
const LIMIT: u64 = 24 * 1024 * 1024;

/// Why a call did not do what it was for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// No answer.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// LXD refused.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// LXD's words.
        message: String,
    },
    /// The answer is not LXD's.
    #[error("the answer is not that of an LXD server")]
    Garbled,
}

impl TrustError {
    /// The status of LXD's answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            TrustError::Refused { status, .. } => Some(*status),
            TrustError::Fault(_) | TrustError::Garbled => None,
        }
    }

    /// Whether nothing more will come of the request: the node answered, or nothing was sent.
    pub fn is_over(&self) -> bool {
        match self {
            TrustError::Refused { .. } => true,
            TrustError::Fault(fault) => {
                matches!(
                    fault,
                    Fault::Missing(_) | Fault::Denied | Fault::Invalid(_) | Fault::Unreachable(_) | Fault::PinMismatch
                )
            }
            TrustError::Garbled => false,
        }
    }
}

/// What `GET /1.0` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    /// `auth: trusted`.
    pub trusted: bool,
    /// `environment.server_name`.
    pub name: Option<String>,
    /// `environment.server_version`.
    pub version: Option<String>,
    /// `environment.server_clustered`.
    pub clustered: bool,
}

/// An entry of a trust store.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Trusted {
    /// 64 hex digits.
    pub fingerprint: String,
    /// What it is called there.
    #[serde(default)]
    pub name: String,
    /// `client`, `server`, `metrics`.
    #[serde(default, rename = "type")]
    pub kind: String,
}

#[derive(Deserialize)]
struct Root {
    auth: String,
    #[serde(default)]
    environment: Environment,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Environment {
    server_name: Option<String>,
    server_version: Option<String>,
    server_clustered: bool,
}

/// A node that is talked to.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    outside: &'a Outside,
    node: &'a Node,
}

impl<'a> Client<'a> {
    /// Talk to this node.
    pub fn new(outside: &'a Outside, node: &'a Node) -> Client<'a> {
        Client { outside, node }
    }

    /// `GET /1.0`.
    ///
    /// # Errors
    /// If the node does not answer as LXD does.
    pub fn server(&self) -> Result<Server, TrustError> {
        let root: Root = self.call("GET", "/1.0", Vec::new(), PROBE)?.ok_or(TrustError::Garbled)?;
        let environment = root.environment;
        let text = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Server {
            trusted: root.auth == "trusted",
            name: text(environment.server_name),
            version: text(environment.server_version),
            clustered: environment.server_clustered,
        })
    }

    /// Every client certificate of the store. Those of cluster members are left out.
    ///
    /// # Errors
    /// If the node refuses or does not answer.
    pub fn list(&self) -> Result<Vec<Trusted>, TrustError> {
        Ok(self.entries()?.into_iter().filter(|trusted| trusted.kind == "client").collect())
    }

    /// Have a member of a cluster go by what its cluster trusts; whether it does.
    ///
    /// Members decide from memory. One that missed a change, since it was silent at the time, goes on letting in what was
    /// deleted and keeping out what was added, until the next change. The plain list is that memory, the recursive one is
    /// the cluster's database. Giving our own entry the name that it has is a change that has every member read anew.
    ///
    /// # Errors
    /// If the node refuses or does not answer.
    pub fn catch_up(&self, own: &str) -> Result<bool, TrustError> {
        let entries = self.entries()?;
        if self.is_current(&entries)? {
            return Ok(true);
        }
        let Some(entry) = entries.iter().find(|entry| entry.fingerprint.eq_ignore_ascii_case(own)) else {
            return Ok(false);
        };
        let body = json!({ "name": entry.name }).to_string().into_bytes();
        self.call::<IgnoredAny>("PATCH", &path(own)?, body, CALL)?;
        self.is_current(&self.entries()?)
    }

    fn entries(&self) -> Result<Vec<Trusted>, TrustError> {
        let all = self.call("GET", "/1.0/certificates?recursion=1", Vec::new(), CALL)?;
        all.ok_or(TrustError::Garbled)
    }

    /// Whether the node lets in these and no others.
    fn is_current(&self, entries: &[Trusted]) -> Result<bool, TrustError> {
        let urls: Vec<String> = self.call("GET", "/1.0/certificates", Vec::new(), CALL)?.ok_or(TrustError::Garbled)?;
        let known: BTreeSet<&str> = urls.iter().filter_map(|url| url.rsplit('/').next()).collect();
        Ok(known == entries.iter().map(|entry| entry.fingerprint.as_str()).collect())
    }

    /// One entry; none if there is none.
    ///
    /// # Errors
    /// If the node refuses or does not answer.
    pub fn get(&self, fingerprint: &str) -> Result<Option<Trusted>, TrustError> {
        match self.call::<Trusted>("GET", &path(fingerprint)?, Vec::new(), CALL) {
            Ok(trusted) => trusted.map(Some).ok_or(TrustError::Garbled),
            Err(TrustError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Add a certificate under a name, restricted to projects if there are any.
    ///
    /// # Errors
    /// What LXD says: 409 if it is there.
    pub fn add(&self, der: &[u8], name: &str, projects: &[String]) -> Result<(), TrustError> {
        let mut body = json!({ "type": "client", "name": name, "certificate": STANDARD.encode(der) });
        // LXD answers 500 to one that is named twice.
        let projects: BTreeSet<&String> = projects.iter().collect();
        if let (false, Some(body)) = (projects.is_empty(), body.as_object_mut()) {
            body.insert("restricted".to_owned(), true.into());
            body.insert("projects".to_owned(), json!(projects));
        }
        self.call::<IgnoredAny>("POST", "/1.0/certificates", body.to_string().into_bytes(), CALL)?;
        Ok(())
    }

    /// Delete an entry.
    ///
    /// # Errors
    /// What LXD says: 404 if it is gone.
    pub fn delete(&self, fingerprint: &str) -> Result<(), TrustError> {
        self.call::<IgnoredAny>("DELETE", &path(fingerprint)?, Vec::new(), CALL)?;
        Ok(())
    }

    fn call<T: for<'de> Deserialize<'de>>(
        &self,
        method: &'static str,
        path: &str,
        body: Vec<u8>,
        timeout_ms: u32,
    ) -> Result<Option<T>, TrustError> {
        let pin = hex::decode(&self.node.store).ok().and_then(|pin| pin.try_into().ok());
        let pin: [u8; 32] = pin.ok_or_else(|| Fault::Invalid("the node's pin is not a SHA-256".to_owned()))?;
        let mut headers = vec![("accept".to_owned(), b"application/json".to_vec())];
        if !body.is_empty() {
            headers.push(("content-type".to_owned(), b"application/json".to_vec()));
        }
        let answer = self.outside.fetch.send(&Outbound {
            method,
            url: format!("{}{path}", self.node.endpoint),
            headers,
            body,
            identity: self.node.identity.clone(),
            pin,
            connect_timeout_ms: CONNECT,
            timeout_ms,
            limit: LIMIT,
        })?;
        envelope::read(answer.status, &answer.body)
    }
}

fn path(fingerprint: &str) -> Result<String, Fault> {
    if is_fingerprint(fingerprint) {
        Ok(format!("/1.0/certificates/{fingerprint}"))
    } else {
        Err(Fault::Invalid("not a whole fingerprint".to_owned()))
    }
}
