//! The capabilities and limits that a server sends with every response. WIRE_PROTOCOL 10, "Capability discovery".

use super::coding::Coding;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// Header `VGI-Max-Request-Bytes`.
pub const MAX_REQUEST_BYTES: HeaderName = HeaderName::from_static("vgi-max-request-bytes");
/// Header `VGI-Max-Response-Bytes`.
pub const MAX_RESPONSE_BYTES: HeaderName = HeaderName::from_static("vgi-max-response-bytes");
/// Header `VGI-Accept-Max-Response-Bytes-Support`.
pub const ACCEPT_MAX_RESPONSE_BYTES_SUPPORT: HeaderName =
    HeaderName::from_static("vgi-accept-max-response-bytes-support");
/// Header `VGI-Max-Externalized-Response-Bytes`.
pub const MAX_EXTERNALIZED_RESPONSE_BYTES: HeaderName =
    HeaderName::from_static("vgi-max-externalized-response-bytes");
/// Header `VGI-Externalization-Enabled`.
pub const EXTERNALIZATION_ENABLED: HeaderName = HeaderName::from_static("vgi-externalization-enabled");
/// Header `VGI-Supported-Encodings`.
pub const SUPPORTED_ENCODINGS: HeaderName = HeaderName::from_static("vgi-supported-encodings");
/// Header `VGI-Upload-URL-Support`.
pub const UPLOAD_URL_SUPPORT: HeaderName = HeaderName::from_static("vgi-upload-url-support");
/// Header `VGI-Max-Upload-Bytes`.
pub const MAX_UPLOAD_BYTES: HeaderName = HeaderName::from_static("vgi-max-upload-bytes");
/// Header `VGI-Proxy-Proof-Required`.
pub const PROXY_PROOF_REQUIRED: HeaderName = HeaderName::from_static("vgi-proxy-proof-required");
/// Header `VGI-Sticky-Enabled`.
pub const STICKY_ENABLED: HeaderName = HeaderName::from_static("vgi-sticky-enabled");
/// Header `VGI-Sticky-Default-TTL`.
pub const STICKY_DEFAULT_TTL: HeaderName = HeaderName::from_static("vgi-sticky-default-ttl");
/// Header `VGI-Sticky-Echo-Headers`.
pub const STICKY_ECHO_HEADERS: HeaderName = HeaderName::from_static("vgi-sticky-echo-headers");

/// The maximum number of echo headers that a client accepts: each is sent with every request of a session.
const MAX_ECHO_HEADERS: usize = 32;

/// The capabilities and limits of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Maximum size of a request body in bytes, both as sent and after decoding; `None` for no limit.
    pub max_request_bytes: Option<u64>,
    /// Maximum size of a response body in bytes, before content coding; `None` for no limit.
    pub max_response_bytes: Option<u64>,
    /// Maximum number of bytes that one response stores externally; `None` for no limit.
    pub max_externalized_response_bytes: Option<u64>,
    /// Whether the server supports a client's limit on the response. This implementation always does.
    pub accept_max_response_bytes: bool,
    /// Whether the server stores large batches externally, so that a client may receive pointers.
    pub externalization: bool,
    /// The codings of responses; empty for no compression.
    pub encodings: Vec<Coding>,
    /// Present if clients may request upload URLs.
    pub upload: Option<UploadCapability>,
    /// Whether requests without a valid proxy proof are refused.
    pub proxy_proof_required: bool,
    /// Present if the server has sticky sessions.
    pub sticky: Option<StickyCapability>,
}

/// Upload URLs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UploadCapability {
    /// Maximum size of an upload in bytes; `None` for no limit.
    pub max_bytes: Option<u64>,
}

/// Sticky sessions. WIRE_PROTOCOL 17.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StickyCapability {
    /// The lifetime of a session if its method does not set one, sent in whole seconds. On a client, `None` if the server did
    /// not send it.
    pub default_ttl: Option<Duration>,
    /// Headers that a client sends back with every request of a session.
    pub echo_headers: Vec<HeaderName>,
}

impl Default for Capabilities {
    /// Returns capabilities without limits and optional features, with all codings.
    fn default() -> Self {
        Self {
            max_request_bytes: None,
            max_response_bytes: None,
            max_externalized_response_bytes: None,
            accept_max_response_bytes: true,
            externalization: false,
            encodings: Coding::ALL.to_vec(),
            upload: None,
            proxy_proof_required: false,
            sticky: None,
        }
    }
}

