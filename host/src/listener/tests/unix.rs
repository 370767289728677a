//! Unix sockets and the files they leave.

use super::*;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::net::UnixStream;

fn at(path: &Path, mode: Option<u32>) -> ListenerConfig {
    ListenerConfig::new("test", Bind::Unix { path: path.to_owned(), mode })
}

#[tokio::test]
async fn it_serves_with_the_mode_asked_for_and_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let server = start(at(&path, Some(0o600))).await;
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(server.listening.local_address(), None);

    let mut stream = UnixStream::connect(&path).await.unwrap();
    send(&mut stream, "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let answer = read_all(&mut stream).await;
    assert!(answer.ends_with("GET /x at \"a\" over http from unix loopback=true certificate=0"));

    server.shutdown.begin();
    within(server.listening.stopped()).await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    // A listener of the standard library leaves its file behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let server = start(at(&path, None)).await;

    // Somebody answers there now.
    assert!(matches!(bind(at(&path, None)).await, Err(ListenError::InUse { .. })));
    UnixStream::connect(&path).await.unwrap();

    // The file is no longer ours to remove.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "precious").unwrap();
    server.shutdown.begin();
    within(server.listening.stopped()).await;
    assert!(matches!(bind(at(&path, None)).await, Err(ListenError::NotASocket { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_path_the_kernel_has_no_room_for_is_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let used = directory.path().as_os_str().len() + 1;
    let longest = directory.path().join("x".repeat(107 - used));
    drop(bind(at(&longest, None)).await.unwrap());
    let longer = directory.path().join("x".repeat(108 - used));
    let Err(error) = bind(at(&longer, None)).await else { panic!("bound") };
    assert!(error.to_string().contains("108 bytes"), "{error}");
    let Err(error) = bind(at(&directory.path().join("no/s"), None)).await else { panic!("bound") };
    assert!(matches!(error, ListenError::Bind { .. }), "{error}");
}
