//! The world that the host offers: its `http-client` and `secrets` interfaces, and the machine's clock.
//!
//! Owns nothing but the translation of shapes. Natively every call is denied.

use std::time::{SystemTime, UNIX_EPOCH};

use plugbay_sdk::http_client::{self, Deadlines, Phase, Trust};
use plugbay_sdk::secrets;

use super::{Clock, Fault, Fetch, Inbound, Outbound, Secrets};

/// The host's capabilities.
#[derive(Debug, Clone, Copy)]
pub struct Host;

impl Fetch for Host {
    fn send(&self, request: &Outbound) -> Result<Inbound, Fault> {
        let connect = Some(request.connect_timeout_ms);
        let request = http_client::Outbound {
            headers: request.headers.clone(),
            body: request.body.clone(),
            identity: Some(request.identity.clone()),
            trust: Trust::Pinned(vec![request.pin.to_vec()]),
            deadlines: Deadlines { connect, tls: connect, whole: Some(request.timeout_ms), ..Deadlines::OPERATORS },
            limit: Some(request.limit),
            ..http_client::Outbound::new(request.method, request.url.clone())
        };
        let answer = http_client::send(&request).map_err(of_http)?;
        Ok(Inbound { status: answer.status, body: answer.body })
    }
}

fn of_http(error: http_client::Error) -> Fault {
    use http_client::Error;
    match error {
        Error::Denied => Fault::Denied,
        Error::Invalid(why) | Error::NoSuchSecret(why) => Fault::Invalid(why),
        Error::Resolve(why) | Error::Connect(why) | Error::Tls(why) => Fault::Unreachable(why),
        Error::PinMismatch(_) => Fault::PinMismatch,
        Error::Timeout(Phase::Wait) => Fault::Unreachable("too many requests are under way".to_owned()),
        Error::Timeout(Phase::Resolve | Phase::Connect | Phase::Tls) => {
            Fault::Unreachable("no connection in time".to_owned())
        }
        Error::Timeout(Phase::FirstByte | Phase::Idle | Phase::Whole) => Fault::Timeout,
        Error::TooLarge => Fault::TooLarge,
        Error::Protocol(why) | Error::Storage(why) => Fault::Broken(why),
    }
}

impl Secrets for Host {
    fn put_identity(&self, name: &str, certificate: &str, key: &str) -> Result<(), Fault> {
        secrets::put_identity(name, certificate.as_bytes(), key.as_bytes()).map(drop).map_err(of_secrets)
    }

    fn delete(&self, name: &str) -> Result<(), Fault> {
        secrets::delete(name).map(drop).map_err(of_secrets)
    }
}

fn of_secrets(error: secrets::Error) -> Fault {
    use secrets::Error;
    match error {
        Error::Denied => Fault::Missing("secrets"),
        Error::Invalid(why) | Error::WrongKind(why) => Fault::Invalid(why),
        Error::Operators => Fault::Invalid("a secret of that name is the operator's".to_owned()),
        Error::NotFound => Fault::Invalid("there is no secret of that name".to_owned()),
        Error::QuotaExceeded => Fault::Broken("there are as many secrets as there may be".to_owned()),
        Error::Storage(why) => Fault::Broken(why),
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct Machine;

impl Clock for Machine {
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}