impl Capabilities {
    /// Returns the headers of every response, whatever its status. They are created once, because they do not change.
    pub fn to_headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let yes = HeaderValue::from_static("true");
        let mut headers = Vec::new();
        let mut limit = |name, bytes: Option<u64>| headers.extend(bytes.map(|bytes| (name, bytes.into())));
        limit(MAX_REQUEST_BYTES, self.max_request_bytes);
        limit(MAX_RESPONSE_BYTES, self.max_response_bytes);
        limit(MAX_EXTERNALIZED_RESPONSE_BYTES, self.max_externalized_response_bytes);
        limit(MAX_UPLOAD_BYTES, self.upload.and_then(|upload| upload.max_bytes));
        if self.accept_max_response_bytes {
            headers.push((ACCEPT_MAX_RESPONSE_BYTES_SUPPORT, yes.clone()));
        }
        let externalization = if self.externalization { "true" } else { "false" };
        headers.push((EXTERNALIZATION_ENABLED, HeaderValue::from_static(externalization)));
        // Always present: an empty list means no compression, but a missing list would mean "zstd".
        let encodings = self.encodings.iter().map(|coding| coding.as_str());
        headers.push((SUPPORTED_ENCODINGS, list(encodings)));
        if self.upload.is_some() {
            headers.push((UPLOAD_URL_SUPPORT, yes.clone()));
        }
        if self.proxy_proof_required {
            headers.push((PROXY_PROOF_REQUIRED, yes.clone()));
        }
        if let Some(sticky) = &self.sticky {
            headers.push((STICKY_ENABLED, yes));
            headers.extend(sticky.default_ttl.map(|ttl| (STICKY_DEFAULT_TTL, ttl.as_secs().into())));
            if !sticky.echo_headers.is_empty() {
                headers.push((STICKY_ECHO_HEADERS, list(sticky.echo_headers.iter().map(HeaderName::as_str))));
            }
        }
        headers
    }

    /// Parses the headers of a response, whatever its status.
    ///
    /// A value that is absent or malformed means off or unlimited, with one exception: if the list of codings is absent or names
    /// no known coding, `zstd` is assumed, which servers supported before they sent a list (a build without the feature `zstd`
    /// assumes no coding). An empty list means that the server does not compress.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let is_true = |name: &HeaderName| text(name) == Some("true");
        let number = |name: &HeaderName| text(name).and_then(decimal);
        Self {
            max_request_bytes: number(&MAX_REQUEST_BYTES),
            max_response_bytes: number(&MAX_RESPONSE_BYTES),
            max_externalized_response_bytes: number(&MAX_EXTERNALIZED_RESPONSE_BYTES),
            accept_max_response_bytes: is_true(&ACCEPT_MAX_RESPONSE_BYTES_SUPPORT),
            externalization: is_true(&EXTERNALIZATION_ENABLED),
            encodings: Self::listed_encodings(headers)
                .unwrap_or_else(|| Coding::from_token("zstd").into_iter().collect()),
            upload: is_true(&UPLOAD_URL_SUPPORT)
                .then(|| UploadCapability { max_bytes: number(&MAX_UPLOAD_BYTES) }),
            proxy_proof_required: is_true(&PROXY_PROOF_REQUIRED),
            sticky: is_true(&STICKY_ENABLED).then(|| StickyCapability {
                default_ttl: number(&STICKY_DEFAULT_TTL).map(Duration::from_secs),
                echo_headers: elements(text(&STICKY_ECHO_HEADERS).unwrap_or_default())
                    .filter_map(|name| HeaderName::try_from(name).ok())
                    .take(MAX_ECHO_HEADERS)
                    .collect(),
            }),
        }
    }

    /// Returns the codings that a response advertises, in the server's order; `None` if it has no list, or one without a known
    /// coding. Any response, in particular a 415, can correct a client's assumption.
    pub fn listed_encodings(headers: &HeaderMap) -> Option<Vec<Coding>> {
        let mut known = Vec::new();
        let mut is_empty = true;
        let mut lines = headers.get_all(SUPPORTED_ENCODINGS).iter().peekable();
        lines.peek()?;
        for line in lines {
            for token in elements(line.to_str().unwrap_or("?")) {
                is_empty = false;
                let coding = Coding::from_token(token);
                known.extend(coding.filter(|coding| !known.contains(coding)));
            }
        }
        (is_empty || !known.is_empty()).then_some(known)
    }
}

fn elements(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|element| !element.is_empty())
}

