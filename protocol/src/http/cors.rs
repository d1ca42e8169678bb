//! CORS: lets pages of other origins call this server and read its responses. WIRE_PROTOCOL 10, "Response headers", and the
//! Fetch standard.
//!
//! Every call needs a preflight, because a page may not send Arrow's content type without one. A page sees only the response
//! headers that the server exposes.

use super::headers;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use std::time::Duration;

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Headers that are always exposed: those of failures and those of every response.
static ALWAYS_EXPOSED: [HeaderName; 6] = [
    WWW_AUTHENTICATE,
    headers::REQUEST_ID,
    headers::CONTENT_ENCODING,
    headers::RPC_ERROR,
    headers::AUTH_REASON,
    headers::AUTH_PROXY_REQUIRED,
];

/// Which other origins may use the server, and how. A server has no CORS headers unless it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// The origins.
    pub origins: Origins,
    /// How long a browser may cache the response to a preflight, in whole seconds; `None` leaves it to the browser. Two hours
    /// by default.
    pub max_age: Option<Duration>,
    /// Which pages with cross-origin isolation may load responses. All by default; `None` omits the header.
    pub resource_policy: Option<ResourcePolicy>,
}

/// Origins that may use the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// All origins.
    Any,
    /// These, as browsers spell them: `https://example.org`, with neither path nor trailing slash.
    Listed(Vec<String>),
}

/// `Cross-Origin-Resource-Policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourcePolicy {
    /// Any page.
    CrossOrigin,
    /// Pages of the same site.
    SameSite,
    /// Pages of the same origin.
    SameOrigin,
}

impl ResourcePolicy {
    /// Returns the value of the header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CrossOrigin => "cross-origin",
            Self::SameSite => "same-site",
            Self::SameOrigin => "same-origin",
        }
    }
}

impl fmt::Display for ResourcePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Cors {
    /// Creates the default settings for these origins.
    pub fn new(origins: Origins) -> Self {
        let max_age = Some(Duration::from_secs(7200));
        Self { origins, max_age, resource_policy: Some(ResourcePolicy::CrossOrigin) }
    }
}

/// Response headers.
impl Cors {
    /// Adds the headers that the request's origin is granted to a response with any status; none if the origin is not listed. A
    /// request without an origin does not come from a script, so its response has only the resource policy.
    ///
    /// Call this last: it exposes every protocol header that the response has by then.
    pub fn expose(&self, request: &HeaderMap, response: &mut HeaderMap) {
        if matches!(self.origins, Origins::Listed(_)) {
            // A cache must not serve one origin's response to another.
            headers::vary(response, &[&ORIGIN]);
        }
        if let Some(origin) = request.get(ORIGIN) {
            let Some(granted) = self.granted(origin) else { return };
            let exposed = exposed(response);
            response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, granted);
            response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
        if let Some(policy) = self.resource_policy {
            response.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static(policy.as_str()));
        }
    }

    /// Adds the allowed methods, for example `POST, OPTIONS`, and the allowed headers to the response to an `OPTIONS` request,
    /// if that is a preflight of a granted origin. All requested headers are allowed, because only the operator knows the names
    /// of headers for credentials or echoing. [`Self::expose`] adds the rest.
    pub fn preflight(&self, request: &HeaderMap, methods: &HeaderValue, response: &mut HeaderMap) {
        if !request.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return;
        }
        headers::vary(response, &[&ACCESS_CONTROL_REQUEST_HEADERS]);
        if request.get(ORIGIN).and_then(|origin| self.granted(origin)).is_none() {
            return;
        }
        response.insert(ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
        for asked in request.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
            response.append(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        if let Some(age) = self.max_age {
            response.insert(ACCESS_CONTROL_MAX_AGE, age.as_secs().into());
        }
    }

    fn granted(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::Listed(origins) => {
                origins.iter().any(|listed| listed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
            }
        }
    }
}

/// Returns the names that a response exposes: those of [`ALWAYS_EXPOSED`], and all protocol headers that it has.
fn exposed(response: &HeaderMap) -> HeaderValue {
    let ours = |name: &&HeaderName| name.as_str().starts_with("vgi-") || name.as_str().starts_with("x-vgi-");
    let present = response.keys().filter(ours).filter(|name| !ALWAYS_EXPOSED.contains(*name));
    let names: Vec<&str> = ALWAYS_EXPOSED.iter().chain(present).map(HeaderName::as_str).collect();
    // Header names are visible ASCII, so the value is always valid.
    HeaderValue::try_from(names.join(", ")).unwrap_or(HeaderValue::from_static("*"))
}

#[cfg(test)]
mod tests {
    use super::super::capabilities::{Capabilities, StickyCapability, UploadCapability};
    use super::*;
    use http::header::VARY;

    const OURS: &str = "https://conformance.example";

    fn listed() -> Cors {
        Cors::new(Origins::Listed(vec!["https://other.example".into(), OURS.into()]))
    }

    fn everything() -> Capabilities {
        Capabilities {
            max_request_bytes: Some(1),
            max_response_bytes: Some(2),
            max_externalized_response_bytes: Some(3),
            upload: Some(UploadCapability { max_bytes: Some(4) }),
            proxy_proof_required: true,
            sticky: Some(StickyCapability {
                default_ttl: Some(Duration::from_secs(300)),
                echo_headers: vec![HeaderName::from_static("fly-force-instance-id")],
            }),
            ..Capabilities::default()
        }
    }

