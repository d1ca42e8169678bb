//! The requests of a login: the redirect to the authorization server, the callback, and logout.

use super::browser_login::Login;
use super::cookie_bearer::with_bearer;
use super::cookies::{self, Cookie};
use super::targets;
use crate::http::auth::{AuthContext, AuthError, AuthRequest, Reason};
use crate::http::documents::FormResponse;
use crate::http::pages::Pages;
use crate::http::pkce::{self, LoginState, MAX_LOGIN_TIME, StateCookieError};
use crate::http::response_draft::ResponseDraft;
use crate::http::token::KeyRing;
use crate::http::unauthorized::wants_page;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, CACHE_CONTROL, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE};
use http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::time::Duration;
use url::form_urlencoded;

/// The query parameter with the page of another origin that requested the login.
const RETURN_TO: &str = "_vgi_return_to";

/// The lifetime of the cookie if the token has no lifetime.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);
/// The minimum and maximum lifetime of a cookie. An expired token is refused whatever the lifetime of its cookie.
const LIFETIMES: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(30 * 24 * 3600));

/// The parts of the endpoint that every response of a login needs.
#[derive(Clone, Copy)]
pub(crate) struct FlowContext<'a> {
    pub(crate) request: AuthRequest<'a>,
    pub(crate) keys: &'a KeyRing,
    pub(crate) pages: &'a Pages,
    /// Fills a buffer with cryptographically random bytes.
    pub(crate) entropy: &'a (dyn Fn(&mut [u8]) + Send + Sync),
    /// Reports a failure to the operator. The browser does not see what failed between the servers.
    pub(crate) report: &'a dyn Fn(&AuthError),
}

/// A successful token response. RFC 6749, section 5.1.
#[derive(Deserialize)]
struct Tokens {
    access_token: Option<String>,
    id_token: Option<String>,
    refresh_token: Option<String>,
    expires_in: Option<f64>,
}

/// An error response of a token endpoint. RFC 6749, section 5.2.
#[derive(Deserialize)]
struct TokenError {
    error: String,
}

/// A page that says why a browser is not signed in.
struct NotSignedIn {
    status: StatusCode,
    title: &'static str,
    detail: Cow<'static, str>,
}

const FAILED: &str = "You are not signed in";

impl NotSignedIn {
    /// Returns a page with status 400: the browser or its request is at fault.
    fn bad_request<T: Into<Cow<'static, str>>>(detail: T) -> Self {
        Self { status: StatusCode::BAD_REQUEST, title: FAILED, detail: detail.into() }
    }

    /// Returns a page with status 502: the authorization server is at fault.
    fn bad_gateway(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_GATEWAY, title: FAILED, detail: detail.into() }
    }

    fn busy() -> Self {
        let detail = "Too many people are signing in. Reload this page in a moment.";
        Self { status: StatusCode::SERVICE_UNAVAILABLE, title: FAILED, detail: detail.into() }
    }
}

/// Why a step of a login does not succeed.
enum Stop {
    /// A question must be answered first.
    Ask(AuthError),
    Page(NotSignedIn),
    /// Like a page, but the browser's pending login can still be completed.
    Elsewhere(NotSignedIn),
    /// Too many browsers are completing their logins. The browser can try again.
    Busy,
}

impl From<NotSignedIn> for Stop {
    fn from(page: NotSignedIn) -> Self {
        Self::Page(page)
    }
}

impl FlowContext<'_> {
    /// The authorization server could not be reached.
    fn unreachable(&self, error: AuthError) -> Stop {
        if let AuthError::Ask(_) = error {
            return Stop::Ask(error);
        }
        (self.report)(&error);
        NotSignedIn::bad_gateway("The authorization server could not be reached. Try again in a moment.")
            .into()
    }

    /// The authorization server's response is not a token response.
    fn unusable(&self, answer: &FormResponse, shown: impl Into<Cow<'static, str>>) -> Stop {
        let error =
            serde_json::from_slice(&answer.body).map_or_else(|_| String::new(), |TokenError { error }| error);
        let text =
            format!("the authorization server responded to a code with status {} {error}", answer.status);
        (self.report)(&AuthError::Failed(crate::OneLine(text).to_string()));
        NotSignedIn::bad_gateway(shown).into()
    }

    fn tokens(&self, answer: &FormResponse) -> Result<Tokens, Stop> {
        if answer.status != 200 {
            // For example, the code was already used.
            let text = format!("The authorization server did not give a token: status {}.", answer.status);
            return Err(self.unusable(answer, text));
        }
        let other = |_| self.unusable(answer, "The authorization server sent something other than tokens.");
        serde_json::from_slice(&answer.body).map_err(other)
    }
}

