//! What can be seen of the local engine only from inside: groups, what is in flight, failures, and
//! exports beside commits.

use std::panic;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc as blocking;

use bytes::Bytes;
use futures_util::future::{FutureExt, join_all};
use tokio::io::{AsyncReadExt, BufReader};
use tokio::sync::mpsc;

use super::conformance::{Factory, OnDisk, all, check, delete, put, value, write};
use super::local::{Backend, Local, Memory, Write};
use super::*;

/// Memory whose flushes are let through one by one, and which fails when told to.
#[derive(Default)]
struct Gated {
    memory: Memory,
    closed: AtomicBool,
    full: AtomicBool,
    panics: AtomicBool,
    halves: AtomicBool,
    flushes: AtomicU64,
    gate: parking_lot::Mutex<Option<mpsc::UnboundedSender<Flush>>>,
}

/// A flush that waits to be let through.
struct Flush(blocking::Sender<Result<(), StoreError>>);

impl Flush {
    fn succeed(self) {
        self.0.send(Ok(())).unwrap();
    }

    fn fail(self) {
        self.0.send(Err(StoreError::Failed("the disk is on fire".into()))).unwrap();
    }
}

impl Backend for Gated {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.memory.get(key)
    }

    fn scan(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
        reverse: bool,
        visit: &mut dyn FnMut(Bytes, Bytes) -> bool,
    ) -> Result<(), StoreError> {
        self.memory.scan(start, end, reverse, visit)
    }

    fn ready(&self) -> Result<(), StoreError> {
        if self.full.load(Ordering::SeqCst) { Err(StoreError::Full { free: 1 }) } else { Ok(()) }
    }

    fn apply(&self, mut batch: Vec<Write>) -> Result<(), StoreError> {
        if self.halves.load(Ordering::SeqCst) {
            batch.truncate(batch.len() / 2 + 1);
            self.memory.apply(batch)?;
            return Err(StoreError::Failed("told to stop half way".into()));
        }
        assert!(!self.panics.load(Ordering::SeqCst), "told to panic");
        self.memory.apply(batch)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.flushes.fetch_add(1, Ordering::SeqCst);
        if !self.closed.load(Ordering::SeqCst) {
            return Ok(());
        }
        let (let_through, wait) = blocking::channel();
        self.gate.lock().as_ref().unwrap().send(Flush(let_through)).ok();
        wait.recv().unwrap_or(Ok(()))
    }
}

/// A store over a gate that is open at first.
fn gated() -> (Store, Arc<Gated>, mpsc::UnboundedReceiver<Flush>) {
    let (sender, flushes) = mpsc::unbounded_channel();
    let backend = Arc::new(Gated::default());
    *backend.gate.lock() = Some(sender);
    let store = Store::new(Arc::new(Local::open(backend.clone()).unwrap()));
    (store, backend, flushes)
}

/// Hand in a commit and wait until its flush is held at the gate.
async fn in_flight(
    store: &Store,
    backend: &Gated,
    flushes: &mut mpsc::UnboundedReceiver<Flush>,
    commit: Commit,
) -> (tokio::task::JoinHandle<Result<u64, CommitError>>, Flush) {
    backend.closed.store(true, Ordering::SeqCst);
    let store = store.clone();
    let task = tokio::spawn(async move { store.commit(commit).await });
    (task, flushes.recv().await.unwrap())
}

async fn let_others_run() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// While a flush is held, every caller outside its group comes to wait in the queue, and the next
/// group takes all of them. So any two groups in a row hold 32 commits.
#[tokio::test]
async fn thirty_two_callers_share_flushes() {
    const CALLERS: u64 = 32;
    const EACH: u64 = 8;
    let (store, backend, mut flushes) = gated();
    let before = backend.flushes.load(Ordering::SeqCst);
    backend.closed.store(true, Ordering::SeqCst);
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..EACH {
                    store.commit(write([put(format!("{caller}/{n}"), "x")])).await.unwrap();
                }
            })
        })
        .collect();
    let callers = join_all(callers);
    tokio::pin!(callers);
    loop {
        tokio::select! {
            done = &mut callers => {
                done.into_iter().for_each(|caller| caller.unwrap());
                break;
            }
            flush = flushes.recv() => {
                let_others_run().await;
                flush.unwrap().succeed();
            }
        }
    }
    let count = backend.flushes.load(Ordering::SeqCst) - before;
    assert!(count <= CALLERS * EACH / 4, "{count} flushes");
    assert_eq!(store.metrics().groups.load(Ordering::Relaxed), count);
    assert_eq!(store.metrics().commits.load(Ordering::Relaxed), CALLERS * EACH);
    assert_eq!(all(&store).await.len() as u64, CALLERS * EACH);
}

