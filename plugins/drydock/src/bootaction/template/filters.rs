//! Filters of Jinja2 that the template library does not have.

use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind};

/// Widest line that `center` makes.
const WIDTH: usize = 10_000;

pub(super) fn add(environment: &mut Environment<'_>) {
    environment.add_filter("center", center);
    environment.add_filter("xmlattr", xmlattr);
    environment.add_filter("forceescape", forceescape);
}

/// Text in the middle of a line of this width, 80 unless said otherwise.
fn center(text: String, width: Option<usize>) -> Result<String, Error> {
    let width = width.unwrap_or(80);
    if width > WIDTH {
        return Err(Error::new(ErrorKind::InvalidOperation, "center makes no lines as wide as that"));
    }
    let missing = width.saturating_sub(text.chars().count());
    // Python puts the odd blank to the left where the width is odd.
    let left = missing / 2 + (missing & width & 1);
    Ok(format!("{}{text}{}", " ".repeat(left), " ".repeat(missing - left)))
}

/// A map as attributes of an XML element; what is none or undefined is left out.
fn xmlattr(map: Value, autospace: Option<bool>) -> Result<String, Error> {
    let mut attributes = Vec::new();
    for key in map.try_iter()? {
        let value = map.get_item(&key)?;
        let name = key.to_string();
        if name.contains(|at: char| at.is_whitespace() || "/>=".contains(at)) {
            return Err(Error::new(ErrorKind::InvalidOperation, "an attribute's name has characters it cannot have"));
        }
        if !value.is_none() && !value.is_undefined() {
            attributes.push(format!("{}=\"{}\"", escaped(&name), escaped(&value.to_string())));
        }
    }
    let space = autospace.unwrap_or(true) && !attributes.is_empty();
    Ok(format!("{}{}", if space { " " } else { "" }, attributes.join(" ")))
}

fn forceescape(value: Value, _: Kwargs) -> String {
    escaped(&value.to_string())
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for at in text.chars() {
        match at {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            at => escaped.push(at),
        }
    }
    escaped
}
