//! A response before the common header fields are added: a status, a body, a few header fields.

use super::headers;
use crate::memory::Reservation;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{HeaderName, Response, StatusCode};

/// A response under construction.
#[derive(Debug)]
pub(crate) struct ResponseDraft {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The body as a gather list.
    pub(crate) body: Vec<Bytes>,
    /// The memory reservation of the body.
    pub(crate) memory: Reservation,
}

impl ResponseDraft {
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Vec::new(), memory: Reservation::default() }
    }

    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut reply = Self::empty(status).with(CONTENT_TYPE, HeaderValue::from_static(content_type));
        reply.body.push(body.into());
        reply
    }

    /// Creates a plain-text response.
    pub(crate) fn text(status: StatusCode, text: &'static str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text)
    }

    /// Creates a response with Arrow IPC streams.
    pub(crate) fn arrow(status: StatusCode, (body, memory): (Vec<Bytes>, Reservation)) -> Self {
        let mut reply =
            Self::empty(status).with(CONTENT_TYPE, HeaderValue::from_static(headers::ARROW_STREAM));
        reply.body = body;
        reply.memory = memory;
        reply
    }

    /// Marks a response whose body contains the error of a call.
    pub(crate) fn failed(self) -> Self {
        self.with(headers::RPC_ERROR, HeaderValue::from_static("true"))
    }

    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Returns the response and the reservation of its body.
    pub(crate) fn into_response(self) -> (Response<Vec<Bytes>>, Reservation) {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        (response, self.memory)
    }

    /// Returns the size of the body in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.body.iter().map(|segment| segment.len() as u64).sum()
    }

    /// Whether the body is Arrow IPC.
    pub(crate) fn is_arrow(&self) -> bool {
        headers::is_media_type(&self.headers, headers::ARROW_STREAM)
    }
}

impl From<Response<Bytes>> for ResponseDraft {
    fn from(response: Response<Bytes>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            status: parts.status,
            headers: parts.headers,
            body: vec![body],
            memory: Reservation::default(),
        }
    }
}
