//! Events sent to Sentry, through its SDK and the SDK's test transport: calls over HTTP, in process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use arrow_array::{ArrayRef, BinaryArray, Int64Array, ListArray, RecordBatch, StringArray, types::Int64Type};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use sentry_core::protocol::{Context, EnvelopeItem, Event, SpanStatus, Transaction};
use sentry_core::test::TestTransport;
use sentry_core::{Breadcrumb, ClientOptions, Hub, Level};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_effects::run_inline;
use vgi_rpc_protocol::Next;
use vgi_rpc_protocol::client::{Call, CallKind, Event as Told};
use vgi_rpc_protocol::effect::Failure;
use vgi_rpc_protocol::http::auth::{AuthContext, AuthError, AuthRequest};
use vgi_rpc_protocol::http::client::{ClientMachine, Settings};
use vgi_rpc_protocol::http::{Body, Endpoint, RequestOrigin};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::service::{Method, MethodSpec, Producer, Protocol, Service, Stream, Turn};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_sentry::{Sentry, SentryConfig};

const PROTOCOL: &str = "test.Sentry.v1";

#[derive(Serialize, Deserialize)]
struct Nothing;

impl Producer for Nothing {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        turn.finish()
    }
}

fn methods() -> Vec<MethodSpec> {
    vec![
        Method::new("fail").param("code", DataType::Utf8).returns(DataType::Int64).unary(|args, _| {
            let code = args.get::<&str>("code")?.to_owned();
            let code = Code::ALL.into_iter().find(|known| known.as_str() == code).unwrap_or_default();
            Err::<i64, _>(RpcError::new("ValueError", "as asked").with_code(code))
        }),
        Method::new("panic").unary(|_, _| -> Result<(), _> { std::panic::panic_any("on purpose") }),
        Method::new("tell").unary(|_, _| {
            Hub::current().add_breadcrumb(Breadcrumb {
                message: Some("from the handler".into()),
                ..Default::default()
            });
            Hub::current().capture_message("told by the handler", Level::Info);
            Ok(())
        }),
        Method::new("take")
            .param("table", DataType::Utf8)
            .param("password", DataType::Utf8)
            .param("count", DataType::Int64)
            .param("blob", DataType::Binary)
            .param("list", DataType::new_list(DataType::Int64, true))
            .param("attach_id", DataType::Binary)
            .unary(|_, _| Err::<(), _>(RpcError::runtime_error("as asked"))),
        Method::new("nothing")
            .output(Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)])))
            .producer(|_, _| Ok(Stream::new(Nothing))),
    ]
}

/// Returns the caller that a header names.
fn authenticate(request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
    Ok(match request.header("x-caller")? {
        Some(name) => AuthContext::new("test", name)
            .with_claim("preferred_username", "Ann")
            .with_claim("email", "ann@example.org")
            .with_claim("name", Value::Null)
            .with_claim("tenant", "north")
            .with_claim("groups", json!(["a"])),
        None => AuthContext::anonymous(),
    })
}

/// A server whose thread has a Sentry client.
struct Server {
    endpoint: Arc<Endpoint>,
    hub: Arc<Hub>,
    transport: Arc<TestTransport>,
}

impl Server {
    fn new(config: SentryConfig) -> Self {
        let service = Service::builder("sentry-server")
            .protocol(Protocol::new(PROTOCOL).methods(methods()))
            .hook(Sentry::new(config))
            .build()
            .unwrap();
        let endpoint = Endpoint::builder(Arc::new(service), |bytes| bytes.fill(7)).authenticate(authenticate);
        let transport = TestTransport::new();
        let options = ClientOptions::new()
            .dsn("https://public@sentry.example/1")
            .transport(transport.clone())
            .traces_sample_rate(1.0);
        let hub = Arc::new(Hub::new(Some(Arc::new(options.into())), Arc::default()));
        Self { endpoint: endpoint.build().unwrap(), hub, transport }
    }

