//! `http-client`: requests of one plugin to the destinations of the operator's list.
//!
//! Owns the translation, the looking up of secrets by name, and the answers that become pieces. The list, trust and
//! connections are in [`crate::outbound`].

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::blob::{Algorithm, StageError};
use crate::outbound::{self, Credential, Fetched, Outbound, OutboundError, Request, Target};
use crate::plugin::bindings::http_client::{Deadlines, Error, Host, Inbound, Outbound as Asked, Phase, Trust};
use crate::plugin::{Call, GuestState, Plugin};
use crate::secret::{SecretError, Secrets};

/// Most requests of one call.
const MAX_REQUESTS: usize = 16;

impl From<outbound::Phase> for Phase {
    fn from(phase: outbound::Phase) -> Self {
        match phase {
            outbound::Phase::Wait => Self::Wait,
            outbound::Phase::Resolve => Self::Resolve,
            outbound::Phase::Connect => Self::Connect,
            outbound::Phase::Tls => Self::Tls,
            outbound::Phase::FirstByte => Self::FirstByte,
            outbound::Phase::Idle => Self::Idle,
            outbound::Phase::Whole => Self::Whole,
        }
    }
}

impl From<OutboundError> for Error {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::Denied(_) => Self::Denied,
            OutboundError::Invalid(why) => Self::Invalid(why),
            OutboundError::Resolve(why) => Self::Resolve(why),
            OutboundError::Connect(why) => Self::Connect(why),
            OutboundError::PinMismatch { presented } => Self::PinMismatch(presented.to_vec()),
            OutboundError::Tls(why) => Self::Tls(why),
            OutboundError::Timeout(phase) => Self::Timeout(phase.into()),
            OutboundError::Protocol(why) => Self::Protocol(why),
            OutboundError::TooLarge { .. } => Self::TooLarge,
        }
    }
}

impl From<SecretError> for Error {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Storage(why) => Self::Storage(why),
            other => Self::NoSuchSecret(other.to_string()),
        }
    }
}

impl From<Deadlines> for outbound::Deadlines {
    fn from(own: Deadlines) -> Self {
        let time = |ms: Option<u32>| ms.map(|ms| Duration::from_millis(ms.into()));
        Self {
            connect: time(own.connect),
            tls: time(own.tls),
            first_byte: time(own.first_byte),
            idle: time(own.idle),
            whole: time(own.whole),
        }
    }
}

/// One plugin's way out, on behalf of a call.
struct Way<'a> {
    plugin: &'a Plugin,
    call: &'a Arc<Call>,
    outbound: &'a Outbound,
    secrets: Option<&'a Secrets>,
}

