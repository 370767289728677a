//! `GET /1.0/listeners`: the frontends of every stored configuration and the LVS listeners.

use serde::Serialize;

use crate::context::Context;
use crate::files::Stamp;
use crate::haproxy::{config, store};
use crate::keepalived::lvs;
use crate::machine::{Fault, State};
use crate::names::Id;
use crate::refusal::Refusal;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `ACTIVE`, for LVS also `OFFLINE` and `ERROR`.
    pub status: &'static str,
    /// Id of the listener.
    pub uuid: String,
    /// `HTTP`, `TCP`, `TERMINATED_HTTPS`, `UDP`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// All listeners: those of haproxy, then those of LVS.
///
/// # Errors
/// 500 if a stored configuration cannot be read.
pub fn all(context: Context<'_>) -> Result<Vec<Row>, Refusal> {
    let mut rows = of_haproxy(context, &store::balancers(context.files)?)?;
    for id in lvs::listeners(context.files)? {
        let text = lvs::stored(context.files, &id)?.unwrap_or_default();
        let status = lvs_status(context.machine.status(&lvs::process(&id)), lvs::has_virtual_server(&text))?;
        rows.push(Row { status, uuid: id.to_string(), kind: "UDP".to_owned() });
    }
    Ok(rows)
}

fn of_haproxy(context: Context<'_>, balancers: &[(Id, Stamp)]) -> Result<Vec<Row>, Refusal> {
    let mut rows = Vec::new();
    for (lb, stamp) in balancers {
        let Some(parsed) = store::parsed(context.files, lb, *stamp)? else { continue };
        let config = parsed.as_ref().as_ref();
        let config = config.map_err(|why| Refusal::routing(500, format!("load balancer {lb}: {why}")))?;
        let row = |frontend: &config::Frontend| Row {
            status: "ACTIVE",
            uuid: frontend.id.clone(),
            kind: frontend.kind.clone(),
        };
        rows.extend(config.frontends.iter().map(row));
    }
    Ok(rows)
}

/// The status of an LVS listener by its process and its file. Where there are no processes at all, it does not run.
fn lvs_status(state: Result<Option<State>, Fault>, virtual_server: bool) -> Result<&'static str, Fault> {
    Ok(match state {
        Ok(Some(State::Running(_))) if virtual_server => "ACTIVE",
        Ok(Some(State::Exited(_))) if virtual_server => "ERROR",
        Ok(_) | Err(Fault::Missing(_)) => "OFFLINE",
        Err(fault) => return Err(fault),
    })
}

/// The ids of all listeners of these load balancers and LVS listeners.
///
/// # Errors
/// As [`all`].
pub fn ids(context: Context<'_>, balancers: &[(Id, Stamp)], lvs: &[Id]) -> Result<Vec<String>, Refusal> {
    let haproxy = of_haproxy(context, balancers)?.into_iter().map(|row| row.uuid);
    Ok(haproxy.chain(lvs.iter().map(Id::to_string)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_an_lvs_listener() {
        assert_eq!(lvs_status(Ok(Some(State::Running(1))), true), Ok("ACTIVE"));
        assert_eq!(lvs_status(Ok(Some(State::Running(1))), false), Ok("OFFLINE"));
        assert_eq!(lvs_status(Ok(None), true), Ok("OFFLINE"));
        assert_eq!(lvs_status(Ok(Some(State::Exited(None))), true), Ok("ERROR"));
    }
}
