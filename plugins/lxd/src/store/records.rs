//! The values behind the keys, as JSON.

use serde::{Deserialize, Serialize};

use super::bulk::Bulk;

/// A node as the operator described it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name here.
    pub name: String,
    /// Scheme, host and port.
    pub endpoint: String,
    /// SHA-256 of its server certificate: what is pinned, and the name of its trust store.
    pub store: String,
    /// Projects that certificates are restricted to; none: the default of the settings.
    pub projects: Option<Vec<String>>,
    /// Whether it is contacted and published.
    pub enabled: bool,
    /// It goes as soon as our certificates are off it.
    pub deleting: bool,
    /// Name of the secret with our certificate and key.
    pub identity: String,
    /// Fingerprint of our certificate.
    pub own: String,
}

/// What a node's state is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// Not asked yet.
    #[default]
    Unknown,
    /// It trusts us and answers.
    Online,
    /// No connection, no answer in time, or 5xx.
    Offline,
    /// It does not trust our certificate, or not enough.
    Untrusted,
    /// Another server certificate.
    PinMismatch,
    /// The operator does not want it used.
    Disabled,
}

/// How a node was last seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// State.
    pub state: NodeState,
    /// What is wrong, for the operator.
    pub error: Option<String>,
    /// What it calls itself. Kept while it is away.
    pub server_name: Option<String>,
    /// Its version.
    pub server_version: Option<String>,
    /// Whether it is a member of a cluster.
    pub clustered: Option<bool>,
    /// Milliseconds since 1970.
    pub last_seen: Option<i64>,
    /// Since when it is not online, if it ever was. Milliseconds since 1970.
    pub away_since: Option<i64>,
    /// Whether it was one of the active nodes when last looked at.
    pub published: bool,
}

/// A relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Its id.
    pub id: String,
    /// The application on the other side.
    pub remote_app: String,
    /// For people.
    pub label: Option<String>,
    /// SHA-256 of the requirer's token, hex.
    pub token: String,
    /// Milliseconds since 1970.
    pub created: i64,
    /// When it was broken; what is left is a stone that says so.
    pub broken: Option<i64>,
}

/// A unit that joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Entity tag of the bag.
    pub etag: String,
    /// Where the bag's text is.
    pub bag: Bulk,
}

/// That a unit wants a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The text as received.
    pub pem: String,
    /// Blocks after it.
    pub ignored: usize,
    /// Its place among the unit's.
    pub place: usize,
}

/// State of a certificate in a store, as certificate views show it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// To be registered.
    #[default]
    Pending,
    /// The store has it.
    Registered,
    /// The store will not take it.
    Failed,
    /// To be deleted.
    Removing,
}

/// What a store holds for us, owes, and was told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// State.
    pub state: State,
    /// We put it there, so it is ours to delete.
    pub owned: bool,
    /// The entry's name, if it is ours: by it we know our entry from one that somebody put in its place.
    pub name: Option<String>,
    /// The entry's name in a POST of which the outcome is not known. Written before the POST.
    pub intent: Option<String>,
    /// Until when a POST that got no answer may still come through, milliseconds since 1970.
    pub loose: i64,
    /// Since when the store is known to have it, milliseconds since 1970.
    pub since: i64,
    /// End of the certificate, seconds since 1970.
    pub not_after: i64,
    /// Attempts that failed.
    pub attempts: u32,
    /// Not before, milliseconds since 1970; 0: at once.
    pub next_attempt: i64,
    /// The last failure.
    pub error: Option<Failure>,
    /// The server's version when it refused.
    pub server_version: Option<String>,
}

impl Ledger {
    /// Whether the store owes a removal, or may.
    pub fn is_owed(&self) -> bool {
        self.owned || self.intent.is_some()
    }
}

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For programs.
    pub code: String,
    /// LXD's own words where it has some.
    pub message: String,
    /// Of LXD's answer.
    pub http_status: Option<u16>,
}

/// The state of a store's worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// When the whole store is to be looked at again, milliseconds since 1970.
    pub next_list: i64,
    /// Looks in a row that failed.
    pub failures: u32,
}
