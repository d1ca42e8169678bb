//! A login that any number of calls share.

use crate::clock::now;
use crate::methods::SignInMethods;
use crate::requests::post;
use crate::sign_in::SignIn;
use crate::store::TokenStore;
use http::HeaderValue;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use vgi_rpc_effects::Perform;
use vgi_rpc_http::client::Credentials;
use vgi_rpc_protocol::external::Location;
use vgi_rpc_protocol::http::auth::Reason;
use vgi_rpc_protocol::http::login::{
    Challenge, LoginError, LoginParameters, LoginSettings, Renewal, SavedLogin, Step, TokenHolder, Tokens,
};
use vgi_rpc_protocol::http::unauthorized::Unauthorized;
use zeroize::Zeroizing;

/// The login of a client at one server. Clones share it.
#[derive(Clone)]
pub struct Login(Arc<Inner>);

struct Inner {
    server: Location,
    settings: LoginSettings,
    ways: SignInMethods,
    store: Box<dyn TokenStore>,
    outside: Box<dyn Perform>,
    state: Mutex<State>,
    /// Notified when a renewal has ended.
    renewed: Condvar,
}

struct State {
    holder: TokenHolder,
    /// The parameters under which the tokens were issued.
    parameters: Option<LoginParameters>,
    store_error: Option<String>,
}

/// The result of a renewal: tokens, and their parameters if those are new.
type Renewed = Result<(Tokens, Option<LoginParameters>), LoginError>;

impl Login {
    pub(crate) fn new(
        server: Location,
        settings: LoginSettings,
        ways: SignInMethods,
        store: Box<dyn TokenStore>,
        outside: Box<dyn Perform>,
        saved: Option<SavedLogin>,
    ) -> Self {
        let (tokens, parameters) = match saved {
            Some(SavedLogin { tokens, parameters, .. }) => (Some(tokens), Some(parameters)),
            None => (None, None),
        };
        let state = Mutex::new(State { holder: TokenHolder::new(tokens), parameters, store_error: None });
        Self(Arc::new(Inner { server, settings, ways, store, outside, state, renewed: Condvar::new() }))
    }

    /// Returns whether there is a valid token, or one can be obtained without user interaction.
    pub fn is_signed_in(&self) -> bool {
        let state = self.state();
        state.holder.tokens().is_some_and(|tokens| tokens.is_valid_at(now()) || tokens.can_be_refreshed())
    }

