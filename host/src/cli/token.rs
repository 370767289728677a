//! Tokens for callers.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::error::CliError;
use super::{NewToken, output};
use crate::auth;
use crate::config::{Config, Provider};

/// Make a token, keep its hash, print it.
pub(super) fn issue(config: &Config, asked: NewToken) -> Result<(), CliError> {
    let table = config.auth.get(&asked.auth);
    let table =
        table.ok_or_else(|| CliError::Words(format!("the configuration has no table [auth.{}]", asked.auth)))?;
    if table.provider != Provider::Tokens {
        return Err(CliError::Words(format!(
            "[auth.{}] does not take tokens: its provider is not \"tokens\"",
            asked.auth
        )));
    }
    let expires = asked.expires.as_deref().map(|text| end(text, Timestamp::now())).transpose()?;
    let token = auth::NewToken {
        id: asked.id,
        name: asked.name,
        project: asked.project,
        roles: asked.roles,
        expires,
        loopback_only: asked.loopback_only,
    };
    let secret = auth::issue(&table.file, &token)?;
    output::print(&format!("{}\n", secret.expose()))?;
    output::say(&format!("its hash is in {}; the token itself is kept nowhere", table.file.display()));
    Ok(())
}

/// A time as written, or so long after `now`.
pub(super) fn end(text: &str, now: Timestamp) -> Result<Timestamp, CliError> {
    let at = text.parse::<Timestamp>().ok();
    let after = || {
        let span: Span = text.parse().ok()?;
        Some(now.to_zoned(TimeZone::UTC).checked_add(span).ok()?.timestamp())
    };
    match at.or_else(after) {
        Some(end) if end > now => Ok(end),
        Some(end) => Err(CliError::Words(format!("--expires {text}: {end} is over"))),
        None => Err(CliError::Words(format!(
            "--expires {text}: write a time such as 2027-01-01T00:00:00Z, or a span such as 30d or 12h"
        ))),
    }
}
