//! Requests and answers: what is sent, what is refused, what connections are used for.

use futures_util::{StreamExt, future};
use http::Response;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::server::{Server, moved, raw, text};
use super::*;

#[tokio::test]
async fn a_request_arrives_as_it_was_given() {
    let server = Server::http(|_| {
        Response::builder().status(418).header("x-one", "1").header("x-one", "2").body(Full::from("body")).unwrap()
    });
    let server = server.await;
    let client = client(&[server.named_line()]);
    let request = Request {
        method: "PATCH".into(),
        headers: vec![("X-Mine".into(), b"a".to_vec()), ("x-mine".into(), vec![0xe9])],
        body: "sent".into(),
        ..get(server.named("/a//b/%2F?q=1&&r"))
    };
    let answer = client.fetch(&request).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (418, &b"body"[..]));
    assert_eq!(answer.headers.get_all("x-one").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(answer.url, server.named("/a//b/%2F?q=1&&r"));
    let seen = server.requests().remove(0);
    assert_eq!((&*seen.method, &*seen.path, &seen.body[..]), ("PATCH", "/a//b/%2F?q=1&&r", &b"sent"[..]));
    assert_eq!(seen.header("host"), Some(&*format!("host.test:{}", server.address.port())));
    assert_eq!(seen.header("content-length"), Some("4"));
    let mine: Vec<_> = seen.headers.get_all("x-mine").iter().map(|value| value.as_bytes().to_vec()).collect();
    assert_eq!(mine, [b"a".to_vec(), vec![0xe9]]);
}

#[tokio::test]
async fn what_is_the_clients_business_is_refused() {
    let server = Server::http(|_| text("")).await;
    let client = client(&[server.line()]);
    let with =
        |name: &str, value: &[u8]| Request { headers: vec![(name.into(), value.to_vec())], ..get(server.url("/")) };
    let mut requests: Vec<Request> = [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "TE",
        "Upgrade",
        "Expect",
        "Keep-Alive",
        "Proxy-Authorization",
        "Proxy-Connection",
        "a b",
        "",
        "x:y",
    ]
    .iter()
    .map(|name| with(name, b"x"))
    .collect();
    requests.push(with("x-y", b"a\r\nb"));
    requests.push(with("x-y", &[b'a'; 70_000]));
    requests.push(Request { method: "CONNECT".into(), ..get(server.url("/")) });
    requests.push(Request { method: "G T".into(), ..get(server.url("/")) });
    requests.push(Request { headers: vec![("x".into(), Vec::new()); 129], ..get(server.url("/")) });
    requests.push(Request { body: vec![0; (16 << 20) + 1].into(), ..get(server.url("/")) });
    for request in requests {
        assert!(matches!(client.fetch(&request).await, Err(OutboundError::Invalid(_))), "{:?}", request.headers);
    }
    assert_eq!(server.connected(), 0);
}

#[tokio::test]
async fn a_credential_goes_to_its_own_destinations_only() {
    let (server, other) = (Server::http(|_| text("")).await, Server::http(|_| text("")).await);
    let client = client(&[server.line(), other.line(), server.named_line()]);
    let forms = [
        (Form::Basic { user: "calvin".into() }, "authorization", "Basic Y2FsdmluOnBhc3N3w7ZyZA=="),
        (Form::Bearer, "authorization", "Bearer passw\u{f6}rd"),
        (Form::Header("X-Auth-Token".parse().unwrap()), "x-auth-token", "passw\u{f6}rd"),
    ];
    for (form, field, expected) in forms {
        let credential = credential(form, "passw\u{f6}rd", &server.line());
        assert!(!format!("{credential:?}").contains("passw"), "{credential:?}");
        let request = |url: String| Request { credential: Some(credential.clone()), ..get(url) };
        client.fetch(&request(server.url("/"))).await.unwrap();
        let seen = server.requests().pop().unwrap();
        assert_eq!(seen.headers.get(field).unwrap().as_bytes(), expected.as_bytes());
        // Another port, and the same machine by another name.
        for url in [other.url("/"), server.named("/")] {
            assert!(matches!(client.fetch(&request(url)).await, Err(OutboundError::Denied(_))));
        }
        let own = Request { headers: vec![(field.into(), b"x".to_vec())], ..request(server.url("/")) };
        assert!(matches!(client.fetch(&own).await, Err(OutboundError::Invalid(_))));
    }
    assert_eq!((server.requests().len(), other.connected()), (3, 0));
}

