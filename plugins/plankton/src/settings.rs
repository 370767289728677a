//! What the operator decided: the plugin's `config` table.
//!
//! Owns where services are, how much an account holds and how long blocks wait, and the URLs that one service gives of
//! another. A plugin does not know where its surfaces are mounted, so the catalog and the links of published files are made from
//! `endpoints`; what is left out there has the path of the original services.

use plugbay_sdk::{Request, config};
use serde::Deserialize;

use crate::faults::{Fault, Kind};

/// The `config` table. Every key has a default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Most bytes of one account's objects, history not counted; 0: no bound.
    pub account_quota: u64,
    /// Seconds that blocks wait for an object to use them, and again before they are dropped.
    pub collect_after: u64,
    /// Where clients find each service.
    pub endpoints: Endpoints,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { account_quota: 0, collect_after: 3_600, endpoints: Endpoints::default() }
    }
}

/// Where clients find each service: a URL, or a path below the root that the request came in by.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Endpoints {
    /// Tokens and the catalog.
    pub identity: String,
    /// Names of users.
    pub account: String,
    /// The image registry.
    pub image: String,
    /// The object store.
    pub object_store: String,
    /// Published files.
    pub public: String,
    /// Pages for people. None come with this plugin, but clients insist on the entry.
    pub ui: String,
}

impl Default for Endpoints {
    fn default() -> Endpoints {
        let path = str::to_owned;
        Endpoints {
            identity: path("/identity/v2.0"),
            account: path("/account/v1.0"),
            image: path("/image/v1.0"),
            object_store: path("/object-store/v1"),
            public: path("/public"),
            ui: path("/"),
        }
    }
}

impl Settings {
    /// The settings as they are now. What is wrong with them is logged for the operator.
    pub fn load() -> Result<Settings, Fault> {
        config::load().map_err(|error| {
            plugbay_sdk::error!("{error}");
            Fault::new(Kind::Internal, "The service is not configured properly")
        })
    }
}

/// The root below which a request's services are: the URL of its mount without the path that `own`
/// gives to its service. A mount elsewhere has the server itself as its root.
fn root<'a>(base: &'a str, own: &str) -> &'a str {
    let own = own.trim_end_matches('/');
    if own.starts_with('/')
        && let Some(root) = base.strip_suffix(own)
    {
        return root;
    }
    let host = base.find("://").map_or(0, |at| at + 3);
    let end = base.get(host..).and_then(|rest| rest.find('/')).map_or(base.len(), |at| host + at);
    base.get(..end).unwrap_or(base)
}

/// The URL of a service, without a final slash, for the client of this request. `own` and `wanted`
/// are the entries of the service that the request came to and of the one asked about.
pub fn url(request: &Request, own: &str, wanted: &str) -> String {
    let wanted = wanted.trim_end_matches('/');
    if wanted.contains("://") {
        return wanted.to_owned();
    }
    let base = request.base_url();
    let lead = if wanted.is_empty() || wanted.starts_with('/') { "" } else { "/" };
    format!("{}{lead}{wanted}", root(&base, own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_root_is_what_stands_before_the_services_own_path() {
        let own = "/identity/v2.0";
        assert_eq!(root("http://h:1/identity/v2.0", own), "http://h:1");
        assert_eq!(root("https://h/cloud/identity/v2.0", own), "https://h/cloud");
        assert_eq!(root("https://h/elsewhere/v2", own), "https://h");
        assert_eq!(root("https://h", own), "https://h");
        assert_eq!(root("https://h/identity/v2.0", "https://id.example"), "https://h");
    }

    #[test]
    fn what_is_left_out_has_a_default_and_what_is_unknown_is_refused() {
        let some: Settings = serde_json::from_str(r#"{"endpoints": {"image": "https://i"}}"#).unwrap();
        assert_eq!(some.endpoints, Endpoints { image: "https://i".into(), ..Endpoints::default() });
        assert!(serde_json::from_str::<Settings>(r#"{"endpoints": {"images": ""}}"#).is_err());
    }

    proptest! {
        #[test]
        fn a_root_is_the_start_of_its_url(base in "(https?://)?[a-z/]{0,12}", own in "/?[a-z/]{0,6}") {
            prop_assert!(base.starts_with(root(&base, &own)));
        }
    }
}
