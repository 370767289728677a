//! Tests of `openapi`.

use serde_json::{Value, json};

use super::super::openapi::{Subject, document};
use super::super::surface::{Access, BodyMode, ErrorTemplate, Rule, Surface};
use super::{compile, surface};

fn made(surface: Surface) -> Value {
    let rules = [Rule { name: "write".to_owned(), roles: vec!["admin".into(), "member".into()] }];
    let servers = ["/images".to_owned(), String::new()];
    let subject = Subject { plugin: "store", version: "1.2", rules: &rules, servers: &servers };
    document(&subject, &compile(surface, &rules).unwrap())
}

#[test]
fn the_document_names_plugin_version_and_servers() {
    let mut surface = surface(&[]);
    surface.name = "admin".to_owned();
    let document = made(surface);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"], json!({ "title": "store (admin)", "version": "1.2" }));
    assert_eq!(document["servers"], json!([{ "url": "/images" }, { "url": "/" }]));
    assert_eq!(document["paths"], json!({}));
}

#[test]
fn paths_that_differ_in_names_alone_are_one() {
    let document = made(surface(&[("GET", "/i/{id}"), ("PUT", "/i/{name}"), ("GET", "/i/{*id}")]));
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.keys().collect::<Vec<_>>(), ["/i/{*id}", "/i/{id}"]);
    let item = &paths["/i/{id}"];
    assert!(item["get"].is_object() && item["put"].is_object());
    assert_eq!(item["parameters"].as_array().unwrap().len(), 1);
    assert_eq!(item["parameters"][0]["name"], "id");
    assert_eq!(item["parameters"][0]["required"], true);
    assert_eq!(paths["/i/{*id}"]["parameters"][0]["name"], "*id");
}

#[test]
fn methods_unknown_to_openapi_stand_apart() {
    let document = made(surface(&[("COPY", "/o"), ("get", "/o"), ("GET", "/o")]));
    let item = &document["paths"]["/o"];
    assert!(item["get"].is_object());
    let others = item["x-methods"].as_object().unwrap();
    assert_eq!(others.keys().collect::<Vec<_>>(), ["COPY", "get"]);
}

#[test]
fn operation_ids_are_unique() {
    let mut surface = surface(&[("GET", "/a"), ("GET", "/b"), ("GET", "/c"), ("GET", "/d")]);
    surface.routes[1].operation = "op-2".to_owned();
    let document = made(surface);
    let id = |path: &str| document["paths"][path]["get"]["operationId"].clone();
    assert_eq!(["/a", "/b", "/c", "/d"].map(id), ["op", "op-2", "op-3", "op-4"]);
}

#[test]
fn access_is_security() {
    let mut surface = surface(&[("GET", "/"), ("PUT", "/"), ("POST", "/"), ("PATCH", "/")]);
    surface.routes[1].access = Access::Authenticated;
    surface.routes[2].access = Access::RoleRule("write".to_owned());
    surface.routes[3].access = Access::Plugin;
    let document = made(surface);
    let item = &document["paths"]["/"];
    assert_eq!(item["get"]["security"], json!([]));
    assert_eq!(item["put"]["security"], json!([{ "token": [] }]));
    let roles = json!([{ "token": ["admin"] }, { "token": ["member"] }]);
    assert_eq!(item["post"]["security"], roles);
    assert_eq!(item["post"]["x-access-rule"], "write");
    assert_eq!(item["patch"]["security"], json!([{}, { "token": [] }]));
    assert!(item["get"]["responses"].get("401").is_none());
    assert!(item["put"]["responses"].get("403").is_none());
    assert!(item["post"]["responses"].get("403").is_some());
}

#[test]
fn bodies_and_errors_are_described() {
    let mut surface = surface(&[("GET", "/"), ("PUT", "/"), ("POST", "/")]);
    surface.routes[1].body = BodyMode::Buffered(10);
    surface.routes[2].body = BodyMode::Staged;
    surface.errors = Some(ErrorTemplate { content_type: "application/xml".to_owned(), body: String::new() });
    let document = made(surface);
    let item = &document["paths"]["/"];
    assert!(item["get"].get("requestBody").is_none());
    assert_eq!(item["put"]["requestBody"]["description"], "At most 10 bytes.");
    assert!(item["post"]["requestBody"]["content"].is_object());
    let reference = "#/components/responses/host-error";
    assert_eq!(item["get"]["responses"]["500"]["$ref"], reference);
    let content = &document["components"]["responses"]["host-error"]["content"];
    assert_eq!(*content, json!({ "application/xml": {} }));
}
