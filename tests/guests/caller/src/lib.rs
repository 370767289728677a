//! A plugin of the tests that says who calls it, and calls others.
//!
//! What it is told comes back as JSON. It is not a model to copy: everybody may make it send requests.

use plugbay_sdk::http_client::{self, Outbound};
use plugbay_sdk::prelude::*;
use plugbay_sdk::{Caller, User, identity};
use serde_json::{Value, json};

fn plugin() -> Plugin {
    Plugin::new(env!("CARGO_PKG_VERSION")).access_rule("admins", &["admin"]).surface(
        Surface::new("main")
            .route(Route::get("/caller", "caller").plugin_decides(), caller)
            .route(Route::get("/admins", "admins").rule("admins"), |_: &Request, _: Params| Answer::text(200, "in"))
            .route(Route::get("/users", "users"), |_: &Request, _: Params| Answer::text(200, "in"))
            .route(Route::post("/lookup", "lookup").open().buffered(64 * 1024), lookup)
            .route(Route::post("/fetch", "fetch").open().buffered(64 * 1024), fetch),
    )
}

fn caller(request: &Request, _: Params) -> Answer {
    let who = match &request.caller {
        Caller::Anonymous => json!("anonymous"),
        Caller::Rejected(why) => json!({ "rejected": why }),
        Caller::Unverified(why) => json!({ "unverified": why }),
        Caller::User(user) => record(user),
    };
    let fields: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    Answer::json(
        200,
        &json!({
            "caller": who,
            "fields": fields,
            "admin": format!("{:?}", identity::allowed("admins")),
            "challenge": identity::challenge().unwrap_or_default(),
        }),
    )
}

fn record(user: &User) -> Value {
    let extra: serde_json::Map<String, Value> =
        user.extra.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({"id": user.id, "name": user.name, "project": user.project, "roles": user.roles, "extra": extra})
}

fn lookup(request: &Request, _: Params) -> Answer {
    let token = String::from_utf8_lossy(request.body_bytes());
    let found = identity::lookup(token.trim());
    let found = found.map(|found| found.map(|info| json!({"user": record(&info.user), "expires": info.expires})));
    Answer::json(200, &found.unwrap_or_else(|error| Some(json!(format!("{error:?}")))))
}

/// `url`, `credential`, `redirects` of a request, and what came of it.
fn fetch(request: &Request, _: Params) -> Result<Answer, Problem> {
    let wanted: Value = request.json()?;
    let text = |name: &str| wanted.get(name).and_then(Value::as_str).map(str::to_owned);
    let redirects = wanted.get("redirects").and_then(Value::as_u64).and_then(|count| count.try_into().ok());
    let sent = http_client::send(&Outbound {
        credential: text("credential"),
        redirects: redirects.unwrap_or(0),
        ..Outbound::new("GET", text("url").unwrap_or_default())
    });
    Ok(match sent {
        Ok(answer) => Answer::json(
            200,
            &json!({"status": answer.status, "url": answer.url, "body": String::from_utf8_lossy(&answer.body)}),
        ),
        Err(error) => Answer::json(200, &json!({"error": format!("{error:?}")})),
    })
}

export_plugin!(plugin);
