//! What the operator decided: the plugin's `config` table.

use plugbay_sdk::config;
use serde::Deserialize;

/// The `config` table. Every key has a default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Seconds that a node which does not answer stays published with what it last confirmed.
    pub grace: u32,
    /// Seconds between two looks at the whole trust store of a node.
    pub relist: u32,
    /// Writers of bags have to send `If-Match` or `If-None-Match`; else 428.
    pub require_if_match: bool,
    /// What certificates are restricted to on nodes that say nothing of it; none: they are root on the node.
    pub projects: Vec<String>,
    /// Id of the relation that certificates of operators join through the facade; made when first used.
    pub facade_relation: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            grace: 120,
            relist: 30,
            require_if_match: false,
            projects: Vec::new(),
            facade_relation: "facade".to_owned(),
        }
    }
}

impl Settings {
    /// The settings as they are now.
    ///
    /// # Errors
    /// If they do not read.
    pub fn load() -> Result<Settings, config::Error> {
        config::load()
    }

    /// Milliseconds of [`Settings::grace`].
    pub fn grace_ms(&self) -> i64 {
        i64::from(self.grace) * 1000
    }

    /// Milliseconds of [`Settings::relist`], at least one second.
    pub fn relist_ms(&self) -> i64 {
        i64::from(self.relist.max(1)) * 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_a_default_and_what_is_unknown_is_refused() {
        let settings: Settings = serde_json::from_str(r#"{"grace": 5}"#).unwrap();
        assert_eq!(settings, Settings { grace: 5, ..Settings::default() });
        assert!(serde_json::from_str::<Settings>(r#"{"gracetime": 5}"#).is_err());
    }
}
