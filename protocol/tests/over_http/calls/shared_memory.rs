//! Batches in shared memory: attaching a segment, requests, results and turns sent through it, and segments that are damaged or
//! change at random.

use super::hooks::Parameters;
use super::support::*;
use crate::common::batches::*;
use crate::common::driver::{Command, Rest};
use crate::common::lent::{Lent, Memory};
use crate::common::scenarios::{send, stream, tick, transport_options, unary, values};
use crate::common::service::SERVER_ID;
use crate::common::transcript::Told;
use std::sync::Arc;
use vgi_rpc_protocol::effect::{Completion, Failure, FailureReason, Request};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::memory::Account;
use vgi_rpc_protocol::service::{Credentials, Peer, Service, TransportKind};
use vgi_rpc_protocol::shm::{
    AttachSegment, Counters, Counts, HEADER_BYTES, Pointer, Segment, SharedMemory, ShmOptions,
};
use vgi_rpc_protocol::wire::keys;

const NAME: &str = "vgi-test";
/// Added to the metadata of a batch received through the segment.
const SOURCE: &str = " {\"vgi_rpc.shm_source\": \"vgi-test\"}";

/// Two machines that share memory.
struct Sharing {
    wire: Wire,
    memory: Arc<Memory>,
    client: Counters,
    server: Counters,
}

fn options() -> ShmOptions {
    ShmOptions::default().min_batch_bytes(1)
}

impl Sharing {
    fn new(service: &Arc<Service>, memory: Arc<Memory>) -> Self {
        let server = Counters::default();
        let mut sharing = Self::without_segment(service, memory, server);
        let lent = Arc::new(Lent(sharing.memory.clone()));
        let segment = Segment::create(NAME, lent, options(), &sharing.client).unwrap();
        sharing.wire.client.share_memory(segment);
        sharing
    }

    /// The client does not know about the segment.
    fn without_segment(service: &Arc<Service>, memory: Arc<Memory>, server: Counters) -> Self {
        let peer = Peer::new(TransportKind::Unix, SERVER_ID).with_credentials(Credentials {
            pid: 1,
            uid: 77,
            gid: 1,
        });
        let mut wire = Wire::with_peer(service, vgi_rpc_protocol::memory::Account::default(), peer);
        wire.server = wire.server.with_shared_memory(options(), server.clone());
        wire.server.record_calls();
        Self { wire, memory, client: Counters::default(), server }
    }

    /// Sends a command, attaches the segment on request, and runs all work.
    #[track_caller]
    fn play(&mut self, command: Command) -> Vec<String> {
        command.issue(&mut self.wire.client).unwrap();
        self.play_issued()
    }

    /// The same for commands already issued.
    fn play_issued(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        crate::common::feed::drain(self.wire.client.poll_transmit(), usize::MAX, &mut sent);
        self.wire.server.receive(sent.into());
        self.go_on();
        // The counters show which batches used the segment.
        self.wire.run().iter().map(|line| line.replace(SOURCE, "")).collect()
    }

    fn go_on(&mut self) {
        while let Rest::Waiting = self.wire_rest() {
            let effect = self.wire.effect();
            let Request::AttachSegment(attach) = &effect.request else { panic!("{effect:?}") };
            assert_eq!((&*attach.name, attach.peer_user), (NAME, Some(77)));
            let lent: Arc<dyn SharedMemory> = Arc::new(Lent(self.memory.clone()));
            self.wire.server.complete_effect(effect.id, Completion::Attached(lent));
        }
    }

    /// Runs all work. Returns what the server waits for.
    fn wire_rest(&mut self) -> Rest {
        loop {
            match Rest::or_event(self.wire.server.poll_work()) {
                Ok(work) => self.wire.server.complete(work.run()).unwrap(),
                Err(rest) => return rest,
            }
        }
    }
}

fn counts(counters: &Counters) -> (u64, u64) {
    let Counts { written, read, .. } = counters.counts();
    (written, read)
}

fn echo(value: &str) -> Command {
    unary("echo", row([("value", text(value))]))
}

