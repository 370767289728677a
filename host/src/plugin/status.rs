//! What the operator is told of plugins.

/// How a plugin is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Configured, and no file is there.
    Absent,
    /// Being loaded for the first time.
    Loading,
    /// Serving.
    Serving,
    /// Refused, with nothing else of it running.
    Refused,
}

/// What the operator is told of a plugin.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Status {
    /// Its identity.
    pub name: String,
    /// How it is doing.
    pub state: State,
    /// What the plugin calls its version.
    pub version: Option<String>,
    /// SHA-256 of the component that serves.
    pub digest: Option<String>,
    /// Version of what it keeps.
    pub schema: Option<u32>,
    /// Where it is served.
    pub mounts: Vec<String>,
    /// Whether its breaker holds requests back.
    pub resting: bool,
    /// Why the last file was refused; none if it was taken.
    pub last_error: Option<String>,
}

impl Status {
    /// A plugin that is configured, and whose file is not there.
    pub(super) fn absent(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: State::Absent,
            version: None,
            digest: None,
            schema: None,
            mounts: Vec::new(),
            resting: false,
            last_error: None,
        }
    }
}