    fn call(&self, method: &str, params: &RecordBatch, headers: &[(&'static str, &str)]) {
        self.call_of_kind(method, CallKind::Unary, params, headers);
    }

    fn call_of_kind(
        &self,
        method: &str,
        kind: CallKind,
        params: &RecordBatch,
        headers: &[(&'static str, &str)],
    ) {
        let mut settings = Settings::default();
        settings.max_response_bytes = None;
        for (name, value) in headers {
            settings.headers.insert(*name, value.parse().unwrap());
        }
        let mut client = ClientMachine::new(settings).unwrap();
        let (protocol, metadata) = (PROTOCOL, Metadata::new());
        let call = Call { protocol, method, protocol_version: None, request_id: None, kind, metadata };
        let schema = EncodedSchema::new(params.schema()).unwrap();
        client.call(&call, &schema, params).unwrap();
        while let Some(request) = client.poll_request() {
            let (head, body) = request.into_parts();
            let answer = Hub::run(self.hub.clone(), || {
                let transaction = self.endpoint.begin(head, RequestOrigin::default());
                let body = |_| Body::Whole(Bytes::from(body.concat()));
                let unasked = |_: &_| Failure::unsupported().into();
                run_inline(transaction, body, &|| Duration::ZERO, unasked).unwrap()
            });
            client.receive(answer.response.map(|body| Bytes::from(body.concat()))).unwrap();
        }
        while let Next::Event(
            Told::Log(_) | Told::Output(..) | Told::Failed(_) | Told::Finished | Told::Header(..),
        ) = client.poll_event()
        {}
    }

    fn fail(&self, code: &str) {
        self.call("fail", &row([("code", text(code))]), &[]);
    }

    /// Returns the events and transactions sent since the last call.
    fn sent(&self) -> (Vec<Event<'static>>, Vec<Transaction<'static>>) {
        let (mut events, mut transactions) = (Vec::new(), Vec::new());
        for envelope in self.transport.fetch_and_clear_envelopes() {
            for item in envelope.items() {
                match item {
                    EnvelopeItem::Event(event) => events.push(event.as_ref().clone()),
                    EnvelopeItem::Transaction(transaction) => transactions.push(transaction.as_ref().clone()),
                    _ => {}
                }
            }
        }
        (events, transactions)
    }

    fn event(&self) -> Event<'static> {
        let (events, transactions) = self.sent();
        assert!(events.len() == 1 && transactions.is_empty(), "{events:?} {transactions:?}");
        events.into_iter().next().unwrap()
    }

    fn transaction(&self) -> Transaction<'static> {
        let (events, transactions) = self.sent();
        assert!(transactions.len() == 1, "{events:?} {transactions:?}");
        transactions.into_iter().next().unwrap()
    }
}

fn text(text: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![text]))
}

fn row<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    let fields: Vec<_> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), false)).collect();
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(1));
    let columns = columns.map(|(_, column)| column).to_vec();
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).unwrap()
}

fn taken(table: &str) -> RecordBatch {
    row([
        ("table", text(table)),
        ("password", text("s3cr3t")),
        ("count", Arc::new(Int64Array::from(vec![7]))),
        ("blob", Arc::new(BinaryArray::from(vec![&b"bytes"[..]]))),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some((0..500).map(Some))]))),
        ("attach_id", Arc::new(BinaryArray::from(vec![&[0xab_u8, 0xcd][..]]))),
    ])
}

#[test]
fn faults_of_the_server_are_reported_and_nothing_else() {
    let server = Server::new(SentryConfig::new());
    for code in Code::ALL.map(Code::as_str) {
        server.fail(code);
        let (events, transactions) = server.sent();
        let reported = ["UNKNOWN", "INTERNAL", "DATA_LOSS"].contains(&code);
        assert_eq!((events.len(), transactions.len()), (usize::from(reported), 0), "{code}");
    }
    server.call("panic", &row([]), &[]);
    assert_eq!(server.event().exception[0].value.as_deref(), Some("the handler panicked: on purpose"));
    // A request that matches no method is not a call.
    server.call("missing", &row([]), &[]);
    assert_eq!(server.sent().0.len(), 0);
}

