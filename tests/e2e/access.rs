//! Who is calling, and whether a route is open to them (rule 10).

use plugbay_tests::{Bed, Sent, marked};

#[tokio::test]
async fn access_rules_decide_between_200_401_and_403() {
    let mut bed = Bed::new("");
    bed.install("trouble", &marked(1, 1));
    let (member, guest) = (bed.token("ann", &["member"]), bed.token("bob", &[]));
    bed.start().await;
    let get = async |path: &str, token: Option<&str>| {
        let sent = Sent::new("GET", path);
        bed.send(match token {
            Some(token) => sent.header("x-auth-token", token),
            None => sent,
        })
        .await
    };
    let anonymous = get("/trouble/secret", None).await;
    assert_eq!(anonymous.status, 401);
    assert!(anonymous.header("www-authenticate").starts_with("Bearer"));
    assert_eq!(get("/trouble/secret", Some("wrong")).await.status, 401);
    assert_eq!(get("/trouble/secret", Some(&guest)).await.text(), "bob");
    assert_eq!(get("/trouble/members", None).await.status, 401);
    assert_eq!(get("/trouble/members", Some(&guest)).await.status, 403);
    assert_eq!(get("/trouble/members", Some(&member)).await.text(), "in");
    // With `plugin` the plugin gets everybody.
    assert!(get("/trouble/echo/", Some("wrong")).await.text().contains("caller rejected: the token is not known"));
    assert!(get("/trouble/echo/", Some(&member)).await.text().contains("caller user ann"));
    let bearer =
        bed.send(Sent::new("GET", "/trouble/secret").header("authorization", &format!("Bearer {guest}"))).await;
    assert_eq!(bearer.text(), "bob");
}

#[tokio::test]
async fn the_operator_can_give_rules_other_roles() {
    let mut bed = Bed::new("[plugin.trouble]\nroles = { member = [\"boss\"] }\n");
    bed.install("trouble", &marked(1, 1));
    let (member, boss) = (bed.token("ann", &["member"]), bed.token("eve", &["boss"]));
    bed.start().await;
    let status =
        async |token: &str| bed.send(Sent::new("GET", "/trouble/members").header("x-auth-token", token)).await.status;
    assert_eq!(status(&member).await, 403);
    assert_eq!(status(&boss).await, 200);
}

#[tokio::test]
async fn no_authentication_for_strangers_has_to_be_said_in_words() {
    let open = |words: &str| {
        let config = format!(
            "[auth.open]\nprovider = \"none\"\n{words}\n[[listener]]\nname = \"default\"\nbind = \"0.0.0.0:0\"\n[plugin.x]\nmounts = [{{ auth = \"open\" }}]\n"
        );
        plugbay::config::Config::load(&Bed::with_config(&config).config_file())
    };
    assert!(open("").unwrap_err().to_string().contains("anyone_on_the_network_may_call"));
    assert!(open("anyone_on_the_network_may_call = true").is_ok());
}

#[tokio::test]
async fn the_operator_surface_is_on_no_listener() {
    let bed = Bed::serving("trouble", &marked(1, 1), "").await;
    assert_eq!(bed.get("/trouble/label").await.text(), "1");
    let error = plugbay::config::Config::load(
        &Bed::new("[plugin.trouble]\nmounts = [{ path = \"/x\", surface = \"operator\" }]\n").config_file(),
    );
    assert!(error.is_err());
}
