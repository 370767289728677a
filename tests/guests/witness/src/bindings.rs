//! What `wit-bindgen` makes of the contract.
#![allow(missing_docs, reason = "generated from the contract, which documents its items")]
#![allow(unsafe_code, reason = "generated")]

wit_bindgen::generate!({
    path: "../../../wit",
    inline: "
        package plugbay:witness;

        world witness {
            include plugbay:plugin/full@1.0.0;
            include plugbay:plugin/granted@1.0.0;
        }
    ",
    world: "plugbay:witness/witness",
    generate_all,
    generate_unused_types: true,
    pub_export_macro: true,
});
