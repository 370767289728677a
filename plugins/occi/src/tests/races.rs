//! Requests that meet.

use std::rc::Rc;

use plugbay_sdk::kv;

use super::*;
use crate::{
    draft::Draft,
    entity::{Attributes, Entity},
    model::{states::Transition, templates::Image},
    provider::{Effects, Failure, Named, Provider, embedded::Embedded},
    service::Service,
    store::keys::Keys,
    view::Names,
};

fn link(network: &str) -> String {
    format!("Link: <{network}>; rel=\"{I}network\"")
}

#[test]
fn a_link_to_what_goes_meanwhile_is_not_made() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let host = cloud.app.host();
    let key = host.keys().into_iter().find(|key| key.contains("/e/network/")).unwrap();
    host.before_next_commit(move |host| host.delete(&key));
    cloud.plain("POST", "/compute/", &[&format!("Category: {COMPUTE}"), &link(&network)]).expect(404);
    assert!(cloud.list("/compute/").is_empty() && cloud.list("/networkinterface/").is_empty());
}

#[test]
fn a_lost_race_is_run_again_and_creates_once() {
    let cloud = Cloud::new();
    cloud.app.host().fail_next_commit(kv::Error::Conflict(0));
    cloud.compute();
    assert_eq!(cloud.list("/compute/").len(), 1);
}

#[test]
fn postings_without_a_record_mislead_nobody() {
    let cloud = Cloud::new();
    let path = cloud.compute();
    let host = cloud.app.host();
    let record = host.keys().into_iter().find(|key| key.contains("/e/compute/")).unwrap();
    host.delete(&record);
    assert!(cloud.list("/compute/").is_empty() && cloud.list("/").is_empty());
    cloud.get(&path).expect(404);
    // Made again at the same path, it is listed once.
    cloud.plain("PUT", &path, &[&format!("Category: {COMPUTE}")]).expect(201);
    assert_eq!(cloud.list("/compute/"), [path]);
}

#[test]
fn a_quota_that_is_used_up_is_said_and_changes_nothing() {
    let cloud = Cloud::new();
    cloud.app.host().fail_next_commit(kv::Error::QuotaExceeded);
    cloud.plain("POST", "/compute/", &[&format!("Category: {COMPUTE}")]).expect(507);
    assert!(cloud.list("/").is_empty());
}

#[test]
fn an_object_whose_name_is_taken_meanwhile_is_a_conflict() {
    let cloud = Cloud::new();
    let put = |name: &str| cloud.request("PUT", name).surface("cdmi").body("x");
    put("/first").send().expect(201);
    let host = cloud.app.host();
    let name = host.keys().into_iter().find(|key| key.ends_with("/first")).unwrap().replace("first", "second");
    let value = host.get(&name.replace("second", "first")).unwrap();
    host.before_next_commit(move |host| host.put(&name, value));
    put("/second").send().expect(409);
}

/// A backend whose entities are deleted while something is done to them; it notes what it is told to delete.
#[derive(Default)]
struct Meanwhile {
    keys: std::cell::RefCell<Vec<String>>,
    deleted: std::cell::RefCell<Vec<String>>,
}

impl Provider for Meanwhile {
    fn backend(&self) -> Named {
        Embedded.backend()
    }

    fn create(&self, resource: &Entity) -> Result<Effects, Failure> {
        Embedded.create(resource)
    }

    fn update(&self, before: &Entity, after: &Entity) -> Result<Effects, Failure> {
        Embedded.update(before, after)
    }

    fn act(&self, _: &Entity, _: &Transition, _: &Attributes) -> Result<Effects, Failure> {
        self.keys.take().into_iter().for_each(|key| kv::commit(&[], &[kv::Op::Delete(key)]).map(drop).unwrap());
        Ok(Vec::new())
    }

    fn save(&self, machine: &Entity, parameters: &Attributes) -> Result<Image, Failure> {
        Embedded.save(machine, parameters)
    }

    fn attach(&self, link: &mut Entity, source: &Entity, target: Option<&Entity>, at: usize) -> Result<(), Failure> {
        Embedded.attach(link, source, target, at)
    }

    fn detach(&self, link: &Entity) -> Result<(), Failure> {
        Embedded.detach(link)
    }

    fn delete(&self, resource: &Entity) -> Result<(), Failure> {
        self.deleted.borrow_mut().push(resource.path.clone());
        Ok(())
    }

    fn console(&self, _: &str) -> Option<String> {
        None
    }
}

#[test]
fn what_was_done_to_a_machine_that_was_deleted_meanwhile_is_taken_back() {
    let cloud = Cloud::new();
    let path = cloud.compute();
    let record = cloud.app.host().keys().into_iter().find(|key| key.contains("/e/compute/")).unwrap();
    let space = record.split('/').next().unwrap();
    let settings = crate::settings::Settings::load().unwrap();
    let mut service = Service::within(Keys::within(space), settings, Names::at(String::new()));
    let provider = Rc::new(Meanwhile::default());
    provider.keys.borrow_mut().push(record.clone());
    service.provider = Rc::clone(&provider) as Rc<dyn Provider>;
    let fault = service.act(&path, "start", &Draft::default()).unwrap_err();
    assert_eq!(fault.status, 404);
    assert_eq!(*provider.deleted.borrow(), [path]);
}