#[tokio::test]
async fn nothing_is_acknowledged_before_the_flush() {
    let (store, backend, mut flushes) = gated();
    let (task, flush) = in_flight(&store, &backend, &mut flushes, write([put("a", "1")])).await;
    let_others_run().await;
    assert!(!task.is_finished());
    assert_eq!(store.revision(), 0);
    flush.succeed();
    assert_eq!(task.await.unwrap().unwrap(), 1);
    assert_eq!(store.revision(), 1);
}

#[tokio::test]
async fn reads_of_what_is_in_flight_wait_and_others_do_not() {
    let (store, backend, mut flushes) = gated();
    let charges = vec![Charge { counter: "c".into(), delta: 1, limit: 9 }];
    let quota = Some(Quota { prefix: "p/".into(), max_bytes: 100, max_keys: 100 });
    let first = [put("p/changed", "old"), put("p/gone", "old"), put("q/quiet", "old")];
    store.commit(Commit { quota, ..write(first) }).await.unwrap();
    let second = Commit { charges, ..write([put("p/changed", "new"), put("p/new", "new"), delete("p/gone")]) };
    let (task, flush) = in_flight(&store, &backend, &mut flushes, second).await;

    assert!(store.get(b"p/changed").now_or_never().is_none());
    assert!(store.get(b"p/new").now_or_never().is_none());
    assert!(store.get(b"p/gone").now_or_never().is_none(), "its absence could be taken back");
    assert!(store.usage(b"p/").now_or_never().is_none());
    assert!(store.usage(b"p").now_or_never().is_none(), "a count over the keys");
    assert!(store.counter(b"c").now_or_never().is_none());
    assert!(store.scan(Scan::prefix("p/")).now_or_never().is_none());
    let over_the_gap = Scan { start: "p/f".into(), end: Some("p/h".into()), ..Scan::prefix("p/") };
    assert!(store.scan(over_the_gap).now_or_never().is_none());

    assert!(store.get(b"q/quiet").now_or_never().unwrap().unwrap().is_some());
    assert!(store.get(b"q/absent").now_or_never().unwrap().unwrap().is_none());
    assert_eq!(store.usage(b"q/").now_or_never().unwrap().unwrap().keys, 1);
    assert_eq!(store.counter(b"d").now_or_never().unwrap().unwrap(), 0);
    let page = store.scan(Scan::prefix("q/")).now_or_never().unwrap().unwrap();
    assert_eq!((page.entries.len(), page.revision), (1, 1), "true before the group in flight");

    let reads =
        async { tokio::join!(value(&store, "p/changed"), value(&store, "p/gone"), store.scan(Scan::prefix("p/"))) };
    tokio::pin!(reads);
    assert!(futures_util::poll!(&mut reads).is_pending());
    flush.succeed();
    let (changed, gone, page) = reads.await;
    assert_eq!((changed, gone), (Some("new".into()), None));
    assert_eq!(page.unwrap().revision, 2);
    assert_eq!(task.await.unwrap().unwrap(), 2);
    assert!(store.metrics().waits.load(Ordering::Relaxed) > 0);
}

