//! Damage to the Python reference's conversations (tests/golden): after any truncation or bit flip, a machine finishes with
//! typed errors or valid events, in bounded memory and time, and a connection that reports itself idle is usable.
//!
//! There are 1.7 million bits. A run flips every eleventh, or all with `VGI_RPC_DAMAGE=full`: three minutes of processor time,
//! or ten seconds in a release build.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test, which reads files and its environment"
)]

use crate::common::driver::Rest;
use crate::common::replay::config;
use crate::common::scenarios::echo;
use crate::common::streams::items_of;
use allocation_counter::measure;
use arrow_array::{Array, RecordBatch};
use bytes::{Buf, Bytes};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::LazyLock;
use vgi_rpc_protocol::client::{self, Call, CallKind};
use vgi_rpc_protocol::ipc::{EncodedSchema, Item, Metadata};
use vgi_rpc_protocol::server;
use vgi_rpc_protocol::{Limits, Next};

/// Maximum bytes that a machine may allocate for one of these conversations, each shorter than 6,000 bytes. An LZ4 frame
/// decoder alone takes 8 MiB, and a flipped bit can require one.
const MOST_MEMORY: u64 = 12 << 20;
/// A run uses one of this many flips, and all truncations.
const FLIPS: usize = 11;

/// One conversation of the reference.
struct Captured {
    name: String,
    kind: CallKind,
    request: Bytes,
    response: Bytes,
}

static CAPTURED: LazyLock<Vec<Captured>> = LazyLock::new(|| {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let read = |name: &str| Bytes::from(std::fs::read(folder.join(name)).unwrap());
    let index: Value = serde_json::from_slice(&read("index.json")).unwrap();
    let captured = index["scenarios"].as_object().unwrap().iter().map(|(name, entry)| {
        let [request, response] = ["request", "response"].map(|side| read(&format!("{name}.{side}.bin")));
        let streams = items_of(&response, &Limits::default()).unwrap();
        let streams = streams.iter().filter(|item| matches!(item, Item::EndOfStream)).count();
        let kind = match entry["kind"].as_str().unwrap() {
            // The answer to a stream call is one stream, after another if there is a header.
            "producer" | "exchange" => CallKind::Stream { header: streams > 1 },
            _ => CallKind::Unary,
        };
        Captured { name: name.clone(), kind, request, response }
    });
    let captured: Vec<_> = captured.collect();
    assert!(captured.len() > 120, "the capture is complete: {}", captured.len());
    captured
});

/// The damage to the bytes.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Truncate(usize),
    Flip { at: usize, bit: usize },
}

impl Damage {
    fn apply(self, bytes: &Bytes) -> Bytes {
        match self {
            Self::Truncate(len) => bytes.slice(..len),
            Self::Flip { at, bit } => {
                let mut bytes = bytes.to_vec();
                bytes[at] ^= 1 << bit;
                bytes.into()
            }
        }
    }
}

fn truncations(len: usize) -> impl Iterator<Item = Damage> {
    (0..len).map(Damage::Truncate)
}

/// Returns every n-th flip. The step is coprime to eight, so that all bits of a byte are used.
fn flips(len: usize) -> impl Iterator<Item = Damage> {
    let all = std::env::var("VGI_RPC_DAMAGE").is_ok_and(|value| value == "full");
    let flip = |index: usize| Damage::Flip { at: index / 8, bit: index % 8 };
    (0..len * 8).step_by(if all { 1 } else { FLIPS }).map(flip)
}

/// Damages one side of each conversation and checks that a machine handles it.
fn assert_borne<D: Iterator<Item = Damage>>(
    side: fn(&Captured) -> &Bytes,
    damages: fn(usize) -> D,
    bear: fn(&Captured, Bytes) -> Outcome,
) {
    crate::common::quiet_panics();
    let (mut refused, mut failed, mut unharmed) = (0, 0, 0);
    for captured in CAPTURED.iter() {
        let bytes = side(captured);
        for damage in damages(bytes.len()) {
            let damaged = damage.apply(bytes);
            let mut outcome = None;
            let taken = measure(|| {
                // Pending data of the machine is dropped with it.
                outcome = catch_unwind(AssertUnwindSafe(|| bear(captured, damaged))).ok();
            });
            let name = &captured.name;
            assert!(taken.bytes_max < MOST_MEMORY, "{name} with {damage:?} takes {} bytes", taken.bytes_max);
            match outcome.unwrap_or_else(|| panic!("{name} with {damage:?}")) {
                Outcome::Refused => refused += 1,
                Outcome::Failed => failed += 1,
                Outcome::Unharmed => unharmed += 1,
            }
        }
    }
    println!("{refused} refused, {failed} failed, {unharmed} unharmed");
    assert!(failed > 0 && refused + unharmed > 0);
}

/// How a machine handled the damage.
enum Outcome {
    /// A typed error for a call; the connection remained usable.
    Refused,
    /// A typed error for the connection.
    Failed,
    /// Only data that this layer does not check was hit.
    Unharmed,
}

fn assert_valid(batch: &RecordBatch) {
    for column in batch.columns() {
        column.to_data().validate_full().unwrap();
    }
}

