//! Rust types generated from `wit/`: what crosses the border between host and plugin.
//!
//! Owns nothing but the choice of how functions are bound: imports are async on the host, so that a
//! guest which waits holds no thread, and may trap; exports are called asynchronously, and what they are
//! given is lent to them, not copied first (`…Param` where a type goes both ways). Exports are
//! bound an interface at a time, because a plugin exports only those that it implements.

wasmtime::component::bindgen!({
    path: "../wit",
    inline: "
        package plugbay:host;

        world contract {
            include plugbay:plugin/full@1.0.0;
            include plugbay:plugin/granted@1.0.0;
        }
    ",
    world: "plugbay:host/contract",
    imports: {
        "plugbay:plugin/log.log": trappable,
        "plugbay:plugin/config.all": trappable,
        "plugbay:plugin/crypto.equal": trappable,
        default: async | trappable,
    },
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
});

pub use self::exports::plugbay::plugin::{handler, job_runner, resumption};
pub use self::plugbay::plugin::{
    blobs, config, crypto, http_client, identity, jobs, kv, log, process, secrets, system, types, udp,
};
