//! Prefetched ticks: order of batches, logs and errors, the number of excess turns, and no deadlock.

use crate::common::{Running, numbers, remote, until};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::DataType;
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, PipeReader, PipeWriter, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::{CallContext, Method, Producer, Protocol, Service, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_unix::{CallError, Client, SocketServer, Transport};

/// Turns that ran, and cancelled streams.
#[derive(Default)]
struct Counts {
    turns: AtomicUsize,
    cancelled: AtomicUsize,
}

static COUNTS: [Counts; 8] =
    [const { Counts { turns: AtomicUsize::new(0), cancelled: AtomicUsize::new(0) } }; 8];

/// Returns batches 0, 1, 2, ... with the requested number of rows, each after a log of its number.
#[derive(Serialize, Deserialize)]
struct Numbered {
    counts: usize,
    at: i64,
    batches: i64,
    rows: usize,
    fails_at: i64,
}

impl Producer for Numbered {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        COUNTS[self.counts].turns.fetch_add(1, Ordering::AcqRel);
        if let Some(mark) = turn.input_metadata().get_str("mark").map(ToOwned::to_owned) {
            turn.log(LogMessage::info(format!("mark {mark}")));
        }
        if self.at == self.fails_at {
            return Err(RpcError::value_error("as asked"));
        }
        if self.at == self.batches {
            return turn.finish();
        }
        turn.log(LogMessage::info(self.at.to_string()));
        let values = vec![self.at; self.rows];
        self.at += 1;
        turn.emit_columns(vec![Arc::new(Int64Array::from(values))])
    }

    fn on_cancel(&mut self, _: &mut CallContext) {
        COUNTS[self.counts].cancelled.fetch_add(1, Ordering::AcqRel);
    }
}

fn service() -> Arc<Service> {
    let numbered = ["counts", "batches", "rows", "fails_at"]
        .into_iter()
        .fold(Method::new("numbered"), |method, name| method.param(name, DataType::Int64))
        .output(numbers())
        .producer(|args, _| {
            let number = |name| args.get::<i64>(name);
            let (counts, rows) = (number("counts")? as usize, number("rows")? as usize);
            let (batches, fails_at) = (number("batches")?, number("fails_at")?);
            Ok(Stream::new(Numbered { counts, at: 0, batches, rows, fails_at }))
        });
    let protocol = Protocol::new("test.Unix.v1").method(numbered);
    Arc::new(Service::builder("unix00000000").protocol(protocol).build().unwrap())
}

/// A pair of pipes to a server on a thread.
struct Pipes(Option<PipeWriter>, PipeReader);

impl Transport for Pipes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.read(buffer)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.as_mut().unwrap().write_vectored(slices)
    }

    fn close(&mut self) -> io::Result<()> {
        self.0 = None;
        Ok(())
    }
}

/// Runs a test with a client on each byte-stream carrier. The number distinguishes their counts.
fn on_every_carrier(first: usize, test: impl Fn(Client, usize)) {
    let service = service();
    let ((their_input, input), (output, their_output)) = (io::pipe().unwrap(), io::pipe().unwrap());
    let server = vgi_rpc_stdio::StdioServer::new(service.clone());
    let served = thread::spawn(move || server.serve(their_input, their_output));
    test(Client::new(Pipes(Some(input), output), Limits::default()), first);
    served.join().unwrap().unwrap();
    let running = Running::unix(&SocketServer::new(service.clone()));
    test(running.connect(), first + 1);
    let running = Running::tcp(&SocketServer::new(service));
    test(running.connect(), first + 1);
}

fn params(counts: usize, batches: i64, rows: i64, fails_at: i64) -> RecordBatch {
    let columns = [("counts", counts as i64), ("batches", batches), ("rows", rows), ("fails_at", fails_at)];
    let column = |value| Arc::new(Int64Array::from(vec![value])) as _;
    RecordBatch::try_from_iter(columns.map(|(name, value)| (name, column(value)))).unwrap()
}

fn first(batch: &RecordBatch) -> i64 {
    batch.column(0).as_primitive::<Int64Type>().value(0)
}

