//! OCCI as others see it: pOCCI, the suite after ETSI TS 103 142, with and without machines behind the API.

use plugbay_tests::{Bed, Sent, component, target};
use serde_json::Value;
use tokio::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/occi_pocci.py");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pocci_finds_all_that_it_looks_for_in_both_of_its_renderings() {
    let python = target().join("occi/bin/python");
    if !python.exists() {
        assert!(
            !std::env::var("CI").is_ok_and(|ci| ci == "true"),
            "installable, and has to be there under CI: {python:?}"
        );
        println!("skipped: pOCCI is not installed in {}", python.display());
        return;
    }
    for mimetype in ["text/plain", "text/occi"] {
        let mut bed = embedded();
        bed.start().await;
        let compute = "compute; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"";
        let create = Sent::new("POST", "/compute/").header("content-type", "text/occi").header("category", compute);
        assert_eq!(bed.send(create).await.status, 201);
        let url = format!("http://{}", bed.address());
        let output = Command::new(&python).args([SCRIPT, &url, mimetype]).kill_on_drop(true).output().await.unwrap();
        let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // Some tests say something before.
        let report = said.find("{\n").map(|start| serde_json::from_str::<Value>(&said[start..]));
        let report = report.and_then(Result::ok).unwrap_or_else(|| panic!("{said}{why}"));
        let failed: Vec<_> = report["tests"].as_array().unwrap().iter().filter(|test| test["status"] != "OK").collect();
        println!("{mimetype}: {} passed", report["passed"]);
        assert!(failed.is_empty() && report["passed"].as_u64() >= Some(16), "{mimetype}: {failed:#?}");
    }
}

/// The example, with states instead of machines, open to everybody.
fn embedded() -> Bed {
    let bed = Bed::example("occi");
    bed.change_config("backend = \"qemu\"", "backend = \"embedded\"");
    bed.change_config("provider = \"tokens\"\nfile = \"data/tokens.toml\"", "provider = \"none\"");
    bed.install("occi", &component("occi"));
    bed
}
