//! Which process is which, from `/proc`.
//!
//! Owns the question whether a process number still means the process that was started. Numbers are
//! used again; the time of start, in ticks since boot, together with the boot it counts from, is
//! not. Ending what a program leaves behind is here too, because it needs the same care.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The parts of `/proc/PID/stat` that are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub pid: i32,
    pub parent: i32,
    pub session: i32,
    /// Ticks since boot.
    pub started: u64,
    /// Ended and not reaped yet.
    pub zombie: bool,
}

/// Read the text of a `stat` file. The name in it may contain anything, parentheses and line breaks too,
/// so that fields are counted from the last `)`.
pub(super) fn parse_stat(text: &[u8]) -> Option<Stat> {
    let close = text.iter().rposition(|byte| *byte == b')')?;
    let head = std::str::from_utf8(text.get(..text.iter().position(|byte| *byte == b'(')?)?).ok()?;
    let fields: Vec<&str> = std::str::from_utf8(text.get(close + 1..)?).ok()?.split_ascii_whitespace().collect();
    // The first of these is field 3 of the file.
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Stat {
        pid: head.trim().parse().ok()?,
        parent: field(4)?.parse().ok()?,
        session: field(6)?.parse().ok()?,
        started: field(22)?.parse().ok()?,
        zombie: matches!(field(3)?, "Z" | "X"),
    })
}

/// Facts of a process, none if there is no such process.
pub(super) fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// A text that no two boots of a machine share; empty if the kernel does not say.
pub(super) fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// The file that the process runs now.
pub(super) fn executable(pid: i32) -> Option<String> {
    Some(std::fs::read_link(format!("/proc/{pid}/exe")).ok()?.to_string_lossy().into_owned())
}

/// A descriptor of the process with that number and time of start, none if it is gone.
///
/// The descriptor is opened first: what is then read of `/proc` is about the same process, because
/// its number is not given to another while the descriptor says it lives.
pub(super) fn hold(pid: i32, started: u64) -> Option<OwnedFd> {
    let fd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::NONBLOCK).ok()?;
    let stat = stat(pid)?;
    (stat.started == started && !stat.zombie).then_some(fd)
}

/// All processes that can be seen.
fn processes() -> Vec<Stat> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// The processes of the session led by `leader`, and the descendants of those.
fn family(all: &[Stat], leader: i32, started: u64) -> Vec<Stat> {
    // While a session has a member its number is given to nobody else. If the number means another
    // process now, then nothing is left of the session.
    if all.iter().any(|one| one.pid == leader && one.started != started) {
        return Vec::new();
    }
    let mut found: HashSet<i32> = all.iter().filter(|one| one.session == leader).map(|one| one.pid).collect();
    loop {
        let before = found.len();
        found.extend(all.iter().filter(|one| found.contains(&one.parent)).map(|one| one.pid).collect::<Vec<_>>());
        if found.len() == before {
            break;
        }
    }
    all.iter().filter(|one| found.contains(&one.pid) && !one.zombie).copied().collect()
}

/// Kill the leader's session and all descendants of its members, the leader too. Reads `/proc` again
/// until nobody is left, because a process may fork while it is looked for.
///
/// A process that left the session *and* whose parent ended before it is found no more.
pub(super) fn kill_session(leader: i32, started: u64) {
    for _ in 0..200 {
        let members = family(&processes(), leader, started);
        if members.is_empty() {
            return;
        }
        for member in members {
            if let Some(fd) = hold(member.pid, member.started) {
                let _ = pidfd_send_signal(&fd, Signal::KILL);
            }
        }
        // A killed process takes a moment to end.
        std::thread::sleep(Duration::from_millis(1));
    }
    tracing::warn!(pid = leader, "processes of a program do not end although they were killed");
}

/// Send any signal by its number.
pub(super) fn send(fd: &OwnedFd, signal: i32) -> io::Result<()> {
    let signal = Signal::from_named_raw(signal).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_send_signal(fd, signal)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn own_stat_is_read() {
        let own = stat(std::process::id() as i32).unwrap();
        assert_eq!(own.pid, std::process::id() as i32);
        assert!(own.started > 0);
        assert!(hold(own.pid, own.started).is_some());
    }

    #[test]
    fn a_number_used_again_is_not_the_same_process() {
        let own = stat(std::process::id() as i32).unwrap();
        assert!(hold(own.pid, own.started + 1).is_none());
    }

    #[test]
    fn a_leader_that_is_another_now_leaves_no_family() {
        let one = |pid, parent, session, started| Stat { pid, parent, session, started, zombie: false };
        let all = [one(10, 1, 10, 7), one(11, 10, 10, 8), one(12, 11, 12, 9), one(13, 1, 13, 9)];
        let pids: Vec<_> = family(&all, 10, 7).iter().map(|one| one.pid).collect();
        assert_eq!(pids, [10, 11, 12]);
        assert!(family(&all, 10, 6).is_empty());
    }

    proptest! {
        #[test]
        fn any_name_is_read_over(name in ".{0,30}", pid in 1..i32::MAX, parent in 0..i32::MAX, started in any::<u64>()) {
            let zeros = "0 ".repeat(14);
            let text = format!("{pid} ({name}) S {parent} 5 6 0 {zeros}{started} 1 2\n");
            let stat = parse_stat(text.as_bytes());
            prop_assert_eq!(stat, Some(Stat { pid, parent, session: 6, started, zombie: false }));
        }

        #[test]
        fn no_text_is_fatal(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_stat(&text);
        }
    }
}
