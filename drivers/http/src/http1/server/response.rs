//! A response's framing: its length, whether its body is sent, and whether the connection closes after it.

use crate::http1::framing::{has_element, parse_length};
use crate::http1::write_head::{check_fields, write_fields};
use crate::http1::{CommandError, Outbox};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{StatusCode, response};
use std::io::Write;

/// The properties of a request that determine its response's framing.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// The method is HEAD: the response's body is not sent.
    pub(super) is_head: bool,
    pub(super) is_http10: bool,
    /// The client wants to keep the connection open after this exchange.
    pub(super) is_persistent: bool,
    /// The client sends a body only after `100 Continue`.
    pub(super) expects_continue: bool,
}

/// A response that was checked and can be sent.
pub(super) struct FramedResponse {
    head: response::Parts,
    body: Vec<Bytes>,
    content_length: Option<u64>,
    closes: bool,
}

impl FramedResponse {
    /// Checks a response against the rules of RFC 9110, section 8.6, and RFC 9112, section 6.3.
    pub(super) fn new(
        head: response::Parts,
        body: Vec<Bytes>,
        exchange: &Exchange,
    ) -> Result<Self, CommandError> {
        let status = head.status;
        if status.is_informational() {
            return Err(CommandError::InterimStatus(status));
        }
        check_fields(&head.headers)?;
        let length = body.iter().map(|segment| segment.len() as u64).sum();
        let has_no_body = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
        if length > 0 && (has_no_body || status == StatusCode::RESET_CONTENT) {
            return Err(CommandError::BodyNotAllowed(status));
        }
        let content_length = match head.headers.get(CONTENT_LENGTH).map(parse_length) {
            None if has_no_body => None,
            None => Some(length),
            // The length of a body that was not generated, which only a response to HEAD may state.
            Some(Some(stated)) if exchange.is_head && length == 0 && !has_no_body => Some(stated),
            Some(_) => return Err(CommandError::FramingField(CONTENT_LENGTH)),
        };
        let closes = has_element(&head.headers, CONNECTION, "close");
        Ok(Self { head, body, content_length, closes })
    }

    /// Whether the user wants the connection closed after this response.
    pub(super) fn closes(&self) -> bool {
        self.closes
    }

    /// Writes the response to the output. `closes`: it is the connection's last.
    pub(super) fn write(self, outbox: &mut Outbox, exchange: &Exchange, closes: bool) {
        let status = self.head.status;
        let connection = match (closes, exchange.is_http10) {
            (true, _) => Some("close"),
            (false, true) => Some("keep-alive"),
            (false, false) => None,
        };
        outbox.write_with(|head| {
            // The version is the server's own, whatever the client's: RFC 9110, section 2.5. Writing to memory cannot fail.
            let reason = status.canonical_reason().unwrap_or_default();
            let _ = write!(head, "HTTP/1.1 {} {reason}\r\n", status.as_str());
            write_fields(head, &self.head.headers, self.content_length, connection);
        });
        if !exchange.is_head {
            for segment in self.body {
                outbox.write_bytes(&segment);
            }
        }
    }
}
