//! Plays a capture of HTTP to a server's machine.

use super::compare::{Mask, explain};
use super::machine;
use super::outcome::{ReplayError, Replayed};
use super::source::Source;
use crate::capture::{Capture, Direction, PlaceholderKind, Role, What};
use crate::redact::http::Exchanges;
use crate::redact::http_messages::{Message, response};
use crate::transcript::response_lines;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use vgi_rpc_protocol::service::TransportKind;
use vgi_rpc_reactor::{Acceptor, Machine, Origin};

/// Plays a capture of HTTP. Its [`entropy`](Self::entropy) and [`clock`](Self::clock) return the random bytes and times of the
/// capture, so an endpoint that is built with them serves only one replay.
///
/// Tokens that the server issued are placeholders in the capture. The server of the replay issues others; in requests, the
/// placeholders are replaced by these. Credentials of the client remain placeholders: an endpoint that authenticates callers
/// needs an authenticator that accepts them.
#[derive(Debug)]
pub struct Player {
    capture: Capture,
    source: Arc<Mutex<Source>>,
}

impl Player {
    /// Creates a player of this capture.
    ///
    /// # Errors
    /// If the capture is not of HTTP.
    pub fn new(capture: Capture) -> Result<Self, ReplayError> {
        match capture.header.transport {
            TransportKind::Http => {
                let source = Arc::new(Mutex::new(Source::of(&capture)));
                Ok(Self { capture, source })
            }
            got => Err(ReplayError::Transport { expected: "http", got }),
        }
    }

    /// Returns a source of the recorded random bytes, for the endpoint. It returns zeros before the replay begins, and if the
    /// capture has no more.
    pub fn entropy(&self) -> impl Fn(&mut [u8]) + Send + Sync + use<> {
        let source = self.source.clone();
        move |bytes| lock(&source).draw(bytes)
    }

    /// Returns a clock with the recorded times, for the server.
    pub fn clock(&self) -> impl Fn() -> Duration + Send + Sync + use<> {
        let source = self.source.clone();
        move || lock(&source).now()
    }

    /// Plays the requests to a server.
    ///
    /// # Errors
    /// If the machine waits too long for something other than its peer.
    pub fn to_server(&self, acceptor: &impl Acceptor) -> Result<Replayed, ReplayError> {
        let capture = &self.capture;
        // Random bytes that the endpoint drew when it was built are not in the capture.
        *lock(&self.source) = Source::of(capture);
        let (from, to) = (capture.requests(), capture.responses());
        let (mut input, recorded) = (capture.bytes(from), capture.bytes(to));
        let exchanges = Exchanges::read(&input, &recorded);
        let (of_input, of_output) = (Mask::of(capture, from), Mask::of(capture, to));
        let end = exchanges.exchanges.last().map_or(0, |last| last.request.range.end);
        let origin = Origin::Tcp(Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 1))));
        let mut server = acceptor.accept(&origin, capture.header.seed, machine::waker());
        let (mut output, mut fed) = (Vec::new(), 0);
        let mut answers = Answers::default();
        let pieces: Vec<(usize, usize)> = capture
            .records
            .iter()
            .enumerate()
            .filter_map(|(at, record)| match (&record.what, from) {
                (What::Received(bytes), Direction::Received) | (What::Sent(bytes), Direction::Sent) => {
                    Some((at, bytes.len()))
                }
                (What::PeerClosed, _) if capture.header.role == Role::Server => Some((at, 0)),
                _ => None,
            })
            .collect();
        for (number, (record, count)) in pieces.iter().enumerate() {
            let next = pieces.get(number + 1).map_or(usize::MAX, |(record, _)| *record);
            lock(&self.source).play_until(*record, next);
            let piece = fed..(fed + count).min(end);
            match count {
                0 => server.receive_eof(),
                _ if piece.is_empty() => continue,
                _ => {
                    for (range, _) in of_input.within(&piece) {
                        answers.put_in(&mut input, range.clone());
                    }
                    machine::feed(&mut server, input.get(piece.clone()).unwrap_or_default());
                    fed = piece.end;
                }
            }
            let is_open = machine::run(&mut server, &mut output)?;
            answers.learn(&exchanges, &recorded, &of_output, &output);
            if !is_open {
                break;
            }
        }
        let mut replayed = Replayed::default();
        for (number, exchange) in exchanges.exchanges.iter().enumerate() {
            let Some(expected) = &exchange.response else { break };
            if of_input.withholds(&exchange.request.range) {
                replayed.skipped += 1;
                continue;
            }
            let Some(found) = answers.found.get(number) else {
                replayed.compared += 1;
                replayed.differences.push(format!("response {number}: expected one, got none"));
                continue;
            };
            if of_output.withholds(&expected.range) {
                replayed.skipped += 1;
                if expected.status != found.status {
                    let (expected, got) = (expected.status, found.status);
                    replayed
                        .differences
                        .push(format!("response {number}: expected status {expected}, got {got}"));
                }
                continue;
            }
            replayed.compared += 1;
            let got = with_recorded_id(&recorded, expected, &output, found);
            let difference = of_output.difference(&recorded, &expected.range, &got).map(|text| {
                explain(&text, &response_lines(expected, &recorded), &response_lines(found, &output))
            });
            replayed.differences.extend(difference.map(|text| format!("response {number}: {text}")));
        }
        let missing = lock(&self.source).missing;
        if missing > 0 && !replayed.is_equal() {
            let text = format!("random bytes were drawn {missing} times that the capture does not have");
            replayed.differences.push(text);
        }
        replayed.output = output;
        Ok(replayed)
    }
}

