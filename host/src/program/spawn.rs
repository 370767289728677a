//! From a command to a process that is confined before its first instruction.
//!
//! Owns what happens in the child between `fork` and `exec`. There,
//! other threads of the host are gone and may have left locks taken, so that only system calls on values
//! prepared beforehand are made; nothing is allocated. A second executable that sets itself up
//! and execs would need no `unsafe`, but tests and embedders run hosts inside other binaries, which
//! have no such command, and the set-up itself is the same dozen system calls.
//!
//! All children are forked by one thread that lives as long as the host. A parent death signal comes
//! when the *thread* that forked ends, and threads of the runtime come and go.
//!
//! # The gate
//!
//! A program that outlives the host must never run unrecorded. Its child therefore tells its number and
//! waits, with the parent death signal armed, until the record of it is on disk; only then it goes
//! on to `exec`. A host that dies in between takes the child along.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};

use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Gid, Pid, Resource, Rlimit, Signal, Uid};
use rustix::thread::LinkNameSpaceType;

use super::config::ProgramLimits;

/// All that the child puts on.
pub(super) struct Setup {
    pub user: Option<(u32, u32)>,
    pub network_namespace: Option<OwnedFd>,
    pub limits: ProgramLimits,
    pub ruleset: Option<OwnedFd>,
}

/// Makes the number of a new process durable.
pub(super) type Record<'a> = &'a mut dyn FnMut(i32) -> io::Result<()>;

/// What the child does, in this order; the position is what it reports when it fails.
const STEPS: &[&str] = &[
    "it",
    "a session of its own",
    "the network namespace",
    "the limits",
    "the user",
    "the tie to the host",
    "no_new_privs",
    "the record of it",
    "the Landlock ruleset",
    "the closing of descriptors",
    "the limit on memory",
];

/// Start the command. With a record, the program runs only after that is made, and outlives the host;
/// without, it is killed when the host ends. Blocks until the program runs.
///
/// # Errors
/// The text says which step failed. Nothing is left of the child then.
pub(super) fn launch(mut command: Command, setup: Setup, record: Option<Record<'_>>) -> io::Result<Child> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let hatch = Hatch { setup, socket: theirs, gated: record.is_some(), host: rustix::process::getpid() };
    prepare(&mut command, hatch);
    let (answer, answered) = sync_channel(1);
    spawner()?.send((command, answer)).map_err(|_| io::Error::other("the thread that starts programs has ended"))?;
    let mut refused = None;
    if let Some(record) = record {
        let mut hello = [0; 5];
        // An end of file means that it failed before; why is told with the answer.
        if ours.read_exact(&mut hello).is_ok() {
            let [step, pid @ ..] = hello;
            if step != 0 {
                refused = Some(io::Error::other(name_of(step)));
            } else {
                refused = record(i32::from_ne_bytes(pid)).err();
                let _ = ours.write_all(&[u8::from(refused.is_none())]);
            }
        }
    }
    let spawned = answered.recv().map_err(|_| io::Error::other("the thread that starts programs has ended"))?;
    match (spawned, refused) {
        (Ok(child), _) => Ok(child),
        (Err(error), Some(step)) if error.raw_os_error() != Some(Errno::CANCELED.raw_os_error()) => {
            Err(io::Error::new(error.kind(), format!("{step}: {error}")))
        }
        (Err(_), Some(reason)) => Err(reason),
        (Err(error), None) => {
            let mut step = [0];
            let read = ours.set_nonblocking(true).and_then(|()| ours.read(&mut step));
            let [step] = step;
            let step = if matches!(read, Ok(1)) { name_of(step) } else { name_of(0) };
            Err(io::Error::new(error.kind(), format!("{step}: {error}")))
        }
    }
}

fn name_of(step: u8) -> &'static str {
    STEPS.get(usize::from(step)).copied().unwrap_or("it")
}

type Order = (Command, SyncSender<io::Result<Child>>);

/// The thread that forks.
fn spawner() -> io::Result<&'static SyncSender<Order>> {
    static SPAWNER: OnceLock<Option<SyncSender<Order>>> = OnceLock::new();
    let made = SPAWNER.get_or_init(|| {
        let (orders, received) = sync_channel::<Order>(16);
        let work = move || {
            for (mut command, answer) in received {
                let spawned = command.spawn();
                // With it goes the host's copy of the child's socket.
                drop(command);
                let _ = answer.send(spawned);
            }
        };
        let thread = std::thread::Builder::new().name("programs".into()).spawn(work);
        thread.inspect_err(|error| tracing::error!(%error, "no thread to start programs")).ok().map(|_| orders)
    });
    made.as_ref().ok_or_else(|| io::Error::other("there is no thread to start programs"))
}

