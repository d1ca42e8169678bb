//! The table of routes. WIRE_PROTOCOL 10, "Endpoints".
//!
//! The responses to `OPTIONS`, 405 and 404 follow from the table, and so do the requests that need no authentication.

use super::endpoint::Endpoint;
use super::oauth::WELL_KNOWN_PATH;
use http::Method;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// One row of the table.
#[derive(Debug)]
pub(super) struct Route {
    path: &'static [Segment],
    methods: &'static [Method],
    access: Access,
    action: Action,
    is_there: fn(&Endpoint) -> bool,
}

/// One segment of a path, below the prefix.
#[derive(Clone, Copy, Debug)]
enum Segment {
    Text(&'static str),
    /// A reserved name, which begins and ends with two underscores.
    Reserved,
    /// Any name, even an empty one, which no protocol has.
    Protocol,
    /// Any name that is not empty.
    Method,
}

/// Who may send a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Open,
    Authenticated,
}

/// The action of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Landing,
    Describe,
    Health,
    OperatorPage,
    ResourceMetadata,
    #[cfg(feature = "oauth-pkce")]
    LoginCallback,
    #[cfg(feature = "oauth-pkce")]
    LogOut,
    #[cfg(feature = "oauth-pkce")]
    ExchangeCode,
    EndSession,
    UploadUrls,
    /// The response of a server that vends no upload URLs.
    NoUploadUrls,
    /// A method of the server itself, which belongs to no protocol.
    Reserved,
    Call(Part),
}

/// The request of a call that a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Unary,
    Init,
    Exchange,
}

use Segment::{Protocol, Reserved, Text};

const SESSION: &str = "__session__";
const READ: &[Method] = &[Method::GET, Method::HEAD];
const POST: &[Method] = &[Method::POST];
#[cfg(feature = "oauth-pkce")]
const GET: &[Method] = &[Method::GET];
#[cfg(feature = "oauth-pkce")]
const OAUTH: Segment = Text("_oauth");

/// The first matching row is used.
static ROUTES: &[Route] = &[
    Route::new(&[], READ, Access::Authenticated, Action::Landing, has_pages),
    Route::new(&[Text("")], READ, Access::Authenticated, Action::Landing, has_pages),
    Route::new(&[Text("describe")], READ, Access::Authenticated, Action::Describe, has_pages),
    Route::new(&[Text("health")], READ, Access::Open, Action::Health, |_| true),
    #[cfg(feature = "oauth-pkce")]
    Route::new(&[OAUTH, Text("callback")], GET, Access::Open, Action::LoginCallback, |endpoint| {
        endpoint.login.is_some()
    }),
    #[cfg(feature = "oauth-pkce")]
    Route::new(&[OAUTH, Text("logout")], GET, Access::Open, Action::LogOut, |endpoint| {
        endpoint.login.is_some()
    }),
    #[cfg(feature = "oauth-pkce")]
    Route::new(&[OAUTH, Text("token")], POST, Access::Open, Action::ExchangeCode, |endpoint| {
        endpoint.login.as_ref().is_some_and(|login| login.has_token_endpoint())
    }),
    Route::new(&[Text(SESSION)], &[Method::DELETE], Access::Authenticated, Action::EndSession, |endpoint| {
        endpoint.sessions.is_some()
    }),
    Route::new(
        &[Text("__upload_url__"), Text("init")],
        POST,
        Access::Authenticated,
        Action::UploadUrls,
        |endpoint| endpoint.vends_upload_urls,
    ),
    Route::new(
        &[Text("__upload_url__"), Text("init")],
        POST,
        Access::Authenticated,
        Action::NoUploadUrls,
        |_| true,
    ),
    Route::new(&[Reserved], POST, Access::Authenticated, Action::Reserved, |_| true),
    Route::new(&[Protocol, Segment::Method], POST, Access::Authenticated, Action::Call(Part::Unary), |_| {
        true
    }),
    Route::new(
        &[Protocol, Segment::Method, Text("init")],
        POST,
        Access::Authenticated,
        Action::Call(Part::Init),
        |_| true,
    ),
    Route::new(
        &[Protocol, Segment::Method, Text("exchange")],
        POST,
        Access::Authenticated,
        Action::Call(Part::Exchange),
        |_| true,
    ),
];

