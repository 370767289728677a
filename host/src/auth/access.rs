//! From identity and a route's access rule to allow, 401, 403 or 503.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Identity, Provider, User};
use crate::routing::Access;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It goes on.
    Allow,
    /// 401, with [`Provider::challenge`].
    Unauthenticated,
    /// 503: nobody can say who it is.
    Unverified,
    /// 403
    Forbidden,
}

/// The roles that satisfy each rule of a plugin: its own defaults, overlaid by the operator's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(HashMap<String, Vec<String>>);

/// Why rules and roles do not go together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The plugin names a rule twice.
    #[error("the plugin declares the access rule `{0}` twice")]
    Twice(String),
    /// The operator gives roles for a rule the plugin does not have.
    #[error("`roles` names the rule `{rule}`, which the plugin does not have; it has: {known}")]
    Unknown {
        /// The rule the operator wrote.
        rule: String,
        /// Those there are, joined by commas.
        known: String,
    },
}

impl Rules {
    /// `declared` are the plugin's rules with their default roles; `roles` replaces the roles of
    /// those it names. A rule without roles is satisfied by nobody.
    pub fn new(
        declared: impl IntoIterator<Item = (String, Vec<String>)>,
        roles: &BTreeMap<String, Vec<String>>,
    ) -> Result<Self, AccessError> {
        let mut rules = HashMap::new();
        for (rule, roles) in declared {
            if rules.contains_key(&rule) {
                return Err(AccessError::Twice(rule));
            }
            rules.insert(rule, roles);
        }
        for (rule, roles) in roles {
            match rules.get_mut(rule) {
                Some(own) => own.clone_from(roles),
                None => {
                    let mut known: Vec<&str> = rules.keys().map(String::as_str).collect();
                    known.sort_unstable();
                    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                    return Err(AccessError::Unknown { rule: rule.clone(), known });
                }
            }
        }
        Ok(Self(rules))
    }

    /// Whether there is a rule of this name; a route that names another is a plugin's mistake.
    #[must_use]
    pub fn contains(&self, rule: &str) -> bool {
        self.0.contains_key(rule)
    }

    /// Whether this user satisfies this rule. A rule that does not exist is satisfied by nobody.
    #[must_use]
    pub fn satisfied(&self, rule: &str, user: &User) -> bool {
        self.0.get(rule).is_some_and(|roles| user.unrestricted || user.roles.iter().any(|role| roles.contains(role)))
    }

    /// Whether a request by this caller may go on.
    #[must_use]
    pub fn decide(&self, access: &Access, identity: &Identity) -> Decision {
        match (access, identity) {
            (Access::Open | Access::Plugin, _) | (Access::Authenticated, Identity::User(_)) => Decision::Allow,
            (Access::RoleRule(rule), Identity::User(user)) if self.satisfied(rule, user) => Decision::Allow,
            (Access::RoleRule(_), Identity::User(_)) => Decision::Forbidden,
            (_, Identity::Unverified(_)) => Decision::Unverified,
            _ => Decision::Unauthenticated,
        }
    }
}

/// Who is who at one mount, and what roles are needed there.
#[derive(Debug)]
pub struct Scope {
    /// The mount's provider.
    pub provider: Arc<Provider>,
    /// The plugin's rules with the roles that satisfy them.
    pub rules: Rules,
}
