//! Accounts, containers and objects as lists, and the headers that describe a list's parent.
//!
//! Each list is written row by row from an ordered stream and may take several steps; what a step
//! needs to go on is a position in that stream.

use plugbay_sdk::Answer;
use serde_json::{Map, Value, json};

use super::{
    Call, bare,
    objects::{Outcome, own},
    public,
    rows::{Frame, Page, Writer},
};
use crate::{
    faults::Fault,
    filter::Filter,
    headers::{encode_object, encode_part},
    listing::{Names as _, Next, Row, Rows, Selection},
    merkle::{ALGORITHM, BLOCK_SIZE},
    object::{Object, metadata},
    settings::Settings,
    store::{
        accounts,
        containers::{self, Container, Usage},
        db::{self, Kept},
        past::Objects,
        places::{self, Place},
        viewers::{self, Viewer},
    },
    time::Moment,
};

/// Accounts found at once.
const ACCOUNTS: usize = 200;
/// Containers looked at in one step.
const CONTAINERS: usize = 1_000;

/// The moment of `until`, if it is an integer of seconds and in the past. Anything else is absent:
/// clients send fractions and mean now.
fn until(call: &Call<'_>) -> Option<Moment> {
    let seconds: i64 = call.query.get("until")?.parse().ok()?;
    let moment = Moment(u64::try_from(seconds).unwrap_or_default().saturating_mul(1_000_000));
    (moment < Moment::now()).then_some(moment)
}

/// Which of an owner's things are listed: all of them, or those shared, those published, or either.
#[derive(Clone, Copy)]
struct Shown {
    shared: bool,
    public: bool,
}

impl Shown {
    /// What is published is the owner's to list, and so is the past: permissions are those of now.
    fn of(call: &Call<'_>, mine: bool) -> Result<Shown, Fault> {
        let shown = Shown { shared: call.query.has("shared"), public: call.query.has("public") };
        if !mine && (shown.public || until(call).is_some()) {
            return Err(places::denied());
        }
        Ok(shown)
    }

    fn all(self) -> bool {
        !self.shared && !self.public
    }
}

