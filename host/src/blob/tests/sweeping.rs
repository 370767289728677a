//! What the next start does about what the last one left.

use std::{collections::HashSet, fs::File, time::SystemTime};

use super::super::{SweepError, Swept};
use super::*;

/// Writes pieces whose commit never ended, and puts them some time back.
async fn left_behind(fixture: &Fixture, count: usize) -> Vec<PieceId> {
    let staging = fixture.space.staging();
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(staging.write(bytes(10).into(), &[]).await.unwrap().id);
    }
    drop(staging.attach(&ids).unwrap());
    ids.iter().for_each(|id| age(&fixture.path(*id)));
    ids
}

fn age(file: &std::path::Path) {
    let earlier = SystemTime::now() - Duration::from_secs(60);
    File::options().write(true).open(file).unwrap().set_modified(earlier).unwrap();
}

#[tokio::test]
async fn a_sweep_removes_orphans_and_keeps_attached_and_young_pieces() {
    let fixture = Fixture::new().await;
    let old = left_behind(&fixture, 8).await;
    let (attached, orphans) = old.split_at(3);
    let attached: HashSet<_> = attached.iter().copied().collect();
    let staging = fixture.space.staging();
    let young = staging.write(bytes(10).into(), &[]).await.unwrap();
    let foreign = fixture.path(old[0]).with_file_name("README");
    let temporary = fixture.path(orphans[0]).with_extension("");
    let temporary = PathBuf::from(format!("{}#1", temporary.display()));
    let unfinished = PathBuf::from(format!("{}#1", fixture.path(young.id).display()));
    for file in [&foreign, &temporary, &unfinished] {
        std::fs::write(file, b"x").unwrap();
    }
    age(&foreign);
    age(&temporary);
    let swept = fixture.blobs.sweep(|owner, ids| {
        assert_eq!(owner, "plugin");
        std::future::ready(Ok::<_, Infallible>(ids.into_iter().filter(|id| attached.contains(id)).collect()))
    });
    let swept = swept.await.unwrap();
    assert_eq!(swept, Swept { removed: 6, attached: 3, foreign: 1, failed: 0 });
    let mut expected: Vec<_> = attached.iter().chain([&young.id]).map(|id| fixture.path(*id)).collect();
    expected.extend([foreign, unfinished]);
    expected.sort();
    let mut files = fixture.files().await;
    files.sort();
    assert_eq!(files, expected);
}

#[tokio::test]
async fn a_sweep_asks_about_each_owner_apart_and_in_batches() {
    let fixture = Fixture::new().await;
    let mine = left_behind(&fixture, 300).await;
    // An old piece of a plugin that is not loaded.
    let id = "00000000000000000000000000000001".parse::<PieceId>().unwrap();
    let other = fixture.folder.path().join(id.path("other").as_ref());
    std::fs::create_dir_all(other.parent().unwrap()).unwrap();
    std::fs::write(&other, b"x").unwrap();
    age(&other);
    let mut asked = Vec::new();
    let swept = fixture.blobs.sweep(|owner, ids| {
        asked.extend(ids.iter().map(|id| (owner.clone(), *id)));
        assert!(ids.len() <= 256);
        std::future::ready(Ok::<_, Infallible>(HashSet::from_iter(ids)))
    });
    assert_eq!(swept.await.unwrap(), Swept { attached: 301, ..Swept::default() });
    let mut expected: Vec<_> = mine.into_iter().map(|id| ("plugin".to_owned(), id)).collect();
    expected.push(("other".to_owned(), id));
    expected.sort();
    asked.sort();
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_sweep_that_gets_no_answer_removes_nothing() {
    let fixture = Fixture::new().await;
    left_behind(&fixture, 2).await;
    let swept = fixture.blobs.sweep(|_, _| std::future::ready(Err("store closed"))).await;
    assert!(matches!(swept, Err(SweepError::Unknown("store closed"))));
    assert_eq!(fixture.files().await.len(), 2);
}

#[tokio::test]
async fn a_sweep_leaves_a_piece_to_its_reader() {
    let fixture = Fixture::new().await;
    let ids = left_behind(&fixture, 1).await;
    let range = PieceRange { id: ids[0], offset: 0, length: 10 };
    let reader = fixture.space.reader(vec![range]).unwrap();
    let none = |_, _| std::future::ready(Ok::<_, Infallible>(HashSet::new()));
    fixture.blobs.sweep(none).await.unwrap();
    assert_eq!(fixture.space.read(&[range]).await.unwrap(), bytes(10));
    drop(reader);
    fixture.until_empty().await;
}

#[tokio::test]
async fn a_new_store_has_nothing_to_sweep() {
    let fixture = Fixture::new().await;
    let none = |_, _| std::future::ready(Ok::<_, Infallible>(HashSet::new()));
    assert_eq!(fixture.blobs.sweep(none).await.unwrap(), Swept::default());
}
