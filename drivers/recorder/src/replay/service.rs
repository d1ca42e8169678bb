//! Plays a capture of a pipe or a socket to a service.

use super::compare::{Mask, explain};
use super::outcome::{ReplayError, Replayed};
use crate::capture::{Capture, Direction, Role, What};
use crate::redact::arrow_streams::{Stream, Streams};
use crate::transcript::output_lines;
use bytes::{Buf, Bytes};
use std::sync::Arc;
use vgi_rpc_protocol::effect::{EffectEvent, Failure};
use vgi_rpc_protocol::service::{Peer, Responder, Service, TransportKind};
use vgi_rpc_protocol::{IdSource, Limits, Next};

/// Plays the requests of a capture to a service.
///
/// # Errors
/// If the capture is of HTTP, or the service does not start.
pub fn to_service(capture: &Capture, service: Arc<Service>) -> Result<Replayed, ReplayError> {
    let transport = capture.header.transport;
    if transport == TransportKind::Http {
        return Err(ReplayError::Transport { expected: "a pipe or a socket", got: transport });
    }
    service.start(transport).map_err(ReplayError::Start)?;
    let peer = Peer::new(transport, service.server_id().clone());
    let ids = IdSource::seeded(capture.header.seed);
    let mut session = Session {
        responder: Responder::new(service, peer, Limits::default(), ids),
        output: Vec::new(),
        is_over: false,
    };
    let direction = capture.requests();
    let requests = capture.bytes(direction);
    let input = Streams::read(&requests);
    let mut rest = Bytes::from(requests).slice(..input.understood);
    for record in &capture.records {
        let count = match (&record.what, direction) {
            (What::Received(bytes), Direction::Received) | (What::Sent(bytes), Direction::Sent) => {
                bytes.len()
            }
            (What::PeerClosed, _) if capture.header.role == Role::Server && rest.is_empty() => {
                session.responder.receive_eof();
                session.run();
                continue;
            }
            _ => continue,
        };
        let piece = rest.split_to(count.min(rest.len()));
        if !session.is_over && !piece.is_empty() {
            session.responder.receive(piece);
            session.run();
        }
    }
    let mut replayed = compare(capture, &input.streams, &session.output);
    replayed.output = session.output;
    Ok(replayed)
}

/// Compares the output stream by stream.
fn compare(capture: &Capture, input: &[Stream], output: &[u8]) -> Replayed {
    let direction = capture.responses();
    let (recorded, mask) = (capture.bytes(direction), Mask::of(capture, direction));
    let (expected, found) = (Streams::read(&recorded).streams, Streams::read(output).streams);
    let mut replayed = Replayed::default();
    let secret = input.iter().any(|stream| stream.is_secret);
    for (number, stream) in expected.iter().enumerate().filter(|(_, stream)| stream.is_complete) {
        if mask.withholds(&stream.range) {
            replayed.skipped += 1;
            continue;
        }
        let got = found.get(number).and_then(|found| output.get(found.range.clone()));
        let difference = match got {
            Some(got) => mask.difference(&recorded, &stream.range, got).map(|text| {
                let expected = recorded.get(stream.range.clone()).unwrap_or_default();
                explain(&text, &output_lines(expected), &output_lines(got))
            }),
            None => Some("expected it, got no such stream".into()),
        };
        replayed.compared += 1;
        replayed.differences.extend(difference.map(|text| format!("stream {number} of the output: {text}")));
    }
    let complete = expected.iter().all(|stream| stream.is_complete);
    if complete && !secret && !capture.is_capped && found.len() > expected.len() {
        let (expected, found) = (expected.len(), found.len());
        replayed.differences.push(format!("expected {expected} streams of output, got {found}"));
    }
    replayed
}

struct Session {
    responder: Responder,
    output: Vec<u8>,
    is_over: bool,
}

impl Session {
    /// Runs the service until it needs input.
    fn run(&mut self) {
        loop {
            let next = self.responder.poll_work();
            let mut effects = Vec::new();
            while let Some(event) = self.responder.poll_effect() {
                if let EffectEvent::Requested(effect) = event {
                    effects.push(effect.id);
                }
            }
            let has_effects = !effects.is_empty();
            for id in effects {
                self.responder.complete_effect(id, Failure::unsupported().into());
            }
            if let Some(outbox) = self.responder.poll_transmit() {
                let bytes = outbox.copy_to_bytes(outbox.len());
                self.output.extend_from_slice(&bytes);
            }
            match next {
                Ok(Next::Event(work)) => {
                    // The responder returned this work, so it accepts the result.
                    let _ = self.responder.complete(work.run());
                }
                Ok(Next::NeedDrain) => {}
                Ok(Next::Waiting) if has_effects => {}
                Ok(Next::NeedInput) => return,
                Ok(_) | Err(_) => {
                    self.is_over = true;
                    return;
                }
            }
        }
    }
}
