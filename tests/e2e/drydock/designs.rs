//! Where designs come from, and what is in the way of hostile ones (sheet, sections 6 and 7).

use plugbay_tests::{Keystone, Recorder};
use serde_json::json;

use super::{Api, SITE, bed, bed_of, private, site};

/// The example with these servers among those it may reach, and this in place of its settings' first line.
fn allow(bed: &plugbay_tests::Bed, servers: &[&Recorder], secrets: &str) {
    let lines: Vec<String> = servers.iter().map(|server| format!("{:?}", server.url(""))).collect();
    let allowed = format!("outbound.allow = [{}]\n{secrets}", lines.join(", "));
    bed.change_config("#outbound.allow = [\"https://10.0.0.0/24\"]", &allowed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn designs_come_with_the_services_token_from_deckhand_and_without_it_from_elsewhere() {
    let (Some(site), Some(keystone)) = (site(), Keystone::start().await) else { return };
    let (deckhand, web) = (Recorder::start().await, Recorder::start().await);
    let rendered = "/api/v1.0/revisions/3/rendered-documents";
    deckhand.answer(rendered, 200, &[("content-type", "application/x-yaml")], site.clone());
    web.answer("/site.yaml", 200, &[], site.clone());
    web.answer("/empty", 404, &[], "");
    web.answer("/moved", 302, &[("location", &deckhand.url(rendered))], "");
    let mut bed = bed_of(&keystone);
    let secret = format!(
        "secrets.deckhand = {{ kind = \"keystone\", auth = \"cloud\", destinations = [\"{}\"] }}",
        deckhand.url("")
    );
    allow(&bed, &[&deckhand, &web], &secret);
    // Promenade is in the same place, and wants the same token.
    let promenade = format!("promenade = {{ url = \"{}\", credential = \"deckhand\" }}", deckhand.url("/api/v1.0"));
    bed.change_config("#design_credential = \"deckhand\"", &format!("design_credential = \"deckhand\"\n{promenade}"));
    bed.start().await;
    assert_eq!(bed.status("drydock").last_error, None);
    let caller = keystone.user(&["admin"]).await;
    let api = Api::of(&bed, &caller);
    let names = async |reference: String| api.post("/nodefilter", &json!({"design_ref": reference})).await;

    // The service's own token, not the caller's, and it is good.
    let found = names(deckhand.url(rendered).replace("http://", "deckhand+http://")).await;
    assert_eq!(found.json().as_array().map(Vec::len), Some(6), "{}", found.text());
    let sent = deckhand.last("x-auth-token").unwrap();
    assert_ne!(sent, caller);
    assert_eq!(keystone.whose(&sent).await.as_deref(), Some("plugbay"));
    // One that was revoked meanwhile is replaced while the design is fetched.
    deckhand.refuse(&sent);
    keystone.revoke(&sent).await;
    assert_eq!(names(deckhand.url(rendered).replace("http://", "promenade+http://")).await.status, 200);

    // Labels of nodes go to Promenade with it, too.
    deckhand.answer("/api/v1.0/node-labels/sto-02", 200, &[], "{}");
    let reference = deckhand.url(rendered).replace("http://", "deckhand+http://");
    let task = api.run("relabel_nodes", &reference, Some(&["sto-01", "sto-02"])).await;
    assert_eq!(task["result"]["status"], "partial_success", "{task:#}");
    assert_eq!((&task["result"]["successes"], &task["result"]["failures"]), (&json!(["sto-02"]), &json!(["sto-01"])));
    let put = deckhand.seen().into_iter().find(|seen| seen.path.ends_with("/node-labels/sto-02")).unwrap();
    let labels: serde_json::Value = serde_json::from_slice(&put.body).unwrap();
    let expected = json!({"site": "riverton", "tier": "archive", "role": "storage", "color": "yellow"});
    assert_eq!((put.method.as_str(), labels), ("PUT", expected));
    assert_eq!(keystone.whose(&put.header("x-auth-token").unwrap()).await.as_deref(), Some("plugbay"));

    // Plain references carry nothing, or what stands in them.
    assert_eq!(names(web.url("/site.yaml")).await.status, 200);
    assert_eq!((web.last("x-auth-token"), web.last("authorization")), (None, None));
    assert_eq!(names(web.url("/site.yaml").replace("http://", "http://ann:s%3Acret@")).await.status, 200);
    assert_eq!(web.last("authorization").as_deref(), Some("Basic YW5uOnM6Y3JldA=="));

    // The token goes to no other host, whatever the reference says, and along no redirection.
    let before = web.requests();
    let refused = names(web.url("/site.yaml").replace("http://", "deckhand+http://")).await;
    assert_eq!((refused.status.as_u16(), web.requests()), (400, before), "{}", refused.text());
    let before = deckhand.requests();
    assert_eq!(names(web.url("/moved")).await.status, 400);
    assert_eq!(deckhand.requests(), before);

    // A reply that is no 2xx is an error, an empty one too; hosts that are not listed are not asked.
    for reference in [
        web.url("/empty"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        format!("http://127.0.0.1:{}/", bed.address().port()),
        "http://localhost:22/".to_owned(),
        "ftp://127.0.0.1/x".to_owned(),
        "file:///../../plugbay.toml".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        for (path, body) in
            [("/nodefilter", json!({"design_ref": reference})), ("/validatedesign", json!({"href": reference}))]
        {
            let answer = api.post(path, &body).await;
            assert_eq!(answer.status, 400, "{path} {reference}: {}", answer.text());
            assert_eq!(answer.json()["type"], "error", "{path} {reference}");
        }
    }
}

/// A document that stands for more than any machine has.
fn laughs() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        text += &format!("a{level}: &a{level} [{before}]\n");
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_designs_are_refused_and_harm_nobody() {
    let Some(site) = site() else { return };
    let web = Recorder::start().await;
    let mut bed = bed();
    allow(&bed, &[&web], "");
    let token = bed.token("ann", &["admin"]);
    let directory = private(&bed);
    let large = vec![b'#'; 100_000_000];
    std::fs::write(directory.join("large.yaml"), &large).unwrap();
    web.answer("/large.yaml", 200, &[], large);
    let deep = "[".repeat(100_000);
    let wide = "a: 1\n---\n".repeat(400_000);
    let key = format!("{}: 1", "k".repeat(2_000_000));
    for (name, text) in [
        ("laughs.yaml", laughs().as_str()),
        ("deep.yaml", &deep),
        ("wide.yaml", &wide),
        ("key.yaml", &key),
        ("broken.yaml", "a: [1\nb: }"),
        ("binary.yaml", "\u{0}\u{1}"),
        ("self.yaml", "a: &a [*a]"),
        ("site.yaml", &site),
    ] {
        std::fs::write(directory.join(name), text).unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", directory.join("link.yaml")).unwrap();
    bed.start().await;
    let api = Api::of(&bed, &token);
    for name in
        ["laughs.yaml", "deep.yaml", "broken.yaml", "binary.yaml", "self.yaml", "large.yaml", "link.yaml", "none.yaml"]
    {
        let body = json!({"href": format!("file:///{name}")});
        let answer = api.post("/validatedesign", &body).await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.text());
        assert_eq!(answer.json()["type"], "error", "{name}: {}", answer.text());
    }
    // Many documents of nobody's schema, and a key that is long, are no designs with nodes.
    for name in ["wide.yaml", "key.yaml"] {
        let answer = api.post("/nodefilter", &json!({"design_ref": format!("file:///{name}")})).await;
        assert!([200, 400].contains(&answer.status.as_u16()), "{name}: {}", answer.text());
    }
    let answer = api.post("/validatedesign", &json!({"href": web.url("/large.yaml")})).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("more than 8388608 bytes"), "{}", answer.text());
    // A body that is no reference but a design is refused for its size.
    let huge = json!({"href": "x".repeat(2_000_000)});
    assert_eq!(api.post("/validatedesign", &huge).await.status, 413);
    // Nobody was harmed.
    let valid = api.post("/validatedesign", &json!({"href": SITE})).await;
    assert_eq!((valid.status.as_u16(), &valid.json()["code"]), (200, &json!(200)));
    let messages = valid.json()["details"]["messageList"].as_array().unwrap().len();
    assert_eq!(messages, 18);
    let again = api.post("/validatedesign", &json!({"href": SITE})).await.json();
    assert_eq!(again["details"]["messageList"].as_array().unwrap().len(), 18);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_templates_end_at_a_bound_and_reach_nothing() {
    let Some(site) = site() else { return };
    let mut bed = bed();
    let token = bed.token("ann", &["admin"]);
    let directory = private(&bed);
    // Each takes the place of what the node's message of the day is made of.
    let attacks = [
        ("loop", "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"),
        (
            "double",
            "{% set ns = namespace(t='x') %}{% for a in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}",
        ),
        ("width", "{{ '%0999999999d' % 1 }}"),
        ("multiply", "{{ 'x' * 9999999999 }}"),
        ("recurse", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
        ("classes", "{{ ''.__class__.__mro__[1].__subclasses__() }}"),
        ("include", "{% include '/etc/passwd' %}"),
        ("syntax", "{% for %}"),
    ];
    let motd = "{%- for name, net in node.network | dictsort %}";
    assert!(site.contains(motd));
    for (name, attack) in attacks {
        std::fs::write(directory.join(format!("{name}.yaml")), site.replace(motd, &format!("{attack}{motd}"))).unwrap();
    }
    std::fs::write(directory.join("site.yaml"), &site).unwrap();
    bed.start().await;
    let api = Api::of(&bed, &token);
    for (name, _) in attacks {
        let reference = format!("file:///{name}.yaml");
        api.run("prepare_nodes", &reference, Some(&["sto-02"])).await;
        let id = api.start("deploy_nodes", &reference, Some(&["sto-02"])).await;
        let (key, _) = until_context(&bed, &id).await;
        let sent = plugbay_tests::Sent::new("GET", "/api/v1.0/bootactions/nodes/sto-02/files");
        let answer = bed.send(sent.header("x-bootaction-key", &key)).await;
        assert_eq!(answer.status, 500, "{name}: {} bytes", answer.body.len());
        assert!(!answer.text().contains("root:"), "{name}");
        super::call(&bed, "POST", &format!("/tasks/{id}/terminate")).await;
        api.ended(&id, std::time::Duration::from_secs(30)).await;
    }
    assert_eq!(api.post("/validatedesign", &json!({"href": SITE})).await.status, 200);
}

/// The boot context that this task made.
async fn until_context(bed: &plugbay_tests::Bed, root: &str) -> (String, String) {
    plugbay_tests::wait_until("the node has a boot context", || async {
        let answer = bed.operator("drydock", "GET", "/bootactions/sto-02").await;
        let context: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
        let text = |name: &str| context[name].as_str().map(str::to_owned);
        (context["posted_task_id"] == root).then_some(())?;
        Some((text("key")?, text("task_id")?))
    })
    .await
}
