//! Dialogues over unix sockets.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::*;

/// Answers every connection with these bytes after a line was read, and closes it if told so.
fn serve(path: &Path, answer: &'static [u8], close: bool) {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = [0; 5];
            stream.read_exact(&mut read).await.unwrap();
            assert_eq!(&read, b"show\n");
            let _ = stream.write_all(answer).await;
            if !close {
                held.push(stream);
            }
        }
    });
}

async fn ask(programs: &Programs, socket: &str, until: Option<&[u8]>, limit: Duration) -> Result<String, ProgramError> {
    let answer = programs.dialogue(socket, b"show\n", until, Instant::now() + limit).await;
    answer.map(|answer| String::from_utf8(answer).unwrap())
}

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn an_answer_ends_at_the_close_the_terminator_or_the_deadline() {
    let place = Place::new();
    let programs = place.open();
    let directory = place.directory();
    serve(&directory.join("closes"), b"one\ntwo\n", true);
    serve(&directory.join("stays"), b"one\ntwo\n", false);
    serve(&directory.join("silent"), b"", false);
    assert_eq!(ask(&programs, "closes", None, LONG).await.unwrap(), "one\ntwo\n");
    assert_eq!(ask(&programs, "./closes", Some(b"absent"), LONG).await.unwrap(), "one\ntwo\n");
    let absolute = directory.canonicalize().unwrap().join("stays");
    assert_eq!(ask(&programs, absolute.to_str().unwrap(), Some(b"e\nt"), LONG).await.unwrap(), "one\nt");
    assert_eq!(ask(&programs, "stays", None, SHORT).await.unwrap(), "one\ntwo\n");
    for (socket, until) in [("stays", Some(&b"absent"[..])), ("silent", None)] {
        assert!(matches!(ask(&programs, socket, until, SHORT).await, Err(ProgramError::Timeout)));
    }
}

#[tokio::test]
async fn paths_that_lead_out_are_refused() {
    let place = Place::new();
    let programs = place.open();
    let outside = place.root.path().join("outside");
    serve(&outside, b"secret", true);
    serve(&place.directory().join("inside"), b"fine", true);
    std::fs::write(place.directory().join("file"), "").unwrap();
    std::os::unix::fs::symlink(&outside, place.directory().join("link")).unwrap();
    std::os::unix::fs::symlink(place.root.path(), place.directory().join("folder")).unwrap();
    std::os::unix::fs::symlink("inside", place.directory().join("to-inside")).unwrap();
    let absolute = outside.to_str().unwrap();
    for socket in ["../outside", absolute, "link", "folder/outside", "to-inside", "file", ".", "", "/", "a\0b"] {
        let error = ask(&programs, socket, None, LONG).await.unwrap_err();
        let expected = matches!(error, ProgramError::Invalid(_) | ProgramError::NotFound(_));
        assert!(expected, "{socket}: {error:?}");
    }
    assert!(matches!(ask(&programs, "absent", None, LONG).await, Err(ProgramError::NotFound(_))));
}

#[tokio::test]
async fn a_path_may_be_long() {
    let place = Place::new();
    let deep = place.directory().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    // Bound elsewhere, because an address is bounded.
    serve(&place.directory().join("s"), b"deep", true);
    std::fs::rename(place.directory().join("s"), deep.join("s")).unwrap();
    let socket = format!("{}/s", "d".repeat(120));
    assert_eq!(ask(&place.open(), &socket, None, LONG).await.unwrap(), "deep");
}

#[tokio::test]
async fn an_answer_is_bounded_and_a_dead_socket_is_an_error() {
    let place = Place::new();
    let programs = place.open();
    let fits: &'static [u8] = vec![b'x'; 1024 * 1024].leak();
    let long: &'static [u8] = vec![b'x'; 1024 * 1024 + 1].leak();
    serve(&place.directory().join("fits"), fits, true);
    serve(&place.directory().join("long"), long, true);
    assert_eq!(ask(&programs, "fits", None, LONG).await.unwrap().len(), fits.len());
    assert!(matches!(ask(&programs, "long", None, LONG).await, Err(ProgramError::Failed(_))));
    drop(std::os::unix::net::UnixListener::bind(place.directory().join("dead")).unwrap());
    assert!(matches!(ask(&programs, "dead", None, LONG).await, Err(ProgramError::Failed(_))));
}
