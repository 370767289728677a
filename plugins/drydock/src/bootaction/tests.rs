//! Templates, pipelines, archives and reports.

use std::io::Read as _;

use proptest::prelude::*;
use serde_json::json;

use super::asset::Rendered;
use super::template::{ActionView, NodeView, Scope, render};
use super::{archive, asset, pipeline, report};
use crate::design::bootaction::{AssetKind, DataSegment};
use crate::design::{document, effective};
use crate::settings::Settings;
use crate::store::boot::ActionStatus;
use crate::world::World;

const SITE: &str = include_str!("../tests/site.yaml");

fn action() -> ActionView {
    ActionView {
        action_id: "01HQT".to_owned(),
        action_key: "ab".repeat(32),
        report_url: "http://r/".to_owned(),
        design_ref: "file:///a b".to_owned(),
    }
}

fn site() -> effective::Site {
    effective::compile(document::read(SITE.as_bytes()).unwrap().0).unwrap()
}

fn rendered(source: &str) -> Result<String, String> {
    let site = site();
    let view = NodeView::of(site.node("cmp-02").unwrap(), &site.shared);
    render(source, &Scope { node: &view, action: &action() })
}

#[track_caller]
fn is(source: &str, expected: &str) {
    assert_eq!(rendered(source).as_deref(), Ok(expected), "{source}");
}

#[test]
fn templates_see_their_node_and_action() {
    is("{{ node.hostname }}.{{ node.domain }}", "cmp-02.riverton.example");
    is("{{ node.network.default.ip }} {{ node.network.storage.cidr }}", "10.20.1.22 10.20.2.0/24");
    is("{{ node.network.pxe }}", "");
    is("{{ node.network | list | join(',') }}", "default,mgmt,oob,storage");
    is("{{ node.tags }} {{ node.labels.tier }}", "['canary', 'worker', 'managed'] compute");
    is("{{ node.interfaces.bond0.sriov }}", "False");
    is("{{ action.action_id }} {{ action.design_ref | urlencode }}", "01HQT file%3A///a%20b");
}

#[test]
fn templates_have_jinjas_default_settings() {
    is("a\n", "a");
    is("a\n\n", "a\n");
    is("[{{ nothing }}]", "[]");
    is("{{ '<&>' }}", "<&>");
    is("{% for x in [1, 2] %}{{ loop.index }}{% endfor %}\n", "12");
    is("{{ none }} {{ true }} {{ [1, 'a', none] }} {{ {'k': 1.5} }}", "None True [1, 'a', None] {'k': 1.5}");
    is("{{ 'a-b'.split('-') | last }}{{ 'x'.upper() }}", "bX");
    is("{{ '%s=%s' | format('a', 1) }}|{{ 'ab' | center(6) }}|", "a=1|  ab  |");
    is("{% set ns = namespace(n=0) %}{% for x in 'abc' %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "3");
    is("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(1) }}", "<1>");
    is("{{ {'a': 'x\"', 'b': none} | xmlattr }}{{ '<' | forceescape }}", " a=\"x&#34;\"&lt;");
    is("{{ 'a b c' | wordcount }} {{ 2048 | filesizeformat }}", "3 2.0 kB");
}

#[test]
fn filters_and_tests_of_jinja_are_there() {
    // Jinja 3.1, but for what the README says is not there.
    let filters = "abs attr batch capitalize center count d default dictsort e escape filesizeformat first float forceescape format \
                   groupby indent int items join last length list lower map max min pprint reject rejectattr replace reverse round \
                   safe select selectattr slice sort string striptags sum title tojson trim truncate unique upper urlencode \
                   wordcount wordwrap xmlattr";
    let tests = "boolean defined divisibleby eq equalto escaped even false filter float ge greaterthan gt in integer iterable le \
                 lessthan lower lt mapping ne none number odd sameas sequence string test true undefined upper";
    for filter in filters.split_whitespace() {
        is(&format!("{{{{ '{filter}' is filter }}}}"), "True");
    }
    for test in tests.split_whitespace() {
        is(&format!("{{{{ '{test}' is test }}}}"), "True");
    }
}

#[test]
fn templates_that_attack_end() {
    for source in [
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for a in range(1000) %}{{ 'x' * 100000 }}{% endfor %}",
        "{{ 'x' * 10000000000 }}",
        "{{ 'x' | center(1000000000) }}",
        "{% include 'secret' %}",
        "{{ node.hostname.__class__.mro }}",
        "{{ nothing.at.all }}",
        "{{ range(100000000000) }}",
        "{% if %}",
    ] {
        assert!(rendered(source).is_err(), "{source}");
    }
}

