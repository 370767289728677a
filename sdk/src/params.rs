//! The parameters of a matched path, by name.
//!
//! The host sends values in the order of the template; the names are in the plugin's own table. Nothing is copied.

use std::str::FromStr;

use crate::Problem;

/// The path parameters of one request.
#[derive(Debug, Clone, Copy)]
pub struct Params<'a> {
    template: &'static str,
    values: &'a [String],
}

impl<'a> Params<'a> {
    pub(crate) fn new(template: &'static str, values: &'a [String]) -> Self {
        Self { template, values }
    }

    /// The parameter of this name, decoded (a `{*rest}` is the raw text). Empty if the template has none of that
    /// name, which is a mistake in the plugin that debug builds stop at.
    pub fn get(&self, name: &str) -> &'a str {
        let found = names(self.template).position(|known| known == name).and_then(|at| self.values.get(at));
        debug_assert!(found.is_some(), "the route `{}` has no parameter `{name}`", self.template);
        found.map_or("", String::as_str)
    }

    /// The parameter of this name as a number or another type.
    ///
    /// # Errors
    /// 404 if the text is not one: no such resource can exist.
    pub fn parse<T: FromStr>(&self, name: &str) -> Result<T, Problem> {
        self.get(name).parse().map_err(|_| Problem::not_found(format!("No resource with that {name}.")))
    }

    /// All values, in the order of the template.
    pub fn values(&self) -> &'a [String] {
        self.values
    }
}

/// The parameter names of a path template, in order.
pub(crate) fn names(template: &str) -> impl Iterator<Item = &str> {
    template
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| name.strip_prefix('*').unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_by_the_name_in_the_template() {
        let values = ["a".to_owned(), "7".to_owned(), "x/y".to_owned()];
        let params = Params::new("/images/{id}/members/{member}/{*rest}", &values);
        assert_eq!(params.get("id"), "a");
        assert_eq!(params.parse::<u32>("member").unwrap(), 7);
        assert_eq!(params.get("rest"), "x/y");
        assert_eq!(params.parse::<u32>("id").unwrap_err().status(), 404);
    }
}
