//! The API: routes, callers, and how results and refusals become answers.
//!
//! Owns the route table. What a request does is in the module of its kind. Invariant: every answer carries
//! `X-Drydock-Req`, and whatever goes wrong leaves here in one of the API's own shapes.

mod body;
mod bootactions;
mod caller;
mod designs;
mod health;
mod nodes;
mod operator;
mod purge;
mod query;
pub mod refusal;
mod statuses;
mod streams;
mod tasks;
mod tree;

use plugbay_sdk::{Answer, Event, IntoStep as _, Params, Plugin, Request, Route, Step, Surface};
use serde::{Deserialize, Serialize};

use crate::settings::Settings;
use crate::store::ids;
use crate::world::World;
use refusal::Refusal;

/// Bytes of a body.
const BODY: u32 = 1024 * 1024;

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Versions,
    Health,
    HealthExtended,
    TaskList,
    TaskCreate,
    TaskPurge,
    TaskShow,
    TaskBuildData,
    NodeList,
    NodeBuildData,
    NodeFilter,
    ValidateDesign,
    BootFiles,
    BootUnits,
    BootReport,
    DesignsGone,
    Nowhere,
}

const fn get(path: &'static str, operation: &'static str) -> Route {
    Route::get(path, operation).plugin_decides()
}

const fn post(path: &'static str, operation: &'static str) -> Route {
    Route::post(path, operation).plugin_decides().buffered(BODY)
}

/// Wrong methods and unknown paths, which have a shape of their own.
const fn nowhere(method: &'static str) -> (Op, Route) {
    (Op::Nowhere, Route::new(method, "/{*rest}", "unknown-path").plugin_decides().staged())
}

const TABLE: &[(Op, Route)] = &[
    (Op::Versions, get("/versions", "versions")),
    (Op::Health, get("/api/v1.0/health", "health")),
    (Op::HealthExtended, get("/api/v1.0/health/extended", "health-extended")),
    (Op::TaskList, get("/api/v1.0/tasks", "task-list")),
    (Op::TaskCreate, post("/api/v1.0/tasks", "task-create")),
    (Op::TaskPurge, Route::delete("/api/v1.0/tasks", "task-purge").plugin_decides()),
    (Op::TaskShow, get("/api/v1.0/tasks/{id}", "task-show")),
    (Op::TaskBuildData, get("/api/v1.0/tasks/{id}/builddata", "task-build-data")),
    (Op::NodeList, get("/api/v1.0/nodes", "node-list")),
    (Op::NodeBuildData, get("/api/v1.0/nodes/{host}/builddata", "node-build-data")),
    (Op::NodeFilter, post("/api/v1.0/nodefilter", "node-filter")),
    (Op::ValidateDesign, post("/api/v1.0/validatedesign", "validate-design")),
    (Op::BootFiles, get("/api/v1.0/bootactions/nodes/{host}/files", "boot-files")),
    (Op::BootFiles, get("/api/v1.0/bootdata/{host}/files", "boot-files")),
    (Op::BootUnits, get("/api/v1.0/bootactions/nodes/{host}/units", "boot-units")),
    (Op::BootUnits, get("/api/v1.0/bootdata/{host}/units", "boot-units")),
    (Op::BootReport, post("/api/v1.0/bootactions/{id}", "boot-report")),
    (Op::BootReport, post("/api/v1.0/bootaction/{id}", "boot-report")),
    (Op::DesignsGone, get("/api/v1.0/designs", "designs")),
    (Op::DesignsGone, post("/api/v1.0/designs", "designs")),
    nowhere("GET"),
    nowhere("HEAD"),
    nowhere("POST"),
    nowhere("PUT"),
    nowhere("PATCH"),
    nowhere("DELETE"),
    nowhere("OPTIONS"),
];

/// Where an answer goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Going {
    List(streams::Cursor),
    Tree(tree::Cursor),
    Purge(purge::Cursor),
}

/// What handlers work with.
struct Call<'a> {
    world: &'a World,
    settings: Settings,
    request: &'a Request,
}

