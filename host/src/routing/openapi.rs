//! The OpenAPI 3.1 document of a surface, made from its route table.
//!
//! Owns how a route table is put into OpenAPI's terms. It knows paths, methods, parameters and
//! access; what bodies hold is in the API's own documentation.
//!
//! Where OpenAPI has no words: methods it does not know stand under `x-methods` of their path, in
//! the same form as the others; `{*rest}` keeps its star in path and parameter name, so that it
//! does not collide with a parameter that fills one segment; the automatic HEAD, OPTIONS and path
//! aliases are left out.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::surface::{Access, BodyMode, Route, Rule};
use super::table::Table;
use super::template::{Segment, Template};

/// Methods that are fields of a path item.
const KNOWN: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"];

/// Of whom the document speaks.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// Name of the plugin.
    pub plugin: &'a str,
    /// The plugin's version.
    pub version: &'a str,
    /// The plugin's access rules, with the roles that hold here.
    pub rules: &'a [Rule],
    /// Base URLs of the mounts without a final slash: public URLs, or prefixes (empty: the root).
    pub servers: &'a [String],
}

/// The document.
#[must_use]
pub fn document(subject: &Subject<'_>, table: &Table) -> Value {
    let servers: Vec<Value> =
        subject.servers.iter().map(|url| json!({ "url": if url.is_empty() { "/" } else { url } })).collect();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": title(subject.plugin, &table.surface().name),
            "version": subject.version,
        },
        "paths": paths(subject, table),
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of the mount's authentication provider.",
                },
            },
            "responses": { "host-error": host_error(table) },
        },
    });
    if let (Some(root), false) = (document.as_object_mut(), servers.is_empty()) {
        root.insert("servers".to_owned(), Value::Array(servers));
    }
    document
}

fn title(plugin: &str, surface: &str) -> String {
    if surface == "main" { plugin.to_owned() } else { format!("{plugin} ({surface})") }
}

/// How errors made by the host look on this surface.
fn host_error(table: &Table) -> Value {
    let content = match table.errors().map(|page| page.content_type().to_str()) {
        Some(Ok(content_type)) => json!({ content_type: {} }),
        Some(Err(_)) => json!({}),
        None => json!({
            "application/problem+json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "type": { "type": "string" },
                        "title": { "type": "string" },
                        "status": { "type": "integer" },
                        "detail": { "type": "string" },
                        "request-id": { "type": "string" },
                    },
                },
            },
        }),
    };
    json!({ "description": "An error found by the host.", "content": content })
}

fn paths(subject: &Subject<'_>, table: &Table) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    // Templates that differ in parameter names alone are one path to OpenAPI: the first one's.
    let mut first_of_shape: HashMap<String, &Template> = HashMap::new();
    let mut operation_ids = HashMap::new();
    for (route, template) in table.routes() {
        let named = *first_of_shape.entry(shape(template)).or_insert(template);
        let item = paths.entry(named.to_string()).or_insert_with(|| path_item(named));
        let operation = operation(subject, route, unique(&route.operation, &mut operation_ids));
        let Some(item) = item.as_object_mut() else {
            continue;
        };
        if KNOWN.contains(&&*route.method) {
            item.insert(route.method.to_ascii_lowercase(), operation);
        } else if let Some(others) = item.entry("x-methods").or_insert_with(|| json!({})).as_object_mut() {
            others.insert(route.method.clone(), operation);
        }
    }
    Value::Object(paths)
}

/// Equal for templates that match the same paths. Parameters become braces, which no literal
/// could be taken for: there they are escaped.
fn shape(template: &Template) -> String {
    let mut shape = String::new();
    for segment in template.segments() {
        shape.push('/');
        match segment {
            Segment::Literal(text) => {
                shape.push_str(&text.replace('%', "%25").replace('{', "%7B"));
            }
            Segment::Parameter(_) => shape.push_str("{}"),
            Segment::Rest(_) => shape.push_str("{*}"),
        }
    }
    shape
}

fn path_item(template: &Template) -> Value {
    let parameters: Vec<Value> = template
        .segments()
        .iter()
        .filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Parameter(name) => Some(path_parameter(name, "One path segment.")),
            Segment::Rest(name) => Some(path_parameter(
                &format!("*{name}"),
                "The rest of the path, slashes included and not escaped; may be empty.",
            )),
        })
        .collect();
    if parameters.is_empty() { json!({}) } else { json!({ "parameters": parameters }) }
}

fn path_parameter(name: &str, description: &str) -> Value {
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": description,
        "schema": { "type": "string" },
    })
}

fn operation(subject: &Subject<'_>, route: &Route, id: String) -> Value {
    let mut operation = json!({
        "operationId": id,
        "security": security(subject, &route.access),
        "responses": responses(route),
    });
    let Some(fields) = operation.as_object_mut() else {
        return operation;
    };
    if let Access::RoleRule(rule) = &route.access {
        fields.insert("x-access-rule".to_owned(), json!(rule));
    }
    let body = match route.body {
        BodyMode::None => None,
        BodyMode::Buffered(limit) => Some(format!("At most {limit} bytes.")),
        BodyMode::Staged => Some("Of any length that the operator allows.".to_owned()),
    };
    if let Some(description) = body {
        let body = json!({ "description": description, "content": { "*/*": {} } });
        fields.insert("requestBody".to_owned(), body);
    }
    operation
}

/// Alternatives, any one of which is enough; `{}` is access without a credential.
fn security(subject: &Subject<'_>, access: &Access) -> Value {
    match access {
        Access::Open => json!([]),
        Access::Authenticated => json!([{ "token": [] }]),
        Access::Plugin => json!([{}, { "token": [] }]),
        Access::RoleRule(name) => {
            let rule = subject.rules.iter().find(|rule| rule.name == *name);
            let roles = rule.map_or(&[][..], |rule| &rule.roles);
            if roles.is_empty() {
                json!([{ "token": [] }])
            } else {
                roles.iter().map(|role| json!({ "token": [role] })).collect()
            }
        }
    }
}

fn responses(route: &Route) -> Value {
    let mut statuses = vec!["400"];
    if matches!(route.access, Access::Authenticated | Access::RoleRule(_)) {
        statuses.push("401");
    }
    if matches!(route.access, Access::RoleRule(_)) {
        statuses.push("403");
    }
    statuses.extend(["413", "429", "500", "503", "504"]);
    let errors =
        statuses.into_iter().map(|status| (status.to_owned(), json!({ "$ref": "#/components/responses/host-error" })));
    let own = ("default".to_owned(), json!({ "description": "As the API documents it." }));
    Value::Object(errors.chain([own]).collect())
}

/// Routes may share an operation, but no two operations an id. `taken` has, for each id, the
/// number to try next.
fn unique(name: &str, taken: &mut HashMap<String, u32>) -> String {
    let Some(next) = taken.get(name).copied() else {
        taken.insert(name.to_owned(), 2);
        return name.to_owned();
    };
    let mut number = next;
    let mut id = format!("{name}-{number}");
    while taken.contains_key(&id) {
        number = number.saturating_add(1);
        id = format!("{name}-{number}");
    }
    taken.insert(name.to_owned(), number.saturating_add(1));
    taken.insert(id.clone(), 2);
    id
}
