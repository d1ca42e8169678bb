//! The header `X-Forwarded-Client-Cert` of Envoy.

use super::text::{has_control, percent_decode};
use std::fmt;
use thiserror::Error;

/// The maximum size of the header in bytes.
pub(crate) const MAX_XFCC_BYTES: usize = 16_384;

/// One element of the header: one proxy's description of its client.
///
/// `Debug` omits the certificates.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct XfccElement {
    /// The SHA-256 of the certificate, in hex.
    pub hash: Option<String>,
    /// The certificate as PEM.
    pub certificate: Option<String>,
    /// The certificate's chain as PEM.
    pub chain: Option<String>,
    /// The certificate's subject, in the form of RFC 2253.
    pub subject: Option<String>,
    /// The certificate's issuer, in the form of RFC 2253.
    pub issuer: Option<String>,
    /// The certificate's URIs.
    pub uris: Vec<String>,
    /// The certificate's DNS names.
    pub dns_names: Vec<String>,
    /// The URIs of the proxy's own certificate.
    pub by: Vec<String>,
    /// Whether it has unknown fields.
    pub(super) has_unknown: bool,
    /// Whether a quoted value has a backslash before anything other than a quote or a backslash.
    pub(super) has_odd_escape: bool,
    /// Whether a URI is partly escaped: it may have been so in the certificate, and would then mean another one.
    pub(super) has_half_escaped_uri: bool,
}

/// Why an XFCC header is invalid. No variant repeats any part of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum XfccError {
    /// It exceeds the maximum size.
    #[error("expected an XFCC header of at most {MAX_XFCC_BYTES} bytes")]
    TooLong,
    /// It has other characters than printable ASCII.
    #[error("expected an XFCC header of printable ASCII")]
    NotText,
    /// It is not a list of fields, or a quoted text has no end.
    #[error("expected an XFCC header of elements with fields NAME=VALUE")]
    Syntax,
    /// A field occurs twice in one element but may occur only once.
    #[error("expected the field {0} once in an XFCC element")]
    Repeated(&'static str),
    /// A percent sign does not begin an escape, or the decoded bytes are not text.
    #[error("expected percent-encoded text in the field {0} of an XFCC element")]
    Escape(&'static str),
}

impl XfccElement {
    /// Parses the elements of a header, at least one. The first is the original client's, the last the nearest proxy's.
    ///
    /// It is parsed in one pass from left to right, so that quoted text cannot become a field.
    ///
    /// # Errors
    /// If the header is malformed.
    pub fn parse_all(header: &str) -> Result<Vec<Self>, XfccError> {
        if header.len() > MAX_XFCC_BYTES {
            return Err(XfccError::TooLong);
        }
        if !header.is_ascii() || has_control(header) {
            return Err(XfccError::NotText);
        }
        let (mut rest, mut elements) = (header, Vec::new());
        loop {
            let (element, behind) = element(rest)?;
            elements.push(element);
            match behind {
                Some(behind) => rest = behind,
                None => return Ok(elements),
            }
        }
    }

    fn set(&mut self, name: &str, value: &str, is_quoted: bool) -> Result<(), XfccError> {
        let name = name.to_ascii_lowercase();
        let decode = |name| {
            let decoded = percent_decode(&unescape(value)).map_err(|_| XfccError::Escape(name))?;
            // A PEM has line breaks.
            let is_clean = !decoded.chars().any(|c| c.is_control() && c != '\n' && c != '\r');
            if is_clean { Ok(decoded) } else { Err(XfccError::Escape(name)) }
        };
        let one_line = |name| {
            decode(name)
                .and_then(|text| if has_control(&text) { Err(XfccError::Escape(name)) } else { Ok(text) })
        };
        self.has_odd_escape |= is_quoted && has_odd_escape(value);
        match &*name {
            "hash" => once(&mut self.hash, "Hash", unescape(value)),
            "cert" => decode("Cert").and_then(|text| once(&mut self.certificate, "Cert", text)),
            "chain" => decode("Chain").and_then(|text| once(&mut self.chain, "Chain", text)),
            // The backslashes are part of the name.
            "subject" => once(&mut self.subject, "Subject", value.to_owned()),
            "issuer" => once(&mut self.issuer, "Issuer", value.to_owned()),
            "uri" => {
                self.has_half_escaped_uri |= value.contains('%') && value.contains(['/', ':']);
                one_line("URI").map(|text| self.uris.push(text))
            }
            "by" => one_line("By").map(|text| self.by.push(text)),
            "dns" => {
                self.dns_names.push(unescape(value));
                Ok(())
            }
            _ => {
                self.has_unknown = true;
                Ok(())
            }
        }
    }
}

impl fmt::Debug for XfccElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XfccElement")
            .field("hash", &self.hash)
            .field("subject", &self.subject)
            .field("uris", &self.uris)
            .field("dns_names", &self.dns_names)
            .field("by", &self.by)
            .finish_non_exhaustive()
    }
}

