//! States restored over HTTP: with the protocol's shared value and the caller, and with the call's constant state.

use super::support::*;
use crate::ask::{Tokens, With, init, tick as http_tick, turn as http_turn};
use crate::common::batches::*;
use crate::common::scenarios::{send, stream, tick, values};
use crate::serve::{Server, serve};
use arrow_array::RecordBatch;
use arrow_schema::DataType;
use bytes::Bytes;
use http::Request;
use serde::ser::Error;
use serde::{Deserialize, Serialize, Serializer};
use vgi_rpc_protocol::http::auth::{AuthContext, bearer_static};
use vgi_rpc_protocol::service::{CallContext, Method, MethodSpec, Producer, Saved, State, Stream, Turn};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::RpcError;

/// A producer whose limit is not part of its serialised state.
struct Bounded {
    next: i64,
    settings: Settings,
}

#[derive(Serialize, Deserialize)]
struct Settings {
    count: i64,
    filler: String,
}

impl Producer for Bounded {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.next >= self.settings.count {
            return turn.finish();
        }
        self.next += 1;
        turn.emit_columns(vec![int(self.next - 1)])
    }
}

impl Serialize for Bounded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.next.serialize(serializer)
    }
}

fn restore_bounded(saved: Saved<'_>, context: &mut CallContext) -> Result<State, RpcError> {
    let (next, settings): (i64, Settings) = (saved.state()?, saved.call_state()?);
    let who = &context.auth().principal;
    journal(context).note(format!("restore {next} for {who}"));
    Ok(State::producer(Bounded { next, settings }))
}

fn bounded() -> MethodSpec {
    Method::new("bounded")
        .param("count", DataType::Int64)
        .param("filler", DataType::UInt64)
        .output(schema([("n", DataType::Int64)]))
        .stream(
            |args, _| {
                // These must not compress to almost nothing.
                let digits =
                    (0..args.get::<u64>("filler")?).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40);
                let filler: String = digits.map(|digits| format!("{digits:06x}")).collect();
                let count = args.get("count")?;
                let settings = Settings { count, filler: filler.clone() };
                let state = State::producer(Bounded { next: 0, settings: Settings { count, filler } });
                Stream::new(state).with_call_state(&settings)
            },
            restore_bounded,
        )
}

