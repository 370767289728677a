//! The provider against a stand-in for Keystone.

use std::time::Duration;

use futures_util::future::join_all;
use http::HeaderMap;

use super::super::{Caller, Identity, Provider, Rejection, Unverified};
use crate::config::{Auth, TokenCache};
use crate::keystone::tests::stand_in::{Fault, StandIn, token};
use crate::metrics::Metrics;

fn provider(server: &StandIn, change: impl FnOnce(&mut Auth)) -> Provider {
    let mut settings = server.settings();
    change(&mut settings);
    let service = crate::keystone::Keystone::open("cloud", &settings).unwrap();
    Provider::keystone(service.into(), &settings, Metrics::new().token_checks("cloud"))
}

fn headers(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-auth-token", token.parse().unwrap());
    headers
}

async fn who(provider: &Provider, token: &str) -> Identity {
    match provider.authenticate(&headers(token), false) {
        Caller::Known(identity) => identity,
        Caller::Awaited(identity) => identity.await,
    }
}

async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_good_token_makes_the_callers_record() {
    let server = StandIn::start().await;
    let provider = provider(&server, |_| ());
    let Identity::User(user) = who(&provider, "ann").await else { panic!("not let in") };
    assert_eq!((user.id.as_str(), user.name.as_str(), user.project.as_deref()), ("u-ann", "ann", Some("p-dev")));
    assert_eq!((user.roles.as_slice(), user.unrestricted), (&["admin".to_owned()][..], false));
    let extra: Vec<String> = user.extra.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        extra,
        [
            "user_domain_id=default",
            "user_domain_name=Default",
            "project_name=dev",
            "project_domain_id=default",
            "project_domain_name=Default",
            "is_admin_project=true"
        ]
    );
    let found = provider.lookup("ann", false).await.unwrap().unwrap();
    assert_eq!(found.user, user);
    assert!(found.expires.is_some());
    assert_eq!(provider.lookup("nobody", false).await, Ok(None));
    assert_eq!(provider.users_by_id(&["u-ann".into()]), None);
}

#[tokio::test]
async fn a_remembered_token_is_not_asked_about_and_waits_for_nobody() {
    let server = StandIn::start().await;
    let provider = provider(&server, |_| ());
    for _ in 0..3 {
        assert!(matches!(who(&provider, "ann").await, Identity::User(_)));
    }
    assert!(matches!(provider.authenticate(&headers("ann"), false), Caller::Known(Identity::User(_))));
    assert_eq!(server.validations(), 1);
    // Even a Keystone that is away.
    server.fail(Some(Fault::Status(500)));
    assert!(matches!(who(&provider, "ann").await, Identity::User(_)));
}

#[tokio::test]
async fn a_revoked_token_is_believed_in_no_longer_than_the_operator_says() {
    let server = StandIn::start().await;
    let provider = provider(&server, |settings| settings.cache.good = crate::config::Period::secs(30));
    assert!(matches!(who(&provider, "ann").await, Identity::User(_)));
    server.revoke("ann");
    pass(29).await;
    assert!(matches!(who(&provider, "ann").await, Identity::User(_)));
    pass(1).await;
    assert_eq!(who(&provider, "ann").await, Identity::Rejected(Rejection::Unknown));
}

#[tokio::test]
async fn a_token_is_never_remembered_beyond_its_end() {
    let server = StandIn::start().await;
    let provider = provider(&server, |_| ());
    server.add("short", token("bob", &["reader"], 11));
    assert!(matches!(who(&provider, "short").await, Identity::User(_)));
    pass(11).await;
    server.revoke("short");
    assert_eq!(who(&provider, "short").await, Identity::Rejected(Rejection::Unknown));
}

#[tokio::test]
async fn a_bad_token_is_remembered_briefly_and_pushes_no_good_one_out() {
    let server = StandIn::start().await;
    let cache = TokenCache { entries: 3, ..TokenCache::default() };
    let provider = provider(&server, |settings| settings.cache = cache);
    assert!(matches!(who(&provider, "ann").await, Identity::User(_)));
    for _ in 0..4 {
        assert_eq!(who(&provider, "bad").await, Identity::Rejected(Rejection::Unknown));
    }
    assert_eq!(server.validations(), 2);
    for number in 0..10 {
        who(&provider, &format!("bad-{number}")).await;
    }
    let asked = server.validations();
    assert!(matches!(who(&provider, "ann").await, Identity::User(_)));
    assert_eq!(server.validations(), asked);
    who(&provider, "bad-9").await;
    assert_eq!(server.validations(), asked);
    pass(5).await;
    server.add("bad-9", token("bob", &["reader"], 60));
    assert!(matches!(who(&provider, "bad-9").await, Identity::User(_)));
}

