//! Stored configurations: upload with haproxy's own check, download, the list of load balancers.
//!
//! A load balancer is known if its directory has a `haproxy.cfg`. Invariant: that file has passed the check; one that did not is
//! kept beside it as `haproxy.cfg.new-failed` and harms nobody. What runs is not touched here.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use plugbay_sdk::Answer;

use super::config::{self, Config};
use super::{forbidden, rendering};
use crate::context::Context;
use crate::digest::{md5_hex, peer_name};
use crate::files::{self, Files, Stamp};
use crate::machine::Fault;
use crate::names::Id;
use crate::refusal::{Refusal, ok, tagged};

/// haproxy's name among the programs that the operator lists.
pub const PROGRAM: &str = "haproxy";

/// Most time of a check. With what comes before and after it, an answer is there before the controller's 60 seconds.
const CHECK_MS: u32 = 30_000;

/// The group for haproxy to change to, in a file of its own.
const GROUP_FILE: &str = "haproxy-default-user-group.conf";

/// A file in the directory of a load balancer.
pub fn path(lb: &Id, file: &str) -> String {
    format!("{lb}/{file}")
}

/// The stored configuration of a load balancer; none if it is not known.
///
/// # Errors
/// If the directory cannot be read.
pub fn stored(files: &dyn Files, lb: &Id) -> Result<Option<String>, files::Error> {
    files.text(&path(lb, "haproxy.cfg"))
}

/// What was read of the configurations, with the stamps of their files: they may be megabytes, and `details` is asked for often.
type Parsed = BTreeMap<Id, (Stamp, Rc<Result<Config, String>>)>;

thread_local! {
    static PARSED: RefCell<Parsed> = const { RefCell::new(BTreeMap::new()) };
}

/// Most configurations whose reading is kept.
const KEPT: usize = 256;

/// What the configuration of a load balancer says whose file has this stamp, or why it cannot be read; none if it is not known
/// any more.
///
/// # Errors
/// If the directory cannot be read.
pub fn parsed(files: &dyn Files, lb: &Id, stamp: Stamp) -> Result<Option<Rc<Result<Config, String>>>, files::Error> {
    let known = PARSED.with_borrow(|parsed| parsed.get(lb).filter(|(at, _)| *at == stamp).cloned());
    if let Some((_, config)) = known {
        return Ok(Some(config));
    }
    let Some(text) = stored(files, lb)? else { return Ok(None) };
    let config = Rc::new(config::parse(&text));
    if files::is_settled(stamp.1) {
        PARSED.with_borrow_mut(|parsed| {
            if parsed.len() >= KEPT {
                parsed.clear();
            }
            parsed.insert(lb.clone(), (stamp, Rc::clone(&config)));
        });
    }
    Ok(Some(config))
}

/// The load balancers that are known, in order, with the stamps of their configurations.
///
/// # Errors
/// If the directory cannot be read.
pub fn balancers(files: &dyn Files) -> Result<Vec<(Id, Stamp)>, files::Error> {
    let mut known = Vec::new();
    for id in files.names("")?.iter().filter_map(|name| Id::parse(name)) {
        if let Some(stamp) = files.stamp(&path(&id, "haproxy.cfg"))? {
            known.push((id, stamp));
        }
    }
    Ok(known)
}

/// The 404 of a load balancer that is not known, `id` as the request spelled it.
pub fn unknown(id: &str) -> Refusal {
    Refusal::detailed(404, "Loadbalancer Not Found", format!("No loadbalancer with UUID: {id}"))
}

/// The 400 of an id that a load balancer or listener cannot have.
pub fn bad_id(id: &str) -> Refusal {
    Refusal::detailed(400, "Invalid request", format!("Not an id: {id}"))
}

/// `PUT /1.0/loadbalancer/{amphora}/{lb}/haproxy`.
///
/// # Errors
/// 400 with what is wrong with the configuration, 500 if it is not UTF-8 or cannot be kept.
pub fn upload(context: Context<'_>, amphora: &str, id: &str, body: Vec<u8>) -> Result<Answer, Refusal> {
    let lb = Id::parse(id).ok_or_else(|| bad_id(id))?;
    let md5 = md5_hex(&body);
    let text = to_be_stored(body)?;
    let invalid = |details: String| Refusal::detailed(400, "Invalid request", details);
    if let Some(details) = forbidden::refusal(&text, &context.settings.external_checks) {
        return Err(invalid(details));
    }
    let peer = peer_name(amphora);
    match prepare(context, &lb, &text, &peer) {
        Ok(candidate) => context.files.remove(&candidate)?,
        Err(Unfit::Invalid(details)) => {
            context.files.write(&path(&lb, "haproxy.cfg.new-failed"), text.as_bytes())?;
            return Err(invalid(details));
        }
        Err(Unfit::Refused(refusal)) => return Err(refusal),
    }
    context.files.write(&path(&lb, "peer"), peer.as_bytes())?;
    context.files.write(&path(&lb, "haproxy.cfg"), text.as_bytes())?;
    Ok(tagged(ok(202), &md5))
}