#[test]
fn an_event_says_which_call_it_was_and_whose() {
    let server =
        Server::new(SentryConfig::new().tag("deployment", "test").claim_tag("tenant", "auth.tenant"));
    server.call("fail", &row([("code", text("INTERNAL"))]), &[("x-caller", "ann-1")]);
    let event = server.event();
    let exception = &event.exception[0];
    assert_eq!((exception.ty.as_str(), exception.value.as_deref()), ("ValueError", Some("as asked")));
    assert_eq!((event.level, event.transaction.as_deref()), (Level::Error, Some("rpc fail")));
    let tags: Vec<_> = event.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("auth.authenticated", "true"),
        ("auth.domain", "test"),
        ("auth.tenant", "north"),
        ("deployment", "test"),
        ("rpc.method", "fail"),
        ("rpc.method_type", "unary"),
    ];
    assert_eq!(tags, expected);
    let Context::Other(context) = &event.contexts["rpc"] else { panic!("{:?}", event.contexts) };
    let mut context = json!(context);
    let id = context.as_object_mut().unwrap().remove("request_id");
    assert!(id.is_some_and(|id| id.as_str().is_some_and(|id| !id.is_empty())));
    let expected = json!({ "method": "fail", "method_type": "unary", "service": PROTOCOL, "server_id": "sentry-server" });
    assert_eq!(context, expected);
    let user = event.user.unwrap();
    assert_eq!((user.id.as_deref(), user.username.as_deref()), (Some("ann-1"), Some("Ann")));
    assert_eq!((user.email.as_deref(), user.other.len()), (Some("ann@example.org"), 0));

    server.fail("INTERNAL");
    let event = server.event();
    assert_eq!((event.user, event.tags["auth.authenticated"].as_str()), (None, "false"));
}

#[test]
fn settings_change_what_is_reported() {
    let server = Server::new(SentryConfig::new().ignored_error_codes([]));
    server.fail("NOT_FOUND");
    assert_eq!(server.sent().0.len(), 1);
    let server = Server::new(SentryConfig::new().ignore_error_type("ValueError"));
    server.fail("INTERNAL");
    assert_eq!(server.sent().0.len(), 0);
    let server = Server::new(SentryConfig::new().enable_error_capture(false));
    server.fail("INTERNAL");
    assert_eq!(server.sent().0.len(), 0);
    let bare = SentryConfig::new().record_request_context(false).set_transaction_name(false);
    let server = Server::new(bare);
    server.call("fail", &row([("code", text("INTERNAL"))]), &[("x-caller", "ann-1")]);
    let event = server.event();
    assert_eq!((event.user, event.transaction, event.contexts.contains_key("rpc")), (None, None, false));
    assert_eq!(event.tags.len(), 2);
}

#[test]
fn what_handlers_tell_sentry_is_of_their_call_alone() {
    let server = Server::new(SentryConfig::new());
    for _ in 0..2 {
        server.call("tell", &row([]), &[]);
        let event = server.event();
        assert_eq!(event.message.as_deref(), Some("told by the handler"));
        assert_eq!((event.tags["rpc.method"].as_str(), event.breadcrumbs.len()), ("tell", 1));
    }
    // The server's own hub has none of this.
    server.hub.capture_message("outside", Level::Info);
    let event = server.event();
    assert!(event.tags.is_empty() && event.breadcrumbs.is_empty());
}

