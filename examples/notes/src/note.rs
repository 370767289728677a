//! What a note is and which are taken. Knows nothing of requests and keys' storage.

use plugbay_sdk::Problem;
use serde::{Deserialize, Serialize};

use crate::PREFIX;

const LONGEST_ID: usize = 64;
const LONGEST_TITLE: usize = 200;

/// A note as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// One line.
    pub title: String,
    /// The rest.
    #[serde(default)]
    pub text: String,
    /// Who saved it last.
    pub author: String,
}

/// A note as it is sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// One line.
    pub title: String,
    /// The rest; may be left out.
    #[serde(default)]
    pub text: String,
}

impl Draft {
    /// The note, if the title is one line of 1 to 200 characters.
    pub fn checked(self, author: String) -> Result<Note, Problem> {
        let title = self.title.trim();
        if title.is_empty() || title.chars().count() > LONGEST_TITLE || title.contains(char::is_control) {
            return Err(Problem::unprocessable("The title has to be one line of 1 to 200 characters."));
        }
        Ok(Note { title: title.to_owned(), text: self.text, author })
    }
}

/// The id of a note: 1 to 64 letters, digits, `-` and `_`.
#[derive(Debug, Clone, Copy)]
pub struct Id<'a>(&'a str);

impl<'a> Id<'a> {
    /// Read an id; 404 if no note can have it.
    pub fn parse(text: &'a str) -> Result<Self, Problem> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if text.is_empty() || text.len() > LONGEST_ID || !text.bytes().all(allowed) {
            return Err(Problem::not_found("An id is 1 to 64 letters, digits, `-` and `_`."));
        }
        Ok(Self(text))
    }

    /// As in paths.
    pub fn text(self) -> &'a str {
        self.0
    }

    /// The key it is kept under.
    pub fn key(self) -> String {
        format!("{PREFIX}{}", self.0)
    }
}