/// What is kept of a body. The body is let go of at once: both may be megabytes.
fn to_be_stored(body: Vec<u8>) -> Result<String, Refusal> {
    let text = String::from_utf8(body).map_err(|error| Refusal::routing(500, error.to_string()))?;
    Ok(config::without_group(&text))
}

/// `GET /1.0/loadbalancer/{lb}/haproxy`.
///
/// # Errors
/// 404 if it is not known.
pub fn download(context: Context<'_>, id: &str) -> Result<Answer, Refusal> {
    let text = match Id::parse(id) {
        Some(lb) => stored(context.files, &lb)?,
        None => None,
    };
    let text = text.ok_or_else(|| unknown(id))?;
    let md5 = md5_hex(text.as_bytes());
    Ok(tagged(Answer::bytes(200, "text/plain; charset=UTF-8", text), &md5))
}

/// Why a configuration cannot be run.
pub enum Unfit {
    /// haproxy's own words, or ours in its place.
    Invalid(String),
    /// It could not be found out.
    Refused(Refusal),
}

impl From<files::Error> for Unfit {
    fn from(error: files::Error) -> Unfit {
        Unfit::Refused(error.into())
    }
}

impl From<Fault> for Unfit {
    fn from(fault: Fault) -> Unfit {
        Unfit::Refused(fault.into())
    }
}

/// Write the copy that haproxy is given, under a name of its own, and have haproxy check it. Its path; a copy that
/// does not pass is gone.
///
/// # Errors
/// If haproxy does not take it, or could not be asked.
pub fn prepare(context: Context<'_>, lb: &Id, text: &str, peer: &str) -> Result<String, Unfit> {
    let directory = context.machine.directory()?;
    let rendered = rendering::render(text, lb, context.settings, &directory).map_err(Unfit::Invalid)?;
    for name in &rendered.crt_lists {
        // A list that is missing is found by the check.
        if let Some(list) = context.files.text(&format!("certs/{lb}/{name}"))? {
            let copy = rendering::render_crt_list(&list, context.settings, &directory);
            context.files.write(&rendering::crt_list_copy(lb, name), copy.as_bytes())?;
        }
    }
    if let Some(group) = &context.settings.haproxy_group {
        context.files.write(GROUP_FILE, format!("global\n    group {group}\n").as_bytes())?;
    }
    let candidate = files::unique();
    context.files.write(&candidate, rendered.text.as_bytes())?;
    drop(rendered);
    let checked = check(context, lb, &format!("{directory}/{candidate}"), &directory, peer);
    if checked.is_err() {
        context.files.remove(&candidate)?;
    }
    checked.map(|()| candidate)
}

/// haproxy's own check of a file. Its words name the file as the controller knows it.
fn check(context: Context<'_>, lb: &Id, file: &str, directory: &str, peer: &str) -> Result<(), Unfit> {
    let output = context.machine.run(PROGRAM, &check_args(context, file, directory, peer), "", CHECK_MS)?;
    if output.status == Some(0) {
        return Ok(());
    }
    let said = output.text.replace(file, &format!("{directory}/{lb}/haproxy.cfg.new"));
    let said = rendering::told(&said, context.settings, directory);
    match output.status {
        Some(_) => Err(Unfit::Invalid(said)),
        None => Err(Unfit::Refused(Refusal::routing(500, format!("haproxy was killed while it checked: {said}")))),
    }
}

fn check_args(context: Context<'_>, file: &str, directory: &str, peer: &str) -> Vec<String> {
    let mut args = vec!["-c".to_owned(), "-L".to_owned(), peer.to_owned()];
    args.extend(config_args(context, file, directory));
    args
}

/// `-f` of a configuration, and of the group if haproxy is to change to one.
pub fn config_args(context: Context<'_>, config: &str, directory: &str) -> Vec<String> {
    let mut args = vec!["-f".to_owned(), config.to_owned()];
    if context.settings.haproxy_group.is_some() {
        args.extend(["-f".to_owned(), format!("{directory}/{GROUP_FILE}")]);
    }
    args
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::files::Directory;

    #[test]
    fn a_configuration_that_was_replaced_within_a_tick_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let files = Directory::at(directory.path());
        let lb = Id::parse("d459b1c8-54b0-4030-9bec-4f449e73b1ef").unwrap();
        let file = path(&lb, "haproxy.cfg");
        let frontends = |name: &str, changed: SystemTime| {
            files
                .write(&file, format!("global\n    stats socket /x.sock\nfrontend {name}\n    mode http\n").as_bytes())
                .unwrap();
            File::open(directory.path().join(&file)).unwrap().set_modified(changed).unwrap();
            let stamp = files.stamp(&file).unwrap().unwrap();
            let config = parsed(&files, &lb, stamp).unwrap().unwrap();
            config.as_ref().as_ref().unwrap().frontends[0].id.clone()
        };
        let now = SystemTime::now();
        assert_eq!([frontends("a", now), frontends("b", now)], ["a", "b"]);
        let past = now - Duration::from_secs(60);
        assert_eq!([frontends("a", past), frontends("b", past)], ["a", "a"], "what is at rest is read once");
    }
}
