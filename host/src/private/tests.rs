//! No way leads out, a file is there whole or not at all, zeros take no room.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use futures_util::TryStreamExt;
use tempfile::TempDir;

use super::*;

/// A private directory beside a secret, with ways to it.
fn place() -> (TempDir, PathBuf) {
    let around = tempfile::tempdir().unwrap();
    let inside = around.path().join("inside");
    fs::create_dir_all(inside.join("folder")).unwrap();
    fs::create_dir(around.path().join("outside")).unwrap();
    fs::write(around.path().join("secret"), "x").unwrap();
    fs::write(inside.join("own"), "12345").unwrap();
    symlink("../secret", inside.join("link")).unwrap();
    symlink("../outside", inside.join("way")).unwrap();
    symlink("folder", inside.join("within")).unwrap();
    (around, inside)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_stretch_of_a_file_is_read_and_nothing_outside_the_directory() {
    let (_around, inside) = place();
    let stretch = open(&inside, "own", 1, Some(3)).unwrap();
    let chunks: Vec<Bytes> = stretch.chunks().try_collect().await.unwrap();
    assert_eq!(chunks.concat(), b"234");
    assert_eq!(open(&inside, "own", 5, None).unwrap().length, 0);
    assert!(matches!(open(&inside, "own", 1, Some(5)), Err(FileError::Range { size: 5, .. })));
    assert!(matches!(open(&inside, "own", 6, None), Err(FileError::Range { .. })));
    for path in ["../secret", "link", "/etc/passwd", "folder/../../secret"] {
        assert!(matches!(open(&inside, path, 0, None), Err(FileError::Outside(_))), "{path}");
    }
    for path in ["none", "own/x", "within/none", ""] {
        assert!(matches!(open(&inside, path, 0, None), Err(FileError::NotFound(_) | FileError::Outside(_))), "{path}");
    }
    for path in [".", "folder"] {
        assert!(matches!(open(&inside, path, 0, None), Err(FileError::NotAFile(_))), "{path}");
    }
}

#[tokio::test]
async fn a_file_that_becomes_shorter_while_it_is_read_is_an_error() {
    let (_around, inside) = place();
    let stretch = open(&inside, "own", 0, None).unwrap();
    fs::write(inside.join("own"), "12").unwrap();
    let read: Result<Vec<Bytes>, _> = stretch.chunks().try_collect().await;
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_file_is_there_when_it_is_whole() {
    let (_around, inside) = place();
    let mut new = NewFile::create(&inside, "folder/new", 0o400).unwrap();
    new.write(b"abc").unwrap();
    assert!(names(&inside.join("folder")).iter().all(|name| name.starts_with('.')));
    new.skip(2).unwrap();
    new.write(b"d").unwrap();
    assert_eq!(new.finish().unwrap(), 6);
    let file = inside.join("folder/new");
    assert_eq!(fs::read(&file).unwrap(), b"abc\0\0d");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o400);
    assert_eq!(names(&inside.join("folder")), ["new"]);
}

#[test]
fn a_file_that_is_not_ended_leaves_what_was_there_and_nothing_of_itself() {
    let (_around, inside) = place();
    let before = names(&inside);
    let mut new = NewFile::create(&inside, "own", 0o600).unwrap();
    new.write(b"other").unwrap();
    drop(new);
    assert_eq!((names(&inside), fs::read(inside.join("own")).unwrap()), (before.clone(), b"12345".to_vec()));
    let mut new = NewFile::create(&inside, "own", 0o600).unwrap();
    let reader = open(&inside, "own", 0, None).unwrap();
    new.write(b"other").unwrap();
    new.finish().unwrap();
    assert_eq!((names(&inside), fs::read(inside.join("own")).unwrap()), (before, b"other".to_vec()));
    assert_eq!(io::read_to_string(reader.file).unwrap(), "12345", "who has it open reads on");
}

#[test]
fn zeros_are_holes_whether_said_or_found() {
    let (_around, inside) = place();
    let mut new = NewFile::create(&inside, "sparse", 0o600).unwrap();
    new.skip(64 << 20).unwrap();
    new.write(&vec![0; 1 << 20]).unwrap();
    new.write(b"end").unwrap();
    new.skip(1 << 20).unwrap();
    let size = (66 << 20) + 3;
    assert_eq!(new.finish().unwrap(), size);
    let facts = fs::metadata(inside.join("sparse")).unwrap();
    assert_eq!(facts.len(), size);
    assert!(facts.blocks() * 512 < 1 << 20, "{} blocks", facts.blocks());
}

#[test]
fn no_way_to_write_leads_out() {
    let (around, inside) = place();
    let refused = |path: &str, mode: u32| NewFile::create(&inside, path, mode).unwrap_err();
    for path in
        ["../new", "way/new", "within/new", "/etc/new", "folder/../../new", "..", ".", "", "folder/", "/", "a\0b"]
    {
        assert!(matches!(refused(path, 0o600), FileError::Outside(_)), "{path}: {:?}", refused(path, 0o600));
    }
    for path in ["link", "folder", "way"] {
        assert!(matches!(refused(path, 0o600), FileError::NotAFile(_)), "{path}");
    }
    assert!(matches!(refused("none/new", 0o600), FileError::NotFound(_)));
    assert!(matches!(refused("own/new", 0o600), FileError::NotFound(_)));
    for mode in [0o700, 0o640, 0o4600] {
        assert!(matches!(refused("new", mode), FileError::Mode(_)), "{mode:o}");
    }
    assert_eq!(names(&around.path().join("outside")), [""; 0]);
}

#[test]
fn a_file_larger_than_files_can_be_is_refused() {
    let (_around, inside) = place();
    let mut new = NewFile::create(&inside, "new", 0o600).unwrap();
    assert!(matches!(new.skip(u64::MAX), Err(FileError::Io(_))));
    new.skip(i64::MAX as u64).unwrap();
    assert!(new.skip(1).is_err() && new.finish().is_err());
    assert!(!inside.join("new").exists());
}