/// Paths below it need no authentication and do not depend on the prefix.
const WELL_KNOWN: &str = "/.well-known/";

/// The rows below it. Each exists with and without the prefix appended.
static WELL_KNOWN_ROUTES: &[(&str, Route)] = &[(
    WELL_KNOWN_PATH,
    Route::new(&[], READ, Access::Open, Action::ResourceMetadata, |endpoint| {
        endpoint.resource_metadata.is_some()
    }),
)];

fn has_pages(endpoint: &Endpoint) -> bool {
    endpoint.settings.human_pages
}

/// The route of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// `*`, the whole server: RFC 9110, section 9.3.7.
    Server,
    /// A row of the table with the names in the path.
    Row {
        action: Action,
        methods: &'static [Method],
        is_open: bool,
        names: Names<'a>,
    },
    /// Nothing is there, and the response needs no authentication.
    NothingOpen,
    Nothing,
}

/// The names in a path.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names<'a> {
    /// Not percent-decoded: no protocol name has a percent sign.
    pub(super) protocol: &'a str,
    /// The method of a call or of the server. Percent-decoded.
    pub(super) method: Cow<'a, str>,
}

impl Route {
    const fn new(
        path: &'static [Segment],
        methods: &'static [Method],
        access: Access,
        action: Action,
        is_there: fn(&Endpoint) -> bool,
    ) -> Self {
        Self { path, methods, access, action, is_there }
    }

    fn found<'a>(&self, names: Names<'a>) -> Found<'a> {
        let Self { action, methods, access, .. } = *self;
        Found::Row { action, methods, is_open: access == Access::Open, names }
    }

    /// Returns the names in a path if it matches.
    fn fits<'a>(&self, segments: &[&'a str]) -> Option<Names<'a>> {
        if segments.len() != self.path.len() {
            return None;
        }
        let mut names = Names::default();
        for (expected, segment) in self.path.iter().zip(segments) {
            match expected {
                Text(text) if text == segment => {}
                // Sessions have their own path, even on a server without sessions.
                Reserved if segment.starts_with("__") && segment.ends_with("__") && *segment != SESSION => {
                    names.method = decoded(segment);
                }
                // Not decoded: a proxy that applies a policy by protocol must read the same as this. WIRE_PROTOCOL 3.1,
                // "Carriage".
                Protocol => names.protocol = segment,
                Segment::Method if !segment.is_empty() => names.method = decoded(segment),
                Text(_) | Reserved | Segment::Method => return None,
            }
        }
        Some(names)
    }
}

/// Percent-decodes a name. A name that does not decode to UTF-8 is returned unchanged and matches no method.
fn decoded(segment: &str) -> Cow<'_, str> {
    percent_decode_str(segment).decode_utf8().unwrap_or(Cow::Borrowed(segment))
}

