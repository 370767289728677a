//! The operator's own surface, reached by `plugbay call` and mounted nowhere.
//!
//! Here keys of nodes are read, tasks are ended, and the built-in inventory is looked after.

use plugbay_sdk::{Answer, Params, Problem, Request, Route, Surface};
use serde::Deserialize;
use serde_json::json;

use crate::engine::terminate::{Asked, terminate};
use crate::fault::Broken;
use crate::store::inventory::{self, Machine};
use crate::store::{boot, builddata, site, tasks};
use crate::world::World;

/// Build data of one record.
const DATA: u32 = 4 * 1024 * 1024;

pub(super) fn surface(world: &World) -> Surface {
    let (of_end, of_data) = (world.clone(), world.clone());
    Surface::new("operator")
        .route(Route::get("/bootactions/{host}", "boot-context").open(), |_: &Request, params: Params<'_>| {
            context(params.get("host"))
        })
        .route(Route::post("/tasks/{id}/terminate", "task-terminate").open(), move |_: &Request, params: Params<'_>| {
            end(&of_end, params.get("id"))
        })
        .route(Route::get("/inventory/{host}", "machine-show").open(), |_: &Request, params: Params<'_>| {
            machine(params.get("host"))
        })
        .route(Route::get("/site", "site-show").open(), |_: &Request, _: Params<'_>| {
            site::all().map(|parts| Answer::json(200, &parts)).map_err(broken)
        })
        .route(
            Route::put("/inventory/{host}", "machine-put").open().buffered(1024 * 1024),
            |request: &Request, params: Params<'_>| put(request, params.get("host")),
        )
        .route(Route::delete("/inventory/{host}", "machine-delete").open(), |_: &Request, params: Params<'_>| {
            delete(params.get("host"))
        })
        .route(
            Route::post("/inventory/{host}/builddata", "machine-data").open().buffered(DATA),
            move |request: &Request, params: Params<'_>| add_data(&of_data, request, params.get("host")),
        )
}

fn context(host: &str) -> Result<Answer, Problem> {
    let context =
        boot::context(host).map_err(broken)?.ok_or_else(|| Problem::not_found("No boot context of this node."))?;
    let context = context.value;
    let mut actions = Vec::new();
    for (id, _) in &context.actions {
        if let Some(record) = boot::action(id).map_err(broken)? {
            let (name, status) = (record.action_name, record.action_status);
            actions.push(json!({"action_id": id, "action_name": name, "action_status": status}));
        }
    }
    Ok(Answer::json(
        200,
        &json!({
            "node_name": context.node_name,
            "task_id": context.task_id,
            "posted_task_id": context.root,
            "key": context.key,
            "actions": actions,
        }),
    ))
}

fn end(world: &World, id: &str) -> Result<Answer, Problem> {
    let Some(task) = tasks::get(id).map_err(broken)? else { return Err(Problem::not_found("No such task.")) };
    match terminate(&task.value.id, "operator", world.now()).map_err(broken)? {
        Asked::Taken => Ok(Answer::new(202)),
        Asked::Unknown => Err(Problem::not_found("No such task.")),
        Asked::Ended => Err(Problem::conflict("The task has ended.")),
        Asked::Part => Err(Problem::conflict(format!("It is a part of task {}.", task.value.root))),
    }
}

fn machine(host: &str) -> Result<Answer, Problem> {
    let machine = inventory::get(host).map_err(broken)?;
    machine.map(|machine| Answer::json(200, &machine)).ok_or_else(|| Problem::not_found("Not in the inventory."))
}

/// What is not said keeps its value; what it is to be installed with is not said here.
fn put(request: &Request, host: &str) -> Result<Answer, Problem> {
    let said: serde_json::Map<String, serde_json::Value> = request.json()?;
    if host.len() > 255 || host.contains('/') {
        return Err(Problem::bad_request("That is not the name of a node."));
    }
    let changed = inventory::change(host, |machine| {
        let kept = machine.clone().unwrap_or_default();
        let mut value = serde_json::to_value(&kept).map_err(|error| error.to_string())?;
        if let Some(fields) = value.as_object_mut() {
            fields.extend(said.clone().into_iter().filter(|(name, _)| name != "configuration"));
        }
        let new: Machine = serde_json::from_value(value).map_err(|error| error.to_string())?;
        *machine = Some(new);
        Ok::<(), String>(())
    });
    changed.map_err(broken)?.map_err(|text| Problem::unprocessable(format!("Not a machine: {text}.")))?;
    machine(host)
}

fn delete(host: &str) -> Result<Answer, Problem> {
    inventory::change(host, |machine| *machine = None).map_err(broken)?;
    Ok(Answer::new(204))
}

/// A record of build data.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    generator: String,
    #[serde(default = "plain")]
    data_format: String,
    data_element: String,
    task_id: Option<String>,
}

fn plain() -> String {
    "text/plain".to_owned()
}

fn add_data(world: &World, request: &Request, host: &str) -> Result<Answer, Problem> {
    let data: Data = request.json()?;
    let new = builddata::New {
        node: host,
        task: data.task_id.as_deref(),
        generator: &data.generator,
        format: &data.data_format,
        data: &data.data_element,
    };
    builddata::add(new, world.now()).map_err(broken)?;
    Ok(Answer::new(204))
}

fn broken(broken: Broken) -> Problem {
    Problem::internal(broken)
}
