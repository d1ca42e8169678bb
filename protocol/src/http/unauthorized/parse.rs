//! The client's side: parses a 401 of the service or of an intermediary (`unauthorized-spec.md` 6).

use crate::OneLine;
use crate::http::auth::Reason;
use crate::http::headers::{AUTH_REASON, is_media_type};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};
use std::fmt;

/// The maximum size of an envelope, in bytes. An envelope has a few sentences.
const MAX_ENVELOPE: usize = 64 * 1024;

/// The maximum length of a text from an envelope, in characters.
const MAX_TEXT: usize = 4096;

/// The maximum length of another body's text, in characters: enough to recognise its sender.
const MAX_FOREIGN_TEXT: usize = 500;

/// Replaces an intermediary's markup, which would clutter logs.
const PAGE: &str = "The 401 is an HTML page and not the JSON that a vgi-rpc service returns";

/// The server refused to authenticate the request.
///
/// Its `Display` includes the note, because operators read it in logs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unauthorized {
    /// Why, for example to refresh a credential on [`Reason::ExpiredCredential`] and to stop on [`Reason::InsufficientScope`].
    /// It is [`Reason::Unauthorized`] for an unknown or a missing code too.
    pub reason: Reason,
    /// The server's human-readable text, or the beginning of a body in another format; bounded.
    pub detail: String,
    /// The service's note about its reverse proxy.
    pub proxy_hint: Option<String>,
    /// The `WWW-Authenticate` header; several are joined with commas, as HTTP allows.
    pub challenge: Option<String>,
}

impl Unauthorized {
    /// Parses a 401; `None` for any other status.
    ///
    /// `body` must be decoded and may be truncated. A body in an unexpected format is not an error: gateways and sign-on
    /// portals have their own formats.
    pub fn from_response(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        if status != StatusCode::UNAUTHORIZED {
            return None;
        }
        let challenges: Vec<_> =
            headers.get_all(WWW_AUTHENTICATE).iter().map(|value| lossy(value.as_bytes())).collect();
        let challenge = (!challenges.is_empty()).then(|| presentable(&challenges.join(", "), MAX_TEXT));
        let header_reason = || {
            let code = headers.get(AUTH_REASON).and_then(|value| value.to_str().ok());
            code.and_then(Reason::parse).unwrap_or(Reason::Unauthorized)
        };
        let Some(envelope) = envelope(body) else {
            let detail = foreign_detail(headers, body);
            return Some(Self { reason: header_reason(), detail, proxy_hint: None, challenge });
        };
        let text = |name: &str| envelope.get(name).and_then(Value::as_str);
        let reason = match text("reason") {
            Some(code) => Reason::parse(code).unwrap_or(Reason::Unauthorized),
            None => header_reason(),
        };
        let detail = text("detail").map(|detail| presentable(detail, MAX_TEXT)).unwrap_or_default();
        let proxy_hint =
            text("proxy_hint").map(|hint| presentable(hint, MAX_TEXT)).filter(|hint| !hint.is_empty());
        Some(Self { reason, detail, proxy_hint, challenge })
    }
}

/// Parses the envelope, which is recognised by its kind or at least by a reason.
fn envelope(body: &[u8]) -> Option<Map<String, Value>> {
    if body.len() > MAX_ENVELOPE {
        return None;
    }
    let envelope: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let is_kind = envelope.get("error").and_then(Value::as_str) == Some("unauthorized");
    let has_reason = envelope.get("reason").is_some_and(Value::is_string);
    (is_kind || has_reason).then_some(envelope)
}

