//! Connections that are not, or no longer, recorded: their bytes are neither inspected nor copied.

use crate::support::Recording;
use bytes::{Buf, Bytes};
use std::io::{Read, Write};
use std::task::Waker;
use std::time::Duration;
use vgi_rpc_protocol::service::TransportKind;
use vgi_rpc_reactor::{Acceptor, Job, Layer, Machine, Origin, Phase, Step};
use vgi_rpc_recorder::{Direction, RecordedOutput, Recorder, RecordingMachine};

/// How much of a connection is recorded: this many exchanges of 110 bytes, whose two records count 64 more each.
const EXCHANGES: usize = 4;
const LIMIT: usize = EXCHANGES * (110 + 2 * 64);
/// How much memory the machine lends.
const LENT: usize = 777;
/// What the machine sends.
static OUTPUT: [u8; 100] = [7; 100];

struct Lending;

/// Lends its own memory, and counts the bytes that it receives.
struct Lender {
    memory: Vec<u8>,
    taken: usize,
    output: Bytes,
}

struct NoJob;

impl Job for NoJob {
    type Finished = ();
    fn run(self) {}
}

impl Acceptor for Lending {
    type Machine = Lender;
    fn accept(&self, _: &Origin, _: u64, _: Waker) -> Lender {
        Lender { memory: vec![0; LENT], taken: 0, output: Bytes::new() }
    }
}

impl Machine for Lender {
    type Job = NoJob;
    type Output<'a> = &'a mut Bytes;
    fn phase(&self) -> Phase {
        Phase::Idle
    }
    fn held_bytes(&self) -> usize {
        self.taken
    }
    fn read_buf(&mut self) -> Option<&mut [u8]> {
        Some(&mut self.memory)
    }
    fn advance(&mut self, count: usize) {
        self.taken += count;
        self.output = Bytes::from_static(&OUTPUT);
    }
    fn receive(&mut self, _: &[u8]) {
        panic!("it lends memory");
    }
    fn receive_eof(&mut self) {}
    fn complete(&mut self, (): ()) {}
    fn poll(&mut self) -> Step<NoJob> {
        Step::NeedInput
    }
    fn poll_transmit(&mut self) -> Option<&mut Bytes> {
        Some(&mut self.output).filter(|output| output.has_remaining())
    }
}

fn accept(recorder: &Recorder) -> RecordingMachine<Lender> {
    let acceptor = recorder.layer(TransportKind::Tcp, "server").layer(Lending);
    acceptor.accept(&Origin::Tcp(None), 0, Waker::noop().clone())
}

/// Whether bytes are copied, in either direction.
#[track_caller]
fn is_copied(machine: &mut RecordingMachine<Lender>) -> bool {
    let copies_input = match machine.read_buf() {
        Some(lent) => {
            assert_eq!(lent.len(), LENT, "the memory of the inner machine");
            machine.advance(10);
            false
        }
        None => {
            machine.receive(&[1; 10]);
            true
        }
    };
    let mut output = machine.poll_transmit().unwrap();
    assert_eq!(output.remaining(), OUTPUT.len());
    let copies_output = output.chunk().as_ptr() != OUTPUT.as_ptr();
    assert_eq!(matches!(output, RecordedOutput::Recorded(_)), copies_output);
    output.advance(OUTPUT.len());
    assert!(machine.poll_transmit().is_none());
    assert_eq!(copies_input, copies_output);
    copies_input
}

#[test]
fn a_connection_is_copied_until_its_capture_is_full_and_no_longer() {
    let recording = Recording::new(|options| options.max_bytes(LIMIT));
    let mut machine = accept(&recording.recorder);
    let copied: Vec<bool> = (0..100).map(|_| is_copied(&mut machine)).collect();
    assert_eq!(copied, [[true].repeat(EXCHANGES), [false].repeat(100 - EXCHANGES)].concat());
    assert_eq!(machine.held_bytes(), 100 * 10, "the inner machine received everything");
    let (_, capture) = recording.capture();
    let recorded = capture.bytes(Direction::Received).len() + capture.bytes(Direction::Sent).len();
    assert!(capture.is_capped);
    assert_eq!(recorded, EXCHANGES * 110);
}

#[test]
fn a_connection_that_comes_when_there_are_enough_captures_is_not_copied() {
    let recording = Recording::new(|options| options.max_captures(1));
    let (mut first, mut second) = (accept(&recording.recorder), accept(&recording.recorder));
    for _ in 0..3 {
        assert_eq!((is_copied(&mut first), is_copied(&mut second)), (true, false));
    }
    drop((first, second));
    assert_eq!(recording.captures().len(), 1);
}

#[test]
fn a_connection_is_not_copied_once_the_recorder_is_closed() {
    let recording = Recording::new(|options| options);
    let mut machine = accept(&recording.recorder);
    assert!(is_copied(&mut machine));
    // Memory that was already lent is still accepted, and copied output is still sent.
    assert!(machine.read_buf().is_none());
    assert!(recording.recorder.close(Duration::from_secs(60)));
    machine.receive(&[1; 2000]);
    assert_eq!(machine.held_bytes(), 2010);
    assert_eq!(machine.poll_transmit().unwrap().chunk().as_ptr(), OUTPUT.as_ptr());
    machine.poll_transmit().unwrap().advance(OUTPUT.len());
    assert!(!is_copied(&mut machine) && !is_copied(&mut accept(&recording.recorder)));
    let (_, capture) = recording.capture();
    assert_eq!(capture.bytes(Direction::Received).len(), 10);
}

#[test]
fn no_connection_begins_to_be_copied_for_a_while_after_a_capture_could_not_be_written() {
    let pause = Duration::from_secs(3600);
    let recording = Recording::new(|options| options.pause_after_trouble(pause).max_captures(3));
    let (mut open, broken) = (accept(&recording.recorder), accept(&recording.recorder));
    assert!(is_copied(&mut open));
    std::fs::remove_dir(recording.folder.path()).unwrap();
    drop(broken);
    while recording.recorder.dropped() == 0 {
        std::thread::yield_now();
    }
    assert!((0..10).all(|_| !is_copied(&mut accept(&recording.recorder))));
    assert_eq!(recording.recorder.begun(), 2, "they are not selected for recording");
    // Already recorded data is written if that is possible by then.
    assert!(is_copied(&mut open));
    std::fs::create_dir(recording.folder.path()).unwrap();
    drop(open);
    let (_, capture) = recording.capture();
    assert_eq!((capture.header.dropped, capture.bytes(Direction::Received).len()), (1, 20));
}

/// Reads and writes beyond the limit are not collected.
#[test]
fn a_pair_of_streams_is_recorded_up_to_its_limit() {
    let recording = Recording::new(|options| options.max_bytes(LIMIT));
    let input = vec![3_u8; 1 << 20];
    let (mut reader, mut writer) = recording.recorder.streams(&input[..], Vec::new(), 0, "server");
    let mut part = [0; 400];
    while reader.read(&mut part).unwrap() > 0 {
        writer.write_all(&part).unwrap();
    }
    drop((reader, writer));
    let (file, capture) = recording.capture();
    assert!(capture.is_capped && file.len() < LIMIT + 1000, "{}", file.len());
    assert_eq!(recording.recorder.written(), 1);
}
