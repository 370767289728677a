//! What was published: a version of the contract is not edited any more, and a plugin that was built against it is served
//! by every later host.
//!
//! `tests/contract` holds, for each published version, its text without comments, a component that uses all of it (the
//! guest `witness`, as it was built then), and what that answers.

use plugbay_tests::{Answer, Bed, Sent, component, wait_until};

const PUBLISHED: &str = include_str!("../contract/1.0.0.wit");
const WITNESS: &[u8] = include_bytes!("../contract/1.0.0.wasm");
const ANSWERS: &str = include_str!("../contract/1.0.0.txt");

/// The contract as it stands, without comments and empty lines.
fn contract() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut text = String::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        text.push_str(&format!("// {name}\n"));
        let content = std::fs::read_to_string(&file).unwrap();
        for line in content.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//")) {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

#[test]
fn a_published_contract_is_not_edited() {
    let now = contract();
    let differ = now.lines().zip(PUBLISHED.lines()).find(|(now, then)| now != then);
    assert_eq!(differ, None, "plugins were built against it: a change is a new version, served beside this one");
    assert_eq!(now.lines().count(), PUBLISHED.lines().count());
}

/// Everything that is granted, and nothing listed that could be reached with it.
async fn served(wasm: &[u8]) -> Bed {
    let more = "[plugin.witness]\nmounts = [{ path = \"/w\", auth = \"none\" }]\nconfig = { a = 1 }\n\
                grants = [\"filesystem\", \"http-client\", \"process\", \"secrets\", \"system\", \"udp\"]\n";
    Bed::serving("witness", wasm, more).await
}

/// What it answers, a paragraph for each request.
async fn answers(bed: &Bed) -> String {
    let mut told = String::new();
    let mut tell = |request: &str, answer: &Answer| {
        // The words of the host's own refusals are no part of the contract; that there are some is.
        let refused = serde_json::from_str::<serde_json::Value>(answer.text());
        let detail = refused.ok().and_then(|body| Some(body["detail"].as_str()?.to_owned()));
        let body = answer.text().replace(detail.as_deref().unwrap_or("\0"), "0");
        told.push_str(&format!("{request}: {} {}\n{}\n\n", answer.status, answer.header("x-witness"), body.trim_end()));
    };
    for (method, path, body) in [
        ("GET", "/w/imports", ""),
        ("PUT", "/w/body/a%20b?q=1", "from memory"),
        ("GET", "/w/more", ""),
        ("GET", "/w/park", ""),
        ("POST", "/w/receive", &"x".repeat(10_000)),
        ("GET", "/w/fail", ""),
        ("GET", "/w/user/a/b/", ""),
        ("GET", "/w/rule/", ""),
        ("GET", "/w/own", ""),
        ("GET", "/w/absent", ""),
        ("DELETE", "/w/more", ""),
        ("OPTIONS", "/w/more", ""),
        ("HEAD", "/w/rule", ""),
    ] {
        let answer = bed.send(Sent::new(method, path).body(body.to_owned())).await;
        tell(&format!("{method} {path}"), &answer);
    }
    let ran = wait_until("its jobs ran", async || {
        let answer = bed.get("/w/jobs/").await;
        (answer.text().lines().count() == 2).then_some(answer)
    });
    tell("GET /w/jobs/", &ran.await);
    told
}

#[tokio::test]
async fn a_plugin_of_a_published_contract_is_served_as_it_was_when_it_was_built() {
    let bed = served(WITNESS).await;
    assert_eq!(answers(&bed).await, ANSWERS);
}

#[tokio::test]
async fn what_is_published_is_what_the_witness_is_built_of() {
    let bed = served(&component("witness")).await;
    assert_eq!(answers(&bed).await, ANSWERS);
}
