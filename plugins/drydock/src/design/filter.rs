//! Node filters: one engine for tasks, `POST /nodefilter` and boot actions.
//!
//! Each filter starts from all nodes. `filter_type` combines the criteria of one filter, `filter_set_type` the
//! results of the filters. Labels count one by one, so that all of them are asked for under intersection, and labels of racks are
//! looked at: the documentation's rules, not those of the original server. The answer has the design's order and no
//! duplicates.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::kinds::{Labels, Rack, scalars};

/// How criteria or filters combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Combination {
    /// What any of them gives.
    Union,
    /// What all of them give.
    Intersection,
}

/// Filters and how they combine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeFilter {
    /// How.
    pub filter_set_type: Combination,
    /// The filters.
    pub filter_set: Vec<Filter>,
}

/// One filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// How its criteria combine.
    pub filter_type: Combination,
    /// Nodes with one of these names.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub node_names: Vec<String>,
    /// Nodes with one of these tags.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub node_tags: Vec<String>,
    /// Nodes with these labels.
    #[serde(default, deserialize_with = "map", skip_serializing_if = "BTreeMap::is_empty")]
    pub node_labels: Labels,
    /// Nodes in one of these racks.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub rack_names: Vec<String>,
    /// Nodes in racks with these labels.
    #[serde(default, deserialize_with = "map", skip_serializing_if = "BTreeMap::is_empty")]
    pub rack_labels: Labels,
}

fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
    #[derive(Deserialize)]
    struct Some(#[serde(deserialize_with = "scalars")] Labels);
    Ok(Option::<Some>::deserialize(deserializer)?.map_or_else(Labels::new, |Some(map)| map))
}

/// What is asked about a node.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its effective tags.
    pub tags: &'a [String],
    /// Its effective labels.
    pub labels: &'a Labels,
    /// Its effective rack.
    pub rack: Option<&'a str>,
}

impl NodeFilter {
    /// Those of the nodes that pass, in their order.
    ///
    /// # Errors
    /// A sentence if a filter without criteria stands under intersection.
    pub fn apply<'a>(
        &self,
        nodes: impl Iterator<Item = Subject<'a>>,
        racks: &BTreeMap<String, Rack>,
    ) -> Result<Vec<String>, String> {
        self.check()?;
        let passes = |subject: &Subject<'_>| {
            let mut results = self.filter_set.iter().map(|filter| filter.passes(subject, racks));
            match self.filter_set_type {
                Combination::Union => results.any(|passes| passes),
                Combination::Intersection => results.all(|passes| passes),
            }
        };
        Ok(nodes.filter(passes).map(|subject| subject.name.to_owned()).collect())
    }

    /// Whether it can be applied.
    ///
    /// # Errors
    /// As for [`apply`](Self::apply).
    pub fn check(&self) -> Result<(), String> {
        let empty = |filter: &Filter| filter.filter_type == Combination::Intersection && filter.is_empty();
        if self.filter_set.iter().any(empty) {
            return Err("A node filter under intersection needs criteria".to_owned());
        }
        Ok(())
    }
}

impl Filter {
    fn is_empty(&self) -> bool {
        self.node_names.is_empty()
            && self.node_tags.is_empty()
            && self.node_labels.is_empty()
            && self.rack_names.is_empty()
            && self.rack_labels.is_empty()
    }

    fn passes(&self, subject: &Subject<'_>, racks: &BTreeMap<String, Rack>) -> bool {
        let rack_labels = subject.rack.and_then(|rack| racks.get(rack)).map(|rack| &rack.labels);
        let has = |labels: Option<&Labels>, key: &String, value: &String| {
            labels.is_some_and(|labels| labels.get(key) == Some(value))
        };
        let mut criteria = Vec::new();
        if !self.node_names.is_empty() {
            criteria.push(self.node_names.iter().any(|name| name == subject.name));
        }
        if !self.node_tags.is_empty() {
            criteria.push(self.node_tags.iter().any(|tag| subject.tags.contains(tag)));
        }
        if !self.rack_names.is_empty() {
            criteria.push(self.rack_names.iter().any(|name| subject.rack == Some(name)));
        }
        criteria.extend(self.node_labels.iter().map(|(key, value)| has(Some(subject.labels), key, value)));
        criteria.extend(self.rack_labels.iter().map(|(key, value)| has(rack_labels, key, value)));
        match self.filter_type {
            Combination::Union => criteria.into_iter().any(|holds| holds),
            Combination::Intersection => criteria.into_iter().all(|holds| holds),
        }
    }
}
