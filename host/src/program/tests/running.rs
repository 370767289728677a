//! Running to completion, and what a confined program can reach.

use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

use super::*;

#[tokio::test]
async fn output_status_and_input_are_passed() {
    let place = Place::new();
    let programs = place.open();
    let arguments = args(&["-c", "cat; echo wrong >&2; exit 3"]);
    let output = programs.run("sh", &arguments, b"hello".to_vec(), soon()).await.unwrap();
    assert_eq!(output, Output { status: Some(3), signal: None, stdout: b"hello".into(), stderr: b"wrong\n".into() });
    let output = shell(&programs, "kill -9 $$").await;
    assert_eq!((output.status, output.signal), (None, Some(9)));
}

#[tokio::test]
async fn fixed_arguments_come_first() {
    let place = Place::new().with("sh", |sh| sh.arguments = args(&["-c", "echo $0 $1"]));
    let output = place.open().run("sh", &args(&["a", "b"]), Vec::new(), soon()).await.unwrap();
    assert_eq!(text(&output.stdout), "a b");
}

#[tokio::test]
async fn what_is_not_listed_is_refused() {
    let place = Place::new();
    let programs = place.open();
    let error = programs.run("/bin/sh", &[], Vec::new(), soon()).await.unwrap_err();
    assert!(matches!(error, ProgramError::Unlisted(_)), "{error}");
    let error = programs.start("x", "bash", &[]).await.unwrap_err();
    assert!(matches!(error, ProgramError::Unlisted(_)), "{error}");
}

#[tokio::test]
async fn arguments_and_input_are_bounded() {
    let place = Place::new();
    let programs = place.open();
    for (arguments, stdin) in [
        (vec!["a\0b".to_owned()], 0),
        (vec!["x".repeat(ARGUMENT_BYTES + 1)], 0),
        (vec![String::new(); ARGUMENTS + 1], 0),
        (Vec::new(), STDIN + 1),
    ] {
        let error = programs.run("env", &arguments, vec![0; stdin], soon()).await.unwrap_err();
        assert!(matches!(error, ProgramError::Invalid(_)), "{error}");
    }
}

#[tokio::test]
async fn the_environment_is_cleared() {
    let place = Place::new();
    let output = place.open().run("env", &[], Vec::new(), soon()).await.unwrap();
    let lines = text(&output.stdout);
    let mut names: Vec<_> = lines.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LANG", "PATH", "TMPDIR"]);
}

#[tokio::test]
async fn descriptors_are_closed() {
    let place = Place::new().with("ls", |ls| ls.read = vec!["/proc".into()]);
    // One that would be inherited.
    let open = std::fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty()).unwrap();
    let output = place.open().run("ls", &args(&["/proc/self/fd"]), Vec::new(), soon()).await.unwrap();
    let listed = text(&output.stdout);
    let fds: Vec<_> = listed.split_whitespace().collect();
    // The last is the directory that is being listed.
    assert_eq!(fds, ["0", "1", "2", "3"], "{}", text(&output.stderr));
    assert!(open.as_raw_fd() > 2);
}

#[tokio::test]
async fn outputs_are_bounded_and_drained() {
    let place = Place::new();
    let programs = place.open();
    let output = shell(&programs, "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; echo e >&2; i=$((i+1)); done; exit 7").await;
    assert_eq!((output.status, output.stdout.len()), (Some(7), KEPT));
    assert_eq!(output.stderr.len(), 6000);
}

#[tokio::test]
async fn input_that_nobody_reads_does_no_harm() {
    let place = Place::new();
    let programs = place.open();
    let output = programs.run("sh", &args(&["-c", "exit 0"]), vec![b'x'; STDIN], soon()).await.unwrap();
    assert_eq!(output.status, Some(0));
}

/// A shell that starts a shell in the background, another in a session of its own, and waits.
const TREE: &str =
    "echo $$ >pids; (echo $(sh -c 'echo $PPID') >>pids; exec sleep 1000) & setsid sleep 1000 & echo $! >>pids; wait";

