//! What a client may cost.

use super::*;

fn with_fields(fields: usize) -> String {
    let mut head = String::from("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
    for n in 2..fields {
        head += &format!("X-{n}: {n}\r\n");
    }
    head + "\r\n"
}

#[tokio::test]
async fn header_fields_are_counted() {
    let server = start(loopback()).await;
    assert_eq!(status(&server.exchange(with_fields(100)).await), "200");
    assert_eq!(status(&server.exchange(with_fields(101)).await), "431");
    for limit in [50, 256] {
        let server = start(limited(|limits| limits.max_headers = limit)).await;
        assert_eq!(status(&server.exchange(with_fields(limit)).await), "200");
        assert_eq!(status(&server.exchange(with_fields(limit + 1)).await), "431");
    }
}

#[tokio::test]
async fn header_bytes_are_counted() {
    let server = start(limited(|limits| limits.max_header_bytes = 4096)).await;
    let with = |bytes| {
        let frame = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: \r\n\r\n".len();
        let value = "x".repeat(bytes - frame);
        format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: {value}\r\n\r\n")
    };
    assert_eq!(status(&server.exchange(with(4096)).await), "200");
    assert_eq!(status(&server.exchange(with(4097)).await), "431");
    assert_eq!(status(&server.exchange(with(100_000)).await), "431");
}

#[tokio::test]
async fn a_head_that_does_not_end_is_told_408() {
    let server = start(limited(|limits| limits.header_timeout = SOON)).await;
    let answer = server.exchange("GET / HTTP/1.1\r\nHost:").await;
    assert_eq!(status(&answer), "408");
    // Later heads of a connection have no more time than the first.
    let mut stream = server.connect().await;
    send(&mut stream, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    read_answer(&mut stream).await;
    send(&mut stream, "GET / HT").await;
    assert_eq!(status(&read_all(&mut stream).await), "408");
    assert_eq!(count(&server.listening.metrics().header_timeouts), 2);
}

#[tokio::test]
async fn a_connection_that_never_speaks_is_closed() {
    let server = start(limited(|limits| limits.header_timeout = SOON)).await;
    assert_eq!(server.exchange("").await, "");
    // The beginning of HTTP/2's preface is no request either.
    assert_eq!(server.exchange("PRI * HT").await, "");
    assert_eq!(count(&server.listening.metrics().header_timeouts), 2);
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let server = start(limited(|limits| limits.idle_timeout = SOON)).await;
    let mut stream = server.connect().await;
    send(&mut stream, "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").await;
    assert!(read_answer(&mut stream).await.ends_with("3 bytes"));
    assert_eq!(read_all(&mut stream).await, "");
    assert_eq!(count(&server.listening.metrics().idle_timeouts), 1);
    assert_eq!(count(&server.listening.metrics().header_timeouts), 0);
}

#[tokio::test]
async fn a_busy_connection_is_not_idle() {
    let server = start(limited(|limits| {
        limits.idle_timeout = SOON / 4;
        limits.header_timeout = SOON / 4;
    }))
    .await;
    let mut stream = server.connect().await;
    send(&mut stream, "GET /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    within(server.probe.held.acquire()).await.unwrap().forget();
    // Another connection times out several times over meanwhile.
    for _ in 0..4 {
        assert_eq!(server.exchange("").await, "");
    }
    server.probe.release.notify_waiters();
    assert!(read_all(&mut stream).await.ends_with("released"));
}

#[tokio::test]
async fn a_body_that_stands_still_is_given_up() {
    let server = start(limited(|limits| limits.body_idle_timeout = SOON)).await;
    let answer = server.exchange("PUT /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").await;
    assert_eq!(status(&answer), "408");
    assert!(answer.ends_with("idle"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(count(&server.listening.metrics().body_idle_timeouts), 1);
}

#[tokio::test]
async fn a_body_that_trickles_is_given_up() {
    let server = start(limited(|limits| {
        limits.body_min_rate = 1_000_000;
        limits.body_rate_grace = SOON;
    }))
    .await;
    let (mut reads, mut writes) = server.connect().await.into_split();
    send(&mut writes, "PUT /read HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n").await;
    // Never idle for long, always too slow.
    let trickle = async {
        loop {
            if writes.write_all(b"x").await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(SOON / 10).await;
        }
    };
    let answer = tokio::select! {
        answer = async { read_answer(&mut reads).await } => answer,
        () = trickle => unreachable!(),
    };
    assert!(answer.ends_with("too slow"), "{answer}");
    assert_eq!(count(&server.listening.metrics().body_rate_timeouts), 1);
    assert_eq!(count(&server.listening.metrics().body_idle_timeouts), 0);
}

#[tokio::test]
async fn answers_nobody_takes_are_given_up() {
    let server = start(limited(|limits| limits.write_idle_timeout = SOON)).await;
    let mut readers = Vec::new();
    for _ in 0..100 {
        let mut stream = server.connect().await;
        send(&mut stream, "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await;
        readers.push(stream);
    }
    let metrics = server.listening.metrics();
    wait_until(|| count(&metrics.write_timeouts) == 100).await;
    wait_until(|| count(&metrics.open) == 0).await;
    // Closed with a reset: the kernel keeps nothing for them either.
    let mut rest = Vec::new();
    let error = within(readers[0].read_to_end(&mut rest)).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn slow_readers_hold_up_nobody_and_keep_what_is_theirs() {
    let server = start(loopback()).await;
    let mut readers = Vec::new();
    for _ in 0..200 {
        let mut stream = server.connect().await;
        send(&mut stream, "GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        readers.push(stream);
    }
    let answer = server.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), "200");
    for stream in &mut readers {
        let answer = read_all(stream).await;
        assert_eq!(answer.split("\r\n\r\n").nth(1).unwrap().len(), 1 << 20);
    }
}

#[tokio::test]
async fn nonsense_limits_are_refused() {
    for config in [
        limited(|limits| limits.max_connections = 0),
        limited(|limits| limits.max_connections = usize::MAX),
        limited(|limits| limits.max_headers = 0),
        limited(|limits| limits.max_header_bytes = 0),
        limited(|limits| limits.max_streams = 0),
        limited(|limits| limits.idle_timeout = Duration::ZERO),
        limited(|limits| limits.header_timeout = Duration::MAX),
    ] {
        assert!(matches!(bind(config).await, Err(ListenError::Invalid { .. })));
    }
}
