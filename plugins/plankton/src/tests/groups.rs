//! Groups of an account: their limits, and what is shared through them.

use super::{ANN, BEN, CID, Service, fault};
use plugbay_sdk::testing::TestAnswer;

impl Service {
    fn groups(&self, query: &str, groups: &[(&str, &str)]) -> TestAnswer {
        let mut request = self.objects(ANN, "POST", &format!("/{ANN}{query}"));
        for (name, members) in groups {
            request = request.header(&format!("X-Account-Group-{name}"), *members);
        }
        request.send()
    }

    fn group(&self, name: &str) -> Option<String> {
        let head = self.objects(ANN, "HEAD", &format!("/{ANN}")).send().expect(204);
        head.header(&format!("x-account-group-{name}")).map(str::to_owned)
    }
}

#[test]
fn at_most_32_groups_of_at_most_32_members() {
    let service = Service::new();
    let users = |count: usize| (0..count).map(|n| format!("u{n}")).collect::<Vec<_>>().join(",");
    service.groups("?update", &[("big", &users(32))]).expect(202);
    fault(&service.groups("?update", &[("big", &users(33))]), 400, "badRequest");
    assert_eq!(service.group("big").unwrap().split(',').count(), 32);
    let names: Vec<String> = (1..32).map(|n| format!("g{n}")).collect();
    let all: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "u1")).collect();
    service.groups("?update", &all).expect(202);
    fault(&service.groups("?update", &[("more", "u1")]), 400, "badRequest");
    assert_eq!(service.group("more"), None);
    // One that goes makes room for another.
    service.groups("?update", &[("g1", ""), ("more", "u1")]).expect(202);
    assert_eq!((service.group("g1"), service.group("more")), (None, Some("u1".into())));
}

#[test]
fn names_hold_neither_dash_nor_underscore_and_blanks_do_not_count() {
    let service = Service::new();
    for name in ["a-b", "a_b", "a%2Db", "a%5Fb"] {
        fault(&service.groups("?update", &[(name, "u1")]), 400, "badRequest");
    }
    service.groups("?update", &[("caf%C3%A9", &format!(" {}, u1 ,,u1", BEN.to_uppercase()))]).expect(202);
    assert_eq!(service.group("caf%c3%a9").or(service.group("caf%C3%A9")), Some(format!("{BEN},u1")));
}

#[test]
fn without_update_groups_are_replaced_and_kept_if_none_is_given() {
    let service = Service::new();
    service.groups("?update", &[("a", "u1"), ("b", "u2")]).expect(202);
    service.groups("", &[("c", "u3")]).expect(202);
    assert_eq!((service.group("a"), service.group("c")), (None, Some("u3".into())));
    service.groups("", &[]).expect(202);
    assert_eq!(service.group("c"), Some("u3".into()));
    fault(&service.objects(BEN, "POST", &format!("/{ANN}?update")).send(), 403, "forbidden");
}

#[test]
fn what_is_shared_with_a_group_is_listed_to_its_members() {
    let service = Service::with_container();
    service.put("o", "x");
    service.put("p", "x");
    service.groups("?update", &[("friends", &format!("{BEN},{CID}"))]).expect(202);
    service
        .objects(ANN, "POST", &format!("/{ANN}/c/o?update"))
        .header("x-object-sharing", format!("read={}:Friends", ANN.to_uppercase()))
        .send()
        .expect(202);
    let lines = |user: &str, target: &str| service.objects(user, "GET", target).send().text().to_owned();
    assert_eq!(lines(BEN, "/"), format!("{ANN}\n"));
    assert_eq!(lines(BEN, &format!("/{ANN}")), "c\n");
    assert_eq!(lines(BEN, &format!("/{ANN}/c")), "o\n");
    service.groups("?update", &[("friends", CID)]).expect(202);
    assert_eq!(service.objects(BEN, "GET", "/").send().status, 204);
    fault(&service.objects(BEN, "GET", &format!("/{ANN}/c")).send(), 403, "forbidden");
    assert_eq!(lines(CID, &format!("/{ANN}/c")), "o\n");
}

#[test]
fn at_most_90_metadata_headers() {
    let service = Service::with_container();
    let post = |count: usize| {
        let mut request = service.objects(ANN, "POST", &format!("/{ANN}?update"));
        for n in 0..count {
            request = request.header(&format!("x-account-meta-k{n}"), "");
        }
        request.send()
    };
    post(90).expect(202);
    fault(&post(91), 400, "badRequest");
}