fn pids(place: &Place) -> Vec<u32> {
    let text = std::fs::read_to_string(place.directory().join("pids")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_deadline_the_whole_tree_is_killed() {
    let place = Place::new();
    let programs = place.open();
    let deadline = Instant::now() + Duration::from_secs(2);
    let error = programs.run("sh", &args(&["-c", TREE]), Vec::new(), deadline).await.unwrap_err();
    assert!(matches!(error, ProgramError::Timeout), "{error}");
    let pids = pids(&place);
    assert_eq!(pids.len(), 3);
    assert!(!is_there(pids[0]), "the leader is a zombie or runs");
    // The others were adopted by the init process, which reaps them.
    wait_until(|| pids.iter().all(|pid| identity::stat(*pid as i32).is_none_or(|stat| stat.zombie))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_kills_it() {
    let place = Place::new();
    let programs = place.open();
    let arguments = args(&["-c", TREE]);
    let run = programs.run("sh", &arguments, Vec::new(), soon());
    let _ = tokio::time::timeout(Duration::from_secs(1), run).await.unwrap_err();
    wait_until(|| pids(&place).len() == 3).await;
    let leader = pids(&place)[0];
    wait_until(|| !is_there(leader)).await;
}

#[tokio::test]
async fn what_it_leaves_in_the_background_ends_with_it() {
    let place = Place::new();
    let output = shell(&place.open(), "sleep 1000 & echo $!").await;
    let pid: i32 = text(&output.stdout).parse().unwrap();
    wait_until(|| identity::stat(pid).is_none_or(|stat| stat.zombie)).await;
}

#[tokio::test]
async fn it_is_in_a_session_of_its_own_without_new_privileges() {
    let place = Place::new().with("sh", |sh| sh.read = vec!["/proc".into()]);
    let output =
        shell(&place.open(), "cat /proc/self/status; cat /proc/self/limits; cat /proc/$$/stat; umask; pwd").await;
    let printed = text(&output.stdout);
    assert!(printed.contains("NoNewPrivs:\t1"), "{printed}");
    let limit = |name: &str| printed.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(limit("Max open files").contains("4096"));
    assert!(limit("Max core file size").contains(" 0 "));
    assert!(limit("Max address space").contains("4294967296"));
    assert!(limit("Max processes").contains("1024"));
    let stat = printed.lines().find(|line| line.contains("(sh)")).unwrap();
    let stat = identity::parse_stat(stat.as_bytes()).unwrap();
    assert_eq!(stat.session, stat.pid);
    assert!(printed.contains("0077"));
    assert!(printed.ends_with(&*place.directory().canonicalize().unwrap().to_string_lossy()));
}

#[tokio::test]
async fn files_outside_are_out_of_reach() {
    let place = Place::new();
    let secret = place.root.path().join("secret");
    std::fs::write(&secret, "hidden").unwrap();
    std::os::unix::fs::symlink(&secret, place.directory().join("link")).unwrap();
    let programs = place.open();
    for line in [
        format!("cat {}", secret.display()),
        "cat link".to_owned(),
        "cat ../secret".to_owned(),
        "cat /etc/shadow".to_owned(),
        format!("ls {}", place.root.path().display()),
        format!("ls {}/state", place.root.path().display()),
        format!("echo x >{}/new", place.root.path().display()),
        "echo x >/usr/new".to_owned(),
        format!("echo x >>{}", secret.display()),
        "ls /proc".to_owned(),
    ] {
        let output = shell(&programs, &line).await;
        assert_ne!(output.status, Some(0), "{line}");
        assert_eq!(text(&output.stdout), "", "{line}");
        assert!(text(&output.stderr).contains("ermission denied"), "{line}: {}", text(&output.stderr));
    }
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "hidden");
    let output = shell(&programs, "echo x >mine && cat mine && echo y >/dev/null && cat /etc/passwd >/dev/null").await;
    assert_eq!((output.status, text(&output.stdout)), (Some(0), "x".into()), "{}", text(&output.stderr));
}

#[tokio::test]
async fn only_listed_programs_are_executed() {
    let place = Place::new();
    let own = place.directory().join("own");
    std::fs::copy("/usr/bin/env", &own).unwrap();
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o755)).unwrap();
    let programs = place.open();
    for line in ["/usr/bin/env", "./own"] {
        let output = shell(&programs, line).await;
        assert_eq!(output.status, Some(126), "{line}: {}", text(&output.stderr));
    }
}

#[tokio::test]
async fn what_the_operator_lists_is_reachable() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("a"), "a").unwrap();
    let place = Place::new().with("sh", |sh| sh.read = vec![outside.path().into()]);
    let line = format!("cat {0}/a; echo x >{0}/b", outside.path().display());
    let output = shell(&place.open(), &line).await;
    assert_eq!((text(&output.stdout), output.status), ("a".into(), Some(2)));
    let place = place.with("sh", |sh| sh.write = vec![outside.path().into()]);
    assert_eq!(shell(&place.open(), &line).await.status, Some(0));
    let place = place.with("sh", |sh| sh.write = vec!["/nowhere/at/all".into()]);
    let error = place.open().run("sh", &[], Vec::new(), soon()).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
}

#[tokio::test]
async fn without_confinement_only_permissions_count() {
    let place = Place::new().with("sh", |sh| sh.confine = Confine::None);
    std::fs::write(place.root.path().join("open"), "seen").unwrap();
    assert_eq!(text(&shell(&place.open(), "cat ../open").await.stdout), "seen");
}

#[tokio::test]
async fn signals_do_not_reach_processes_outside() {
    let place = Place::new();
    let output = shell(&place.open(), &format!("kill -0 {}", std::process::id())).await;
    // Landlock restricts signals from ABI 6 on, that is from Linux 6.12.
    if landlock::ABI::V6 <= landlock_abi() {
        assert_ne!(output.status, Some(0));
    }
}

