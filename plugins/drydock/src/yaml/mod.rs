//! YAML streams into JSON values, within bounds.
//!
//! Owns what a stream may cost: bytes are bounded by the caller, values by [`Limits`]. Aliases count with all that they
//! stand for, so a document that doubles itself line by line ends at the bound and not at the end of memory. The parser gives events
//! and keeps nothing; values are made here. Plain scalars are read as YAML 1.1, which designs are written for.
//! Not here: what a document means.

mod scalar;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value};

/// What a stream may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Scalars, lists and maps in all, those behind aliases counted each time.
    pub values: usize,
    /// Bytes of text in all, counted likewise.
    pub text: usize,
    /// Lists and maps within each other.
    pub depth: usize,
}

impl Limits {
    /// For a stream of at most this many bytes: what it can say without aliases, and as much again with them.
    pub fn of_bytes(bytes: usize) -> Limits {
        Limits { values: (bytes / 4).max(1_000), text: bytes.saturating_mul(2).max(4_096), depth: 64 }
    }
}

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

/// The documents of a stream, in order. Empty ones are null.
///
/// # Errors
/// See [`Error`].
pub fn documents(text: &str, limits: Limits) -> Result<Vec<Value>, Error> {
    let mut reader = Reader::new(limits);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Error::Broken(error.marker().line(), error.info().to_owned()))?;
        reader.line = span.start.line();
        reader.take(event)?;
    }
    Ok(reader.done)
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
    stack: Vec<Frame>,
    anchors: HashMap<usize, Sized>,
    root: Option<Value>,
    done: Vec<Value>,
}

impl Reader {
    fn new(limits: Limits) -> Reader {
        let (stack, anchors) = (Vec::new(), HashMap::new());
        Reader { limits, line: 0, values: 0, text: 0, stack, anchors, root: None, done: Vec::new() }
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), Error> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.anchors.clear();
                self.root = None;
                Ok(())
            }
            Event::DocumentEnd => {
                self.done.push(self.root.take().unwrap_or(Value::Null));
                Ok(())
            }
            Event::Alias(id) => self.alias(id),
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(&text, style, tag.as_deref())?;
                self.count(1, text.len())?;
                self.place(Sized { value, values: 1, text: text.len() }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain_tag(tag.as_deref(), "seq")?;
                self.open(Open::List(Vec::new()), anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.plain_tag(tag.as_deref(), "map")?;
                self.open(Open::Map { map: Map::new(), key: None, merged: Vec::new() }, anchor)
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
        if self.values > self.limits.values {
            return Err(Error::TooLarge(self.line, "holds too many values"));
        }
        if self.text > self.limits.text {
            return Err(Error::TooLarge(self.line, "holds too much text"));
        }
        Ok(())
    }

    fn open(&mut self, open: Open, anchor: usize) -> Result<(), Error> {
        self.count(1, 0)?;
        if self.stack.len() >= self.limits.depth {
            return Err(Error::TooLarge(self.line, "is nested too deeply"));
        }
        self.stack.push(Frame { open, anchor, values: 1, text: 0 });
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
