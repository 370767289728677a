//! Accounts, containers and objects as lists, and the headers that describe a list's parent.

use plugbay_sdk::{Answer, Segment};
use serde_json::{Map, Value, json};

use super::{Call, bare, json as json_answer, not_yet, objects::own};
use crate::{
    faults::Fault,
    headers::{encode_object, encode_part},
    listing::{Names as _, Row, Selection, select},
    merkle::{ALGORITHM, BLOCK_SIZE},
    object::{Object, metadata},
    sharing::Access,
    store::{
        accounts,
        containers::{self, Container, Usage},
        db::{self, Kept},
        names::Stream,
        places::{self, Place},
    },
};

/// Names one a line, or 204 if there is none.
fn lines(mut fields: Vec<(String, String)>, names: &[String]) -> Answer {
    if names.is_empty() {
        return bare(204, fields);
    }
    fields.push(("Content-Type".to_owned(), "text/plain; charset=UTF-8".to_owned()));
    let mut text = names.join("\n");
    text.push('\n');
    bare(200, fields).segment(Segment::Bytes(text.into_bytes()))
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
pub(super) fn accounts(call: &Call<'_>) -> Result<Answer, Fault> {
    let selection = Selection::from_query(&call.query);
    let found = accounts::sharers(&call.user, selection.marker.as_deref(), selection.limit)?;
    if !call.wants_json() {
        return Ok(lines(Vec::new(), &found));
    }
    let mut rows = Vec::with_capacity(found.len());
    for account in found {
        let (_, usage) = accounts::usage(&account)?;
        rows.push(json!({ "name": account, "last_modified": usage.modified.iso() }));
    }
    json_answer(Vec::new(), &rows)
}

/// An account's headers, and with GET its containers. Others see names and dates of the containers
/// that share something with them.
pub(super) fn containers(call: &Call<'_>, account: &str) -> Result<Answer, Fault> {
    let mine = call.user == account;
    if !mine && !accounts::shares(account, None, &call.user)? {
        return Err(places::denied());
    }
    let record = accounts::get(account)?;
    let (count, usage) = accounts::usage(account)?;
    let modified = usage.modified.max(record.modified);
    let mut fields = vec![field("Last-Modified", modified.http())];
    if mine {
        fields.push(field("X-Account-Container-Count", count));
        fields.push(field("X-Account-Bytes-Used", usage.bytes));
        fields.push(field("X-Account-Policy-Quota", 0));
        fields.extend(meta_fields("X-Account-Meta-", &record.meta));
        for (name, members) in &record.groups {
            let list: Vec<&str> = members.iter().map(String::as_str).collect();
            let name = format!("X-Account-Group-{}", encode_part(name));
            fields.push((name, encode_object(&list.join(","))));
        }
    }
    if call.is_head() {
        return Ok(bare(204, fields));
    }
    let selection = Selection::from_query(&call.query);
    let mut names = containers::stream(account);
    names.seek(selection.marker.as_deref().unwrap_or_default())?;
    let mut found: Vec<(String, Container)> = Vec::new();
    while found.len() < selection.limit {
        let Some((name, value)) = names.next()? else {
            break;
        };
        let container: Container = db::read_json(&value)?;
        let after = selection.marker.as_ref().is_none_or(|marker| name > *marker);
        if after && (mine || accounts::shares(account, Some(&container.id), &call.user)?) {
            found.push((name, container));
        }
    }
    if !call.wants_json() {
        let names: Vec<String> = found.into_iter().map(|(name, _)| name).collect();
        return Ok(lines(fields, &names));
    }
    let mut rows = Vec::with_capacity(found.len());
    for (name, container) in found {
        rows.push(container_row(account, &name, &container, mine)?);
    }
    json_answer(fields, &rows)
}

fn container_row(account: &str, name: &str, container: &Container, mine: bool) -> Result<Value, Fault> {
    let usage = containers::usage(account, &container.id)?;
    let modified = usage.modified.max(container.modified).iso();
    if !mine {
        return Ok(json!({ "name": name, "last_modified": modified }));
    }
    Ok(json!({
        "name": name,
        "count": usage.objects,
        "bytes": usage.bytes,
        "last_modified": modified,
        "x_container_policy": {
            "quota": container.policy.quota.to_string(),
            "versioning": versioning(container),
            "project": project(account, container),
        },
    }))
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
pub(super) fn objects(call: &Call<'_>, account: &str, container: &str) -> Result<Answer, Fault> {
    let mine = call.user == account;
    let record = match containers::get(account, container)? {
        Some(record) => record,
        None if mine => return Err(containers::missing()),
        None => return Err(places::denied()),
    };
    if !mine && !accounts::shares(account, Some(&record.value.id), &call.user)? {
        return Err(places::denied());
    }
    let usage = containers::usage(account, &record.value.id)?;
    let fields = container_fields(account, &record, usage, mine);
    if call.is_head() {
        return Ok(bare(204, fields));
    }
    for parameter in ["shared", "public", "meta"] {
        if call.query.has(parameter) {
            return Err(not_yet(&format!("Listing by '{parameter}'")));
        }
    }
    if call.query.get("until").is_some_and(|text| text.parse::<i64>().is_ok()) {
        return Err(not_yet("Listing the past"));
    }
    let selection = Selection::from_query(&call.query);
    let mut names = Stream::new('o', &record.value.id);
    let rows = select(&mut names, &selection, |name, value| {
        if mine {
            return Ok(true);
        }
        let object: Object = db::read_json(value)?;
        let Some(place) = Place::find(account, container, name)? else {
            return Ok(false);
        };
        Ok(places::access(&place, Some(&object), &call.user)? >= Access::Read)
    })?;
    if !call.wants_json() {
        let names: Vec<String> = rows
            .into_iter()
            .map(|row| match row {
                Row::Name(name, _) | Row::Directory(name) => name,
            })
            .collect();
        return Ok(lines(fields, &names));
    }
    let rows: Vec<Value> = rows
        .into_iter()
        .map(|row| match row {
            Row::Directory(name) => Ok(json!({ "subdir": name })),
            Row::Name(name, value) => Ok(object_row(name, &db::read_json(&value)?)),
        })
        .collect::<Result<_, Fault>>()?;
    json_answer(fields, &rows)
}

fn object_row(name: String, object: &Object) -> Value {
    let mut row = Map::new();
    let mut put = |name: &str, value: Value| {
        row.insert(name.to_owned(), value);
    };
    put("name", name.into());
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
    Value::Object(row)
}
