//! Writes a request: its target, host, fields and the length of its body.

use crate::http1::target::is_host;
use crate::http1::write_head::{check_fields, write_field, write_fields};
use crate::http1::{CommandError, Outbox};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, request};

/// Writes a request to the output. `closes`: asks the server to close the connection afterwards.
///
/// The head is checked before anything is written, so that a refused request has no effect.
pub(super) fn write(
    mut head: request::Parts,
    body: Vec<Bytes>,
    closes: bool,
    outbox: &mut Outbox,
) -> Result<(), CommandError> {
    if head.method == Method::CONNECT {
        return Err(CommandError::Method(head.method));
    }
    check_fields(&head.headers)?;
    // The client does not wait before a body, does not change protocols, and computes the length itself.
    for name in [EXPECT, UPGRADE, CONTENT_LENGTH] {
        if head.headers.contains_key(&name) {
            return Err(CommandError::FramingField(name));
        }
    }
    let host = take_host(&head)?;
    head.headers.remove(HOST);
    let length: u64 = body.iter().map(|segment| segment.len() as u64).sum();
    let defines_content = [Method::POST, Method::PUT, Method::PATCH].contains(&head.method);
    let content_length = (length > 0 || defines_content).then_some(length);
    outbox.write_with(|out| {
        let asterisk = head.method == Method::OPTIONS && head.uri.path() == "*";
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        out.extend_from_slice(head.method.as_str().as_bytes());
        // A URI that is only a scheme and authority, or only a query, has an empty path: RFC 9112, section 3.2.1.
        let slash: &[u8] = if asterisk || target.starts_with('/') { b" " } else { b" /" };
        out.extend_from_slice(slash);
        out.extend_from_slice(target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        write_field(out, HOST.as_str(), host.as_bytes());
        write_fields(out, &head.headers, content_length, closes.then_some("close"));
    });
    for segment in body {
        outbox.write_bytes(&segment);
    }
    Ok(())
}

/// Whether the user asks for the connection to be closed.
pub(super) fn wants_close(headers: &HeaderMap) -> bool {
    crate::http1::framing::has_element(headers, CONNECTION, "close")
}

/// Takes the single `Host` that the user set, or the URI's authority without user information.
fn take_host(head: &request::Parts) -> Result<HeaderValue, CommandError> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.clone(),
        (None, _) => {
            let authority = head.uri.authority().ok_or(CommandError::Host)?.as_str();
            HeaderValue::from_str(authority).map_err(|_| CommandError::Host)?
        }
        (Some(_), Some(_)) => return Err(CommandError::Host),
    };
    if is_host(host.as_bytes()) { Ok(host) } else { Err(CommandError::Host) }
}
