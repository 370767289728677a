//! References to designs and assets, and fetching them.
//!
//! `file:` is a path in the plugin's directory; `http(s):` may have user and password, which become Basic authentication;
//! `deckhand+http(s):` and `promenade+http(s):` are fetched with the service's own credential. A reply that is no
//! 2xx is an error, whatever its body.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use crate::http::{self, Call};
use crate::settings::Settings;
use crate::world::World;

/// Why a reference gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no reference that is known here.
    #[error("{0}")]
    Unusable(String),
    /// There is nothing to be had now; trying again may help.
    #[error("{0}")]
    Unavailable(String),
    /// It has more bytes than it may.
    #[error("the document has more than {0} bytes")]
    TooLarge(u64),
}

/// Where a reference leads.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Http { url: String, basic: Option<String>, own_credential: bool },
}

/// The bytes behind a reference, at most `settings.design_limit` of them.
///
/// # Errors
/// See [`Error`].
pub fn fetch(world: &World, settings: &Settings, reference: &str) -> Result<Vec<u8>, Error> {
    let limit = settings.design_limit;
    match parse(reference)? {
        Source::File(path) => world.files.read(&path, limit),
        Source::Http { url, basic, own_credential } => {
            let mut call = Call::new("GET", url);
            call.timeout = Duration::from_secs(300);
            call.limit = limit;
            if let Some(basic) = basic {
                call = call.header("authorization", format!("Basic {basic}"));
            }
            if own_credential {
                call = call.credential(settings.design_credential.as_ref());
            }
            let reply = world.http.send(&call).map_err(|error| match error {
                http::Error::TooLarge => Error::TooLarge(limit),
                http::Error::Denied | http::Error::Invalid(_) => {
                    Error::Unusable(format!("{}: {error}", place(&call.url)))
                }
                error => Error::Unavailable(format!("{}: {error}", place(&call.url))),
            })?;
            if !reply.is_success() {
                return Err(Error::Unavailable(format!("{} answers {}", place(&call.url), reply.status)));
            }
            if reply.body.len() as u64 > limit {
                return Err(Error::TooLarge(limit));
            }
            Ok(reply.body)
        }
    }
}

/// A URL as messages show it: without its query, which may hold secrets.
fn place(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

fn parse(reference: &str) -> Result<Source, Error> {
    let unusable = |text: &str| Error::Unusable(text.to_owned());
    let (scheme, rest) = reference.split_once(':').ok_or_else(|| unusable("the reference has no scheme"))?;
    if reference.chars().any(char::is_control) {
        return Err(unusable("the reference has control characters"));
    }
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "file" => file(rest).map(Source::File).ok_or_else(|| unusable("the path is not in the plugin's directory")),
        "http" | "https" => {
            let rest = rest.strip_prefix("//").ok_or_else(|| unusable("the reference has no host"))?;
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
            let (basic, host) = match authority.rsplit_once('@') {
                Some((user, host)) => (Some(STANDARD.encode(percent_decode_str(user).collect::<Vec<u8>>())), host),
                None => (None, authority),
            };
            if host.is_empty() {
                return Err(unusable("the reference has no host"));
            }
            let path = path.split('#').next().unwrap_or_default();
            Ok(Source::Http { url: format!("{scheme}://{host}{path}"), basic, own_credential: false })
        }
        _ => match scheme.split_once('+') {
            Some(("deckhand" | "promenade", "http" | "https")) => {
                let (_, plain) = reference.split_once('+').ok_or_else(|| unusable("unknown scheme"))?;
                match parse(plain)? {
                    Source::Http { url, basic, .. } => Ok(Source::Http { url, basic, own_credential: true }),
                    Source::File(_) => Err(unusable("unknown scheme")),
                }
            }
            _ => Err(Error::Unusable(format!("the scheme {scheme} is not known here"))),
        },
    }
}

/// A path below the directory: no way up, and no host.
fn file(rest: &str) -> Option<PathBuf> {
    let path = match rest.strip_prefix("//") {
        Some(rest) => {
            rest.get(rest.find('/')?..).filter(|_| rest.starts_with('/') || rest.starts_with("localhost/"))?
        }
        None => rest,
    };
    let path = percent_decode_str(path).decode_utf8().ok()?;
    if path.contains('\0') {
        return None;
    }
    let mut clean = PathBuf::new();
    for component in Path::new(path.as_ref()).components() {
        match component {
            Component::Normal(part) => clean.push(part),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    (!clean.as_os_str().is_empty()).then_some(clean)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn web(url: &str, basic: Option<&str>, own_credential: bool) -> Source {
        Source::Http { url: url.to_owned(), basic: basic.map(str::to_owned), own_credential }
    }

    #[test]
    fn references_lead_to_files_and_servers() {
        assert_eq!(parse("file:///designs/site.yaml"), Ok(Source::File("designs/site.yaml".into())));
        assert_eq!(parse("file:site.yaml"), Ok(Source::File("site.yaml".into())));
        assert_eq!(parse("http://u:p%40@h:80/a?b#c"), Ok(web("http://h:80/a?b", Some("dTpwQA=="), false)));
        assert_eq!(parse("deckhand+https://d/api"), Ok(web("https://d/api", None, true)));
        assert_eq!(parse("promenade+http://d/"), Ok(web("http://d/", None, true)));
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for wrong in [
            "",
            "x",
            "file:",
            "file:///",
            "file:///../etc",
            "file:///a/%2e%2e/b",
            "file://other/a",
            "ftp://h/",
            "http:",
            "http://",
            "http://u@/",
            "deckhand+file:///x",
            "deckhand+deckhand+http://h",
            "http://h/\nx",
            "gopher+http://h",
        ] {
            assert!(matches!(parse(wrong), Err(Error::Unusable(_))), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_file_is_always_below_the_directory(text in "[./%2e a\\\\~]{0,20}") {
            if let Some(path) = file(&text) {
                prop_assert!(path.components().all(|part| matches!(part, Component::Normal(_))));
            }
        }
    }
}
