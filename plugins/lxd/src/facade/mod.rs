//! `/1.0` for stock clients of LXD: section 5 of the sheet.
//!
//! They see one server whose trust list is what a relation wants, or all of them for operators. A certificate that comes
//! this way is wanted by the relation's unit `facade`; nodes get it as they get every other. Invariant: nothing is advertised
//! that is not served, and what comes from another unit is not deleted here.

mod adding;
mod scope;

use plugbay_sdk::{Answer, Params, Problem, Request, Route, Surface, kv};
use serde_json::{Value, json};

use crate::bag;
use crate::certificate::Certificate;
use crate::outside::Outside;
use crate::pem;
use crate::published::Wanted;
use crate::store::keys;
use crate::trust::envelope::{error, success};
use scope::Scope;

/// Most bytes of a body.
const BODY: u32 = 1024 * 1024;
/// LXD's envelope around errors of the host.
const HOST_ERRORS: &str = r#"{"type":"error","status":"","status_code":0,"operation":"","error_code":{status},"error":"{detail}","metadata":null}"#;

/// An error in LXD's envelope.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// This status and text.
    Lxd(u16, String),
    /// Our own trouble.
    Problem(Problem),
}

impl Refusal {
    fn new(status: u16, text: &str) -> Refusal {
        Refusal::Lxd(status, text.to_owned())
    }
}

impl<E: Into<Problem>> From<E> for Refusal {
    fn from(error: E) -> Refusal {
        Refusal::Problem(error.into())
    }
}

