//! HTTP/1.1 as clients use it.

use super::*;

#[tokio::test]
async fn a_connection_serves_several_requests() {
    let server = start(loopback()).await;
    let mut stream = server.connect().await;
    let port = stream.local_addr().unwrap().port();
    for path in ["/one", "/two"] {
        send(&mut stream, format!("GET {path} HTTP/1.1\r\nHost: here:80\r\n\r\n")).await;
        let answer = read_answer(&mut stream).await;
        let seen = format!("GET {path} at \"here:80\" over http from 127.0.0.1:{port} loopback=true certificate=0");
        assert!(answer.ends_with(&seen), "{answer}");
    }
    assert_eq!(count(&server.listening.metrics().accepted), 1);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = start(loopback()).await;
    let answers = server
        .exchange(
            "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\
             GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )
        .await;
    let (first, second) = (answers.find("GET /1"), answers.find("GET /2"));
    assert!(first.is_some() && first < second, "{answers}");
}

#[tokio::test]
async fn old_clients_need_no_host() {
    let server = start(loopback()).await;
    let answer = server.exchange("GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.contains("GET / at \"\""), "{answer}");
}

#[tokio::test]
async fn an_absolute_target_is_reduced_and_gives_the_authority() {
    let server = start(loopback()).await;
    for (target, seen) in [
        ("http://there:81/a%2Fb?q", "GET /a%2Fb at \"there:81\""),
        ("HTTPS://there", "GET / at \"there\""),
        ("http://there?q", "GET / at \"there\""),
    ] {
        let answer = server.exchange(format!("GET {target} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.contains(seen), "{target}: {answer}");
    }
}

#[tokio::test]
async fn a_handler_that_reads_invites_the_body_with_100() {
    let server = start(loopback()).await;
    let mut stream = server.connect().await;
    send(
        &mut stream,
        "PUT /read HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\
         Connection: close\r\n\r\n",
    )
    .await;
    let mut invited = [0; 25];
    within(stream.read_exact(&mut invited)).await.unwrap();
    assert_eq!(&invited, b"HTTP/1.1 100 Continue\r\n\r\n");
    send(&mut stream, "abc").await;
    assert!(read_all(&mut stream).await.ends_with("3 bytes"));
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let server = start(loopback()).await;
    let mut stream = server.connect().await;
    send(&mut stream, "PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n").await;
    // Closing with this unread would reset the connection and may discard the answer.
    let body = vec![b'x'; 1 << 20];
    send(&mut stream, &body).await;
    send(&mut stream, &body).await;
    stream.shutdown().await.unwrap();
    let answer = read_all(&mut stream).await;
    assert_eq!(status(&answer), "413");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_small_body_nobody_reads_does_not_cost_the_connection() {
    let server = start(loopback()).await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        let request = "PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
        send(&mut stream, request).await;
        let answer = read_answer(&mut stream).await;
        assert_eq!(status(&answer), "413");
        assert!(!answer.contains("close"), "{answer}");
    }
}

#[tokio::test]
async fn a_small_body_that_comes_behind_its_head_does_not_cost_the_connection() {
    let server = start(loopback()).await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        send(&mut stream, "PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n").await;
        send(&mut stream, "abc").await;
        let answer = read_answer(&mut stream).await;
        assert_eq!(status(&answer), "413");
        assert!(!answer.contains("close"), "{answer}");
    }
}

#[tokio::test]
async fn a_small_body_that_does_not_come_ends_the_connection_with_notice() {
    let server = start(loopback()).await;
    for more in ["", "Expect: 100-continue\r\n"] {
        let mut stream = server.connect().await;
        send(&mut stream, format!("PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n{more}\r\n")).await;
        let answer = read_all(&mut stream).await;
        assert_eq!(status(&answer), "413");
        assert!(answer.contains("connection: close") && !answer.contains("100"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_request() {
    let server = start(loopback()).await;
    let mut stream = server.connect().await;
    send(&mut stream, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await;
    within(server.probe.held.acquire()).await.unwrap().forget();
    drop(stream);
    within(server.probe.gone.acquire()).await.unwrap().forget();
    let metrics = server.listening.metrics();
    wait_until(|| count(&metrics.open) == 0).await;
}

#[tokio::test]
async fn connections_over_the_cap_wait_in_the_backlog() {
    let server = start(limited(|limits| limits.max_connections = 1)).await;
    let mut first = server.connect().await;
    send(&mut first, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    read_answer(&mut first).await;
    // The kernel completes this connection; the listener does not take it yet.
    let mut second = server.connect().await;
    send(&mut second, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    send(&mut first, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    read_answer(&mut first).await;
    assert_eq!(count(&server.listening.metrics().accepted), 1);
    drop(first);
    assert_eq!(status(&read_all(&mut second).await), "200");
    assert_eq!(count(&server.listening.metrics().accepted), 2);
}

#[test]
fn only_faults_of_the_listener_make_accept_back_off() {
    use crate::listener::accept::{Complaint, concerns_one_client};
    use rustix::io::Errno;
    assert!(concerns_one_client(&Errno::CONNABORTED.into()));
    for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
        assert!(!concerns_one_client(&errno.into()));
    }
    // And they are logged once a period, with the number of those passed over.
    let now = tokio::time::Instant::now();
    let mut complaint = Complaint::default();
    assert_eq!(complaint.due(now), Some(0));
    assert_eq!(complaint.due(now + Duration::from_secs(1)), None);
    assert_eq!(complaint.due(now + Duration::from_secs(2)), None);
    assert_eq!(complaint.due(now + Duration::from_secs(31)), Some(2));
}

#[tokio::test]
async fn what_comes_while_a_request_is_answered_is_the_next_request() {
    let server = start(loopback()).await;
    let mut stream = server.connect().await;
    send(&mut stream, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await;
    within(server.probe.held.acquire()).await.unwrap().forget();
    let next = format!("GET /{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "next".repeat(100));
    for half in [&next[..200], &next[200..]] {
        send(&mut stream, half).await;
        // Time to be seen: another connection has had its turn.
        server.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    }
    server.probe.release.notify_waiters();
    assert!(read_answer(&mut stream).await.ends_with("released"));
    let second = read_all(&mut stream).await;
    assert!(second.contains(&format!("GET /{}", "next".repeat(100))), "{second}");
}
