//! Notes as JSON: a small API to copy from.
//!
//! | | |
//! | --- | --- |
//! | `GET /notes?limit=&after=` | a page of notes in the order of their ids, with a link to the next one |
//! | `GET /notes/{id}` | a note, with its `ETag` |
//! | `PUT /notes/{id}` | create (201) or replace (200); `If-Match` and `If-None-Match: *` hold |
//! | `DELETE /notes/{id}` | for editors; `If-Match` holds |
//!
//! A note is one key, `note/{id}`. Its version is the entity tag, so what a client saw is what it changes.

mod note;

use note::{Draft, Id, Note};
use plugbay_sdk::prelude::*;
use serde::Serialize;

/// What every key of a note starts with.
const PREFIX: &str = "note/";
const PAGE: u32 = 20;
const LARGEST_PAGE: u32 = 100;

fn plugin() -> Plugin {
    Plugin::new(env!("CARGO_PKG_VERSION")).access_rule("editor", &["editor", "admin"]).surface(
        Surface::new("main")
            .route(Route::get("/notes", "note-list"), list)
            .route(Route::get("/notes/{id}", "note-get"), show)
            .route(Route::put("/notes/{id}", "note-put").buffered(64 * 1024), save)
            .route(Route::delete("/notes/{id}", "note-delete").rule("editor"), delete),
    )
}

export_plugin!(plugin);

#[derive(Serialize)]
struct Listed {
    id: String,
    version: u64,
    #[serde(flatten)]
    note: Note,
}

#[derive(Serialize)]
struct Page {
    notes: Vec<Listed>,
    /// Where the listing goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

fn list(request: &Request, _params: Params) -> Result<Answer, Problem> {
    let query = request.query();
    let limit = query.parse::<u32>("limit")?.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let mut scan = kv::prefix(PREFIX).limit(limit);
    if let Some(after) = query.get("after") {
        scan = scan.after(&Id::parse(after)?.key());
    }
    let page = scan.page()?;
    let mut notes = Vec::with_capacity(page.entries.len());
    for entry in &page.entries {
        let stored = entry.json::<Note>()?;
        let id = entry.key.strip_prefix(PREFIX).unwrap_or_default().to_owned();
        notes.push(Listed { id, version: stored.version, note: stored.value });
    }
    let last = notes.last().filter(|_| page.more);
    let next = last.map(|last| request.url(&format!("/notes?limit={limit}&after={}", last.id)));
    Ok(Answer::json(200, &Page { notes, next }))
}

fn show(_request: &Request, params: Params) -> Result<Answer, Problem> {
    let id = Id::parse(params.get("id"))?;
    let note = kv::get_json::<Note>(&id.key())?.ok_or_else(no_such_note)?;
    // The host answers `If-None-Match` with 304 by the tag.
    Ok(Answer::json(200, &note.value).etag(note.version).conditional())
}

fn save(request: &Request, params: Params) -> Result<Answer, Problem> {
    let id = Id::parse(params.get("id"))?;
    let author = request.user().map(|user| user.name.clone()).unwrap_or_default();
    let note = request.json::<Draft>()?.checked(author)?;
    let saved = kv::transact(|tx| {
        let old = tx.get(&id.key())?;
        request.check_etag(old.as_ref().map(|entry| entry.version))?;
        tx.put_json(id.key(), &note)?;
        Ok::<_, Problem>(old.is_some())
    })?;
    let replaced = saved.value;
    let answer = Answer::json(if replaced { 200 } else { 201 }, &note).etag(saved.version);
    Ok(if replaced { answer } else { answer.header("location", request.url(&format!("/notes/{}", id.text()))) })
}

fn delete(request: &Request, params: Params) -> Result<(), Problem> {
    let id = Id::parse(params.get("id"))?;
    kv::transact(|tx| {
        let old = tx.get(&id.key())?.ok_or_else(no_such_note)?;
        request.check_etag(Some(old.version))?;
        tx.delete(id.key());
        Ok::<_, Problem>(())
    })?;
    Ok(())
}

fn no_such_note() -> Problem {
    Problem::not_found("There is no note of that id.")
}

#[cfg(test)]
mod tests;
