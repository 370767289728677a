//! One request's steps through a plugin.
//!
//! Between two steps nothing of the guest is held: what goes on is this struct, the continuation, and
//! whatever is being sent, received or waited for. An answer that was begun (`more`, `park` with a
//! head) goes on as a stream that the connection polls, so a client that goes away drops everything,
//! and a client that reads slowly is not asked for the next step before it has taken the last.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{TryStreamExt, stream};
use http::Response;
use http_body_util::BodyDataStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::body::{AnswerBody, Chunks, Located, counted};
use super::event::{Event, NotReceived};
use super::request::{Arrived, Asked, View};
use super::{refusal, request};
use crate::blob::{Algorithm, Plan, Received, StageError};
use crate::plugin::bindings::types::{self, Head, Park, ReceivePlan, Segment};
use crate::plugin::{Call, CallError, Version, Work};
use crate::routing::HostError;

/// Longest continuation, in bytes.
const MAX_CONTINUATION: usize = 64 * 1024;
/// Most watches of a park.
const MAX_WATCHES: usize = crate::capability::kv::MAX_ITEMS;

/// A request under way, on the heap for the reason that [`Arrived`] is.
pub struct Exchange {
    pub version: Arc<Version>,
    pub call: Arc<Call>,
    pub asked: Asked,
    pub automatic_head: bool,
    pub tracked: TaskTrackerToken,
    /// The place that a body in memory takes.
    pub _permit: Option<OwnedSemaphorePermit>,
}

/// How an exchange ended.
pub enum Ended {
    /// With this answer, whose body may go on.
    Answered(Box<Response<AnswerBody>>),
    /// With an error of the host.
    Refused(Box<HostError>),
    /// The plugin was replaced before anything was sent.
    Afresh(Box<Arrived>),
}

/// What is to be done next, once an answer was begun.
pub enum Step {
    /// The last part was sent.
    End,
    /// Resume with this continuation.
    Resume(Vec<u8>),
    /// Wait first.
    Park(Park),
}

/// How a wait ended.
enum Woken {
    With(Event),
    Replaced,
    Gone,
}

impl From<HostError> for Ended {
    fn from(error: HostError) -> Self {
        Self::Refused(Box::new(error))
    }
}

impl Exchange {
    /// Take the request through its steps until its answer is made or begun.
    pub async fn run(mut self: Box<Self>) -> Ended {
        let answer = match self.first_head().await {
            Ok(Begun::Whole(head, segments)) => self.whole(head, segments).await,
            Ok(Begun::Open(head, segments, step)) => match self.locate(segments).await {
                Ok(first) => self.open(head, step, first),
                Err(error) => Err(error),
            },
            Ok(Begun::Afresh) => return Ended::Afresh(self.asked.arrived),
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => Ended::Answered(Box::new(answer)),
            Err(error) => error.into(),
        }
    }

    /// Steps until the first that sends something.
    async fn first_head(&mut self) -> Result<Begun, HostError> {
        let mut step = self.handle().await;
        loop {
            let (continuation, event) = match step.map_err(|error| refusal::of_call(&error))? {
                types::Step::Done(answer) => return Ok(Begun::Whole(answer.head, answer.body)),
                types::Step::More(more) => {
                    let head =
                        more.head.ok_or_else(|| self.broken("the first step that sends something has no head"))?;
                    return Ok(Begun::Open(head, more.body, Step::Resume(self.resumable(more.continuation)?)));
                }
                types::Step::Park(mut park) => match park.head.take() {
                    Some(head) => {
                        let body = std::mem::take(&mut park.body);
                        return Ok(Begun::Open(head, body, Step::Park(park)));
                    }
                    None => match self.park(&park, true).await? {
                        Woken::With(event) => (park.continuation, event),
                        Woken::Replaced => return Ok(Begun::Afresh),
                        Woken::Gone => return Err(refusal::of_call(&CallError::Gone)),
                    },
                },
                types::Step::Fail(why) => return Err(self.given_up(&why)),
                types::Step::Receive(receive) => {
                    let continuation = self.resumable(receive.continuation)?;
                    (continuation, Event::Received(Box::pin(self.receive(receive.plan)).await?))
                }
            };
            step = match self.version.resumes() {
                // On the heap: who waits for the first time does not keep room for it.
                true => Box::pin(self.resume(&continuation, &event)).await,
                false => self.handle().await,
            };
        }
    }

