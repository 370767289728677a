//! The macro that makes a crate a component.
//!
//! It exports the interfaces that it is told, each by the world of its own in `bindings`. The plugin value is built
//! once per instance. On targets that are not WebAssembly it expands to a check of the argument only.

/// What a plugin exports beside `handler`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Exports {
    /// `resumption`.
    pub resume: bool,
    /// `job-runner`.
    pub jobs: bool,
}

/// What the macro expands to names these; not for use by hand.
#[doc(hidden)]
pub mod parts {
    pub use crate::bindings::handler;
    pub use crate::bindings::handler::export_handler;
    pub use crate::bindings::handler::exports::plugbay::plugin::handler::Guest as Handler;
    pub use crate::bindings::job_runner;
    pub use crate::bindings::job_runner::export_job_runner;
    pub use crate::bindings::job_runner::exports::plugbay::plugin::job_runner::Guest as JobRunner;
    pub use crate::bindings::resumption;
    pub use crate::bindings::resumption::export_resumption;
    pub use crate::bindings::resumption::exports::plugbay::plugin::resumption::Guest as Resumption;
}

/// Export a plugin: `export_plugin!(build)`, where `build` is a function that returns the [`Plugin`](crate::Plugin).
///
/// Add `resume` if a route is resumable and `jobs` if there are jobs: `export_plugin!(build, resume, jobs)`.
/// Once in a crate, at its root or in any module.
#[macro_export]
macro_rules! export_plugin {
    ($build:path $(, $part:ident)* $(,)?) => {
        // Natively only the tests use the plugin; this keeps its code from counting as dead.
        const _: fn() -> $crate::Plugin = $build;
        const _: () = {
            ::std::thread_local! {
                static PLUGIN: $crate::Plugin = $build();
            }

            #[allow(dead_code, reason = "the component's entry points; nothing calls them natively")]
            struct Exported;

            impl $crate::parts::Handler for Exported {
                fn describe() -> $crate::contract::Descriptor {
                    #[allow(unused_mut, reason = "mutated when a part is exported")]
                    let mut exports = $crate::Exports::default();
                    $( $crate::export_plugin!(@mark exports $part); )*
                    PLUGIN.with(|plugin| plugin.describe(exports))
                }

                fn handle(request: $crate::Request) -> $crate::Step {
                    PLUGIN.with(|plugin| plugin.handle(&request))
                }
            }

            #[cfg(target_arch = "wasm32")]
            $crate::parts::export_handler!(Exported with_types_in $crate::parts::handler);
            $( $crate::export_plugin!(@export Exported PLUGIN $part); )*
        };
    };
    (@mark $exports:ident resume) => { $exports.resume = true; };
    (@mark $exports:ident jobs) => { $exports.jobs = true; };
    (@export $exported:ident $plugin:ident resume) => {
        impl $crate::parts::Resumption for $exported {
            fn resume(
                request: $crate::Request,
                continuation: ::std::vec::Vec<u8>,
                event: $crate::Event,
            ) -> $crate::Step {
                $plugin.with(|plugin| plugin.resume(&request, &continuation, event))
            }
        }

        #[cfg(target_arch = "wasm32")]
        $crate::parts::export_resumption!($exported with_types_in $crate::parts::resumption);
    };
    (@export $exported:ident $plugin:ident jobs) => {
        impl $crate::parts::JobRunner for $exported {
            fn run_job(job: $crate::Job) -> $crate::Outcome {
                $plugin.with(|plugin| plugin.run_job(&job))
            }
        }

        #[cfg(target_arch = "wasm32")]
        $crate::parts::export_job_runner!($exported with_types_in $crate::parts::job_runner);
    };
}
