//! What the host answers when it cannot let a plugin answer, worded in one place.

use http::{HeaderValue, StatusCode, header};

use crate::auth::{Identity, Provider};
use crate::listener::BodyError;
use crate::plugin::CallError;
use crate::routing::HostError;

/// 401 with the challenge that fits.
pub fn unauthenticated(provider: &Provider, identity: &Identity) -> HostError {
    let detail = match identity {
        Identity::Rejected(why) => format!("The credential is not good: {}.", why.as_str()),
        Identity::Anonymous | Identity::Unverified(_) | Identity::User(_) => "This needs a credential.".to_owned(),
    };
    HostError::new(StatusCode::UNAUTHORIZED, detail).with_header(header::WWW_AUTHENTICATE, provider.challenge(identity))
}

/// 503 with `Retry-After`: the credential may be good, and nobody can say.
pub fn unverified() -> HostError {
    let detail = "The credential cannot be verified now: the identity service does not say whether it is good.";
    retry(HostError::new(StatusCode::SERVICE_UNAVAILABLE, detail), 5)
}

/// 403
pub fn forbidden() -> HostError {
    HostError::new(StatusCode::FORBIDDEN, "The caller's roles do not allow this.")
}

/// 413 for a body over its bound.
pub fn too_large(limit: u64) -> HostError {
    HostError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("The body may have at most {limit} bytes here."))
}

/// 408 or 400 for a body that did not come.
pub fn bad_body(error: &BodyError) -> HostError {
    let status = match error {
        BodyError::Idle(_) | BodyError::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
        BodyError::Broken(_) => StatusCode::BAD_REQUEST,
    };
    HostError::new(status, format!("The body could not be read: {error}."))
}

/// 503 with `Retry-After`.
pub fn busy(detail: &'static str) -> HostError {
    retry(HostError::new(StatusCode::SERVICE_UNAVAILABLE, detail), 1)
}

/// 429 with `Retry-After`: the plugin has as many parked requests as it may.
pub fn too_many_parked() -> HostError {
    retry(HostError::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests are waiting for a change."), 5)
}

/// 500 for an answer or step that the contract does not allow; the log says which.
pub fn broken_contract() -> HostError {
    HostError::new(StatusCode::INTERNAL_SERVER_ERROR, "The plugin's answer was not valid.")
}

/// 500 for a request on which the plugin failed.
pub fn given_up() -> HostError {
    HostError::new(StatusCode::INTERNAL_SERVER_ERROR, "The service failed while it worked on the request.")
}

/// What a call that did not return means to the client.
pub fn of_call(error: &CallError) -> HostError {
    match error {
        CallError::Busy(_) => busy("The service has more requests than it may work on."),
        CallError::Resting(rest) => {
            let error =
                HostError::new(StatusCode::SERVICE_UNAVAILABLE, "The service failed repeatedly and is resting.");
            retry(error, rest.as_secs() + 1)
        }
        CallError::Exhausted => busy("The host has no room for the request."),
        CallError::Gone => busy("The service was replaced while it worked on the request."),
        CallError::Deadline => HostError::new(StatusCode::GATEWAY_TIMEOUT, "The service did not answer in time."),
        CallError::Failed(_) => given_up(),
    }
}

fn retry(error: HostError, seconds: u64) -> HostError {
    error.with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
}
