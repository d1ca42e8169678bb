//! Sticky sessions. WIRE_PROTOCOL 17.

use super::channel::{HttpChannel, SharedSession};
use super::deadline::Deadline;
use super::http_client::HttpClient;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use vgi_rpc_client::{CallError, Client};
use vgi_rpc_protocol::http::client::{ClientMachine, Session as SessionState};

/// How long ending a session on drop may take.
const DROP_TIME: Duration = Duration::from_secs(2);

/// A client whose calls may open a sticky session and then belong to it.
///
/// A session that the server has lost is not opened again: the call fails with an error of kind `session_lost`, and the
/// application decides what to do. Dropping this ends the session on the server if that can be done quickly; [`Session::close`]
/// reports whether it was.
#[derive(Debug)]
pub struct Session {
    client: Client,
    http: HttpClient,
    state: SharedSession,
}

impl HttpClient {
    /// Returns a client whose calls may open a sticky session and then belong to it. WIRE_PROTOCOL 17.
    pub fn session(&self) -> Session {
        Session::new(self.clone(), SessionState::new())
    }

    /// Returns a client whose calls belong to a session that is already open.
    pub fn resume(&self, session: SessionState) -> Session {
        Session::new(self.clone(), session)
    }

    /// Returns a caller of a session.
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

    /// Whether a call has opened a session that has not been closed.
    pub fn is_open(&self) -> bool {
        self.state().is_open()
    }

    /// Returns the state of the session, for example to [resume](HttpClient::resume) it. It is secret.
    pub fn state(&self) -> SessionState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Leaves the session open on the server when this is dropped, and returns the state with which it can be resumed.
    pub fn leave_open(self) -> SessionState {
        std::mem::take(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the session on the server, if one is open.
    ///
    /// # Errors
    /// If the server could not be reached. The session then remains until it expires.
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
        // The error cannot be reported; a session that stays open expires.
        let _ = self.end(self.http.deadline().within(Some(DROP_TIME)));
    }
}
