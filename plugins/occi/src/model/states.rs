//! Life cycles: which action is possible in which state, and where it leads.
//!
//! The table of GFD.184 and GFD.224. Backends carry transitions out; they do not invent them.

use crate::model::TypeId;

use super::infrastructure::{action, term_of};

/// One row: an action of a kind, from these states to that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// Term of the kind.
    pub kind: &'static str,
    /// Term of the action.
    pub action: &'static str,
    /// States in which it is possible.
    pub from: &'static [&'static str],
    /// The state afterwards; none: as before.
    pub to: Option<&'static str>,
}

const ANY_MACHINE: &[&str] = &["active", "inactive", "suspended", "error"];
const ANY_STORAGE: &[&str] = &["online", "offline", "degraded"];

/// All transitions.
pub const TRANSITIONS: &[Transition] = &[
    row("compute", "start", &["inactive", "suspended", "error"], Some("active")),
    row("compute", "stop", &["active", "error"], Some("inactive")),
    row("compute", "restart", &["active"], Some("active")),
    row("compute", "suspend", &["active"], Some("suspended")),
    row("compute", "save", ANY_MACHINE, Some("active")),
    row("network", "up", &["inactive", "error"], Some("active")),
    row("network", "down", &["active", "error"], Some("inactive")),
    row("storage", "online", &["offline", "error"], Some("online")),
    row("storage", "offline", &["online", "degraded", "error"], Some("offline")),
    row("storage", "backup", ANY_STORAGE, None),
    row("storage", "snapshot", ANY_STORAGE, None),
    row("storage", "resize", ANY_STORAGE, None),
];

const fn row(
    kind: &'static str,
    action: &'static str,
    from: &'static [&'static str],
    to: Option<&'static str>,
) -> Transition {
    Transition { kind, action, from, to }
}

/// What the states of a kind are called, and the first of them.
pub const INITIAL: &[(&str, &str, &str)] = &[
    ("compute", "occi.compute.state", "inactive"),
    ("network", "occi.network.state", "inactive"),
    ("storage", "occi.storage.state", "offline"),
    ("networkinterface", "occi.networkinterface.state", "inactive"),
    ("storagelink", "occi.storagelink.state", "inactive"),
];

/// Attribute with the state of a kind, and the first state; none if it has no states.
pub fn of(kind: &TypeId) -> Option<(&'static str, &'static str)> {
    let term = term_of(kind.as_str())?;
    INITIAL.iter().find(|(known, ..)| *known == term).map(|(_, attribute, initial)| (*attribute, *initial))
}

/// Attribute with the state of a kind by its id; none if it has no states.
pub fn attribute_of(kind: &str) -> Option<&'static str> {
    let term = term_of(kind)?;
    INITIAL.iter().find(|(known, ..)| *known == term).map(|(_, attribute, _)| *attribute)
}

/// The transition of an action on a kind.
pub fn transition(kind: &TypeId, wanted: &TypeId) -> Option<&'static Transition> {
    TRANSITIONS.iter().find(|row| Some(row.kind) == term_of(kind.as_str()) && action(row.kind, row.action) == *wanted)
}

thread_local! {
    /// The actions of the transitions.
    static IDS: Vec<TypeId> = TRANSITIONS.iter().map(|row| action(row.kind, row.action)).collect();
}

/// Actions possible in a state.
pub fn possible(kind: &TypeId, state: &str) -> Vec<TypeId> {
    possible_of(kind.as_str(), state)
}

/// The same of a kind by its id.
pub fn possible_of(kind: &str, state: &str) -> Vec<TypeId> {
    let Some(term) = term_of(kind) else { return Vec::new() };
    let rows = || TRANSITIONS.iter().enumerate().filter(|(_, row)| row.kind == term && row.from.contains(&state));
    IDS.with(|ids| rows().filter_map(|(at, _)| ids.get(at).cloned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::infrastructure::{ACTIONS, id};

    #[test]
    fn every_action_has_its_transition() {
        for (kind, term, ..) in ACTIONS {
            assert!(transition(&id(kind), &action(kind, term)).is_some(), "{kind} {term}");
        }
        assert_eq!(TRANSITIONS.len(), ACTIONS.len());
    }

    #[test]
    fn a_machine_at_rest_can_be_started_but_not_stopped() {
        let terms: Vec<_> = possible(&id("compute"), "inactive").iter().map(|id| id.term().to_owned()).collect();
        assert_eq!(terms, ["start", "save"]);
    }
}
