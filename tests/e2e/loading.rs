//! Loading is a transaction (rule 3): a bad file leaves what runs alone and says why in words.

use plugbay::plugin::State;
use plugbay_tests::{Bed, component, marked, with_section};

/// A refused file: the reason is in the status and beside the file, and mentions `word`.
async fn refused(bed: &Bed, name: &str, word: &str) -> String {
    let status = bed.until("the file is refused", name, |status| status.last_error.is_some()).await;
    let reason = status.last_error.unwrap();
    assert!(reason.contains(word), "{reason:?} says nothing of {word:?}");
    let mut beside = bed.plugin_file(name).into_os_string();
    beside.push(".error");
    assert_eq!(std::fs::read_to_string(beside).unwrap().trim_end(), reason.trim_end());
    reason
}

#[tokio::test]
async fn files_that_are_no_component_are_refused_with_the_reason() {
    let cases: [(&str, &[u8], &str); 4] = [
        ("text", b"not wasm at all", "not WebAssembly"),
        ("core", b"\0asm\x01\0\0\0", "core WebAssembly module"),
        ("broken", b"\0asm\x0d\0\x01\0\xff\xff\xff", "not valid"),
        ("empty", b"", "not WebAssembly"),
    ];
    let mut bed = Bed::new("");
    for (name, bytes, _) in cases {
        bed.install(name, bytes);
    }
    bed.start().await;
    for (name, _, word) in cases {
        refused(&bed, name, word).await;
        assert_eq!(bed.status(name).state, State::Refused);
    }
}

#[tokio::test]
async fn two_gigabytes_of_zeros_are_refused_without_being_read() {
    let mut bed = Bed::new("");
    let file = std::fs::File::create(bed.plugin_file("zeros")).unwrap();
    file.set_len(2 << 30).unwrap();
    bed.start().await;
    refused(&bed, "zeros", "not WebAssembly").await;
}

/// The smallest components, as text: what they import and export is all that matters.
fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[tokio::test]
async fn imports_that_are_not_offered_or_granted_are_refused_by_name() {
    let cases = [
        ("nothing", "(component)".to_owned(), "does not export plugbay:plugin/handler@1.0.0"),
        ("sockets", import("wasi:sockets/tcp@0.2.0"), "sockets are not offered"),
        ("unknown", import("acme:thing/api@1.0.0"), "acme:thing/api@1.0.0"),
        ("newer", import("plugbay:plugin/kv@2.0.0"), "offers plugbay:plugin/kv@1.0.0"),
        ("ungranted", import("plugbay:plugin/process@1.0.0"), "add \"process\" to `grants`"),
        ("missing", import("plugbay:plugin/teleport@1.0.0"), "no such interface"),
    ];
    let mut bed = Bed::new("");
    for (name, text, _) in &cases {
        bed.install(name, &wat(text));
    }
    bed.start().await;
    for (name, _, word) in cases {
        refused(&bed, name, word).await;
    }
}

fn import(name: &str) -> String {
    format!("(component (import \"{name}\" (instance (export \"f\" (func)))))")
}

#[tokio::test]
async fn a_function_of_another_type_is_refused_with_its_interface() {
    let mut bed = Bed::new("");
    let text = r#"(component (import "plugbay:plugin/log@1.0.0" (instance (export "log" (func (param "level" u32)))))
        (import "plugbay:plugin/config@1.0.0" (instance $c (export "all" (func (result string)))))
        (instance $e) (export "plugbay:plugin/handler@1.0.0" (instance $e)))"#;
    bed.install("types", &wat(text));
    bed.start().await;
    refused(&bed, "types", "log").await;
}

#[tokio::test]
async fn a_trap_in_describe_is_refused_with_the_panic() {
    let mut bed = Bed::new("");
    bed.install("trouble", &marked(1, 666));
    bed.start().await;
    refused(&bed, "trouble", "described to death").await;
}

#[tokio::test]
async fn a_bad_file_leaves_the_running_version_alone() {
    let bed = Bed::serving("trouble", &marked(1, 1), "").await;
    bed.install("trouble", b"rubbish");
    refused(&bed, "trouble", "not WebAssembly").await;
    assert_eq!(bed.get("/trouble/label").await.text(), "1");
    assert_eq!(bed.status("trouble").state, State::Serving);
    // And a good one after it clears the reason.
    bed.install("trouble", &marked(1, 2));
    bed.until("the good version serves", "trouble", |status| status.version.as_deref() == Some("2")).await;
    assert_eq!(bed.status("trouble").last_error, None);
    assert_eq!(bed.get("/trouble/label").await.text(), "2");
}

#[tokio::test]
async fn copy_move_and_turned_links_are_all_seen() {
    let bed = Bed::serving("trouble", &marked(1, 1), "").await;
    let serves = async |label: &str| {
        bed.until("the version serves", "trouble", |status| status.version.as_deref() == Some(label)).await;
        assert_eq!(bed.get("/trouble/label").await.text(), label);
    };
    // cp: written in place.
    std::fs::write(bed.plugin_file("trouble"), marked(1, 2)).unwrap();
    serves("2").await;
    // mv: another inode.
    bed.install("trouble", &marked(1, 3));
    serves("3").await;
    // A link that is turned, to a file outside the folder.
    let target = bed.path().join("elsewhere.wasm");
    std::fs::write(&target, marked(1, 4)).unwrap();
    let link = bed.path().join("link");
    std::os::unix::fs::symlink(&target, &link).unwrap();
    std::fs::rename(&link, bed.plugin_file("trouble")).unwrap();
    serves("4").await;
    // Removed, and copied anew a moment later: one change.
    std::fs::remove_file(bed.plugin_file("trouble")).unwrap();
    bed.install("trouble", &marked(1, 5));
    serves("5").await;
}

