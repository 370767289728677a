//! Media types: which rendering an answer has, and which one a request's body is in.
//!
//! Parameters such as `charset` do not disturb matching; q-values are obeyed; types that nobody here knows are
//! passed over.

/// A rendering, as its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendering {
    /// `text/plain`, which is also what clients get that do not say.
    Plain,
    /// `text/occi`: header fields.
    Occi,
    /// `application/occi+json`.
    OcciJson,
    /// `application/json`, an alias of it.
    Json,
    /// `text/occi+plain`, 1.2's name for `text/plain`.
    OcciPlain,
    /// `text/uri-list`, for lists only.
    UriList,
}

/// In the order in which they are preferred if the client does not mind.
const OFFERED: [(Rendering, &str); 6] = [
    (Rendering::Plain, "text/plain"),
    (Rendering::Occi, "text/occi"),
    (Rendering::OcciJson, "application/occi+json"),
    (Rendering::Json, "application/json"),
    (Rendering::OcciPlain, "text/occi+plain"),
    (Rendering::UriList, "text/uri-list"),
];

impl Rendering {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        OFFERED.iter().find(|(rendering, _)| *rendering == self).map_or("text/plain", |(_, name)| name)
    }

    /// What `Content-Type` goes with it.
    pub fn content_type(self) -> String {
        match self {
            Rendering::OcciJson | Rendering::Json => self.media_type().to_owned(),
            _ => format!("{}; charset=utf-8", self.media_type()),
        }
    }

    /// Whether it is one of the JSON types.
    pub fn is_json(self) -> bool {
        matches!(self, Rendering::OcciJson | Rendering::Json)
    }

    /// What a `Content-Type` names; none if it is no type of OCCI's.
    pub fn of_content_type(value: &str) -> Option<Rendering> {
        let name = essence(value);
        OFFERED.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(rendering, _)| *rendering)
    }
}

/// Why no rendering can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsuitable {
    /// Nothing acceptable is offered: 406.
    NotAcceptable,
    /// Only a list of URIs is acceptable, and this is no list: 400.
    NotAList,
}

/// One range of `Accept`.
struct Range<'a> {
    name: &'a str,
    quality: f32,
}

/// The rendering for an `Accept` (all fields joined by commas; none: not sent).
///
/// # Errors
/// If there is none.
pub fn choose(accept: Option<&str>, is_list: bool) -> Result<Rendering, Unsuitable> {
    let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else { return Ok(Rendering::Plain) };
    let ranges: Vec<Range<'_>> = accept.split(',').filter_map(range).collect();
    let best = |is_list: bool| {
        let mut best: Option<(Rank, Rendering)> = None;
        for (rendering, name) in OFFERED {
            if rendering == Rendering::UriList && !is_list {
                continue;
            }
            let Some(rank) = rank(&ranges, name).filter(|(quality, ..)| *quality > 0.0) else { continue };
            if best.as_ref().is_none_or(|(known, _)| rank > *known) {
                best = Some((rank, rendering));
            }
        }
        best.map(|(_, rendering)| rendering)
    };
    match best(is_list) {
        Some(rendering) => Ok(rendering),
        None if !is_list && best(true).is_some() => Err(Unsuitable::NotAList),
        None => Err(Unsuitable::NotAcceptable),
    }
}

/// Quality, closeness and position of a range; the greater is preferred.
type Rank = (f32, u8, std::cmp::Reverse<usize>);

/// The rank that the range which fits a type most closely gives it.
fn rank(ranges: &[Range<'_>], name: &str) -> Option<Rank> {
    let mut found: Option<Rank> = None;
    for (position, range) in ranges.iter().enumerate() {
        let closeness = closeness(range.name, name);
        if closeness > 0 && found.is_none_or(|(_, known, _)| closeness > known) {
            found = Some((range.quality, closeness, std::cmp::Reverse(position)));
        }
    }
    found
}

/// 3 for the type itself, 2 for `text/*`, 1 for `*/*`, 0 for none of these.
fn closeness(range: &str, name: &str) -> u8 {
    let group = range.strip_suffix("/*");
    match group {
        Some("*") => 1,
        Some(group) => match name.split_once('/') {
            Some((own, _)) if own.eq_ignore_ascii_case(group) => 2,
            _ => 0,
        },
        // What some old clients send for anything.
        None if range == "*" => 1,
        None if range.eq_ignore_ascii_case(name) => 3,
        None => 0,
    }
}

fn range(text: &str) -> Option<Range<'_>> {
    let name = essence(text);
    if name.is_empty() {
        return None;
    }
    let quality = text.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().ok())?
    });
    Some(Range { name, quality: quality.filter(|q| q.is_finite()).unwrap_or(1.0).clamp(0.0, 1.0) })
}

/// A media type without its parameters.
pub fn essence(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_of_negotiation() {
        let rows: [(Option<&str>, bool, Result<Rendering, Unsuitable>); 15] = [
            (None, false, Ok(Rendering::Plain)),
            (Some(""), false, Ok(Rendering::Plain)),
            (Some("*/*"), true, Ok(Rendering::Plain)),
            (Some("text/occi"), false, Ok(Rendering::Occi)),
            (Some("text/occi+plain"), false, Ok(Rendering::OcciPlain)),
            (Some("application/occi+json; charset=utf-8"), false, Ok(Rendering::OcciJson)),
            (Some("application/json"), false, Ok(Rendering::Json)),
            (Some("text/uri-list"), true, Ok(Rendering::UriList)),
            (Some("text/uri-list"), false, Err(Unsuitable::NotAList)),
            (Some("text/uri-list, text/plain;q=0.1"), false, Ok(Rendering::Plain)),
            (Some("text/html, text/occi;q=0.5, application/occi+json;q=0.9"), false, Ok(Rendering::OcciJson)),
            (Some("text/*;q=0.5, text/plain;q=0, */*;q=0.1"), false, Ok(Rendering::Occi)),
            (Some("text/occi, text/plain"), false, Ok(Rendering::Occi)),
            (Some("image/png"), false, Err(Unsuitable::NotAcceptable)),
            (Some("text/plain;q=0"), false, Err(Unsuitable::NotAcceptable)),
        ];
        for (accept, is_list, wanted) in rows {
            assert_eq!(choose(accept, is_list), wanted, "{accept:?}");
        }
    }

    #[test]
    fn parameters_do_not_disturb_the_type_of_a_body() {
        assert_eq!(Rendering::of_content_type("Text/Plain; charset=\"utf-8\""), Some(Rendering::Plain));
        assert_eq!(Rendering::of_content_type("text/plainer"), None);
    }

    proptest! {
        #[test]
        fn any_accept_is_decided(accept in ".{0,60}", is_list: bool) {
            let chosen = choose(Some(&accept), is_list);
            prop_assert!(is_list || chosen != Ok(Rendering::UriList));
        }
    }
}
