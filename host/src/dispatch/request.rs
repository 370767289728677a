//! The request as the plugin sees it, with its body taken as the route wants it.

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::OwnedSemaphorePermit;

use super::{Routed, refusal};
use crate::auth::Identity;
use crate::listener::{BodyError, Connection, RequestBody, Scheme, authority};
use crate::plugin::bindings::types;
use crate::plugin::{Call, Plugin};
use crate::routing::{BodyMode, HostError};

/// A request's body, in the way the route wants it.
pub struct Taken {
    /// Whole, in memory.
    pub buffered: Option<Bytes>,
    /// Still to be received by a step.
    pub staged: Option<RequestBody>,
    /// The place among the plugin's transfers that a body in memory takes.
    pub permit: Option<OwnedSemaphorePermit>,
}

/// Take the body by the route's mode.
pub async fn take_body(
    plugin: &Plugin,
    mode: BodyMode,
    headers: &HeaderMap,
    body: &mut Option<RequestBody>,
) -> Result<Taken, HostError> {
    let nothing = Taken { buffered: None, staged: None, permit: None };
    match mode {
        BodyMode::Staged => Ok(Taken { staged: body.take(), ..nothing }),
        BodyMode::None => {
            let empty = body.as_ref().is_none_or(Body::is_end_stream);
            if empty { Ok(nothing) } else { Err(refuse_size(plugin, 0)) }
        }
        BodyMode::Buffered(limit) => {
            let Some(body) = body.take().filter(|body| !body.is_end_stream()) else {
                return Ok(Taken { buffered: Some(Bytes::new()), ..nothing });
            };
            let limit = u64::from(limit).min(plugin.config.limits.body.get());
            let stated =
                headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
            if stated.is_some_and(|stated| stated > limit) {
                return Err(refuse_size(plugin, limit));
            }
            let permit = transfer(plugin)?;
            let read = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX)).collect().await;
            match read {
                Ok(read) => Ok(Taken { buffered: Some(read.to_bytes()), permit: Some(permit), ..nothing }),
                Err(error) if error.is::<LengthLimitError>() => Err(refuse_size(plugin, limit)),
                Err(error) => Err(match error.downcast_ref::<BodyError>() {
                    Some(error) => refusal::bad_body(error),
                    None => refusal::broken_contract(),
                }),
            }
        }
    }
}

/// A place among the bodies that the plugin may have under way.
pub fn transfer(plugin: &Plugin) -> Result<OwnedSemaphorePermit, HostError> {
    plugin.transfers.clone().try_acquire_owned().map_err(|_| {
        plugin.metrics.refused("transfers");
        refusal::busy("The service has more bodies under way than it may.")
    })
}

fn refuse_size(plugin: &Plugin, limit: u64) -> HostError {
    plugin.metrics.refused("body-size");
    refusal::too_large(limit)
}

/// The contract's record of a request.
pub fn describe(
    connection: &Connection,
    head: &Request<()>,
    routed: &Routed,
    call: &Call,
    body: Option<Bytes>,
) -> types::Request {
    let uri = head.uri();
    let path = uri.path().get(routed.path_start..).filter(|path| !path.is_empty()).unwrap_or("/");
    types::Request {
        surface: u32::try_from(routed.target.surface).unwrap_or(u32::MAX),
        route: u32::try_from(routed.route).unwrap_or(u32::MAX),
        method: head.method().as_str().to_owned(),
        params: routed.params.clone(),
        path: path.to_owned(),
        query: uri.query().map(str::to_owned),
        scheme: match connection.scheme {
            Scheme::Http => types::Scheme::Http,
            Scheme::Https => types::Scheme::Https,
        },
        authority: authority(head).to_owned(),
        prefix: uri.path().get(..routed.path_start).unwrap_or_default().to_owned(),
        public_url: routed.target.public_url.as_deref().map(str::to_owned),
        headers: head
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect(),
        caller: match &call.caller {
            Identity::Anonymous => types::Caller::Anonymous,
            Identity::Rejected(why) => types::Caller::Rejected(why.as_str().to_owned()),
            Identity::User(user) => types::Caller::User((&**user).into()),
        },
        peer: types::Peer {
            address: connection.peer_address.to_string(),
            certificate: connection.peer_certificate.as_deref().map(<[u8]>::to_vec),
        },
        id: call.id.to_string(),
        body: body.map(Vec::from),
        extra: Vec::new(),
    }
}
