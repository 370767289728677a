//! Whether this amphora is fit to have the VIPs: keepalived's check, and what it rests on.
//!
//! A confined script cannot ask the stats sockets, so a job does, and marks it in a file if one does not answer. The
//! script looks at that mark and whether every haproxy is there at all, so that it judges also while the job does not run. A load
//! balancer that was stopped is none; an amphora without any load balancer or LVS listener is not fit.

use crate::context::Context;
use crate::files;
use crate::haproxy::lifecycle::{process, runs, socket};
use crate::haproxy::store::balancers;
use crate::keepalived::rendering::{UDP_CHECK, VRRP_CHECK};
use crate::keepalived::{lvs, vrrp};
use crate::machine::State;

/// There while a load balancer does not answer: why.
const FAILED: &str = "vrrp/check_failed";

const ANSWER_MS: u32 = 5_000;

/// The script of the VIPs, for a directory.
fn vrrp_script(directory: &str) -> String {
    format!(
        "#!/bin/sh
# Fails while a load balancer of this amphora does not answer, or is not there.
[ ! -e {directory}/{FAILED} ] || exit 1
for file in {directory}/*/*.pid; do
    case $file in
        {directory}/lvs/*|{directory}/vrrp/*|'{directory}/*/*.pid') continue ;;
    esac
    read -r pid < \"$file\" || continue
    [ -d \"/proc/$pid\" ] || exit 1
done
exit 0
"
    )
}

/// The script of members of UDP pools: `nc` sends a datagram, which a closed port refuses.
const UDP_SCRIPT: &str = "#!/bin/sh
# Fails if a UDP port refuses a datagram. Arguments: address, port.
exec nc -uz -w1 \"$1\" \"$2\" > /dev/null 2>&1
";

/// Put the scripts where rendered configurations name them.
///
/// # Errors
/// If they cannot be written.
pub fn install(context: Context<'_>, directory: &str) -> Result<(), files::Error> {
    context.files.write(VRRP_CHECK, vrrp_script(directory).as_bytes())?;
    context.files.write(UDP_CHECK, UDP_SCRIPT.as_bytes())
}

/// Look at all load balancers and set or remove the mark, if keepalived has a configuration.
///
/// # Errors
/// In words for the log.
pub fn look(context: Context<'_>) -> Result<(), String> {
    let words = |error: files::Error| error.to_string();
    if !vrrp::is_configured(context).map_err(words)? {
        return Ok(());
    }
    let marked = context.files.text(FAILED).map_err(words)?;
    match (verdict(context)?, marked) {
        (Err(why), None) => {
            plugbay_sdk::warn!("this amphora is not fit for the VIPs: {why}");
            context.files.write(FAILED, why.as_bytes()).map_err(words)
        }
        (Ok(()), Some(_)) => {
            plugbay_sdk::info!("this amphora is fit for the VIPs again");
            context.files.remove(FAILED).map_err(words)
        }
        _ => Ok(()),
    }
}

/// Whether all load balancers answer, or why not.
fn verdict(context: Context<'_>) -> Result<Result<(), String>, String> {
    let words = |error: files::Error| error.to_string();
    let known = balancers(context.files).map_err(words)?;
    if known.is_empty() && lvs::listeners(context.files).map_err(words)?.is_empty() {
        return Ok(Err("there is no load balancer".to_owned()));
    }
    for (lb, _) in &known {
        let name = process(lb);
        match context.machine.status(&name).map_err(|fault| fault.to_string())? {
            None => {}
            Some(State::Exited(_)) => return Ok(Err(format!("{name} has ended"))),
            Some(State::Running(_)) => {
                let answer = context.machine.dialogue(&socket(lb), "show info", ANSWER_MS);
                // It may have been stopped meanwhile.
                if answer.is_err() && runs(context, &name).map_err(|fault| fault.to_string())? {
                    return Ok(Err(format!("{name} does not answer")));
                }
            }
        }
    }
    Ok(Ok(()))
}