#[expect(unsafe_code, reason = "there is no other way to set a child up between fork and exec")]
fn prepare(command: &mut Command, hatch: Hatch) {
    let set_up = move || hatch.set_up();
    // SAFETY: the closure makes system calls on descriptors and numbers that it owns, and builds errors
    // from error numbers. It allocates nothing, takes no lock and touches no state of other threads.
    unsafe { command.pre_exec(set_up) };
}

/// The child's side.
struct Hatch {
    setup: Setup,
    socket: UnixStream,
    gated: bool,
    host: Pid,
}

impl Hatch {
    fn set_up(&self) -> io::Result<()> {
        let mut step = 0;
        let done = self.steps(&mut step);
        if done.is_err() {
            let _ = rustix::io::write(&self.socket, &[step, 0, 0, 0, 0]);
        }
        // Made of a number, without allocation.
        Ok(done?)
    }

    fn steps(&self, step: &mut u8) -> Result<(), Errno> {
        *step = 1;
        rustix::process::setsid()?;
        rustix::process::umask(Mode::RWXG | Mode::RWXO);
        *step = 2;
        if let Some(namespace) = &self.setup.network_namespace {
            use rustix::fd::AsFd;
            rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        }
        *step = 3;
        limit(Resource::Core, 0)?;
        limit(Resource::Nofile, self.setup.limits.files)?;
        limit(Resource::Nproc, self.setup.limits.processes)?;
        *step = 4;
        if let Some((uid, gid)) = self.setup.user {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            // For the calling thread, which is the only one of the child.
            rustix::thread::set_thread_groups(&[gid])?;
            rustix::thread::set_thread_res_gid(gid, gid, gid)?;
            rustix::thread::set_thread_res_uid(uid, uid, uid)?;
        }
        // After the change of user, which would take it away.
        *step = 5;
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if rustix::process::getppid() != Some(self.host) {
            return Err(Errno::SRCH);
        }
        *step = 6;
        rustix::thread::set_no_new_privs(true)?;
        *step = 7;
        if self.gated {
            self.wait_at_gate()?;
        }
        *step = 8;
        if let Some(ruleset) = &self.setup.ruleset {
            restrict_self(ruleset)?;
        }
        *step = 9;
        close_on_exec_all()?;
        // Last: the child still has all the memory of the host.
        *step = 10;
        limit(Resource::As, self.setup.limits.memory.get())
    }

    fn wait_at_gate(&self) -> Result<(), Errno> {
        let pid = rustix::process::getpid().as_raw_nonzero().get().to_ne_bytes();
        let [a, b, c, d] = pid;
        rustix::io::write(&self.socket, &[0, a, b, c, d])?;
        let mut word = [0];
        let read = loop {
            match rustix::io::read(&self.socket, &mut word) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        };
        if read != 1 || word != [1] {
            return Err(Errno::CANCELED);
        }
        rustix::process::set_parent_process_death_signal(None)
    }
}

/// Soft and hard. A host without the right to raise its own hard limit gives what that allows.
fn limit(resource: Resource, to: u64) -> Result<(), Errno> {
    let set = |to| rustix::process::setrlimit(resource, Rlimit { current: to, maximum: to });
    match set(Some(to)) {
        Err(Errno::PERM) => set(rustix::process::getrlimit(resource).maximum),
        other => other,
    }
}

#[expect(unsafe_code, reason = "the crate's own function does more than a child may between fork and exec")]
fn restrict_self(ruleset: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: the call takes a descriptor, which is open, and a number; it reads and writes no memory.
    let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
    checked(result)
}

/// All but the first three descriptors go at `exec`, also those that the host was given open.
#[expect(unsafe_code, reason = "no safe wrapper among the host's dependencies")]
fn close_on_exec_all() -> Result<(), Errno> {
    // SAFETY: the call takes numbers only, and with this flag it closes nothing yet.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    checked(result)
}

fn checked(result: libc::c_long) -> Result<(), Errno> {
    if result == 0 {
        return Ok(());
    }
    // The number is in the thread's own memory.
    Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}
