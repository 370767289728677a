//! From key paths to lines of the file, and from spans to key paths.
//!
//! The configuration is plain structs without positions. When something is wrong, the text is
//! parsed once more into a tree with spans, and the tree is asked where the key stands.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The way to a key: `listener[0].tls.cert`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl KeyPath {
    /// A key at the top of the file.
    pub(super) fn top(key: &str) -> Self {
        Self::default().key(key)
    }

    /// The key of this name below.
    pub(super) fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    /// The element at this position.
    pub(super) fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if at == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A text and the tree of spans in it.
pub(super) struct Locator<'a> {
    text: &'a str,
    tree: Option<Spanned<DeTable<'a>>>,
}

impl<'a> Locator<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, tree: DeTable::parse(text).ok() }
    }

    /// Line of a byte, counted from 1.
    pub(super) fn line(&self, byte: usize) -> usize {
        let before = self.text.as_bytes().iter().take(byte);
        1 + before.filter(|byte| **byte == b'\n').count()
    }

    /// Line of a key, or of the nearest table above it that the file has; none if it has neither.
    pub(super) fn line_of(&self, path: &KeyPath) -> Option<usize> {
        let mut steps = path.0.iter();
        let Step::Key(first) = steps.next()? else {
            return None;
        };
        let (mut span, mut value) = entry(self.tree.as_ref()?.get_ref(), first)?;
        for step in steps {
            let below = match (step, value) {
                (Step::Key(key), DeValue::Table(table)) => entry(table, key),
                (Step::Index(index), DeValue::Array(array)) => {
                    array.get(*index).map(|value| (value.span(), value.get_ref()))
                }
                _ => None,
            };
            match below {
                Some(found) => (span, value) = found,
                None => break,
            }
        }
        Some(self.line(span.start))
    }

    /// The innermost key whose name or value covers this stretch of the text.
    pub(super) fn path_at(&self, span: &Range<usize>) -> KeyPath {
        let mut best = Best { span, found: None };
        if let Some(tree) = &self.tree {
            best.table(tree.get_ref(), &KeyPath::default());
        }
        best.found.map(|(_, path)| path).unwrap_or_default()
    }
}

fn entry<'t, 'a>(table: &'t DeTable<'a>, key: &str) -> Option<(Range<usize>, &'t DeValue<'a>)> {
    let (name, value) = table.iter().find(|(name, _)| name.get_ref() == key)?;
    Some((name.span(), value.get_ref()))
}

/// Depth-first search for the shortest covering span. A table's span is its header alone, so
/// tables are entered whether or not they cover what is looked for.
struct Best<'s> {
    span: &'s Range<usize>,
    found: Option<(usize, KeyPath)>,
}

impl Best<'_> {
    fn offer(&mut self, span: Range<usize>, path: &KeyPath) {
        let covers = span.start <= self.span.start && self.span.end <= span.end;
        let shorter = self.found.as_ref().is_none_or(|(length, _)| span.len() <= *length);
        if covers && shorter {
            self.found = Some((span.len(), path.clone()));
        }
    }

    fn table(&mut self, table: &DeTable<'_>, path: &KeyPath) {
        for (name, value) in table {
            let path = path.key(name.get_ref());
            self.offer(name.span(), &path);
            self.value(value, &path);
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, path: &KeyPath) {
        self.offer(value.span(), path);
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, path),
            DeValue::Array(array) => {
                for (at, value) in array.iter().enumerate() {
                    self.value(value, &path.index(at));
                }
            }
            _ => {}
        }
    }
}
