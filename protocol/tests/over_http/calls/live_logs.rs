//! Logs that are sent while a handler runs: to a sink that accepts them, and what happens to those that it refuses.

use super::support::*;
use crate::common::batches::*;
use crate::common::driver::Command;
use crate::common::scenarios::{send, stream, tick, unary, values};
use arrow_schema::DataType;
use std::sync::{Arc, Mutex};
use vgi_rpc_protocol::service::{LogSink, Method, Producer, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;

/// Accepts this many logs, and refuses further ones.
struct Sink {
    takes: usize,
    taken: Mutex<Vec<LogMessage>>,
    refused: Mutex<usize>,
}

impl Sink {
    fn taking(takes: usize) -> Arc<Self> {
        Arc::new(Self { takes, taken: Mutex::default(), refused: Mutex::default() })
    }

    fn texts(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|log| log.message.clone()).collect()
    }
}

impl LogSink for Sink {
    fn log(&self, message: LogMessage) -> Result<(), LogMessage> {
        let mut taken = self.taken.lock().unwrap();
        if taken.len() >= self.takes {
            *self.refused.lock().unwrap() += 1;
            return Err(message);
        }
        taken.push(message);
        Ok(())
    }
}

fn log(count: i64, manner: &str) -> Command {
    unary("log", row([("count", int(count)), ("manner", text(manner))]))
}

/// Plays a unary call with this sink and sends the logs that it accepted immediately. Returns all events of the client.
fn play(wire: &mut Wire, command: Command, sink: &Arc<Sink>) -> Vec<String> {
    wire.send(command);
    let work = wire.work();
    let done = work.run_with_logs(sink.clone());
    let mut heard = Vec::new();
    for log in sink.taken.lock().unwrap().iter() {
        wire.server.log(log);
        let one = wire.heard();
        assert_eq!(one.len(), 1, "each is sent at once: {one:?}");
        heard.extend(one);
    }
    wire.server.complete(done).unwrap();
    heard.extend(wire.heard());
    heard
}

fn wire() -> Wire {
    Wire::new(&service(|builder| builder).0)
}

#[test]
fn a_sink_that_takes_all_logs_gets_them_ahead_of_the_answer() {
    let (sink, mut wire) = (Sink::taking(usize::MAX), wire());
    let heard = play(&mut wire, log(4, "x"), &sink);
    assert_eq!(sink.texts(), ["0", "1", "2", "3"]);
    let logs = ["log INFO 0", "log INFO 1", "log INFO 2", "log INFO 3"];
    assert_eq!(heard, [&logs[..], &["output result=x", "finished"]].concat());
    assert_eq!(wire.recorded(), "ok");
    assert_eq!(wire.play(log(1, "y")), ["log INFO 0", "output result=y", "finished"]);
}

#[test]
fn those_from_the_first_refused_on_are_kept_in_order() {
    for takes in 0..6 {
        let (sink, mut wire) = (Sink::taking(takes), wire());
        let heard = play(&mut wire, log(5, "x"), &sink);
        assert_eq!(sink.texts().len(), takes.min(5));
        assert_eq!(*sink.refused.lock().unwrap(), usize::from(takes < 5), "it is not asked again");
        let logs = ["log INFO 0", "log INFO 1", "log INFO 2", "log INFO 3", "log INFO 4"];
        assert_eq!(heard, [&logs[..], &["output result=x", "finished"]].concat(), "{takes}");
    }
}

#[test]
fn errors_and_panics_come_after_the_logs() {
    for (manner, error) in [("fail", "failed ValueError: "), ("panic", "failed Panic: ")] {
        for takes in [0, 1, 2] {
            let (sink, mut wire) = (Sink::taking(takes), wire());
            let heard = play(&mut wire, log(2, manner), &sink);
            assert_eq!(heard[..2], ["log INFO 0", "log INFO 1"]);
            assert!(heard[2].starts_with(error) && heard[3] == "finished" && heard.len() == 4, "{heard:?}");
            assert_eq!(wire.play(log(0, "y")), ["output result=y", "finished"], "the connection works");
        }
    }
}

