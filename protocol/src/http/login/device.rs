//! The device authorization flow: login with a code that the user types in on any machine. RFC 8628.

use super::checks::{MAX_DOCUMENT, is_token};
use super::error::LoginError;
use super::parameters::{LoginParameters, Start};
use super::tokens::{Tokens, erase, refusal, seconds};
use crate::OneLine;
use crate::http::documents::{FormResponse, PostForm};
use crate::location::Location;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// The default polling interval, in seconds. RFC 8628, section 3.2.
const DEFAULT_INTERVAL: u64 = 5;
/// The increase of the interval after `slow_down`, in seconds. Section 3.5.
const SLOW_DOWN: u64 = 5;
/// The shortest and the longest interval, in seconds.
const INTERVALS: (u64, u64) = (1, 300);
/// The maximum lifetime of a code, in seconds: an hour, whatever the server says.
const MAX_LIFE: u64 = 3600;
/// The maximum number of consecutive polls without a response.
const MAX_FAILURES: u32 = 5;
/// The maximum length of a user code, in characters.
const MAX_USER_CODE: usize = 64;

/// The code and the URL to show to the user.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DevicePrompt {
    /// The code to type in. It has no control characters.
    pub user_code: String,
    /// The page on which to type it in: an `https` URL, or an `http` URL of this machine.
    pub verification_url: String,
    /// The URL of the page including the code, for example for a QR code.
    pub complete_url: Option<String>,
    /// When the code expires, since the Unix epoch.
    pub expires_at: Duration,
}

impl fmt::Debug for DevicePrompt {
    /// Omits the code: with it, an attacker could trick another user into signing in this program.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevicePrompt")
            .field("verification_url", &self.verification_url)
            .finish_non_exhaustive()
    }
}

/// The next step of a login.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeviceStep {
    /// Send this form, and pass the response to [`DeviceFlow::receive`].
    Send(PostForm),
    /// Show this to the user, and poll again.
    Show(DevicePrompt),
    /// Poll again at this time, since the Unix epoch.
    WaitUntil(Duration),
    /// The user has signed in. The state machine has ended.
    Done(Tokens),
}

/// The state machine of a login with a device code.
pub struct DeviceFlow {
    parameters: LoginParameters,
    state: State,
    interval: u64,
    failures: u32,
}

enum State {
    /// The device code has not been received yet.
    Begin,
    Show(Code, DevicePrompt),
    Waiting {
        code: Code,
        until: Duration,
    },
    /// A polling request was sent.
    Asked(Code),
    Done(Tokens),
    Failed(LoginError),
    Ended,
}

struct Code {
    device_code: Zeroizing<String>,
    expires_at: Duration,
}

#[derive(Deserialize)]
struct Document {
    device_code: String,
    user_code: String,
    // Some servers use the name from a draft.
    #[serde(alias = "verification_url")]
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: Value,
    interval: Option<Value>,
}

impl DeviceFlow {
    /// Creates a login with these parameters, which must be for [`Flow::DeviceCode`](super::Flow::DeviceCode).
    ///
    /// # Errors
    /// If they are for another flow.
    pub fn new(parameters: LoginParameters) -> Result<Self, LoginError> {
        match parameters.start {
            Start::DeviceCode { .. } => {
                Ok(Self { parameters, state: State::Begin, interval: DEFAULT_INTERVAL, failures: 0 })
            }
            _ => Err(LoginError::Misuse {
                command: "DeviceFlow::new",
                when: "with the parameters of another flow",
            }),
        }
    }

    /// Receives the response to a form, or why there is none.
    pub fn receive(&mut self, answer: Result<FormResponse, LoginError>, now: Duration) {
        self.state = match std::mem::replace(&mut self.state, State::Ended) {
            State::Begin => match answer.and_then(|answer| self.begun(answer, now)) {
                Ok((code, prompt)) => State::Show(code, prompt),
                Err(error) => State::Failed(error),
            },
            State::Asked(code) => self.judged(code, answer, now),
            // An unexpected response has no effect.
            other => other,
        };
    }

