//! What lists cost does not grow with what is not in them.

use super::*;
use crate::{
    entity::{Attributes, Entity},
    model::infrastructure,
    store::{batch::Batch, entities, entities::Sequence, keys::Keys, reads},
};

/// So many machines, a hundred of them, evenly spread, with the host name `few`.
fn cloud_of(count: usize) -> Cloud {
    let cloud = Cloud::new();
    cloud.get("/-/");
    let keys = Keys::of("user ann");
    for number in 0..count {
        let seq = Sequence::now().advance().unwrap();
        let name = if number % (count / 100) == 0 { "few" } else { "many" };
        let attributes = Attributes::from([
            ("occi.compute.hostname".to_owned(), name.into()),
            ("occi.compute.state".to_owned(), "inactive".into()),
            ("occi.compute.cores".to_owned(), 1.into()),
        ]);
        let entity = Entity {
            path: format!("/compute/{seq}"),
            seq,
            kind: infrastructure::id("compute"),
            mixins: Vec::new(),
            attributes,
            links: Vec::new(),
            ends: None,
        };
        let mut batch = Batch::default();
        entities::create(&keys, &mut batch, &entity).unwrap();
        batch.commit().unwrap();
    }
    cloud
}

#[test]
fn a_page_and_a_filtered_page_cost_the_same_among_many() {
    let measure = |count: usize| {
        let cloud = cloud_of(count);
        let few = ("x-occi-attribute", "occi.compute.hostname=\"few\"");
        let cost = |run: &dyn Fn() -> TestAnswer| {
            let (answer, read) = reads::of(run);
            assert_eq!(answer.expect(200).text().lines().count(), 100);
            read
        };
        let page = cost(&|| cloud.get("/compute/?page=2&number=100"));
        let filtered = cost(&|| cloud.filter("/compute/?page=1&number=100", &[few]));
        (page, filtered)
    };
    let (small, large) = (measure(1_000), measure(3_000));
    assert!(small.0 <= 450 && small.1 <= 800, "{small:?}");
    assert!(large.0 <= small.0 && large.1 <= small.1 + small.1 / 10, "{small:?} {large:?}");
}
