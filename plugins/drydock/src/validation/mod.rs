//! The eighteen rules of a design, and the messages they give.
//!
//! Owns the table of rules and the shape of their messages; each rule is a function over the effective design in a module of its
//! kind. A validation keeps nothing: the same design gives the same messages every time. A rule without errors adds one
//! message of level Info after its warnings.

mod naming;
mod network;
mod platform;
mod storage;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::design::{DocumentRef, Fault, Node, Site};
use crate::time::Moment;

/// Images and their kernels, as far as the node provisioner says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// It takes any.
    Any,
    /// These.
    Images(BTreeMap<String, Vec<String>>),
    /// It could not be asked, because of this.
    Unknown(String),
}

/// One rule: its code, its title, what it looks at.
struct Rule {
    code: &'static str,
    title: &'static str,
    check: fn(&Context<'_>, &mut Findings),
}

/// In the order of the answer.
const RULES: &[Rule] = &[
    Rule { code: "DD1001", title: "Boot storage", check: storage::boot },
    Rule { code: "DD2006", title: "CIDR", check: network::cidr },
    Rule { code: "DD1008", title: "Hugepages", check: platform::hugepages },
    Rule { code: "DD2002", title: "IP locality", check: network::locality },
    Rule { code: "DD2003", title: "MTU", check: network::mtu },
    Rule { code: "DD2004", title: "Network trunking", check: network::trunking },
    Rule { code: "DD2005", title: "Duplicated IP addresses", check: network::duplicates },
    Rule { code: "DD3001", title: "Platform selection", check: platform::selection },
    Rule { code: "DD1006", title: "Network bonding", check: network::bonding },
    Rule { code: "DD2002", title: "Storage partitioning", check: storage::partitioning },
    Rule { code: "DD2003", title: "Storage sizing", check: storage::sizing },
    Rule { code: "DD2004", title: "Storage mountpoints", check: storage::mountpoints },
    Rule { code: "DD1007", title: "Allowed networks", check: network::allowed },
    Rule { code: "DD3003", title: "Host names", check: naming::host_names },
    Rule { code: "DD4001", title: "IPMI parameters", check: platform::ipmi },
    Rule { code: "DD4002", title: "Libvirt parameters", check: platform::libvirt },
    Rule { code: "DD4001", title: "Boot actions", check: naming::boot_actions },
    Rule { code: "DD4002", title: "Package lists", check: naming::packages },
];

/// What rules look at.
pub(crate) struct Context<'a> {
    site: &'a Site,
    offer: &'a Offer,
}

/// How grave a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Level {
    /// Nothing was found.
    Info,
    /// To be looked at.
    Warning,
    /// The design is not valid.
    Error,
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    kind: &'static str,
    /// Code of the rule.
    pub name: &'static str,
    /// Its title, and what it found.
    pub message: String,
    /// Whether this makes the design invalid.
    pub error: bool,
    /// How grave it is.
    pub level: Level,
    diagnostic: String,
    ts: String,
    /// What it is about.
    pub documents: Vec<DocumentRef>,
}

/// What one rule found so far.
#[derive(Default)]
pub(crate) struct Findings {
    found: Vec<(Level, String, Vec<DocumentRef>)>,
}

impl Findings {
    fn error(&mut self, documents: impl IntoIterator<Item = DocumentRef>, text: String) {
        self.found.push((Level::Error, text, documents.into_iter().collect()));
    }

    fn warn(&mut self, documents: impl IntoIterator<Item = DocumentRef>, text: String) {
        self.found.push((Level::Warning, text, documents.into_iter().collect()));
    }
}

/// Run every rule.
pub fn run(site: &Site, offer: &Offer, now: Moment) -> Vec<Message> {
    let context = Context { site, offer };
    let mut messages = Vec::with_capacity(RULES.len());
    for rule in RULES {
        let mut findings = Findings::default();
        (rule.check)(&context, &mut findings);
        let errors = findings.found.iter().any(|(level, ..)| *level == Level::Error);
        if !errors {
            findings.found.push((Level::Info, "no errors found".to_owned(), Vec::new()));
        }
        let say =
            |(level, text, documents)| message(rule.code, level, format!("{}: {text}", rule.title), documents, now);
        messages.extend(findings.found.into_iter().map(say));
    }
    messages
}

/// The messages of documents that could not be read.
pub fn of_faults(faults: Vec<Fault>, now: Moment) -> Vec<Message> {
    let say = |fault: Fault| {
        let about = fault
            .document
            .as_ref()
            .map_or_else(String::new, |document| format!(" ({} {})", document.schema, document.name));
        let text = format!("{}{about}", fault.text);
        message(fault.code, Level::Error, text, fault.document.into_iter().collect(), now)
    };
    faults.into_iter().map(say).collect()
}

fn message(name: &'static str, level: Level, message: String, documents: Vec<DocumentRef>, now: Moment) -> Message {
    let (error, diagnostic, ts) = (level == Level::Error, String::new(), now.text());
    Message { kind: "ValidationMessage", name, message, error, level, diagnostic, ts, documents }
}

fn of_node(node: &Node) -> [DocumentRef; 1] {
    [DocumentRef::of("BaremetalNode", &node.name)]
}

fn of_network(name: &str) -> [DocumentRef; 1] {
    [DocumentRef::of("Network", name)]
}

fn of_link(name: &str) -> [DocumentRef; 1] {
    [DocumentRef::of("NetworkLink", name)]
}