#[test]
fn requests_results_and_turns_go_through_the_segment() {
    let (service, journal) = service(|builder| builder);
    let mut sharing = Sharing::new(&service, Memory::new(1 << 20));
    assert_eq!(sharing.play(echo("x")), ["output result=x", "finished"]);
    assert_eq!((counts(&sharing.client), counts(&sharing.server)), ((1, 1), (1, 1)));
    // The parameters of a stream, and each of its batches.
    sharing.play(stream("count", row([("count", int(2))])));
    assert_eq!(sharing.play(tick()), ["output n=0"]);
    assert_eq!(sharing.play(tick()), ["output n=1"]);
    assert_eq!(sharing.play(tick()), ["finished"]);
    assert_eq!((counts(&sharing.client), counts(&sharing.server)), ((2, 3), (3, 2)));
    sharing.play(stream("double", no_columns(1)));
    assert_eq!(sharing.play(send(values([1.0, 2.0]))), ["output value=2.0; value=4.0"]);
    assert_eq!(sharing.play(send(values([3.0]))), ["output value=6.0"]);
    sharing.play(Command::Close);
    assert_eq!((counts(&sharing.client), counts(&sharing.server)), ((4, 5), (5, 4)));
    assert_eq!(sharing.server.counts().attached, 1, "once for the connection");
    // Records describe the batches, not their pointers.
    let records = sharing.wire.records();
    let rows = records.iter().map(|record| (record.statistics.input.rows, record.statistics.output.rows));
    assert_eq!(rows.collect::<Vec<_>>(), [(1, 1), (1, 2), (4, 3)]);
    drop(journal);
}

#[test]
fn hooks_and_records_learn_of_the_parameters_and_not_of_their_pointer() {
    let heard = Journal::default();
    let (service, journal) = service(|builder| builder.hook(Parameters(heard.clone())));
    let mut sharing = Sharing::new(&service, Memory::new(1 << 20));
    sharing.play(echo("x"));
    assert_eq!(counts(&sharing.server).1, 1, "the request used the segment");
    assert_eq!(heard.take(), ["parameters value of 1"]);
    let records = sharing.wire.records();
    let fields = [("value".to_owned(), "Utf8".to_owned())];
    assert_eq!((records[0].request_fields.as_slice(), records[0].request_rows), (&fields[..], 1));
    // A batch that cannot be read has no parameters.
    let mut metadata = crate::ask::routing(crate::common::service::MAIN, "echo");
    metadata.push(keys::SHM_OFFSET, "65536");
    metadata.push(keys::SHM_LENGTH, "100");
    let (kind, row) = (vgi_rpc_protocol::client::CallKind::Unary, row([("value", text("y"))]).slice(0, 0));
    journal.take();
    let answer = sharing.play(Command::Request { kind, row, metadata });
    assert!(answer[0].starts_with("failed"), "{answer:?}");
    assert_eq!((heard.take(), journal.take().len()), (Vec::new(), 2), "the call has started and ended");
}

#[test]
fn a_server_says_whether_it_can_share_memory() {
    let (service, _) = service(|builder| builder);
    let mut sharing = Sharing::without_segment(&service, Memory::new(1 << 20), Counters::default());
    let [question] = &transport_options()[..] else { panic!("one request") };
    sharing.wire.send(question.clone());
    assert_eq!(sharing.wire_rest(), Rest::NeedInput);
    let told = sharing.wire.told();
    let [Told::Output(_, metadata), Told::Finished] = &told[..] else { panic!("{told:?}") };
    assert_eq!(metadata.get_str(keys::TRANSPORT_SHM), Some("true"));
}

impl Sharing {
    /// Requests the transport options, and offers a segment of this name. Returns the metadata of the answer.
    fn offer(&mut self, name: &str, completion: impl FnOnce(&Self) -> Completion) -> Metadata {
        let [Command::Request { kind, row, metadata }] = &transport_options()[..] else {
            panic!("a request")
        };
        let mut metadata = metadata.clone();
        AttachSegment::new(name, 1 << 20).offer(&mut metadata);
        self.wire.send(Command::Request { kind: *kind, row: row.clone(), metadata });
        assert_eq!(self.wire_rest(), Rest::Waiting);
        let effect = self.wire.effect();
        assert!(matches!(&effect.request, Request::AttachSegment(attach) if attach.name == name));
        let completion = completion(self);
        self.wire.server.complete_effect(effect.id, completion);
        assert_eq!(self.wire_rest(), Rest::NeedInput);
        let told = self.wire.told();
        let [Told::Output(_, metadata), Told::Finished] = &told[..] else { panic!("{told:?}") };
        metadata.clone()
    }
}

