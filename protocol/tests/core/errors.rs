//! How errors print: each cause once, and a peer's text in one line.

use arrow_schema::{ArrowError, DataType};
use std::error::Error;
use vgi_rpc_protocol::client::{Connection, Event};
#[cfg(feature = "http")]
use vgi_rpc_protocol::http::{client::ResponseError, coding};
use vgi_rpc_protocol::ipc::{EncodeError, FramingError, MessageError, ReadError};
use vgi_rpc_protocol::memory::{Account, OverBudget};
use vgi_rpc_protocol::reflection::{self, HashError, UnknownType};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{CommandError, ConnectionError, Limits, Next};

/// Text that would control a terminal.
const HOSTILE: &str = "a\u{1b}[2Jb\r\nc\u{202e}d";
const SHOWN: &str = "a\\u{1b}[2Jb\\r\\nc\\u{202e}d";

/// Checks that no error of the chain repeats an earlier one. Returns the chain as one text.
#[track_caller]
fn says_each_thing_once(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        assert!(!text.contains(&next), "{text:?} says {next:?} already");
        text = format!("{text}: {next}");
        source = error.source();
    }
    text
}

fn over_budget() -> OverBudget {
    OverBudget { wanted: 3, used: 2, limit: 1 }
}

/// Returns an Arrow error with a cause.
fn arrow() -> ArrowError {
    ArrowError::ExternalError(Box::new(ArrowError::ComputeError("the cause".into())))
}

#[test]
fn an_error_and_its_sources_say_each_thing_once() {
    let (framing, message) = (FramingError::EmptyStream, MessageError::Arrow("the cause".into()));
    let errors: Vec<(Box<dyn Error>, String)> = vec![
        (Box::new(ConnectionError::from(framing.clone())), framing.to_string()),
        (Box::new(CommandError::from(arrow())), "the cause".into()),
        (Box::new(CommandError::from(over_budget())), over_budget().to_string()),
        (Box::new(EncodeError::from(arrow())), "the cause".into()),
        (Box::new(EncodeError::from(over_budget())), over_budget().to_string()),
        (Box::new(FramingError::from(over_budget())), over_budget().to_string()),
        (Box::new(MessageError::from(over_budget())), over_budget().to_string()),
        (Box::new(ReadError::from(framing.clone())), framing.to_string()),
        (Box::new(ReadError::from(message.clone())), "the cause".into()),
        (Box::new(reflection::DecodeError::from(ReadError::from(message.clone()))), "the cause".into()),
        (
            Box::new(reflection::DecodeError::Schema { column: "c", error: message.into() }),
            "the cause".into(),
        ),
        (
            Box::new(HashError {
                method: "m".into(),
                field: "f".into(),
                error: UnknownType(DataType::Float16),
            }),
            UnknownType(DataType::Float16).to_string(),
        ),
        #[cfg(feature = "http")]
        (Box::new(coding::DecodeError::from(over_budget())), over_budget().to_string()),
        #[cfg(feature = "http")]
        (Box::new(ResponseError::from(coding::DecodeError::from(over_budget()))), over_budget().to_string()),
        #[cfg(feature = "http")]
        (Box::new(ResponseError::from(ConnectionError::from(framing.clone()))), framing.to_string()),
        (Box::new(RpcError::value_error("the cause").with_cause("another")), "the cause".into()),
    ];
    for (error, cause) in errors {
        let text = says_each_thing_once(&*error);
        assert!(text.contains(&cause), "{text:?} does not say {cause:?}");
    }
}

/// Returns an error answer with the hostile text.
fn answer() -> RpcError {
    use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
    use vgi_rpc_protocol::server::{self, Config, InputStream};
    let mut client = Connection::new(Limits::default());
    let schema = EncodedSchema::empty();
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(1));
    let params =
        arrow_array::RecordBatch::try_new_with_options(schema.schema().clone(), vec![], &options).unwrap();
    let kind = vgi_rpc_protocol::client::CallKind::Unary;
    let metadata: Metadata =
        [("vgi_rpc.method", "m"), ("vgi_rpc.protocol", "a.A.v1"), ("vgi_rpc.request_version", "1")]
            .into_iter()
            .collect();
    client.send_request(kind, &schema, &params, &metadata).unwrap();
    let mut server = server::Connection::new(Config {
        server_id: "errors000000".into(),
        include_tracebacks: true,
        takes_pointers: false,
        limits: Limits::default(),
        account: Account::default(),
        request_ids: vgi_rpc_protocol::IdSource::seeded(1),
    });
    while let Some(segment) = client.poll_transmit().and_then(|outbox| outbox.pop_segment()) {
        server.receive(segment);
    }
    assert!(matches!(server.poll_event(), Ok(Next::Event(server::Event::Request(_)))));
    server.refuse(&schema, &RpcError::new(HOSTILE, HOSTILE), InputStream::None).unwrap();
    while let Some(segment) = server.poll_transmit().and_then(|outbox| outbox.pop_segment()) {
        client.receive(segment);
    }
    match client.poll_event() {
        Ok(Next::Event(Event::Failed(error))) => error,
        other => panic!("expected an error, got {other:?}"),
    }
}

#[test]
fn a_peers_text_does_not_reach_a_terminal_as_it_is() {
    let arrow = || ArrowError::SchemaError(HOSTILE.into());
    let errors: [Box<dyn Error>; 8] = [
        Box::new(RpcError::new("Made", HOSTILE)),
        Box::new(RpcError::new(HOSTILE, "made")),
        Box::new(answer()),
        Box::new(MessageError::from(arrow())),
        Box::new(MessageError::Inconsistent { expected: HOSTILE.into(), got: HOSTILE.into() }),
        Box::new(CommandError::from(arrow())),
        Box::new(EncodeError::from(arrow())),
        Box::new(reflection::DecodeError::Value { column: "c", value: HOSTILE.into() }),
    ];
    for error in errors {
        let (shown, debugged) = (error.to_string(), format!("{error:?}"));
        for text in [&shown, &debugged] {
            assert!(!text.contains(|letter: char| letter.is_control() || letter == '\u{202e}'), "{text:?}");
        }
        assert!(shown.contains(SHOWN), "{shown}");
    }
    // The program still gets the original text.
    assert!(answer().message().contains(HOSTILE));
    assert_eq!(answer().error_type(), HOSTILE);
}