    async fn handle(&self) -> Result<types::Step, CallError> {
        let view = View::new(&self.asked, &self.call);
        let work = Work::Handle(view.request());
        self.version.step(&self.call, &work).await
    }

    async fn resume(&self, continuation: &[u8], event: &Event) -> Result<types::Step, CallError> {
        let view = View::new(&self.asked, &self.call);
        event.resume(&self.version, &self.call, view.request(), continuation).await
    }

    fn resumable(&self, continuation: Vec<u8>) -> Result<Vec<u8>, HostError> {
        match continuation.len() {
            _ if !self.version.resumes() => {
                Err(self.broken("a step wants to be resumed, but `resumption` is not exported"))
            }
            0..=MAX_CONTINUATION => Ok(continuation),
            length => Err(self.broken(&format!("a continuation of {length} bytes; the most is {MAX_CONTINUATION}"))),
        }
    }

    /// Wait for a change, the time, or the end of this version.
    async fn park(&self, park: &Park, afresh: bool) -> Result<Woken, HostError> {
        let plugin = &self.version.plugin;
        if park.watches.len() > MAX_WATCHES || park.continuation.len() > MAX_CONTINUATION {
            return Err(self.broken("too many watches, or too long a continuation"));
        }
        let watches: Result<Vec<_>, _> = park.watches.iter().map(|watch| plugin.keys.watch(watch)).collect();
        let watches = watches.map_err(|error| self.broken(&error.to_string()))?;
        let Ok(_place) = plugin.parking.clone().try_acquire_owned() else {
            plugin.metrics.refused("parked");
            return Err(refusal::too_many_parked());
        };
        let limit = Duration::from_millis(u64::from(park.timeout_ms)).min(plugin.config.limits.park_max.get());
        let mut generation = plugin.generation.subscribe();
        if afresh && self.version.retired.load(Ordering::Acquire) {
            return Ok(Woken::Replaced);
        }
        let changed = plugin.keys.store().watch(watches);
        Ok(tokio::select! {
            result = changed => match result {
                Ok(()) => Woken::With(Event::Woken),
                Err(error) => {
                    tracing::warn!(plugin = %plugin.name, %error, "a parked request was woken by a failing store");
                    Woken::With(Event::Timeout)
                }
            },
            () = tokio::time::sleep(limit) => Woken::With(Event::Timeout),
            _ = generation.changed(), if afresh => Woken::Replaced,
            () = self.version.cancelled.cancelled() => Woken::Gone,
        })
    }