#[test]
fn a_server_says_whether_it_has_attached_the_segment_that_it_is_offered() {
    let (service, _) = service(|builder| builder);
    let mut sharing = Sharing::new(&service, Memory::new(1 << 20));
    let answer = sharing.offer(NAME, |sharing| {
        let lent: Arc<dyn SharedMemory> = Arc::new(Lent(sharing.memory.clone()));
        Completion::Attached(lent)
    });
    assert_eq!(answer.get_str(keys::TRANSPORT_SHM_ATTACHED), Some("true"));
    assert_eq!(answer.get_str(keys::TRANSPORT_SHM_REFUSED), None);
    // The first call uses it, and it is not attached again.
    assert_eq!(sharing.play(echo("x")), ["output result=x", "finished"]);
    assert_eq!((counts(&sharing.client), counts(&sharing.server)), ((1, 1), (1, 1)));
    assert_eq!((sharing.server.counts().attached, sharing.server.counts().in_use), (1, 1));
}

#[test]
fn the_first_reason_for_which_a_segment_is_refused_stays() {
    let (service, _) = service(|builder| builder);
    let mut sharing = Sharing::without_segment(&service, Memory::new(1 << 20), Counters::default());
    let failure = || Failure::new(FailureReason::Refused, "the segment\nis too large");
    let by_descriptor = "descriptor:7";
    let answer = sharing.offer(by_descriptor, |_| failure().into());
    assert_eq!(answer.get_str(keys::TRANSPORT_SHM), Some("true"));
    assert_eq!(answer.get_str(keys::TRANSPORT_SHM_ATTACHED), Some("false"));
    assert!(answer.get_str(keys::TRANSPORT_SHM_REFUSED).unwrap().ends_with("the segment\\nis too large"));
    // A client that uses it anyway. Its descriptor has been sent once, and is not requested again.
    let mut metadata = crate::ask::routing(crate::common::service::MAIN, "echo");
    AttachSegment::new(by_descriptor, 1 << 20).advertise(&mut metadata);
    metadata.push(keys::SHM_OFFSET, "65536");
    metadata.push(keys::SHM_LENGTH, "100");
    let kind = vgi_rpc_protocol::client::CallKind::Unary;
    let row = row([("value", text("y"))]).slice(0, 0);
    for _ in 0..2 {
        let heard = sharing.play(Command::Request { kind, row: row.clone(), metadata: metadata.clone() });
        assert!(heard[0].contains("is too large"), "{heard:?}");
    }
    assert_eq!((sharing.server.counts().refused, sharing.server.counts().attached), (1, 0));
}

#[test]
fn an_answer_goes_through_the_segment_only_if_the_request_has_said_so() {
    let (service, _) = service(|builder| builder);
    let mut sharing = Sharing::new(&service, Memory::new(1 << 20));
    sharing.play(echo("x"));
    // Like a client that does not use its segment for this call.
    let metadata = crate::ask::routing(crate::common::service::MAIN, "echo");
    let row = row([("value", text("y"))]);
    let plain = Command::Request { kind: vgi_rpc_protocol::client::CallKind::Unary, row, metadata };
    assert_eq!(sharing.play(plain), ["output result=y", "finished"]);
    assert_eq!((counts(&sharing.client), counts(&sharing.server)), ((1, 1), (1, 1)));
}

#[test]
fn what_finds_no_room_is_sent_as_it_is() {
    let (service, _) = service(|builder| builder);
    let mut sharing = Sharing::new(&service, Memory::new(HEADER_BYTES as usize + 700));
    let long = "x".repeat(2000);
    assert_eq!(sharing.play(echo(&long)), [format!("output result={long}"), "finished".into()]);
    assert_eq!((sharing.client.counts().no_room, sharing.server.counts().no_room), (1, 1));
    assert_eq!(sharing.play(echo("x")), ["output result=x", "finished"]);
}