fn field(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

fn meta_fields<'a>(
    prefix: &'a str,
    meta: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> impl Iterator<Item = (String, String)> {
    meta.into_iter().map(move |(name, value)| (format!("{prefix}{}", encode_part(name)), encode_object(value)))
}

/// Accounts that share something with the caller.
pub(super) fn accounts(call: &Call<'_>, page: Option<&Page>) -> Result<Outcome, Fault> {
    let selection = Selection::from_query(&call.query);
    let mut writer = Writer::new(call, Frame { list: "accounts", name: None, row: "account" }, page);
    let mut from = page.map(|page| page.from.clone()).or(selection.marker);
    loop {
        let asked = ACCOUNTS.min(selection.limit.saturating_sub(writer.rows()));
        let found = accounts::sharers(&call.user, from.as_deref(), asked)?;
        let last = found.len() < asked || asked == 0;
        for account in found {
            writer.row(&account, || {
                let modified = accounts::held(&account)?.modified;
                Ok(Map::from_iter([("last_modified".to_owned(), modified.iso().into())]))
            })?;
            from = Some(account);
        }
        if last {
            return Ok(writer.finish(Vec::new(), None));
        }
        if writer.is_full() || writer.rows().is_multiple_of(CONTAINERS) {
            return Ok(writer.finish(Vec::new(), from));
        }
    }
}

/// An account's headers.
fn account_fields(account: &str, mine: bool) -> Result<Vec<(String, String)>, Fault> {
    let record = accounts::get(account)?;
    let (count, usage) = accounts::usage(account)?;
    let modified = usage.modified.max(record.modified);
    let mut fields = vec![field("Last-Modified", modified.http())];
    if mine {
        fields.push(field("X-Account-Container-Count", count));
        fields.push(field("X-Account-Bytes-Used", usage.bytes));
        fields.push(field("X-Account-Policy-Quota", Settings::load()?.account_quota));
        fields.extend(meta_fields("X-Account-Meta-", &record.meta));
        for (name, members) in &record.groups {
            let list: Vec<&str> = members.iter().map(String::as_str).collect();
            let name = format!("X-Account-Group-{}", encode_part(name));
            fields.push((name, encode_object(&list.join(","))));
        }
    }
    Ok(fields)
}

/// An account's headers, and with GET its containers. Others see names and dates of the containers
/// that share something with them.
pub(super) fn containers(call: &Call<'_>, account: &str, page: Option<&Page>) -> Result<Outcome, Fault> {
    let mine = call.user == account;
    let viewer = Viewer::new(&call.user)?;
    if !mine && !viewer.shown(account, None)? {
        return Err(places::denied());
    }
    let shown = Shown::of(call, mine)?;
    let fields = if page.is_some_and(|page| page.sent) { Vec::new() } else { account_fields(account, mine)? };
    if call.is_head() {
        return Ok(bare(204, fields).into());
    }
    let selection = Selection::from_query(&call.query);
    let before = until(call);
    let mut writer = Writer::new(call, Frame { list: "account", name: Some(account), row: "container" }, page);
    let mut from = match (page, &selection.marker) {
        (Some(page), _) => page.from.clone(),
        (None, Some(marker)) => format!("{marker}\0"),
        (None, None) => String::new(),
    };
    let mut names = containers::stream(account);
    names.seek(&from)?;
    for _ in 0..CONTAINERS {
        if writer.is_full() {
            break;
        }
        let next = if writer.rows() < selection.limit { names.next()? } else { None };
        let Some((name, value)) = next else {
            return Ok(writer.finish(fields, None));
        };
        from = format!("{name}\0");
        let container: Container = db::read_json(&value)?;
        let listed = if !mine {
            viewer.shown(account, Some(&container.id))?
        } else {
            shown.all()
                || shown.shared && viewers::is_shared(account, &container.id)?
                || shown.public && viewers::is_published(account, &container.id)?
        };
        if listed && before.is_none_or(|before| container.created < before) {
            writer.row(&name, || container_row(account, &container, mine))?;
        }
    }
    Ok(writer.finish(fields, Some(from)))
}

fn container_row(account: &str, container: &Container, mine: bool) -> Result<Map<String, Value>, Fault> {
    let usage = containers::usage(account, &container.id)?;
    let mut row = Map::new();
    let mut put = |name: &str, value: Value| {
        row.insert(name.to_owned(), value);
    };
    put("last_modified", usage.modified.max(container.modified).iso().into());
    if mine {
        put("count", usage.objects.into());
        put("bytes", usage.bytes.into());
        let policy = json!({
            "quota": container.policy.quota.to_string(),
            "versioning": versioning(container),
            "project": project(account, container),
        });
        put("x_container_policy", policy);
    }
    Ok(row)
}

fn versioning(container: &Container) -> &'static str {
    if container.policy.forget { "none" } else { "auto" }
}

fn project<'a>(account: &'a str, container: &'a Container) -> &'a str {
    container.policy.project.as_deref().unwrap_or(account)
}

/// Change an account's metadata and groups.
pub(super) fn update_account(call: &Call<'_>, account: &str) -> Result<Answer, Fault> {
    own(call, account)?;
    accounts::update(
        account,
        &accounts::Change {
            meta: metadata(&call.headers, "x-account-meta-")?,
            groups: call.headers.prefixed("x-account-group-")?,
            replace: !call.query.has("update"),
        },
    )?;
    Ok(Answer::new(202))
}

fn container_fields(account: &str, container: &Kept<Container>, usage: Usage, mine: bool) -> Vec<(String, String)> {
    let record = &container.value;
    let modified = usage.modified.max(record.modified);
    let mut fields = vec![
        field("Last-Modified", modified.http()),
        field("X-Container-Block-Size", BLOCK_SIZE),
        field("X-Container-Block-Hash", ALGORITHM),
    ];
    if mine {
        let project = encode_object(project(account, record));
        fields.extend([
            field("X-Container-Object-Count", usage.objects),
            field("X-Container-Bytes-Used", usage.bytes),
            field("X-Container-Policy-Quota", record.policy.quota),
            field("X-Container-Policy-Versioning", versioning(record)),
            field("X-Container-Policy-Project", project),
        ]);
        fields.extend(meta_fields("X-Container-Meta-", &record.meta));
    }
    fields
}

