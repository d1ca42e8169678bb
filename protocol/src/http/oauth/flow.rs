//! The requests of a login: away to the authorization server, back from it, and signing out.

use super::cookie_bearer::with_bearer;
use super::cookies::{self, AUTH_COOKIE, Cookie};
use super::login::Login;
use super::targets;
use crate::http::auth::{AuthContext, AuthError, AuthRequest};
use crate::http::documents::FormAnswer;
use crate::http::pages::Pages;
use crate::http::pkce::{self, LoginState, MAX_LOGIN_TIME, StateCookieError};
use crate::http::response_draft::ResponseDraft;
use crate::http::token::KeyRing;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ACCEPT, CACHE_CONTROL, LOCATION, SET_COOKIE};
use http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::time::Duration;
use url::form_urlencoded;

/// Has the state of a login that is under way.
const STATE_COOKIE: &str = "_vgi_oauth_session";
/// The page of another origin that asked for the login.
const RETURN_TO: &str = "_vgi_return_to";

/// How long a token is kept that does not say how long it is valid.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);
/// What lifetimes are held to. A token that has expired is refused whatever its cookie says.
const LIFETIMES: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(30 * 24 * 3600));

/// What all answers of a login need of the endpoint.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) request: AuthRequest<'a>,
    pub(crate) keys: &'a KeyRing,
    pub(crate) pages: &'a Pages,
    /// Fills memory with bytes that nobody can guess.
    pub(crate) entropy: &'a (dyn Fn(&mut [u8]) + Send + Sync),
}

/// What an authorization server answers with a token. RFC 6749, section 5.1.
#[derive(Deserialize)]
struct Tokens {
    access_token: Option<String>,
    id_token: Option<String>,
    refresh_token: Option<String>,
    expires_in: Option<f64>,
}

/// Why a browser is not signed in: a page that says so.
struct NotSignedIn {
    status: StatusCode,
    title: &'static str,
    detail: Cow<'static, str>,
}

const FAILED: &str = "You are not signed in";

impl NotSignedIn {
    /// The browser, or what it was told to bring, is at fault.
    fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, title: FAILED, detail: detail.into() }
    }

    /// The authorization server is.
    fn bad_gateway(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_GATEWAY, title: FAILED, detail: detail.into() }
    }
}

/// What ends a step of a login other than well.
enum Stop {
    /// Something must be known first.
    Ask(AuthError),
    Page(NotSignedIn),
}

impl From<NotSignedIn> for Stop {
    fn from(page: NotSignedIn) -> Self {
        Self::Page(page)
    }
}

/// What went wrong between the servers is for the operator, who is told by other means.
fn unreachable(error: AuthError) -> Stop {
    match error {
        AuthError::Ask(_) => Stop::Ask(error),
        _ => NotSignedIn::bad_gateway("The authorization server could not be asked. Try again in a moment.")
            .into(),
    }
}

impl Login {
    /// Whether a request that is refused comes from a person, who can sign in.
    pub(crate) fn helps(&self, request: &AuthRequest<'_>) -> bool {
        let accepts = request.parts.headers.get_all(ACCEPT).iter();
        let mut accepts = accepts.filter_map(|accept| accept.to_str().ok());
        request.parts.method == Method::GET && accepts.any(|accept| accept.contains("text/html"))
    }

    /// Sends a browser away to sign in.
    ///
    /// # Errors
    /// When the authorization server is to be asked for its metadata first, or cannot be.
    pub(crate) fn begin(&self, around: &Surroundings<'_>) -> Result<ResponseDraft, AuthError> {
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
        let cookie =
            cookie.ok_or_else(|| AuthError::Failed("the state of a login fits in no cookie".into()))?;
        Ok(sent_to(url.as_str(), [Some(cookie)]))
    }

    /// A browser that is signed in, and came from a page of another origin to have its token: sends it back there.
    pub(crate) fn back_to_page(&self, request: &AuthRequest<'_>) -> Option<ResponseDraft> {
        let page = self.return_to(request)?;
        let token = cookies::value(&request.parts.headers, AUTH_COOKIE)?;
        Some(sent_to(&self.with_token(page.url(), token, None), []))
    }

    fn return_to(&self, request: &AuthRequest<'_>) -> Option<crate::location::Location> {
        targets::external(&parameter(request, RETURN_TO)?, &self.return_origins)
    }

