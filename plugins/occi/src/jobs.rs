//! What the plugin does by itself: machines that changed without being asked to, and work that outlasts requests.
//!
//! The end of a process is told by the host and written down at once. What else a machine does by itself, a full disk or a
//! guest that panicked, is found by whoever looks at the machine, and by a look at all of them every [`LOOK`] seconds. The
//! list of the image service is looked at when it is time, and when somebody asks for it.

use std::rc::Rc;
use std::time::Duration;

use plugbay_sdk::{Job, JobScope, Outcome, Plugin, Trigger};

use crate::{
    cdmi::image,
    fault::Fault,
    images,
    provider::{
        self, Failure, Left, Seen,
        qemu::{self, Qemu, machine_of, record},
    },
    service::Service,
    settings::{Backend, Settings},
    store::keys::Keys,
    view::Names,
};

/// Seconds between two looks at all machines.
const LOOK: u32 = 5;

/// Seconds between two questions whether it is time to look at the list of images.
const ASK: u32 = 30;

/// Have the plugin run its jobs.
pub fn attach(plugin: Plugin) -> Plugin {
    plugin
        .every("look", LOOK, JobScope::Host, |_| look())
        .every("images", ASK, JobScope::Host, |_| refresh(false))
        .job(record::SETTLE, |job| settle(&String::from_utf8_lossy(&job.payload)))
        .job(images::REFRESH, |_| refresh(true))
        .job(images::FETCH, |job| fetch(&String::from_utf8_lossy(&job.payload), job.attempt))
        .on_start(|_| {
            say_backend()?;
            if Settings::load()?.glance.is_some() {
                images::look_soon();
            }
            sweep()?;
            look()
        })
        .other_jobs(other)
}

/// Look at the list of the image service. If that fails it is looked at again when it is time.
fn refresh(at_once: bool) -> Result<Outcome, Fault> {
    let settings = Settings::load()?;
    let Some(glance) = &settings.glance else { return Ok(Outcome::Done) };
    if !at_once {
        images::give_up()?;
        if !images::refresh::is_due(glance)? {
            return Ok(Outcome::Done);
        }
    }
    match images::refresh::refresh(glance, &images::web::Host) {
        Ok(()) => sweep()?,
        Err(why) => plugbay_sdk::warn!("{}: {why}; what is known of its images stays", glance.url),
    }
    Ok(Outcome::Done)
}

fn fetch(term: &str, attempt: u32) -> Result<Outcome, Fault> {
    let settings = Settings::load()?;
    let qemu = Qemu::new(&settings, &Keys::of(""), Rc::new(qemu::Host));
    images::fetch::fetch(term, attempt, &settings, &images::web::Host, &qemu.disks())
}

/// Remove files that are of nobody any more.
fn sweep() -> Result<(), Fault> {
    let settings = Settings::load()?;
    if settings.backend == Backend::Qemu {
        images::refresh::sweep()?;
        image::sweep()?;
        Qemu::new(&settings, &Keys::of(""), Rc::new(qemu::Host)).sweep()?;
    }
    Ok(())
}

/// The operator is told what runs the machines, above all if nothing does.
fn say_backend() -> Result<(), Fault> {
    let settings = Settings::load()?;
    let backend = provider::of(&settings, &Keys::of("")).backend();
    match settings.backend {
        Backend::Embedded => plugbay_sdk::warn!("machines: {}", backend.title),
        Backend::Qemu => plugbay_sdk::info!("machines: {}", backend.title),
    }
    Ok(())
}

fn other(job: &Job) -> Result<Outcome, String> {
    match &job.trigger {
        Trigger::ProgramExited((process, _)) => match machine_of(process) {
            Some(seq) => settle(seq).map_err(|fault| fault.to_string()),
            // What copies disks is looked at by the job that waits for it.
            None => Ok(Outcome::Done),
        },
        _ => Err(format!("this version has no job named {}", job.name)),
    }
}

/// Look at every machine that has a record. One that cannot be looked at does not keep the others from it.
fn look() -> Result<Outcome, Fault> {
    if Settings::load()?.backend == Backend::Embedded {
        return Ok(Outcome::Done);
    }
    for (seq, known) in record::all()? {
        if let Err(fault) = step(&seq, &known) {
            plugbay_sdk::warn!("{}: {fault}", known.path);
        }
    }
    Ok(Outcome::Done)
}

fn settle(seq: &str) -> Result<Outcome, Fault> {
    let Some(known) = record::find(seq)? else { return Ok(Outcome::Done) };
    Ok(match step(seq, &known)? {
        Left::Nothing => Outcome::Done,
        Left::LookIn(milliseconds) => Outcome::retry_in(Duration::from_millis(milliseconds)),
    })
}

/// Bring forward what is under way for a machine, and write down what it is.
fn step(seq: &str, known: &record::Record) -> Result<Left, Fault> {
    let settings = Settings::load()?;
    if settings.backend == Backend::Embedded {
        return Ok(Left::Nothing);
    }
    let service = Service::within(Keys::within(&known.space), settings, Names::at(String::new()));
    let Some(kept) = service.observed(&known.path)?.filter(|kept| kept.entity.seq == seq) else {
        // It was started by a request that came while another deleted it.
        plugbay_sdk::info!("{} is gone, and so is what was started for it", known.path);
        Qemu::new(&service.settings, &service.keys, Rc::new(qemu::Host)).abandon(seq)?;
        return Ok(Left::Nothing);
    };
    if known.is_settled() {
        return Ok(Left::Nothing);
    }
    let left = match service.provider.settle(&kept.entity) {
        Err(Failure::Failed(why)) => {
            service.found(&known.path, &Seen::Error(why))?;
            return Ok(Left::Nothing);
        }
        // It was deleted meanwhile.
        Err(_) if record::find(seq)?.is_none() => return Ok(Left::Nothing),
        settled => settled?,
    };
    service.observed(&known.path)?;
    Ok(left)
}
