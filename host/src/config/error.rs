//! What is wrong with a configuration, in words, with file, key and line.

use std::fmt;
use std::path::PathBuf;

use super::locate::{KeyPath, Locator};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{}: cannot read the configuration: {source}", file.display())]
    Read {
        /// The file asked for.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file was read and is not right. Displayed with one line for each problem.
    #[error("{}", lines(file, problems))]
    Invalid {
        /// The file read.
        file: PathBuf,
        /// At least one.
        problems: Vec<Problem>,
    },
}

/// One thing wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the key, such as `listener[0].bind`; empty if the text is not TOML.
    pub key: String,
    /// Counted from 1; none if neither the key nor a table above it is in the file.
    pub line: Option<usize>,
    /// What is wrong and what to write instead.
    pub message: String,
}

fn lines(file: &std::path::Path, problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        if !text.is_empty() {
            text.push('\n');
        }
        text += &file.display().to_string();
        if let Some(line) = problem.line {
            text += &format!(":{line}");
        }
        if !problem.key.is_empty() {
            text += &format!(": {}", problem.key);
        }
        text += &format!(": {}", problem.message);
    }
    text
}

impl Problem {
    /// From an error of the TOML reader, syntax or shape.
    pub(super) fn from_toml(error: &toml::de::Error, locator: &Locator<'_>) -> Self {
        let (key, line) = match error.span() {
            Some(span) => (locator.path_at(&span).to_string(), Some(locator.line(span.start))),
            None => (String::new(), None),
        };
        Self { key, line, message: reworded(error.message()) }
    }
}

/// The problems found so far in a file that has the right shape.
#[derive(Default)]
pub(super) struct Problems(Vec<(KeyPath, String)>);

impl Problems {
    pub(super) fn add(&mut self, key: KeyPath, message: impl fmt::Display) {
        self.0.push((key, message.to_string()));
    }

    /// `Ok` if there are none. Sorted by line, for reading beside the file.
    pub(super) fn finish(self, locator: &Locator<'_>) -> Result<(), Vec<Problem>> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut problems: Vec<Problem> = self
            .0
            .into_iter()
            .map(|(key, message)| Problem { line: locator.line_of(&key), key: key.to_string(), message })
            .collect();
        problems.sort_by_key(|problem| problem.line);
        Err(problems)
    }
}

/// The reader's words for an unknown key or variant, shortened to the nearest name there is.
fn reworded(message: &str) -> String {
    let mut words = message.split('`').skip(1).step_by(2);
    let unknown = message.strip_prefix("unknown field ").map(|_| "key");
    let Some(what) = unknown.or(message.strip_prefix("unknown variant ").map(|_| "value")) else {
        return message.to_owned();
    };
    let written = words.next().unwrap_or_default();
    let known: Vec<&str> = words.collect();
    format!("unknown {what} `{written}`{}", hint(written, known.iter().copied()))
}

/// `: did you mean …?`, or all the names there are.
pub(super) fn hint<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let distance = |name: &str| strsim::damerau_levenshtein(written, name);
    match known.iter().min_by_key(|name| distance(name)) {
        None => "; there is none to choose from".to_owned(),
        Some(near) if distance(near) <= (written.len() / 3).max(1) => {
            format!("; did you mean `{near}`?")
        }
        Some(_) => format!("; known are `{}`", known.join("`, `")),
    }
}
