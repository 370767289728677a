//! The list and the images of a service that is not there, slow, wrong or changed, on a host in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use plugbay_sdk::http_client::{Error, Inbound, Outbound, Phase};
use plugbay_sdk::testing::Host;
use plugbay_sdk::{Outcome, blobs, crypto};
use serde_json::{Value, json};

use super::*;
use crate::{
    images::{fetch::Workshop, refresh::refresh, web::Web},
    model::TypeId,
    provider::{Failure, Provider, embedded::Embedded, qemu::disk::Source},
    settings::{Glance, Settings},
    store::keys::Keys,
};

const DATA: &[u8] = b"a disk of a few bytes";

/// A service with these images, as Glance v1 shows them; or none at all.
#[derive(Default)]
struct Service {
    images: RefCell<Vec<Value>>,
    data: RefCell<BTreeMap<String, Vec<u8>>>,
    fails: RefCell<Option<Result<u16, Error>>>,
    asked: RefCell<Vec<Outbound>>,
}

fn answer(status: u16, body: Vec<u8>) -> Inbound {
    Inbound { status, headers: Vec::new(), url: String::new(), body, piece: None }
}

impl Service {
    fn offer(&self, id: &str, data: &[u8]) {
        let md5 = crypto::hex(&crypto::md5(data).unwrap());
        self.images.borrow_mut().retain(|image| image["id"] != id);
        self.images.borrow_mut().push(json!({"id": id, "name": format!("Plum {id}"), "status": "active",
            "disk_format": "raw", "container_format": "bare", "size": data.len(), "checksum": md5}));
        self.data.borrow_mut().insert(id.to_owned(), data.to_vec());
    }
}

impl Web for Service {
    fn send(&self, request: &Outbound) -> Result<Inbound, Error> {
        self.asked.borrow_mut().push(request.clone());
        match self.fails.borrow().clone() {
            Some(Err(error)) => return Err(error),
            Some(Ok(status)) => return Ok(answer(status, Vec::new())),
            None => {}
        }
        let rest = request.url.strip_prefix("http://glance.example/v1/images/").unwrap();
        if let Some(query) = rest.strip_prefix("detail?") {
            let images = self.images.borrow();
            let marker = query.split_once("marker=").map(|(_, id)| id.replace("%2E", "."));
            let from = marker.map_or(0, |id| 1 + images.iter().position(|image| image["id"] == id.as_str()).unwrap());
            // Fewer than asked for: the service has its own bound.
            let page: Vec<_> = images.iter().skip(from).take(2).cloned().collect();
            return Ok(answer(200, json!({"images": page}).to_string().into_bytes()));
        }
        let Some(data) = self.data.borrow().get(&rest.replace("%2E", ".")).cloned() else {
            return Ok(answer(404, Vec::new()));
        };
        let piece = blobs::write(&data, request.to_piece.as_ref().unwrap()).unwrap();
        Ok(Inbound { piece: Some(piece), ..answer(200, Vec::new()) })
    }
}

/// Files of the host in memory; `bad` are no disks.
#[derive(Default)]
struct Disks {
    names: RefCell<Vec<String>>,
    refuses: Option<&'static str>,
}

impl Workshop for Disks {
    fn folder(&self, _: &str) -> Result<(), Failure> {
        Ok(())
    }

    fn size(&self, source: &Source) -> Result<u64, Failure> {
        match self.refuses {
            Some(why) => Err(Failure::Failed(why.to_owned())),
            None => Ok(Host::current().file(&source.path).unwrap().len() as u64),
        }
    }

    fn rename(&self, _: &str, to: &str) -> Result<(), Failure> {
        self.names.borrow_mut().push(to.to_owned());
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), Failure> {
        self.names.borrow_mut().push(format!("-{path}"));
        Ok(())
    }
}

fn settings() -> Settings {
    let url = "http://glance.example/v1".to_owned();
    let glance = Glance { url, credential: Some("glance".to_owned()), refresh: 300, most_images: 10, most_size: 1.0 };
    Settings { glance: Some(glance), ..Settings::default() }
}

fn look(service: &Service) -> Result<(), String> {
    refresh(settings().glance.as_ref().unwrap(), service)
}

fn terms() -> Vec<String> {
    all().unwrap().into_iter().map(|(term, ..)| term).collect()
}

fn prepared() -> Service {
    Host::new().install();
    let service = Service::default();
    service.offer("plum.one", DATA);
    look(&service).unwrap();
    want("plum-one").unwrap();
    service
}

fn fetched(service: &Service, attempts: u32, disks: &Disks) -> (Outcome, Image) {
    let outcome = fetch::fetch("plum-one", attempts, &settings(), service, disks).unwrap();
    (outcome, find("plum-one").unwrap().unwrap())
}

#[test]
fn every_page_of_the_list_is_seen_and_the_credential_is_named() {
    Host::new().install();
    let service = Service::default();
    for id in ["a", "b", "c", "d", "e"] {
        service.offer(id, DATA);
    }
    look(&service).unwrap();
    assert_eq!(terms(), ["a", "b", "c", "d", "e"]);
    assert!(service.asked.borrow().iter().all(|request| request.credential.as_deref() == Some("glance")));
    for id in ["f", "g", "h", "i", "j", "k", "l"] {
        service.offer(id, DATA);
    }
    look(&service).unwrap();
    assert_eq!(terms().len(), 10, "no more than the settings say");
}

