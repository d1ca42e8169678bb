//! A request's way through an endpoint: head, body, handler, answer.

use super::dispatch::{Dispatch, Dispatched, upload};
use super::endpoint::Endpoint;
use super::route::Part;
use super::visit::Visit;
use crate::memory::{OverBudget, Reservation};
use crate::service::hooks;
use crate::service::{CallRecord, Method};
use crate::wire::error::RpcError;
use bytes::Bytes;
use http::{Response, StatusCode};
use std::sync::Arc;
use std::time::Duration;

/// What an endpoint makes of a request's head.
#[derive(Debug)]
pub enum Begun {
    /// The body does not matter: this is the answer.
    Answer(Answer),
    /// The body is to be read.
    Call(Call),
}

/// A request whose body is still to come.
#[derive(Debug)]
pub struct Call {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) visit: Visit,
    pub(super) target: Target,
}

/// What a request with a body is for.
#[derive(Debug)]
pub(super) enum Target {
    Method(Arc<Method>, Part),
    /// Vend URLs to upload to.
    UploadUrl,
    /// End a sticky session. There is no body to this.
    EndSession,
}

/// A request's body as a driver read it.
#[derive(Debug)]
pub enum Body {
    /// All of it. Columns of a batch share these bytes, and are not copied if they lie aligned to 64 bytes.
    Whole(Bytes),
    /// It went on after [`Call::max_body_bytes`], and was not kept.
    TooLarge,
    /// The driver's memory budget had no room for it.
    OverBudget(OverBudget),
}

/// A request whose handler, if it had any, was invoked.
#[derive(Debug)]
pub struct Done {
    endpoint: Arc<Endpoint>,
    visit: Visit,
    dispatched: Dispatched,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    /// The response. Its body is a gather list, to be sent with its length: `Content-Length` is not among the headers.
    /// The answer to `HEAD` has the body that `GET` would have, of which only the length is to be sent.
    pub response: Response<Vec<Bytes>>,
    /// The record of the call, for the access log, if [`EndpointBuilder::record_calls`](super::EndpointBuilder::record_calls)
    /// asked for it and the request got as far as a method. Log it before the response is sent.
    pub record: Option<CallRecord>,
    /// Reserved for the response's body. Drop it once the response was sent, or is counted elsewhere.
    pub memory: Reservation,
}

impl Call {
    /// The most bytes of body that are of use. A driver reads no more of it, and says [`Body::TooLarge`].
    pub fn max_body_bytes(&self) -> u64 {
        match self.target {
            Target::EndSession => 0,
            _ => self.endpoint.max_body_bytes(),
        }
    }

    /// Invokes the handler. This takes as long as the handler does, and longer if another call of the same sticky
    /// session is under way ([`Sticky::max_waiting`](super::Sticky::max_waiting) bounds how many wait so). A panic in a
    /// handler becomes an error of its call.
    pub fn run(self, body: Body) -> Done {
        let Self { endpoint, mut visit, target } = self;
        let dispatched = match (target, body) {
            (Target::EndSession, _) => endpoint.end_session(&visit).into(),
            (_, Body::TooLarge) => endpoint.too_large(&visit).into(),
            (_, Body::OverBudget(error)) => endpoint.over_budget(&visit, error).into(),
            (target, Body::Whole(body)) => {
                visit.request_bytes = body.len() as u64;
                match (endpoint.decode(&visit, body), target) {
                    (Err(reply), _) => (*reply).into(),
                    (Ok(body), Target::Method(method, part)) => {
                        dispatch(&endpoint, &visit, method, part, body)
                    }
                    (Ok(body), _) => upload::answer(&endpoint, &visit, body).into(),
                }
            }
        };
        Done { endpoint, visit, dispatched }
    }
}

fn dispatch(
    endpoint: &Arc<Endpoint>,
    visit: &Visit,
    method: Arc<Method>,
    part: Part,
    body: Bytes,
) -> Dispatched {
    let Some(hosted) = endpoint.service().hosted(method.protocol()) else {
        let error = RpcError::runtime_error("the method's protocol is not hosted any more");
        return endpoint.refusal(visit, StatusCode::NOT_FOUND, &error).into();
    };
    match endpoint.resume_session(visit) {
        Ok(session) => Dispatch::run(endpoint, visit, (hosted, method), part, session, body),
        Err(error) => endpoint.failure(visit, &error).into(),
    }
}

impl Done {
    /// The answer. `now` is the time by the clock that [`Endpoint::begin`] was told the time of.
    pub fn answer(self, now: Duration) -> Answer {
        let Self { endpoint, visit, dispatched: Dispatched { reply, record } } = self;
        let (response, memory) = endpoint.finish(&visit, reply);
        let record = record.map(|mut record| {
            record.ended = now;
            if let Some(http) = &mut record.http {
                http.status = response.status().as_u16();
                http.response_bytes = response.body().iter().map(|segment| segment.len() as u64).sum();
            }
            hooks::end(&endpoint.service().hooks, &record);
            *record
        });
        let record = record.filter(|_| endpoint.records_calls());
        Answer { response, record, memory }
    }
}
