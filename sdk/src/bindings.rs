//! What `wit-bindgen` makes of the contract. Nothing here is written by hand but the worlds.
//!
//! The types and imports are generated once. Each interface a plugin can export has a world of its own that
//! reuses those types, so a component exports what its plugin implements and nothing else: the component
//! tools unite the worlds whose export macro was used.
#![allow(missing_docs, reason = "generated from the contract, which documents its items")]

wit_bindgen::generate!({
    path: "../wit",
    inline: "
        package plugbay:sdk-imports;
        world sdk-imports {
            include plugbay:plugin/imports@1.0.0;
            include plugbay:plugin/granted@1.0.0;
            import plugbay:plugin/descriptor@1.0.0;
        }
    ",
    world: "plugbay:sdk-imports/sdk-imports",
    generate_all,
    generate_unused_types: true,
    additional_derives: [Clone, PartialEq],
    pub_export_macro: true,
});

macro_rules! export_world {
    ($module:ident, $world:literal, $inline:literal, $macro:literal) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "../wit",
                inline: $inline,
                world: $world,
                with: {
                    "plugbay:plugin/types@1.0.0": crate::bindings::plugbay::plugin::types,
                    "plugbay:plugin/descriptor@1.0.0": crate::bindings::plugbay::plugin::descriptor,
                    "plugbay:plugin/kv@1.0.0": crate::bindings::plugbay::plugin::kv,
                    "plugbay:plugin/blobs@1.0.0": crate::bindings::plugbay::plugin::blobs,
                    "plugbay:plugin/crypto@1.0.0": crate::bindings::plugbay::plugin::crypto,
                    "plugbay:plugin/jobs@1.0.0": crate::bindings::plugbay::plugin::jobs,
                    "plugbay:plugin/identity@1.0.0": crate::bindings::plugbay::plugin::identity,
                    "plugbay:plugin/log@1.0.0": crate::bindings::plugbay::plugin::log,
                    "plugbay:plugin/config@1.0.0": crate::bindings::plugbay::plugin::config,
                },
                generate_all,
                additional_derives: [Clone, PartialEq],
                pub_export_macro: true,
                export_macro_name: $macro,
            });
        }
    };
}

export_world!(
    handler,
    "plugbay:sdk-handler/sdk-handler",
    "package plugbay:sdk-handler;
     world sdk-handler { include plugbay:plugin/imports@1.0.0; import plugbay:plugin/descriptor@1.0.0;
         export plugbay:plugin/handler@1.0.0; }",
    "export_handler"
);
export_world!(
    resumption,
    "plugbay:sdk-resumption/sdk-resumption",
    "package plugbay:sdk-resumption;
     world sdk-resumption { include plugbay:plugin/imports@1.0.0; import plugbay:plugin/descriptor@1.0.0;
         export plugbay:plugin/resumption@1.0.0; }",
    "export_resumption"
);
export_world!(
    job_runner,
    "plugbay:sdk-job-runner/sdk-job-runner",
    "package plugbay:sdk-job-runner;
     world sdk-job-runner { include plugbay:plugin/imports@1.0.0; import plugbay:plugin/descriptor@1.0.0;
         export plugbay:plugin/job-runner@1.0.0; }",
    "export_job_runner"
);
