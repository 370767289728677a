//! The functions of the contract's imports, against the [`Host`](super::Host) of the thread. One file an interface.

pub mod blobs;
pub mod crypto;
mod granted;
pub mod kv;

pub use granted::{http_client, process, secrets, system, udp};

/// Plugin settings.
pub mod config {
    use crate::testing::Host;

    /// All settings as one JSON object.
    pub fn all() -> String {
        Host::current().state(|state| match &state.config {
            Some(config) if !state.describing => config.clone(),
            _ => "{}".to_owned(),
        })
    }
}

/// Lines for the operator.
pub mod log {
    use crate::log::Level;
    use crate::testing::Host;

    /// Keep a line; print it too, so that a failing test shows it.
    pub fn log(level: Level, message: &str) {
        eprintln!("[{level:?}] {message}");
        Host::current().state(|state| state.log.push((level, message.to_owned())));
    }
}

/// Durable jobs.
pub mod jobs {
    use crate::jobs::{Error, JobStatus, State};
    use crate::testing::Host;

    /// The jobs with this key (none: all), oldest first.
    pub fn pending(key: Option<&str>, limit: u32) -> Result<Vec<JobStatus>, Error> {
        Host::current().state(|state| {
            if state.describing {
                return Err(Error::Denied);
            }
            let statuses = state.jobs.iter().map(|job| &job.status);
            let wanted = statuses.filter(|status| key.is_none() || status.key.as_deref() == key);
            Ok(wanted.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect())
        })
    }

    /// Forget a job that is not running.
    pub fn cancel(id: &str) -> Result<bool, Error> {
        Host::current().state(|state| {
            if state.describing {
                return Err(Error::Denied);
            }
            let before = state.jobs.len();
            state.jobs.retain(|job| job.status.id != id || job.status.state == State::Running);
            Ok(state.jobs.len() < before)
        })
    }
}

/// Callers and users.
pub mod identity {
    use crate::identity::{Error, TokenInfo};
    use crate::testing::Host;
    use crate::{Caller, User};

    /// Whether the caller of the current request satisfies a rule.
    pub fn allowed(rule: &str) -> Result<bool, Error> {
        Host::current().state(|state| {
            if state.describing {
                return Err(Error::Denied);
            }
            let Some((_, roles)) = state.rules.iter().find(|(name, _)| name == rule) else {
                panic!("`identity::allowed` was asked for the rule `{rule}`, which the plugin does not declare");
            };
            match &state.caller {
                None => Err(Error::Unsupported),
                Some(Caller::User(user)) => Ok(roles.iter().any(|role| user.has_role(role))),
                Some(Caller::Anonymous | Caller::Rejected(_)) => Ok(false),
                Some(Caller::Unverified(why)) => Err(Error::Unavailable(why.clone())),
            }
        })
    }

    /// What belongs into `WWW-Authenticate`.
    pub fn challenge() -> Result<String, Error> {
        Host::current().state(|state| match (&state.caller, state.describing) {
            (_, true) => Err(Error::Denied),
            (None, false) => Err(Error::Unsupported),
            (Some(_), false) => Ok(state.challenge.clone().unwrap_or_else(|| "Bearer realm=\"plugbay\"".to_owned())),
        })
    }

    /// Whose token this is.
    pub fn lookup(token: &str) -> Result<Option<TokenInfo>, Error> {
        Host::current().state(
            |state| {
                if state.describing { Err(Error::Denied) } else { Ok(state.tokens.get(token).cloned()) }
            },
        )
    }

    /// Users by id.
    pub fn users_by_id(ids: &[String]) -> Result<Vec<User>, Error> {
        find(|user| ids.contains(&user.id))
    }

    /// Users by name.
    pub fn users_by_name(names: &[String]) -> Result<Vec<User>, Error> {
        find(|user| names.contains(&user.name))
    }

    fn find(wanted: impl Fn(&User) -> bool) -> Result<Vec<User>, Error> {
        Host::current().state(|state| {
            if state.describing {
                return Err(Error::Denied);
            }
            Ok(state.users.iter().filter(|user| wanted(user)).cloned().collect())
        })
    }
}
