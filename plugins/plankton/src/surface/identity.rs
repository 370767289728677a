//! What clients of Synnefo ask the identity service, Astakos: whose token this is, where the
//! services are, and what users are called.
//!
//! Two surfaces, because the original has two base paths: `identity` (tokens and the catalog) and
//! `account` (names). Users and tokens are the mount's auth provider's; nothing is kept here.
//! Invariant: the catalog has exactly one endpoint of each type, because clients refuse to choose.

use std::collections::BTreeMap;

use plugbay_sdk::{Answer, Caller, Params, Request, Route, Surface, User, identity};
use serde_json::{Value, json};

use super::{Call, HOST_ERRORS, JSON, dressed, finish, json as json_answer, look_up, no_endpoint, nowhere};
use crate::{
    faults::{Fault, Kind},
    settings::{Endpoints, Settings, url},
    time::Moment,
};

/// Most bytes of a request for a token.
const TOKEN_BODY: u32 = 64 * 1024;
/// Most bytes of a list of users.
const USERS_BODY: u32 = 1024 * 1024;
/// Most users that the host looks up at once.
const AT_ONCE: usize = 1000;
/// When a token that does not expire does: clients want a date.
const NEVER: &str = "9999-12-31T23:59:59.000000+00:00";

#[derive(Debug, Clone, Copy)]
enum Op {
    Token,
    Users,
    /// Part of the original that no file or image command calls.
    Elsewhere,
    Nowhere,
}

const fn route(method: &'static str, path: &'static str, operation: &'static str, body: u32) -> Route {
    Route::new(method, path, operation).plugin_decides().buffered(body)
}

const IDENTITY: [(Op, Route); 8] = [
    (Op::Token, route("POST", "/tokens", "token-show", TOKEN_BODY)),
    (Op::Token, route("POST", "/tokens/", "token-show", TOKEN_BODY)),
    (Op::Nowhere, nowhere("GET")),
    (Op::Nowhere, nowhere("HEAD")),
    (Op::Nowhere, nowhere("POST")),
    (Op::Nowhere, nowhere("PUT")),
    (Op::Nowhere, nowhere("DELETE")),
    (Op::Nowhere, nowhere("PATCH")),
];

const ACCOUNT: [(Op, Route); 11] = [
    (Op::Users, route("POST", "/user_catalogs", "user-list", USERS_BODY)),
    (Op::Users, route("POST", "/user_catalogs/", "user-list", USERS_BODY)),
    (Op::Elsewhere, route("GET", "/quotas", "quota-list", TOKEN_BODY)),
    (Op::Elsewhere, route("GET", "/resources", "resource-list", TOKEN_BODY)),
    (Op::Elsewhere, route("GET", "/projects", "project-list", TOKEN_BODY)),
    (Op::Nowhere, nowhere("GET")),
    (Op::Nowhere, nowhere("HEAD")),
    (Op::Nowhere, nowhere("POST")),
    (Op::Nowhere, nowhere("PUT")),
    (Op::Nowhere, nowhere("DELETE")),
    (Op::Nowhere, nowhere("PATCH")),
];

fn surface(name: &'static str, table: &'static [(Op, Route)]) -> Surface {
    let surface = Surface::new(name)
        .errors(HOST_ERRORS.0, HOST_ERRORS.1)
        .header("Content-Type", JSON)
        .without_auto_head()
        .table(table, |op, request, _: Params<'_>| finish(request, answer(op, table, request)));
    dressed(surface)
}

/// Tokens and the catalog.
pub fn tokens() -> Surface {
    surface("identity", &IDENTITY)
}

/// Names of users.
pub fn account() -> Surface {
    surface("account", &ACCOUNT)
}

fn answer(op: Op, table: &[(Op, Route)], request: &Request) -> Result<Answer, Fault> {
    match op {
        Op::Token => token(request),
        Op::Users => users(&Call::new(request)?),
        Op::Elsewhere => {
            Call::new(request)?;
            Err(Fault::new(Kind::NotImplemented, "Quotas, resources and projects are not kept by this service"))
        }
        Op::Nowhere => no_endpoint(table, request),
    }
}

fn body(request: &Request) -> Result<Value, Fault> {
    serde_json::from_slice(request.body_bytes())
        .map_err(|_| Fault::bad_request("Could not decode request body as JSON"))
}

/// Whose token this is and where the services are; without a body only the latter.
fn token(request: &Request) -> Result<Answer, Fault> {
    let catalog = catalog(request, &Settings::load()?.endpoints);
    if request.body_bytes().trim_ascii().is_empty() {
        return json_answer(Vec::new(), &json!({ "access": { "serviceCatalog": catalog } }));
    }
    let asked = Asked::of(&body(request)?)?;
    let (user, expires) = whose(request, &asked.token)?;
    if asked.user.is_some_and(|id| id != user.id) {
        return Err(Fault::new(Kind::Unauthorized, "Invalid user"));
    }
    if asked.tenant.is_some_and(|id| id != user.id) {
        return Err(Fault::bad_request("Malformed request: tenantName is not the id of the token's user"));
    }
    let User { id, name, roles, .. } = user;
    let roles: Vec<Value> = roles.into_iter().map(|role| json!({ "id": role, "name": role })).collect();
    let access = json!({
        "token": { "id": asked.token, "expires": expires, "tenant": { "id": id, "name": name } },
        "user": { "id": id, "name": name, "roles": roles, "roles_links": [], "projects": [id] },
        "serviceCatalog": catalog,
    });
    json_answer(Vec::new(), &json!({ "access": access }))
}

/// What a request for a token says.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    token: String,
    /// Whose it has to be.
    user: Option<String>,
    /// What has to be that user's id too.
    tenant: Option<String>,
}

