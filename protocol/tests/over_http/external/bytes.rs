//! Byte streams: every conversation is the same whether or not its batches are in external storage.

use super::store::*;
use crate::common::driver::{Command, Rest, lines, listen, serve};
use crate::common::feed::drain;
use crate::common::quiet_panics;
use crate::common::scenarios::{self, echo, unary};
use crate::common::service::{SERVER_ID, service, service_with};
use crate::common::transcript::Told;
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_protocol::access_log;
use vgi_rpc_protocol::content_coding::Coding;
use vgi_rpc_protocol::effect::{EffectEvent, FailureReason};
use vgi_rpc_protocol::external::Externalisation;
use vgi_rpc_protocol::service::{Peer, Responder, Service, TransportKind, WaitingFor};
use vgi_rpc_protocol::{IdSource, Limits, client};

/// A client and a server whose effects one store performs.
pub struct Wire {
    pub client: client::Connection,
    pub server: Responder,
    pub store: Store,
    /// Number of bytes that the server has sent.
    pub sent: usize,
}

impl Wire {
    pub fn new(service: &Arc<Service>, store: Store) -> Self {
        quiet_panics();
        let peer = Peer::new(TransportKind::Pipe, SERVER_ID);
        let mut server = Responder::new(service.clone(), peer, Limits::default(), IdSource::seeded(7));
        server.record_calls();
        let mut client = client::Connection::new(Limits::default());
        client.fetch_external(options());
        Self { client, server, store, sent: 0 }
    }

    /// Issues a command and exchanges bytes until neither side has more to send.
    pub fn play(&mut self, command: &Command) -> Vec<Told> {
        command.issue(&mut self.client).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut told = Vec::new();
        loop {
            let heard = listen(&mut self.client, &mut told);
            while let Some(event) = self.client.poll_effect() {
                if let EffectEvent::Requested(effect) = event {
                    assert_eq!(heard, Rest::Waiting);
                    self.client.complete_effect(effect.id, self.store.perform(&effect));
                }
            }
            let (mut up, mut down) = (Vec::new(), Vec::new());
            drain(self.client.poll_transmit(), usize::MAX, &mut up);
            let up_bytes = up.len();
            self.server.receive(up.into());
            loop {
                let rest = serve(&mut self.server, usize::MAX, &mut down);
                let Some(EffectEvent::Requested(effect)) = self.server.poll_effect() else { break };
                assert_eq!((rest, self.server.waiting_for()), (Rest::Waiting, WaitingFor::Effect));
                self.server.complete_effect(effect.id, self.store.perform(&effect));
            }
            if up_bytes == 0 && down.is_empty() {
                let before = told.len();
                let rest = listen(&mut self.client, &mut told);
                if told.len() == before && rest != Rest::Waiting {
                    return told;
                }
            }
            self.sent += down.len();
            self.client.receive(down.into());
        }
    }
}

fn play_all(service: &Arc<Service>, store: &Store, script: &[Command]) -> (Vec<String>, Vec<String>) {
    let mut wire = Wire::new(service, store.clone());
    let told: Vec<_> = script.iter().flat_map(|command| wire.play(command)).collect();
    seen(&told)
}

#[test]
fn every_conversation_is_the_same_when_all_of_its_batches_lie_elsewhere() {
    let inline = service();
    let mut stored = 0;
    let codings = [None].into_iter().chain(Coding::ALL.iter().copied().map(Some));
    for coding in codings {
        let elsewhere = service_with(externalising(Externalisation { coding, ..always() }));
        for (name, script) in scenarios::all() {
            let store = Store::default();
            let expected = play_all(&inline, &store, &script);
            assert_eq!(store.objects(), 0);
            assert_eq!(play_all(&elsewhere, &store, &script), expected, "{name} {coding:?}");
            assert_eq!(store.objects(), store.fetched(), "{name} {coding:?}");
            stored += store.objects();
        }
    }
    assert!(stored > 150, "{stored}");
}

