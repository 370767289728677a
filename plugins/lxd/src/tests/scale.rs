//! The bar: a thousand relations with two certificates each over three nodes, without quadratic listing.

use super::*;

#[test]
fn a_thousand_relations_over_three_nodes_converge_with_a_handful_of_listings() {
    let lab = Lab::new();
    let trusts = [("a", 1), ("b", 2), ("c", 3)].map(|(name, pin)| {
        let trust = lab.server(name, pin);
        lab.node(name, pin).expect(201);
        trust
    });
    lab.run();
    let mut relations = Vec::new();
    for number in 0..1_000 {
        let relation = lab.relation(&format!("app{number}"));
        let (one, two) = (lab.maker.pem(&format!("one{number}")), lab.maker.pem(&format!("two{number}")));
        lab.write(&relation, 0, &[&one, &two]).expect(200);
        relations.push(relation);
        // Workers run as they do in life: often, and while others write.
        if number % 10 == 0 {
            lab.app.run_jobs();
        }
    }
    let mut runs = 0;
    while trusts.iter().any(|trust| trust.borrow().len() < 2_001) {
        lab.app.run_jobs();
        runs += 1;
        assert!(runs < 100, "{:?}", trusts.map(|trust| trust.borrow().len()));
    }
    lab.run();
    for relation in &relations {
        assert_eq!(lab.registered(relation).len(), 2);
    }
    for name in ["a", "b", "c"] {
        let log = lab.world.log(&endpoint(name));
        let count = |what: &str| log.iter().filter(|line| line.starts_with(what)).count();
        assert_eq!(count("POST"), 2_000);
        assert!(count("GET /1.0/certificates?recursion=1") <= 2, "{}", count("GET"));
        assert!(log.len() <= 2_010, "{}", log.len());
    }
}