/// Returns a method that restores its state with this function.
fn restored(
    restore: impl Fn(Saved<'_>, &mut CallContext) -> Result<State, RpcError> + Send + Sync + 'static,
) -> Server {
    let spec = Method::new("restored")
        .output(schema([("n", DataType::Int64)]))
        .stream(|_, _| Ok(Stream::new(State::producer(Count { next: 0, count: 9 }))), restore);
    serve(service_of(vec![spec], |builder| builder).0, |builder| builder)
}

fn bounds(count: i64, filler: u64) -> RecordBatch {
    let filler = std::sync::Arc::new(arrow_array::UInt64Array::from(vec![filler]));
    row([("count", int(count)), ("filler", filler)])
}

#[test]
fn a_state_comes_back_with_what_is_shared_and_who_calls() {
    let (service, journal) = service_of(vec![bounded()], |builder| builder);
    let server = serve(service, |builder| {
        builder.authenticate(bearer_static([("of ann", AuthContext::new("test", "ann"))]))
    });
    let ann = |request: Request<Bytes>| request.with("authorization", "Bearer of ann");
    let opened = server.send(ann(init("bounded", bounds(3, 0))));
    let mut tokens = Tokens::of(&opened);
    journal.take();
    for at in 1..3 {
        let answered = server.send(ann(http_tick("bounded", &tokens)));
        assert_eq!(answered.told(), [format!("data {at}"), "token".into()]);
        tokens.follow(&answered);
        // The handler of a turn is entered when its state is restored.
        let restored = format!("restore {at} for ann");
        assert_eq!(journal.take(), ["start", "enter", &restored, "exit", "end ok"]);
    }
    assert_eq!(server.send(ann(http_tick("bounded", &tokens))).told(), Vec::<String>::new());
}

#[test]
fn what_does_not_change_is_in_the_call_token_once_and_in_no_cursor() {
    let length = |token: &Option<String>| token.as_ref().map_or(0, String::len);
    for cached in [0, 16] {
        let (service, _) = service_of(vec![bounded()], |builder| builder);
        let server = serve(service, |builder| builder.cached_calls(cached));
        let play = |filler: u64| {
            let mut tokens = Tokens::of(&server.send(init("bounded", bounds(9, filler))));
            let mut cursors = vec![length(&tokens.cursor)];
            for at in 1..4 {
                let answered = server.send(http_tick("bounded", &tokens));
                assert_eq!(answered.told(), [format!("data {at}"), "token".into()]);
                // There is no new call token.
                tokens.follow(&answered);
                cursors.push(length(&tokens.cursor));
            }
            (cursors, length(&tokens.call))
        };
        let ((small, of_small), (large, of_large)) = (play(0), play(5_000));
        assert_eq!(small, large, "the cursors are as long");
        let grown = of_large - of_small;
        assert!((10_000..=41_000).contains(&grown), "30,000 hex digits, once: {grown}");
    }
}

#[test]
fn a_call_that_holds_much_is_not_cached() {
    let (service, _) = service_of(vec![bounded()], |builder| builder);
    let server = serve(service, |builder| builder);
    for (filler, without_its_token) in [(0, 200), (2_500, 200), (3_000, 400)] {
        let tokens = Tokens::of(&server.send(init("bounded", bounds(9, filler))));
        let bare = Tokens { call: None, ..tokens.clone() };
        assert_eq!(server.send(http_tick("bounded", &bare)).status, without_its_token, "{filler}");
        assert_eq!(server.send(http_tick("bounded", &tokens)).status, 200, "{filler}");
        assert_eq!(server.send(http_tick("bounded", &bare)).status, without_its_token, "{filler}");
    }
}

#[test]
fn on_bytes_nothing_is_saved_and_nothing_comes_back() {
    let (service, journal) = service_of(vec![bounded()], |builder| builder);
    let mut wire = Wire::new(&service);
    wire.play(stream("bounded", bounds(1, 10)));
    assert_eq!(wire.play(tick()), ["output n=0"]);
    assert_eq!(wire.play(tick()), ["finished"]);
    assert!(!journal.take().iter().any(|line| line.starts_with("restore")));
}

#[test]
fn a_state_that_does_not_come_back_is_400_with_its_error() {
    let error = || RpcError::runtime_error("the file is gone").with_code(Code::FailedPrecondition);
    let server = restored(move |_, _| Err(error()));
    let opened = server.send(init("restored", no_columns(1)));
    let answered = server.send(http_tick("restored", &Tokens::of(&opened)));
    assert_eq!((answered.status, answered.cursor()), (400, None));
    assert!(answered.error().message().contains("the file is gone"));
    assert_eq!(answered.error().code(), Code::FailedPrecondition);
    assert_eq!(answered.told().len(), 1);
    assert_eq!(answered.record.unwrap().error.unwrap().error_type(), "RuntimeError");
}

#[test]
fn a_state_that_panics_when_it_comes_back_is_an_error() {
    let server = restored(|_, _| std::panic::panic_any("on purpose, in restore"));
    let opened = server.send(init("restored", no_columns(1)));
    let answered = server.send(http_tick("restored", &Tokens::of(&opened)));
    assert_eq!((answered.status, answered.error().error_type()), (400, "Panic"));
}

#[test]
fn a_state_that_comes_back_as_another_kind_or_type_is_an_error() {
    let other_kind = restored(|_, _| Ok(State::exchange(Double {})));
    let other_type = restored(|saved, _| {
        saved.state::<(String, u64)>()?;
        Ok(State::producer(Count { next: 0, count: 0 }))
    });
    let no_call_state = restored(|saved, _| {
        saved.call_state::<u64>()?;
        Ok(State::producer(Count { next: 0, count: 0 }))
    });
    let unresumable = restored(|_, _| Ok(State::unresumable_producer(Count { next: 0, count: 0 })));
    for (server, text) in [
        (other_kind, "the stream came back as another kind"),
        (other_type, "the stream's state cannot be read: it was saved as another type"),
        (no_call_state, "the stream's state cannot be read: it was saved as another type, not saved at all"),
        (unresumable, "expected a stream that comes back to have a state that can be saved again"),
    ] {
        let opened = server.send(init("restored", no_columns(1)));
        let answered = server.send(http_tick("restored", &Tokens::of(&opened)));
        assert_eq!(answered.status, 400);
        assert!(answered.error().message().contains(text), "{:?}", answered.error());
    }
}

/// Serialisation fails, in one of several ways.
struct Unserialisable {
    panics: bool,
}

impl Serialize for Unserialisable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        if self.panics {
            std::panic::panic_any("on purpose, in serialize");
        }
        Err(S::Error::custom("it has an open file"))
    }
}