fn foreign_detail(headers: &HeaderMap, body: &[u8]) -> String {
    // At most four bytes per character, and some leading white space.
    let start = body.get(..4 * MAX_FOREIGN_TEXT + 1024).unwrap_or(body);
    let text = lossy(start);
    let text = text.trim_start_matches('\u{feff}').trim();
    let starts_with = |tag: &str| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    let is_page = is_media_type(headers, "text/html");
    if starts_with("<!doctype") || starts_with("<html") || (is_page && !text.is_empty()) {
        return PAGE.to_owned();
    }
    presentable(text, MAX_FOREIGN_TEXT)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns at most `limit` characters, without terminal control characters.
fn presentable(text: &str, limit: usize) -> String {
    let plain = |letter: char| if letter.is_control() && letter != '\n' { ' ' } else { letter };
    text.chars().take(limit).map(plain).collect::<String>().trim().to_owned()
}

impl fmt::Display for Unauthorized {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail.as_str() {
            "" => write!(formatter, "the server refused the request: {}", self.reason)?,
            detail => {
                write!(formatter, "the server refused the request: {} ({})", self.reason, OneLine(detail))?;
            }
        }
        match &self.proxy_hint {
            Some(hint) => write!(formatter, ". {}", OneLine(hint)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Unauthorized {}

#[cfg(test)]
mod tests {
    use super::super::Refuser;
    use super::*;
    use crate::http::auth::AuthFailure;
    use http::HeaderValue;

    fn parse_with(headers: &[(&'static str, &'static str)], body: &[u8]) -> Unauthorized {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        Unauthorized::from_response(StatusCode::UNAUTHORIZED, &map, body).unwrap()
    }

    fn parse(body: &str) -> Unauthorized {
        parse_with(&[("vgi-auth-reason", "expired_credential")], body.as_bytes())
    }

    #[test]
    fn reads_what_the_server_writes() {
        let answer = Refuser::new(["X-Cert"], Some(HeaderValue::from_static("Bearer")));
        for reason in Reason::ALL {
            let response = answer.refuse(&AuthFailure::new(reason, "because"), &HeaderMap::new());
            let read =
                Unauthorized::from_response(response.status(), response.headers(), response.body()).unwrap();
            let proxy_hint = answer.note().map(|note| note.hint().to_owned());
            let challenge = Some("Bearer".to_owned());
            assert_eq!(read, Unauthorized { reason, detail: "because".to_owned(), proxy_hint, challenge });
            assert!(read.to_string().contains("X-Cert") && read.to_string().contains("because"), "{read}");
        }
    }

    #[test]
    fn other_statuses_are_not_its_business() {
        let body = br#"{"error":"unauthorized","reason":"unauthorized","detail":""}"#;
        assert_eq!(Unauthorized::from_response(StatusCode::FORBIDDEN, &HeaderMap::new(), body), None);
    }

    #[test]
    fn the_reason_comes_from_the_body_then_the_header_then_nowhere() {
        let body = r#"{"error":"unauthorized","reason":"missing_credential","detail":"d","new":[1]}"#;
        assert_eq!(parse(body).reason, Reason::MissingCredential);
        assert_eq!(parse(r#"{"reason":"missing_credential"}"#).reason, Reason::MissingCredential);
        assert_eq!(
            parse(r#"{"error":"unauthorized","reason":"from_the_future"}"#).reason,
            Reason::Unauthorized
        );
        assert_eq!(parse(r#"{"error":"unauthorized"}"#).reason, Reason::ExpiredCredential);
        assert_eq!(parse("").reason, Reason::ExpiredCredential);
        assert_eq!(parse_with(&[], b"").reason, Reason::Unauthorized);
        assert_eq!(parse_with(&[("vgi-auth-reason", "from_the_future")], b"").reason, Reason::Unauthorized);
    }

    #[test]
    fn another_body_is_kept_in_part() {
        assert_eq!(parse("  go away\u{1b}[2J \n").detail, "go away [2J");
        assert_eq!(parse(r#"{"title":"401 Unauthorized"}"#).detail, r#"{"title":"401 Unauthorized"}"#);
        assert_eq!(parse("[1]").detail, "[1]");
        assert_eq!(parse(&"x".repeat(1_000_000)).detail, "x".repeat(500));
        assert_eq!(parse(&"\u{1f600}".repeat(1000)).detail, "\u{1f600}".repeat(500));
        assert_eq!(parse_with(&[], &[b'a', 0xff, b'b']).detail, "a\u{fffd}b");
        assert_eq!(parse("").detail, "");
    }

    #[test]
    fn a_page_is_replaced_by_a_line() {
        for page in ["<!DOCTYPE html><p>x", "\n <HTML>", "\u{feff}<!doctype html>"] {
            assert_eq!(parse(page).detail, PAGE, "{page}");
        }
        assert_eq!(parse_with(&[("content-type", "Text/HTML; charset=utf-8")], b"<p>sign in").detail, PAGE);
        assert_eq!(parse("<!doc").detail, "<!doc");
    }

    #[test]
    fn an_envelope_with_fields_of_other_types_is_read_as_far_as_it_goes() {
        let read = parse(r#"{"error":"unauthorized","reason":7,"detail":["a"],"proxy_hint":""}"#);
        assert_eq!(
            (read.reason, read.detail.as_str(), read.proxy_hint),
            (Reason::ExpiredCredential, "", None)
        );
        let long = format!(r#"{{"error":"unauthorized","detail":"{}"}}"#, "y".repeat(10_000));
        assert_eq!(parse(&long).detail.len(), MAX_TEXT);
        let deep = "[".repeat(60_000);
        assert_eq!(parse(&format!(r#"{{"reason":{deep}"#)).detail.len(), MAX_FOREIGN_TEXT);
    }

    #[test]
    fn challenges_are_joined() {
        let headers = [("www-authenticate", "Bearer realm=\"a\""), ("www-authenticate", "Basic")];
        assert_eq!(parse_with(&headers, b"").challenge.as_deref(), Some("Bearer realm=\"a\", Basic"));
    }

    #[test]
    fn a_text_of_the_server_stays_on_one_line() {
        let body = r#"{"error":"unauthorized","reason":"unauthorized","detail":"a\nb\u001b[2J","proxy_hint":"c\nd"}"#;
        let text = parse(body).to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!(text.contains("(a\\nb") && text.ends_with(". c\\nd"), "{text:?}");
    }
}