    fn request(lines: &[(HeaderName, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    fn granted(cors: &Cors, request: &HeaderMap) -> HeaderMap {
        let mut response: HeaderMap = everything().to_headers().into_iter().collect();
        cors.expose(request, &mut response);
        response
    }

    fn preflighted(cors: &Cors, request: &HeaderMap) -> HeaderMap {
        let mut response: HeaderMap = everything().to_headers().into_iter().collect();
        cors.preflight(request, &HeaderValue::from_static("POST, OPTIONS"), &mut response);
        cors.expose(request, &mut response);
        response
    }

    #[test]
    fn a_listed_origin_is_repeated_on_answers() {
        let response = granted(&listed(), &request(&[(ORIGIN, OURS)]));
        assert_eq!(response[ACCESS_CONTROL_ALLOW_ORIGIN], OURS);
        assert_eq!(response[VARY], "origin");
        assert_eq!(response[CROSS_ORIGIN_RESOURCE_POLICY], "cross-origin");
        assert!(!response.contains_key(ACCESS_CONTROL_MAX_AGE), "only a preflight has one");
    }

    #[test]
    fn another_origin_gets_nothing() {
        for origin in ["https://conformance.example.evil", "HTTPS://conformance.example", "null", "*", ""] {
            let asked = request(&[(ORIGIN, origin), (ACCESS_CONTROL_REQUEST_METHOD, "POST")]);
            for response in [granted(&listed(), &asked), preflighted(&listed(), &asked)] {
                let grants = |name: &HeaderName| name != VARY && !name.as_str().starts_with("vgi-");
                assert!(!response.keys().any(grants), "{origin:?} {response:?}");
            }
        }
    }

    #[test]
    fn any_origin_is_granted_the_same() {
        let response = granted(&Cors::new(Origins::Any), &request(&[(ORIGIN, "null")]));
        assert_eq!(response[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(!response.contains_key(VARY));
    }

    #[test]
    fn a_request_without_an_origin_gets_the_resource_policy_alone() {
        let response = granted(&listed(), &HeaderMap::new());
        assert!(!response.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
        assert!(!response.contains_key(ACCESS_CONTROL_EXPOSE_HEADERS));
        assert_eq!(response[CROSS_ORIGIN_RESOURCE_POLICY], "cross-origin");
    }

    #[test]
    fn a_preflight_allows_methods_and_the_headers_that_were_asked_for() {
        let asked = request(&[
            (ORIGIN, OURS),
            (ACCESS_CONTROL_REQUEST_METHOD, "POST"),
            (ACCESS_CONTROL_REQUEST_HEADERS, "content-type,vgi-session"),
        ]);
        let response = preflighted(&listed(), &asked);
        assert_eq!(response[ACCESS_CONTROL_ALLOW_ORIGIN], OURS);
        assert_eq!(response[ACCESS_CONTROL_ALLOW_METHODS], "POST, OPTIONS");
        assert_eq!(response[ACCESS_CONTROL_ALLOW_HEADERS], "content-type,vgi-session");
        assert_eq!(response[ACCESS_CONTROL_MAX_AGE], "7200");
        assert!(response.contains_key(ACCESS_CONTROL_EXPOSE_HEADERS));
        assert_eq!(response[VARY], "access-control-request-headers, origin");
    }

    #[test]
    fn without_a_method_it_is_no_preflight() {
        let response = preflighted(&listed(), &request(&[(ORIGIN, OURS)]));
        assert_eq!(response[ACCESS_CONTROL_ALLOW_ORIGIN], OURS);
        assert!(!response.contains_key(ACCESS_CONTROL_ALLOW_METHODS));
        assert!(!response.contains_key(ACCESS_CONTROL_MAX_AGE));
    }

    #[test]
    fn whatever_is_advertised_is_exposed() {
        let response = granted(&listed(), &request(&[(ORIGIN, OURS)]));
        let exposed = response[ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap();
        let exposed: Vec<&str> = exposed.split(", ").collect();
        for (name, _) in everything().to_headers() {
            assert!(exposed.contains(&name.as_str()), "{name}");
        }
        for name in [
            "www-authenticate",
            "x-request-id",
            "x-vgi-content-encoding",
            "x-vgi-rpc-error",
            "vgi-auth-reason",
            "vgi-auth-proxy-required",
        ] {
            assert!(exposed.contains(&name), "{name}");
        }
    }

    #[test]
    fn what_a_session_adds_to_an_answer_is_exposed() {
        let mut response = request(&[
            (headers::SESSION, "token"),
            (HeaderName::from_static("vgi-echo-fly-force-instance-id"), "m1"),
            (http::header::CONTENT_TYPE, "text/plain"),
        ]);
        listed().expose(&request(&[(ORIGIN, OURS)]), &mut response);
        let exposed = response[ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap();
        assert!(exposed.ends_with(", vgi-session, vgi-echo-fly-force-instance-id"), "{exposed}");
    }

    #[test]
    fn what_is_not_wanted_is_left_out() {
        let cors = Cors { max_age: None, resource_policy: None, ..listed() };
        let asked = request(&[(ORIGIN, OURS), (ACCESS_CONTROL_REQUEST_METHOD, "POST")]);
        let response = preflighted(&cors, &asked);
        assert!(!response.contains_key(ACCESS_CONTROL_MAX_AGE));
        assert!(!response.contains_key(CROSS_ORIGIN_RESOURCE_POLICY));
        assert!(!response.contains_key(ACCESS_CONTROL_ALLOW_HEADERS));
    }
}