impl Login {
    /// Whether a login helps against this refusal: the request must come from a user who can sign in and is then accepted.
    /// Otherwise the browser would return, be refused, and be redirected again.
    pub(crate) fn helps(&self, request: &AuthRequest<'_>, reason: Reason) -> bool {
        let headers = &request.parts.headers;
        request.parts.method == Method::GET
            && wants_page(headers)
            && headers.get("sec-fetch-mode").is_none_or(|mode| mode == "navigate")
            && !headers.contains_key(AUTHORIZATION)
            && cookies::find(headers, self.auth_cookie) != cookies::Found::Several
            && !matches!(reason, Reason::ProxyRequired | Reason::InsufficientScope)
    }

    /// Whether a page of another origin requests a token.
    pub(crate) fn is_for_page(&self, request: &AuthRequest<'_>) -> bool {
        self.return_to(request).is_some() && wants_page(&request.parts.headers)
    }

    /// Redirects a browser to the authorization server.
    ///
    /// # Errors
    /// If the authorization server must be asked for its metadata first, or cannot be reached.
    pub(crate) fn begin(&self, around: &FlowContext<'_>) -> Result<ResponseDraft, AuthError> {
        let request = &around.request;
        let urls = self.provider.urls(request)?;
        let mut random = [0; 32];
        let mut draw = || {
            (around.entropy)(&mut random);
            random
        };
        let pair = pkce::generate_pair(draw());
        let (state, nonce) = (URL_SAFE_NO_PAD.encode(draw()), URL_SAFE_NO_PAD.encode(draw()));
        let asked = request.parts.uri.path_and_query().map_or("", |asked| asked.as_str());
        let return_to = self.return_to(request).map_or_else(String::new, |page| page.as_str().to_owned());
        let mut url = urls.authorization.url().clone();
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri()),
            ("code_challenge", &pair.challenge),
            ("code_challenge_method", "S256"),
            ("state", &state),
            ("nonce", &nonce),
            ("scope", &self.scope),
        ]);
        if !return_to.is_empty() && self.gives_refresh_tokens {
            url.query_pairs_mut().extend_pairs([("access_type", "offline"), ("prompt", "consent")]);
        }
        let login = LoginState {
            created_at: request.now.as_secs(),
            verifier: pair.verifier,
            state,
            nonce,
            target: targets::local(asked, &self.prefix).to_owned(),
            return_to,
        };
        let seal = draw();
        let seal = seal.first_chunk().copied().unwrap_or_default();
        let cookie = pkce::new_state_cookie(around.keys, &login, seal).ok();
        let cookie = cookie.and_then(|cookie| self.state_cookie().set(&cookie, MAX_LOGIN_TIME));
        let cookie = cookie
            .ok_or_else(|| AuthError::Failed("the state of a login is too large for a cookie".into()))?;
        Ok(sent_to(url.as_str(), [Some(cookie)]))
    }

    fn return_to(&self, request: &AuthRequest<'_>) -> Option<crate::location::Location> {
        targets::external(&parameter(request, RETURN_TO).ok()??, &self.return_pages)
    }

    /// Handles the callback, when the browser returns from the authorization server.
    ///
    /// # Errors
    /// [`AuthError::Ask`] if a question must be answered first. All other failures become a page.
    pub(crate) fn callback(
        &self,
        around: &FlowContext<'_>,
        judge: impl Fn(&AuthRequest<'_>) -> Result<AuthContext, AuthError>,
    ) -> Result<ResponseDraft, AuthError> {
        let (page, cleared, retry_after) = match self.signed_in(around, judge) {
            Ok(draft) => return Ok(draft),
            Err(Stop::Ask(ask)) => return Err(ask),
            Err(Stop::Page(page)) => (page, self.state_cookie().clear(), None),
            Err(Stop::Elsewhere(page)) => (page, None, None),
            Err(Stop::Busy) => (NotSignedIn::busy(), None, Some(HeaderValue::from_static("1"))),
        };
        let again = (targets::home(&self.prefix), "Sign in again");
        let mut draft = around.pages.message(page.status, page.title, &page.detail, again);
        draft.headers.extend(retry_after.map(|seconds| (RETRY_AFTER, seconds)));
        Ok(with_cookies(draft, [cleared]))
    }

    fn signed_in(
        &self,
        around: &FlowContext<'_>,
        judge: impl Fn(&AuthRequest<'_>) -> Result<AuthContext, AuthError>,
    ) -> Result<ResponseDraft, Stop> {
        let request = &around.request;
        let login = self.state_of(around)?;
        let parameter = |name| {
            parameter(request, name).map_err(|Repeated| NotSignedIn::bad_request("A parameter occurs twice."))
        };
        // The authorization server that redirected the browser. RFC 9207.
        if parameter("iss")?.is_some_and(|issuer| issuer != self.provider.issuer()) {
            return Err(NotSignedIn::bad_request("The response is from another authorization server.").into());
        }
        if let Some(error) = parameter("error")? {
            let detail = parameter("error_description")?.unwrap_or(error);
            return Err(NotSignedIn::bad_request(format!("The authorization server says: {detail}")).into());
        }
        let missing = || NotSignedIn::bad_request("The authorization server sent no code.");
        let code = parameter("code")?.filter(|code| !code.is_empty()).ok_or_else(missing)?;
        let urls = self.provider.urls(request).map_err(|error| around.unreachable(error))?;
        if !request.has_slot(&self.logins) {
            return Err(Stop::Busy);
        }
        let redirect_uri = self.redirect_uri();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", &login.verifier),
            ("client_id", &self.client_id),
        ];
        form.extend(self.client_secret.as_ref().map(|secret| ("client_secret", secret.as_str())));
        let answer = urls.exchanged(request, &form).map_err(|error| around.unreachable(error))?;
        let tokens = around.tokens(answer)?;
        self.check_nonce(&tokens, &login.nonce)?;
        let token = if self.uses_id_token { &tokens.id_token } else { &tokens.access_token };
        let token = token.as_deref().filter(|token| !token.is_empty());
        let token =
            token.ok_or_else(|| around.unusable(answer, "The authorization server sent no token."))?;
        self.check_token(around, token, judge)?;
        self.finish(&login, token, &tokens, request.now)
    }

    /// Returns the login state in this browser's cookie.
    fn state_of(&self, around: &FlowContext<'_>) -> Result<LoginState, Stop> {
        let request = &around.request;
        // A missing or repeated state was not issued by this server.
        let state = parameter(request, "state").ok().flatten().unwrap_or_default();
        let page = NotSignedIn::bad_request::<&'static str>;
        let cookie = match cookies::find(&request.parts.headers, self.state_cookie) {
            cookies::Found::One(cookie) => cookie,
            cookies::Found::None => {
                let text = "This browser did not begin to sign in here, or has finished it before.";
                return Err(page(text).into());
            }
            cookies::Found::Several => {
                let text = "This browser has two cookies of a login. Remove the cookies of this site, and sign in again.";
                return Err(page(text).into());
            }
        };
        pkce::verify_state_cookie(around.keys, cookie, &state, request.now).map_err(|error| match error {
            StateCookieError::Expired => page("Signing in took longer than ten minutes.").into(),
            StateCookieError::Forged => page("The cookie of this login is not from this server.").into(),
            StateCookieError::State => Stop::Elsewhere(page(
                "This response belongs to another login, not to the one that this browser began.",
            )),
        })
    }

    /// Checks that the ID token belongs to this login. The response has an ID token if the login requests the scope `openid`.
    fn check_nonce(&self, tokens: &Tokens, nonce: &str) -> Result<(), NotSignedIn> {
        let Some(token) = &tokens.id_token else {
            return match self.scope.split(' ').any(|scope| scope == "openid") {
                true => Err(NotSignedIn::bad_gateway("The authorization server sent no id token.")),
                false => Ok(()),
            };
        };
        let claims = claims(token);
        let own = claims.as_ref().and_then(|claims| claims.get("nonce")).and_then(Value::as_str);
        match own.is_some_and(|own| pkce::is_same(own, nonce)) {
            true => Ok(()),
            false => Err(NotSignedIn::bad_gateway("The id token belongs to another login.")),
        }
    }

    /// Checks that this server accepts the token: otherwise the browser would be redirected in a loop.
    fn check_token(
        &self,
        around: &FlowContext<'_>,
        token: &str,
        judge: impl Fn(&AuthRequest<'_>) -> Result<AuthContext, AuthError>,
    ) -> Result<(), Stop> {
        let parts = with_bearer(around.request.parts, token)
            .ok_or_else(|| NotSignedIn::bad_gateway("The authorization server sent an invalid token."))?;
        let Err(error) = judge(&around.request.with_parts(&parts)) else { return Ok(()) };
        if let AuthError::Ask(_) = error {
            return Err(Stop::Ask(error));
        }
        (around.report)(&error);
        let page = match error {
            AuthError::Refused(failure) | AuthError::Denied(failure) => NotSignedIn {
                status: StatusCode::FORBIDDEN,
                title: "This service does not let you in",
                detail: format!("You are signed in, but your token was refused: {}.", failure.reason).into(),
            },
            _ => NotSignedIn {
                status: StatusCode::SERVICE_UNAVAILABLE,
                title: FAILED,
                detail: "Your token could not be checked. Try again in a moment.".into(),
            },
        };
        Err(page.into())
    }

    fn finish(
        &self,
        login: &LoginState,
        token: &str,
        tokens: &Tokens,
        now: Duration,
    ) -> Result<ResponseDraft, Stop> {
        // The list may have changed since the login began.
        if let Some(page) = targets::external(&login.return_to, &self.return_pages) {
            let refresh = tokens.refresh_token.as_deref().filter(|_| self.gives_refresh_tokens);
            let url = self.with_token(page.url(), token, refresh);
            return Ok(sent_to(&url, [self.state_cookie().clear()]));
        }
        let kept = self.auth_cookie().set(token, lifetime(token, tokens, now));
        let kept = kept.ok_or_else(|| {
            NotSignedIn::bad_gateway(format!(
                "The token of the authorization server is too long for a cookie, which may have {} bytes.",
                cookies::MAX_COOKIE_BYTES
            ))
        })?;
        let target = targets::local(&login.target, &self.prefix);
        Ok(sent_to(target, [Some(kept), self.state_cookie().clear()]))
    }

    /// Returns a page's URL with a token in its fragment, which browsers never send to a server.
    fn with_token(&self, page: &url::Url, token: &str, refresh: Option<&str>) -> String {
        let mut fragment = form_urlencoded::Serializer::new(String::new());
        fragment.append_pair("token", token).append_pair("client_id", &self.client_id);
        if let Some(url) = self.token_endpoint() {
            fragment.append_pair("token_endpoint", &url);
        }
        if let Some(refresh) = refresh {
            fragment.append_pair("refresh_token", refresh);
        }
        if self.uses_id_token {
            fragment.append_pair("use_id_token", "true");
        }
        let mut url = page.clone();
        url.set_fragment(Some(&fragment.finish()));
        url.into()
    }

    /// Deletes the token's cookie. The authorization server may still have a session with the browser, so a page that needs a
    /// login would sign in again at once: the response is a page that needs none.
    pub(crate) fn log_out(&self, pages: &Pages) -> ResponseDraft {
        let again = (targets::home(&self.prefix), "Sign in again");
        let text = "This browser has forgotten your token. The authorization server may still know you.";
        let draft = pages.message(StatusCode::OK, "You are signed out", text, again);
        with_cookies(draft, [self.auth_cookie().clear(), self.state_cookie().clear()])
    }

    fn state_cookie(&self) -> Cookie<'_> {
        Cookie { name: self.state_cookie, path: "/", secure: self.is_secure, http_only: true }
    }

    fn auth_cookie(&self) -> Cookie<'_> {
        let path = targets::home(&self.prefix);
        Cookie { name: self.auth_cookie, path, secure: self.is_secure, http_only: !self.is_readable }
    }
}

