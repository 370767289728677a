//! Plankton on the real host, as its example configures it: over HTTP, and with the clients of its APIs.

use std::path::Path;
use std::sync::Arc;

use plugbay_tests::{Bed, Client, Sent, component, wait_until};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::Command;

const ANN: &str = "9a2e10a2-3d2c-4fd4-8bd9-0d9a4b1f7a01";

async fn serving() -> (Bed, String, String) {
    let mut bed = Bed::example("plankton");
    bed.install("plankton", &component("plankton"));
    let (ann, bob) = (bed.token("ann", &[]), bed.token("bob", &[]));
    bed.start().await;
    assert_eq!(bed.status("plankton").last_error, None);
    (bed, ann, bob)
}

fn sent(method: &str, path: &str, token: &str) -> Sent {
    Sent::new(method, path).header("x-auth-token", token)
}

#[tokio::test]
async fn an_object_becomes_an_image_and_is_shared() {
    let (bed, ann, bob) = serving().await;
    let object = "/object-store/v1/ann/pithos/disk.img";
    assert_eq!(bed.send(sent("PUT", "/object-store/v1/ann/pithos", &ann)).await.status, 201);
    let content: Vec<u8> = (0..5_000_000_u32).map(|number| (number % 251) as u8).collect();
    let put = bed
        .send(sent("PUT", object, &ann).header("content-type", "application/octet-stream").body(content.clone()))
        .await;
    assert_eq!(put.status, 201, "{}", put.text());
    // Register, list, look.
    let register = sent("POST", "/image/v1.0/images/", &ann)
        .header("x-image-meta-name", "Debian%20Desktop")
        .header("x-image-meta-location", "pithos://ann/pithos/disk.img")
        .header("x-image-meta-property-OS", "Debian");
    let registered = bed.send(register).await;
    assert_eq!(registered.status, 200, "{}", registered.text());
    let id = registered.header("x-image-meta-id").to_owned();
    let list =
        bed.send(sent("GET", "/image/v1.0/images/detail?sort_key=name&name=Debian%20Desktop", &ann)).await.json();
    assert_eq!(list[0]["id"], id.as_str());
    assert_eq!((list[0]["size"].as_u64(), list[0]["properties"]["os"].as_str()), (Some(5_000_000), Some("Debian")));
    let image = format!("/image/v1.0/images/{id}");
    let head = bed.send(sent("HEAD", &image, &ann)).await;
    assert_eq!((head.status.as_u16(), head.header("x-image-meta-name")), (200, "Debian%20Desktop"));
    // Another user: not before it is shared.
    assert_eq!(bed.send(sent("HEAD", &image, &bob)).await.status, 403);
    assert_eq!(bed.send(sent("PUT", &format!("{image}/members/bob"), &ann)).await.status, 204);
    assert_eq!(bed.send(sent("HEAD", &image, &bob)).await.status, 200);
    let members = bed.send(sent("GET", &format!("{image}/members"), &ann)).await.json();
    assert!(members["members"].as_array().unwrap().iter().any(|member| member["member_id"] == "bob"));
    // Update, and the object read back whole and in part by the one it was shared with.
    assert_eq!(bed.send(sent("PUT", &image, &ann).header("x-image-meta-name", "Other")).await.status, 200);
    assert!(bed.send(sent("GET", object, &bob)).await.body == content);
    let part = bed.send(sent("GET", object, &bob).header("range", "bytes=4194300-4194309")).await;
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &content[4_194_300..4_194_310]));
    // Unregister: the file stays.
    assert_eq!(bed.send(sent("DELETE", &image, &ann)).await.status, 204);
    assert_eq!(bed.send(sent("HEAD", &image, &ann)).await.status, 404);
    assert_eq!(bed.send(sent("HEAD", object, &ann)).await.status, 200);
}