#[test]
fn a_batch_below_the_threshold_is_sent_as_it_is() {
    let store = Store::default();
    let service = service_with(externalising(Externalisation { threshold: 1 << 10, ..always() }));
    let mut wire = Wire::new(&service, store.clone());
    assert_eq!(lines(&wire.play(&echo("short"))), ["output result=short", "finished"]);
    assert_eq!((store.objects(), store.fetched()), (0, 0));
    let (long, before) = ("x".repeat(100_000), wire.sent);
    let (_, told) = seen(&wire.play(&echo(&long)));
    assert_eq!(told, [format!("output result={long}"), "finished".into()]);
    assert_eq!((store.objects(), store.fetched()), (1, 1));
    assert!(wire.sent - before < 2000, "a pointer is short");
    let records: Vec<_> = std::iter::from_fn(|| wire.server.poll_record()).collect();
    let stored: Vec<_> = records.iter().map(|record| record.externalized_bytes).collect();
    assert_eq!(stored, [0, store.object(0).bytes.len() as u64]);
    let logged: Vec<_> = records.iter().map(|record| access_log::line(record, Duration::ZERO, 0)).collect();
    assert!(!logged[0].contains("externalized_bytes"), "{logged:?}");
    assert!(logged[1].contains(&format!("\"externalized_bytes\":{}", stored[1])), "{logged:?}");
    assert!(records[1].statistics.output.bytes >= 100_000, "the application's data is counted");
}

#[test]
fn what_cannot_be_stored_is_the_error_of_its_call_and_the_connection_lives_on() {
    let store = Store::default();
    let service = service_with(externalising(always()));
    let mut wire = Wire::new(&service, store.clone());
    for script in [vec![echo("x")], scenarios::producer_to_the_end(), scenarios::producer_with_header()] {
        store.fail_next(FailureReason::Refused, "the store is full");
        let told: Vec<_> = wire.play(&script[0]).iter().map(Told::line).collect();
        let told = if told.is_empty() { lines(&wire.play(&script[1])) } else { told };
        assert_eq!(told.last().map(String::as_str), Some("finished"), "{told:?}");
        assert!(told.contains(&"failed RuntimeError: the store is full".to_owned()), "{told:?}");
        let records: Vec<_> = std::iter::from_fn(|| wire.server.poll_record()).collect();
        let error = records.last().and_then(|record| record.error.clone()).expect("a failed call");
        assert_eq!(error.message(), "the store is full");
        let (_, told) = seen(&wire.play(&echo("alive")));
        assert_eq!(told, ["output result=alive", "finished"]);
        while wire.server.poll_record().is_some() {}
    }
}

#[test]
fn more_than_a_response_may_externalise_is_refused_before_it_is_stored() {
    let store = Store::default();
    let cap = Externalisation { max_externalized_response_bytes: Some(2000), ..always() };
    let mut wire = Wire::new(&service_with(externalising(cap)), store.clone());
    let told = lines(&wire.play(&echo(&"x".repeat(3000))));
    assert!(told[0].contains("max_externalized_response_bytes (2000)"), "{told:?}");
    assert!(told[0].starts_with("failed ResponseTooLargeError"), "{told:?}");
    assert_eq!(store.objects(), 0, "no refused answer leaves an object behind");
    assert_eq!(seen(&wire.play(&echo("x"))).1, ["output result=x", "finished"]);
}

#[test]
fn the_cap_is_that_of_one_answer() {
    let store = Store::default();
    let cap = Externalisation { max_externalized_response_bytes: Some(1000), ..always() };
    let mut wire = Wire::new(&service_with(externalising(cap)), store.clone());
    wire.play(&scenarios::count(9));
    for turn in 0..9 {
        assert_eq!(seen(&wire.play(&scenarios::tick())).1, [format!("output n={turn}")]);
    }
    assert_eq!(store.objects(), 9);
}