    /// Signs the user in now, instead of at the first call. It blocks.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub fn sign_in(&self) -> Result<(), LoginError> {
        let step = self.state().holder.login();
        self.settle(step, None).map(drop)
    }

    /// Drops the tokens, and erases them from the store. The authorization server is not notified: its own session may sign the
    /// same user in again without interaction.
    ///
    /// # Errors
    /// If the store cannot erase them.
    pub fn sign_out(&self) -> io::Result<()> {
        let mut state = self.state();
        state.holder.forget();
        state.parameters = None;
        self.0.store.erase()
    }

    /// Returns why the store could not save the last tokens, if it could not. Calls use them nevertheless.
    pub fn store_error(&self) -> Option<String> {
        self.state().store_error.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Performs a step, and then returns the token, if any.
    fn settle(
        &self,
        step: Step,
        challenge: Option<Challenge>,
    ) -> Result<Option<Zeroizing<String>>, LoginError> {
        let outcome = match step {
            Step::Use(token) => return Ok(Some(token)),
            Step::Wait(number) => {
                let mut state = self.state();
                loop {
                    if let Some(outcome) = state.holder.outcome(number) {
                        break outcome.clone();
                    }
                    state = self.0.renewed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
            Step::Renew(renewal) => self.renew(renewal, challenge),
            _ => return Ok(None),
        };
        outcome?;
        Ok(self.state().holder.tokens().map(|tokens| Zeroizing::new(tokens.bearer().to_owned())))
    }

    /// Renews the tokens for all waiting calls.
    fn renew(&self, renewal: Renewal, challenge: Option<Challenge>) -> Result<(), LoginError> {
        let under_way = UnderWay { login: self, has_ended: false };
        let mut renewed = match &renewal {
            Renewal::Refresh(tokens) => self.refresh(tokens),
            _ => self.ask_person(challenge.clone()),
        };
        loop {
            // Under one lock, so that no tokens are stored after they were dropped.
            let mut state = self.state();
            let is_stale = state.holder.is_stale();
            let is_new = renewed.is_ok();
            let tokens = renewed.map(|(tokens, parameters)| {
                state.parameters = parameters.or(state.parameters.take());
                tokens
            });
            // The holder drops stale tokens, and then there is nothing to save.
            let next = state.holder.renewed(tokens, now());
            if is_new {
                state.store_error = self.save(&state).err().map(|error| error.to_string());
            }
            if next.is_some() {
                drop(state);
                renewed = self.ask_person(challenge.clone());
                continue;
            }
            let outcome = state.holder.outcome(0).cloned().unwrap_or(Ok(()));
            if !is_stale && state.holder.tokens().is_none() {
                // The stored tokens are no longer valid.
                state.store_error = self.0.store.erase().err().map(|error| error.to_string());
            }
            drop(state);
            under_way.end();
            return outcome;
        }
    }

    fn refresh(&self, tokens: &Tokens) -> Renewed {
        let parameters = self.state().parameters.clone();
        let form = parameters.as_ref().and_then(|parameters| Some((parameters, parameters.refresh(tokens)?)));
        let Some((parameters, form)) = form else {
            return Err(LoginError::Misuse { command: "refresh", when: "without a refresh token" });
        };
        let answer = post(&*self.0.outside, form)?;
        Ok((parameters.refreshed(answer, tokens, now())?, None))
    }

    fn ask_person(&self, challenge: Option<Challenge>) -> Renewed {
        let Inner { server, settings, ways, outside, .. } = &*self.0;
        let sign_in = SignIn { server, settings, ways, outside: &**outside };
        sign_in.run(challenge).map(|(tokens, parameters)| (tokens, Some(parameters)))
    }

    fn save(&self, state: &State) -> io::Result<()> {
        let (Some(parameters), Some(tokens)) = (&state.parameters, state.holder.tokens()) else {
            return Ok(());
        };
        let login = SavedLogin::new(&self.0.server, parameters.clone(), tokens.clone());
        self.0.store.save(login.to_json().as_bytes())
    }

    /// Whether this URL has the origin of the server that the tokens are for.
    fn is_for(&self, server: &str) -> bool {
        Location::parse(server).is_ok_and(|url| url.url().origin() == self.0.server.url().origin())
    }

    /// Whether a login is possible. If not, the refusal is final.
    fn can_mend(&self, challenge: Option<&Challenge>) -> bool {
        let can_ask = self.0.ways.browser.is_some() || self.0.ways.device_code.is_some();
        let says_where = challenge.is_some_and(|challenge| challenge.resource_metadata.is_some());
        let state = self.state();
        (can_ask && says_where) || state.holder.tokens().is_some_and(Tokens::can_be_refreshed)
    }
}

/// A renewal in progress. It also ends after a panic, so that no call waits forever.
struct UnderWay<'a> {
    login: &'a Login,
    has_ended: bool,
}

impl UnderWay<'_> {
    fn end(mut self) {
        self.has_ended = true;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            let error = LoginError::Unavailable("the login panicked".into());
            // A panic does not mean that the refresh token was refused.
            let _ = self.login.state().holder.renewed(Err(error), now());
        }
        self.login.0.renewed.notify_all();
    }
}

impl Credentials for Login {
    fn authorization(&self, server: &str) -> io::Result<Option<HeaderValue>> {
        if !self.is_for(server) {
            let text = "expected a client of the server that the login is for, got one of another server";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let step = self.state().holder.request(now());
        let settled = self.settle(step, None);
        // A failed renewal does not fail a call whose token is still valid.
        let token = settled.or_else(|error| self.state().holder.valid_bearer(now()).map(Some).ok_or(error));
        token.map_err(io::Error::other)?.map(|token| header(&token)).transpose()
    }

    fn refused(
        &self,
        server: &str,
        sent: Option<&HeaderValue>,
        refusal: &Unauthorized,
    ) -> io::Result<Option<HeaderValue>> {
        if !self.is_for(server) {
            return Ok(None);
        }
        let challenge = match &refusal.challenge {
            Some(text) => Challenge::parse(text).map_err(io::Error::other)?,
            None => None,
        };
        let says_where = challenge.as_ref().is_some_and(|challenge| challenge.resource_metadata.is_some());
        // A refusal without a reason is not resolved by a token, unless it says where to sign in.
        let is_mendable = match refusal.reason {
            Reason::MissingCredential | Reason::InvalidCredential | Reason::ExpiredCredential => true,
            _ => refusal.reason == Reason::Unauthorized && says_where,
        };
        if !is_mendable || !self.can_mend(challenge.as_ref()) {
            return Ok(None);
        }
        let sent = sent.and_then(|value| value.to_str().ok()).and_then(|value| value.strip_prefix("Bearer "));
        let step = self.state().holder.refused(sent, refusal.reason, now());
        self.settle(step, challenge).map_err(io::Error::other)?.map(|token| header(&token)).transpose()
    }
}

fn header(token: &str) -> io::Result<HeaderValue> {
    let value = Zeroizing::new(format!("Bearer {token}"));
    let mut value = HeaderValue::from_str(&value).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, "expected a token of printable characters")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("server", &self.0.server).finish_non_exhaustive()
    }
}
