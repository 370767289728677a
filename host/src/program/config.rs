//! What the operator says about one program, and the check of it.
//!
//! Owns the shape of an entry and its resolution into numbers and absolute paths. Invariant: a
//! [`Checked`] entry needs no more looking up of names; files are opened anew at each start, because
//! an upgrade of a package replaces them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::config::Size;

/// One program that a plugin may run.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The file, absolute.
    pub path: PathBuf,
    /// Arguments that come before those of the plugin. Default none.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// A name of `/etc/passwd`, or `uid:gid` in numbers. Default: that of the host. The private directory
    /// belongs to the host's user with mode 0700; another user needs a way into it (an ACL), unless
    /// the program changes its user itself.
    #[serde(default)]
    pub user: Option<String>,
    /// A name below `/run/netns`, or an absolute path. Default: the host's own.
    #[serde(default)]
    pub network_namespace: Option<String>,
    /// Default `landlock`.
    #[serde(default)]
    pub confine: Confine,
    /// Absolute files and directories that it may read, beside its own.
    #[serde(default)]
    pub read: Vec<PathBuf>,
    /// Absolute files and directories that it may read, write, make and remove.
    #[serde(default)]
    pub write: Vec<PathBuf>,
    /// What it may execute beside itself: names of other entries, or absolute paths of files.
    #[serde(default)]
    pub execute: Vec<String>,
    /// Limits of each of its processes.
    #[serde(default)]
    pub limits: ProgramLimits,
}

/// By what a program is kept to its files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confine {
    /// A Landlock ruleset; a start is refused where the kernel has none.
    #[default]
    Landlock,
    /// Nothing but the user's permissions.
    None,
}

/// Limits of each process of a program, as `setrlimit` has them; less if the host may not have that much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProgramLimits {
    /// Open descriptors, soft and hard. Default 4096.
    pub files: u64,
    /// Address space, which is more than what is in use. Default 4 GiB.
    pub memory: Size,
    /// Processes and threads *of the user*, whoever started them; no limit for root. Default 1024.
    pub processes: u64,
}

impl Default for ProgramLimits {
    fn default() -> Self {
        Self { files: 4096, memory: Size::gib(4), processes: 1024 }
    }
}

/// An entry that cannot be used: which, and why.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("program {program:?}: {reason}")]
pub struct EntryError {
    /// The operator's name of the program.
    pub program: String,
    /// What is wrong, with the key that says it.
    pub reason: String,
}

/// An entry with its names looked up.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub path: PathBuf,
    pub arguments: Vec<String>,
    pub user: Option<(u32, u32)>,
    pub network_namespace: Option<PathBuf>,
    pub confine: Confine,
    pub read: Vec<PathBuf>,
    pub write: Vec<PathBuf>,
    /// Itself first.
    pub execute: Vec<PathBuf>,
    pub limits: ProgramLimits,
}

/// Check all entries of a plugin.
pub(super) fn check(entries: &BTreeMap<String, Program>) -> Result<BTreeMap<String, Checked>, EntryError> {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let checked = entries.iter().map(|(name, entry)| {
        let checked = check_one(entry, entries, &users);
        let checked = checked.map_err(|reason| EntryError { program: name.clone(), reason })?;
        Ok((name.clone(), checked))
    });
    checked.collect()
}

fn check_one(entry: &Program, all: &BTreeMap<String, Program>, users: &str) -> Result<Checked, String> {
    executable("path", &entry.path)?;
    let mut execute = vec![entry.path.clone()];
    for item in &entry.execute {
        let path = match (item.starts_with('/'), all.get(item)) {
            (true, _) => PathBuf::from(item),
            (false, Some(other)) => other.path.clone(),
            (false, None) => return Err(format!("execute: {item:?} is neither a listed program nor an absolute path")),
        };
        executable("execute", &path)?;
        execute.push(path);
    }
    for (key, paths) in [("read", &entry.read), ("write", &entry.write)] {
        if let Some(path) = paths.iter().find(|path| !path.is_absolute()) {
            return Err(format!("{key}: {} is not absolute", path.display()));
        }
    }
    if entry.arguments.iter().any(|argument| argument.contains('\0')) {
        return Err("arguments: one of them contains NUL".into());
    }
    let ProgramLimits { files, memory, processes } = entry.limits;
    if files < 16 || memory < Size::mib(1) || processes < 1 {
        return Err("limits: at least 16 files, 1MiB of memory and 1 process are needed to start anything".into());
    }
    let user = entry.user.as_deref().map(|user| find_user(user, users)).transpose()?;
    let network_namespace = entry.network_namespace.as_deref().map(find_namespace).transpose()?;
    Ok(Checked {
        path: entry.path.clone(),
        arguments: entry.arguments.clone(),
        user,
        network_namespace,
        confine: entry.confine,
        read: entry.read.clone(),
        write: entry.write.clone(),
        execute,
        limits: entry.limits,
    })
}

fn executable(key: &str, path: &Path) -> Result<(), String> {
    if !path.is_absolute() {
        return Err(format!("{key}: {} is not absolute", path.display()));
    }
    let metadata = std::fs::metadata(path).map_err(|error| format!("{key}: {}: {error}", path.display()))?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(format!("{key}: {} is not an executable file", path.display()));
    }
    Ok(())
}

/// `uid:gid`, or a name in the text of a password file.
pub(super) fn find_user(user: &str, passwd: &str) -> Result<(u32, u32), String> {
    // The highest number means "leave as it is" to the kernel.
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number != u32::MAX);
    if let Some((uid, gid)) = user.split_once(':') {
        let pair = number(uid).zip(number(gid));
        return pair.ok_or_else(|| format!("user: {user:?} is not uid:gid in numbers"));
    }
    let found = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?;
        let gid = fields.next()?;
        (name == user && !name.is_empty()).then(|| number(uid).zip(number(gid)))?
    });
    found.ok_or_else(|| format!("user: {user:?} is not in /etc/passwd"))
}

fn find_namespace(text: &str) -> Result<PathBuf, String> {
    match text {
        "" | "." | ".." => Err(format!("network_namespace: {text:?} is not a name")),
        path if path.starts_with('/') => Ok(path.into()),
        name if name.contains(['/', '\0']) => {
            Err(format!("network_namespace: {name:?} is neither a name nor absolute"))
        }
        name => Ok(Path::new("/run/netns").join(name)),
    }
}