/// Parses digits only: Rust's parser would accept a sign.
fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Joins tokens with commas.
fn list<'a>(tokens: impl Iterator<Item = &'a str>) -> HeaderValue {
    let joined = tokens.collect::<Vec<_>>().join(", ");
    // Tokens are visible ASCII by their types, so the value is always valid.
    HeaderValue::try_from(joined).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything() -> Capabilities {
        Capabilities {
            max_request_bytes: Some(1),
            max_response_bytes: Some(2),
            max_externalized_response_bytes: Some(3),
            accept_max_response_bytes: true,
            externalization: true,
            encodings: Coding::ALL.to_vec(),
            upload: Some(UploadCapability { max_bytes: Some(4) }),
            proxy_proof_required: true,
            sticky: Some(StickyCapability {
                default_ttl: Some(Duration::from_secs(300)),
                echo_headers: vec![HeaderName::from_static("fly-force-instance-id"), http::header::HOST],
            }),
        }
    }

    fn shown(capabilities: &Capabilities) -> Vec<String> {
        let headers = capabilities.to_headers();
        let mut shown: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        shown.sort();
        shown
    }

    const ENCODINGS: &str = if cfg!(feature = "zstd") {
        "vgi-supported-encodings: zstd, gzip"
    } else {
        "vgi-supported-encodings: gzip"
    };

    #[test]
    fn three_headers_are_always_there() {
        assert_eq!(
            shown(&Capabilities::default()),
            ["vgi-accept-max-response-bytes-support: true", "vgi-externalization-enabled: false", ENCODINGS,]
        );
        let off = Capabilities { encodings: Vec::new(), ..Capabilities::default() };
        assert!(shown(&off).contains(&"vgi-supported-encodings: ".to_owned()));
    }

    #[test]
    fn everything_is_said_once() {
        assert_eq!(
            shown(&everything()),
            [
                "vgi-accept-max-response-bytes-support: true",
                "vgi-externalization-enabled: true",
                "vgi-max-externalized-response-bytes: 3",
                "vgi-max-request-bytes: 1",
                "vgi-max-response-bytes: 2",
                "vgi-max-upload-bytes: 4",
                "vgi-proxy-proof-required: true",
                "vgi-sticky-default-ttl: 300",
                "vgi-sticky-echo-headers: fly-force-instance-id, host",
                "vgi-sticky-enabled: true",
                ENCODINGS,
                "vgi-upload-url-support: true",
            ]
        );
    }

    #[test]
    fn a_life_is_told_in_whole_seconds() {
        let ttl = Some(Duration::from_millis(1999));
        let sticky = Some(StickyCapability { default_ttl: ttl, echo_headers: Vec::new() });
        let capabilities = Capabilities { sticky, ..Capabilities::default() };
        assert!(shown(&capabilities).contains(&"vgi-sticky-default-ttl: 1".to_owned()));
    }

    #[test]
    fn a_client_reads_what_a_server_says() {
        let off = Capabilities { encodings: Vec::new(), ..Capabilities::default() };
        for capabilities in [Capabilities::default(), everything(), off] {
            let headers: HeaderMap = capabilities.to_headers().into_iter().collect();
            assert_eq!(Capabilities::from_headers(&headers), capabilities);
        }
    }

    #[test]
    fn absent_and_empty_lists_of_codings_differ() {
        let encodings = |value: Option<&str>| {
            let headers = value.map(|value| (SUPPORTED_ENCODINGS, HeaderValue::from_str(value).unwrap()));
            Capabilities::from_headers(&headers.into_iter().collect()).encodings
        };
        let assumed: Vec<_> = Coding::from_token("zstd").into_iter().collect();
        assert_eq!(encodings(None), assumed);
        assert_eq!(encodings(Some("")), []);
        assert_eq!(encodings(Some(" , ")), []);
        assert_eq!(encodings(Some("GZIP,br,gzip")), [Coding::Gzip]);
        assert_eq!(encodings(Some("br")), assumed);
    }

    #[test]
    fn nonsense_is_taken_for_absent() {
        let nonsense = |value| HeaderValue::from_static(value);
        let headers: HeaderMap = [
            (MAX_REQUEST_BYTES, nonsense("+5")),
            (MAX_RESPONSE_BYTES, nonsense("")),
            (UPLOAD_URL_SUPPORT, nonsense("yes")),
            (STICKY_ENABLED, nonsense("true")),
            (STICKY_DEFAULT_TTL, nonsense("soon")),
            (STICKY_ECHO_HEADERS, nonsense("a b, ok")),
        ]
        .into_iter()
        .collect();
        let read = Capabilities::from_headers(&headers);
        assert_eq!((read.max_request_bytes, read.max_response_bytes, read.upload), (None, None, None));
        let echo_headers = vec![HeaderName::from_static("ok")];
        assert_eq!(read.sticky, Some(StickyCapability { default_ttl: None, echo_headers }));
        assert!(!read.accept_max_response_bytes);
    }
}