#[tokio::test]
async fn commits_of_one_group_see_each_other() {
    let (store, backend, mut flushes) = gated();
    let (blocker, flush) = in_flight(&store, &backend, &mut flushes, write([put("z", "")])).await;
    let quota = Some(Quota { prefix: "p/".into(), max_bytes: 8, max_keys: 9 });
    let group = [
        Commit { quota: quota.clone(), checks: vec![check("p/a", None)], ..write([put("p/a", "1")]) },
        Commit { quota: quota.clone(), checks: vec![check("p/a", None)], ..write([put("p/b", "1")]) },
        Commit { quota: quota.clone(), checks: vec![check("p/a", 2)], ..write([put("p/b", "1")]) },
        Commit { quota: quota.clone(), ..write([put("p/c", "")]) },
        Commit { quota, ..write([delete("p/a"), put("p/c", "")]) },
    ];
    let mut results = Box::pin(join_all(group.into_iter().map(|commit| store.commit(commit))));
    assert!(futures_util::poll!(&mut results).is_pending(), "all are in the queue, in this order");
    flush.succeed();
    blocker.await.unwrap().unwrap();
    flushes.recv().await.unwrap().succeed();
    let results: Vec<_> = results.await.into_iter().map(|result| result.map_err(|error| error.to_string())).collect();
    assert_eq!(results[0], Ok(2));
    assert!(results[1].as_ref().unwrap_err().contains("check 0"));
    assert_eq!(results[2], Ok(3));
    assert!(results[3].as_ref().unwrap_err().contains("quota"));
    assert_eq!(results[4], Ok(4));
    assert_eq!(store.metrics().groups.load(Ordering::Relaxed), 2);
    assert_eq!(store.usage(b"p/").await.unwrap(), Usage { bytes: 7, keys: 2 });
}

#[tokio::test]
async fn a_failed_flush_is_told_to_all_and_leaves_the_store_read_only() {
    let (store, backend, mut flushes) = gated();
    store.commit(write([put("safe", "1"), put("hit", "1")])).await.unwrap();
    let (task, flush) = in_flight(&store, &backend, &mut flushes, write([put("hit", "2")])).await;
    let mut reader = Box::pin(store.get(b"hit"));
    assert!(futures_util::poll!(&mut reader).is_pending());
    let mut queued = Box::pin(store.commit(write([put("later", "3")])));
    assert!(futures_util::poll!(&mut queued).is_pending());
    flush.fail();

    for refused in [task.await.unwrap(), queued.await, store.commit(write([put("later", "4")])).await] {
        let Err(CommitError::Failed(StoreError::Failed(reason))) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("on fire"), "{reason}");
    }
    assert!(reader.await.is_err(), "what may not be on the disk is not shown");
    assert!(store.get(b"hit").await.is_err());
    assert!(store.scan(Scan::prefix("h")).await.is_err());
    assert_eq!(value(&store, "safe").await.unwrap(), "1");
    assert_eq!(store.revision(), 1);
    assert!(matches!(store.health(), Health::ReadOnly(StoreError::Failed(_))));
    assert!(store.close().await.is_err());
}