/// Runs a server that answers everything in the simplest way; the bytes limit the number of events.
fn bear_as_server(captured: &Captured, damaged: Bytes) -> Outcome {
    let mut connection = server::Connection::new(config(Limits::default()));
    let len = damaged.len();
    connection.receive(damaged);
    let (rest, refused) = answer(&mut connection, captured.kind, len / 4 + 4);
    let outcome = match rest {
        Rest::Failed(_) => return Outcome::Failed,
        Rest::NeedInput if refused => Outcome::Refused,
        Rest::NeedInput => Outcome::Unharmed,
        other => panic!("{other:?}"),
    };
    if connection.is_idle() {
        connection.receive(GOOD_REQUEST.clone());
        let Ok(Next::Event(server::Event::Request(request))) = connection.poll_event() else {
            panic!("a free connection takes a call")
        };
        assert_eq!(request.method(), "echo");
    } else {
        // The client goes away, in the middle of a message or between two.
        let is_cut = connection.is_mid_message();
        connection.receive_eof();
        let (rest, refused_at_the_end) = answer(&mut connection, captured.kind, 4);
        return match rest {
            Rest::Failed(_) if is_cut => Outcome::Failed,
            Rest::Closed if !is_cut && (refused || refused_at_the_end) => Outcome::Refused,
            Rest::Closed if !is_cut => Outcome::Unharmed,
            rest => panic!("{rest:?} in the middle of a call, of a message: {is_cut}"),
        };
    }
    outcome
}

/// Answers pending events. Returns what the connection then waits for, and whether anything was refused.
fn answer(connection: &mut server::Connection, kind: CallKind, most: usize) -> (Rest, bool) {
    let (empty, mut refused) = (EncodedSchema::empty(), false);
    let nothing = RecordBatch::new_empty(empty.schema().clone());
    for _ in 0..most {
        let event = match Rest::or_event(connection.poll_event()) {
            Ok(event) => event,
            Err(rest) => return (rest, refused),
        };
        match event {
            server::Event::Request(request) => {
                assert_valid(&request.batch);
                match kind {
                    CallKind::Unary => connection.respond(&empty, &nothing, &Metadata::new()).unwrap(),
                    CallKind::Stream { .. } => connection.open_stream(&empty).unwrap(),
                }
            }
            server::Event::Input(batch, metadata) => {
                assert_valid(&batch);
                connection.emit(&nothing, &metadata).unwrap();
            }
            server::Event::Cancelled | server::Event::InputEnded => connection.finish().unwrap(),
            server::Event::Refused(error) => {
                assert!(!error.message().is_empty());
                refused = true;
            }
        }
    }
    panic!("it does not end");
}

static GOOD_REQUEST: LazyLock<Bytes> = LazyLock::new(|| {
    let mut client = client::Connection::new(Limits::default());
    echo("good").issue(&mut client).unwrap();
    let outbox = client.poll_transmit().unwrap();
    outbox.copy_to_bytes(outbox.len())
});

/// Runs a client that has made a call of the conversation's kind. If the call ends and nothing is left over, the client can
/// make the next one.
fn bear_as_client(captured: &Captured, damaged: Bytes) -> Outcome {
    let mut client = client::Connection::new(Limits::default());
    let no_columns = RecordBatch::new_empty(EncodedSchema::empty().schema().clone());
    let call = Call {
        protocol: "p",
        method: "m",
        protocol_version: None,
        request_id: None,
        kind: captured.kind,
        metadata: Metadata::new(),
    };
    let issue = |client: &mut client::Connection| client.call(&call, &EncodedSchema::empty(), &no_columns);
    issue(&mut client).unwrap();
    let most = damaged.len() / 4 + 4;
    client.receive(damaged);
    let (mut failed, mut finished, mut outputs) = (0, 0, 0);
    for _ in 0..most {
        let event = match Rest::or_event(client.poll_event()) {
            Ok(event) => event,
            Err(Rest::Failed(_)) => return Outcome::Failed,
            Err(Rest::NeedCommand) if finished == 1 => {
                assert!(failed <= 1 && client.is_idle());
                issue(&mut client).unwrap();
                return if failed == 1 { Outcome::Refused } else { Outcome::Unharmed };
            }
            // A truncated call ends with its connection, unless its complete result or error was received.
            Err(Rest::NeedInput | Rest::NeedCommand) => {
                client.receive_eof();
                let whole = failed == 1 || outputs == 1 && captured.kind == CallKind::Unary;
                return match client.poll_event() {
                    Err(_) => Outcome::Failed,
                    Ok(Next::Event(client::Event::Finished)) if whole => {
                        assert!(matches!(client.poll_event(), Ok(Next::Closed)));
                        if failed == 1 { Outcome::Refused } else { Outcome::Unharmed }
                    }
                    other => panic!("{other:?} when a call is cut short"),
                };
            }
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(finished, 0, "no event follows the end of a call");
        match event {
            client::Event::Output(batch, _) => {
                assert_valid(&batch);
                outputs += 1;
            }
            client::Event::Header(batch, _) => assert_valid(&batch),
            client::Event::Log(_) => {}
            client::Event::Failed(error) => {
                assert!(!error.to_string().is_empty());
                failed += 1;
            }
            client::Event::Finished => finished += 1,
        }
    }
    panic!("it does not end");
}

#[test]
fn a_server_bears_truncated_requests() {
    assert_borne(|captured| &captured.request, truncations, bear_as_server);
}

#[test]
fn a_server_bears_flipped_bits() {
    assert_borne(|captured| &captured.request, flips, bear_as_server);
}

#[test]
fn a_client_bears_truncated_answers() {
    assert_borne(|captured| &captured.response, truncations, bear_as_client);
}

#[test]
fn a_client_bears_flipped_bits() {
    assert_borne(|captured| &captured.response, flips, bear_as_client);
}
