//! Rows of a listing as text, JSON or XML, sent in parts if there are many.
//!
//! Owns the form of a listing's body and where one step of it ends. Invariant: no step holds more
//! than about [`PART`] bytes of rows, however long the listing.

use plugbay_sdk::{Answer, Segment};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Call, JSON, bare,
    objects::{Going, Outcome},
};
use crate::{faults::Fault, xml};

/// Bytes after which a part is sent.
const PART: usize = 256 * 1024;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    Xml,
}

impl Format {
    /// By the `format` parameter or, without one, by `Accept`. Text is the default.
    pub fn of(call: &Call<'_>) -> Format {
        match call.query.get("format") {
            _ if call.wants_json() => Format::Json,
            Some("xml") => Format::Xml,
            Some(_) => Format::Text,
            None if super::accepts(call.request, "application/xml") => Format::Xml,
            None if super::accepts(call.request, "text/xml") => Format::Xml,
            None => Format::Text,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; charset=UTF-8",
            Format::Json => JSON,
            Format::Xml => "application/xml; charset=UTF-8",
        }
    }
}

/// Where a listing goes on in its next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Page {
    /// The position, in the listing's own terms.
    pub from: String,
    /// Rows so far.
    pub rows: usize,
    /// Whether status and header fields were sent.
    pub sent: bool,
}

/// What the rows are in, in XML: the element around them with the name in it, and that of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub list: &'static str,
    pub name: Option<&'a str>,
    pub row: &'static str,
}

/// Rows being written.
pub(super) struct Writer<'a> {
    format: Format,
    frame: Frame<'a>,
    out: Vec<u8>,
    rows: usize,
    sent: bool,
}

impl<'a> Writer<'a> {
    /// At the start of a listing, or where a page ended.
    pub fn new(call: &Call<'_>, frame: Frame<'a>, page: Option<&Page>) -> Writer<'a> {
        let (rows, sent) = page.map_or((0, false), |page| (page.rows, page.sent));
        Writer { format: Format::of(call), frame, out: Vec::new(), rows, sent }
    }

    fn start(&mut self) {
        if self.rows > 0 || self.sent {
            return;
        }
        match self.format {
            Format::Text => {}
            Format::Json => self.out.push(b'['),
            Format::Xml => {
                let name = self.frame.name.map(|name| format!(" name=\"{}\"", xml::text(name))).unwrap_or_default();
                let lead = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{}{name}>", self.frame.list);
                self.out.extend_from_slice(lead.as_bytes());
            }
        }
    }

    /// One row. `fields` beside the name are asked for only if they are written.
    pub fn row(&mut self, name: &str, fields: impl FnOnce() -> Result<Map<String, Value>, Fault>) -> Result<(), Fault> {
        self.start();
        match self.format {
            Format::Text => self.line(name),
            Format::Json | Format::Xml => {
                let mut fields = fields()?;
                fields.insert("name".to_owned(), name.into());
                match self.format {
                    Format::Xml => self.out.extend_from_slice(xml::row(self.frame.row, &fields).as_bytes()),
                    _ => self.json(&Value::Object(fields)),
                }
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// A virtual directory.
    pub fn directory(&mut self, name: &str) {
        self.start();
        match self.format {
            Format::Text => self.line(name),
            Format::Json => self.json(&serde_json::json!({ "subdir": name })),
            Format::Xml => {
                let name = xml::text(name);
                self.out.extend_from_slice(format!("<subdir name=\"{name}\"><name>{name}</name></subdir>").as_bytes());
            }
        }
        self.rows += 1;
    }

    fn line(&mut self, name: &str) {
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'\n');
    }

    fn json(&mut self, row: &Value) {
        if self.rows > 0 {
            self.out.push(b',');
        }
        self.out.extend_from_slice(row.to_string().as_bytes());
    }

    /// Whether it is time to send what there is.
    pub fn is_full(&self) -> bool {
        self.out.len() >= PART
    }

    /// Rows written, those of earlier steps included.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The end of this step: of the whole listing, or to go on from a position. `fields` are sent with
    /// the first part.
    pub fn finish(mut self, fields: Vec<(String, String)>, from: Option<String>) -> Outcome {
        if let Some(from) = from {
            // Whether there is anything at all is part of the status, so nothing is sent before a row.
            let sent = self.sent || !self.out.is_empty();
            let going = Going::Listing(Page { from, rows: self.rows, sent });
            return if sent { Outcome::More(self.answer(fields), going) } else { Outcome::Again(going) };
        }
        if self.format == Format::Text && self.rows == 0 {
            return bare(204, fields).into();
        }
        self.start();
        match self.format {
            Format::Text => {}
            Format::Json => self.out.push(b']'),
            Format::Xml => self.out.extend_from_slice(format!("</{}>", self.frame.list).as_bytes()),
        }
        self.answer(fields).into()
    }

    fn answer(self, fields: Vec<(String, String)>) -> Answer {
        bare(200, fields).header("content-type", self.format.content_type()).segment(Segment::Bytes(self.out))
    }
}
