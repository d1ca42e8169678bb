//! Sticky sessions. WIRE_PROTOCOL 17.

use super::channel::{HttpChannel, SharedSession};
use super::deadline::Deadline;
use super::http_client::HttpClient;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use vgi_rpc_client::{CallError, Client};
use vgi_rpc_protocol::http::client::{ClientMachine, Session as SessionState};

/// How long dropping a session may take.
const DROP_TIME: Duration = Duration::from_secs(2);

/// A client whose calls may open a sticky session, and belong to it from then on.
///
/// A session that the server has lost is not opened again: the call fails with an error of kind `session_lost`, and
/// what to do is the application's decision. Dropping this ends the session on the server if that is quickly done;
/// [`Session::close`] says whether it was.
#[derive(Debug)]
pub struct Session {
    client: Client,
    http: HttpClient,
    state: SharedSession,
}

impl HttpClient {
    /// Makes calls that may open a sticky session, and belong to it from then on. WIRE_PROTOCOL 17.
    pub fn session(&self) -> Session {
        Session::new(self.clone(), SessionState::new())
    }

    /// Makes calls that belong to a session which is open already.
    pub fn resume(&self, session: SessionState) -> Session {
        Session::new(self.clone(), session)
    }

    /// A caller of a session.
    fn caller_of(&self, session: SessionState) -> ClientMachine {
        self.another_caller().with_session(session)
    }
}

impl Session {
    fn new(http: HttpClient, state: SessionState) -> Self {
        let caller = http.caller_of(state.clone());
        let state = Arc::new(Mutex::new(state));
        let channel = HttpChannel::new(http.clone(), caller, Some(state.clone()));
        Self { client: Client::over(channel), http, state }
    }

    /// Whether a call has opened a session, and none has closed it.
    pub fn is_open(&self) -> bool {
        self.state().is_open()
    }

    /// What is known of the session, such as to [resume](HttpClient::resume) it. It is a secret.
    pub fn state(&self) -> SessionState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Leaves the session open on the server when this is dropped, and gives what it can be resumed with.
    pub fn leave_open(self) -> SessionState {
        std::mem::take(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the session on the server, if one is open.
    ///
    /// # Errors
    /// When the server could not be told. The session then lives until it expires.
    pub fn close(self) -> Result<(), CallError> {
        self.end(self.http.deadline())
    }

    fn end(&self, deadline: Deadline) -> Result<(), CallError> {
        let state = std::mem::take(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner));
        let mut caller = self.http.caller_of(state);
        caller.end_session()?;
        self.http.run(&mut caller, None, deadline)
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Nobody is there to be told; a session that stays open expires.
        let _ = self.end(self.http.deadline().within(Some(DROP_TIME)));
    }
}