#[test]
fn parameters_are_sent_only_if_asked_for_redacted_and_cut() {
    let long = "é".repeat(1000);
    let everything = |server: &Server| {
        server.call("take", &taken(&long), &[]);
        let (events, transactions) = server.sent();
        (format!("{events:?} {transactions:?}"), events, transactions)
    };
    let (said, events, transactions) = everything(&Server::new(SentryConfig::new().enable_performance(true)));
    assert!(!said.contains("rpc.param") && !said.contains("s3cr3t"), "{said}");
    // The id is hashed.
    let tag = &events[0].tags["vgi.attach_id"];
    assert_eq!(tag, "88d4266fd4e6", "SHA-256 of the hex digits");
    assert_eq!(data_of(&transactions[0])["vgi.attach_id"], tag.as_str());

    let config = SentryConfig::new().enable_performance(true).record_params(true).tag_param("count");
    let config = config.tag_param("password").tag_param("table");
    let (said, events, transactions) = everything(&Server::new(config));
    assert!(!said.contains("s3cr3t") && !said.contains("rpc.param.blob"), "{said}");
    let data = data_of(&transactions[0]);
    assert_eq!(data["rpc.param.count"], 7);
    assert_eq!(data["rpc.param.table"], "é".repeat(512));
    let list = data["rpc.param.list"].as_array().unwrap();
    assert!(list.len() < 500 && list.iter().map(|item| item.to_string().len()).sum::<usize>() <= 1024);
    let tags = &events[0].tags;
    assert_eq!((tags["rpc.param.count"].as_str(), &tags["rpc.param.table"]), ("7", &"é".repeat(200)));
    assert!(!tags.contains_key("rpc.param.password"));

    // A value that looks like a credential never reaches the function, nor goes from it to Sentry.
    let redact = |mut parameters: Map<String, Value>| {
        assert!(!parameters.contains_key("password"));
        parameters.retain(|name, _| name == "count");
        parameters.insert("count".into(), "hidden".into());
        parameters.insert("new_password".into(), "s3cr3t".into());
        parameters
    };
    let config = SentryConfig::new().enable_performance(true).record_params(true).redactor(redact);
    let (said, _, transactions) = everything(&Server::new(config));
    assert_eq!(data_of(&transactions[0])["rpc.param.count"], "hidden");
    assert!(!said.contains("rpc.param.table") && !said.contains("s3cr3t"), "{said}");

    // A redactor that returns its input unchanged replaces nothing.
    let config = SentryConfig::new().enable_performance(true).record_params(true).tag_param("password");
    let (said, _, transactions) = everything(&Server::new(config.redactor(|parameters| parameters)));
    assert!(!said.contains("s3cr3t"), "{said}");
    assert_eq!(data_of(&transactions[0])["rpc.param.count"], 7);
}

#[test]
fn columns_that_the_method_does_not_declare_are_not_sent() {
    let config = SentryConfig::new().enable_performance(true).record_params(true);
    let config = config.tag_param("undeclared").tag_param("code").ignored_error_codes([]);
    let server = Server::new(config);
    let request =
        [("code", text("NOT_FOUND")), ("undeclared", text("leak-1")), ("attach_id", text("leak-2"))];
    server.call("fail", &row(request), &[]);
    let (events, transactions) = server.sent();
    assert_eq!(events[0].tags["rpc.param.code"], "NOT_FOUND");
    assert!(!events[0].tags.contains_key("vgi.attach_id"), "{:?}", events[0].tags);
    // The request's error contains the names of the columns, but none of their values.
    let data = data_of(&transactions[0]);
    assert_eq!(data["rpc.param.code"], "NOT_FOUND");
    assert!(!data.keys().any(|name| name.contains("undeclared") || name.contains("attach")), "{data:?}");
    assert!(!format!("{events:?} {transactions:?}").contains("leak"));
}

/// Returns the data of a transaction.
fn data_of(transaction: &Transaction<'_>) -> Map<String, Value> {
    let Context::Trace(trace) = &transaction.contexts["trace"] else { panic!("{transaction:?}") };
    trace.data.clone().into_iter().chain(transaction.extra.clone()).collect()
}