#[test]
fn no_debug_output_of_a_machine_shows_a_url() {
    let store = Store::default();
    let mut wire = Wire::new(&service_with(externalising(always())), store.clone());
    wire.play(&echo("x"));
    echo("y").issue(&mut wire.client).unwrap();
    let (mut up, mut down, mut told) = (Vec::new(), Vec::new(), Vec::new());
    drain(wire.client.poll_transmit(), usize::MAX, &mut up);
    wire.server.receive(up.into());
    serve(&mut wire.server, usize::MAX, &mut down);
    let Some(EffectEvent::Requested(effect)) = wire.server.poll_effect() else { panic!("an effect") };
    wire.server.complete_effect(effect.id, store.perform(&effect));
    assert!(!format!("{:?} {effect:?}", wire.server).contains(SECRET));
    serve(&mut wire.server, usize::MAX, &mut down);
    assert!(down.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
    // Read into the machine's own buffer, also in the middle of the message.
    for piece in down.chunks(100) {
        wire.client.read_buf()[..piece.len()].copy_from_slice(piece);
        wire.client.advance(piece.len());
        listen(&mut wire.client, &mut told);
        let shown = format!("{:?}", wire.client);
        let digits = format!("{:?}", SECRET.as_bytes());
        assert!(!shown.contains(SECRET) && !shown.contains(digits.trim_matches(['[', ']'])), "{shown}");
    }
}

#[test]
fn a_call_that_is_given_up_while_it_is_stored_takes_its_effect_back() {
    let mut wire = Wire::new(&service_with(externalising(always())), Store::default());
    echo("x").issue(&mut wire.client).unwrap();
    let (mut up, mut down) = (Vec::new(), Vec::new());
    drain(wire.client.poll_transmit(), usize::MAX, &mut up);
    wire.server.receive(up.into());
    assert_eq!(serve(&mut wire.server, usize::MAX, &mut down), Rest::Waiting);
    let Some(EffectEvent::Requested(effect)) = wire.server.poll_effect() else { panic!("an effect") };
    assert_eq!(wire.server.waiting_for(), WaitingFor::Effect);
    wire.server.hang_up();
    let Some(EffectEvent::Withdrawn(id)) = wire.server.poll_effect() else { panic!("no withdrawal") };
    assert_eq!(id, effect.id);
    let record = wire.server.poll_record().expect("the call has ended");
    assert!(record.error.is_some());
    wire.server.complete_effect(effect.id, wire.store.perform(&effect));
    assert!(wire.server.poll_effect().is_none() && wire.server.poll_record().is_none());
}

#[test]
fn a_client_that_closes_its_stream_takes_the_fetch_back() {
    let store = Store::default();
    let mut wire = Wire::new(&service_with(externalising(always())), store);
    let script = scenarios::producer_to_the_end();
    wire.play(&script[0]);
    script[1].issue(&mut wire.client).unwrap();
    let (mut up, mut down, mut told) = (Vec::new(), Vec::new(), Vec::new());
    drain(wire.client.poll_transmit(), usize::MAX, &mut up);
    wire.server.receive(up.into());
    serve(&mut wire.server, usize::MAX, &mut down);
    let Some(EffectEvent::Requested(effect)) = wire.server.poll_effect() else { panic!("an effect") };
    wire.server.complete_effect(effect.id, wire.store.perform(&effect));
    serve(&mut wire.server, usize::MAX, &mut down);
    wire.client.receive(down.into());
    assert_eq!(listen(&mut wire.client, &mut told), Rest::Waiting);
    let Some(EffectEvent::Requested(effect)) = wire.client.poll_effect() else { panic!("an effect") };
    wire.client.close().unwrap();
    let Some(EffectEvent::Withdrawn(id)) = wire.client.poll_effect() else { panic!("no withdrawal") };
    assert_eq!(id, effect.id);
    wire.client.complete_effect(id, wire.store.perform(&effect));
    let told = wire.play_rest();
    assert_eq!(told, ["finished"]);
    assert_eq!(seen(&wire.play(&unary("nothing", crate::common::batches::no_columns(1)))).1.len(), 2);
}

impl Wire {
    /// Exchanges bytes until neither side has more to send.
    fn play_rest(&mut self) -> Vec<String> {
        let (mut up, mut down, mut told) = (Vec::new(), Vec::new(), Vec::new());
        drain(self.client.poll_transmit(), usize::MAX, &mut up);
        self.server.receive(up.into());
        serve(&mut self.server, usize::MAX, &mut down);
        self.client.receive(down.into());
        listen(&mut self.client, &mut told);
        lines(&told)
    }
}
