//! The request as the plugin sees it, with its body taken as the route wants it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::OwnedSemaphorePermit;

use super::refusal;
use crate::auth::Identity;
use crate::listener::{BodyError, Connection, RequestBody, Scheme, authority};
use crate::plugin::bindings::types;
use crate::plugin::{Call, Plugin};
use crate::routing::{BodyMode, HostError};

/// A request as it came. On the heap, because each of the futures that hand it on would else keep room for it.
pub struct Arrived {
    pub head: Request<()>,
    /// Until it is taken into memory or received by a step.
    pub body: Option<RequestBody>,
}

/// A request's body, unless it stays to be received by a step.
pub struct Taken {
    /// Whole, in memory.
    pub buffered: Option<Bytes>,
    /// The place among the plugin's transfers that a body in memory takes.
    pub permit: Option<OwnedSemaphorePermit>,
}

/// Take the body by the route's mode.
pub async fn take_body(plugin: &Plugin, mode: BodyMode, arrived: &mut Arrived) -> Result<Taken, HostError> {
    let nothing = Taken { buffered: None, permit: None };
    match mode {
        BodyMode::Staged => Ok(nothing),
        BodyMode::None => {
            let empty = arrived.body.take().is_none_or(|body| body.is_end_stream());
            if empty { Ok(nothing) } else { Err(refuse_size(plugin, 0)) }
        }
        BodyMode::Buffered(limit) => {
            let Some(body) = arrived.body.take().filter(|body| !body.is_end_stream()) else {
                return Ok(Taken { buffered: Some(Bytes::new()), ..nothing });
            };
            let limit = u64::from(limit).min(plugin.config.limits.body.get());
            let stated = arrived.head.headers().get(header::CONTENT_LENGTH);
            let stated = stated.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
            if stated.is_some_and(|stated| stated > limit) {
                return Err(refuse_size(plugin, limit));
            }
            let permit = transfer(plugin)?;
            let read = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX)).collect().await;
            match read {
                Ok(read) => Ok(Taken { buffered: Some(read.to_bytes()), permit: Some(permit) }),
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

/// A request that a route was found for.
pub struct Asked {
    pub connection: Arc<Connection>,
    pub arrived: Box<Arrived>,
    pub surface: usize,
    pub route: usize,
    /// Of the path template.
    pub params: Vec<String>,
    /// Where the path below the mount begins.
    pub path_start: usize,
    pub public_url: Option<Arc<str>>,
    pub body: Option<Bytes>,
}

impl Asked {
    pub fn headers(&self) -> &HeaderMap {
        self.arrived.head.headers()
    }

    pub fn method(&self) -> &str {
        self.arrived.head.method().as_str()
    }
}

/// A request as it is lent to a guest: no text of it is copied before it is copied into the guest.
pub struct View<'a> {
    asked: &'a Asked,
    call: &'a Call,
    headers: Vec<(&'a str, &'a [u8])>,
    params: Vec<&'a str>,
    roles: Vec<&'a str>,
    extra: Vec<(&'a str, &'a str)>,
}

impl<'a> View<'a> {
    pub fn new(asked: &'a Asked, call: &'a Call) -> Self {
        let user = match &call.caller {
            Identity::User(user) => Some(user),
            Identity::Anonymous | Identity::Rejected(_) | Identity::Unverified(_) => None,
        };
        let roles = user.into_iter().flat_map(|user| &user.roles);
        let extra = user.into_iter().flat_map(|user| &user.extra);
        Self {
            headers: asked.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect(),
            params: asked.params.iter().map(String::as_str).collect(),
            roles: roles.map(String::as_str).collect(),
            extra: extra.map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            asked,
            call,
        }
    }

    /// The contract's record of it.
    pub fn request(&self) -> types::Request<'_> {
        let Asked { connection, arrived, surface, route, path_start, public_url, body, .. } = self.asked;
        let head = &arrived.head;
        let uri = head.uri();
        let path = uri.path().get(*path_start..).filter(|path| !path.is_empty()).unwrap_or("/");
        types::Request {
            surface: u32::try_from(*surface).unwrap_or(u32::MAX),
            route: u32::try_from(*route).unwrap_or(u32::MAX),
            method: head.method().as_str(),
            params: &self.params,
            path,
            query: uri.query(),
            scheme: match connection.scheme {
                Scheme::Http => types::Scheme::Http,
                Scheme::Https => types::Scheme::Https,
            },
            authority: authority(head),
            prefix: uri.path().get(..*path_start).unwrap_or_default(),
            public_url: public_url.as_deref(),
            headers: &self.headers,
            caller: match &self.call.caller {
                Identity::Anonymous => types::Caller::Anonymous,
                Identity::Rejected(why) => types::Caller::Rejected(why.as_str()),
                Identity::Unverified(why) => types::Caller::Unverified(why.as_str()),
                Identity::User(user) => types::Caller::User(types::UserParam {
                    id: &user.id,
                    name: &user.name,
                    project: user.project.as_deref(),
                    roles: &self.roles,
                    extra: &self.extra,
                }),
            },
            peer: types::Peer {
                address: &connection.peer_address,
                certificate: connection.peer_certificate.as_deref(),
            },
            id: &self.call.id,
            body: body.as_deref(),
            extra: &[],
        }
    }
}
