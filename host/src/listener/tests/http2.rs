//! HTTP/2 without TLS, by prior knowledge.

use super::*;

use http_body_util::Empty;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};

async fn client(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    window: u32,
) -> SendRequest<Empty<Bytes>> {
    let (client, connection) =
        within(Builder::new(TokioExecutor::new()).initial_stream_window_size(window).handshake(TokioIo::new(stream)))
            .await
            .unwrap();
    tokio::spawn(connection);
    client
}

fn get(uri: &str) -> http::request::Builder {
    Request::builder().uri(uri)
}

async fn ask(client: &mut SendRequest<Empty<Bytes>>, request: http::request::Builder) -> (StatusCode, String) {
    let request = request.body(Empty::new()).unwrap();
    let response = within(client.send_request(request)).await.unwrap();
    let status = response.status();
    let body = within(response.collect()).await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn prior_knowledge_is_understood_and_requests_run_side_by_side() {
    let server = start(loopback()).await;
    let mut client = client(server.connect().await, 65_535).await;
    let held = client.send_request(get("http://a/hold").body(Empty::new()).unwrap());
    let held = tokio::spawn(held);
    within(server.probe.held.acquire()).await.unwrap().forget();
    let (status, seen) = ask(&mut client, get("http://there:81/x")).await;
    assert_eq!(status, 200);
    assert!(seen.starts_with("GET /x at \"there:81\" over http from 127.0.0.1:"), "{seen}");
    server.probe.release.notify_waiters();
    assert_eq!(within(held).await.unwrap().unwrap().status(), 200);
    assert_eq!(count(&server.listening.metrics().accepted), 1);
}

#[tokio::test]
async fn the_preface_may_come_in_pieces() {
    let server = start(loopback()).await;
    let mut stream = server.connect().await;
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
        send(&mut stream, [*byte]).await;
    }
    // A SETTINGS frame is the answer.
    let mut header = [0; 9];
    within(stream.read_exact(&mut header)).await.unwrap();
    assert_eq!(header[3], 4);
}

#[tokio::test]
async fn authorities_are_screened() {
    let server = start(loopback()).await;
    let mut client = client(server.connect().await, 65_535).await;
    for (request, expected) in [
        (get("http://a:80/").header("host", "A:80"), 200),
        (get("http://a/").header("host", "b"), 400),
        (get("http://a/").header("host", "a").header("host", "a"), 400),
        (get("http://user@a/"), 400),
    ] {
        assert_eq!(ask(&mut client, request).await.0, expected);
    }
    assert_eq!(count(&server.listening.metrics().refused_requests), 3);
}

#[tokio::test]
async fn header_fields_are_counted() {
    let server = start(limited(|limits| limits.max_headers = 20)).await;
    let mut client = client(server.connect().await, 65_535).await;
    let with = |fields| (0..fields).fold(get("http://a/"), |request, n| request.header("x", n));
    assert_eq!(ask(&mut client, with(20)).await.0, 200);
    assert_eq!(ask(&mut client, with(21)).await.0, 431);
}

#[tokio::test]
async fn a_stream_that_takes_nothing_is_reset_and_its_connection_lives() {
    let server = start(limited(|limits| limits.write_idle_timeout = SOON)).await;
    let mut client = client(server.connect().await, 0).await;
    let request = get("http://a/endless").body(Empty::new()).unwrap();
    let response = within(client.send_request(request)).await.unwrap();
    let metrics = server.listening.metrics();
    wait_until(|| count(&metrics.write_timeouts) == 1).await;
    let error = within(response.collect()).await.unwrap_err();
    assert!(!error.is_timeout(), "{error:?}");
    // A handler that is slow is not held against the client.
    let held = tokio::spawn(client.send_request(get("http://a/hold").body(Empty::new()).unwrap()));
    within(server.probe.held.acquire()).await.unwrap().forget();
    server.probe.release.notify_waiters();
    assert_eq!(within(held).await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn large_frames_arrive_whole() {
    let server = start(loopback()).await;
    let mut client = client(server.connect().await, 65_535).await;
    assert_eq!(ask(&mut client, get("http://a/big")).await.1.len(), 1 << 20);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = start(limited(|limits| limits.idle_timeout = SOON)).await;
    let mut client = client(server.connect().await, 65_535).await;
    assert_eq!(ask(&mut client, get("http://a/")).await.0, 200);
    let metrics = server.listening.metrics();
    wait_until(|| count(&metrics.open) == 0).await;
    assert_eq!(count(&metrics.idle_timeouts), 1);
}
