//! Redirections: followed on request, checked anew, without what belonged elsewhere.

use super::server::{Server, moved, text};
use super::*;

fn post(url: String) -> Request {
    let headers = [("content-type", "text/x"), ("x-auth-token", "own"), ("cookie", "c"), ("accept", "a")];
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    Request { method: "POST".into(), headers, body: "sent".into(), redirects: 3, ..get(url) }
}

#[tokio::test]
async fn a_redirection_is_the_answer_unless_following_was_asked_for() {
    let server = Server::http(|_| moved(302, "/next")).await;
    let answer = client(&[server.line()]).fetch(&get(server.url("/"))).await.unwrap();
    assert_eq!((answer.status.as_u16(), server.requests().len()), (302, 1));
    let endless = Request { redirects: 100, ..get(server.url("/")) };
    let error = client(&[server.line()]).fetch(&endless).await.unwrap_err();
    assert!(matches!(error, OutboundError::Protocol(_)), "{error:?}");
    assert_eq!(server.requests().len(), 1 + 1 + 5, "as many as the operator lets");
}

#[tokio::test]
async fn within_an_origin_everything_goes_along() {
    for (status, method, body) in
        [(301, "GET", ""), (302, "GET", ""), (303, "GET", ""), (307, "POST", "sent"), (308, "POST", "sent")]
    {
        let server = Server::http(move |seen| match &*seen.path {
            "/a/b" => moved(status, "../c?d"),
            _ => text("there"),
        })
        .await;
        let client = client(&[server.line()]);
        let credential = credential(Form::Bearer, "token", &server.line());
        let request = Request { credential: Some(credential), ..post(server.url("/a/b")) };
        let answer = client.fetch(&request).await.unwrap();
        assert_eq!((&*answer.url, &answer.body[..]), (&*server.url("/c?d"), &b"there"[..]));
        let seen = server.requests().pop().unwrap();
        assert_eq!((&*seen.method, &*seen.path, &seen.body[..]), (method, "/c?d", body.as_bytes()), "{status}");
        assert_eq!((seen.header("authorization"), seen.header("x-auth-token")), (Some("Bearer token"), Some("own")));
        assert_eq!(seen.header("content-type").is_some(), method == "POST");
    }
}

#[tokio::test]
async fn across_origins_nothing_that_identifies_goes_along_not_even_back_home() {
    let home = Arc::new(parking_lot::Mutex::new(String::new()));
    let back = Arc::clone(&home);
    let other = Server::http(move |_| moved(307, &back.lock())).await;
    let away = other.url("/");
    let server = Server::http(move |seen| match &*seen.path {
        "/" => moved(307, &away),
        _ => text("home"),
    })
    .await;
    *home.lock() = server.url("/home");
    let client = client(&[server.line(), other.line()]);
    let credential = credential(Form::Bearer, "token", &server.line());
    client.fetch(&Request { credential: Some(credential), ..post(server.url("/")) }).await.unwrap();
    let (away, home) = (other.requests().remove(0), server.requests().pop().unwrap());
    assert_eq!(home.path, "/home");
    for seen in [away, home] {
        for field in ["authorization", "x-auth-token", "cookie"] {
            assert_eq!(seen.header(field), None, "{field}");
        }
        assert_eq!(
            (seen.header("accept"), seen.header("content-type"), &seen.body[..]),
            (Some("a"), Some("text/x"), &b"sent"[..])
        );
    }
}

#[tokio::test]
async fn a_redirection_is_checked_as_a_request_of_its_own() {
    let inside = Server::http(|_| text("secret")).await;
    let targets = [
        (inside.url("/"), "denied"),
        (inside.named("/"), "denied"),
        ("file:///etc/passwd".into(), "protocol"),
        ("http://user@host.test/".into(), "protocol"),
        ("http://".into(), "protocol"),
    ];
    for (to, expected) in targets {
        let server = Server::http(move |_| moved(302, &to)).await;
        let error = client(&[server.line()]).fetch(&post(server.url("/"))).await.unwrap_err();
        match expected {
            "denied" => assert!(matches!(error, OutboundError::Denied(_)), "{error:?}"),
            _ => assert!(matches!(error, OutboundError::Protocol(_)), "{error:?}"),
        }
    }
    assert_eq!(inside.connected(), 0);
}