#[test]
fn performance_is_a_span_for_each_call() {
    let server = Server::new(SentryConfig::new().enable_performance(true));
    for (code, status) in [
        ("INTERNAL", SpanStatus::InternalError),
        ("UNKNOWN", SpanStatus::InternalError),
        ("NOT_FOUND", SpanStatus::NotFound),
        ("CANCELLED", SpanStatus::Cancelled),
    ] {
        server.fail(code);
        let transaction = server.transaction();
        assert_eq!(transaction.name.as_deref(), Some("vgi_rpc/fail"));
        let Context::Trace(trace) = &transaction.contexts["trace"] else { panic!("{transaction:?}") };
        assert_eq!((trace.op.as_deref(), trace.status), (Some("rpc.server"), Some(status)));
        let data = data_of(&transaction);
        assert_eq!((&data["rpc.system"], &data["rpc.method"]), (&"vgi_rpc".into(), &"fail".into()));
        assert_eq!((&data["rpc.service"], &data["rpc.method_type"]), (&PROTOCOL.into(), &"unary".into()));
    }
    server.call_of_kind("nothing", CallKind::Stream { header: false }, &row([]), &[]);
    let transaction = server.transaction();
    let id = data_of(&transaction)["rpc.stream_id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 32);
    let Context::Trace(trace) = &transaction.contexts["trace"] else { panic!("{transaction:?}") };
    assert_eq!(trace.status, Some(SpanStatus::Ok));
}

#[test]
fn a_span_continues_the_trace_that_it_is_in() {
    let server = Server::new(SentryConfig::new().enable_performance(true));
    let (trace, parent) = ("09e04486820349518ac7b5d2adbf6ba5", "9cf635fa5b870b3a");
    server.call("tell", &row([]), &[("sentry-trace", &format!("{trace}-{parent}-1"))]);
    let (events, transactions) = server.sent();
    for contexts in [&events[0].contexts, &transactions[0].contexts] {
        let Context::Trace(context) = &contexts["trace"] else { panic!("{contexts:?}") };
        assert_eq!(context.trace_id.to_string(), trace);
    }
    let Context::Trace(context) = &transactions[0].contexts["trace"] else { panic!("{transactions:?}") };
    assert_eq!(context.parent_span_id.unwrap().to_string(), parent);

    // A caller decides on sampling only if callers are trusted.
    let unsampled = [("sentry-trace", &*format!("{trace}-{parent}-0"))];
    server.call("tell", &row([]), &unsampled);
    let transaction = server.transaction();
    let Context::Trace(context) = &transaction.contexts["trace"] else { panic!("{transaction:?}") };
    assert_eq!(context.parent_span_id.unwrap().to_string(), parent);
    let trusting = Server::new(SentryConfig::new().enable_performance(true).trust_callers(true));
    trusting.call("tell", &row([]), &unsampled);
    assert_eq!(trusting.sent().1.len(), 0);

    // Within a transaction of the application, it is a child of that.
    let outer = Hub::run(server.hub.clone(), || {
        let context = sentry_core::TransactionContext::new("outer", "test");
        sentry_core::start_transaction(context)
    });
    server.hub.configure_scope(|scope| scope.set_span(Some(outer.clone().into())));
    server.call("tell", &row([]), &[]);
    outer.finish();
    let transaction = server.transaction();
    // The transaction has the call's name.
    assert_eq!((transaction.name.as_deref(), transaction.spans.len()), (Some("rpc tell"), 1));
    let span = &transaction.spans[0];
    assert_eq!((span.description.as_deref(), span.op.as_deref()), (Some("vgi_rpc/tell"), Some("rpc.server")));
    assert_eq!(span.data["rpc.method"], "tell");
}

#[test]
fn without_a_client_nothing_happens() {
    let server = Server::new(SentryConfig::new());
    server.hub.bind_client(None);
    server.fail("INTERNAL");
    assert!(server.sent().0.is_empty());
}