#[tokio::test]
async fn faults_are_the_apis_own_json_whoever_makes_them() {
    let (bed, ann, _) = serving().await;
    let unauthorized = bed.get("/image/v1.0/images/").await;
    assert_eq!((unauthorized.status.as_u16(), &unauthorized.json()["unauthorized"]["code"]), (401, &401.into()));
    let bad = bed.send(sent("GET", "/image/v1.0/images/detail?sort_key=nope", &ann)).await;
    assert_eq!(bad.json()["badRequest"]["message"], "Invalid 'sort_key'");
    let wrong_digest = sent("PUT", "/object-store/v1/ann/pithos/x", &ann)
        .header("content-type", "text/plain")
        .header("etag", "00000000000000000000000000000000")
        .body("content");
    assert_eq!(bed.send(sent("PUT", "/object-store/v1/ann/pithos", &ann)).await.status, 201);
    assert_eq!(bed.send(wrong_digest).await.status, 422);
    assert_eq!(bed.send(sent("HEAD", "/object-store/v1/ann/pithos/x", &ann)).await.status, 404);
}

#[tokio::test]
async fn a_body_cut_off_leaves_no_object_and_no_block() {
    let (bed, ann, _) = serving().await;
    assert_eq!(bed.send(sent("PUT", "/object-store/v1/ann/box", &ann)).await.status, 201);
    let pieces = bed.path().join("data/blobs/pieces/plankton");
    for (method, path) in [("PUT", "/object-store/v1/ann/box/half"), ("POST", "/glance/v1/images")] {
        let mut stream = TcpStream::connect(bed.address()).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nx-auth-token: {ann}\r\ncontent-type: application/octet-stream\r\n\
             x-image-meta-name: half\r\nx-image-meta-disk_format: raw\r\nx-image-meta-container_format: bare\r\n\
             content-length: 20000000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![7; 9_000_000]).await.unwrap();
        wait_until("blocks are being kept", async || (count(&pieces) > 0).then_some(())).await;
        drop(stream);
        wait_until("they are gone", async || (count(&pieces) == 0).then_some(())).await;
    }
    assert_eq!(bed.send(sent("HEAD", "/object-store/v1/ann/box/half", &ann)).await.status, 404);
    assert_eq!(bed.send(sent("GET", "/glance/v1/images", &ann)).await.json()["images"], serde_json::json!([]));
    // The same data once more, with a wrong digest: refused, and nothing of it stays either.
    let wrong = sent("PUT", "/object-store/v1/ann/box/wrong", &ann)
        .header("content-type", "text/plain")
        .header("etag", "00000000000000000000000000000000")
        .body(vec![7; 5_000_000]);
    assert_eq!(bed.send(wrong).await.status, 422);
    wait_until("nothing stays of it", async || (count(&pieces) == 0).then_some(())).await;
}

/// Files below a directory.
fn count(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
}

