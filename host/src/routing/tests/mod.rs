//! Tests of each file, in a file of its name.

mod answer;
mod conditional;
mod head;
mod matching;
mod mounts;
mod openapi;
mod path;
mod table;
mod template;

use super::surface::{Access, BodyMode, Route, Rule, Surface, SurfaceError};
use super::table::Table;

/// A route with nothing special about it.
fn route(method: &str, path: &str) -> Route {
    Route {
        method: method.to_owned(),
        path: path.to_owned(),
        operation: "op".to_owned(),
        access: Access::Open,
        body: BodyMode::None,
    }
}

/// A surface with every automatism on and every alias off.
fn surface(routes: &[(&str, &str)]) -> Surface {
    Surface {
        name: "main".to_owned(),
        routes: routes.iter().map(|(method, path)| route(method, path)).collect(),
        errors: None,
        headers: Vec::new(),
        optional_trailing_slash: false,
        double_slash_root: false,
        auto_head: true,
        auto_options: true,
    }
}

fn compile(surface: Surface, rules: &[Rule]) -> Result<Table, SurfaceError> {
    Table::compile_all(vec![surface], rules).map(|mut tables| tables.remove(0))
}

fn table(routes: &[(&str, &str)]) -> Table {
    compile(surface(routes), &[]).unwrap()
}
