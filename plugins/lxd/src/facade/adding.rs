//! `POST /1.0/certificates`, and the bag of the unit `facade` that it writes.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use plugbay_sdk::{Answer, Params, Problem, Request};
use serde::Deserialize;
use serde_json::Value;

use super::Refusal;
use super::scope::Scope;
use crate::bag::{self, Bag};
use crate::certificate::{Certificate, CertificateError};
use crate::outside::Outside;
use crate::pem;
use crate::settings::Settings;
use crate::store::{index, keys, relations};
use crate::trust::envelope::success;

/// Key of the facade unit's bag with the names of its certificates.
const NAMES: &str = "names";

#[derive(Deserialize)]
struct Post {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    certificate: String,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    trust_token: Option<String>,
    #[serde(default)]
    token: bool,
    #[serde(default)]
    restricted: bool,
    #[serde(default)]
    projects: Option<Vec<String>>,
}

impl Post {
    /// The relation's token, as it is or inside a token as LXD makes them.
    fn secret(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Token {
            secret: String,
        }
        let text = [&self.trust_token, &self.password].into_iter().flatten().find(|text| !text.is_empty())?;
        let token = STANDARD.decode(text).ok().and_then(|bytes| serde_json::from_slice::<Token>(&bytes).ok());
        Some(token.map_or_else(|| text.clone(), |token| token.secret))
    }
}

pub(super) fn add(outside: &Outside, request: &Request, _: Params<'_>) -> Result<Answer, Refusal> {
    let post: Post =
        serde_json::from_slice(request.body_bytes()).map_err(|_| Refusal::new(400, "Invalid JSON body"))?;
    if post.token {
        return Err(Refusal::new(501, "not implemented"));
    }
    let enrolled = post.secret().map(|secret| relations::by_token(&secret)).transpose()?.flatten();
    let scope = match &enrolled {
        Some(relation) => Scope::Relation(relation.clone()),
        None => Scope::of(outside, request)?.ok_or_else(|| Refusal::new(403, "not authorized"))?,
    };
    if post.kind != "client" && !(post.kind.is_empty() && enrolled.is_some()) {
        return Err(Refusal::new(400, "Invalid certificate type"));
    }
    if post.restricted || post.projects.as_ref().is_some_and(|projects| !projects.is_empty()) {
        // To take it and not restrict it would make the client root.
        return Err(Refusal::new(400, "Certificates are restricted to projects by node here"));
    }
    if post.name.starts_with('-') || post.name.contains('/') {
        return Err(Refusal::new(400, "Invalid certificate name"));
    }
    let certificate = certificate(&post, request, enrolled.is_some())?;
    if let Some(unfit) = certificate.unfit(outside.now()) {
        return Err(Refusal::new(400, unfit.message()));
    }
    if !scope.owners(&certificate.fingerprint)?.is_empty() {
        return Err(Refusal::new(409, "Certificate already in trust store"));
    }
    let relation = match scope {
        Scope::Relation(relation) => relation,
        Scope::All => own_relation(outside)?,
    };
    let address = request.peer.address.rsplit_once(':').map_or("", |(address, _)| address);
    let names = [post.name.as_str(), certificate.common_name.as_deref().unwrap_or_default(), address];
    let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    let entry = (pem::encode(&certificate.der), name.to_owned());
    change(outside, &relation, |entries| {
        entries.insert(certificate.fingerprint.clone(), entry.clone());
    })?;
    let location = format!("/1.0/certificates/{}", certificate.fingerprint);
    Ok(success(201, &Value::Null).header("location", location))
}

/// The body's, or that of the connection.
fn certificate(post: &Post, request: &Request, enrolling: bool) -> Result<Certificate, Refusal> {
    let der = if post.certificate.is_empty() {
        match &request.peer.certificate {
            Some(_) if !enrolling => return Err(Refusal::new(400, "Client is already trusted")),
            Some(der) => der.clone(),
            None => return Err(Refusal::new(400, "No client certificate provided")),
        }
    } else {
        let base64: String = post.certificate.chars().filter(|letter| !matches!(letter, '\r' | '\n')).collect();
        STANDARD.decode(base64).map_err(|_| Refusal::new(400, "illegal base64 data"))?
    };
    Certificate::from_der(&der).map_err(|error| match error {
        CertificateError::Invalid => Refusal::new(400, "Invalid certificate material: x509: malformed certificate"),
        CertificateError::Trailing => Refusal::new(400, "Invalid certificate material: x509: trailing data"),
    })
}

/// The relation that operators' certificates join.
fn own_relation(outside: &Outside) -> Result<String, Refusal> {
    let id = Settings::load()?.facade_relation;
    if id.is_empty() || id.contains('/') {
        return Err(Refusal::new(500, "The service is not configured properly"));
    }
    match relations::get(&id)? {
        Some(stored) if stored.value.broken.is_none() => Ok(id),
        Some(_) => Err(Refusal::new(409, "The facade's relation was broken")),
        None => match relations::create(Some(&id), "facade", Some("made by the facade"), outside.now_ms()) {
            Ok(_) => Ok(id),
            // Somebody else was first.
            Err(problem) if problem.status() == 409 => Ok(id),
            Err(problem) => Err(problem.into()),
        },
    }
}

/// Take a certificate out again.
pub(super) fn remove(outside: &Outside, relation: &str, fingerprint: &str) -> Result<(), Refusal> {
    change(outside, relation, |entries| {
        entries.remove(fingerprint);
    })
}

/// What a certificate was called when it was added.
pub(super) fn name_of(relation: &str, fingerprint: &str) -> Result<Option<String>, Problem> {
    let bag = relations::bag_of(relation, keys::FACADE_UNIT)?.map(|(bag, _)| bag).unwrap_or_default();
    Ok(names(&bag).remove(fingerprint))
}

fn names(bag: &Bag) -> BTreeMap<String, String> {
    bag.get(NAMES).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Change the entries of the facade's unit: PEM and name by fingerprint.
fn change(
    outside: &Outside,
    relation: &str,
    edit: impl Fn(&mut BTreeMap<String, (String, String)>),
) -> Result<(), Refusal> {
    relations::write(relation, keys::FACADE_UNIT, |old| {
        let bag = old.map(|(bag, _)| bag.clone()).unwrap_or_default();
        let mut names = names(&bag);
        let mut entries: BTreeMap<String, (String, String)> = bag::entries(&bag)
            .into_iter()
            .map(|entry| {
                let fingerprint = entry.certificate.fingerprint;
                let name = names.remove(&fingerprint).unwrap_or_default();
                (fingerprint, (entry.pem, name))
            })
            .collect();
        edit(&mut entries);
        if entries.len() > bag::CERTIFICATE_LIMIT {
            return Err(Problem::conflict("No more certificates are taken here."));
        }
        let list: Vec<&str> = entries.values().map(|(pem, _)| pem.as_str()).collect();
        let names: BTreeMap<&str, &str> =
            entries.iter().map(|(fingerprint, (_, name))| (fingerprint.as_str(), name.as_str())).collect();
        let text = |value: Result<String, serde_json::Error>| value.map_err(Problem::internal);
        let bag = Bag::from([
            (bag::CERTIFICATES.to_owned(), text(serde_json::to_string(&list))?),
            (NAMES.to_owned(), text(serde_json::to_string(&names))?),
        ]);
        Ok((bag, ()))
    })?;
    index::settle(relation, keys::FACADE_UNIT, outside.now_ms())?;
    Ok(())
}
