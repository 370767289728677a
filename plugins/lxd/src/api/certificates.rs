//! Certificate views: of a relation, and over all of them. Section 3.5.

use plugbay_sdk::{Answer, Params, Problem, Request, kv};
use serde_json::{Value, json};

use super::{access, conditions};
use crate::bag;
use crate::certificate::is_fingerprint;
use crate::outside::Outside;
use crate::store::{keys, nodes};
use crate::views;

/// Most certificates in one listing, unless fewer are asked for.
const PAGE: u32 = 500;

pub(super) fn of_relation(_: &Outside, request: &Request, params: Params<'_>) -> Result<Answer, Problem> {
    let relation = access::relation(request, params.get("id"))?;
    tagged(request, &json!(views::of_relation(&relation)?))
}

pub(super) fn list(_: &Outside, request: &Request, _: Params<'_>) -> Result<Answer, Problem> {
    let query = request.query();
    let limit = query.parse::<u32>("limit")?.unwrap_or(PAGE).clamp(1, PAGE);
    let mut scan = kv::prefix(&keys::certificate("")).limit(limit);
    if let Some(after) = query.get("after") {
        scan = scan.after(&keys::certificate(after));
    }
    let page = scan.page()?;
    let all = nodes::all()?;
    let mut list = Vec::new();
    for entry in &page.entries {
        list.extend(views::of_all(keys::last(&entry.key), &all)?);
    }
    let answer = tagged(request, &list.into())?;
    Ok(match page.entries.last() {
        Some(last) if page.more => {
            let next = request.url(&format!("/v1/certificates?limit={limit}&after={}", keys::last(&last.key)));
            answer.header("link", format!("<{next}>; rel=\"next\""))
        }
        _ => answer,
    })
}

pub(super) fn get(_: &Outside, request: &Request, params: Params<'_>) -> Result<Answer, Problem> {
    let fingerprint = params.get("fp");
    let unknown = || Problem::not_found("No such certificate.");
    if !is_fingerprint(fingerprint) {
        return Err(unknown());
    }
    tagged(request, &views::of_all(fingerprint, &nodes::all()?)?.ok_or_else(unknown)?)
}

fn tagged(request: &Request, view: &Value) -> Result<Answer, Problem> {
    Ok(conditions::answer(request, 200, &bag::etag(&view.to_string()), view))
}
