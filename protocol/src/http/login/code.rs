//! The authorization code flow: login with a browser on this machine. RFC 8252, section 7.3; RFC 7636; RFC 9207.

use super::error::LoginError;
use super::parameters::{LoginParameters, Start};
use super::redirect::{RedirectReply, query};
use super::tokens::{Tokens, refused};
use crate::http::documents::{FormResponse, PostForm};
use crate::http::pkce::{Pair, generate_pair, is_same};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// The path of the redirect URI.
const PATH: &str = "/callback";
/// The maximum size of a code, in bytes.
const MAX_CODE: usize = 4096;

/// The next step of a login.
#[derive(Debug)]
#[non_exhaustive]
pub enum CodeStep {
    /// The browser has not returned yet: pass the target of its request to [`CodeFlow::receive_redirect`].
    WaitForRedirect,
    /// Send this form, and pass the response to [`CodeFlow::receive`].
    Send(PostForm),
    /// The user has signed in. The state machine has ended.
    Done(Tokens),
}

/// The state machine of a login with a browser.
///
/// Each login has its own port, state, nonce and verifier, so a redirect cannot be reused.
pub struct CodeFlow {
    parameters: LoginParameters,
    pair: Pair,
    state_text: String,
    nonce: String,
    redirect_uri: String,
    url: String,
    names_issuer: bool,
    state: State,
}

enum State {
    Waiting,
    Exchange(Zeroizing<String>),
    Done(Tokens),
    Failed(LoginError),
    Ended,
}

impl CodeFlow {
    /// Creates a login with these parameters, which must be for [`Flow::Code`](super::Flow::Code). The browser returns to this port
    /// of 127.0.0.1. `random` must be fresh random bytes.
    ///
    /// # Errors
    /// If the parameters are for another flow.
    pub fn new(parameters: LoginParameters, port: u16, random: [[u8; 32]; 3]) -> Result<Self, LoginError> {
        let Start::Code { authorization, names_issuer } = &parameters.start else {
            return Err(LoginError::Misuse {
                command: "CodeFlow::new",
                when: "with the parameters of another flow",
            });
        };
        let [verifier, state, nonce] = random;
        let (pair, state_text) = (generate_pair(verifier), URL_SAFE_NO_PAD.encode(state));
        let nonce = URL_SAFE_NO_PAD.encode(nonce);
        let redirect_uri = format!("http://127.0.0.1:{port}{PATH}");
        let mut url = authorization.url().clone();
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &parameters.client_id),
            ("redirect_uri", &redirect_uri),
            ("scope", &parameters.scope),
            ("state", &state_text),
            ("nonce", &nonce),
            ("code_challenge", &pair.challenge),
            ("code_challenge_method", "S256"),
        ]);
        if let Some(resource) = &parameters.resource {
            url.query_pairs_mut().append_pair("resource", resource);
        }
        let names_issuer = *names_issuer;
        Ok(Self {
            url: url.into(),
            parameters,
            pair,
            state_text,
            nonce,
            redirect_uri,
            names_issuer,
            state: State::Waiting,
        })
    }

    /// Returns the URL to open in a browser on this machine.
    pub fn authorization_url(&self) -> &str {
        &self.url
    }

    /// Receives the target of a request to the port: the path and the query of a `GET`. Returns the response to the browser.
    /// Requests with another path or state have no effect: any page and any program on this machine can send them.
    pub fn receive_redirect(&mut self, target: &str) -> RedirectReply {
        let Some((path, found)) = query(target) else { return RedirectReply::unusable() };
        if path != PATH {
            return RedirectReply::not_found();
        }
        if !matches!(self.state, State::Waiting) {
            return RedirectReply::used();
        }
        // Without the state, the redirect does not belong to this login, whatever its other parameters.
        if !found.state.as_deref().is_some_and(|state| is_same(state, &self.state_text)) {
            return RedirectReply::of_another_login();
        }
        match self.judged(found) {
            Ok(code) => {
                self.state = State::Exchange(code);
                RedirectReply::signed_in()
            }
            Err(error) => {
                self.state = State::Failed(error);
                RedirectReply::failed()
            }
        }
    }

    /// Receives the response to the form, or why there is none.
    pub fn receive(&mut self, answer: Result<FormResponse, LoginError>, now: Duration) {
        self.state = match std::mem::replace(&mut self.state, State::Ended) {
            State::Exchange(code) => {
                let secrets = self.parameters.secrets([code.as_str(), &self.pair.verifier]);
                let expected = self.parameters.expected(Some(&self.nonce));
                let read = answer.and_then(|answer| {
                    Tokens::read(answer, self.parameters.sends_id, expected, now, &secrets)
                });
                match read {
                    Ok(tokens) => State::Done(tokens),
                    Err(error) => State::Failed(error),
                }
            }
            other => other,
        };
    }

    /// Returns the next step.
    ///
    /// # Errors
    /// If the login has failed. Later polls return the same error.
    pub fn poll(&mut self) -> Result<CodeStep, LoginError> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Waiting => {
                self.state = State::Waiting;
                Ok(CodeStep::WaitForRedirect)
            }
            State::Exchange(code) => {
                let members = [
                    ("grant_type", "authorization_code"),
                    ("code", code.as_str()),
                    ("redirect_uri", &self.redirect_uri),
                    ("code_verifier", &self.pair.verifier),
                ];
                let form = self.parameters.form(&self.parameters.token_endpoint, &members);
                self.state = State::Exchange(code);
                Ok(CodeStep::Send(form))
            }
            State::Done(tokens) => Ok(CodeStep::Done(tokens)),
            State::Failed(error) => {
                self.state = State::Failed(error.clone());
                Err(error)
            }
            State::Ended => Err(LoginError::Misuse { command: "poll", when: "after the login has ended" }),
        }
    }

    /// Returns the code of a redirect that has the state of this login.
    fn judged(&self, found: super::redirect::Query) -> Result<Zeroizing<String>, LoginError> {
        // A code of another server must not be sent to this one. RFC 9207, section 2.4.
        match found.iss {
            Some(issuer) if issuer == self.parameters.issuer => {}
            None if !self.names_issuer => {}
            other => {
                let got = super::checks::shown(&other.unwrap_or_else(|| "none".into()));
                return Err(LoginError::Issuer { expected: self.parameters.issuer.clone(), got });
            }
        }
        if let Some(code) = found.error {
            return Err(refused(
                &code,
                found.error_description.as_deref().unwrap_or_default(),
                &[&self.state_text],
            ));
        }
        found
            .code
            .filter(|code| !code.is_empty() && code.len() <= MAX_CODE)
            .ok_or(LoginError::Answer { expected: "a code in the redirect", status: 302 })
    }
}

impl Drop for CodeFlow {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.pair.verifier.zeroize();
    }
}

impl fmt::Debug for CodeFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeFlow").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}