/// A query parameter occurs more than once.
struct Repeated;

/// Returns the value of a query parameter, if present.
fn parameter(request: &AuthRequest<'_>, name: &str) -> Result<Option<String>, Repeated> {
    let query = request.parts.uri.query().unwrap_or_default();
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let value = values.next().map(|(_, value)| value.into_owned());
    if values.next().is_some() { Err(Repeated) } else { Ok(value) }
}

/// Reads the claims of a token without verifying its signature, which is not needed for a token received directly from the
/// authorization server. OpenID Connect Core, section 3.1.3.7.
fn claims(token: &str) -> Option<Map<String, Value>> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&claims).ok()
}

fn lifetime(token: &str, tokens: &Tokens, now: Duration) -> Duration {
    let expires = claims(token).and_then(|claims| claims.get("exp")?.as_f64());
    let left = expires.map(|expires| expires - now.as_secs_f64()).or(tokens.expires_in);
    let left = left.map_or(DEFAULT_LIFETIME, |left| Duration::try_from_secs_f64(left).unwrap_or(LIFETIMES.0));
    left.clamp(LIFETIMES.0, LIFETIMES.1)
}

/// Returns a redirect that must not be cached. Its URL may contain a token.
fn sent_to<const N: usize>(url: &str, cookies: [Option<HeaderValue>; N]) -> ResponseDraft {
    let Ok(mut url) = HeaderValue::try_from(url) else {
        return ResponseDraft::empty(StatusCode::BAD_GATEWAY);
    };
    url.set_sensitive(true);
    with_cookies(ResponseDraft::empty(StatusCode::FOUND).with(LOCATION, url), cookies)
}

/// Returns a response of a login: it must not be cached, and its URL is not sent as a referrer.
fn with_cookies<const N: usize>(draft: ResponseDraft, cookies: [Option<HeaderValue>; N]) -> ResponseDraft {
    let mut draft = draft.with(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    draft.headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for cookie in cookies.into_iter().flatten() {
        draft.headers.append(SET_COOKIE, cookie);
    }
    draft
}
