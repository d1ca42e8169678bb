//! Instructions only for HTTP: capabilities, upload URLs, and the stack of sessions. CLIENT_DRIVER_PROTOCOL 4.10.

use crate::instruction::Instruction;
use crate::reply::{Reply, SharedLogs};
use serde_json::{Map, Value, json};
use vgi_rpc_http::client::{Client, External, HttpClient, Session, SessionState};
use vgi_rpc_protocol::effect::UploadUrl;
use vgi_rpc_protocol::http::capabilities::Capabilities;

/// One server, and its open sessions.
pub struct Http {
    server: HttpClient,
    /// Innermost last.
    sessions: Vec<Session>,
    logs: SharedLogs,
    /// Fetches objects, if enabled.
    external: Option<External>,
}

impl Http {
    pub fn new(server: HttpClient, logs: SharedLogs, external: Option<External>) -> Self {
        Self { server, sessions: Vec::new(), logs, external }
    }

    /// Returns the client of the innermost session.
    pub fn client(&mut self) -> Option<&mut Client> {
        self.sessions.last_mut().map(|session| &mut **session)
    }

    /// Ends the sessions on the server, innermost first.
    pub fn close(self) {
        self.sessions.into_iter().rev().for_each(drop);
    }

    /// Executes an instruction that is only for HTTP.
    pub fn carry_out(&mut self, instruction: Instruction) -> Result<Reply, Reply> {
        match instruction {
            Instruction::Capabilities => {
                let capabilities = self.server.capabilities().map_err(|error| Reply::failed(&error))?;
                Ok(Reply::ok().with("caps", capabilities_object(&capabilities)))
            }
            Instruction::RequestUploadUrls { count } => {
                let urls = self.server.client().upload_urls(count).map_err(|error| Reply::failed(&error))?;
                Ok(Reply::ok().with("urls", urls.iter().map(url_object).collect::<Vec<_>>()))
            }
            Instruction::SessionBegin { token } => self.begin(token.filter(|token| !token.is_empty())),
            Instruction::SessionToken => {
                let token = self.innermost()?.state().token().map(ToOwned::to_owned);
                Ok(Reply::ok().with("token", token))
            }
            Instruction::SessionEchoHeaders => {
                let state = self.innermost()?.state();
                let headers = state.echoed().iter().filter_map(|(name, value)| {
                    Some((name.as_str().to_owned(), value.to_str().ok()?.into()))
                });
                Ok(Reply::ok().with("headers", headers.collect::<Map<String, Value>>()))
            }
            Instruction::SessionDetach => {
                let next = self.another();
                let detached = std::mem::replace(self.innermost()?, next).leave_open();
                Ok(Reply::ok().with("token", detached.token()))
            }
            Instruction::SessionEnd => match self.sessions.pop().map(Session::close) {
                None | Some(Ok(())) => Ok(Reply::ok()),
                Some(Err(error)) => Err(Reply::failed(&error)),
            },
            _ => Err(Reply::refused("the instruction is not for HTTP")),
        }
    }

    fn begin(&mut self, token: Option<String>) -> Result<Reply, Reply> {
        let session = match token {
            Some(token) => {
                let state = SessionState::from_token(&token);
                let state =
                    state.map_err(|error| Reply::refused(format!("not a session's token: {error}")))?;
                self.prepared(self.server.resume(state))
            }
            None => self.another(),
        };
        self.sessions.push(session);
        Ok(Reply::ok())
    }

    /// Returns a session that no call has opened yet.
    fn another(&self) -> Session {
        self.prepared(self.server.session())
    }

    fn prepared(&self, mut session: Session) -> Session {
        let logs = self.logs.clone();
        session.set_on_log(move |log| logs.push(log));
        if let Some(external) = &self.external {
            session.set_external(external.clone());
        }
        session
    }

    fn innermost(&mut self) -> Result<&mut Session, Reply> {
        self.sessions.last_mut().ok_or_else(|| Reply::refused("no session was begun"))
    }
}

fn capabilities_object(capabilities: &Capabilities) -> Value {
    let sticky = capabilities.sticky.as_ref();
    let echo_headers = sticky.map(|sticky| sticky.echo_headers.iter().map(|name| name.as_str()));
    json!({
        "sticky_enabled": sticky.is_some(),
        "sticky_default_ttl": sticky.and_then(|sticky| sticky.default_ttl).map(|ttl| ttl.as_secs()),
        "sticky_echo_headers": echo_headers.into_iter().flatten().collect::<Vec<_>>(),
        "upload_url_support": capabilities.upload.is_some(),
        "max_request_bytes": capabilities.max_request_bytes,
        "max_response_bytes": capabilities.max_response_bytes,
        "max_externalized_response_bytes": capabilities.max_externalized_response_bytes,
        "externalization_enabled": capabilities.externalization,
        "max_upload_bytes": capabilities.upload.and_then(|upload| upload.max_bytes),
        "supported_encodings": capabilities.encodings.iter().map(|coding| coding.as_str()).collect::<Vec<_>>(),
    })
}

fn url_object(url: &UploadUrl) -> Value {
    json!({
        "upload_url": url.upload_url,
        "download_url": url.download_url,
        "expires_at": url.expires_at.as_secs(),
    })
}
