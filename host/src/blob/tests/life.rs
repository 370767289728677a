//! From staged to permanent to removed, and who may take a piece away when.

use futures_util::TryStreamExt;

use super::super::{InvalidOwner, NotStaged, OpenError};
use super::*;

#[tokio::test]
async fn pieces_of_a_request_go_with_it_unless_they_were_kept() {
    let fixture = Fixture::new().await;
    let staging = fixture.space.staging();
    let kept = staging.write(bytes(10).into(), &[]).await.unwrap();
    let left = staging.write(bytes(20).into(), &[]).await.unwrap();
    staging.attach(&[kept.id]).unwrap().keep();
    assert_eq!((staging.size(kept.id), staging.size(left.id)), (None, Some(20)));
    drop(staging);
    assert_eq!(fixture.files().await, [fixture.path(kept.id)]);
}

#[tokio::test]
async fn the_end_of_a_request_leaves_alone_what_a_commit_is_attaching() {
    let fixture = Fixture::new().await;
    let staging = fixture.space.staging();
    let piece = staging.write(bytes(10).into(), &[]).await.unwrap();
    let attaching = staging.attach(&[piece.id]).unwrap();
    assert_eq!(attaching.pieces().collect::<Vec<_>>(), [(piece.id, 10)]);
    drop(staging);
    assert_eq!(fixture.files().await, [fixture.path(piece.id)]);
    attaching.keep();
    assert_eq!(fixture.files().await, [fixture.path(piece.id)]);
}

#[tokio::test]
async fn a_refused_commit_gives_the_pieces_back() {
    let fixture = Fixture::new().await;
    let staging = fixture.space.staging();
    let piece = staging.write(bytes(10).into(), &[]).await.unwrap();
    staging.attach(&[piece.id]).unwrap().give_back();
    assert_eq!(staging.size(piece.id), Some(10));
    let attaching = staging.attach(&[piece.id]).unwrap();
    drop(staging);
    attaching.give_back();
    fixture.until_empty().await;
}

#[tokio::test]
async fn a_commit_that_ended_unknown_leaves_the_object() {
    let fixture = Fixture::new().await;
    let staging = fixture.space.staging();
    let piece = staging.write(bytes(10).into(), &[]).await.unwrap();
    drop(staging.attach(&[piece.id]).unwrap());
    drop(staging);
    assert_eq!(fixture.files().await, [fixture.path(piece.id)]);
}

#[tokio::test]
async fn attaching_takes_all_pieces_or_none() {
    let fixture = Fixture::new().await;
    let (staging, other) = (fixture.space.staging(), fixture.space.staging());
    let mine = staging.write(bytes(10).into(), &[]).await.unwrap();
    let foreign = other.write(bytes(10).into(), &[]).await.unwrap();
    let refused = staging.attach(&[mine.id, foreign.id]).unwrap_err();
    assert_eq!(refused, NotStaged(foreign.id), "a piece of another request");
    let refused = staging.attach(&[mine.id, mine.id]).unwrap_err();
    assert_eq!(refused, NotStaged(mine.id), "a piece named twice");
    assert_eq!(staging.size(mine.id), Some(10));
}

#[tokio::test]
async fn a_reader_gets_all_bytes_of_a_piece_removed_meanwhile() {
    let fixture = Fixture::new().await;
    let staging = fixture.space.staging();
    let content = bytes(1_000_000);
    let piece = staging.write(content.clone().into(), &[]).await.unwrap();
    staging.attach(&[piece.id]).unwrap().keep();
    let mut first = fixture.space.reader(vec![whole(&piece)]).unwrap();
    let second = fixture.space.reader(vec![whole(&piece)]).unwrap();
    let mut read = first.try_next().await.unwrap().unwrap().to_vec();
    fixture.space.remove([piece.id]).await.unwrap();
    fixture.space.remove([piece.id]).await.unwrap();
    assert_eq!(fixture.files().await.len(), 1, "it is being read");
    while let Some(chunk) = first.try_next().await.unwrap() {
        read.extend_from_slice(&chunk);
    }
    assert!(read == content);
    drop(first);
    let all: Vec<Bytes> = second.try_collect().await.unwrap();
    assert!(all.concat() == content);
    fixture.until_empty().await;
}

#[tokio::test]
async fn pieces_of_an_ended_request_count_as_staged_while_they_are_read() {
    let fixture = Fixture::new().await;
    let staging = fixture.space.staging();
    let piece = staging.write(bytes(10).into(), &[]).await.unwrap();
    let reader = fixture.space.reader(vec![whole(&piece)]).unwrap();
    drop(staging);
    assert_eq!(fixture.files().await.len(), 1);
    assert_eq!(fixture.space.staged_bytes(), 4096 + 10);
    drop(reader);
    fixture.until_empty().await;
}

#[tokio::test]
async fn removing_what_is_not_there_is_no_error() {
    let fixture = Fixture::new().await;
    let piece = fixture.space.staging().write(bytes(1).into(), &[]).await.unwrap();
    fixture.until_empty().await;
    fixture.space.remove([piece.id]).await.unwrap();
}

#[tokio::test]
async fn one_process_at_a_time_has_the_store_open() {
    let fixture = Fixture::new().await;
    let url = format!("file://{}", fixture.folder.path().display());
    assert!(matches!(Blobs::open(&url).await, Err(OpenError::InUse(_))));
    let Fixture { folder, blobs, space } = fixture;
    blobs.settle().await;
    drop((blobs, space));
    open(&folder).await;
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_says_why() {
    for url in ["", "file:", "data/blobs", "s3://bucket", "file://host/path"] {
        let error = Blobs::open(url).await.unwrap_err();
        assert!(matches!(error, OpenError::Scheme(_)), "{url}");
    }
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("file"), b"").unwrap();
    let url = format!("file:{}/file/blobs", folder.path().display());
    let error = Blobs::open(&url).await.unwrap_err().to_string();
    assert!(error.contains("file/blobs"), "{error}");
}

#[tokio::test]
async fn owners_have_names_that_are_safe_in_paths() {
    let fixture = Fixture::new().await;
    for name in ["a", "orchard", "my-plugin_2.1", &"a".repeat(64)] {
        assert!(fixture.blobs.space(name, 0).is_ok(), "{name}");
    }
    for name in ["", ".", "..", ".a", "a/b", "a b", "ä", "a#1", "a%2f", &"a".repeat(65)] {
        assert_eq!(fixture.blobs.space(name, 0).unwrap_err(), InvalidOwner(name.to_owned()));
    }
}