#[test]
fn a_pointer_without_a_segment_fails_and_the_connection_goes_on() {
    let (service, journal) = service(|builder| builder);
    let mut sharing = Sharing::without_segment(&service, Memory::new(1 << 20), Counters::default());
    let mut metadata = crate::ask::routing(crate::common::service::MAIN, "echo");
    metadata.push(keys::SHM_OFFSET, "65536");
    metadata.push(keys::SHM_LENGTH, "100");
    let kind = vgi_rpc_protocol::client::CallKind::Unary;
    let row = row([("value", text("y"))]).slice(0, 0);
    let pointer = Command::Request { kind, row, metadata: metadata.clone() };
    let heard = sharing.play(pointer.clone());
    assert!(heard[0].contains("no request of this connection has named a segment"), "{heard:?}");
    // A refused segment: the reason is reported only in the error for a batch that is lost because of it.
    metadata.push(keys::SHM_SEGMENT_NAME, NAME);
    metadata.push(keys::SHM_SEGMENT_SIZE, "1048576");
    let row = crate::common::batches::row([("value", text("y"))]);
    for (row, expected) in [(row.clone(), "output result=y"), (row.slice(0, 0), "belongs to another user")] {
        let metadata = if row.num_rows() > 0 {
            metadata.iter().filter(|(key, _)| *key != keys::SHM_OFFSET.as_bytes()).collect()
        } else {
            metadata.clone()
        };
        sharing.wire.send(Command::Request { kind, row, metadata });
        assert_eq!(sharing.wire.rest(), Rest::Waiting);
        let effect = sharing.wire.effect();
        let failure = Failure::new(FailureReason::Refused, "the segment belongs to another user");
        sharing.wire.server.complete_effect(effect.id, failure.into());
        let heard = sharing.wire.run();
        assert!(heard[0].contains(expected), "{heard:?}");
    }
    let handled = journal.take().iter().filter(|noted| *noted == "run").count();
    assert_eq!(handled, 1, "the handler sees one of the three calls");
}

#[test]
fn a_damaged_segment_loses_the_batches_in_it_and_nothing_else() {
    let (service, _) = service(|builder| builder);
    let mut sharing = Sharing::new(&service, Memory::new(1 << 20));
    sharing.play(echo("x"));
    // The client finds its own header damaged and sends without the segment, and so does the server.
    sharing.memory.change(0, b"XXXX");
    assert_eq!(sharing.play(echo("y")), ["output result=y", "finished"]);
    assert_eq!((counts(&sharing.client), counts(&sharing.server)), ((1, 1), (1, 1)));
    sharing.memory.change(0, b"VGIS");
    assert_eq!(sharing.play(echo("z")), ["output result=z", "finished"]);
    // A request whose bytes change after it is sent.
    let mut client = Vec::new();
    echo("w").issue(&mut sharing.wire.client).unwrap();
    crate::common::feed::drain(sharing.wire.client.poll_transmit(), usize::MAX, &mut client);
    sharing.memory.change(HEADER_BYTES, &[0x55; 8192]);
    sharing.wire.server.receive(client.into());
    sharing.go_on();
    let heard = sharing.wire.run();
    assert!(heard[0].starts_with("failed") && heard[0].contains("shared segment"), "{heard:?}");
    assert_eq!(sharing.play(echo("v")), ["output result=v", "finished"]);
}

#[test]
fn a_call_that_waits_for_its_segment_can_be_given_up() {
    let (service, journal) = service(|builder| builder);
    for hangs_up in [false, true] {
        let mut sharing = Sharing::new(&service, Memory::new(1 << 20));
        sharing.wire.send(echo("x"));
        assert_eq!(sharing.wire.rest(), Rest::Waiting);
        let effect = sharing.wire.effect();
        if hangs_up {
            sharing.wire.server.hang_up();
        } else {
            sharing
                .wire
                .server
                .abandon(vgi_rpc_protocol::wire::error::RpcError::runtime_error("late"))
                .unwrap();
            assert!(sharing.wire.heard()[0].contains("late"));
        }
        assert_eq!(sharing.wire.withdrawn(), [effect.id]);
        let lent: Arc<dyn SharedMemory> = Arc::new(Lent(sharing.memory.clone()));
        sharing.wire.server.complete_effect(effect.id, Completion::Attached(lent));
        assert_eq!(journal.take(), [""; 0]);
    }
}

