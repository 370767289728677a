//! What Keystone says of a token: the body of `GET` and `POST /v3/auth/tokens`.
//!
//! Read are the parts that say who somebody is and what they may do; unknown ones are passed over, and what is missing that
//! always is there makes the answer no answer.

use jiff::Timestamp;
use serde::Deserialize;

use super::Unavailable;

/// A token as Keystone describes it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Token {
    /// Whose it is.
    pub user: User,
    /// What it is for, if it is for a project.
    pub project: Option<Project>,
    /// What it is for, if it is for a domain.
    pub domain: Option<Domain>,
    /// What it is for, if it is for the whole cloud.
    pub system: Option<System>,
    /// What the user may do there.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// Its end.
    pub expires_at: Timestamp,
    /// When it was made.
    pub issued_at: Timestamp,
    /// Whether the project is the one of administrators; left out where there is no such project, and then every one is.
    pub is_admin_project: Option<bool>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct User {
    /// Stable.
    pub id: String,
    /// For people.
    pub name: String,
    /// Where the name is unique.
    pub domain: Option<Domain>,
}

/// A project.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Project {
    /// Stable.
    pub id: String,
    /// For people.
    pub name: String,
    /// Where the name is unique.
    pub domain: Option<Domain>,
}

/// A domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Domain {
    /// Stable.
    pub id: Option<String>,
    /// For people.
    pub name: Option<String>,
}

/// The whole cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct System {
    /// All of it; nothing else is there yet.
    pub all: bool,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Role {
    /// As rules name it.
    pub name: String,
}

/// Read the body.
pub(super) fn token(body: &[u8]) -> Result<Token, Unavailable> {
    #[derive(Deserialize)]
    struct Body {
        token: Token,
    }
    // The reason would show what was read.
    let read = serde_json::from_slice::<Body>(body);
    read.map(|body| body.token).map_err(|_| Unavailable("its answer describes no token".into()))
}