#[test]
fn an_answer_that_cannot_be_encoded_comes_after_the_logs() {
    let (sink, mut wire) = (Sink::taking(9), wire());
    let heard = play(&mut wire, unary("log_and_misfit", no_columns(1)), &sink);
    assert_eq!(heard[0], "log INFO 0");
    assert!(heard[1].starts_with("failed TypeError") && heard.len() == 3, "{heard:?}");
    assert_eq!(wire.recorded(), "TypeError");
    assert_eq!(wire.play(log(0, "y")), ["output result=y", "finished"]);
}

#[test]
fn a_call_whose_work_is_lost_after_live_logs_is_answered_with_an_error() {
    let mut wire = wire();
    wire.send(log(1, "x"));
    drop(wire.work());
    wire.server.log(&LogMessage::info("live"));
    wire.server.lose_work();
    let heard = wire.heard();
    assert_eq!(heard[0], "log INFO live");
    assert!(heard[1].starts_with("failed RuntimeError") && heard.len() == 3, "{heard:?}");
    assert_eq!(wire.play(log(0, "y")), ["output result=y", "finished"]);
}

#[test]
fn a_sink_that_panics_is_the_handlers_panic() {
    struct Panics;
    impl LogSink for Panics {
        fn log(&self, _: LogMessage) -> Result<(), LogMessage> {
            std::panic::panic_any("on purpose, in a sink")
        }
    }
    let mut wire = wire();
    wire.send(log(1, "x"));
    let done = wire.work().run_with_logs(Arc::new(Panics));
    wire.server.complete(done).unwrap();
    assert!(wire.heard()[0].starts_with("failed Panic"));
    assert_eq!(wire.play(log(0, "y")), ["output result=y", "finished"]);
}

#[test]
fn a_log_without_work_out_does_nothing() {
    let mut wire = wire();
    wire.server.log(&LogMessage::info("early"));
    wire.send(log(0, "x"));
    wire.server.log(&LogMessage::info("before the request was looked at"));
    assert_eq!(wire.run(), ["output result=x", "finished"]);
    wire.server.log(&LogMessage::info("late"));
    wire.play(stream("double", no_columns(1)));
    wire.server.log(&LogMessage::info("between turns"));
    wire.send(send(values([1.0])));
    let work = wire.work();
    wire.server.log(&LogMessage::info("in a turn"));
    wire.server.complete(work.run()).unwrap();
    assert_eq!(wire.heard(), ["output value=2.0"], "a stream's logs keep their order");
}

/// Logs before and after its data.
#[derive(serde::Serialize, serde::Deserialize)]
struct Around {}

impl Producer for Around {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        turn.log(LogMessage::info("before"));
        turn.emit_columns(vec![int(1)])?;
        turn.log(LogMessage::info("after"));
        Ok(())
    }
}

#[test]
fn streams_give_their_logs_to_no_sink() {
    let spec = Method::new("around").output(schema([("n", DataType::Int64)])).producer(|_, context| {
        context.log(LogMessage::info("opening"));
        Ok(Stream::new(Around {}))
    });
    let (service, _) = service_of(vec![spec], |builder| builder);
    let (sink, mut wire) = (Sink::taking(9), Wire::new(&service));
    wire.send(stream("around", no_columns(1)));
    let done = wire.work().run_with_logs(sink.clone());
    wire.server.complete(done).unwrap();
    wire.send(tick());
    let done = wire.work().run_with_logs(sink.clone());
    wire.server.complete(done).unwrap();
    assert_eq!(wire.heard(), ["log INFO opening", "log INFO before", "output n=1", "log INFO after"]);
    assert_eq!(sink.texts(), Vec::<String>::new());
}
