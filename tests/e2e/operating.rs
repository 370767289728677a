//! The command line beside a running host: what it serves, calls, reloads, the store out and in.

use std::process::Output;

use plugbay_tests::{Bed, Process, Sent, marked, plugbay};

/// A host in a process of its own, with its admin socket.
async fn serving() -> (Bed, Process) {
    let bed = Bed::new("");
    bed.install("trouble", &marked(1, 7));
    let process = Process::start(&bed).await;
    (bed, process)
}

async fn command(bed: &Bed, arguments: &[&str]) -> Output {
    plugbay(bed).args(arguments).output().await.unwrap()
}

async fn said(bed: &Bed, arguments: &[&str]) -> String {
    let output = command(bed, arguments).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_operator_sees_calls_and_reloads_plugins() {
    let (bed, process) = serving().await;
    assert!(said(&bed, &["plugins"]).await.contains("trouble"));
    assert_eq!(said(&bed, &["call", "trouble", "GET", "/label"]).await.trim(), "operator 7");
    assert!(!command(&bed, &["call", "trouble", "GET", "/nothing"]).await.status.success());
    // The same content again is a version of its own, and replaces the other without a gap.
    assert!(said(&bed, &["reload", "trouble"]).await.contains("serving"));
    assert_eq!(Sent::new("GET", "/trouble/label").to(process.address).await.text(), "7");
    // A file that is refused leaves what runs alone, and the command says why.
    std::fs::write(bed.plugin_file("trouble"), b"no component").unwrap();
    let refused = command(&bed, &["reload", "trouble"]).await;
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not WebAssembly"), "{refused:?}");
    assert_eq!(Sent::new("GET", "/trouble/label").to(process.address).await.text(), "7");
    process.terminate().await;
}

#[tokio::test]
async fn a_store_goes_out_as_lines_and_in_again() {
    let (bed, process) = serving().await;
    for key in ["a", "b"] {
        let put = Sent::new("PUT", &format!("/trouble/kv/{key}")).body(key).to(process.address).await;
        assert_eq!(put.status, 204);
    }
    // While it runs, and once more without it.
    let running = said(&bed, &["export"]).await;
    process.terminate().await;
    let stopped = said(&bed, &["export"]).await;
    assert!(running.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    let keys = |export: &str| export.lines().filter(|line| line.contains("\"key\"")).count();
    assert_eq!(keys(&running), keys(&stopped));

    let other = Bed::new("");
    other.install("trouble", &marked(1, 7));
    let file = other.path().join("export");
    std::fs::write(&file, &stopped).unwrap();
    said(&other, &["import", file.to_str().unwrap()]).await;
    let again = command(&other, &["import", file.to_str().unwrap()]).await;
    assert!(!again.status.success(), "a store that is not empty is left alone");
    // Blobs and the host's key belong to the store: they are copied with it.
    std::fs::copy(bed.path().join("data/host.key"), other.path().join("data/host.key")).unwrap();
    copy(&bed.path().join("data/blobs"), &other.path().join("data/blobs"));
    let process = Process::start(&other).await;
    assert_eq!(Sent::new("GET", "/trouble/kv/b").to(process.address).await.text(), "b");
    process.terminate().await;
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

#[tokio::test]
async fn an_import_that_breaks_off_leaves_nothing() {
    let (bed, process) = serving().await;
    assert_eq!(Sent::new("PUT", "/trouble/kv/a").body("1").to(process.address).await.status, 204);
    process.terminate().await;
    let export = said(&bed, &["export"]).await;
    let other = Bed::new("");
    let file = other.path().join("export");
    let half: String = export.lines().take(2).map(|line| format!("{line}\n")).collect();
    std::fs::write(&file, half).unwrap();
    assert!(!command(&other, &["import", file.to_str().unwrap()]).await.status.success());
    std::fs::write(&file, export).unwrap();
    said(&other, &["import", file.to_str().unwrap()]).await;
}