fn landlock_abi() -> landlock::ABI {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (6, 12) { landlock::ABI::V6 } else { landlock::ABI::V1 }
}

#[tokio::test]
async fn another_user_and_its_failure() {
    let place = Place::new()
        .with("sh", |sh| sh.user = Some("12345:54321".into()))
        .with("sh", |sh| sh.read = vec!["/proc".into()]);
    std::fs::set_permissions(place.root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let run = place.open().run("sh", &args(&["-c", "cat /proc/self/status"]), Vec::new(), soon()).await;
    if rustix::process::geteuid().is_root() {
        let printed = text(&run.unwrap().stdout);
        assert!(printed.contains("Uid:\t12345\t12345\t12345\t12345"), "{printed}");
        assert!(printed.contains("Gid:\t54321\t54321\t54321\t54321"), "{printed}");
        assert!(printed.contains("CapEff:\t0000000000000000"), "{printed}");
    } else {
        let error = run.unwrap_err().to_string();
        assert!(error.contains("the user"), "{error}");
    }
}

#[tokio::test]
async fn it_is_in_the_network_namespace_of_its_entry() {
    let mut other = std::process::Command::new("/usr/bin/unshare").args(["-n", "/bin/sleep", "1000"]).spawn().unwrap();
    let namespace = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/net"));
    let own = namespace(std::process::id()).unwrap();
    let unshared = || namespace(other.id()).is_ok_and(|other| other != own);
    if rustix::process::geteuid().is_root() {
        wait_until(unshared).await;
        let place = Place::new().with("cat", |cat| {
            cat.network_namespace = Some(format!("/proc/{}/ns/net", other.id()));
            cat.read = vec!["/proc".into()];
        });
        let output = place.open().run("cat", &args(&["/proc/self/net/dev"]), Vec::new(), soon()).await.unwrap();
        let printed = text(&output.stdout);
        // Two lines of headings, and a loopback interface that nothing has used.
        assert!(
            printed.lines().any(|line| line.trim().starts_with("lo:") && !line.contains(|c| ('1'..='9').contains(&c))),
            "{printed}"
        );
    }
    let _ = other.kill();
    other.wait().unwrap();
}

#[tokio::test]
async fn a_failure_before_exec_says_which_step() {
    let place = Place::new().with("sh", |sh| sh.network_namespace = Some("/dev/null".into()));
    let error = place.open().run("sh", &[], Vec::new(), soon()).await.unwrap_err().to_string();
    assert!(error.contains("the network namespace"), "{error}");
    let error = place.open().start("x", "sh", &[]).await.unwrap_err().to_string();
    assert!(error.contains("the network namespace"), "{error}");
    assert_eq!(
        std::fs::read_dir(place.folder())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|ext| ext == "json"))
            .count(),
        0
    );
}

#[test]
fn entries_are_checked() {
    let place = Place::new();
    let refused = |program: Program| {
        let entries = [("p".to_owned(), program)].into();
        Programs::open("test", &place.directory(), &place.folder(), &entries).err().unwrap().to_string()
    };
    for (wrong, expected) in [
        (entry("bin/sh"), "path: bin/sh is not absolute"),
        (entry("/no/such/file"), "path: /no/such/file: No such file"),
        (entry("/etc/passwd"), "not an executable file"),
        (Program { execute: args(&["other"]), ..entry("/bin/sh") }, "neither a listed program nor an absolute path"),
        (Program { read: vec!["x".into()], ..entry("/bin/sh") }, "read: x is not absolute"),
        (Program { user: Some("no-such-user".into()), ..entry("/bin/sh") }, "is not in /etc/passwd"),
        (Program { user: Some("1:x".into()), ..entry("/bin/sh") }, "not uid:gid"),
        (Program { network_namespace: Some("a/b".into()), ..entry("/bin/sh") }, "neither a name nor absolute"),
    ] {
        let error = refused(wrong);
        assert!(error.starts_with("program \"p\": ") && error.contains(expected), "{error}");
    }
    let inside = place.directory().join("state");
    assert!(Programs::open("test", &place.directory(), &inside, &BTreeMap::new()).is_err());
    assert_eq!(config::find_user("b", "a:x:1:2::\nb:x:3:4::\n"), Ok((3, 4)));
}

#[test]
fn an_entry_is_read_with_its_defaults() {
    let program: Program = serde_json::from_str(r#"{"path": "/bin/sh", "limits": {"memory": "1GiB"}}"#).unwrap();
    assert_eq!(program.confine, Confine::Landlock);
    assert_eq!((program.limits.files, program.limits.memory.get()), (4096, 1 << 30));
    assert!(serde_json::from_str::<Program>(r#"{"path": "/bin/sh", "users": "x"}"#).is_err());
}
