//! Stopping without failing anyone who was being served.

use super::*;

#[tokio::test]
async fn requests_under_way_are_finished_and_others_closed() {
    let server = start(loopback()).await;
    let mut silent = server.connect().await;
    let mut idle = server.connect().await;
    send(&mut idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    read_answer(&mut idle).await;
    let mut busy = server.connect().await;
    send(&mut busy, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await;
    within(server.probe.held.acquire()).await.unwrap().forget();
    let mut begun = server.connect().await;
    send(&mut begun, "GET / HTTP/1.1\r\n").await;
    let metrics = server.listening.metrics();
    wait_until(|| count(&metrics.open) == 4).await;

    server.shutdown.begin();
    assert_eq!(read_all(&mut silent).await, "");
    assert_eq!(read_all(&mut idle).await, "");
    let address = server.address();
    assert!(TcpStream::connect(address).await.is_err(), "still accepting");

    server.probe.release.notify_waiters();
    let answer = read_all(&mut busy).await;
    assert!(answer.ends_with("released"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");

    send(&mut begun, "Host: a\r\n\r\n").await;
    let answer = read_all(&mut begun).await;
    assert_eq!(status(&answer), "200");
    assert!(answer.contains("connection: close"), "{answer}");

    assert_eq!(within(server.listening.stopped()).await, Drained { aborted: 0 });
    assert_eq!(count(&metrics.open), 0);
}

#[tokio::test]
async fn connections_busy_at_the_deadline_are_dropped_and_counted() {
    let mut server = start(loopback()).await;
    server.shutdown = Shutdown::new(SOON);
    let bound = bind(loopback()).await.unwrap();
    server.listening = bound.serve(Arc::clone(&server.probe), server.shutdown.clone());
    let mut busy = server.connect().await;
    send(&mut busy, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut endless = server.connect().await;
    send(&mut endless, "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await;
    within(endless.read_u8()).await.unwrap();
    within(server.probe.held.acquire()).await.unwrap().forget();
    let metrics = server.listening.metrics();
    wait_until(|| count(&metrics.open) == 2).await;

    server.shutdown.begin();
    assert_eq!(within(server.listening.stopped()).await, Drained { aborted: 2 });
    within(server.probe.gone.acquire()).await.unwrap().forget();
    assert_eq!(count(&metrics.aborted), 2);
    assert_eq!(count(&metrics.open), 0);
}

#[tokio::test]
async fn http2_clients_are_told_to_go_and_their_streams_finished() {
    use http_body_util::Empty;
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let server = start(loopback()).await;
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(server.connect().await))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::builder().uri("http://a/hold").body(Empty::<Bytes>::new()).unwrap();
    let held = tokio::spawn(client.send_request(request));
    within(server.probe.held.acquire()).await.unwrap().forget();

    server.shutdown.begin();
    server.probe.release.notify_waiters();
    let response = within(held).await.unwrap().unwrap();
    let body = within(response.collect()).await.unwrap().to_bytes();
    assert_eq!(body, "released");
    // GOAWAY lets the client end its connection in order.
    within(connection).await.unwrap().unwrap();
    assert_eq!(within(server.listening.stopped()).await, Drained { aborted: 0 });
}
