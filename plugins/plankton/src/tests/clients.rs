//! Thirty-two clients at once: every one gets in between the reading and the writing of another.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use serde_json::Value;

use super::{ANN, BEN, Service};

const CLIENTS: usize = 32;

/// Have all clients send: each one's first commit is preceded by the whole of the next client's request.
fn all_at_once(service: &Rc<Service>, send: impl Fn(&Service, usize) + 'static) {
    let send = Rc::new(send);
    let order = Rc::new(RefCell::new(Vec::new()));
    for client in 1..CLIENTS {
        let (held, send, order) = (Rc::clone(service), Rc::clone(&send), Rc::clone(&order));
        service.app.host().before_next_commit(move |_| {
            send(&held, client);
            order.borrow_mut().push(client);
        });
    }
    send(service, 0);
    assert_eq!(*order.borrow(), (1..CLIENTS).rev().collect::<Vec<_>>(), "the last one to come is the first one done");
}

#[test]
fn images_registered_at_once_are_all_there() {
    let service = Rc::new(Service::with_container());
    for n in 0..CLIENTS {
        service.put(&format!("o{n}"), format!("data {n}"));
    }
    all_at_once(&service, |service, n| {
        service.register(&format!("o{n}"), &format!("i{n}"), n % 2 == 0);
    });
    let listed: BTreeSet<String> = service.listed(ANN, "").into_iter().collect();
    assert_eq!(listed.len(), CLIENTS);
    assert_eq!(service.listed(BEN, "").len(), CLIENTS / 2);
}

#[test]
fn images_reserved_at_once_are_all_there_and_counted() {
    let service = Rc::new(Service::new());
    all_at_once(&service, |service, n| {
        service.reserve(ANN, &format!("i{n}"));
    });
    assert_eq!(service.page(ANN, "?limit=100").into_iter().collect::<BTreeSet<_>>().len(), CLIENTS);
    let container = service.objects(ANN, "HEAD", &format!("/{ANN}/glance")).send();
    assert_eq!(container.header("x-container-object-count"), Some("32"));
}

#[test]
fn one_object_registered_by_all_is_one_image() {
    let service = Rc::new(Service::with_container());
    service.put("o", "x");
    let ids = Rc::new(RefCell::new(BTreeSet::new()));
    let seen = Rc::clone(&ids);
    all_at_once(&service, move |service, n| {
        let id = service.register("o", &format!("i{n}"), false);
        seen.borrow_mut().insert(id);
    });
    assert_eq!((ids.borrow().len(), service.listed(ANN, "").len()), (1, 1));
}

#[test]
fn updates_of_one_image_lose_none() {
    let service = Rc::new(Service::new());
    let id = service.reserve(ANN, "n");
    let target = format!("/images/{id}");
    let at = target.clone();
    all_at_once(&service, move |service, n| {
        service
            .glance(ANN, "PUT", &at)
            .header("x-glance-registry-purge-props", "false")
            .header(&format!("x-image-meta-property-p{n}"), n.to_string())
            .send()
            .expect(200);
    });
    let at = target.clone();
    all_at_once(&service, move |service, n| {
        let member = format!("00000000-0000-4000-8000-{n:012}");
        service.glance(ANN, "PUT", &format!("{at}/members/{member}")).send().expect(204);
    });
    let listed: Value = service.glance(ANN, "GET", "/images/detail").send().json();
    assert_eq!(listed["images"][0]["properties"].as_object().unwrap().len(), CLIENTS);
    let members: Value = service.glance(ANN, "GET", &format!("{target}/members")).send().json();
    assert_eq!(members["members"].as_array().unwrap().len(), CLIENTS);
}

#[test]
fn one_id_is_given_to_one_of_them() {
    let service = Rc::new(Service::new());
    let statuses = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&statuses);
    all_at_once(&service, move |service, _| {
        let answer = service
            .glance(ANN, "POST", "/images")
            .header("x-image-meta-id", "11111111-2222-4333-8444-abcdefabcdef")
            .send();
        seen.borrow_mut().push(answer.status);
    });
    let statuses = statuses.borrow();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), CLIENTS - 1);
}

#[test]
fn data_given_by_two_is_that_of_one() {
    let service = Rc::new(Service::new());
    let id = service.reserve(ANN, "n");
    let put = move |service: &Service, data: &str| {
        service
            .glance(ANN, "PUT", &format!("/images/{id}"))
            .header("x-image-meta-disk_format", "raw")
            .header("x-image-meta-container_format", "bare")
            .header("content-length", "5")
            .body(data)
            .send()
    };
    let (held, other) = (Rc::clone(&service), put.clone());
    service.app.host().before_next_commit(move |_| other(&held, "first").expect(200));
    assert_eq!(put(&service, "later").status, 409);
    assert_eq!(service.app.host().blobs().len(), 1);
}
