//! The service account: logging in, and the token that it has.
//!
//! Invariants: one login at a time, and after one that failed none for a while; a token is used until shortly before its
//! end, by the clock of this machine's uptime, not by the time of day; the password is read for each login.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{Keystone, Unavailable, answer};
use crate::outbound::{Credential, Destination, Form};
use crate::{config, private_file};

/// After a login that failed for want of an answer, the next one waits that long.
const PAUSE: Duration = Duration::from_secs(1);
/// After one that was refused: somebody has to mend something first, and accounts are locked for guessing.
const REFUSED: Duration = Duration::from_secs(10);
/// A token that somebody refuses is replaced at most once in that time.
const AGAIN: Duration = Duration::from_secs(5);
/// Where the password is in the body of a login.
const PASSWORD: &str = "/auth/identity/password/user/password";
/// A token is replaced that long before its end, or a tenth of its life if that is less.
const AHEAD: Duration = Duration::from_secs(60);

/// A token of the service account. Wiped when dropped.
pub struct ServiceToken {
    value: Zeroizing<String>,
    until: Instant,
}

impl std::fmt::Debug for ServiceToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceToken").field("until", &self.until).finish_non_exhaustive()
    }
}

impl ServiceToken {
    /// The token itself.
    pub(crate) fn value(&self) -> &str {
        &self.value
    }
}

pub(super) struct Account {
    user: String,
    user_domain: String,
    project: String,
    project_domain: String,
    password_file: PathBuf,
    /// Where alone the password goes.
    to: Destination,
    token: ArcSwapOption<ServiceToken>,
    /// Held by whoever logs in.
    login: tokio::sync::Mutex<()>,
    failed: Mutex<Option<Failed>>,
    /// When a token was last replaced because somebody refused it.
    replaced: Mutex<Option<Instant>>,
    /// Whether the last thing we heard of Keystone was nothing.
    away: AtomicBool,
}

struct Failed {
    until: Instant,
    why: Unavailable,
}

impl Account {
    /// Blocks.
    pub(super) fn open(settings: &config::Auth, to: Destination) -> Result<Self, String> {
        password(&settings.password_file, &to)?;
        Ok(Self {
            user: settings.user.clone(),
            user_domain: settings.user_domain.clone(),
            project: settings.project.clone(),
            project_domain: settings.project_domain.clone(),
            password_file: settings.password_file.clone(),
            to,
            token: ArcSwapOption::empty(),
            login: tokio::sync::Mutex::default(),
            failed: Mutex::default(),
            replaced: Mutex::default(),
            away: AtomicBool::new(false),
        })
    }

    /// The token there is, or a new one.
    pub(super) async fn current(&self, keystone: &Keystone) -> Result<Arc<ServiceToken>, Unavailable> {
        if let Some(token) = self.usable() {
            return Ok(token);
        }
        // Held while one logs in, so that the others wait for what comes of it.
        let _one = self.login.lock().await;
        if let Some(token) = self.usable() {
            return Ok(token);
        }
        if let Some(failed) = self.failed.lock().as_ref().filter(|failed| Instant::now() < failed.until) {
            return Err(failed.why.clone());
        }
        match self.log_in(keystone).await {
            Ok(token) => {
                let token = Arc::new(token);
                self.token.store(Some(Arc::clone(&token)));
                *self.failed.lock() = None;
                Ok(token)
            }
            Err((why, pause)) => {
                *self.failed.lock() = Some(Failed { until: Instant::now() + pause, why: why.clone() });
                Err(why)
            }
        }
    }

    /// Do not use this token again. False if that was asked for just before, too.
    pub(super) fn forget(&self, refused: &str) -> bool {
        let current = self.token.load_full();
        let Some(current) = current.filter(|current| current.value() == refused) else { return true };
        let mut replaced = self.replaced.lock();
        if replaced.is_some_and(|replaced| replaced.elapsed() < AGAIN) {
            return false;
        }
        *replaced = Some(Instant::now());
        // Unless it was replaced meanwhile.
        self.token.compare_and_swap(&Some(current), None);
        true
    }

    fn usable(&self) -> Option<Arc<ServiceToken>> {
        self.token.load_full().filter(|token| Instant::now() < token.until)
    }

    async fn log_in(&self, keystone: &Keystone) -> Result<ServiceToken, (Unavailable, Duration)> {
        let (file, to) = (self.password_file.clone(), self.to.clone());
        let read = tokio::task::spawn_blocking(move || password(&file, &to)).await;
        let password = read.unwrap_or_else(|error| Err(error.to_string()));
        let password = password.map_err(|why| (Unavailable(format!("password_file: {why}")), PAUSE))?;
        let began = Instant::now();
        let fetched = keystone.post_login(&self.wanted(), password).await.map_err(|why| (why, PAUSE))?;
        match fetched.status {
            StatusCode::CREATED | StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let why = format!("it does not let the service account {:?} in ({})", self.user, fetched.status);
                return Err((Unavailable(why), REFUSED));
            }
            status => return Err((Unavailable(format!("it answers {status} to a login")), PAUSE)),
        }
        let token = answer::token(&fetched.body).map_err(|why| (why, PAUSE))?;
        let value = fetched.headers.get("x-subject-token").and_then(|value| value.to_str().ok());
        let value = value.filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| (Unavailable("its answer to a login has no token".into()), PAUSE))?;
        let life = token.expires_at.duration_since(token.issued_at);
        let life = Duration::try_from(life).unwrap_or_default();
        Ok(ServiceToken { value: Zeroizing::new(value.to_owned()), until: began + life - AHEAD.min(life / 10) })
    }

    /// The body of a login (Identity API v3, password authentication with scoped authorization), still without the password.
    fn wanted(&self) -> Value {
        let user = json!({"name": self.user, "domain": {"name": self.user_domain}, "password": ""});
        let project = json!({"name": self.project, "domain": {"name": self.project_domain}});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        json!({"auth": {"identity": identity, "scope": {"project": project}}})
    }

    /// Say it once when Keystone goes away, and once when it is back.
    pub(super) fn note(&self, name: &str, error: Option<&Unavailable>) {
        let was = self.away.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if !was => tracing::error!(auth = name, %error, "Keystone cannot be asked; callers get 503"),
            Some(error) => tracing::debug!(auth = name, %error, "Keystone still cannot be asked"),
            None if was => tracing::info!(auth = name, "Keystone can be asked again"),
            None => {}
        }
    }
}

fn password(file: &Path, to: &Destination) -> Result<Credential, String> {
    let password = private_file::text(file)?;
    let form = Form::Json { pointer: PASSWORD.into() };
    let made = Credential::new(form, password, vec![to.clone()]);
    made.map_err(|error| format!("{}: {error}", file.display()))
}