#[tokio::test]
async fn a_batch_applied_half_is_never_shown() {
    let (store, backend, _flushes) = gated();
    store.commit(write([put("a", "1"), put("b", "1"), put("z", "1")])).await.unwrap();
    backend.halves.store(true, Ordering::SeqCst);
    store.commit(write([put("a", "2"), delete("b"), put("c", "2")])).await.unwrap_err();
    assert!(backend.memory.get(b"a").unwrap().unwrap().ends_with(b"2"), "it is there underneath");
    for key in ["a", "b", "c"] {
        assert!(matches!(store.get(key.as_bytes()).await, Err(StoreError::Failed(_))), "{key}");
    }
    assert!(store.scan(Scan::prefix(Bytes::new())).await.is_err());
    assert!(store.usage(b"a").await.is_err());
    assert!(store.export(&mut tokio::io::sink()).await.is_err());
    assert_eq!(store.scan(Scan::prefix("z")).await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn a_panic_of_the_backend_is_a_failure_and_not_a_hang() {
    let (store, backend, _flushes) = gated();
    store.commit(write([put("safe", "1")])).await.unwrap();
    backend.panics.store(true, Ordering::SeqCst);
    let quiet = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let refused = store.commit(write([put("a", "1")])).await;
    panic::set_hook(quiet);
    assert!(matches!(refused, Err(CommitError::Failed(StoreError::Failed(_)))), "{refused:?}");
    assert!(matches!(store.health(), Health::ReadOnly(_)));
    assert_eq!(value(&store, "safe").await.unwrap(), "1");
}

#[tokio::test]
async fn a_full_disk_refuses_commits_and_the_store_goes_on_when_there_is_room() {
    let (store, backend, _flushes) = gated();
    backend.full.store(true, Ordering::SeqCst);
    let refused = store.commit(write([put("a", "1")])).await;
    assert!(matches!(refused, Err(CommitError::Failed(StoreError::Full { .. }))), "{refused:?}");
    assert!(matches!(store.health(), Health::Ready));
    assert_eq!(value(&store, "a").await, None);
    backend.full.store(false, Ordering::SeqCst);
    assert_eq!(store.commit(write([put("a", "1")])).await.unwrap(), 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_its_commit() {
    let (store, backend, mut flushes) = gated();
    let (task, flush) = in_flight(&store, &backend, &mut flushes, write([put("a", "1")])).await;
    task.abort();
    flush.succeed();
    backend.closed.store(false, Ordering::SeqCst);
    assert_eq!(store.commit(write([put("b", "1")])).await.unwrap(), 2);
    assert_eq!(value(&store, "a").await.unwrap(), "1");
}

#[tokio::test]
async fn a_prefix_watch_older_than_the_log_wakes() {
    let (store, _backend, _flushes) = gated();
    for round in 0..50 {
        store.commit(write((0..100).map(|n| put(format!("other/{round}/{n}"), "")))).await.unwrap();
    }
    let watch = |seen| store.watch(vec![Watch::Prefix { prefix: "mine/".into(), seen }]);
    watch(1).await.unwrap();
    assert!(watch(store.revision()).now_or_never().is_none());
    assert!(watch(store.revision() - 20).now_or_never().is_none(), "the log still reaches back there");
}

#[tokio::test]
async fn an_export_shows_one_revision_while_commits_go_on() {
    let (store, _backend, _flushes) = gated();
    let quota = Some(Quota { prefix: "k".into(), max_bytes: 1 << 20, max_keys: 1 << 20 });
    for batch in 0..50 {
        let ops = (0..100).map(|n| put(format!("k{batch:02}{n:02}"), "old"));
        store.commit(Commit { quota: quota.clone(), ..write(ops) }).await.unwrap();
    }
    let (before, usage, revision) = (all(&store).await, store.usage(b"k").await.unwrap(), store.revision());
    let (mut out, mut file) = tokio::io::duplex(1024);
    let export = tokio::spawn({
        let store = store.clone();
        async move { store.export(&mut out).await.unwrap() }
    });
    let mut text = vec![0; 100];
    file.read_exact(&mut text).await.unwrap();
    let second = store.export(&mut tokio::io::sink()).await;
    assert!(matches!(second, Err(TransferError::Store(StoreError::ExportRunning))), "{second:?}");
    for batch in 0..50 {
        let ops = [
            put(format!("k{batch:02}50"), "new"),
            delete(format!("k{batch:02}51")),
            put(format!("k{batch:02}505"), "new"),
        ];
        store.commit(write(ops)).await.unwrap();
        store.commit(write([put(format!("k{batch:02}50"), "newer")])).await.unwrap();
    }
    file.read_to_end(&mut text).await.unwrap();
    assert_eq!(export.await.unwrap(), 5001, "entries and the measured prefix");

    let copy = gated().0;
    copy.import(&mut BufReader::new(&text[..])).await.unwrap();
    assert_eq!(all(&copy).await, before);
    assert_eq!((copy.usage(b"k").await.unwrap(), copy.revision()), (usage, revision));
    store.export(&mut tokio::io::sink()).await.unwrap();
}

#[tokio::test]
async fn an_export_overrun_by_writes_ends_and_holds_nobody_up() {
    let (store, _backend, _flushes) = gated();
    let rewrite = |round: u8| {
        let store = store.clone();
        async move {
            for n in 0..270 {
                store.commit(write([put(format!("k{n}"), vec![round; 250 * 1024])])).await.unwrap();
            }
        }
    };
    rewrite(1).await;
    let (mut out, mut file) = tokio::io::duplex(1024);
    let export = tokio::spawn({
        let store = store.clone();
        async move { store.export(&mut out).await }
    });
    file.read_exact(&mut [0; 100]).await.unwrap();
    rewrite(2).await;
    let mut nowhere = tokio::io::sink();
    let (copied, export) = tokio::join!(tokio::io::copy(&mut file, &mut nowhere), export);
    copied.unwrap();
    let ended = export.unwrap();
    assert!(matches!(ended, Err(TransferError::Store(StoreError::ExportOverrun))), "{ended:?}");
}

/// A small export, as text.
async fn small_export() -> String {
    let (store, _backend, _flushes) = gated();
    let quota = Some(Quota { prefix: "a".into(), max_bytes: 100, max_keys: 9 });
    let charges = vec![Charge { counter: "c".into(), delta: 3, limit: 9 }];
    store.commit(Commit { quota, charges, ..write([put("a", "1"), put("b", "22"), put("c", "")]) }).await.unwrap();
    let mut file = Vec::new();
    store.export(&mut file).await.unwrap();
    String::from_utf8(file).unwrap()
}

#[tokio::test]
async fn an_export_cut_off_anywhere_is_refused() {
    let file = small_export().await;
    for length in 0..file.len() {
        let store = gated().0;
        let result = store.import(&mut &file.as_bytes()[..length]).await;
        assert!(matches!(result, Err(TransferError::CutOff { .. })), "{length}: {result:?}");
    }
    assert_eq!(gated().0.import(&mut file.as_bytes()).await.unwrap(), 5);
}

#[tokio::test]
async fn an_export_that_was_tampered_with_is_refused_with_its_line() {
    let file = small_export().await;
    let lines: Vec<_> = file.lines().collect();
    let longer = "x".repeat(400 * 1024);
    for (number, line) in [
        (1, r#"{"plugbay-store":2,"revision":1}"#),
        (1, r#"{"plugbay-store":1,"revision":18446744073709551615}"#),
        (1, "{}"),
        (2, "not json"),
        (2, r#"{"counter":{"counter":"","value":3}}"#),
        (3, r#"{"prefix":"???"}"#),
        (4, r#"{"entry":{"key":"YQ==","value":"","version":2}}"#),
        (4, r#"{"entry":{"key":"YQ==","value":"","version":0}}"#),
        (4, r#"{"entry":{"key":"AGE=","value":"","version":1}}"#),
        (4, r#"{"entry":{"key":"YQ==","value":"","version":1,"more":1}}"#),
        (5, lines[3]),
        (5, lines[2]),
        (7, r#"{"end":{"lines":4}}"#),
        (5, &longer),
    ] {
        let mut changed = lines.clone();
        changed[number - 1] = line;
        let text = changed.join("\n") + "\n";
        let result = gated().0.import(&mut text.as_bytes()).await;
        let Err(TransferError::Malformed { line: found, .. }) = result else { panic!("{line}: {result:?}") };
        assert_eq!(found, number as u64, "{line}");
    }
    let result = gated().0.import(&mut (file.clone() + "{}\n").as_bytes()).await;
    assert!(matches!(result, Err(TransferError::Malformed { line: 8, .. })), "{result:?}");
}

#[tokio::test]
async fn a_store_half_imported_takes_no_commits_and_does_not_open() {
    let file = small_export().await;
    let factory = OnDisk::new();
    let store = factory.open();
    store.import(&mut &file.as_bytes()[..file.len() - 1]).await.unwrap_err();
    let refused = store.commit(write([put("a", "")])).await;
    assert!(matches!(refused, Err(CommitError::Failed(StoreError::Importing))), "{refused:?}");
    store.close().await.unwrap();
    drop(store);
    let config = StoreConfig { engine: EngineKind::Sled, path: factory.0.path().join("store"), cache: 1 << 20 };
    let refused = open(&config).err().unwrap();
    assert!(matches!(refused, OpenError::HalfImported), "{refused}");
}

#[tokio::test]
async fn a_directory_of_another_program_is_refused() {
    let foreign = Memory::default();
    foreign.apply(vec![(Bytes::from("theirs"), Some(Bytes::from("x")))]).unwrap();
    let refused = Local::open(foreign).err().unwrap();
    assert!(matches!(refused, OpenError::Format { found: 0 }), "{refused}");
}
