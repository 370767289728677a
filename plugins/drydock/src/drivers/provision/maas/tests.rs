//! The driver against a stand-in that answers as MaaS's published API says.

use std::cell::RefCell;
use std::rc::Rc;

use plugbay_sdk::testing::Host;
use serde_json::json;

use super::*;
use crate::design::Node;
use crate::design::kinds::{Region, TagDefinition, TagDefinitionType};
use crate::drivers::Note;
use crate::settings::Settings;
use crate::store::builddata;
use crate::task::Task;
use crate::time::{Moment, Wall};
use crate::world::Directory;

/// Answers by the beginning of `METHOD PATH`, and what was asked with its form.
#[derive(Default)]
struct Region2 {
    answers: Vec<(&'static str, u16, Vec<u8>)>,
    asked: RefCell<Vec<String>>,
}

impl Http for Region2 {
    fn send(&self, call: &http::Call) -> Result<Reply, http::Error> {
        let path = call.url.strip_prefix("http://maas/MAAS/api/2.0/").unwrap();
        assert!(call.headers.iter().any(|(name, value)| name == "authorization" && value.starts_with("OAuth ")));
        let asked = format!("{} {path}", call.method);
        self.asked.borrow_mut().push(format!("{asked} {}", String::from_utf8_lossy(&call.body)).trim().to_owned());
        let found = self.answers.iter().find(|(start, ..)| asked.starts_with(start));
        let (status, body) = found.map_or((200, b"{}".to_vec()), |(_, status, body)| (*status, body.clone()));
        Ok(Reply { status, headers: Vec::new(), body })
    }
}

struct Bed {
    region: Rc<Region2>,
    maas: Maas,
    world: World,
    settings: Settings,
    task: Task,
}

fn bed(answers: Vec<(&'static str, u16, Vec<u8>)>, by_hand: bool) -> Bed {
    Host::new().install();
    let region = Rc::new(Region2 { answers, ..Region2::default() });
    let world = World {
        http: Rc::clone(&region) as Rc<dyn Http>,
        files: Rc::new(Directory { root: "/nowhere".into() }),
        clock: Rc::new(Wall),
    };
    let settings = settings::Maas {
        url: "http://maas/MAAS".into(),
        credential: None,
        api_key: Some("a:b:c".into()),
        configured_by_hand: by_hand,
    };
    let id = "0a2c1f66-1111-4222-8333-444455556666".to_owned();
    let task = Task::posted(id, Action::PrepareNodes, "file:x".into(), None, "ann".into(), Moment(1));
    Bed { region, maas: Maas { settings }, world, settings: Settings::default(), task }
}

impl Bed {
    fn act(&self, action: Action, node: &Node) -> Verdict {
        let call = Call { world: &self.world, settings: &self.settings, task: &self.task };
        let machine = Machine { node, boot: None };
        match self.maas.act(action, &machine, None, &call).unwrap() {
            Progress::Done(verdict) => verdict,
            Progress::Wait(..) => Verdict::bad("it waits"),
        }
    }

    fn site(&self, action: Action, shared: &Shared) -> Verdict {
        let call = Call { world: &self.world, settings: &self.settings, task: &self.task };
        let Progress::Done(verdict) = self.maas.site(action, shared, None, &call).unwrap() else { panic!("it waits") };
        verdict
    }

    fn asked(&self) -> Vec<String> {
        self.region.asked.borrow().clone()
    }
}

fn node() -> Node {
    Node {
        name: "n1".into(),
        boot_mac: Some("52:54:00:00:00:01".into()),
        tags: vec!["managed".into()],
        labels: [("tier".to_owned(), "general".to_owned())].into(),
        kernel_params: [("console".to_owned(), "ttyS0".to_owned()), ("quiet".to_owned(), String::new())].into(),
        ..Node::default()
    }
}

fn machines(status: &str) -> (&'static str, u16, Vec<u8>) {
    let list = json!([{"system_id": "4y3h7n", "hostname": "n1", "status_name": status}]);
    ("GET machines/?mac_address=52%3A54%3A00%3A00%3A00%3A01", 200, list.to_string().into_bytes())
}

#[test]
fn what_commissioning_found_out_becomes_build_data() {
    let body = [&[5], &b"lshw\0"[..], &13_i32.to_le_bytes(), &[0], b"<list></list>", &[0]].concat();
    let bson = [&i32::try_from(body.len() + 4).unwrap().to_le_bytes()[..], &body].concat();
    let results = json!([{"type_name": "Commissioning", "results": [{"name": "probe", "output": "b3V0"}]}]);
    let bed = bed(
        vec![
            machines("Ready"),
            ("GET machines/4y3h7n/?op=details", 200, bson),
            ("GET nodes/4y3h7n/results/?include_output=true", 200, results.to_string().into_bytes()),
        ],
        false,
    );
    let verdict = bed.act(Action::ConfigureHardware, &node());
    assert!(verdict.success, "{verdict:?}");
    let href = "/api/v1.0/tasks/0a2c1f66-1111-4222-8333-444455556666/builddata";
    assert_eq!((verdict.links[0].rel.as_str(), verdict.links[0].href.as_str()), ("detail_logs", href));
    let records = builddata::of_node("n1", true).unwrap();
    let shown: Vec<String> = records
        .iter()
        .map(|one| format!("{} {} {}", one["generator"], one["data_format"], one["data_element"]))
        .collect();
    assert_eq!(shown, ["\"lshw\" \"text/xml\" \"<list></list>\"", "\"commission:probe\" \"text/plain\" \"out\""]);
}

#[test]
fn a_machine_without_details_is_ready_all_the_same() {
    let bed = bed(vec![machines("Ready"), ("GET machines/4y3h7n/?op=details", 500, b"no".to_vec())], false);
    let verdict = bed.act(Action::ConfigureHardware, &node());
    let errors = verdict.notes.iter().filter(|note| note.error).count();
    assert_eq!((verdict.success, errors, verdict.links.len()), (true, 0, 0), "{verdict:?}");
    assert!(verdict.notes.iter().any(|note| note.text.contains("details cannot be read")), "{verdict:?}");
}

#[test]
fn kernel_parameters_tags_and_labels_are_written() {
    let bed = bed(vec![machines("Allocated"), ("POST tags/none", 400, Vec::new())], false);
    assert!(bed.act(Action::ApplyNodePlatform, &node()).success);
    assert_eq!(
        bed.asked()[1..],
        [
            "POST tags/ name=n1%5Fkp&kernel%5Fopts=console%3DttyS0%20quiet",
            "POST tags/n1%5Fkp/?op=update_nodes add=4y3h7n",
            "POST tags/ name=managed",
            "POST tags/managed/?op=update_nodes add=4y3h7n",
            "POST machines/4y3h7n/?op=set_owner_data tier=general",
        ]
    );
}

#[test]
fn what_is_not_written_fails_unless_somebody_did_it_by_hand() {
    for by_hand in [false, true] {
        let bed = bed(vec![machines("Ready")], by_hand);
        for action in [Action::ApplyNodeNetworking, Action::ApplyNodeStorage] {
            let verdict = bed.act(action, &node());
            assert_eq!(verdict.success, by_hand, "{verdict:?}");
            assert!(verdict.notes[0].text.contains("n1"), "{verdict:?}");
        }
        let verdict = bed.site(Action::CreateNetworkTemplate, &Shared::default());
        assert_eq!(verdict.success, by_hand);
        assert!(matches!(&verdict.notes[0], Note { text, .. } if text.starts_with("Networks are")), "{verdict:?}");
        // Nothing was sent that changes anything.
        assert!(bed.asked().iter().all(|asked| asked.starts_with("GET ")), "{:?}", bed.asked());
    }
}

#[test]
fn repositories_and_tags_are_made_changed_and_removed() {
    let known = json!([{"id": 1, "name": "main_archive"}, {"id": 7, "name": "old"}, {"id": 9, "name": "mine"}]);
    let region = Region {
        repositories: serde_json::from_value(json!({
            "remove_unlisted": true,
            "mine": {"repo_type": "apt", "url": "http://m/x", "components": ["main"], "gpgkey": "K"},
            "new": {"url": "http://n", "distributions": ["jammy"], "arches": ["amd64"]},
        }))
        .unwrap(),
        tag_definitions: vec![TagDefinition {
            tag: "nvme".into(),
            definition_type: TagDefinitionType::LshwXpath,
            definition: "//node".into(),
        }],
        ..Region::default()
    };
    let shared = Shared { region, ..Shared::default() };
    let bed = bed(
        vec![("GET package-repositories/", 200, known.to_string().into_bytes()), ("GET tags/nvme/", 404, Vec::new())],
        false,
    );
    let verdict = bed.site(Action::ConfigureNodeProvisioner, &shared);
    assert!(verdict.success, "{verdict:?}");
    assert_eq!(
        bed.asked(),
        [
            "GET package-repositories/",
            "PUT package-repositories/9/ name=mine&url=http%3A%2F%2Fm%2Fx&components=main&key=K",
            "POST package-repositories/ name=new&url=http%3A%2F%2Fn&distributions=jammy&arches=amd64",
            "DELETE package-repositories/7/",
            "GET tags/nvme/",
            "POST tags/ name=nvme&definition=%2F%2Fnode",
        ]
    );
    let rpm = serde_json::from_value(json!({"r": {"repo_type": "rpm", "url": "http://n"}})).unwrap();
    let region = Region { repositories: rpm, ..Region::default() };
    assert!(!bed.site(Action::ConfigureNodeProvisioner, &Shared { region, ..Shared::default() }).success);
}

#[test]
fn keys_are_added_once() {
    let known = json!([{"id": 1, "key": "ssh-ed25519 AAAA ops"}]);
    let bed = bed(vec![("GET account/prefs/sshkeys/", 200, known.to_string().into_bytes())], false);
    let keys = vec!["ssh-ed25519 AAAA ops\n".to_owned(), "ssh-ed25519 BBBB new".to_owned()];
    let shared = Shared { region: Region { authorized_keys: keys, ..Region::default() }, ..Shared::default() };
    assert!(bed.site(Action::ConfigureUserCredentials, &shared).success);
    assert_eq!(bed.asked()[1..], ["POST account/prefs/sshkeys/ key=ssh%2Ded25519%20BBBB%20new"]);
}
