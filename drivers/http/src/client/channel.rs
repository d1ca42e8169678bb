//! The [`Channel`] of a client over HTTP: every turn is a request, sent when it is needed.

use super::http_client::HttpClient;
use arrow_array::RecordBatch;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use vgi_rpc_client::{CallError, Channel, Client, External, TransportError};
use vgi_rpc_protocol::client::{Call, Event, ResumeToken};
use vgi_rpc_protocol::effect::UploadUrl;
use vgi_rpc_protocol::http::client::{ClientMachine, ResponseError, Session, upload_urls};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{CommandError, Next};

/// The state of a channel's session, shared with its owner.
pub(super) type SharedSession = Arc<Mutex<Session>>;

#[derive(Debug)]
pub(super) struct HttpChannel {
    http: HttpClient,
    caller: ClientMachine,
    /// Fetches external batches, and uploads.
    external: Option<External>,
    session: Option<SharedSession>,
}

impl HttpClient {
    /// Returns a client that makes one call at a time; for concurrent calls, create more clients.
    pub fn client(&self) -> Client {
        Client::over(HttpChannel::new(self.clone(), self.another_caller(), None))
    }
}

impl HttpChannel {
    pub(super) fn new(http: HttpClient, caller: ClientMachine, session: Option<SharedSession>) -> Self {
        Self { http, caller, external: None, session }
    }

    fn run(&mut self) -> Result<(), CallError> {
        let ran = self.http.run(&mut self.caller, self.external.as_ref(), self.http.deadline());
        if let (Some(shared), Some(session)) = (&self.session, self.caller.session()) {
            // The stored state is always complete, even after a panic.
            shared.lock().unwrap_or_else(PoisonError::into_inner).clone_from(session);
        }
        ran
    }
}

impl Channel for HttpChannel {
    fn set_external(&mut self, external: External) {
        self.caller.fetch_external(external.options().clone());
        self.external = Some(external);
    }

    fn call(
        &mut self,
        call: &Call<'_>,
        schema: &EncodedSchema,
        params: &RecordBatch,
    ) -> Result<(), CallError> {
        self.caller.call(call, schema, params)?;
        self.run()
    }

    fn send(
        &mut self,
        schema: &EncodedSchema,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), CallError> {
        self.caller.send(schema, batch, metadata)?;
        self.run()
    }

    fn tick(&mut self, metadata: &Metadata) -> Result<(), CallError> {
        self.caller.tick(metadata)?;
        self.run()
    }

    fn end(&mut self) -> Result<(), CallError> {
        Ok(self.caller.close()?)
    }

    fn cancel(&mut self) -> Result<(), CallError> {
        self.caller.cancel()?;
        self.run()
    }

    fn refuses_wrong_kinds(&self) -> bool {
        true
    }

    fn may_be_wrong_kind(&self, error: &TransportError) -> bool {
        // Too many or too few headers.
        matches!(error.downcast_ref(), Some(ResponseError::Streams(_)))
    }

    fn resume_token(&self) -> Option<ResumeToken> {
        self.caller.resume_token()
    }

    fn resume(&mut self, call: &Call<'_>, token: &ResumeToken) -> Result<(), CallError> {
        Ok(self.caller.resume(call, token.clone())?)
    }

    fn upload_urls(&mut self, count: u8) -> Result<Vec<UploadUrl>, CallError> {
        self.caller.request_upload_urls(count)?;
        self.run()?;
        let mut answer = Err(RpcError::new("ProtocolError", "the answer is empty").into());
        while let Next::Event(event) = self.caller.poll_event() {
            match event {
                Event::Output(batch, _) => answer = upload_urls(&batch).map_err(CallError::from),
                Event::Failed(error) => answer = Err(error.into()),
                Event::Header(..) | Event::Log(_) | Event::Finished => {}
            }
        }
        answer
    }

    fn next_event(&mut self) -> Result<Event, CallError> {
        match self.caller.poll_event() {
            Next::Event(event) => Ok(event),
            _ => {
                let (command, when) = ("next_event", "while an answer is due");
                Err(CommandError::Misuse { command, when }.into())
            }
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        self.caller.retry_after()
    }

    fn flush(&mut self) -> Result<(), CallError> {
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}
