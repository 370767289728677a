//! YAML streams into JSON values, within bounds.
//!
//! Owns what a stream may cost: bytes are bounded by the caller, values by [`Limits`]. Aliases count with all that they
//! stand for, so a document that doubles itself line by line ends at the bound and not at the end of memory. The parser gives events
//! and keeps nothing; values are made here, a document at a time. Plain scalars are read as YAML 1.1, which designs are
//! written for.
//! Not here: what a document means.

mod scalar;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value};

/// What a list counts for, in scalars: about what it takes in memory.
const LIST: usize = 2;
/// What a map counts for.
const MAP: usize = 12;

/// What a stream may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Values of one document, in scalars, those behind aliases counted each time.
    pub values: usize,
    /// Bytes of text of one document, counted likewise.
    pub text: usize,
    /// Values of all documents.
    pub work: usize,
    /// Lists and maps within each other.
    pub depth: usize,
}

impl Limits {
    /// For a stream of at most this many bytes: what it can say without aliases, some more with them, and not more than
    /// fits into the memory of an instance.
    pub fn of_bytes(bytes: usize) -> Limits {
        let values = bytes.saturating_mul(3).clamp(1_000, HELD);
        Limits { values, text: bytes.saturating_mul(2).max(4_096), work: values.saturating_mul(10), depth: 64 }
    }
}

/// Values that fit into the memory of an instance, in scalars.
pub const HELD: usize = 800_000;

/// Why a stream was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no YAML.
    #[error("broken YAML at line {0}: {1}")]
    Broken(usize, String),
    /// It is YAML that no design needs.
    #[error("line {0}: {1}")]
    Unsupported(usize, String),
    /// It holds more than it may.
    #[error("line {0}: the document {1}")]
    TooLarge(usize, &'static str),
}

/// The documents of a stream, in order, each as it is read. Nothing comes after an error.
pub fn documents(text: &str, limits: Limits) -> impl Iterator<Item = Result<Document, Error>> {
    let mut parser = Parser::new_from_str(text);
    let mut reader = Reader::new(limits);
    let mut broken = false;
    std::iter::from_fn(move || {
        while !broken {
            let taken = match parser.next()? {
                Ok((event, span)) => {
                    reader.line = span.start.line();
                    reader.take(event)
                }
                Err(error) => Err(Error::Broken(error.marker().line(), error.info().to_owned())),
            };
            broken = taken.is_err();
            match taken {
                Ok(None) => {}
                Ok(Some(document)) => return Some(Ok(document)),
                Err(error) => return Some(Err(error)),
            }
        }
        None
    })
}

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it says; null if it is empty.
    pub value: Value,
    /// How many values that are, in scalars.
    pub values: usize,
}

/// A value, and what it counts against the limits.
#[derive(Clone)]
struct Sized {
    value: Value,
    values: usize,
    text: usize,
}

enum Open {
    List(Vec<Value>),
    /// The key that waits for its value, and values of merge keys.
    Map {
        map: Map<String, Value>,
        key: Option<String>,
        merged: Vec<Value>,
    },
}

struct Frame {
    open: Open,
    anchor: usize,
    values: usize,
    text: usize,
}

struct Reader {
    limits: Limits,
    line: usize,
    values: usize,
    text: usize,
    work: usize,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Sized>,
    root: Option<Value>,
}

impl Reader {
    fn new(limits: Limits) -> Reader {
        let (stack, anchors) = (Vec::new(), HashMap::new());
        Reader { limits, line: 0, values: 0, text: 0, work: 0, stack, anchors, root: None }
    }

    /// Take an event; the document if it was its end.
    fn take(&mut self, event: Event<'_>) -> Result<Option<Document>, Error> {
        if matches!(event, Event::DocumentEnd) {
            self.anchors.clear();
            self.text = 0;
            let values = std::mem::take(&mut self.values);
            return Ok(Some(Document { value: self.root.take().unwrap_or(Value::Null), values }));
        }
        self.go_on(event).map(|()| None)
    }