    /// The browser comes back.
    ///
    /// # Errors
    /// [`AuthError::Ask`] when something must be known first. Everything else is a page.
    pub(crate) fn callback(
        &self,
        around: &Surroundings<'_>,
        judge: impl Fn(&AuthRequest<'_>) -> Result<AuthContext, AuthError>,
    ) -> Result<ResponseDraft, AuthError> {
        let page = match self.signed_in(around, judge) {
            Ok(draft) => return Ok(draft),
            Err(Stop::Ask(ask)) => return Err(ask),
            Err(Stop::Page(page)) => page,
        };
        let again = (targets::home(&self.prefix), "Sign in again");
        let draft = around.pages.message(page.status, page.title, &page.detail, again);
        Ok(with_cookies(draft, [self.state_cookie().clear()]))
    }

    fn signed_in(
        &self,
        around: &Surroundings<'_>,
        judge: impl Fn(&AuthRequest<'_>) -> Result<AuthContext, AuthError>,
    ) -> Result<ResponseDraft, Stop> {
        let request = &around.request;
        let login = self.state_of(around)?;
        if let Some(error) = parameter(request, "error") {
            let detail = parameter(request, "error_description").unwrap_or(error);
            return Err(NotSignedIn::bad_request(format!("The authorization server says: {detail}")).into());
        }
        // Which authorization server sent the browser. RFC 9207.
        if parameter(request, "iss").is_some_and(|issuer| issuer != self.provider.issuer()) {
            return Err(NotSignedIn::bad_request("The answer is from another authorization server.").into());
        }
        let missing = || NotSignedIn::bad_request("The authorization server sent no code.");
        let code = parameter(request, "code").filter(|code| !code.is_empty()).ok_or_else(missing)?;
        let urls = self.provider.urls(request).map_err(unreachable)?;
        let redirect_uri = self.redirect_uri();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", &login.verifier),
            ("client_id", &self.client_id),
        ];
        form.extend(self.client_secret.as_ref().map(|secret| ("client_secret", secret.as_str())));
        let answer = urls.exchanged(request, &form).map_err(unreachable)?;
        let tokens = tokens(answer)?;
        check_nonce(&tokens, &login.nonce)?;
        let token = if self.uses_id_token { &tokens.id_token } else { &tokens.access_token };
        let token = token.as_deref().filter(|token| !token.is_empty());
        let token =
            token.ok_or_else(|| NotSignedIn::bad_gateway("The authorization server sent no token."))?;
        self.check_token(request, token, judge)?;
        self.finish(&login, token, &tokens, request.now)
    }

    /// The state that this browser was given.
    fn state_of(&self, around: &Surroundings<'_>) -> Result<LoginState, NotSignedIn> {
        let request = &around.request;
        let state = parameter(request, "state").unwrap_or_default();
        let cookie = cookies::value(&request.parts.headers, STATE_COOKIE).ok_or_else(|| {
            NotSignedIn::bad_request("This browser did not begin to sign in here, or has finished it before.")
        })?;
        pkce::verify_state_cookie(around.keys, cookie, &state, request.now).map_err(|error| {
            NotSignedIn::bad_request(match error {
                StateCookieError::Expired => "Signing in took longer than ten minutes.",
                StateCookieError::State => {
                    "This answer belongs to another login than the one that this browser began."
                }
                StateCookieError::Forged => "The cookie of this login is not from this server.",
            })
        })
    }

    /// A token that this server refuses would send the browser round in circles.
    fn check_token(
        &self,
        request: &AuthRequest<'_>,
        token: &str,
        judge: impl Fn(&AuthRequest<'_>) -> Result<AuthContext, AuthError>,
    ) -> Result<(), Stop> {
        let parts = with_bearer(request.parts, token)
            .ok_or_else(|| NotSignedIn::bad_gateway("The authorization server sent a token that is none."))?;
        match judge(&request.with_parts(&parts)) {
            Ok(_) => Ok(()),
            Err(AuthError::Ask(ask)) => Err(Stop::Ask(AuthError::Ask(ask))),
            Err(AuthError::Refused(failure) | AuthError::Denied(failure)) => Err(NotSignedIn {
                status: StatusCode::FORBIDDEN,
                title: "This service does not let you in",
                detail: format!("You are signed in, but your token is refused: {}.", failure.reason).into(),
            }
            .into()),
            Err(AuthError::Unavailable { .. } | AuthError::Failed(_)) => Err(NotSignedIn {
                status: StatusCode::SERVICE_UNAVAILABLE,
                title: FAILED,
                detail: "Your token could not be checked. Try again in a moment.".into(),
            }
            .into()),
        }
    }

    fn finish(
        &self,
        login: &LoginState,
        token: &str,
        tokens: &Tokens,
        now: Duration,
    ) -> Result<ResponseDraft, Stop> {
        // The list may have changed since the browser went away.
        if let Some(page) = targets::external(&login.return_to, &self.return_origins) {
            let refresh = tokens.refresh_token.as_deref().filter(|_| self.gives_refresh_tokens);
            let url = self.with_token(page.url(), token, refresh);
            return Ok(sent_to(&url, [self.state_cookie().clear()]));
        }
        let kept = self.auth_cookie().set(token, lifetime(token, tokens, now));
        let kept = kept.ok_or_else(|| {
            NotSignedIn::bad_gateway(format!(
                "The token of the authorization server fits in no cookie: it may have {} bytes.",
                cookies::MAX_COOKIE_BYTES
            ))
        })?;
        let target = targets::local(&login.target, &self.prefix);
        Ok(sent_to(target, [Some(kept), self.state_cookie().clear()]))
    }

    /// A page's URL with a token in its fragment, which browsers send to nobody.
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

    /// Forgets the token. The authorization server may still know the browser, so that a page that needs a login would end up
    /// signed in again at once: the answer is a page that needs none.
    pub(crate) fn log_out(&self, pages: &Pages) -> ResponseDraft {
        let again = (targets::home(&self.prefix), "Sign in again");
        let text = "This browser has forgotten your token. The authorization server may still know you.";
        let draft = pages.message(StatusCode::OK, "You are signed out", text, again);
        with_cookies(draft, [self.auth_cookie().clear(), self.state_cookie().clear()])
    }

    fn state_cookie(&self) -> Cookie<'_> {
        Cookie { name: STATE_COOKIE, path: &self.path, secure: self.is_secure(), http_only: true }
    }

    fn auth_cookie(&self) -> Cookie<'_> {
        let path = targets::home(&self.prefix);
        Cookie { name: AUTH_COOKIE, path, secure: self.is_secure(), http_only: !self.is_readable }
    }

