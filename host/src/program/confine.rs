//! The Landlock ruleset of a program.
//!
//! Owns which files a confined program can reach: the private directory and what the operator listed
//! for writing; its own file, the system's programs and libraries, a few facts of `/etc` that libraries
//! look up, and what the operator listed for reading; a handful of harmless devices. Execution is allowed
//! for the program, for what the operator listed, and for the dynamic loader.
//!
//! The limit on execution keeps a program from *being turned into another one* by a configuration line. It
//! does not keep a program that is already taken over from running code of its own: a loader that may be
//! executed maps any file that may be read. Such code has the same ruleset, which no process can leave.
//!
//! Kernels grow new rights; as many as the kernel has are restricted. From ABI 6 on, signals to
//! processes outside and abstract sockets are, too. Network ports are not.

use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, Scope,
};
use rustix::fd::OwnedFd;

use super::config::Checked;

/// The newest version whose rights are named here.
const NEWEST: ABI = ABI::V6;

/// Programs, libraries and their data. Missing ones are passed over.
const SYSTEM: &[&str] = &["/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin"];

/// What C libraries look up, readable to everybody on every system; how many processors there are. Missing ones are passed over.
const FACTS: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/alternatives",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/sys/devices/system/cpu",
];

/// Missing ones are passed over.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Whether the running kernel confines anything at all.
pub(super) fn available() -> bool {
    let ruleset = Ruleset::default().handle_access(AccessFs::from_all(ABI::V1)).and_then(Ruleset::create);
    ruleset.is_ok_and(|ruleset| Option::<OwnedFd>::from(ruleset).is_some())
}

/// A ruleset that is ready to be put on. The files are those that have the names now.
///
/// # Errors
/// The kernel has no Landlock, or a path that the operator listed cannot be opened.
pub(super) fn ruleset(program: &Checked, directory: &Path) -> io::Result<OwnedFd> {
    let read = AccessFs::from_read(NEWEST) & !AccessFs::Execute;
    let write = AccessFs::from_all(NEWEST) & !AccessFs::Execute;
    let device = AccessFs::ReadFile | AccessFs::WriteFile;
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .map_err(io::Error::other)?;
    let mut rules = Rules(ruleset.set_compatibility(landlock::CompatLevel::BestEffort));
    for path in SYSTEM.iter().chain(FACTS) {
        rules = rules.allow_if_there(Path::new(path), read)?;
    }
    for path in DEVICES {
        rules = rules.allow_if_there(Path::new(path), device)?;
    }
    for path in loaders() {
        rules = rules.allow_if_there(&path, AccessFs::Execute | AccessFs::ReadFile)?;
    }
    for path in &program.execute {
        rules = rules.allow(path, AccessFs::Execute | AccessFs::ReadFile)?;
    }
    for path in &program.read {
        rules = rules.allow(path, read)?;
    }
    for path in &program.write {
        rules = rules.allow(path, write)?;
    }
    rules = rules.allow(directory, write)?;
    let fd: Option<OwnedFd> = rules.0.into();
    fd.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "the kernel has no Landlock, so that programs cannot be confined; the operator may write confine = \"none\"",
        )
    })
}

struct Rules(RulesetCreated);

impl Rules {
    fn allow(self, path: &Path, access: impl Into<BitFlags<AccessFs>>) -> io::Result<Self> {
        let cannot = |error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", path.display()));
        let fd = PathFd::new(path).map_err(|error| cannot(&error))?;
        let mut access = access.into();
        let kind = rustix::fs::fstat(&fd).map_err(|error| cannot(&error))?.st_mode;
        if !rustix::fs::FileType::from_raw_mode(kind).is_dir() {
            access &= AccessFs::from_file(NEWEST);
        }
        self.0.add_rule(PathBeneath::new(fd, access)).map(Self).map_err(|error| cannot(&error))
    }

    fn allow_if_there(self, path: &Path, access: impl Into<BitFlags<AccessFs>>) -> io::Result<Self> {
        if path.exists() { self.allow(path, access) } else { Ok(self) }
    }
}

/// The dynamic loaders of the system, where programs name them.
fn loaders() -> Vec<PathBuf> {
    let entries = ["/lib", "/lib64", "/lib32"].iter().filter_map(|folder| std::fs::read_dir(folder).ok());
    let paths = entries.flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_loader)).collect()
}

fn is_loader(name: &str) -> bool {
    ["ld-linux", "ld-musl", "ld64.so", "ld.so"].iter().any(|start| name.starts_with(start))
}