#[tokio::test]
async fn a_half_written_file_is_not_served_and_the_whole_one_is() {
    let bed = Bed::serving("trouble", &marked(1, 1), "").await;
    let wasm = marked(1, 2);
    std::fs::write(bed.plugin_file("trouble"), &wasm[..wasm.len() / 2]).unwrap();
    bed.until("the half is refused", "trouble", |status| status.last_error.is_some()).await;
    assert_eq!(bed.get("/trouble/label").await.text(), "1");
    std::fs::write(bed.plugin_file("trouble"), &wasm).unwrap();
    bed.until("the whole serves", "trouble", |status| status.version.as_deref() == Some("2")).await;
}

#[tokio::test]
async fn removing_the_file_unloads_the_plugin() {
    let bed = Bed::serving("hello", &component("hello"), "").await;
    std::fs::remove_file(bed.plugin_file("hello")).unwrap();
    plugbay_tests::wait_until("the API is gone", || async {
        (bed.get("/hello/hello").await.status == 404).then_some(())
    })
    .await;
    assert!(bed.host().registry().statuses().is_empty());
}

#[tokio::test]
async fn a_clash_of_mounts_refuses_the_later_plugin() {
    let config = "[plugin.a]\nmounts = [{ path = \"/x\" }]\n[plugin.b]\nfile = \"b.wasm\"\nmounts = [{ path = \"/x\", surface = \"nowhere\" }]\n";
    // The configuration itself is told apart from a clash found at load.
    let error = plugbay::config::Config::load(&Bed::new(config).config_file()).unwrap_err();
    assert!(error.to_string().contains("same listener, host and path"), "{error}");
    let mut bed = Bed::new("[plugin.a]\nmounts = [{ path = \"/x\", surface = \"nowhere\" }]\n");
    bed.install("a", &component("hello"));
    bed.start().await;
    refused(&bed, "a", "nowhere").await;
}

#[tokio::test]
async fn with_keys_only_signed_plugins_are_loaded() {
    let (private, public) = plugbay::plugin::signature::generate().unwrap();
    let config = format!(
        "[admin]\nbind = \"off\"\n[plugins]\nquiet = \"50ms\"\nkeys = [\"{public}\"]\n[[listener]]\nname = \"default\"\nbind = \"127.0.0.1:0\"\n"
    );
    let mut bed = Bed::with_config(&config);
    let wasm = component("hello");
    bed.install("hello", &wasm);
    bed.start().await;
    refused(&bed, "hello", "no signature").await;
    // A signature for another name does not do.
    let digest = plugbay::plugin::Digest::of(&wasm);
    let mut beside = bed.plugin_file("hello").into_os_string();
    beside.push(".sig");
    let sign = |name: &str| plugbay::plugin::signature::sign(&private, name, &digest).unwrap();
    std::fs::write(&beside, sign("other")).unwrap();
    bed.until("the wrong signature is refused", "hello", |status| {
        status.last_error.as_deref().is_some_and(|reason| reason.contains("was not made by"))
    })
    .await;
    std::fs::write(&beside, sign("hello")).unwrap();
    bed.until("the signed plugin serves", "hello", |status| status.state == State::Serving).await;
}

#[tokio::test]
async fn a_precompiled_file_in_the_folder_is_never_trusted() {
    let mut bed = Bed::serving("hello", &component("hello"), "").await;
    bed.stop().await;
    let compiled = bed.path().join("data/compiled");
    let artifact = std::fs::read_dir(compiled).unwrap().flatten().next().unwrap().path();
    let bed = Bed::new("");
    std::fs::copy(artifact, bed.plugin_file("sneaky")).unwrap();
    let mut bed = bed;
    bed.start().await;
    refused(&bed, "sneaky", "not WebAssembly").await;
}

#[tokio::test]
async fn a_restart_with_a_warm_cache_compiles_nothing() {
    let mut bed = Bed::serving("trouble", &marked(1, 1), "").await;
    bed.stop().await;
    let list = || {
        let entries = std::fs::read_dir(bed.path().join("data/compiled")).unwrap().flatten();
        entries.map(|entry| (entry.path(), entry.metadata().unwrap().len())).collect::<Vec<_>>()
    };
    let before = list();
    assert_eq!(before.len(), 1);
    let begun = std::time::Instant::now();
    bed.start().await;
    println!("restart with a warm cache: {:?}", begun.elapsed());
    assert_eq!(bed.get("/trouble/label").await.text(), "1");
    let entries = std::fs::read_dir(bed.path().join("data/compiled")).unwrap().count();
    assert_eq!(entries, before.len());
}

#[tokio::test]
async fn a_new_schema_is_upgraded_and_going_back_is_refused() {
    let bed = Bed::serving("trouble", &marked(1, 1), "").await;
    bed.install("trouble", &marked(3, 2));
    bed.until("the upgraded version serves", "trouble", |status| status.schema == Some(3)).await;
    assert_eq!(bed.get("/trouble/kv/upgraded-from").await.text(), "1");
    bed.install("trouble", &marked(2, 3));
    refused(&bed, "trouble", "going back is not possible").await;
    assert_eq!(bed.get("/trouble/label").await.text(), "2");
}

#[tokio::test]
async fn the_same_content_under_a_new_time_changes_nothing() {
    let bed = Bed::serving("hello", &component("hello"), "").await;
    let digest = bed.status("hello").digest;
    bed.install("hello", &component("hello"));
    let other = with_section(&component("hello"), b"x");
    bed.install("hello", &other);
    let status = bed.until("the changed file serves", "hello", |status| status.digest != digest).await;
    assert_eq!(status.state, State::Serving);
}