impl Asked {
    fn of(body: &Value) -> Result<Asked, Fault> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let auth = &body["auth"];
        let tenant = match &auth["tenantName"] {
            Value::Null => None,
            name => Some(text(name).ok_or_else(|| Fault::bad_request("Malformed request: tenantName is no text"))?),
        };
        let password = &auth["passwordCredentials"];
        let (token, user) = match (auth.pointer("/token/id").and_then(text), text(&password["password"])) {
            (Some(token), _) => (token, None),
            (None, Some(token)) => (token, Some(text(&password["username"]).ok_or_else(lacking)?)),
            (None, None) => return Err(lacking()),
        };
        Ok(Asked { token, user, tenant })
    }
}

fn lacking() -> Fault {
    Fault::bad_request("Malformed request: missing credentials")
}

/// The user of a token, and when it expires.
fn whose(request: &Request, token: &str) -> Result<(User, String), Fault> {
    if let Some(found) = look_up(token)? {
        let seconds = found.expires.and_then(|seconds| u64::try_from(seconds).ok());
        let expires =
            seconds.map_or_else(|| NEVER.to_owned(), |seconds| Moment(seconds.saturating_mul(1_000_000)).iso());
        return Ok((found.user, expires));
    }
    let mut fault = Fault::new(Kind::Unauthorized, "Invalid token");
    // The host has said why, if the token is in the header too.
    if let Caller::Rejected(reason) = &request.caller
        && request.header_text("x-auth-token") == Some(token)
    {
        fault.details.clone_from(reason);
    }
    Err(fault)
}

/// One entry for each service. Names and versions are what clients look for.
fn catalog(request: &Request, endpoints: &Endpoints) -> Vec<Value> {
    let at = |place: &str| url(request, &endpoints.identity, place);
    let ui = at(&endpoints.ui);
    [
        ("identity", "astakos_identity", "v2.0", &endpoints.identity),
        ("account", "astakos_account", "v1.0", &endpoints.account),
        ("image", "cyclades_plankton", "v1.0", &endpoints.image),
        ("object-store", "pithos_object-store", "v1", &endpoints.object_store),
        ("pithos_public", "pithos_public", "", &endpoints.public),
    ]
    .into_iter()
    .map(|(kind, name, version, place)| {
        json!({
            "type": kind,
            "name": name,
            "endpoints_links": [],
            "endpoints": [{
                "publicURL": at(place), "versionId": version, "region": "default", "SNF:uiURL": ui,
            }],
        })
    })
    .collect()
}

/// Names by id and ids by name. Unknown ones are left out.
fn users(call: &Call<'_>) -> Result<Answer, Fault> {
    let body = body(call.request)?;
    let (ids, names) = (list(&body, "uuids")?, list(&body, "displaynames")?);
    let mut by_id = BTreeMap::new();
    for user in find(&ids, identity::users_by_id)? {
        by_id.insert(user.id, user.name);
    }
    let mut by_name = BTreeMap::new();
    for user in find(&names, identity::users_by_name)? {
        by_name.insert(user.name, user.id);
    }
    // The caller is known whatever the provider can look up.
    if let Some(user) = call.request.user() {
        if ids.contains(&user.id) {
            by_id.entry(user.id.clone()).or_insert_with(|| user.name.clone());
        }
        if names.contains(&user.name) {
            by_name.entry(user.name.clone()).or_insert_with(|| user.id.clone());
        }
    }
    json_answer(Vec::new(), &json!({ "uuid_catalog": by_id, "displayname_catalog": by_name }))
}

fn list(body: &Value, name: &str) -> Result<Vec<String>, Fault> {
    let malformed = || Fault::bad_request(format!("Malformed request: '{name}' is no list of texts"));
    match body.as_object().ok_or_else(|| Fault::bad_request("Malformed request"))?.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(entries)) => {
            entries.iter().map(|entry| entry.as_str().map(str::to_owned).ok_or_else(malformed)).collect()
        }
        Some(_) => Err(malformed()),
    }
}

fn find(asked: &[String], look: impl Fn(&[String]) -> Result<Vec<User>, identity::Error>) -> Result<Vec<User>, Fault> {
    let mut found = Vec::new();
    for asked in asked.chunks(AT_ONCE) {
        match look(asked) {
            Ok(users) => found.extend(users),
            // A provider without a list of users knows nobody by name.
            Err(identity::Error::Unsupported) => {}
            Err(error) => return Err(super::not_asked(&error)),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_of_credentials() {
        let asked = |body: Value| Asked::of(&body).map_err(|fault| fault.message);
        let plain = Asked { token: "t".into(), user: None, tenant: None };
        assert_eq!(asked(json!({ "auth": { "token": { "id": "t" } } })), Ok(plain));
        let full =
            json!({ "auth": { "passwordCredentials": { "username": "u", "password": "t" }, "tenantName": "n" } });
        assert_eq!(asked(full), Ok(Asked { token: "t".into(), user: Some("u".into()), tenant: Some("n".into()) }));
        for body in [json!({}), json!([]), json!({ "auth": { "passwordCredentials": { "password": "t" } } })] {
            assert_eq!(asked(body), Err("Malformed request: missing credentials".to_owned()));
        }
    }

    proptest! {
        #[test]
        fn any_json_is_asked_or_refused(text in r#"[\[\]{}":,a-z0-9]{0,40}"#) {
            if let Ok(body) = serde_json::from_str::<Value>(&text) {
                let _ = (Asked::of(&body), list(&body, "a"));
            }
        }
    }
}
