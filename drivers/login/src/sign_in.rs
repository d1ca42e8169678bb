//! Signs a user in after a 401: documents, forms, and the user's interaction.

use crate::clock::now;
use crate::loopback::Loopback;
use crate::methods::{Browser, ShowCode, SignInMethods};
use crate::requests::{load, post};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};
use vgi_rpc_effects::Perform;
use vgi_rpc_protocol::external::Location;
use vgi_rpc_protocol::http::login::{
    Challenge, CodeFlow, CodeStep, DeviceFlow, DeviceStep, Discovered, Discovery, Flow, LoginError,
    LoginParameters, LoginSettings, Tokens,
};

/// The inputs of one login.
pub(crate) struct SignIn<'a> {
    pub(crate) server: &'a Location,
    pub(crate) settings: &'a LoginSettings,
    pub(crate) ways: &'a SignInMethods,
    pub(crate) outside: &'a dyn Perform,
}

/// Converts the error of an application's function.
fn failed(error: &io::Error) -> LoginError {
    LoginError::Unavailable(error.to_string())
}

impl SignIn<'_> {
    /// Signs a user in, by the first way that both the application and the authorization server support.
    pub(crate) fn run(&self, challenge: Option<Challenge>) -> Result<(Tokens, LoginParameters), LoginError> {
        let SignInMethods { browser, device_code, .. } = self.ways;
        if browser.is_none() && device_code.is_none() {
            return Err(LoginError::NotInteractive);
        }
        let found = self.discover(challenge)?;
        let end = Instant::now().checked_add(self.ways.time_limit);
        let end = end.ok_or_else(|| LoginError::Unavailable("the time limit is too long".into()))?;
        let mut error = LoginError::NotInteractive;
        if let Some(open) = browser {
            match LoginParameters::new(&found, self.settings, Flow::Code) {
                Ok(parameters) => {
                    let loopback = Loopback::bind().map_err(|error| failed(&error))?;
                    let flow = CodeFlow::new(parameters.clone(), loopback.port(), random()?)?;
                    let mut opening = Opening::begin(open, flow.authorization_url())?;
                    let tokens = self.with_code(flow, loopback, end, &mut opening);
                    match opening.error {
                        None => return Ok((tokens?, parameters)),
                        // This machine may have no browser.
                        Some(cause) => error = cause,
                    }
                }
                Err(cause) => error = cause,
            }
        }
        if let Some(show) = device_code {
            let parameters = LoginParameters::new(&found, self.settings, Flow::DeviceCode)?;
            return Ok((self.with_device(parameters.clone(), &**show, end)?, parameters));
        }
        Err(error)
    }

    fn discover(&self, challenge: Option<Challenge>) -> Result<Discovered, LoginError> {
        let (server, issuer) = (self.server.clone(), self.settings.issuer.clone());
        let mut discovery = match challenge {
            Some(challenge) => Discovery::from_challenge(server, challenge, issuer)?,
            None => Discovery::from_url(server, issuer),
        };
        while let Some(document) = discovery.poll_document() {
            let document = load(self.outside, document);
            if let Some(found) = discovery.receive(document.as_deref().map_err(Clone::clone))? {
                return Ok(found);
            }
        }
        Err(LoginError::Misuse { command: "discover", when: "after the discovery has ended" })
    }

    fn with_code(
        &self,
        mut flow: CodeFlow,
        loopback: Loopback,
        end: Instant,
        opening: &mut Opening,
    ) -> Result<Tokens, LoginError> {
        let mut loopback = Some(loopback);
        loop {
            match flow.poll()? {
                CodeStep::WaitForRedirect => {
                    let Some(loopback) = &mut loopback else { return Err(LoginError::Expired) };
                    loopback.serve_one(end, &mut flow, &mut || opening.check())?;
                }
                CodeStep::Send(form) => {
                    // The first redirect is sufficient.
                    loopback = None;
                    flow.receive(post(self.outside, form), now());
                }
                CodeStep::Done(tokens) => return Ok(tokens),
                _ => return Err(LoginError::Misuse { command: "poll", when: "by an older driver" }),
            }
        }
    }

    fn with_device(
        &self,
        parameters: LoginParameters,
        show: &ShowCode,
        end: Instant,
    ) -> Result<Tokens, LoginError> {
        let mut flow = DeviceFlow::new(parameters)?;
        loop {
            match flow.poll(now())? {
                DeviceStep::Send(form) => flow.receive(post(self.outside, form), now()),
                DeviceStep::Show(prompt) => show(&prompt).map_err(|error| failed(&error))?,
                DeviceStep::WaitUntil(time) => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left == Duration::ZERO {
                        return Err(LoginError::Expired);
                    }
                    sleep(time.saturating_sub(now()).min(left));
                }
                DeviceStep::Done(tokens) => return Ok(tokens),
                _ => return Err(LoginError::Misuse { command: "poll", when: "by an older driver" }),
            }
        }
    }
}

/// The application's function that opens a browser, on its own thread: the port is served while it runs.
struct Opening {
    result: Receiver<io::Result<()>>,
    /// The error of the function.
    error: Option<LoginError>,
    has_ended: bool,
}

impl Opening {
    fn begin(open: &Arc<Browser>, url: &str) -> Result<Self, LoginError> {
        let (report, result) = channel();
        let (open, url) = (open.clone(), url.to_owned());
        let thread = thread::Builder::new().name("vgi-login-browser".into());
        // The receiver may already be gone when the function ends.
        thread.spawn(move || drop(report.send(open(&url)))).map_err(|error| failed(&error))?;
        Ok(Self { result, error: None, has_ended: false })
    }

    /// Fails if the function has failed.
    fn check(&mut self) -> Result<(), LoginError> {
        if self.has_ended {
            return Ok(());
        }
        let error = match self.result.try_recv() {
            Err(TryRecvError::Empty) => return Ok(()),
            Ok(Ok(())) => {
                self.has_ended = true;
                return Ok(());
            }
            Ok(Err(error)) => failed(&error),
            Err(TryRecvError::Disconnected) => {
                LoginError::Unavailable("the function that opens a browser panicked".into())
            }
        };
        self.error = Some(error.clone());
        Err(error)
    }
}

/// Generates random bytes for one login.
fn random() -> Result<[[u8; 32]; 3], LoginError> {
    let mut random = [[0; 32]; 3];
    for part in &mut random {
        getrandom::fill(part).map_err(|error| LoginError::Unavailable(error.to_string()))?;
    }
    Ok(random)
}