    fn go_on(&mut self, event: Event<'_>) -> Result<(), Error> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            // Each has a price, so that many empty ones end somewhere, too.
            Event::DocumentStart(_) => self.count(1, 0),
            Event::Alias(id) => self.alias(id),
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(&text, style, tag.as_deref())?;
                self.count(1, text.len())?;
                self.place(Sized { value, values: 1, text: text.len() }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain_tag(tag.as_deref(), "seq")?;
                self.open(Open::List(Vec::new()), LIST, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.plain_tag(tag.as_deref(), "map")?;
                self.open(Open::Map { map: Map::new(), key: None, merged: Vec::new() }, MAP, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
        }
    }

    fn alias(&mut self, id: usize) -> Result<(), Error> {
        let Some((values, text)) = self.anchors.get(&id).map(|known| (known.values, known.text)) else {
            return Err(Error::Unsupported(self.line, "an alias of something that is not complete".to_owned()));
        };
        self.count(values, text)?;
        match self.anchors.get(&id).cloned() {
            Some(known) => self.place(known, 0),
            None => Ok(()),
        }
    }

    fn count(&mut self, values: usize, text: usize) -> Result<(), Error> {
        self.values = self.values.saturating_add(values);
        self.text = self.text.saturating_add(text);
        self.work = self.work.saturating_add(values);
        if self.values > self.limits.values || self.work > self.limits.work {
            return Err(Error::TooLarge(self.line, "holds too many values"));
        }
        if self.text > self.limits.text {
            return Err(Error::TooLarge(self.line, "holds too much text"));
        }
        Ok(())
    }

    fn open(&mut self, open: Open, values: usize, anchor: usize) -> Result<(), Error> {
        self.count(values, 0)?;
        if self.stack.len() >= self.limits.depth {
            return Err(Error::TooLarge(self.line, "is nested too deeply"));
        }
        self.stack.push(Frame { open, anchor, values, text: 0 });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let value = match frame.open {
            Open::List(list) => Value::Array(list),
            Open::Map { map, merged, .. } => Value::Object(merge(map, merged)),
        };
        self.place(Sized { value, values: frame.values, text: frame.text }, frame.anchor)
    }

    fn place(&mut self, sized: Sized, anchor: usize) -> Result<(), Error> {
        if anchor != 0 {
            self.count(sized.values, sized.text)?;
            self.anchors.insert(anchor, sized.clone());
        }
        let line = self.line;
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(sized.value);
            return Ok(());
        };
        frame.values = frame.values.saturating_add(sized.values);
        frame.text = frame.text.saturating_add(sized.text);
        match &mut frame.open {
            Open::List(list) => list.push(sized.value),
            Open::Map { map, key, merged } => match key.take() {
                None => {
                    *key = Some(
                        key_text(sized.value)
                            .ok_or_else(|| Error::Unsupported(line, "a key that is a list or a map".to_owned()))?,
                    )
                }
                Some(key) if key == "<<" => match sized.value {
                    Value::Array(list) => merged.extend(list),
                    value => merged.push(value),
                },
                // The last of several equal keys counts, as for everybody who reads designs.
                Some(key) => drop(map.insert(key, sized.value)),
            },
        }
        Ok(())
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, Error> {
        match tag {
            None if style == ScalarStyle::Plain => Ok(scalar::plain(text)),
            None => Ok(Value::String(text.to_owned())),
            Some(tag) => scalar::tagged(text, &tag.handle, &tag.suffix)
                .ok_or_else(|| Error::Unsupported(self.line, format!("the tag `{}{}`", tag.handle, tag.suffix))),
        }
    }

    fn plain_tag(&self, tag: Option<&Tag>, name: &str) -> Result<(), Error> {
        match tag {
            Some(tag) if !(scalar::is_core(&tag.handle) && tag.suffix == name) => {
                Err(Error::Unsupported(self.line, format!("the tag `{}{}`", tag.handle, tag.suffix)))
            }
            _ => Ok(()),
        }
    }
}

/// A map with what it takes over from others; its own keys win, and earlier ones over later ones.
fn merge(mut map: Map<String, Value>, merged: Vec<Value>) -> Map<String, Value> {
    for value in merged {
        if let Value::Object(other) = value {
            for (key, value) in other {
                map.entry(key).or_insert(value);
            }
        }
    }
    map
}

fn key_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Null => Some("null".to_owned()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}
