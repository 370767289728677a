//! Programs that outlive the host: starting, watching, adopting, stopping.

use super::*;

async fn started(programs: &Programs, name: &str, line: &str) -> u32 {
    programs.start(name, "sh", &args(&["-c", line])).await.unwrap()
}

fn exited(status: Option<i32>, signal: Option<i32>) -> Option<State> {
    Some(State::Exited(Exit { status, signal }))
}

#[tokio::test]
async fn an_end_is_told_until_it_is_acknowledged() {
    let place = Place::new();
    let programs = place.open();
    let mut watch = programs.watch();
    assert_eq!(programs.status("a"), None);
    let pid = started(&programs, "a", "exit 5").await;
    let ended = watch.next().await.unwrap();
    assert_eq!((ended.name.as_str(), ended.pid, ended.exit), ("a", pid, Exit { status: Some(5), signal: None }));
    assert_eq!(programs.status("a"), exited(Some(5), None));
    assert!(!is_there(pid), "a zombie");
    drop(programs);
    assert_eq!(watch.next().await, None);

    let programs = place.open();
    let adopted = programs.adopt().await.unwrap();
    assert_eq!(adopted.ended, ["a"]);
    let again = programs.watch().next().await.unwrap();
    assert_eq!(again, ended);
    programs.acknowledge(&again).await.unwrap();
    assert_eq!(programs.status("a"), exited(Some(5), None));
    assert_eq!(place.open().adopt().await.unwrap(), Adopted::default());
}

#[tokio::test]
async fn signals_reach_it_and_a_name_is_one_process() {
    let place = Place::new();
    let programs = place.open();
    let mut watch = programs.watch();
    let pid = started(&programs, "a", "trap 'exit 4' USR2; echo ready; while :; do sleep 0.01; done").await;
    assert_eq!(programs.status("a"), Some(State::Running(pid)));
    let error = programs.start("a", "sh", &[]).await.unwrap_err();
    assert!(matches!(error, ProgramError::Invalid(_)), "{error}");
    while programs.printed("a", 100).await.unwrap() != b"ready\n" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(programs.signal("a", 0), Err(ProgramError::Invalid(_))));
    assert!(matches!(programs.signal("b", 12), Err(ProgramError::NotFound(_))));
    programs.signal("a", 12).unwrap();
    assert_eq!(watch.next().await.unwrap().exit.status, Some(4));
    assert!(matches!(programs.signal("a", 12), Err(ProgramError::NotFound(_))));
    started(&programs, "a", "exit 0").await;
    assert_eq!(watch.next().await.unwrap().exit.status, Some(0));
}

#[tokio::test]
async fn stop_asks_and_then_kills_all_of_it() {
    let place = Place::new();
    let programs = place.open();
    let pid = programs.start("polite", "sleep", &args(&["1000"])).await.unwrap();
    programs.stop("polite", Duration::from_secs(20)).await.unwrap();
    assert_eq!(programs.status("polite"), exited(None, Some(15)));
    assert!(!is_there(pid));
    programs.stop("polite", Duration::ZERO).await.unwrap();

    let pid = started(&programs, "deaf", "trap '' TERM; sleep 1000 & echo $!; while :; do sleep 0.01; done").await;
    let mut child = String::new();
    while child.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
        child = text(&programs.printed("deaf", 100).await.unwrap());
    }
    programs.stop("deaf", Duration::from_millis(50)).await.unwrap();
    assert_eq!(programs.status("deaf"), exited(None, Some(9)));
    assert!(!is_there(pid));
    let child: i32 = child.parse().unwrap();
    wait_until(|| identity::stat(child).is_none_or(|stat| stat.zombie)).await;
    assert!(matches!(programs.stop("never", Duration::ZERO).await, Err(ProgramError::NotFound(_))));
}

#[tokio::test]
async fn it_survives_the_host_and_is_adopted() {
    let place = Place::new();
    let programs = place.open();
    let pid = programs.start("a", "sleep", &args(&["1000"])).await.unwrap();
    drop(programs);
    assert!(is_there(pid));
    let programs = place.open();
    assert_eq!(programs.status("a"), None);
    assert_eq!(programs.adopt().await.unwrap().running, ["a"]);
    assert_eq!(programs.status("a"), Some(State::Running(pid)));
    let mut watch = programs.watch();
    programs.stop("a", Duration::from_secs(20)).await.unwrap();
    assert_eq!(watch.next().await.unwrap().name, "a");
    wait_until(|| !is_there(pid)).await;
}

#[test]
fn it_survives_the_end_of_the_runtime() {
    let place = Place::new();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pid = runtime().block_on(async { place.open().start("a", "sleep", &args(&["1000"])).await.unwrap() });
    assert!(identity::stat(pid as i32).is_some_and(|stat| !stat.zombie));
    runtime().block_on(async {
        let programs = place.open();
        assert_eq!(programs.adopt().await.unwrap().running, ["a"]);
        programs.stop("a", Duration::from_secs(20)).await.unwrap();
        // Nobody else reaped it: the status is known.
        assert_eq!(programs.status("a"), exited(None, Some(15)));
        assert!(!is_there(pid));
    });
}

/// Rewrite the record of a running program.
fn tamper(place: &Place, change: impl FnOnce(&mut state::Record)) {
    let mut found = state::read_all(&place.folder()).unwrap();
    let (name, mut record) = found.records.pop().unwrap();
    change(&mut record);
    state::write(&place.folder(), &name, &record).unwrap();
}