/// The surface `facade`.
pub fn surface(outside: &Outside) -> Surface {
    type Handler = fn(&Outside, &Request, Params<'_>) -> Result<Answer, Refusal>;
    let one = "/1.0/certificates/{fp}";
    let routes: [(Route, Handler); 6] = [
        (Route::get("/", "versions"), |_, _, _| Ok(success(200, &json!(["/1.0"])))),
        (Route::get("/1.0", "server"), server),
        (Route::get("/1.0/certificates", "certificate-list"), list),
        (Route::post("/1.0/certificates", "certificate-add").buffered(BODY), adding::add),
        (Route::get(one, "certificate-get"), get),
        (Route::delete(one, "certificate-delete"), delete),
    ];
    // LXD's own words for what it does not have: 501 for a method, 404 for a path.
    let not_implemented: Handler = |_, _, _| Err(Refusal::new(501, "not implemented"));
    let missing: [(&[&'static str], &'static str, Handler); 4] = [
        (&["POST", "PUT", "PATCH", "DELETE"], "/1.0", not_implemented),
        (&["PUT", "PATCH", "DELETE"], "/1.0/certificates", not_implemented),
        (&["POST", "PUT", "PATCH"], one, not_implemented),
        (&["GET", "POST", "PUT", "PATCH", "DELETE"], "/{*rest}", |_, _, _| Err(Refusal::new(404, "not found"))),
    ];
    let missing = missing.into_iter().flat_map(|(methods, path, handler)| {
        methods.iter().map(move |method| (Route::new(method, path, "not-there").buffered(BODY), handler))
    });
    let mut surface = Surface::new("facade").errors("application/json", HOST_ERRORS).optional_trailing_slash();
    for (route, handler) in routes.into_iter().chain(missing) {
        let outside = outside.clone();
        surface = surface.route(route.plugin_decides(), move |request: &Request, params: Params<'_>| {
            finish(handler(&outside, request, params))
        });
    }
    surface
}

fn finish(result: Result<Answer, Refusal>) -> Answer {
    match result {
        Ok(answer) => answer,
        Err(Refusal::Lxd(status, text)) => error(status, &text),
        Err(Refusal::Problem(problem)) => error(problem.status(), problem.detail_text().unwrap_or("internal error")),
    }
}

fn server(outside: &Outside, request: &Request, _: Params<'_>) -> Result<Answer, Refusal> {
    let trusted = Scope::of(outside, request)?.is_some();
    let mut metadata = json!({
        "api_extensions": [],
        "api_status": "stable",
        "api_version": "1.0",
        "auth": if trusted { "trusted" } else { "untrusted" },
        "auth_methods": ["tls"],
        "public": false,
    });
    if let (true, Some(metadata)) = (trusted, metadata.as_object_mut()) {
        metadata.insert("config".to_owned(), json!({}));
        metadata.insert(
            "environment".to_owned(),
            json!({
                "addresses": [],
                "architectures": [],
                "certificate": "",
                "certificate_fingerprint": "",
                "project": "default",
                "server": "plugbay",
                "server_clustered": false,
                "server_name": "plugbay",
                "server_version": env!("CARGO_PKG_VERSION"),
            }),
        );
    }
    Ok(success(200, &metadata))
}

/// The caller's scope; without one it is LXD's 403.
fn trusted(outside: &Outside, request: &Request) -> Result<Scope, Refusal> {
    Scope::of(outside, request)?.ok_or_else(|| Refusal::new(403, "not authorized"))
}

fn list(outside: &Outside, request: &Request, _: Params<'_>) -> Result<Answer, Refusal> {
    let fingerprints = trusted(outside, request)?.fingerprints("")?;
    let recursion = request.query().get("recursion").is_some_and(|depth| depth != "0");
    let mut entries = Vec::new();
    for fingerprint in fingerprints {
        if recursion {
            entries.extend(entry(&fingerprint)?);
        } else {
            entries.push(Value::from(format!("/1.0/certificates/{fingerprint}")));
        }
    }
    Ok(success(200, &entries.into()))
}

fn get(outside: &Outside, request: &Request, params: Params<'_>) -> Result<Answer, Refusal> {
    let fingerprint = resolve(&trusted(outside, request)?, params.get("fp"))?;
    let entry = entry(&fingerprint)?.ok_or_else(not_found)?;
    let etag = bag::etag(&entry.to_string());
    Ok(success(200, &entry).header("etag", etag))
}

/// An entry as LXD shows it.
fn entry(fingerprint: &str) -> Result<Option<Value>, Refusal> {
    let Some(stored) = kv::get_json::<Certificate>(&keys::certificate(fingerprint))? else { return Ok(None) };
    let certificate = stored.value;
    let mut name = None;
    for (relation, unit) in crate::store::index::owners(fingerprint)? {
        if unit == keys::FACADE_UNIT {
            name = adding::name_of(&relation, fingerprint)?.or(name);
        }
    }
    Ok(Some(json!({
        "name": name.or(certificate.common_name).unwrap_or_default(),
        "type": "client",
        "restricted": false,
        "projects": [],
        "certificate": pem::encode(&certificate.der),
        "fingerprint": fingerprint,
    })))
}

fn delete(outside: &Outside, request: &Request, params: Params<'_>) -> Result<Answer, Refusal> {
    let scope = trusted(outside, request)?;
    let fingerprint = resolve(&scope, params.get("fp"))?;
    let owners = scope.owners(&fingerprint)?;
    if owners.iter().any(|(_, unit)| unit != keys::FACADE_UNIT) {
        return Err(Refusal::new(403, "The certificate is wanted by a unit of a relation"));
    }
    for (relation, _) in owners {
        adding::remove(outside, &relation, &fingerprint)?;
    }
    Ok(success(200, &json!({})))
}

fn not_found() -> Refusal {
    Refusal::new(404, "Certificate not found")
}

/// The one certificate in scope whose fingerprint starts so. Unlike LXD, no wildcards.
fn resolve(scope: &Scope, prefix: &str) -> Result<String, Refusal> {
    let prefix = prefix.to_ascii_lowercase();
    if prefix.is_empty() || prefix.len() > 64 || !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(not_found());
    }
    let mut found = scope.fingerprints(&prefix)?.into_iter();
    match (found.next(), found.next()) {
        (Some(fingerprint), None) => Ok(fingerprint),
        (None, _) => Err(not_found()),
        (Some(_), Some(_)) => Err(Refusal::new(500, "More than one certificate matches")),
    }
}

impl Scope {
    /// The certificates in scope whose fingerprints start so, sorted.
    fn fingerprints(&self, prefix: &str) -> Result<Vec<String>, Refusal> {
        let mut found = Vec::new();
        match self {
            Scope::Relation(id) => {
                let wanted = Wanted::by(id)?;
                found.extend(wanted.fingerprints().filter(|known| known.starts_with(prefix)).map(str::to_owned));
            }
            Scope::All => {
                for entry in kv::prefix(&format!("{}{prefix}", keys::WANTS)) {
                    found.push(entry?.key.split('/').nth(1).unwrap_or_default().to_owned());
                }
                found.dedup();
            }
        }
        Ok(found)
    }
}
