//! The tree of segments in which a path is looked up.
//!
//! Owns the order of preference: at each segment, left to right, a literal before a parameter
//! before `{*rest}`, going back where a preferred branch leads nowhere. Knows nothing of methods:
//! it shows every place where templates that match the path end, best first.
//!
//! Invariant: a look-up visits each node at most once, goes no deeper than the longest template,
//! and allocates only to decode segments that are percent-encoded.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::path::{self, Path};
use super::template::Segment;

/// A place between segments. `E` is what is kept where templates end.
#[derive(Debug)]
pub(super) struct Node<E> {
    literals: BTreeMap<Box<str>, Node<E>>,
    parameter: Option<Box<Node<E>>>,
    rest: Option<E>,
    end: Option<E>,
}

impl<E> Default for Node<E> {
    fn default() -> Self {
        Self { literals: BTreeMap::new(), parameter: None, rest: None, end: None }
    }
}

impl<E: Default> Node<E> {
    /// The end of the template with these segments, made if it is not there.
    pub(super) fn end_mut(&mut self, segments: &[Segment]) -> &mut E {
        let mut node = self;
        for segment in segments {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(text.as_str().into()).or_default(),
                Segment::Parameter(_) => node.parameter.get_or_insert_default(),
                Segment::Rest(_) => return node.rest.get_or_insert_default(),
            };
        }
        node.end.get_or_insert_default()
    }
}

impl<E> Node<E> {
    /// Every end, in no particular order.
    pub(super) fn each_end_mut(&mut self, change: &mut impl FnMut(&mut E)) {
        self.end.iter_mut().chain(&mut self.rest).for_each(&mut *change);
        for node in self.literals.values_mut().chain(self.parameter.as_deref_mut()) {
            node.each_end_mut(change);
        }
    }

    /// Shows the ends that match, best first, until told to stop.
    pub(super) fn visit<'t>(&'t self, path: Path<'_>, see: &mut impl FnMut(&'t E) -> ControlFlow<()>) {
        // Having been stopped and having seen all are the same to the caller.
        let _ = self.walk(Some(path.after_root()), see);
    }

    /// `left` is what follows the slash before this node, if there is one.
    fn walk<'t>(&'t self, left: Option<&str>, see: &mut impl FnMut(&'t E) -> ControlFlow<()>) -> ControlFlow<()> {
        let Some(left) = left else {
            return self.end.iter().try_for_each(&mut *see);
        };
        let (raw, after) = path::split_segment(left);
        let text = path::decode(raw);
        if let Some(node) = self.literals.get(&*text) {
            node.walk(after, see)?;
        }
        if let Some(node) = &self.parameter
            && path::fills_parameter(&text)
        {
            node.walk(after, see)?;
        }
        self.rest.iter().try_for_each(see)
    }
}