#[tokio::test]
async fn a_password_is_filled_into_a_login_and_goes_nowhere_else() {
    let away = Server::http(|_| text("")).await;
    let to = away.url("/");
    let server = Server::http(move |_| moved(307, &to)).await;
    let client = client(&[server.line(), away.line()]);
    let credential = credential(Form::Json { pointer: "/auth/0/password".into() }, "a\"b", &server.line());
    let login = |body: &'static str| Request {
        method: "POST".into(),
        body: body.into(),
        credential: Some(credential.clone()),
        redirects: 1,
        ..get(server.url("/"))
    };
    let empty = r#"{"auth":[{"password":"","user":"u"}]}"#;
    client.fetch(&login(empty)).await.unwrap();
    assert_eq!(server.requests().remove(0).body, r#"{"auth":[{"password":"a\"b","user":"u"}]}"#);
    assert_eq!(away.requests().remove(0).body, empty);
    for wrong in ["", "x", "{}", r#"{"auth":[]}"#, r#"{"auth":[{"password":"x"}]}"#, r#"{"auth":[{"password":null}]}"#]
    {
        assert!(matches!(client.fetch(&login(wrong)).await, Err(OutboundError::Invalid(_))), "{wrong}");
    }
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn credentials_are_checked() {
    let new = |form: Form, value: &str, to: &[&str]| {
        let to = to.iter().map(|line| line.parse().unwrap()).collect();
        Credential::new(form, zeroize::Zeroizing::new(value.into()), to).map(drop)
    };
    let to = &["https://a.test"][..];
    assert_eq!(new(Form::Bearer, "x", to), Ok(()));
    assert_eq!(new(Form::Bearer, "", to), Err(CredentialError::Value));
    assert_eq!(new(Form::Bearer, "x\n", to), Err(CredentialError::Value));
    assert_eq!(new(Form::Bearer, &"x".repeat(20_000), to), Err(CredentialError::Value));
    assert_eq!(new(Form::Basic { user: "a:b".into() }, "x", to), Err(CredentialError::User));
    assert_eq!(new(Form::Json { pointer: "a".into() }, "x", to), Err(CredentialError::Pointer));
    assert_eq!(new(Form::Bearer, "x", &[]), Err(CredentialError::Destinations));
    assert_eq!(new(Form::Bearer, "x", &["https://a.test at 10.0.0.1"]), Err(CredentialError::Destinations));
    let host = http::header::HOST;
    assert_eq!(new(Form::Header(host.clone()), "x", to), Err(CredentialError::Header(host)));
}

#[tokio::test]
async fn names_are_connected_to_at_listed_addresses_only() {
    let server = Server::http(|_| text("")).await;
    let port = server.address.port();
    let resolver = || {
        names(&[
            ("inside.test", &["127.0.0.1"]),
            ("mapped.test", &["::ffff:127.0.0.1"]),
            ("mixed.test", &["127.0.0.2", "10.0.0.1", "127.0.0.1"]),
            ("none.test", &[]),
        ])
    };
    let open = |lines: &[&str], forbidden: &[&str]| {
        let lines: Vec<String> = lines.iter().map(|line| line.replace("PORT", &port.to_string())).collect();
        let forbidden = forbidden.iter().map(|one| format!("{one}:{port}").parse().unwrap()).collect();
        Outbound::open(&super::config(&lines), forbidden, resolver()).unwrap()
    };
    let url = |name: &str| format!("http://{name}:{port}/");
    for name in ["inside.test", "mapped.test", "mixed.test"] {
        let denied = open(&[&format!("http://{name}:PORT"), "http://*:PORT", "http://127.0.0.1:PORT"], &[]);
        assert!(matches!(denied.fetch(&get(url(name))).await, Err(OutboundError::Denied(_))), "{name}");
        assert_eq!(server.connected(), 0);
    }
    let listed = open(&["http://*:PORT at 127.0.0.1"], &[]);
    for name in ["inside.test", "mapped.test", "mixed.test"] {
        listed.fetch(&get(url(name))).await.unwrap();
    }
    assert!(matches!(listed.fetch(&get(url("none.test"))).await, Err(OutboundError::Resolve(_))));
    let before = server.connected();
    for forbidden in ["127.0.0.1", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]"] {
        let guarded = open(&["http://*:PORT at 127.0.0.1", "http://127.0.0.1:PORT"], &[forbidden]);
        for name in ["inside.test", "mapped.test", "mixed.test", "127.0.0.1", "[::ffff:127.0.0.1]", "2130706433"] {
            let refused = guarded.fetch(&get(url(name))).await;
            assert!(matches!(refused, Err(OutboundError::Denied(_))), "{forbidden} {name} {refused:?}");
        }
    }
    assert_eq!(server.connected(), before);
}

#[tokio::test]
async fn the_systems_resolver_knows_this_machine() {
    let server = Server::http(|_| text("")).await;
    let port = server.address.port();
    let lines = [format!("http://localhost:{port} at 127.0.0.1")];
    let client = Outbound::open(&config(&lines), Vec::new(), Arc::new(SystemResolver::default())).unwrap();
    client.fetch(&get(format!("http://localhost:{port}/"))).await.unwrap();
    let lines = [format!("http://localhost:{port}")];
    let client = Outbound::open(&config(&lines), Vec::new(), Arc::new(SystemResolver::default())).unwrap();
    let refused = client.fetch(&get(format!("http://localhost:{port}/"))).await;
    assert!(matches!(refused, Err(OutboundError::Denied(_))), "{refused:?}");
}

#[tokio::test]
async fn a_body_has_as_many_bytes_as_it_may_and_as_it_said() {
    let server = Server::http(|_| text("0123456789")).await;
    let chunked = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n")
            .await;
    })
    .await;
    let short = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n0123456789").await;
    })
    .await;
    let client = client(&[server.line(), format!("http://{chunked}"), format!("http://{short}")]);
    for url in [server.url("/"), format!("http://{chunked}/")] {
        let limited = |limit| Request { limit: Some(limit), ..get(url.clone()) };
        assert_eq!(client.fetch(&limited(10)).await.unwrap().body, "0123456789");
        assert_eq!(client.fetch(&limited(9)).await, Err(OutboundError::TooLarge { limit: 9 }));
        let mut streamed = client.send(&limited(10)).await.unwrap().body;
        let mut all = Vec::new();
        while let Some(part) = streamed.next().await {
            all.extend(part.unwrap());
        }
        assert_eq!(all, b"0123456789");
    }
    let broken = client.fetch(&get(format!("http://{short}/"))).await;
    assert!(matches!(broken, Err(OutboundError::Protocol(_))), "{broken:?}");
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced() {
    // One answer a connection, although it says nothing of closing.
    let address = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx").await;
        // The next request is taken, and not answered.
        let _ = stream.read(&mut [0; 1024]).await;
    })
    .await;
    let client = client(&[format!("http://{address}")]);
    for _ in 0..3 {
        assert_eq!(client.fetch(&get(format!("http://{address}/"))).await.unwrap().body, "x");
    }
    // What must not happen twice is not sent twice.
    let post = Request { method: "POST".into(), ..get(format!("http://{address}/")) };
    let failed = client.fetch(&post).await;
    assert!(matches!(failed, Err(OutboundError::Protocol(_))), "{failed:?}");
}

