//! A service whose calls use effects, wait for one another's sticky session, or wait for a test.

use super::client::{Answer, Call, Client, post_with, without_arguments};
use super::{Calls, PROTOCOL};
use arrow_schema::DataType;
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_effects::Performer;
use vgi_rpc_http::{HttpServer, system_entropy};
use vgi_rpc_protocol::effect::{Answers, Completion, Failure, Question, Request};
use vgi_rpc_protocol::http::auth::{AuthError, AuthRequest, Reason, bearer};
use vgi_rpc_protocol::http::{Endpoint, EndpointBuilder, Sticky};
use vgi_rpc_protocol::service::{AuthContext, CallContext, Method, Protocol, Service, Stop};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;

/// The gates where effects and handlers wait.
#[derive(Clone, Default)]
pub struct Gates {
    pub effects: Calls,
    pub handlers: Calls,
}

/// How long the authenticator's question may take.
pub const LIMIT: Duration = Duration::from_millis(200);

impl Gates {
    /// Returns a service of these methods:
    ///
    /// | method | |
    /// | --- | --- |
    /// | `who` | returns the name of the caller |
    /// | `asked` | requests an effect before it runs, which is performed at once |
    /// | `gated` | requests an effect before it runs, which waits for the gate of effects |
    /// | `open` | opens a session, which counts its calls |
    /// | `count` | returns the number of calls of the session |
    /// | `hold` | the same, and waits in the handler |
    /// | `talk` | logs twice, and waits in between |
    fn service(&self) -> Arc<Service> {
        let (hold, talk) = (self.handlers.clone(), self.handlers.clone());
        let counted = |context: &mut CallContext| {
            let count = context.session::<i64>().ok_or_else(|| RpcError::runtime_error("no session"))?;
            *count += 1;
            Ok(*count)
        };
        let protocol = Protocol::new(PROTOCOL).methods([
            Method::new("who")
                .returns(DataType::Utf8)
                .unary(|_, context| Ok(context.peer().auth.principal.to_string())),
            Method::new("asked").returns(DataType::Int64).unary(|_, _| Ok(1_i64)),
            Method::new("gated").returns(DataType::Int64).unary(|_, _| Ok(2_i64)),
            Method::new("open").returns(DataType::Int64).unary(|_, context| {
                context.open_session(0_i64, None)?;
                Ok(0_i64)
            }),
            Method::new("count").returns(DataType::Int64).unary(move |_, context| counted(context)),
            Method::new("hold").returns(DataType::Int64).unary(move |_, context| {
                hold.pass_gate();
                counted(context)
            }),
            Method::new("talk").returns(DataType::Int64).unary(move |_, context| {
                context.log(LogMessage::info("before the gate"));
                talk.pass_gate();
                context.log(LogMessage::info("behind the gate"));
                Ok(3_i64)
            }),
        ]);
        let admission = |call: &CallContext, answers: &Answers| {
            if !["asked", "gated"].contains(&call.method()) {
                return Ok(());
            }
            match answers.ask("may it", || Question::new(call.method().to_owned()))?? {
                answer if answer.value() == Some(&true) => Ok(()),
                _ => Err(Stop::Refuse(RpcError::runtime_error("another question's answer"))),
            }
        };
        Arc::new(Service::builder("test-server").protocol(protocol).admit(admission).build().unwrap())
    }

    /// Returns an endpoint of the service, with sticky sessions and records.
    pub fn endpoint(&self) -> EndpointBuilder {
        let sticky = Sticky::default();
        Endpoint::builder(self.service(), system_entropy).compress(false).record_calls(true).sticky(sticky)
    }

    /// Returns a server of an endpoint with one thread for handlers and one for effects.
    pub fn server(&self, endpoint: EndpointBuilder) -> HttpServer {
        let gates = self.clone();
        let perform = move |request: &Request| {
            let Request::Question(question) = request else { return Failure::unsupported().into() };
            if let Some(Token(token)) = question.payload() {
                if token.starts_with("slow") {
                    gates.effects.pass_gate();
                }
                return Completion::value(token.clone());
            }
            if question.payload::<String>().is_some_and(|method| method == "gated") {
                gates.effects.pass_gate();
            }
            Completion::value(true)
        };
        let performer = Performer::new(perform).threads(1);
        HttpServer::new(endpoint.build().unwrap()).threads(1).effects(performer)
    }
}

/// Asked by [`authenticated`]: who owns the token. In the tests that is the token's own text.
struct Token(String);

/// Authenticates callers with a question, which may take [`LIMIT`].
pub fn authenticated(endpoint: EndpointBuilder) -> EndpointBuilder {
    endpoint.authenticate(bearer(|token: &str, request: &AuthRequest<'_>| {
        let question = || Question::new(Token(token.to_owned())).time_limit(LIMIT);
        match request.ask("whose", question)?.value::<String>() {
            Some(name) => Ok(AuthContext::new("tests", name.as_str())),
            None => Err(AuthError::refused(Reason::InvalidCredential, "another question's answer")),
        }
    }))
}

/// Returns a call without arguments.
pub fn plain(method: &'static str) -> Vec<u8> {
    super::client::post(&without_arguments(method))
}

/// Returns a call with a bearer token.
pub fn as_whom(method: &'static str, token: &str) -> Vec<u8> {
    post_with(&without_arguments(method), "1.1", &[&format!("Authorization: Bearer {token}")])
}

/// Opens a session. Returns the value of the header that names it.
pub fn session(client: &mut Client) -> String {
    let call: Call = without_arguments("open");
    let answer: Answer = client.call(post_with(&call, "1.1", &["VGI-Session-Accept: true"]));
    answer.field("vgi-session").expect("a session was opened").to_owned()
}

/// Returns a call within a session.
pub fn within(session: &str, method: &'static str) -> Vec<u8> {
    post_with(
        &without_arguments(method),
        "1.1",
        &["VGI-Session-Accept: true", &format!("VGI-Session: {session}")],
    )
}
