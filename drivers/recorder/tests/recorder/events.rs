//! The events about captures.

use crate::support::*;
use std::time::{Duration, Instant};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::TransportKind;

#[path = "../../../../tests/events/kept.rs"]
mod kept;

use kept::Kept;

#[test]
fn captures_that_begin_and_that_are_full_are_events() {
    let (kept, recording) = (Kept::default(), Recording::new(|options| options.max_captures(3).max_bytes(0)));
    tracing::subscriber::with_default(kept.clone(), || {
        for _ in 0..5 {
            let (reader, writer) = recording.recorder.streams(&b"secret"[..], std::io::sink(), 0, "server");
            let (mut reader, _writer) = (reader, writer);
            std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
        }
    });
    let begun = kept.with(&["INFO vgi_rpc_recorder", "is being recorded"]);
    assert_eq!(begun.len(), 1, "clients control how often it happens: {begun:?}");
    for part in ["transport=pipe", "begun=1", "left_out=0"] {
        assert!(begun[0].contains(part), "{begun:?}");
    }
    let full =
        kept.with(&["INFO vgi_rpc_recorder", "the maximum number of captures is reached", "max_captures=3"]);
    assert_eq!(full.len(), 1, "{full:?}");
    let capped = kept.with(&["INFO vgi_rpc_recorder", "has reached its limit", "max_bytes=0", "left_out=0"]);
    assert_eq!(capped.len(), 1, "{capped:?}");
    assert!(!kept.with(&[]).concat().contains("secret"));
}

#[test]
fn captures_that_cannot_be_written_are_events() {
    // The recorder's thread emits it.
    let kept = Kept::everywhere();
    let recording = Recording::new(|options| options.pause_after_trouble(Duration::ZERO));
    let path = recording.folder.path().to_owned();
    std::fs::remove_dir(&path).unwrap();
    for _ in 0..3 {
        on_pipes(&recording.recorder, None, service(), |client| talk(client, &Metadata::new()));
    }
    let began = Instant::now();
    while recording.recorder.dropped() < 3 {
        assert!(began.elapsed() < Duration::from_secs(60), "three captures are dropped");
        std::thread::sleep(Duration::from_millis(1));
    }
    let name = path.to_str().unwrap();
    let failing = || kept.with(&["WARN vgi_rpc_recorder", "could not be written", name]);
    while failing().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "there is an event");
        std::thread::sleep(Duration::from_millis(1));
    }
    let events = failing();
    assert!(
        events.len() == 1 && events[0].contains("error=") && events[0].contains("left_out=0"),
        "{events:?}"
    );
    let transport = TransportKind::Pipe.as_str();
    assert!(events[0].contains(&format!("-{transport}.")), "{events:?}");
    std::fs::create_dir(&path).unwrap();
}