/// Have the plugin serve the API, and its operator.
pub fn attach(plugin: Plugin, world: &World) -> Plugin {
    let (first, next) = (world.clone(), world.clone());
    let surface = Surface::new("main")
        .errors("application/json", r#"{"title": "{status} {reason}", "description": "{detail}"}"#)
        .optional_trailing_slash()
        .without_auto_head()
        .without_auto_options()
        .resumable_table(
            TABLE,
            move |op, request: &Request, params: Params<'_>| answer(&first, request, |call| handle(op, call, params)),
            move |_, request: &Request, params: Params<'_>, going: Going, _: Event| {
                answer(&next, request, |call| resume(call, params, going))
            },
        );
    caller::rules(plugin).surface(surface).surface(operator::surface(world))
}

fn answer(world: &World, request: &Request, run: impl FnOnce(&Call<'_>) -> Result<Step, Refusal>) -> Step {
    let result = Settings::load()
        .map_err(|error| Refusal::from(crate::fault::Broken::from(error)))
        .and_then(|settings| run(&Call { world, settings, request }));
    dressed(result.unwrap_or_else(|refusal| refusal.into_answer().into_step()))
}

/// With the id of the request.
fn dressed(mut step: Step) -> Step {
    let head = match &mut step {
        Step::Done(answer) => Some(&mut answer.head),
        Step::More(more) => more.head.as_mut(),
        Step::Park(_) | Step::Receive(_) | Step::Fail(_) => None,
    };
    if let Some(head) = head {
        let id = ids::uuid().unwrap_or_default();
        head.headers.push(("x-drydock-req".to_owned(), id.into_bytes()));
    }
    step
}

fn handle(op: Op, call: &Call<'_>, params: Params<'_>) -> Result<Step, Refusal> {
    caller::note(call);
    let done = |answer: Result<Answer, Refusal>| answer.map(plugbay_sdk::IntoStep::into_step);
    match op {
        Op::Versions => done(Ok(Answer::json(
            200,
            &serde_json::json!({"v1.0": {"path": format!("{}/api/v1.0", call.request.prefix), "status": "stable"}}),
        ))),
        Op::Health => done(health::simple(call)),
        Op::HealthExtended => done(health::extended(call)),
        Op::TaskList => streams::list(call),
        Op::TaskCreate => done(tasks::create(call)),
        Op::TaskPurge => purge::begin(call),
        Op::TaskShow => tree::show(call, params.get("id")),
        Op::TaskBuildData => done(tasks::build_data(call, params.get("id"))),
        Op::NodeList => done(nodes::list(call)),
        Op::NodeBuildData => done(nodes::build_data(call, params.get("host"))),
        Op::NodeFilter => done(nodes::filter(call)),
        Op::ValidateDesign => done(designs::validate(call)),
        Op::BootFiles => done(bootactions::archive(call, params.get("host"), bootactions::FILES)),
        Op::BootUnits => done(bootactions::archive(call, params.get("host"), bootactions::UNITS)),
        Op::BootReport => done(bootactions::report(call, params.get("id"))),
        Op::DesignsGone => done(designs::gone(call)),
        Op::Nowhere => done(Ok(elsewhere(call.request))),
    }
}

fn resume(call: &Call<'_>, params: Params<'_>, going: Going) -> Result<Step, Refusal> {
    match going {
        Going::List(cursor) => streams::list_on(cursor, None),
        Going::Tree(cursor) => tree::on(params.get("id"), cursor, None),
        Going::Purge(cursor) => purge::on(call, cursor),
    }
}

/// 200 to OPTIONS, 405 with `Allow` where there is another method, else 404.
fn elsewhere(request: &Request) -> Answer {
    let mut methods: Vec<&str> = Vec::new();
    for (op, route) in TABLE {
        if *op != Op::Nowhere && fits(route.path, &request.path) && !methods.contains(&route.method) {
            methods.push(route.method);
        }
    }
    if methods.is_empty() || methods.contains(&request.method.as_str()) {
        return Refusal::titled(404, None).into_answer();
    }
    methods.push("OPTIONS");
    let allow = methods.join(", ");
    match request.method.as_str() {
        "OPTIONS" => Answer::new(200).header("allow", allow),
        "HEAD" => Answer::new(405).header("allow", allow),
        _ => Refusal::titled(405, None).into_answer().header("allow", allow),
    }
}

/// Whether a path has a template's form, with or without a slash behind it.
fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.strip_suffix('/').unwrap_or(path).split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(parameter), Some(text)) if parameter.starts_with('{') && !text.is_empty() => {}
            (Some(literal), Some(text)) if literal == text => {}
            _ => return false,
        }
    }
}