/// A container's headers, and with GET its objects. Others see what they may read.
pub(super) fn objects(call: &Call<'_>, account: &str, container: &str, page: Option<&Page>) -> Result<Outcome, Fault> {
    let mine = call.user == account;
    // Any place will do to look around from.
    let Some(place) = Place::find(account, container, "")? else {
        return Err(if mine { containers::missing() } else { places::denied() });
    };
    let record = &place.record;
    let mut viewer = Viewer::new(&call.user)?;
    if !mine && !viewer.shown(account, Some(&record.value.id))? {
        return Err(places::denied());
    }
    let shown = Shown::of(call, mine)?;
    let before = until(call);
    if before.is_some_and(|before| record.value.created >= before) {
        return Err(containers::missing());
    }
    let fields = if page.is_some_and(|page| page.sent) {
        Vec::new()
    } else {
        container_fields(account, record, containers::usage(account, &record.value.id)?, mine)
    };
    if call.is_head() {
        return Ok(bare(204, fields).into());
    }
    let endpoints = Settings::load()?.endpoints;
    let filter = Filter::parse(call.query.get("meta").unwrap_or_default());
    let selection = asked(call, &record.value.id, before)?;
    let names = Objects::new(&record.value.id, before);
    let mut rows = match page {
        Some(page) => Rows::resume(names, &selection, page.from.clone(), page.rows),
        None => Rows::new(names, &selection),
    };
    let mut keep = |_: &str, value: &Option<Vec<u8>>| -> Result<bool, Fault> {
        let Some(value) = value else {
            return Ok(false);
        };
        if mine && shown.all() && filter.is_empty() {
            return Ok(true);
        }
        let object: Object = db::read_json(value)?;
        let listed = if !mine {
            viewer.reads(&place, &object)?
        } else {
            shown.all()
                || shown.public && object.public.is_some()
                || shown.shared && viewer.permissions(&place, &object)?.is_some()
        };
        Ok(listed && filter.passes(&object.meta))
    };
    let mut writer = Writer::new(call, Frame { list: "container", name: Some(container), row: "object" }, page);
    while !writer.is_full() {
        match rows.next(&mut keep)? {
            Next::Row(Row::Directory(name)) => writer.directory(&name),
            Next::Row(Row::Name(name, value)) => writer.row(&name, || {
                let object: Object = db::read_json(&value.unwrap_or_default())?;
                let mut row = object_row(&object);
                if let Some(id) = object.public.as_deref().filter(|_| mine) {
                    row.insert("x_object_public".to_owned(), public::link(call, &endpoints, id).into());
                }
                Ok(row)
            })?,
            Next::Later => break,
            Next::End => return Ok(writer.finish(fields, None)),
        }
    }
    let position = rows.position().map(str::to_owned);
    Ok(writer.finish(fields, position))
}

/// What a call selects from a container. The original's own client encodes what it asks for twice, so
/// a prefix that nothing starts with is decoded once more.
fn asked(call: &Call<'_>, container: &str, before: Option<Moment>) -> Result<Selection, Fault> {
    let selection = Selection::from_query(&call.query);
    if !selection.prefix.contains('%') {
        return Ok(selection);
    }
    let mut names = Objects::new(container, before);
    names.seek(&selection.prefix)?;
    let there = names.next()?.is_some_and(|(name, _)| name.starts_with(&selection.prefix));
    Ok(if there { selection } else { selection.decoded().unwrap_or(selection) })
}

fn object_row(object: &Object) -> Map<String, Value> {
    let mut row = Map::new();
    let mut put = |name: &str, value: Value| {
        row.insert(name.to_owned(), value);
    };
    put("bytes", object.content.size.into());
    put("content_type", object.content_type.as_str().into());
    put("hash", object.content.md5.as_deref().unwrap_or_default().into());
    put("last_modified", object.modified.iso().into());
    put("x_object_hash", object.content.root.as_str().into());
    put("x_object_uuid", object.uuid.as_str().into());
    put("x_object_version", object.version.into());
    put("x_object_version_timestamp", object.modified.decimal().into());
    put("x_object_modified_by", object.modified_by.as_str().into());
    put("available", true.into());
    put("map_check_timestamp", "".into());
    if !object.permissions.is_empty() {
        put("x_object_sharing", object.permissions.to_string().into());
    }
    row
}
