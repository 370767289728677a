//! The way to the service: the host's `http-client` behind a trait, so that tests have a service of their own.

use plugbay_sdk::http_client::{self, Error, Inbound, Outbound};

/// What sends requests.
pub trait Web {
    /// Send one.
    ///
    /// # Errors
    /// If there is no answer.
    fn send(&self, request: &Outbound) -> Result<Inbound, Error>;
}

/// The host's capability.
#[derive(Debug, Clone, Copy)]
pub struct Host;

impl Web for Host {
    fn send(&self, request: &Outbound) -> Result<Inbound, Error> {
        http_client::send(request)
    }
}

/// Why there is no answer, for people. True if another time may be better.
pub fn explain(error: &Error) -> (String, bool) {
    let (why, later) = match error {
        Error::Denied => ("the operator's list does not allow it; the host's log says what".to_owned(), false),
        Error::Invalid(why) => (why.clone(), false),
        Error::NoSuchSecret(why) => (format!("there is no such credential: {why}"), false),
        Error::Resolve(why) | Error::Connect(why) | Error::Tls(why) | Error::Protocol(why) | Error::Storage(why) => {
            (why.clone(), true)
        }
        Error::PinMismatch(_) => ("it has another certificate".to_owned(), true),
        Error::Timeout(phase) => (format!("it took too long ({phase:?})"), true),
        Error::TooLarge => ("the answer is longer than it may be".to_owned(), false),
    };
    (why, later)
}