impl Way<'_> {
    async fn send(&self, asked: Asked) -> Result<Inbound, Error> {
        let digests: Option<Vec<Algorithm>> =
            asked.to_piece.as_ref().map(|digests| digests.iter().map(|digest| (*digest).into()).collect());
        let name = asked.credential.clone();
        let mut request = self.request(asked).await?;
        let mut sent = self.exchange(&request, digests.as_deref()).await;
        if let Ok(answer) = &sent
            && let Some(credential) = self.in_place_of_refused(name.as_deref(), &request, answer).await?
        {
            request.credential = Some(credential);
            sent = self.exchange(&request, digests.as_deref()).await;
        }
        if let Err(error) = &sent {
            // The words of a denial are for the operator.
            tracing::debug!(plugin = %self.plugin.name, url = request.url, ?error, "an outbound request failed");
        }
        sent
    }

    async fn exchange(&self, request: &Request, digests: Option<&[Algorithm]>) -> Result<Inbound, Error> {
        match digests {
            None => self.outbound.fetch(request).await.map(inbound).map_err(Error::from),
            Some(digests) => self.to_piece(request, digests).await,
        }
    }

    /// Another credential, if the server that got this one refused it, and there is another.
    async fn in_place_of_refused(
        &self,
        name: Option<&str>,
        request: &Request,
        answer: &Inbound,
    ) -> Result<Option<Credential>, Error> {
        let (Some(name), Some(refused), Some(secrets)) = (name, &request.credential, self.secrets) else {
            return Ok(None);
        };
        let origin = |url: &str| Target::parse(url).ok().map(|target| target.origin().clone());
        // From elsewhere, after a redirection, it says nothing: the credential did not go there.
        if answer.status != StatusCode::UNAUTHORIZED.as_u16() || origin(&answer.url) != origin(&request.url) {
            return Ok(None);
        }
        Ok(secrets.credential_in_place_of(name, refused).await?)
    }

    async fn request(&self, asked: Asked) -> Result<Request, Error> {
        let pins = |pins: Vec<Vec<u8>>| -> Result<outbound::Trust, Error> {
            let pins = pins.into_iter().map(|pin| pin.try_into().ok()).collect::<Option<_>>();
            let pins = pins.ok_or_else(|| Error::Invalid("a pin is a SHA-256, 32 bytes".into()))?;
            Ok(outbound::Trust::Pinned(pins))
        };
        let secrets = || self.secrets.ok_or_else(|| Error::NoSuchSecret("`secrets` is not granted".into()));
        Ok(Request {
            identity: match &asked.identity {
                Some(name) => Some(secrets()?.identity(name).await?),
                None => None,
            },
            credential: match &asked.credential {
                Some(name) => Some(secrets()?.credential(name).await?),
                None => None,
            },
            trust: match asked.trust {
                Trust::System => outbound::Trust::System,
                Trust::Authorities(pem) => outbound::Trust::Authorities(pem.into()),
                Trust::Pinned(all) => pins(all)?,
            },
            method: asked.method,
            url: asked.url,
            headers: asked.headers,
            body: asked.body.into(),
            deadlines: asked.deadlines.into(),
            limit: asked.limit,
            redirects: asked.redirects,
        })
    }

    async fn to_piece(&self, request: &Request, digests: &[Algorithm]) -> Result<Inbound, Error> {
        let outbound::Answer { status, headers, url, body } = self.outbound.send(request).await?;
        if !status.is_success() {
            let most = self.plugin.config.outbound.limits.answer_body.get();
            return Ok(inbound(Fetched { status, headers, url, body: body.collect(most).await? }));
        }
        let staging = self.call.staging(self.plugin);
        let piece = staging.one(digests, body).await.map_err(of_stage)?;
        let answer = inbound(Fetched { status, headers, url, body: bytes::Bytes::new() });
        Ok(Inbound { piece: Some(piece.into()), ..answer })
    }
}

fn of_stage(error: StageError<OutboundError>) -> Error {
    match error {
        StageError::CutOff(error) => error.into(),
        StageError::TooLarge { .. } | StageError::QuotaExceeded => Error::TooLarge,
        StageError::InvalidPlan(why) => Error::Invalid(why.into()),
        StageError::Storage(error) => Error::Storage(error.to_string()),
    }
}

fn inbound(fetched: Fetched) -> Inbound {
    let header =
        |(name, value): (&http::HeaderName, &http::HeaderValue)| (name.as_str().to_owned(), value.as_bytes().to_vec());
    Inbound {
        status: fetched.status.as_u16(),
        headers: fetched.headers.iter().map(header).collect(),
        url: fetched.url,
        body: fetched.body.into(),
        piece: None,
    }
}

impl GuestState {
    fn way(&self) -> Result<Way<'_>, Error> {
        let outbound = self.plugin.outbound.as_ref().ok_or(Error::Denied)?;
        Ok(Way { plugin: &self.plugin, call: &self.call, outbound, secrets: self.plugin.secrets.as_ref() })
    }
}

impl Host for GuestState {
    async fn send(&mut self, request: Asked) -> wasmtime::Result<Result<Inbound, Error>> {
        Ok(match self.way() {
            Ok(way) => self.cpu.waiting(way.send(request)).await,
            Err(error) => Err(error),
        })
    }

    async fn send_all(&mut self, requests: Vec<Asked>) -> wasmtime::Result<Result<Vec<Result<Inbound, Error>>, Error>> {
        let way = match self.way() {
            Ok(way) => way,
            Err(error) => return Ok(Err(error)),
        };
        if requests.len() > MAX_REQUESTS {
            return Ok(Err(Error::Invalid(format!("at most {MAX_REQUESTS} requests at once"))));
        }
        let all = futures_util::future::join_all(requests.into_iter().map(|request| way.send(request)));
        Ok(Ok(self.cpu.waiting(all).await))
    }
}