impl Endpoint {
    /// Returns the route of a path.
    pub(super) fn route<'a>(&self, path: &'a str) -> Found<'a> {
        /// More segments than any row has.
        const MOST: usize = 4;
        if path == "*" {
            return Found::Server;
        }
        if path.starts_with(WELL_KNOWN) {
            let is_at = |start: &str| {
                path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest == self.settings.prefix)
            };
            let mut rows = WELL_KNOWN_ROUTES.iter();
            let row = rows.find(|(start, route)| is_at(start) && (route.is_there)(self));
            return row.map_or(Found::NothingOpen, |(_, route)| route.found(Names::default()));
        }
        let Some(rest) = path.strip_prefix(&self.settings.prefix) else { return Found::Nothing };
        let rest = match rest.strip_prefix('/') {
            Some(rest) => Some(rest),
            None if rest.is_empty() => None,
            None => return Found::Nothing,
        };
        if let (Some(rest), Some(page)) = (rest, &self.operator_page)
            && page.path().strip_prefix('/') == Some(rest)
        {
            let (action, is_open) = (Action::OperatorPage, page.is_open());
            return Found::Row { action, methods: READ, is_open, names: Names::default() };
        }
        let mut segments = [""; MOST];
        let mut count = 0;
        for (place, segment) in segments.iter_mut().zip(rest.into_iter().flat_map(|rest| rest.split('/'))) {
            *place = segment;
            count += 1;
        }
        let segments = segments.get(..count).unwrap_or_default();
        let mut fitting = ROUTES.iter().filter(|route| (route.is_there)(self));
        fitting
            .find_map(|route| {
                let names = route.fits(segments)?;
                Some(route.found(names))
            })
            .unwrap_or(Found::Nothing)
    }

    /// Returns the HTTP methods of a path for `Allow`, or `None` if there is nothing at the path.
    pub(super) fn allowed(&self, found: &Found<'_>) -> Option<String> {
        let takes = |method: &Method| match found {
            Found::Server => {
                ROUTES.iter().any(|route| (route.is_there)(self) && route.methods.contains(method))
            }
            Found::Row { methods, .. } => methods.contains(method),
            Found::NothingOpen | Found::Nothing => false,
        };
        let all = [Method::GET, Method::HEAD, Method::POST, Method::DELETE];
        let allowed: Vec<&str> = all.iter().filter(|method| takes(method)).map(Method::as_str).collect();
        (!allowed.is_empty()).then(|| [&allowed[..], &["OPTIONS"]].concat().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Protocol as Hosted, Service};
    use std::sync::Arc;

    fn endpoint(prefix: &str) -> Arc<Endpoint> {
        let service = Service::builder("0123456789ab").protocol(Hosted::new("a.B")).build().unwrap();
        Endpoint::builder(Arc::new(service), |bytes| bytes.fill(7)).prefix(prefix).build().unwrap()
    }

    #[test]
    fn paths_lead_where_the_specification_says() {
        let call = |part| Some((Action::Call(part), "a.B", "m"));
        for prefix in ["", "/vgi"] {
            let endpoint = endpoint(prefix);
            let cases = [
                ("", Some((Action::Landing, "", ""))),
                ("/", Some((Action::Landing, "", ""))),
                ("/health", Some((Action::Health, "", ""))),
                ("/describe", Some((Action::Describe, "", ""))),
                ("/__session__", None),
                ("/__upload_url__/init", Some((Action::NoUploadUrls, "", ""))),
                ("/__describe__", Some((Action::Reserved, "", "__describe__"))),
                ("/a.B/m", call(Part::Unary)),
                ("/a.B/m/init", call(Part::Init)),
                ("/a.B/m/exchange", call(Part::Exchange)),
                ("/a.B/gr%C3%B6%C3%9Fe%2F%25", Some((Action::Call(Part::Unary), "a.B", "größe/%"))),
                ("/a.B/%ff", Some((Action::Call(Part::Unary), "a.B", "%ff"))),
                ("//m", Some((Action::Call(Part::Unary), "", "m"))),
                ("/a.B", None),
                ("/a.B/", None),
                ("/a.B/m/other", None),
                ("/a.B/m/init/", None),
                ("/a.B/m/init/exchange/init", None),
                ("/health/", None),
            ];
            for (path, expected) in cases {
                let path = format!("{prefix}{path}");
                let found = match endpoint.route(&path) {
                    Found::Row { action, names, is_open, .. } => {
                        assert_eq!(is_open, action == Action::Health, "{path}");
                        Some((action, names.protocol.to_owned(), names.method.into_owned()))
                    }
                    _ => None,
                };
                let expected = expected.map(|(action, p, m)| (action, p.to_owned(), m.to_owned()));
                assert_eq!(found, expected, "{path}");
            }
            assert_eq!(endpoint.route("*"), Found::Server);
            assert_eq!(endpoint.route("/.well-known/anything"), Found::NothingOpen);
        }
        assert_eq!(endpoint("/vgi").route("/vgix/health"), Found::Nothing);
        assert_eq!(endpoint("/vgi").route("/health"), Found::Nothing);
    }

    #[test]
    fn methods_follow_from_the_table() {
        let endpoint = endpoint("");
        let allowed = |path| endpoint.allowed(&endpoint.route(path));
        assert_eq!(allowed("*").as_deref(), Some("GET, HEAD, POST, OPTIONS"));
        assert_eq!(allowed("/health").as_deref(), Some("GET, HEAD, OPTIONS"));
        assert_eq!(allowed("/a.B/m/init").as_deref(), Some("POST, OPTIONS"));
        assert_eq!(allowed("/a.B"), None);
    }
}
