//! The requests of a login: away to the authorization server, back from it, and signing out.

use super::cookie_bearer::with_bearer;
use super::cookies::{self, Cookie};
use super::login::Login;
use super::targets;
use crate::http::auth::{AuthContext, AuthError, AuthRequest, Reason};
use crate::http::documents::FormAnswer;
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
    /// Tells the operator what failed. The browser is not told what failed between the servers.
    pub(crate) report: &'a dyn Fn(&AuthError),
}

/// What an authorization server answers with a token. RFC 6749, section 5.1.
#[derive(Deserialize)]
struct Tokens {
    access_token: Option<String>,
    id_token: Option<String>,
    refresh_token: Option<String>,
    expires_in: Option<f64>,
}

/// What an authorization server says of an error. RFC 6749, section 5.2.
#[derive(Deserialize)]
struct TokenError {
    error: String,
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
    fn bad_request<T: Into<Cow<'static, str>>>(detail: T) -> Self {
        Self { status: StatusCode::BAD_REQUEST, title: FAILED, detail: detail.into() }
    }

    /// The authorization server is.
    fn bad_gateway(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_GATEWAY, title: FAILED, detail: detail.into() }
    }

    fn busy() -> Self {
        let detail = "Too many people are signing in. Reload this page in a moment.";
        Self { status: StatusCode::SERVICE_UNAVAILABLE, title: FAILED, detail: detail.into() }
    }
}

/// What ends a step of a login other than well.
enum Stop {
    /// Something must be known first.
    Ask(AuthError),
    Page(NotSignedIn),
    /// As a page, but the login of this browser may still be finished.
    Elsewhere(NotSignedIn),
    /// Too many browsers are finishing their logins. This one can try again.
    Busy,
}

impl From<NotSignedIn> for Stop {
    fn from(page: NotSignedIn) -> Self {
        Self::Page(page)
    }
}

impl Surroundings<'_> {
    /// The authorization server could not be asked.
    fn unreachable(&self, error: AuthError) -> Stop {
        if let AuthError::Ask(_) = error {
            return Stop::Ask(error);
        }
        (self.report)(&error);
        NotSignedIn::bad_gateway("The authorization server could not be asked. Try again in a moment.").into()
    }

    /// What the authorization server has answered is no token.
    fn unusable(&self, answer: &FormAnswer, shown: impl Into<Cow<'static, str>>) -> Stop {
        let error =
            serde_json::from_slice(&answer.body).map_or_else(|_| String::new(), |TokenError { error }| error);
        let text = format!("the authorization server answered a code with status {} {error}", answer.status);
        (self.report)(&AuthError::Failed(crate::OneLine(text).to_string()));
        NotSignedIn::bad_gateway(shown).into()
    }

    fn tokens(&self, answer: &FormAnswer) -> Result<Tokens, Stop> {
        if answer.status != 200 {
            // Such as a code that was used before.
            let text = format!("The authorization server did not give a token: status {}.", answer.status);
            return Err(self.unusable(answer, text));
        }
        let other = |_| self.unusable(answer, "The authorization server sent something other than tokens.");
        serde_json::from_slice(&answer.body).map_err(other)
    }
}

impl Login {
    /// Whether a request that is refused for this reason comes from a person who can sign in, and who is let in then: otherwise the
    /// browser would come back, be refused, and be sent away again.
    pub(crate) fn helps(&self, request: &AuthRequest<'_>, reason: Reason) -> bool {
        let headers = &request.parts.headers;
        request.parts.method == Method::GET
            && wants_page(headers)
            && headers.get("sec-fetch-mode").is_none_or(|mode| mode == "navigate")
            && !headers.contains_key(AUTHORIZATION)
            && cookies::find(headers, self.auth_cookie) != cookies::Found::Several
            && !matches!(reason, Reason::ProxyRequired | Reason::InsufficientScope)
    }

    /// Whether a page of another origin asks for a token.
    pub(crate) fn is_for_page(&self, request: &AuthRequest<'_>) -> bool {
        self.return_to(request).is_some() && wants_page(&request.parts.headers)
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

    fn return_to(&self, request: &AuthRequest<'_>) -> Option<crate::location::Location> {
        targets::external(&parameter(request, RETURN_TO).ok()??, &self.return_pages)
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
        around: &Surroundings<'_>,
        judge: impl Fn(&AuthRequest<'_>) -> Result<AuthContext, AuthError>,
    ) -> Result<ResponseDraft, Stop> {
        let request = &around.request;
        let login = self.state_of(around)?;
        let parameter = |name| {
            parameter(request, name)
                .map_err(|Repeated| NotSignedIn::bad_request("A parameter is there twice."))
        };
        // Which authorization server sent the browser. RFC 9207.
        if parameter("iss")?.is_some_and(|issuer| issuer != self.provider.issuer()) {
            return Err(NotSignedIn::bad_request("The answer is from another authorization server.").into());
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

    /// The state that this browser was given.
    fn state_of(&self, around: &Surroundings<'_>) -> Result<LoginState, Stop> {
        let request = &around.request;
        // A state that is there twice is none of this server's.
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
                "This answer belongs to another login than the one that this browser began.",
            )),
        })
    }

    /// An id token must be of this login. There is one if the login asks who the caller is.
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

    /// A token that this server refuses would send the browser round in circles.
    fn check_token(
        &self,
        around: &Surroundings<'_>,
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
                detail: format!("You are signed in, but your token is refused: {}.", failure.reason).into(),
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
        // The list may have changed since the browser went away.
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
        Cookie { name: self.state_cookie, path: "/", secure: self.is_secure, http_only: true }
    }

    fn auth_cookie(&self) -> Cookie<'_> {
        let path = targets::home(&self.prefix);
        Cookie { name: self.auth_cookie, path, secure: self.is_secure, http_only: !self.is_readable }
    }
}

/// A parameter is there more than once.
struct Repeated;

/// The value of a parameter of the query, if it is there.
fn parameter(request: &AuthRequest<'_>, name: &str) -> Result<Option<String>, Repeated> {
    let query = request.parts.uri.query().unwrap_or_default();
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let value = values.next().map(|(_, value)| value.into_owned());
    if values.next().is_some() { Err(Repeated) } else { Ok(value) }
}

/// The claims of a token, whoever made it. What came straight from the authorization server needs no signature to be believed.
/// OpenID Connect Core, section 3.1.3.7.
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

/// A redirect that must not be cached. Its URL may have a token in it.
fn sent_to<const N: usize>(url: &str, cookies: [Option<HeaderValue>; N]) -> ResponseDraft {
    let Ok(mut url) = HeaderValue::try_from(url) else {
        return ResponseDraft::empty(StatusCode::BAD_GATEWAY);
    };
    url.set_sensitive(true);
    with_cookies(ResponseDraft::empty(StatusCode::FOUND).with(LOCATION, url), cookies)
}

/// An answer of a login: it must not be cached, and no other page learns of its URL.
fn with_cookies<const N: usize>(draft: ResponseDraft, cookies: [Option<HeaderValue>; N]) -> ResponseDraft {
    let mut draft = draft.with(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    draft.headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for cookie in cookies.into_iter().flatten() {
        draft.headers.append(SET_COOKIE, cookie);
    }
    draft
}