    /// Returns the next step. The time is since the Unix epoch.
    ///
    /// # Errors
    /// If the login has failed. Later polls return the same error.
    pub fn poll(&mut self, now: Duration) -> Result<DeviceStep, LoginError> {
        let misuse = LoginError::Misuse { command: "poll", when: "after the login has ended" };
        let Start::DeviceCode { device, token } = &self.parameters.start else { return Err(misuse) };
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Begin => {
                self.state = State::Begin;
                Ok(DeviceStep::Send(self.parameters.form(device, &[("scope", &self.parameters.scope)])))
            }
            State::Show(code, prompt) => {
                self.state = State::Waiting { until: self.next(now), code };
                Ok(DeviceStep::Show(prompt))
            }
            State::Waiting { code, .. } | State::Asked(code) if now >= code.expires_at => {
                self.state = State::Failed(LoginError::Expired);
                Err(LoginError::Expired)
            }
            State::Waiting { code, until } if now < until => {
                let until = until.min(code.expires_at);
                self.state = State::Waiting { code, until };
                Ok(DeviceStep::WaitUntil(until))
            }
            State::Waiting { code, .. } | State::Asked(code) => {
                let members = [("grant_type", GRANT_TYPE), ("device_code", code.device_code.as_str())];
                let form = self.parameters.form(token, &members);
                self.state = State::Asked(code);
                Ok(DeviceStep::Send(form))
            }
            State::Done(tokens) => Ok(DeviceStep::Done(tokens)),
            State::Failed(error) => {
                self.state = State::Failed(error.clone());
                Err(error)
            }
            State::Ended => Err(misuse),
        }
    }

    fn next(&self, now: Duration) -> Duration {
        now.saturating_add(Duration::from_secs(self.interval))
    }

    fn begun(&mut self, answer: FormResponse, now: Duration) -> Result<(Code, DevicePrompt), LoginError> {
        let read = self.read(&answer, now);
        erase(answer.body);
        read
    }

    fn read(&mut self, answer: &FormResponse, now: Duration) -> Result<(Code, DevicePrompt), LoginError> {
        let refuse = |expected| LoginError::Answer { expected, status: answer.status };
        if answer.status != 200 || answer.body.len() > MAX_DOCUMENT {
            let error = refusal(answer, &self.parameters.secrets(None));
            return Err(error.unwrap_or_else(|| refuse("a device code or an error of RFC 6749")));
        }
        let read: Document =
            serde_json::from_slice(&answer.body).map_err(|_| refuse("a device code as JSON of RFC 8628"))?;
        let device_code = Zeroizing::new(read.device_code);
        if !is_token(&device_code) {
            return Err(refuse("a device code of printable ASCII"));
        }
        let is_short = !read.user_code.is_empty() && read.user_code.chars().count() <= MAX_USER_CODE;
        if !is_short || OneLine(&read.user_code).to_string() != read.user_code {
            return Err(refuse("a user code of at most 64 characters without control characters"));
        }
        let page = |url: &str| {
            let location =
                Location::parse(url).map_err(|_| refuse("the URL of a page to type the code in at"))?;
            let is_page = match location.url().scheme() {
                "https" => true,
                "http" => super::checks::is_loopback(location.url()),
                _ => false,
            };
            // A parsed URL has no control characters.
            if is_page {
                Ok(location.url().as_str().to_owned())
            } else {
                Err(refuse("an https URL of a page"))
            }
        };
        let verification_url = page(&read.verification_uri)?;
        let complete_url = read.verification_uri_complete.as_deref().map(page).transpose()?;
        let life = seconds(&read.expires_in).ok_or_else(|| refuse("the life of a device code in seconds"))?;
        let expires_at = now.saturating_add(Duration::from_secs(life.min(MAX_LIFE)));
        if let Some(interval) = &read.interval {
            let interval = seconds(interval).ok_or_else(|| refuse("an interval in seconds"))?;
            self.interval = interval.clamp(INTERVALS.0, INTERVALS.1);
        }
        let prompt = DevicePrompt { user_code: read.user_code, verification_url, complete_url, expires_at };
        Ok((Code { device_code, expires_at }, prompt))
    }

    /// Returns the state after the response to a polling request.
    fn judged(&mut self, code: Code, answer: Result<FormResponse, LoginError>, now: Duration) -> State {
        let secrets = self.parameters.secrets([code.device_code.as_str()]);
        let read = answer.and_then(|answer| {
            Tokens::read(answer, self.parameters.sends_id, self.parameters.expected(None), now, &secrets)
        });
        let error = match read {
            Ok(tokens) => return State::Done(tokens),
            Err(error) => error,
        };
        match &error {
            LoginError::Refused { code: kind, .. } if kind == "authorization_pending" => self.failures = 0,
            LoginError::Refused { code: kind, .. } if kind == "slow_down" => {
                self.failures = 0;
                self.interval = (self.interval + SLOW_DOWN).min(INTERVALS.1);
            }
            // Section 3.5: wait longer after a connection has timed out.
            error if error.is_temporary() && self.failures < MAX_FAILURES => {
                self.failures += 1;
                self.interval = (self.interval * 2).min(INTERVALS.1);
            }
            _ => return State::Failed(error),
        }
        State::Waiting { until: self.next(now), code }
    }
}

impl fmt::Debug for DeviceFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceFlow").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}
