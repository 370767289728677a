//! What is kept of a resource or a link.
//!
//! Invariant: `seq`, a UUID of version 7, orders entities by creation and is never used twice; `path` never changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{TypeId, core, states};

/// Names and values.
pub type Attributes = BTreeMap<String, Value>;

/// A resource or a link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    /// 32 hexadecimal digits.
    pub seq: String,
    /// Where it is, below the mount.
    pub path: String,
    /// Its kind, for life.
    pub kind: TypeId,
    /// Its mixins, in the order they came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mixins: Vec<TypeId>,
    /// All but id, source and target.
    #[serde(default)]
    pub attributes: Attributes,
    /// Paths of the links that a resource owns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// Both ends, if it is a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Ends>,
}

/// The ends of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ends {
    /// Path of the resource that owns the link.
    pub source: String,
    /// Kind of that.
    pub source_kind: TypeId,
    /// Path, or URL of something elsewhere.
    pub target: String,
    /// Kind of that; none elsewhere.
    pub target_kind: Option<TypeId>,
}

impl Entity {
    /// The id, a URI.
    pub fn id(&self) -> String {
        id_of(&self.seq)
    }

    /// What `seq` an id has; none if it is no id of an entity.
    pub fn seq_of(id: &str) -> Option<String> {
        let seq = id.strip_prefix("urn:uuid:")?.replace('-', "").to_ascii_lowercase();
        (seq.len() == 32 && seq.bytes().all(|b| b.is_ascii_hexdigit())).then_some(seq)
    }

    /// An attribute's text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.as_str()
    }

    /// Its state; none if its kind has none.
    pub fn state(&self) -> Option<&str> {
        self.text(states::of(&self.kind)?.0)
    }

    /// Actions possible now.
    pub fn actions(&self) -> Vec<TypeId> {
        self.state().map(|state| states::possible(&self.kind, state)).unwrap_or_default()
    }

    /// Whether it is a link.
    pub fn is_link(&self) -> bool {
        self.ends.is_some()
    }

    /// The value of any attribute, those that are not in `attributes` included.
    pub fn value(&self, name: &str) -> Option<Value> {
        let ends = self.ends.as_ref();
        match name {
            core::ID => Some(self.id().into()),
            core::SOURCE => ends.map(|ends| ends.source.clone().into()),
            core::TARGET => ends.map(|ends| ends.target.clone().into()),
            core::SOURCE_KIND => ends.map(|ends| ends.source_kind.as_str().into()),
            core::TARGET_KIND => ends?.target_kind.as_ref().map(|kind| kind.as_str().into()),
            name => self.attributes.get(name).cloned(),
        }
    }

    /// Every attribute with its value, in the order in which they are rendered.
    pub fn values(&self) -> impl Iterator<Item = (&str, Value)> {
        let core = [core::ID, core::SOURCE, core::TARGET, core::SOURCE_KIND, core::TARGET_KIND];
        let own = self.attributes.iter().map(|(name, value)| (name.as_str(), value.clone()));
        core.into_iter().filter_map(|name| Some((name, self.value(name)?))).chain(own)
    }
}

/// The id of the entity with this `seq`.
pub fn id_of(seq: &str) -> String {
    let mut id = String::with_capacity(45);
    id.push_str("urn:uuid");
    for (range, before) in [(0..8, ":"), (8..12, "-"), (12..16, "-"), (16..20, "-"), (20..32, "-")] {
        id.push_str(before);
        id.push_str(seq.get(range).unwrap_or_default());
    }
    id
}

/// Whether two values are the same, however their numbers are written.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}
