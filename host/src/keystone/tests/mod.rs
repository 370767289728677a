//! The client of Keystone against a stand-in that has the faults a real one has now and then.

pub(crate) mod stand_in;

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use stand_in::{Fault, StandIn, token};

use super::*;

async fn validate(keystone: &Keystone, token: &str) -> Result<Option<Token>, Unavailable> {
    keystone.validate(token, Instant::now() + Duration::from_secs(5)).await
}

#[tokio::test]
async fn the_service_account_logs_in_once_for_all_who_ask() {
    let server = StandIn::start().await;
    let keystone = server.client();
    let asked = join_all((0..20).map(|_| validate(&keystone, "ann"))).await;
    assert!(asked.iter().all(|one| matches!(one, Ok(Some(token)) if token.user.name == "ann")), "{asked:?}");
    assert_eq!((server.logins(), server.validations()), (1, 20));
    let login = server.last_login();
    assert_eq!(login.pointer("/auth/identity/password/user/password"), Some(&json!("hunter22")));
    assert_eq!(login.pointer("/auth/identity/password/user/domain/name"), Some(&json!("Default")));
    assert_eq!(login.pointer("/auth/scope/project/name"), Some(&json!("service")));
}

#[tokio::test]
async fn a_token_that_keystone_does_not_know_is_bad_and_nothing_else_is() {
    let server = StandIn::start().await;
    let keystone = server.client();
    assert_eq!(validate(&keystone, "nobody").await, Ok(None));
    for fault in [
        Fault::Status(400),
        Fault::Status(403),
        Fault::Status(429),
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(300),
        Fault::Body("", 200),
        Fault::Body("<html>", 200),
        Fault::Body("{\"token\": {}}", 200),
        Fault::Body("{\"token\": {\"user\": {\"id\": 1}}}", 200),
        Fault::Huge,
        Fault::Closed,
    ] {
        server.fail(Some(fault));
        let asked = validate(&keystone, "ann").await;
        assert!(asked.is_err(), "{fault:?}: {asked:?}");
    }
    server.fail(None);
    assert!(matches!(validate(&keystone, "ann").await, Ok(Some(_))));
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn a_keystone_that_is_silent_or_gone_costs_no_more_than_the_deadline() {
    let server = StandIn::start().await;
    let keystone = server.client();
    server.fail(Some(Fault::Silent));
    let began = Instant::now();
    let until = began + Duration::from_millis(300);
    assert!(keystone.validate("ann", until).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let nowhere = StandIn::nowhere();
    assert!(nowhere.client().token().await.is_err());
}

#[tokio::test]
async fn a_login_that_failed_is_not_tried_again_at_once() {
    for (fault, pause) in [(Fault::Status(401), 10), (Fault::Status(500), 1), (Fault::Body("{}", 201), 1)] {
        let server = StandIn::start().await;
        let keystone = server.client();
        server.fail_logins(Some(fault));
        for _ in 0..5 {
            assert!(validate(&keystone, "ann").await.is_err());
            assert!(keystone.token().await.is_err());
        }
        assert_eq!(server.logins(), 1, "{fault:?}");
        server.fail_logins(None);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(pause)).await;
        tokio::time::resume();
        assert!(matches!(validate(&keystone, "ann").await, Ok(Some(_))), "{fault:?}");
        assert_eq!(server.logins(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_service_token_that_was_revoked_is_replaced_and_not_without_end() {
    let server = StandIn::start().await;
    let keystone = server.client();
    let first = keystone.token().await.unwrap();
    server.revoke_service_tokens();
    assert!(matches!(validate(&keystone, "ann").await, Ok(Some(_))));
    assert_eq!(server.logins(), 2);
    // Who still has the first one gets the second, without a login.
    let second = keystone.token_in_place_of(first.value()).await.unwrap().unwrap();
    assert_ne!(first.value(), second.value());
    assert_eq!(server.logins(), 2);
    // Whoever refuses every token makes nobody log in all the time.
    assert!(keystone.token_in_place_of(second.value()).await.unwrap().is_none());
    server.revoke_service_tokens();
    assert!(validate(&keystone, "ann").await.is_err());
    assert_eq!(server.logins(), 2);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::time::resume();
    assert!(matches!(validate(&keystone, "ann").await, Ok(Some(_))));
    assert_eq!(server.logins(), 3);
}

#[tokio::test]
async fn a_service_token_is_replaced_before_its_end() {
    let server = StandIn::start().await;
    server.service_tokens_live(1000);
    let keystone = server.client();
    let first = keystone.token().await.unwrap();
    for (seconds, logins) in [(900, 1), (39, 1), (1, 2)] {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
        let now = keystone.token().await.unwrap();
        assert_eq!((server.logins(), now.value() == first.value()), (logins, logins == 1), "{seconds}");
    }
}

#[tokio::test]
async fn what_keystone_says_of_every_scope_is_read() {
    let server = StandIn::start().await;
    let keystone = server.client();
    let scopes: [(&str, Value); 4] = [
        ("project", json!({"project": {"id": "p1", "name": "dev", "domain": {"id": "d1", "name": "Dom"}}})),
        ("domain", json!({"domain": {"id": "d1", "name": "Dom"}})),
        ("system", json!({"system": {"all": true}})),
        ("none", json!({"unknown": {"things": [1, 2]}})),
    ];
    for (name, scope) in scopes {
        let mut described = token("ann", &["reader", "member"], 600);
        described.as_object_mut().unwrap().remove("project");
        described.as_object_mut().unwrap().extend(scope.as_object().unwrap().clone());
        server.add(name, described);
    }
    let project = validate(&keystone, "project").await.unwrap().unwrap();
    assert_eq!(project.project.as_ref().map(|project| project.id.as_str()), Some("p1"));
    assert_eq!(project.roles.iter().map(|role| role.name.as_str()).collect::<Vec<_>>(), ["reader", "member"]);
    let domain = validate(&keystone, "domain").await.unwrap().unwrap();
    assert_eq!((domain.project, domain.domain.unwrap().id), (None, Some("d1".into())));
    assert!(validate(&keystone, "system").await.unwrap().unwrap().system.unwrap().all);
    let none = validate(&keystone, "none").await.unwrap().unwrap();
    assert_eq!((none.project, none.domain, none.system), (None, None, None));
}

#[tokio::test]
async fn passwords_and_tokens_are_in_no_text() {
    let server = StandIn::start().await;
    let keystone = server.client();
    let token = keystone.token().await.unwrap();
    server.fail(Some(Fault::Status(500)));
    let mut texts = vec![format!("{keystone:?}"), validate(&keystone, "secret-token").await.unwrap_err().to_string()];
    server.fail(Some(Fault::Body("{\"token\": \"secret-token\"}", 200)));
    texts.push(validate(&keystone, "secret-token").await.unwrap_err().to_string());
    for text in texts {
        let shown = ["hunter22", "secret-token", token.value()].iter().any(|secret| text.contains(secret));
        assert!(!shown, "{text}");
    }
}

#[tokio::test]
async fn a_table_that_cannot_be_used_is_refused_with_the_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = StandIn::start().await;
    let refused = |change: &dyn Fn(&mut config::Auth)| {
        let mut settings = server.settings();
        change(&mut settings);
        Keystone::open("cloud", &settings).unwrap_err()
    };
    assert!(refused(&|settings| settings.url = "ftp://x/v3".into()).starts_with("url: "));
    assert!(refused(&|settings| settings.ca = Some("/nowhere/ca.pem".into())).starts_with("ca /nowhere/ca.pem: "));
    assert!(refused(&|settings| settings.password_file = "/nowhere/p".into()).starts_with("password_file: /nowhere/p"));
    let file = server.settings().password_file;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o604)).unwrap();
    assert!(refused(&|_| ()).contains("chmod o="));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&file, "\n").unwrap();
    assert!(refused(&|_| ()).starts_with("password_file: "));
}