#[tokio::test]
async fn another_process_with_the_number_is_left_alone() {
    let place = Place::new();
    let programs = place.open();
    let pid = programs.start("a", "sleep", &args(&["1000"])).await.unwrap();
    for change in
        [|record: &mut state::Record| record.started -= 1, |record: &mut state::Record| record.boot = "x".into()]
    {
        tamper(&place, change);
        let other = place.open();
        let adopted = other.adopt().await.unwrap();
        assert_eq!((adopted.running.len(), adopted.ended), (0, vec!["a".to_owned()]));
        assert_eq!(other.watch().next().await.unwrap().exit, Exit::default());
        assert!(matches!(other.signal("a", 15), Err(ProgramError::NotFound(_))));
        other.stop("a", Duration::ZERO).await.unwrap();
        assert_eq!(programs.status("a"), Some(State::Running(pid)));
        tamper(&place, |record| {
            record.started = identity::stat(pid as i32).unwrap().started;
            record.ended = None;
        });
    }
    programs.stop("a", Duration::from_secs(20)).await.unwrap();
}

#[tokio::test]
async fn torn_and_missing_records_do_no_harm() {
    let place = Place::new();
    let programs = place.open();
    programs.start("a", "sleep", &args(&["1000"])).await.unwrap();
    programs.start("b", "sleep", &args(&["1000"])).await.unwrap();
    let whole = std::fs::read(place.folder().join("a.json")).unwrap();
    std::fs::write(place.folder().join("a.json"), &whole[..whole.len() / 2]).unwrap();
    std::fs::remove_file(place.folder().join("b.json")).unwrap();
    std::fs::write(place.folder().join(".c.new"), &whole).unwrap();
    let adopted = place.open().adopt().await.unwrap();
    assert_eq!(adopted, Adopted { unreadable: vec!["a".into()], ..Adopted::default() });
    for name in ["a", "b"] {
        programs.stop(name, Duration::from_secs(20)).await.unwrap();
        assert_eq!(programs.status(name), exited(None, Some(15)));
    }
}

#[tokio::test]
async fn names_cannot_be_paths() {
    let place = Place::new();
    let programs = place.open();
    for name in ["", ".", "..", "../x", "a/b", ".hidden", "a b", "ü", &"x".repeat(101)] {
        let error = programs.start(name, "sleep", &[]).await.unwrap_err();
        assert!(matches!(error, ProgramError::Invalid(_)), "{name}: {error}");
    }
}

#[tokio::test]
async fn printed_output_is_cut() {
    let place = Place::new();
    let programs = place.open();
    let line = "while :; do echo 0123456789012345678901234567890123456789012345678901234567890123456789; done";
    started(&programs, "a", line).await;
    let previous = place.folder().join("a.log.1");
    wait_until(|| previous.exists()).await;
    programs.stop("a", Duration::from_secs(1)).await.unwrap();
    assert!(std::fs::metadata(&previous).unwrap().len() <= output::MOST / 2);
    // It appends, so that the file does not start with a hole.
    output::cut(&place.folder(), "a").unwrap();
    let rest = programs.printed("a", output::MOST).await.unwrap();
    assert!(!rest.contains(&0));
}

#[tokio::test]
async fn a_start_nobody_waits_for_is_finished() {
    let place = Place::new();
    let programs = place.open();
    let arguments = args(&["1000"]);
    let mut start = Box::pin(programs.start("a", "sleep", &arguments));
    let _ = futures_util::poll!(start.as_mut());
    drop(start);
    wait_until(|| programs.status("a").is_some()).await;
    programs.stop("a", Duration::from_secs(20)).await.unwrap();
}

#[tokio::test]
async fn a_program_that_cannot_be_executed_leaves_nothing() {
    let place = Place::new();
    let broken = place.root.path().join("broken");
    std::fs::write(&broken, "no program").unwrap();
    std::fs::set_permissions(&broken, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let place = place.with("sh", |sh| sh.path = broken);
    let programs = place.open();
    let error = programs.start("a", "sh", &[]).await.unwrap_err();
    assert!(matches!(error, ProgramError::Failed(_)), "{error}");
    assert_eq!(programs.status("a"), None);
    assert_eq!(programs.adopt().await.unwrap(), Adopted::default());
}

/// What the next test runs as a process of its own, and kills.
async fn be_the_host(root: &Path) {
    let entries = Place::new().entries;
    let programs = Programs::open("test", &root.join("private"), &root.join("state"), &entries).unwrap();
    programs.start("a", "sleep", &args(&["1000"])).await.unwrap();
    let line = args(&["-c", "echo $$ >running; exec sleep 1000"]);
    let _ = programs.run("sh", &line, Vec::new(), Instant::now() + Duration::from_secs(1000)).await;
}

#[tokio::test]
async fn a_killed_host_leaves_what_it_started_and_nothing_that_it_ran() {
    if let Some(root) = std::env::var_os(PLACE) {
        return be_the_host(Path::new(&root)).await;
    }
    let place = Place::new();
    let mut host = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "program::tests::life::a_killed_host_leaves_what_it_started_and_nothing_that_it_ran"])
        .env(PLACE, place.root.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let running = || std::fs::read_to_string(place.directory().join("running")).unwrap_or_default().trim().parse().ok();
    wait_until(|| running().is_some()).await;
    host.kill().unwrap();
    host.wait().unwrap();
    let ran: i32 = running().unwrap();
    wait_until(|| identity::stat(ran).is_none_or(|stat| stat.zombie)).await;
    let programs = place.open();
    assert_eq!(programs.adopt().await.unwrap().running, ["a"]);
    let mut watch = programs.watch();
    programs.stop("a", Duration::from_secs(20)).await.unwrap();
    // Not a child of this host: how it ended is not known.
    assert_eq!(watch.next().await.unwrap().exit, Exit::default());
}
