//! Files of the private directory that the host makes of blobs, and pieces that it makes of files.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use plugbay_tests::{Answer, Bed, Sent, component};
use serde_json::{Value, json};

const GRANTS: &str = "[plugin.machine]\ngrants = [\"filesystem\"]\ndeny = [\"process\", \"system\", \"udp\"]\n";

async fn bed(table: &str) -> Bed {
    Bed::serving("machine", &component("machine"), table).await
}

async fn post(bed: &Bed, path: &str, body: &Value) -> Answer {
    let sent = Sent::new("POST", &format!("/machine/{path}")).header("content-type", "application/json");
    bed.send(sent.body(body.to_string())).await
}

async fn done(bed: &Bed, path: &str, body: Value) -> Value {
    let answer = post(bed, path, &body).await;
    assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text());
    answer.json()
}

async fn refused(bed: &Bed, path: &str, body: Value) -> String {
    let answer = post(bed, path, &body).await;
    assert_eq!(answer.status, 409, "{path} {body}: {}", answer.text());
    answer.text().to_owned()
}

#[tokio::test]
async fn a_file_of_segments_is_written_whole_and_read_back_as_a_piece() {
    let bed = bed(GRANTS).await;
    let directory = bed.path().join("data/plugins/machine");
    let first = json!({"path": "a", "mode": 0o400, "text": "ab", "times": 3, "zeros": 64 << 20, "end": "end"});
    let size = 3 * 2048 + (64 << 20) + 3;
    assert_eq!(done(&bed, "file", first).await, json!(size));
    let facts = std::fs::metadata(directory.join("a")).unwrap();
    assert_eq!((facts.len(), facts.permissions().mode() & 0o7777), (size, 0o400));
    assert!(facts.blocks() * 512 < 1 << 20, "zeros take no room");
    let whole = done(&bed, "piece", json!({"path": "a"})).await;
    assert_eq!((whole["size"].as_u64(), whole["text"].as_str().map(|text| &text[..4])), (Some(size), Some("abab")));
    let end = done(&bed, "piece", json!({"path": "a", "offset": size - 4, "length": 4})).await;
    assert_eq!(end, json!({"size": 4, "text": "\0end", "md5": "bc9e5121adc408804bec04489ee32963"}), "{end}");
    // One is made of another, and takes its place.
    done(&bed, "file", json!({"path": "b", "text": "", "file": "a", "end": "!"})).await;
    done(&bed, "file", json!({"path": "a", "text": "", "file": "b"})).await;
    let read = done(&bed, "piece", json!({"path": "a", "offset": size - 4})).await;
    assert_eq!((&read["text"], &read["size"]), (&json!("\0end!"), &json!(5)));
    let names: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[tokio::test]
async fn no_file_is_reached_outside_the_private_directory() {
    let bed = bed(GRANTS).await;
    let directory = bed.path().join("data/plugins/machine");
    std::fs::write(bed.path().join("data/plugins/secret"), "x").unwrap();
    std::os::unix::fs::symlink("../secret", directory.join("link")).unwrap();
    std::fs::create_dir(directory.join("folder")).unwrap();
    for path in ["../secret", "/etc/passwd", "link", "folder"] {
        let why = refused(&bed, "piece", json!({"path": path})).await;
        assert!(why.starts_with("Error::Invalid"), "{path}: {why}");
        let why = refused(&bed, "file", json!({"path": path, "text": "a"})).await;
        assert!(why.starts_with("Error::Invalid"), "{path}: {why}");
    }
    assert!(refused(&bed, "file", json!({"path": "a", "mode": 0o777})).await.starts_with("Error::Invalid"));
    assert_eq!(refused(&bed, "file", json!({"path": "none/a"})).await, "Error::NotFound");
    assert_eq!(refused(&bed, "file", json!({"path": "a", "file": "none"})).await, "Error::NotFound");
    assert_eq!(refused(&bed, "piece", json!({"path": "none"})).await, "Error::NotFound");
    assert_eq!(std::fs::read(bed.path().join("data/plugins/secret")).unwrap(), b"x");
    assert!(!directory.join("a").exists());
}

#[tokio::test]
async fn without_the_grant_there_are_no_files() {
    for table in [
        "[plugin.machine]\ndeny = [\"process\", \"system\", \"udp\"]\n",
        // The directory is there for programs, which is another grant.
        "[plugin.machine]\ngrants = [\"process\"]\ndeny = [\"system\", \"udp\"]\n",
    ] {
        let bed = bed(table).await;
        assert_eq!(refused(&bed, "piece", json!({"path": "a"})).await, "Error::Denied");
        assert_eq!(refused(&bed, "file", json!({"path": "a"})).await, "Error::Denied");
    }
}
