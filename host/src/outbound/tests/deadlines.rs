//! Servers that are silent, in each phase, and what others have of it.

use futures_util::future;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::interval;

use super::server::{Server, raw, text};
use super::*;

const SHORT: Option<Duration> = Some(Duration::from_millis(150));

async fn timed_out(url: String, deadlines: Deadlines) -> Phase {
    let line = format!("{} at 127.0.0.1", url.trim_end_matches('/'));
    let line = if url.contains("test") { line } else { url.trim_end_matches('/').to_owned() };
    match client(&[line]).fetch(&Request { deadlines, ..get(url) }).await {
        Err(OutboundError::Timeout(phase)) => phase,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_phase_has_its_deadline() {
    let silent = raw(|mut stream| async move {
        // Reads what comes, and says nothing.
        while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    let half = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n01234").await;
        while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    let none = Deadlines::default();
    let url = |scheme: &str, address| format!("{scheme}://{address}/");
    assert_eq!(timed_out("http://never.test/".into(), Deadlines { connect: SHORT, ..none }).await, Phase::Resolve);
    assert_eq!(timed_out(url("https", silent), Deadlines { tls: SHORT, ..none }).await, Phase::Tls);
    assert_eq!(timed_out(url("http", silent), Deadlines { first_byte: SHORT, ..none }).await, Phase::FirstByte);
    assert_eq!(timed_out(url("http", half), Deadlines { idle: SHORT, ..none }).await, Phase::Idle);
    for url in ["http://never.test/".to_owned(), url("https", silent), url("http", silent), url("http", half)] {
        assert_eq!(timed_out(url, Deadlines { whole: SHORT, ..none }).await, Phase::Whole);
    }
}

#[tokio::test]
async fn a_server_that_accepts_nobody_is_given_up() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Fill its queue: a connection that does not come about in this time shows that it is full.
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        waiting.push(stream);
    }
    let deadlines = Deadlines { connect: SHORT, ..Deadlines::default() };
    assert_eq!(timed_out(format!("http://{address}/"), deadlines).await, Phase::Connect);
    // It does not keep the next address of the same name from being tried.
    let server = Server::http(|_| text("here")).await;
    let until = Instant::now() + Duration::from_secs(20);
    let stream = connection::tcp(&[address, server.address], until).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), server.address);
}

#[tokio::test]
async fn nobody_there_is_told_at_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = client(&[format!("http://{address}")]).fetch(&get(format!("http://{address}/"))).await.unwrap_err();
    assert!(matches!(error, OutboundError::Connect(_)), "{error:?}");
}

#[tokio::test]
async fn a_body_that_drips_ends_with_the_whole_requests_time() {
    let dripping = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
        let mut tick = interval(Duration::from_millis(20));
        while stream.write_all(b"x").await.is_ok() {
            tick.tick().await;
        }
    })
    .await;
    let deadlines = Deadlines {
        whole: Some(Duration::from_millis(400)),
        idle: Some(Duration::from_secs(20)),
        ..Deadlines::default()
    };
    assert_eq!(timed_out(format!("http://{dripping}/"), deadlines).await, Phase::Whole);
}

#[tokio::test]
async fn the_operators_deadline_holds_if_the_plugin_asks_for_more() {
    let mut config = config(&["http://never.test at 127.0.0.1".to_owned()]);
    config.limits.connect = crate::config::Period::millis(100);
    let client = Outbound::open(&config, Vec::new(), names(&[])).unwrap();
    let deadlines = Deadlines { connect: Some(Duration::from_secs(1000)), ..Deadlines::default() };
    let error = client.fetch(&Request { deadlines, ..get("http://never.test/") }).await.unwrap_err();
    assert_eq!(error, OutboundError::Timeout(Phase::Resolve));
}

#[tokio::test]
async fn a_silent_destination_leaves_the_others_their_connections() {
    let silent =
        raw(|mut stream| async move { while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {} }).await;
    let server = Server::http(|_| text("here")).await;
    let mut config = config(&[format!("http://{silent}"), server.line()]);
    config.limits.requests = 4;
    config.limits.requests_per_destination = 2;
    config.limits.wait = crate::config::Period::millis(200);
    let client = Outbound::open(&config, Vec::new(), names(&[])).unwrap();
    let deadlines = Deadlines { first_byte: Some(Duration::from_secs(2)), ..Deadlines::default() };
    let stuck = Request { deadlines, ..get(format!("http://{silent}/")) };
    let all = future::join_all((0..6).map(|_| client.fetch(&stuck)));
    let other = async {
        // Those of the silent one are waiting by now, each for the answer or for its turn.
        tokio::task::yield_now().await;
        client.fetch(&get(server.url("/"))).await.unwrap()
    };
    let (stuck, other) = future::join(all, other).await;
    assert_eq!(other.body, "here");
    let count = |phase| stuck.iter().filter(|result| **result == Err(OutboundError::Timeout(phase))).count();
    assert_eq!((count(Phase::FirstByte), count(Phase::Wait)), (2, 4));
}

#[tokio::test]
async fn kept_connections_are_closed_when_nobody_uses_them() {
    let (closed, mut seen) = tokio::sync::mpsc::channel(1);
    let address = raw(move |mut stream| {
        let closed = closed.clone();
        async move {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            let _ = closed.send(stream.read(&mut [0; 1024]).await.unwrap_or(0)).await;
        }
    })
    .await;
    let mut config = config(&[format!("http://{address}")]);
    config.limits.keep = crate::config::Period::millis(50);
    let client = Outbound::open(&config, Vec::new(), names(&[])).unwrap();
    client.fetch(&get(format!("http://{address}/"))).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(20), seen.recv()).await.unwrap();
    assert_eq!(end, Some(0), "closed without another request");
}