impl Producer for Unserialisable {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        turn.emit_columns(vec![int(1)])
    }
}

impl vgi_rpc_protocol::service::Exchange for Unserialisable {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        turn.emit(input.clone())
    }
}

#[test]
fn a_state_that_cannot_be_saved_ends_its_stream_over_http_without_its_data() {
    let spec = |name: &str| {
        Method::new(name)
            .param("panics", DataType::Int64)
            .output(schema([("n", DataType::Int64)]))
            .input(schema([("n", DataType::Int64)]))
    };
    let specs = vec![
        spec("produce").stream(
            |args, _| {
                let panics = args.get::<i64>("panics")? > 0;
                Ok(Stream::new(State::producer(Unserialisable { panics })))
            },
            |_, _| Err(RpcError::runtime_error("not resumable")),
        ),
        spec("exchange").stream(
            |args, _| {
                let panics = args.get::<i64>("panics")? > 0;
                Ok(Stream::new(State::exchange(Unserialisable { panics })))
            },
            |_, _| Err(RpcError::runtime_error("not resumable")),
        ),
        spec("settings").stream(
            |args, _| {
                let panics = args.get::<i64>("panics")? > 0;
                Stream::new(State::producer(Count { next: 0, count: 1 }))
                    .with_call_state(&Unserialisable { panics })
            },
            |_, _| Err(RpcError::runtime_error("not resumable")),
        ),
    ];
    let (service, _) = service_of(specs, |builder| builder);
    let server = serve(service.clone(), |builder| builder);
    for method in ["produce", "exchange", "settings"] {
        for (panics, error_type) in [(0, "TypeError"), (1, "Panic")] {
            let answered = server.send(init(method, row([("panics", int(panics))])));
            assert_eq!((answered.status, answered.is_marked()), (200, true), "{method}");
            assert_eq!(answered.error().error_type(), error_type, "{method}: {:?}", answered.error());
            assert_eq!(answered.told(), [format!("error {error_type}")], "{method}");
        }
    }
    let mut wire = Wire::new(&service);
    wire.play(stream("produce", row([("panics", int(1))])));
    assert_eq!(wire.play(tick()), ["output n=1"], "on bytes it need not be saved");
}

#[test]
fn methods_of_one_kind_come_back_as_before() {
    let (service, _) = service(|builder| builder);
    let server = serve(service.clone(), |builder| builder.cached_calls(0));
    let tokens = Tokens::of(&server.send(init("double", no_columns(1))));
    assert_eq!(server.send(http_turn("double", values([3.0]), &tokens)).told(), ["data 6.0"]);
    let mut wire = Wire::new(&service);
    wire.play(stream("double", no_columns(1)));
    assert_eq!(wire.play(send(values([3.0]))), ["output value=6.0"]);
}