    fn is_secure(&self) -> bool {
        self.origin.starts_with("https:")
    }
}

/// The value of a parameter of the query, if it is there once.
fn parameter(request: &AuthRequest<'_>, name: &str) -> Option<String> {
    let query = request.parts.uri.query().unwrap_or_default();
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let (_, value) = values.next()?;
    values.next().is_none().then(|| value.into_owned())
}

fn tokens(answer: &FormAnswer) -> Result<Tokens, NotSignedIn> {
    if answer.status != 200 {
        // Such as a code that was used before. What it says of it is not for the browser.
        let text = format!("The authorization server did not give a token: status {}.", answer.status);
        return Err(NotSignedIn::bad_gateway(text));
    }
    serde_json::from_slice(&answer.body)
        .map_err(|_| NotSignedIn::bad_gateway("The authorization server sent something other than tokens."))
}

/// The claims of a token, whoever made it. What came straight from the authorization server needs no signature to be believed.
/// OpenID Connect Core, section 3.1.3.7.
fn claims(token: &str) -> Option<Map<String, Value>> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&claims).ok()
}

/// An id token must be of this login.
fn check_nonce(tokens: &Tokens, nonce: &str) -> Result<(), NotSignedIn> {
    let Some(token) = &tokens.id_token else { return Ok(()) };
    let claims = claims(token);
    let own = claims.as_ref().and_then(|claims| claims.get("nonce")).and_then(Value::as_str);
    match own.is_some_and(|own| pkce::is_same(own, nonce)) {
        true => Ok(()),
        false => Err(NotSignedIn::bad_gateway("The id token belongs to another login.")),
    }
}

fn lifetime(token: &str, tokens: &Tokens, now: Duration) -> Duration {
    let expires = claims(token).and_then(|claims| claims.get("exp")?.as_f64());
    let left = expires.map(|expires| expires - now.as_secs_f64()).or(tokens.expires_in);
    let left = left.map_or(DEFAULT_LIFETIME, |left| Duration::try_from_secs_f64(left).unwrap_or(LIFETIMES.0));
    left.clamp(LIFETIMES.0, LIFETIMES.1)
}

/// A redirect that nobody keeps.
fn sent_to<const N: usize>(url: &str, cookies: [Option<HeaderValue>; N]) -> ResponseDraft {
    match HeaderValue::try_from(url) {
        Ok(url) => with_cookies(ResponseDraft::empty(StatusCode::FOUND).with(LOCATION, url), cookies),
        Err(_) => ResponseDraft::empty(StatusCode::BAD_GATEWAY),
    }
}

fn with_cookies<const N: usize>(draft: ResponseDraft, cookies: [Option<HeaderValue>; N]) -> ResponseDraft {
    let mut draft = draft.with(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for cookie in cookies.into_iter().flatten() {
        draft.headers.append(SET_COOKIE, cookie);
    }
    draft
}