#[test]
fn pipelines_check_what_goes_from_segment_to_segment() {
    use DataSegment::*;
    let site = site();
    let view = NodeView::of(&site.nodes[0], &site.shared);
    let action = action();
    let scope = Scope { node: &view, action: &action };
    let run = |content: &str, segments: &[DataSegment]| {
        pipeline::run(content.as_bytes().to_vec(), segments, &scope).map(|bytes| String::from_utf8(bytes).unwrap())
    };
    assert_eq!(run("x\n", &[]).as_deref(), Ok("x\n"));
    assert_eq!(run("cml2ZXJ0\nb24K", &[Base64Decode]).as_deref(), Ok("riverton\n"));
    assert_eq!(
        run("{{ node.hostname }}\n", &[Utf8Decode, Template, Utf8Encode, Base64Encode]).as_deref(),
        Ok("Y3RsLTAx")
    );
    assert_eq!(run("{{ 1 }}", &[Utf8Decode, Template]).as_deref(), Ok("1"));
    for wrong in [vec![Template], vec![Utf8Decode, Utf8Decode], vec![Utf8Encode], vec![Utf8Decode, Base64Encode]] {
        assert!(run("{{ 1 }}", &wrong).is_err(), "{wrong:?}");
    }
    assert!(run("abc", &[Base64Decode]).is_err());
    assert!(pipeline::run(vec![0xff], &[Utf8Decode], &scope).is_err());
}

/// Names, modes, owners, times and contents of an archive.
fn unpacked(bytes: &[u8]) -> Vec<(String, u32, u64, u64, u64, String)> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    let entry = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert!(header.entry_type().is_file() && header.as_gnu().is_some());
        assert_eq!((header.username_bytes(), header.groupname_bytes()), (Some(&b""[..]), Some(&b""[..])));
        let facts = (header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap());
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (name, facts.0, facts.1, facts.2, facts.3, text)
    };
    archive.entries().unwrap().map(entry).collect()
}

#[test]
fn archives_have_names_with_slashes_and_modes_from_octal_text() {
    let site = site();
    let view = NodeView::of(site.node("sto-01").unwrap(), &site.shared);
    let action = action();
    let scope = Scope { node: &view, action: &action };
    let (world, settings) = (World::real(), Settings::default());
    let files = |kind| {
        let actions = site.boot_actions.iter().filter(|targeted| targeted.nodes.contains(&view.hostname));
        let all = actions.flat_map(|one| asset::render_all(&one.action, kind, &scope, &world, &settings).unwrap());
        archive::pack(&all.collect::<Vec<_>>()).unwrap()
    };
    let units = unpacked(&files(AssetKind::Unit));
    assert_eq!(units.len(), 1);
    assert_eq!((units[0].0.as_str(), units[0].1), ("/etc/systemd/system/first-boot.service", 0o444));
    let found = unpacked(&files(AssetKind::File));
    let names: Vec<_> = found.iter().map(|file| (file.0.as_str(), file.1)).collect();
    let expected = [
        ("/opt/first-boot.sh", 0o755),
        ("/etc/motd", 0o644),
        ("/etc/site-id", 0o600),
        ("/etc/sysctl.d/60-disk.conf", 0o600),
    ];
    assert_eq!(names, expected);
    assert_eq!(found[2].5, "riverton\n");
    assert!(found[1].5.ends_with("tags=managed,storage tier=storage"), "{}", found[1].5);
    assert!(found.iter().all(|file| (file.2, file.3, file.4) == (0, 0, 0)));
    assert_eq!(files(AssetKind::File), files(AssetKind::File));
    let packages = asset::packages(&site.boot_actions[0].action);
    assert_eq!(packages, [("chrony".to_owned(), Some("4.2-2".to_owned())), ("curl".to_owned(), None)]);
}

#[test]
fn names_of_any_length_are_kept() {
    let path = format!("/{}", "d/".repeat(120));
    let bytes = archive::pack(&[Rendered { path: path.clone(), mode: 0o600, content: b"x".to_vec() }]).unwrap();
    assert_eq!(unpacked(&bytes)[0].0, path);
    assert!(unpacked(&archive::pack(&[]).unwrap()).is_empty());
}

#[test]
fn reports_have_status_and_details_only() {
    let parse = |value: serde_json::Value| report::parse(value.to_string().as_bytes());
    assert_eq!(parse(json!({})), Ok(report::Report::default()));
    let full = parse(json!({"status": "failure", "details": [{"message": "m", "error": true, "code": 7}]})).unwrap();
    assert_eq!(full.status, Some(ActionStatus::Failure));
    assert_eq!(full.details[0].extra["code"], 7);
    for wrong in [
        json!([]),
        json!({"status": "SUCCESS"}),
        json!({"status": null}),
        json!({"state": "Success"}),
        json!({"details": {}}),
        json!({"details": ["x"]}),
        json!({"details": [{"message": "m"}]}),
        json!({"details": [{"message": 1, "error": false}]}),
        json!({"details": [{"message": "m", "error": "no"}]}),
        json!({"details": [{"message": "m", "error": false, "ts": 1}]}),
    ] {
        assert!(parse(wrong.clone()).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn any_template_renders_or_fails(source in "[{}% a-c|.()'*+\\[\\]0-9]{0,40}") {
        let _ = rendered(&source);
    }

    #[test]
    fn any_report_is_read_or_refused(body in ".{0,100}") {
        let _ = report::parse(body.as_bytes());
    }

    #[test]
    fn base64_goes_there_and_back(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
        let site = effective::Site::default();
        let view = NodeView::of(&crate::design::Node::default(), &site.shared);
        let action = action();
        let scope = Scope { node: &view, action: &action };
        let there = pipeline::run(bytes.clone(), &[DataSegment::Base64Encode, DataSegment::Base64Decode], &scope);
        prop_assert_eq!(there, Ok(bytes));
    }
}