#[tokio::test]
async fn blocks_that_nothing_uses_any_more_are_collected() {
    let mut bed = Bed::example("plankton");
    bed.change_config("collect_after = 3600", "collect_after = 0");
    bed.install("plankton", &component("plankton"));
    let ann = bed.token("ann", &[]);
    bed.start().await;
    let pieces = bed.path().join("data/blobs/pieces/plankton");
    let container = sent("PUT", "/object-store/v1/ann/box", &ann).header("x-container-policy-versioning", "none");
    assert_eq!(bed.send(container).await.status, 201);
    for body in ["one", "another"] {
        let put = sent("PUT", "/object-store/v1/ann/box/x", &ann).header("content-type", "text/plain").body(body);
        assert_eq!(bed.send(put).await.status, 201);
    }
    assert_eq!(count(&pieces), 2);
    // The collector comes by itself, twice: once to mark, once to drop.
    let start = std::time::Instant::now();
    while count(&pieces) > 1 {
        assert!(start.elapsed() < std::time::Duration::from_secs(90), "the collector did not come");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(bed.send(sent("GET", "/object-store/v1/ann/box/x", &ann)).await.text(), "another");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_register_and_update_and_no_update_is_lost() {
    const CLIENTS: usize = 32;
    const ROUNDS: usize = 10;
    let (bed, ann, _) = serving().await;
    assert_eq!(bed.send(sent("PUT", "/object-store/v1/ann/box", &ann)).await.status, 201);
    let shared = reserve(&bed, &ann, "shared").await;
    let (ann, shared, address) = (Arc::new(ann), Arc::new(shared), bed.address());
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let (ann, shared) = (ann.clone(), shared.clone());
        clients.spawn(async move {
            let mut client = Client::connect(address).await;
            for round in 0..ROUNDS {
                let path = format!("/object-store/v1/ann/box/{number}-{round}");
                let put = sent("PUT", &path, &ann).header("content-type", "text/plain").body("x");
                assert_eq!(client.send(put).await.unwrap().status, 201);
                let register = sent("POST", "/image/v1.0/images/", &ann)
                    .header("x-image-meta-name", &format!("{number}-{round}"))
                    .header("x-image-meta-location", &format!("pithos://ann/box/{number}-{round}"));
                assert_eq!(client.send(register).await.unwrap().status, 200);
            }
            // One image that all change at once, each a property of its own.
            let property = format!("x-image-meta-property-by{number}");
            let update = sent("PUT", &format!("/glance/v1/images/{shared}"), &ann)
                .header("x-glance-registry-purge-props", "false")
                .header(&property, "here");
            assert_eq!(client.send(update).await.unwrap().status, 200);
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    let list = bed.send(sent("GET", "/image/v1.0/images/", &ann)).await.json();
    assert_eq!(list.as_array().unwrap().len(), CLIENTS * ROUNDS + 1);
    let head = bed.send(sent("HEAD", &format!("/glance/v1/images/{shared}"), &ann)).await;
    let missing: Vec<_> =
        (0..CLIENTS).filter(|number| head.header(&format!("x-image-meta-property-by{number}")) != "here").collect();
    assert_eq!(missing, Vec::<usize>::new(), "of {CLIENTS} updates");
}

async fn reserve(bed: &Bed, token: &str, name: &str) -> String {
    let answer = bed.send(sent("POST", "/glance/v1/images", token).header("x-image-meta-name", name)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["image"]["id"].as_str().unwrap().to_owned()
}

/// Whether this Python has a module; under CI what can be installed has to be.
async fn has(python: &mut Command, module: &str, required: bool) -> bool {
    let found = python.args(["-c", &format!("import {module}")]).output().await;
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!(required && ci), "{module} is installable and has to be there under CI");
        println!("skipped: no Python has {module}");
    }
    found
}

/// Run a script of `clients/`; it says at its end that all is well.
async fn run(python: &mut Command, script: &str, arguments: &[&str]) {
    let script = format!("{}/clients/{script}", env!("CARGO_MANIFEST_DIR"));
    let output = python.arg(script).args(arguments).output().await.unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("all well"), "{out}\n{error}");
}

#[tokio::test]
async fn python_swiftclient_puts_lists_gets_and_deletes() {
    if has(&mut Command::new("python3"), "swiftclient", true).await {
        let (bed, ann, _) = serving().await;
        let url = format!("http://{}/object-store/v1/ann", bed.address());
        run(&mut Command::new("python3"), "swift.py", &[&url, &ann]).await;
    }
}

#[tokio::test]
async fn python_glanceclient_creates_lists_shares_and_deletes() {
    if has(&mut Command::new("python3"), "glanceclient", true).await {
        let (bed, ann, bob) = serving().await;
        run(&mut Command::new("python3"), "glance.py", &[&format!("http://{}/glance", bed.address()), &ann, &bob])
            .await;
    }
}

/// kamaki has no release for Python 3: a Python 2.7 by itself or of pyenv, with kamaki in `target/kamaki` or its own.
#[tokio::test]
async fn kamaki_uploads_registers_and_shares() {
    let packages = plugbay_tests::target().join("kamaki");
    let python = || {
        let mut command = Command::new("python2.7");
        if !Path::new("/usr/bin/python2.7").exists() {
            command = Command::new("pyenv");
            command.args(["exec", "python"]).env("PYENV_VERSION", "2.7.18");
        }
        command.env("PYTHONPATH", &packages);
        command
    };
    // `print 1` is no Python 3: a `python` of another version does not count.
    let two = python().args(["-c", "print 1"]).output().await.is_ok_and(|output| output.status.success());
    if !two || !has(&mut python(), "kamaki", false).await {
        println!("skipped: there is no Python 2.7 with kamaki");
        return;
    }
    let mut bed = Bed::example("plankton");
    bed.install("plankton", &component("plankton"));
    let (ann, bob) = (bed.token(ANN, &[]), bed.token("bob", &[]));
    bed.start().await;
    let (root, program) = (format!("http://{}", bed.address()), packages.join("bin/kamaki"));
    let program = program.to_str().unwrap();
    run(&mut python(), "synnefo.py", &[&root, program, ANN, &ann, "bob", &bob]).await;
}
