//! Native unit tests against a host in memory.
//!
//! [`TestApp`] runs a plugin as a host would: the descriptor is checked, requests go through route matching, access
//! rules and body modes, steps are followed to the end of the answer, and the answer is checked. Capabilities go to
//! the [`Host`] of the thread, which keeps the rules of the contract (versions, checks, limits, pieces that are swept
//! unless attached) and can be told to fail.
//!
//! Where it is simpler than a real host: there are no quotas and no deadlines, time does not pass, ranges and
//! conditions are not applied to `conditional` answers, host-made errors have an empty body, `seal` and `sign` are
//! stand-ins, and certificates are those that the test registered.
#![expect(clippy::panic, reason = "a test kit fails tests by panicking")]

mod answer;
mod app;
pub(crate) mod capability;
mod check;
mod digest;
mod host;
mod matching;
mod request;
mod run;

pub use answer::TestAnswer;
pub use app::TestApp;
pub use host::Host;
pub use request::TestRequest;