/// Every access by either side may find a byte changed. Each call still ends exactly once, with the right answer or an error.
#[test]
fn a_segment_that_changes_at_random_breaks_no_connection() {
    let (service, _) = service(|builder| builder);
    let (mut right, mut wrong) = (0, 0);
    for seed in 1..40 {
        let memory = Memory::noisy(HEADER_BYTES as usize + 4096, 1 << (1 + seed % 5), seed * 0x9e37_79b9);
        let lent = Arc::new(Lent(memory.clone()));
        let mut sharing = Sharing::without_segment(&service, memory, Counters::default());
        let Ok(segment) = Segment::create(NAME, lent, options(), &sharing.client) else { continue };
        sharing.wire.client.share_memory(segment);
        for number in 0..10 {
            let value = format!("{number}");
            let heard = sharing.play(echo(&value));
            assert_eq!(heard.last().unwrap(), "finished", "{heard:?}");
            assert_eq!(heard.len(), 2, "{heard:?}");
            if heard[0].starts_with("output") {
                right += 1
            } else {
                wrong += 1
            }
            sharing.play(stream("double", no_columns(1)));
            let heard = sharing.play(send(values([1.5])));
            if heard[0].starts_with("output") {
                sharing.play(Command::Close);
            }
        }
        drop(sharing.wire.records());
    }
    // Most damage hits the header; batches are then sent without the segment.
    assert!(right > 100 && wrong > 0, "{right} {wrong}");
}

impl Sharing {
    /// Returns the number of regions in use.
    fn regions(&self) -> usize {
        let lent: Arc<dyn SharedMemory> = Arc::new(Lent(self.memory.clone()));
        vgi_rpc_protocol::shm::Header::read(&*lent).unwrap().regions().len()
    }
}

/// The client may send its first input before it receives the response to the opening, so both sides would write to the header.
#[test]
fn a_stream_that_is_opened_leaves_the_segment_to_the_client() {
    let (service, _) = service(|builder| builder);
    let mut sharing = Sharing::new(&service, Memory::new(1 << 20));
    sharing.play(echo("x"));
    sharing.play(stream("count", row([("count", int(1))])));
    assert_eq!((counts(&sharing.server), sharing.regions()), ((1, 2), 1), "regions are freed in a turn");
    sharing.play(tick());
    assert_eq!(sharing.regions(), 1, "only the output is in the segment");
    assert_eq!(sharing.play(tick()), ["finished"]);
    // The same for a refusal, which the client may also not have received when it sends its input.
    let heard = sharing.play(stream("count", row([("wrong", int(1))])));
    assert!(heard[0].starts_with("failed"), "{heard:?}");
    assert_eq!(sharing.regions(), 1);
    sharing.play(echo("y"));
    sharing.play(echo("z"));
    assert_eq!(sharing.regions(), 1);
}

#[test]
fn an_input_that_is_sent_while_the_server_may_free_the_parameters_is_sent_as_it_is() {
    let (service, _) = service(|builder| builder);
    let mut sharing = Sharing::new(&service, Memory::new(1 << 20));
    sharing.play(echo("x"));
    assert_eq!(counts(&sharing.client).0, 1);
    // The parameters are in the segment, and the call has no answer yet.
    stream("double", row([("unknown", text("y"))])).issue(&mut sharing.wire.client).unwrap();
    assert_eq!(counts(&sharing.client).0, 2);
    send(values([1.0])).issue(&mut sharing.wire.client).unwrap();
    assert_eq!(counts(&sharing.client).0, 2);
}

#[test]
fn nothing_is_sent_ahead_of_an_output_that_is_due() {
    let (service, _) = service(|builder| builder);
    let mut sharing = Sharing::new(&service, Memory::new(1 << 20));
    sharing.play(stream("count", row([("count", int(2))])));
    tick().issue(&mut sharing.wire.client).unwrap();
    for ahead in [tick(), send(values([1.0]))] {
        let refused = ahead.issue(&mut sharing.wire.client).unwrap_err();
        assert!(matches!(refused, vgi_rpc_protocol::CommandError::Misuse { .. }), "{refused:?}");
    }
    assert_eq!(sharing.play(Command::Close), ["finished"]);
}