/// Parses one element, and returns it with the text after the comma that ends it.
fn element(header: &str) -> Result<(XfccElement, Option<&str>), XfccError> {
    let (mut element, mut rest) = (XfccElement::default(), header);
    loop {
        let (name, behind) = rest.split_once('=').ok_or(XfccError::Syntax)?;
        let name = name.trim_matches(' ');
        if !is_name(name) {
            return Err(XfccError::Syntax);
        }
        let behind = behind.trim_start_matches(' ');
        let (value, behind) = match behind.strip_prefix('"') {
            Some(quoted) => {
                let end = closing_quote(quoted).ok_or(XfccError::Syntax)?;
                let (value, behind) = quoted.split_at_checked(end).ok_or(XfccError::Syntax)?;
                element.set(name, value, true)?;
                (value, behind.strip_prefix('"').ok_or(XfccError::Syntax)?.trim_start_matches(' '))
            }
            None => {
                let end = behind.find([',', ';']).unwrap_or(behind.len());
                let (value, behind) = behind.split_at_checked(end).ok_or(XfccError::Syntax)?;
                let value = value.trim_end_matches(' ');
                if value.is_empty() || value.contains(['=', '"', '\\']) {
                    return Err(XfccError::Syntax);
                }
                element.set(name, value, false)?;
                (value, behind)
            }
        };
        let _ = value;
        if behind.is_empty() {
            return Ok((element, None));
        }
        if let Some(next) = behind.strip_prefix(',') {
            return Ok((element, Some(next)));
        }
        rest = behind.strip_prefix(';').ok_or(XfccError::Syntax)?;
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Returns the position of a quoted text's end: the first quote without a backslash before it.
fn closing_quote(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(index),
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
    None
}

fn has_odd_escape(value: &str) -> bool {
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'\\' && !matches!(bytes.next(), Some(b'"' | b'\\')) {
            return true;
        }
    }
    false
}

/// Unescapes `\"` and `\\`.
fn unescape(value: &str) -> String {
    let (mut text, mut chars) = (String::with_capacity(value.len()), value.chars().peekable());
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next_if(|next| matches!(next, '"' | '\\')) } else { None };
        text.push(escaped.unwrap_or(c));
    }
    text
}

fn once(field: &mut Option<String>, name: &'static str, value: String) -> Result<(), XfccError> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(XfccError::Repeated(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(header: &str) -> XfccElement {
        let [element] = &XfccElement::parse_all(header).unwrap()[..] else { panic!("one element") };
        element.clone()
    }

    #[test]
    fn an_element_has_its_fields() {
        let element = one(
            "By=spiffe://mesh/a;By=http%3a//b; Hash=ab12 ;Subject=\"/C=US;CN=a, b\";URI=spiffe%3A%2F%2Fx%2Fy;\
             URI=\"b=c\";DNS=one;DNS=\"t\\\"wo\";Cert=\"-----BEGIN%0A\";Issuer=\"\";Chain=x",
        );
        assert_eq!(element.by, ["spiffe://mesh/a", "http://b"]);
        assert_eq!(element.hash.as_deref(), Some("ab12"));
        assert_eq!(element.subject.as_deref(), Some("/C=US;CN=a, b"));
        assert_eq!(element.uris, ["spiffe://x/y", "b=c"]);
        assert_eq!(element.dns_names, ["one", "t\"wo"]);
        assert_eq!(element.certificate.as_deref(), Some("-----BEGIN\n"));
        assert_eq!((element.issuer.as_deref(), element.chain.as_deref()), (Some(""), Some("x")));
        assert!(!element.has_unknown && !element.has_odd_escape);
        assert!(one("Role=admin;hash=1").has_unknown);
        assert!(!format!("{element:?}").contains("BEGIN"));
    }

    #[test]
    fn a_quoted_text_is_no_field() {
        let element =
            one("Subject=\"CN=x\\\";URI=spiffe://example.org/evil;O=\\\"\";URI=spiffe://example.org/own");
        assert_eq!(element.uris, ["spiffe://example.org/own"]);
        assert_eq!(element.subject.as_deref(), Some("CN=x\\\";URI=spiffe://example.org/evil;O=\\\""));
        assert!(one("Subject=\"O=a\\, b\"").has_odd_escape);
    }

    #[test]
    fn elements_come_in_order() {
        let elements = XfccElement::parse_all("Hash=1;URI=a,Hash=2,Hash=\"3,4\"").unwrap();
        let hashes: Vec<_> = elements.iter().map(|element| element.hash.as_deref().unwrap()).collect();
        assert_eq!(hashes, ["1", "2", "3,4"]);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let long = format!("Hash={}", "a".repeat(MAX_XFCC_BYTES));
        let cases = [
            ("", XfccError::Syntax),
            ("Hash", XfccError::Syntax),
            ("Hash=", XfccError::Syntax),
            ("Hash=1,", XfccError::Syntax),
            ("Hash=1;", XfccError::Syntax),
            ("Hash=1;;URI=2", XfccError::Syntax),
            (",Hash=1", XfccError::Syntax),
            ("=1", XfccError::Syntax),
            ("Ha sh=1", XfccError::Syntax),
            ("Hash=\"1", XfccError::Syntax),
            ("Hash=\"1\\\"", XfccError::Syntax),
            ("Hash=\"1\"2", XfccError::Syntax),
            ("Hash=1\"2\"", XfccError::Syntax),
            ("Hash=1=2", XfccError::Syntax),
            ("Hash=1\\2", XfccError::Syntax),
            ("Hash=1;hash=2", XfccError::Repeated("Hash")),
            ("Cert=1;cert=2", XfccError::Repeated("Cert")),
            ("Chain=1;Chain=2", XfccError::Repeated("Chain")),
            ("Subject=1;Subject=2", XfccError::Repeated("Subject")),
            ("Issuer=1;Issuer=2", XfccError::Repeated("Issuer")),
            ("URI=%2", XfccError::Escape("URI")),
            ("URI=%0A", XfccError::Escape("URI")),
            ("By=%0a", XfccError::Escape("By")),
            ("Cert=%00", XfccError::Escape("Cert")),
            ("Chain=%FF", XfccError::Escape("Chain")),
            ("Hash=\u{e9}", XfccError::NotText),
            ("Hash=\t1", XfccError::NotText),
            (&long, XfccError::TooLong),
        ];
        for (header, expected) in cases {
            assert_eq!(XfccElement::parse_all(header), Err(expected), "{header}");
        }
    }
}