    /// Read the body into pieces.
    async fn receive(&mut self, plan: ReceivePlan) -> Result<Result<Received, NotReceived>, HostError> {
        let plugin = self.version.plugin.clone();
        let Some(body) = self.asked.arrived.body.take() else {
            return Err(self.broken("`receive` on a route whose body is not staged, or a second time"));
        };
        let plan = Plan {
            limit: plan.limit.min(plugin.config.limits.upload.get()),
            piece_size: plan.piece_size,
            piece_digests: plan.piece_digests.into_iter().map(Algorithm::from).collect(),
            body_digests: plan.body_digests.into_iter().map(Algorithm::from).collect(),
            trim: plan.trim,
        };
        let stated = self
            .asked
            .headers()
            .get(http::header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if stated.is_some_and(|stated| stated > plan.limit) {
            plugin.metrics.refused("body-size");
            return Ok(Err(NotReceived::TooLarge));
        }
        let _permit = request::transfer(&plugin)?;
        let staging = self.call.staging(&plugin);
        let stage = staging.stage(&plan, BodyDataStream::new(body));
        let received = tokio::select! {
            received = stage => received,
            () = self.version.cancelled.cancelled() => return Err(refusal::of_call(&CallError::Gone)),
        };
        Ok(match received {
            Ok(received) => Ok(received),
            Err(StageError::TooLarge { .. } | StageError::QuotaExceeded) => {
                plugin.metrics.refused("body-size");
                Err(NotReceived::TooLarge)
            }
            Err(StageError::CutOff(error)) => {
                tracing::debug!(plugin = %plugin.name, request = %self.call.id, %error, "a body was cut off");
                Err(NotReceived::CutOff)
            }
            Err(StageError::InvalidPlan(why)) => return Err(self.broken(why)),
            Err(StageError::Storage(error)) => {
                tracing::error!(plugin = %plugin.name, error = &error as &dyn std::error::Error, "a body could not be kept");
                Err(NotReceived::Storage(error.to_string()))
            }
        })
    }

    /// The rest of an answer that was begun, as a stream that breaks off where it is not `stated` bytes.
    pub(super) fn stream(self: Box<Self>, step: Step, first: Located, stated: Option<u64>) -> Chunks {
        let broke_off = self.broke_off();
        let part = first.chunks(&self.version.plugin).map_err(io::Error::other);
        let parts = stream::try_unfold((self, step, Some(part)), |(exchange, step, first)| async move {
            if let Some(first) = first {
                return Ok(Some((first?, (exchange, step, None))));
            }
            let Some((located, next)) = exchange.next_part(step).await.map_err(io::Error::other)? else {
                return Ok(None);
            };
            let part = located.chunks(&exchange.version.plugin).map_err(io::Error::other)?;
            Ok::<_, io::Error>(Some((part, (exchange, next, None))))
        });
        let chunks: Chunks = Box::pin(parts.try_flatten());
        let chunks = match stated {
            Some(stated) => counted(chunks, stated),
            None => chunks,
        };
        Box::pin(chunks.inspect_err(broke_off))
    }

    /// Do a step of an answer that was begun. None at its end.
    async fn next_part(&self, step: Step) -> Result<Option<(Located, Step)>, String> {
        let words = |error: HostError| error.detail().to_owned();
        let (continuation, event) = match step {
            Step::End => return Ok(None),
            Step::Resume(continuation) => (continuation, Event::Taken),
            Step::Park(park) => match self.park(&park, false).await.map_err(words)? {
                Woken::With(event) => (park.continuation, event),
                Woken::Replaced | Woken::Gone => return Err("the plugin was replaced".into()),
            },
        };
        let continuation = self.resumable(continuation).map_err(words)?;
        let step = self.resume(&continuation, &event).await;
        let (segments, next) = match step.map_err(|error| error.to_string())? {
            types::Step::Done(answer) => (answer.body, Step::End),
            types::Step::More(more) => (more.body, Step::Resume(more.continuation)),
            types::Step::Park(mut park) => (std::mem::take(&mut park.body), Step::Park(park)),
            types::Step::Fail(why) => return Err(why),
            types::Step::Receive(_) => return Err(words(self.broken("`receive` after the answer was begun"))),
        };
        Ok(Some((self.locate(segments).await.map_err(words)?, next)))
    }

    /// Keep what the answer needs until its last byte is taken, or nobody wants it.
    pub(super) fn hold(&self, chunks: Chunks, permit: OwnedSemaphorePermit) -> Chunks {
        let held = (permit, self.tracked.clone());
        let broke_off = self.broke_off();
        Box::pin(chunks.inspect_err(move |error| {
            let _ = &held;
            broke_off(error);
        }))
    }

    fn broke_off(&self) -> impl Fn(&io::Error) + Send + use<> {
        let (plugin, call) = (self.version.plugin.name.clone(), self.call.clone());
        move |error| tracing::warn!(plugin = %plugin, request = %call.id, %error, "an answer broke off")
    }
}

/// What the first step that sends something sends.
enum Begun {
    Whole(Head, Vec<Segment>),
    Open(Head, Vec<Segment>, Step),
    Afresh,
}