#[test]
fn what_is_known_stays_while_the_service_fails_and_goes_when_it_is_gone_there() {
    let service = prepared();
    service.offer("other", DATA);
    for fails in [Err(Error::Connect("refused".to_owned())), Err(Error::Timeout(Phase::Whole)), Ok(500), Ok(401)] {
        *service.fails.borrow_mut() = Some(fails);
        assert!(look(&service).is_err());
        assert_eq!(terms(), ["plum-one"]);
    }
    *service.fails.borrow_mut() = None;
    service.images.borrow_mut().remove(0);
    look(&service).unwrap();
    assert_eq!(terms(), ["other"]);
}

#[test]
fn images_are_templates_of_the_catalog_by_id_and_by_location() {
    let _service = prepared();
    let (keys, settings) = (Keys::of("ann"), Rc::new(settings()));
    let provider: Rc<dyn Provider> = Rc::new(Embedded);
    let catalog = crate::catalog::Catalog::new(&keys, &settings, &provider);
    let id = TypeId::known(templates::IMAGES, "plum-one");
    let known = catalog.find(&id).unwrap().unwrap();
    assert_eq!((known.title.as_str(), &known.depends), ("Image: Plum plum.one", &vec![templates::os_tpl()]));
    assert_eq!(catalog.at("/mixin/os_tpl/plum-one/").unwrap().unwrap().id, id);
    assert_eq!(catalog.all().unwrap().iter().filter(|category| category.id == id).count(), 1);
    let without = crate::catalog::Catalog::new(&keys, &Rc::default(), &provider);
    assert!(without.find(&id).unwrap().is_none());
}

#[test]
fn an_image_is_here_when_it_was_checked() {
    let service = prepared();
    let disks = Disks::default();
    let (outcome, image) = fetched(&service, 1, &disks);
    assert_eq!((outcome, image.wanted, image.failed.clone()), (Outcome::Done, false, None));
    let file = image.file.clone().unwrap();
    assert_eq!(
        (Host::current().file(&format!("{file}.part")).unwrap(), disks.names.take()),
        (DATA.to_vec(), vec![file])
    );
    // A new look leaves it, unless there is something else under the id now.
    look(&service).unwrap();
    assert_eq!(find("plum-one").unwrap().unwrap(), image);
    service.offer("plum.one", b"something else");
    look(&service).unwrap();
    let other = find("plum-one").unwrap().unwrap();
    assert_eq!((other.file.as_ref(), other.place() == image.place()), (None, false));
}

#[test]
fn what_is_not_what_the_digest_says_is_no_image() {
    for data in [&b"a disk of evil bytes!"[..], b"short", b"a disk of a few bytes and more"] {
        let service = prepared();
        service.data.borrow_mut().insert("plum.one".to_owned(), data.to_vec());
        let disks = Disks::default();
        let (_, image) = fetched(&service, 5, &disks);
        assert!(image.file.is_none() && image.failed.is_some() && !image.wanted, "{image:?}");
        assert!(disks.names.borrow().is_empty());
    }
}

#[test]
fn what_qemu_img_refuses_is_no_image_and_leaves_no_file() {
    let service = prepared();
    let disks = Disks { refuses: Some("leads to other files"), ..Disks::default() };
    let (_, image) = fetched(&service, 1, &disks);
    assert_eq!(image.failed.as_deref(), Some("leads to other files"));
    assert_eq!(disks.names.take(), [format!("-{}.part", image.place())]);
}

#[test]
fn a_service_that_fails_is_asked_again_and_then_given_up() {
    let service = prepared();
    for fails in [Err(Error::Timeout(Phase::FirstByte)), Ok(503)] {
        *service.fails.borrow_mut() = Some(fails);
        let (outcome, image) = fetched(&service, 4, &Disks::default());
        assert!(matches!(outcome, Outcome::Failed(_)) && image.wanted && image.failed.is_none());
    }
    let (outcome, image) = fetched(&service, 5, &Disks::default());
    assert_eq!((outcome, image.wanted), (Outcome::Done, false));
    assert!(image.failed.unwrap().contains("503"));
    // Whoever wants it again begins anew.
    want("plum-one").unwrap();
    *service.fails.borrow_mut() = None;
    let (_, image) = fetched(&service, 1, &Disks::default());
    assert!(image.file.is_some() && image.failed.is_none());
    // One that was cut short again and again is given up as well.
    service.offer("plum.one", b"new");
    look(&service).unwrap();
    want("plum-one").unwrap();
    assert!(fetched(&service, 6, &Disks::default()).1.failed.is_some());
}

#[test]
fn what_nobody_allows_or_has_any_more_is_not_asked_for_again() {
    for fails in [Err(Error::Denied), Err(Error::NoSuchSecret("glance".to_owned())), Ok(404), Ok(302)] {
        let service = prepared();
        *service.fails.borrow_mut() = Some(fails);
        let (outcome, image) = fetched(&service, 1, &Disks::default());
        assert_eq!((outcome, image.wanted, image.failed.is_some()), (Outcome::Done, false, true));
    }
}

#[test]
fn an_image_that_no_job_fetches_any_more_is_given_up() {
    let _service = prepared();
    give_up().unwrap();
    assert!(find("plum-one").unwrap().unwrap().wanted, "its job waits");
    let jobs = jobs::pending(Some(FETCH), 10).unwrap();
    assert!(jobs::cancel(&jobs[0].id).unwrap());
    give_up().unwrap();
    let image = find("plum-one").unwrap().unwrap();
    assert!(!image.wanted && image.failed.is_some());
}

#[test]
fn the_list_is_asked_for_once_in_a_while_however_many_ask() {
    let host = Host::new();
    host.install();
    look_soon();
    look_soon();
    want("nothing").unwrap();
    assert_eq!(host.jobs().iter().map(|(job, _)| job.name.as_str()).collect::<Vec<_>>(), [REFRESH]);
}
