//! The answer of a plugin made fit for the wire: head checked, conditions applied, body found.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::body::{AnswerBody, Located};
use super::exchange::{Exchange, Step};
use super::{refusal, request};
use crate::plugin::bindings::types::{Delivery, Head, Segment};
use crate::routing::{HostError, conditional, head};

impl Exchange {
    /// The whole answer.
    pub(super) async fn whole(&self, head: Head, segments: Vec<Segment>) -> Result<Response<AnswerBody>, HostError> {
        let located = self.locate(segments).await?;
        let total = located.length();
        let method = if self.automatic_head { "GET" } else { self.asked.method() };
        let checked = head::check(method, head.status, head.headers, head::Body::Whole(total));
        let checked = checked.map_err(|error| self.broken(&error.to_string()))?;
        let (mut status, mut headers) = (checked.status, checked.headers);
        let mut range = None;
        if head.delivery == Delivery::Conditional {
            let delivery = conditional::evaluate(method, status, self.asked.headers(), &headers, total);
            if let conditional::Delivery::Partial { offset, length, .. } = delivery {
                range = Some((offset, length));
            }
            delivery.apply(&mut status, &mut headers)?;
        }
        let located = match range {
            Some((offset, length)) => located.slice(offset, length),
            None => located,
        };
        self.finish(status, headers, located)
    }

    fn finish(
        &self,
        status: StatusCode,
        headers: HeaderMap,
        located: Located,
    ) -> Result<Response<AnswerBody>, HostError> {
        let head_only = self.asked.method() == "HEAD";
        let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let length = located.length();
        let body = match located.whole() {
            _ if head_only || bodiless => AnswerBody::empty(),
            Ok(bytes) => AnswerBody::full(bytes),
            Err(located) => {
                let permit = request::transfer(&self.version.plugin)?;
                let chunks = located.chunks(&self.version.plugin).map_err(|error| self.broken(&error))?;
                AnswerBody::stream(self.hold(chunks, permit), Some(length))
            }
        };
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        if !bodiless && (!head_only || length > 0 || self.automatic_head) {
            answer.headers_mut().entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
        }
        self.dress(&mut answer);
        Ok(answer)
    }

    /// An answer whose end is not known yet.
    pub(super) fn open(
        self: Box<Self>,
        head: Head,
        step: Step,
        first: Located,
    ) -> Result<Response<AnswerBody>, HostError> {
        let checked = head::check(self.asked.method(), head.status, head.headers, head::Body::Open(first.length()));
        let checked = checked.map_err(|error| self.broken(&error.to_string()))?;
        let mut answer = Response::new(AnswerBody::empty());
        *answer.status_mut() = checked.status;
        *answer.headers_mut() = checked.headers;
        self.dress(&mut answer);
        if self.asked.method() != "HEAD" {
            let chunks = self.stream(step, first, checked.content_length);
            *answer.body_mut() = AnswerBody::stream(chunks, checked.content_length);
        }
        Ok(answer)
    }

    pub(super) async fn locate(&self, segments: Vec<Segment>) -> Result<Located, HostError> {
        let located = Located::find(&self.version.plugin, &self.call, segments).await;
        located.map_err(|error| self.broken(&error))
    }

    /// A step or answer the contract does not allow: the plugin's fault, named in the log.
    pub(super) fn broken(&self, why: &str) -> HostError {
        let plugin = &self.version.plugin;
        plugin.metrics.failed("bad-answer");
        tracing::error!(
            plugin = %plugin.name, request = %self.call.id, operation = %self.call.operation, why, "the plugin's answer was not valid"
        );
        refusal::broken_contract()
    }

    /// A request that the plugin cannot answer, in its own words for the log.
    pub(super) fn given_up(&self, why: &str) -> HostError {
        let plugin = &self.version.plugin;
        plugin.metrics.failed("given-up");
        tracing::error!(
            plugin = %plugin.name, request = %self.call.id, operation = %self.call.operation, why, "the plugin gave a request up"
        );
        refusal::given_up()
    }

    fn dress(&self, answer: &mut Response<AnswerBody>) {
        if let Some(served) = self.version.surfaces.all.get(self.asked.surface) {
            served.table.add_headers(answer.headers_mut());
        }
    }
}
