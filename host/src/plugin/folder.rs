//! The plugin folder: which files are there, and when they are worth reading.
//!
//! The directory is watched, not the files, and looked through again at intervals, so `cp`, `mv`, a
//! symbolic link that is turned, and a folder that is itself replaced are all seen. A file counts when
//! it has kept the same identity, length and time for the operator's quiet time; one that vanished
//! counts as gone after the same time, so that replacing by remove-and-copy is one change. Whether a
//! file is any good is the loader's question.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::load::signature_path;

/// How often the folder is looked through without being told of a change.
const INTERVAL: Duration = Duration::from_secs(2);
/// Most files followed; more are ignored with a warning.
const MAX_FILES: usize = 1024;

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It is there, new or changed.
    Present(PathBuf),
    /// It is gone.
    Gone(PathBuf),
    /// Everything that was there at the start has been reported.
    Complete,
}

/// What tells one content of a file from another without reading it: device, inode, length,
/// modification time, and the same of its signature.
type Fingerprint = [Option<(u64, u64, u64, i64, i64)>; 2];

/// The plugin folder, and files elsewhere that the configuration names.
#[derive(Debug)]
pub struct Folder {
    directory: PathBuf,
    others: Vec<PathBuf>,
    quiet: Duration,
    watch: bool,
}

impl Folder {
    /// Follow the `.wasm` files of `directory`, and `others`.
    pub fn new(directory: PathBuf, others: Vec<PathBuf>, quiet: Duration, watch: bool) -> Self {
        Self { directory, others, quiet, watch }
    }

    /// Report what is there, then every change until `stop`.
    pub async fn run(self, events: mpsc::Sender<Event>, stop: CancellationToken) {
        let (touch, mut touched) = mpsc::channel(1);
        let _watcher = self.watch.then(|| watcher(&self.directory, touch)).flatten();
        let mut seen = Seen::default();
        let mut first = true;
        loop {
            let listing = self.list();
            let quiet = if first { Duration::ZERO } else { self.quiet };
            let (due, next) = seen.observe(listing, Instant::now(), quiet);
            for event in due.into_iter().chain(first.then_some(Event::Complete)) {
                if events.send(event).await.is_err() {
                    return;
                }
            }
            first = false;
            if !self.watch {
                return;
            }
            let next = next.unwrap_or(INTERVAL).min(INTERVAL);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(next) => {}
                Some(()) = touched.recv() => {}
            }
        }
    }

    fn list(&self) -> BTreeMap<PathBuf, Fingerprint> {
        let mut found = BTreeMap::new();
        match std::fs::read_dir(&self.directory) {
            Ok(entries) => {
                let wasm = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wasm");
                found.extend(
                    entries.flatten().map(|entry| entry.path()).filter(wasm).filter_map(fingerprint).take(MAX_FILES),
                );
            }
            Err(error) => {
                tracing::warn!(directory = %self.directory.display(), %error, "the plugin folder cannot be read")
            }
        }
        found.extend(self.others.iter().cloned().filter_map(fingerprint));
        found
    }
}

fn fingerprint(path: PathBuf) -> Option<(PathBuf, Fingerprint)> {
    let of = |path: &Path| {
        let data = std::fs::metadata(path).ok()?;
        Some((data.dev(), data.ino(), data.len(), data.mtime(), data.mtime_nsec()))
    };
    let wasm = of(&path)?;
    let signature = of(&signature_path(&path));
    Some((path, [Some(wasm), signature]))
}

fn watcher(directory: &Path, touch: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let on_event = move |event: notify::Result<notify::Event>| {
        // Looking through the folder opens it, which is an event as well: no reason to look again.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            // A full channel means that a look is due already.
            let _ = touch.try_send(());
        }
    };
    let started = notify::recommended_watcher(on_event)
        .and_then(|mut watcher| watcher.watch(directory, RecursiveMode::NonRecursive).map(|()| watcher));
    started
        .inspect_err(
            |error| tracing::warn!(%error, "the plugin folder is not watched: changes are seen within seconds"),
        )
        .ok()
}

/// What was seen of each file, and what was reported.
#[derive(Debug, Default)]
struct Seen(BTreeMap<PathBuf, File>);

#[derive(Debug)]
struct File {
    now: Option<Fingerprint>,
    since: Instant,
    reported: Option<Fingerprint>,
}

impl Seen {
    /// Take in a listing. Returns what is to be reported, and how long until more may be.
    fn observe(
        &mut self,
        mut listing: BTreeMap<PathBuf, Fingerprint>,
        now: Instant,
        quiet: Duration,
    ) -> (Vec<Event>, Option<Duration>) {
        for (path, file) in &mut self.0 {
            let found = listing.remove(path);
            if file.now != found {
                file.now = found;
                file.since = now;
            }
        }
        for (path, found) in listing {
            self.0.insert(path, File { now: Some(found), since: now, reported: None });
        }
        let mut due = Vec::new();
        let mut next: Option<Duration> = None;
        for (path, file) in &mut self.0 {
            if file.now == file.reported {
                continue;
            }
            let age = now.duration_since(file.since);
            if age < quiet {
                let rest = quiet - age;
                next = Some(next.map_or(rest, |next| next.min(rest)));
                continue;
            }
            file.reported = file.now;
            due.push(if file.now.is_some() { Event::Present(path.clone()) } else { Event::Gone(path.clone()) });
        }
        self.0.retain(|_, file| file.now.is_some() || file.reported.is_some());
        (due, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_millis(300);

    fn listing(files: &[(&str, u64)]) -> BTreeMap<PathBuf, Fingerprint> {
        files.iter().map(|(name, inode)| (PathBuf::from(name), [Some((0, *inode, 0, 0, 0)), None])).collect()
    }

    #[test]
    fn a_file_counts_once_it_is_quiet() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        let (due, next) = seen.observe(listing(&[("a", 1)]), start, QUIET);
        assert_eq!((due, next), (vec![], Some(QUIET)));
        // Still being written: the time begins again.
        let (due, _) = seen.observe(listing(&[("a", 2)]), start + QUIET, QUIET);
        assert_eq!(due, vec![]);
        let (due, _) = seen.observe(listing(&[("a", 2)]), start + QUIET * 2, QUIET);
        assert_eq!(due, vec![Event::Present("a".into())]);
        let (due, next) = seen.observe(listing(&[("a", 2)]), start + QUIET * 3, QUIET);
        assert_eq!((due, next), (vec![], None));
    }

    #[test]
    fn replacing_by_remove_and_copy_is_one_change() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        seen.observe(listing(&[("a", 1)]), start, Duration::ZERO);
        let (due, _) = seen.observe(listing(&[]), start + QUIET, QUIET);
        assert_eq!(due, vec![]);
        seen.observe(listing(&[("a", 2)]), start + QUIET * 3 / 2, QUIET);
        let (due, _) = seen.observe(listing(&[("a", 2)]), start + QUIET * 3, QUIET);
        assert_eq!(due, vec![Event::Present("a".into())]);
    }

    #[test]
    fn a_removed_file_is_reported_once() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        seen.observe(listing(&[("a", 1)]), start, Duration::ZERO);
        seen.observe(listing(&[]), start, QUIET);
        let (due, _) = seen.observe(listing(&[]), start + QUIET, QUIET);
        assert_eq!(due, vec![Event::Gone("a".into())]);
        let (due, _) = seen.observe(listing(&[]), start + QUIET * 2, QUIET);
        assert_eq!(due, vec![]);
        assert!(seen.0.is_empty());
    }
}