#[tokio::test]
async fn a_token_is_asked_about_once_for_all_who_wait_even_if_the_first_goes_away() {
    let server = StandIn::start().await;
    let provider = provider(&server, |_| ());
    server.hold();
    let first = provider.authenticate(&headers("ann"), false);
    let others: Vec<Caller> = (0..50).map(|_| provider.authenticate(&headers("ann"), false)).collect();
    drop(first);
    server.release();
    let told = join_all(others.into_iter().map(|caller| async move {
        match caller {
            Caller::Known(identity) => identity,
            Caller::Awaited(identity) => identity.await,
        }
    }));
    assert!(told.await.iter().all(|identity| matches!(identity, Identity::User(_))));
    assert_eq!(server.validations(), 1);
}

#[tokio::test]
async fn a_flood_of_tokens_is_bounded_at_keystone_and_here() {
    let server = StandIn::start().await;
    let provider = provider(&server, |settings| settings.validations = 2);
    server.hold();
    let waiting: Vec<Caller> =
        (0..18).map(|number| provider.authenticate(&headers(&format!("flood-{number}")), false)).collect();
    assert!(waiting.iter().all(|caller| matches!(caller, Caller::Awaited(_))));
    // Past that nobody waits, and nobody is told that their token is bad.
    let busy = Identity::Unverified(Unverified::Busy);
    assert_eq!(who(&provider, "ann").await, busy);
    while server.validations() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.validations(), 2);
    server.release();
    for caller in waiting {
        let Caller::Awaited(identity) = caller else { continue };
        assert_eq!(identity.await, Identity::Rejected(Rejection::Unknown));
    }
    assert!(matches!(who(&provider, "ann").await, Identity::User(_)));
}

#[tokio::test]
async fn where_keystone_does_not_say_nobody_is_let_in_and_nothing_is_remembered() {
    let server = StandIn::start().await;
    let provider = provider(&server, |settings| settings.deadline = crate::config::Period::millis(300));
    let away = Identity::Unverified(Unverified::Away);
    for fault in [Fault::Status(500), Fault::Body("{}", 200), Fault::Silent, Fault::Huge, Fault::Closed] {
        server.fail(Some(fault));
        assert_eq!(who(&provider, "ann").await, away, "{fault:?}");
        assert_eq!(provider.lookup("ann", false).await, Err(Unverified::Away));
    }
    server.fail(None);
    assert!(matches!(who(&provider, "ann").await, Identity::User(_)));
}

#[tokio::test]
async fn what_is_no_token_is_not_asked_about() {
    let server = StandIn::start().await;
    let provider = provider(&server, |_| ());
    assert!(matches!(provider.authenticate(&HeaderMap::new(), false), Caller::Known(Identity::Anonymous)));
    for wrong in ["a b", &"x".repeat(1025)] {
        assert_eq!(who(&provider, wrong).await, Identity::Rejected(Rejection::Malformed));
        assert_eq!(provider.lookup(wrong, false).await, Ok(None));
    }
    assert_eq!((server.logins(), server.validations()), (0, 0));
}

#[tokio::test]
async fn clients_cannot_say_who_they_are_and_are_told_where_to_log_in() {
    let server = StandIn::start().await;
    let provider = provider(&server, |settings| settings.public_url = Some("https://id.test/v3".into()));
    let mut sent = headers("ann");
    for forged in ["x-identity-status", "x-roles", "X-User-Id", "x_roles", "x-service-roles", "openstack-system-scope"]
    {
        sent.append(http::HeaderName::from_bytes(forged.as_bytes()).unwrap(), "Confirmed".parse().unwrap());
        sent.append(http::HeaderName::from_bytes(forged.as_bytes()).unwrap(), "admin".parse().unwrap());
    }
    sent.insert("x-userland", "stays".parse().unwrap());
    provider.strip(&mut sent);
    let left: Vec<&str> = sent.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(left, ["x-auth-token", "x-userland"]);
    let challenge = provider.challenge(&Identity::Anonymous);
    assert_eq!(challenge, "Keystone uri=\"https://id.test/v3\"");
}