fn lock(source: &Mutex<Source>) -> MutexGuard<'_, Source> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tokens of the replay's server.
#[derive(Default)]
struct Answers {
    found: Vec<Message>,
    parsed: usize,
    /// The values of the replay, by placeholder.
    values: HashMap<Vec<u8>, Vec<u8>>,
}

impl Answers {
    /// Replaces placeholders that a response had by the values of this replay.
    fn put_in(&self, input: &mut [u8], range: std::ops::Range<usize>) {
        if let Some(place) = input.get_mut(range)
            && let Some(value) = self.values.get(place)
        {
            place.copy_from_slice(value);
        }
    }

    /// Learns the values of the new responses.
    fn learn(&mut self, exchanges: &Exchanges, recorded: &[u8], mask: &Mask, output: &[u8]) {
        while let Some(exchange) = exchanges.exchanges.get(self.found.len()) {
            let Some(answer) = response(output, self.parsed, &exchange.request.method) else { return };
            self.parsed = answer.range.end;
            if answer.status < 200 {
                continue;
            }
            if let Some(expected) =
                exchange.response.as_ref().filter(|it| it.range.len() == answer.range.len())
            {
                for (range, kind) in mask.within(&expected.range) {
                    let start = answer.range.start + (range.start - expected.range.start);
                    let value = output.get(start..start + range.len());
                    if let (PlaceholderKind::Secret, Some(value), Some(placeholder)) =
                        (kind, value, recorded.get(range.clone()))
                    {
                        self.values.insert(placeholder.to_vec(), value.to_vec());
                    }
                }
            }
            self.found.push(answer);
        }
    }
}

/// Returns a response with the recorded request id: an endpoint numbers the requests of all its connections together.
fn with_recorded_id(recorded: &[u8], expected: &Message, output: &[u8], found: &Message) -> Vec<u8> {
    let mut bytes = output.get(found.range.clone()).unwrap_or_default().to_vec();
    let id = |message: &Message, bytes| {
        message.header(bytes, "x-request-id").map(|id: &str| id.as_bytes().to_vec())
    };
    if let (Some(before), Some(now)) = (id(expected, recorded), id(found, output))
        && before.len() == now.len()
        && before != now
        && !now.is_empty()
    {
        let mut at = 0;
        while let Some(place) = bytes.get_mut(at..at + now.len()) {
            if place == now {
                place.copy_from_slice(&before);
            }
            at += 1;
        }
    }
    bytes
}