#[test]
fn batches_logs_and_errors_come_in_order_however_many_ticks_are_ahead() {
    on_every_carrier(0, |client, counts| {
        let logs = Arc::new(Mutex::new(Vec::new()));
        let seen = logs.clone();
        let mut client = client.on_log(move |log| seen.lock().unwrap().push(log.message));
        let remote = remote();
        for ahead in [0, 1, 7, 55, 1000] {
            for fails_at in [-1, 0, 40] {
                let stream =
                    client.stream(&remote.method("numbered"), &params(counts, 100, 1, fails_at)).unwrap();
                let mut numbers = Vec::new();
                let mut error = None;
                for batch in stream.prefetch(ahead) {
                    match batch {
                        Ok(batch) => {
                            numbers.push(first(&batch));
                            // The log of a batch arrives with it.
                            assert!(logs.lock().unwrap().contains(&first(&batch).to_string()));
                        }
                        Err(failed) => error = Some(failed),
                    }
                }
                let expected = if fails_at < 0 { 100 } else { fails_at };
                assert_eq!(numbers, (0..expected).collect::<Vec<_>>(), "{ahead} ahead, fails at {fails_at}");
                assert_eq!(matches!(error, Some(CallError::Rpc(_))), fails_at >= 0);
                let expected: Vec<_> = (0..expected).map(|number| number.to_string()).collect();
                assert_eq!(std::mem::take(&mut *logs.lock().unwrap()), expected);
            }
        }
    });
}

#[test]
fn a_stream_that_ends_early_has_run_no_more_turns_than_were_ahead() {
    on_every_carrier(2, |mut client, counts| {
        let (remote, counts) = (remote(), (counts, &COUNTS[counts]));
        for ahead in [0, 1, 7, 50] {
            for way in ["close", "cancel", "drop"] {
                let before =
                    (counts.1.turns.load(Ordering::Acquire), counts.1.cancelled.load(Ordering::Acquire));
                let stream =
                    client.stream(&remote.method("numbered"), &params(counts.0, 1000, 1, -1)).unwrap();
                let mut stream = stream.prefetch(ahead);
                for number in 0..10 {
                    assert_eq!(first(&stream.next().unwrap().unwrap()), number);
                }
                match way {
                    "close" => stream.close().unwrap(),
                    "cancel" => stream.cancel().unwrap(),
                    _ => drop(stream),
                }
                // Both have read to the end of the server's stream.
                let turns = counts.1.turns.load(Ordering::Acquire) - before.0;
                assert!((10..=10 + ahead).contains(&turns), "{way}: {turns} turns with {ahead} ahead");
                let cancelled = || counts.1.cancelled.load(Ordering::Acquire) - before.1;
                until("it was cancelled once", || cancelled() == usize::from(way == "cancel"));
            }
        }
    });
}

#[test]
fn metadata_is_not_sent_among_ticks_that_are_ahead() {
    on_every_carrier(4, |client, counts| {
        let marks = Arc::new(Mutex::new(Vec::new()));
        let seen = marks.clone();
        let mut client = client.on_log(move |log| seen.lock().unwrap().push(log.message));
        let remote = remote();
        let mark: Metadata = [("mark", "x")].into_iter().collect();
        let stream = client.stream(&remote.method("numbered"), &params(counts, 4, 1, -1)).unwrap();
        let mut stream = stream.prefetch(2);
        assert_eq!(first(&stream.tick(&mark).unwrap().unwrap().0), 0);
        assert_eq!(first(&stream.next().unwrap().unwrap()), 1);
        let refused = stream.tick(&mark).unwrap_err();
        assert!(matches!(refused, CallError::Command(_)), "{refused}");
        let rest: Vec<_> = stream.by_ref().map(|batch| first(&batch.unwrap())).collect();
        assert_eq!(rest, [2, 3]);
        assert_eq!(*marks.lock().unwrap(), ["mark x", "0", "1", "2", "3"]);
    });
}

#[test]
fn large_batches_do_not_stop_a_client_that_is_far_ahead() {
    on_every_carrier(6, |mut client, counts| {
        let remote = remote();
        let stream = client.stream(&remote.method("numbered"), &params(counts, 1500, 20_000, -1)).unwrap();
        let numbers: Vec<_> = stream.prefetch(1000).map(|batch| first(&batch.unwrap())).collect();
        assert_eq!(numbers, (0..1500).collect::<Vec<_>>());
    });
}
