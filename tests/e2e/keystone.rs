//! Callers that a real Keystone knows, and a service account that plugins' requests are sent with.

use plugbay_tests::{Answer, Bed, Keystone, Recorder, Sent, component, wait_until};
use serde_json::{Value, json};

/// A host with the plugin that says who calls it.
async fn bed(keystone: &Keystone, table: &str, plugin: &str) -> Bed {
    let config = format!(
        "{}[plugin.caller]\nmounts = [{{ auth = \"cloud\" }}]\ngrants = [\"http-client\", \"secrets\"]\n{plugin}\n",
        keystone.table(table)
    );
    Bed::serving("caller", &component("caller"), &config).await
}

async fn get(bed: &Bed, path: &str, fields: &[(&str, &str)]) -> Answer {
    let sent = fields.iter().fold(Sent::new("GET", path), |sent, (name, value)| sent.header(name, value));
    bed.send(sent).await
}

async fn status(bed: &Bed, path: &str, token: &str) -> u16 {
    get(bed, path, &[("x-auth-token", token)]).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_a_real_keystone_decide_who_may_do_what() {
    let Some(mut keystone) = Keystone::start().await else { return };
    let bed = bed(&keystone, "cache = { good = \"1s\", bad = \"100ms\" }", "").await;
    let (admin, reader) = (keystone.user(&["admin"]).await, keystone.user(&["reader"]).await);

    let anonymous = get(&bed, "/users", &[]).await;
    let challenge = format!("Keystone uri=\"{}\"", keystone.url());
    assert_eq!((anonymous.status.as_u16(), anonymous.header("www-authenticate")), (401, challenge.as_str()));
    let wrong = get(&bed, "/users", &[("x-auth-token", "gAAAAABwrong")]).await;
    assert_eq!((wrong.status.as_u16(), wrong.header("www-authenticate")), (401, challenge.as_str()));
    for (path, admins, readers) in [("/users", 200, 200), ("/admins", 200, 403), ("/caller", 200, 200)] {
        assert_eq!((status(&bed, path, &admin).await, status(&bed, path, &reader).await), (admins, readers), "{path}");
    }
    let bearer = get(&bed, "/admins", &[("authorization", &format!("Bearer {admin}"))]).await;
    assert_eq!(bearer.status, 200);

    // What clients say of themselves is not believed, and not handed on.
    let forged = [
        ("x-identity-status", "Confirmed"),
        ("x-roles", "admin"),
        ("x-user-name", "root"),
        ("x_roles", "admin"),
        ("x-service-identity-status", "Confirmed"),
        ("x-service-roles", "admin"),
        ("x-mine", "stays"),
    ];
    assert_eq!(get(&bed, "/admins", &forged).await.status, 401);
    let with_token = [&forged[..], &[("x-auth-token", reader.as_str())]].concat();
    assert_eq!(get(&bed, "/admins", &with_token).await.status, 403);
    let seen = get(&bed, "/caller", &with_token).await.json();
    assert_eq!(seen["fields"], json!(["host", "x-mine", "x-auth-token"]), "{seen}");
    assert_eq!(seen["caller"]["roles"], json!(["reader"]));
    let extra = &seen["caller"]["extra"];
    assert_eq!((&extra["project_name"], &extra["user_domain_name"]), (&json!("dev"), &json!("Default")));
    assert_eq!(seen["admin"], "Ok(false)");
    assert_eq!(get(&bed, "/caller", &[]).await.json()["challenge"], json!(challenge));

    // `identity.lookup`, for tokens that come in other ways.
    let looked = async |token: &str| bed.send(Sent::new("POST", "/lookup").body(token.to_owned())).await.json();
    assert_eq!(looked(&reader).await["user"]["roles"], json!(["reader"]));
    assert_eq!(looked("nobody").await, Value::Null);

    // A token that is revoked, or whose user is no more, works for no longer than it is remembered.
    let id = keystone.account("leaver", "dev", &["admin"]).await;
    let leaver = keystone.token("leaver", "dev").await;
    assert_eq!(status(&bed, "/admins", &leaver).await, 200);
    keystone.revoke(&reader).await;
    keystone.disable(&id).await;
    for token in [&reader, &leaver] {
        wait_until("the token is refused", || async { (status(&bed, "/users", token).await == 401).then_some(()) })
            .await;
    }

    // Without Keystone nobody is let in whom it did not speak for, and nobody is told that their token is bad.
    assert_eq!(status(&bed, "/admins", &admin).await, 200);
    keystone.stop().await;
    wait_until("memory has run out", || async { (status(&bed, "/admins", &admin).await == 503).then_some(()) }).await;
    let away = get(&bed, "/users", &[("x-auth-token", &admin)]).await;
    assert_eq!((away.status.as_u16(), away.header("retry-after")), (503, "5"));
    let seen = get(&bed, "/caller", &[("x-auth-token", &admin)]).await.json();
    assert_eq!(seen["caller"], json!({"unverified": "the identity service cannot be asked"}));
    assert!(seen["admin"].as_str().unwrap().contains("Unavailable"), "{seen}");
    assert!(looked(&admin).await.as_str().unwrap().contains("Unavailable"));
    assert_eq!(get(&bed, "/users", &[]).await.status, 401);
    keystone.start_again().await;
    wait_until("it is asked again", || async { (status(&bed, "/admins", &admin).await == 200).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_plugins_carry_the_service_accounts_token_to_its_destinations_alone() {
    let Some(keystone) = Keystone::start().await else { return };
    let (deckhand, elsewhere) = (Recorder::start().await, Recorder::start().await);
    let plugin = format!(
        "outbound.allow = [\"{}\", \"{}\"]\nsecrets.deckhand = {{ kind = \"keystone\", auth = \"cloud\", destinations = [\"{}\"] }}\n",
        deckhand.url(""),
        elsewhere.url(""),
        deckhand.url("")
    );
    let bed = bed(&keystone, "", &plugin).await;
    let fetch = async |url: String, redirects: u32| {
        let wanted = json!({"url": url, "credential": "deckhand", "redirects": redirects});
        bed.send(Sent::new("POST", "/fetch").body(wanted.to_string())).await.json()
    };
    deckhand.answer("/design", 200, &[], "a design");
    let fetched = fetch(deckhand.url("/design"), 0).await;
    assert_eq!((&fetched["status"], &fetched["body"]), (&json!(200), &json!("a design")));
    let first = deckhand.last("x-auth-token").unwrap();
    assert_eq!(keystone.whose(&first).await.as_deref(), Some("plugbay"));
    // The same token, as long as it is good.
    fetch(deckhand.url("/design"), 0).await;
    assert_eq!(deckhand.last("x-auth-token"), Some(first.clone()));

    // Nowhere else, and not along a redirection.
    assert_eq!(fetch(elsewhere.url("/design"), 0).await, json!({"error": "Error::Denied"}));
    deckhand.answer("/moved", 302, &[("location", &elsewhere.url("/there"))], "");
    elsewhere.answer("/there", 401, &[], "who are you?");
    let followed = fetch(deckhand.url("/moved"), 3).await;
    assert_eq!((&followed["status"], &followed["url"]), (&json!(401), &json!(elsewhere.url("/there"))));
    assert_eq!((elsewhere.requests(), elsewhere.last("x-auth-token")), (1, None));

    // A server that refuses it gets a new one, once.
    deckhand.refuse(&first);
    keystone.revoke(&first).await;
    let fetched = fetch(deckhand.url("/design"), 0).await;
    assert_eq!(fetched["status"], 200, "{fetched}");
    let second = deckhand.last("x-auth-token").unwrap();
    assert_ne!(first, second);
    assert_eq!(keystone.whose(&second).await.as_deref(), Some("plugbay"));
    deckhand.refuse(&second);
    let before = deckhand.requests();
    assert_eq!(fetch(deckhand.url("/design"), 0).await["status"], 401);
    assert_eq!(deckhand.requests(), before + 1);
}