#[test]
fn what_is_passed_over_is_freed() {
    let (service, _) = service(|builder| builder);
    let mut sharing = Sharing::new(&service, Memory::new(1 << 20));
    for give_up in [Command::Close, Command::Cancel] {
        sharing.play(stream("count", row([("count", int(3))])));
        // A due output in the segment that is never read.
        let before = sharing.server.counts().written;
        tick().issue(&mut sharing.wire.client).unwrap();
        assert_eq!(sharing.play(give_up), ["finished"]);
        assert_eq!(sharing.server.counts().written, before + 1);
        sharing.play(echo("x"));
        sharing.play(echo("y"));
        assert_eq!(sharing.regions(), 1, "the last answer");
    }
    // The input of a stream that is refused.
    stream("no_such_method", no_columns(1)).issue(&mut sharing.wire.client).unwrap();
    let before = sharing.client.counts().written;
    send(values([1.0])).issue(&mut sharing.wire.client).unwrap();
    assert_eq!(sharing.client.counts().written, before + 1);
    let heard = sharing.play_issued();
    assert!(heard[0].starts_with("failed"), "{heard:?}");
    let written = |sharing: &Sharing| sharing.client.counts().written;
    let before = written(&sharing);
    // This call does not use the segment, and the server then frees the skipped batches.
    sharing.play(echo("x"));
    assert_eq!(written(&sharing), before);
    sharing.play(echo("y"));
    assert_eq!((written(&sharing), sharing.regions()), (before + 1, 1));
}

/// Our client sends no second input before the first is answered; other clients may.
#[test]
fn an_input_behind_a_turn_that_has_failed_is_freed() {
    let (service, _) = service(|builder| builder);
    let mut sharing = Sharing::without_segment(&service, Memory::new(1 << 20), Counters::default());
    let lent = Arc::new(Lent(sharing.memory.clone()));
    let segment = Segment::create(NAME, lent, options(), &sharing.client).unwrap();
    let mut metadata = crate::ask::routing(crate::common::service::MAIN, "double");
    segment.advertisement().advertise(&mut metadata);
    let kind = vgi_rpc_protocol::client::CallKind::Stream { header: false };
    assert_eq!(sharing.play(Command::Request { kind, row: no_columns(1), metadata }), [""; 0]);
    let input = values([1.0]);
    let schema = EncodedSchema::new(input.schema()).unwrap();
    let stored = segment.store(&input, &schema, &Account::default()).unwrap().unwrap();
    let pointer = stored.pointer();
    stored.sent();
    assert_eq!(sharing.regions(), 1);
    // The first points to the header.
    for offset in [0, pointer.offset] {
        let metadata = Pointer { offset, ..pointer }.add_to(Metadata::new());
        Command::Send(input.slice(0, 0), metadata).issue(&mut sharing.wire.client).unwrap();
    }
    let heard = sharing.play_issued();
    assert!(heard[0].starts_with("failed"), "{heard:?}");
    assert_eq!(sharing.play(echo("x")), ["output result=x", "finished"]);
    assert_eq!(sharing.regions(), 0);
}

#[test]
fn a_server_that_cannot_attach_the_segment_fails_one_call() {
    let (service, _) = service(|builder| builder);
    let mut sharing = Sharing::new(&service, Memory::new(1 << 20));
    sharing.wire.send(echo("x"));
    assert_eq!(sharing.wire.rest(), Rest::Waiting);
    let effect = sharing.wire.effect();
    let failure = Failure::new(FailureReason::Failed, "too many open files");
    sharing.wire.server.complete_effect(effect.id, failure.into());
    let heard = sharing.wire.run();
    assert!(heard[0].contains("too many open files"), "{heard:?}");
    for value in ["x", "y", "z"] {
        // It is not requested again.
        sharing.wire.send(echo(value));
        assert_eq!(sharing.wire.run(), [format!("output result={value}"), "finished".into()]);
    }
    assert_eq!(counts(&sharing.client), (1, 0));
}