#[tokio::test]
async fn a_body_that_is_not_read_to_its_end_costs_the_connection() {
    let server = Server::http(|seen| match &*seen.path {
        "/large" => Response::new(Full::from(vec![0; 1 << 20])),
        _ => text("small"),
    })
    .await;
    let client = client(&[server.line()]);
    drop(client.send(&get(server.url("/large"))).await.unwrap());
    for path in ["/", "/", "/large", "/"] {
        client.fetch(&get(server.url(path))).await.unwrap();
    }
    let head = Request { method: "HEAD".into(), ..get(server.url("/large")) };
    drop(client.send(&head).await.unwrap());
    client.fetch(&get(server.url("/"))).await.unwrap();
    let connections: Vec<_> = server.requests().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 1, 1, 1, 1, 1, 1]);
}

#[tokio::test]
async fn several_requests_are_under_way_at_once() {
    let (server, other) = (Server::http(|_| text("one")).await, Server::http(|_| text("other")).await);
    let client = client(&[server.line(), other.line()]);
    let requests: Vec<Request> =
        (0..40).map(|n| get(if n % 2 == 0 { server.url("/") } else { other.url("/") })).collect();
    let answers = future::join_all(requests.iter().map(|request| client.fetch(request))).await;
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap().body, if n % 2 == 0 { "one" } else { "other" });
    }
    assert!(server.connected() <= 8 && other.connected() <= 8, "each destination has its share");
}
