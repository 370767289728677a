//! Who may do what: tokens of a real Keystone, and the rules that the operator changes (sheet, section 2).

use plugbay_tests::{Keystone, Sent};
use serde_json::{Value, json};

use super::{Api, SITE, bed_of, private, site, texts};

/// Method, path, body, and what an administrator is answered.
fn endpoints() -> Vec<(&'static str, &'static str, Value, u16)> {
    let task = json!({"action": "verify_site", "design_ref": SITE});
    let of_design = json!({"design_ref": SITE, "href": SITE});
    vec![
        ("GET", "/health/extended", Value::Null, 200),
        ("GET", "/tasks", Value::Null, 200),
        ("POST", "/tasks", task, 201),
        ("GET", "/tasks/0a2c1f66-1111-4222-8333-444455556666", Value::Null, 404),
        ("GET", "/tasks/0a2c1f66-1111-4222-8333-444455556666/builddata", Value::Null, 404),
        ("GET", "/nodes", Value::Null, 200),
        ("GET", "/nodes/ctl-01/builddata?latest=True", Value::Null, 404),
        ("POST", "/nodefilter", of_design.clone(), 200),
        ("POST", "/validatedesign", of_design, 200),
        ("GET", "/designs", Value::Null, 500),
        ("POST", "/designs", json!({}), 500),
        ("DELETE", "/tasks?days=None", Value::Null, 200),
    ]
}

fn request(method: &str, path: &str, body: &Value) -> Sent {
    let sent = Sent::new(method, &format!("/api/v1.0{path}"));
    match body {
        Value::Null => sent,
        body => sent.header("content-type", "application/json").body(body.to_string()),
    }
}

const FORGED: [(&str, &str); 6] = [
    ("x-identity-status", "Confirmed"),
    ("x-roles", "admin"),
    ("x-user-id", "root"),
    ("x-user-name", "root"),
    ("x-service-identity-status", "Confirmed"),
    ("x-service-roles", "admin"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_of_a_real_keystone_decide_and_forged_headers_do_not() {
    let (Some(site), Some(mut keystone)) = (site(), Keystone::start().await) else { return };
    let mut bed = bed_of(&keystone);
    std::fs::write(private(&bed).join("site.yaml"), site).unwrap();
    bed.start().await;
    assert_eq!(bed.status("drydock").last_error, None);
    let (admin, reader, none) =
        (keystone.user(&["admin"]).await, keystone.user(&["reader"]).await, keystone.user(&["member"]).await);
    let challenge = format!("Keystone uri=\"{}\"", keystone.url());
    for (method, path, body, expected) in endpoints() {
        let sent = || request(method, path, &body);
        let place = format!("{method} {path}");
        for (token, status, message) in [
            (Some(admin.as_str()), expected, None),
            (Some(&reader), 403, Some("Forbidden")),
            (Some(&none), 403, Some("Forbidden")),
            (Some("gAAAAAnothing"), 401, Some("Unauthenticated")),
            (None, 401, Some("Unauthenticated")),
        ] {
            let answer = match token {
                Some(token) => bed.send(sent().header("x-auth-token", token)).await,
                None => bed.send(FORGED.iter().fold(sent(), |sent, (name, value)| sent.header(name, value))).await,
            };
            assert_eq!(answer.status, status, "{place}: {}", answer.text());
            assert_eq!(answer.header("x-drydock-req").len(), 36, "{place}");
            if let Some(message) = message {
                let shape = json!({"type": "error", "message": message, "retry": false});
                assert_eq!(answer.json(), shape, "{place}");
            }
            let challenged = if status == 401 { challenge.as_str() } else { "" };
            assert_eq!(answer.header("www-authenticate"), challenged, "{place}");
        }
    }
    // What needs no token does not mind a bad one.
    for (path, status) in [("/versions", 200), ("/api/v1.0/health", 204)] {
        assert_eq!(bed.send(Sent::new("GET", path).header("x-auth-token", "bad")).await.status, status, "{path}");
    }
    // Where nodes come, a good token does not help.
    let files = Sent::new("GET", "/api/v1.0/bootactions/nodes/ctl-01/files").header("x-auth-token", &admin);
    assert_eq!(bed.send(files).await.status, 404);
    // Who made a task is who Keystone says it was.
    let api = Api::of(&bed, &admin);
    let task = api.run("validate_design", SITE, None).await;
    assert_eq!((&task["created_by"], &task["result"]["status"]), (&json!("user-0"), &json!("success")));
    // While Keystone is away nobody is let in whom it did not speak for; what needs nobody goes on.
    let fresh = Api::of(&bed, &keystone.user(&["admin"]).await);
    keystone.stop().await;
    let away = fresh.get("/tasks").await;
    let shape = json!({"type": "error", "message": "The identity service cannot be asked now", "retry": true});
    assert_eq!((away.status.as_u16(), away.header("retry-after"), away.json()), (503, "5", shape));
    for (path, status) in [("/versions", 200), ("/api/v1.0/health", 204), ("/api/v1.0/bootactions/nodes/x/files", 404)]
    {
        assert_eq!(fresh.send(Sent::new("GET", path)).await.status, status, "{path}");
    }
    assert_eq!(api.get("/tasks").await.status, 200, "what Keystone said a moment ago counts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_gives_rules_other_roles_and_a_posted_task_asks_for_two() {
    let (Some(site), Some(keystone)) = (site(), Keystone::start().await) else { return };
    let mut bed = bed_of(&keystone);
    std::fs::write(private(&bed).join("site.yaml"), site).unwrap();
    bed.change_config(
        "#roles.\"physical_provisioner:read_task\" = [\"admin\", \"reader\"]",
        "roles.\"physical_provisioner:read_task\" = [\"admin\", \"poster\"]\n\
         roles.\"physical_provisioner:create_task\" = [\"poster\"]\n\
         roles.\"physical_provisioner:validate_design\" = [\"poster\"]\n\
         roles.\"physical_provisioner:delete_tasks\" = []",
    );
    bed.start().await;
    assert_eq!(bed.status("drydock").last_error, None);
    // In Keystone `admin` implies `member` and `reader`, so it is another role that stands apart.
    let (admin, poster) = (keystone.user(&["admin"]).await, keystone.user(&["poster"]).await);
    let (admins, posters) = (Api::of(&bed, &admin), Api::of(&bed, &poster));
    let post = |action: &str| json!({"action": action, "design_ref": SITE});
    // The first rule, before the body is looked at; then the second, once the action is known.
    assert_eq!(admins.post("/tasks", &post("validate_design")).await.status, 403);
    assert_eq!(admins.post("/tasks", &json!({})).await.status, 403);
    assert_eq!(posters.post("/tasks", &post("verify_site")).await.status, 403);
    assert_eq!(posters.post("/tasks", &post("nonsense")).await.status, 400);
    assert_eq!(posters.get("/tasks").await.json(), json!([]), "a refused task was made");
    let task = posters.run("validate_design", SITE, None).await;
    assert_eq!(task["result"]["status"], "success", "{:?}", texts(&task));
    assert_eq!(posters.get("/tasks").await.json().as_array().unwrap().len(), 1);
    assert_eq!(posters.get("/nodes").await.status, 403);
    // A rule without roles is satisfied by nobody.
    for api in [&admins, &posters] {
        assert_eq!(api.send(Sent::new("DELETE", "/api/v1.0/tasks?days=0")).await.status, 403);
    }
}
