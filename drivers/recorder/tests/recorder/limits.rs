//! Limits on what is recorded, the target folder, and a disk that is full.

use crate::support::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::TransportKind;
use vgi_rpc_recorder::replay::to_service;
use vgi_rpc_recorder::{Direction, RecorderOptions};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_capture_ends_at_its_limit_and_the_call_does_not() {
    let recording = Recording::new(|options| options.max_bytes(5000));
    on_pipes(&recording.recorder, None, service(), |client| talk(client, &Metadata::new()));
    let (file, capture) = recording.capture();
    assert!(capture.is_capped && file.len() < 6000, "{}", file.len());
    let replayed = to_service(&capture, service()).unwrap();
    assert_eq!(replayed.differences, Vec::<String>::new());
    assert!(replayed.compared >= 1);
    assert!(capture.transcript().to_string().contains("cut off at its limit"));
}

#[test]
fn no_more_connections_are_recorded_than_wanted() {
    let recording = Recording::new(|options| options.max_captures(2));
    on_socket(&recording.recorder, service(), TransportKind::Tcp, |address| {
        for _ in 0..4 {
            let mut client = vgi_rpc_unix::connect_tcp(address).unwrap();
            client.unary(&remote().method("echo"), &text("x")).unwrap();
            client.close().unwrap();
        }
    });
    assert_eq!(recording.captures().len(), 2);
    assert_eq!((recording.recorder.begun(), recording.recorder.written()), (2, 2));
    assert_eq!(recording.recorder.dropped(), 0);
}

#[cfg(unix)]
#[test]
fn captures_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let recording = Recording::new(|options| options);
    on_pipes(&recording.recorder, None, service(), |client| talk(client, &Metadata::new()));
    assert!(recording.recorder.close(PATIENCE));
    let entry = std::fs::read_dir(recording.folder.path()).unwrap().next().unwrap().unwrap();
    assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_capture_that_cannot_be_written_is_counted_and_nothing_else_happens() {
    let troubles = Arc::new(AtomicUsize::new(0));
    let count = troubles.clone();
    let recording = Recording::new(|options| {
        options.pause_after_trouble(Duration::ZERO).on_trouble(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            std::panic::panic_any("on purpose");
        })
    });
    let path = recording.folder.path();
    std::fs::remove_dir(path).unwrap();
    on_pipes(&recording.recorder, None, service(), |client| talk(client, &Metadata::new()));
    // The previous capture is counted when the next one begins to be written.
    while troubles.load(Ordering::Relaxed) == 0 {
        std::thread::yield_now();
    }
    std::fs::create_dir(path).unwrap();
    on_pipes(&recording.recorder, None, service(), |client| talk(client, &Metadata::new()));
    let (_, capture) = recording.capture();
    assert_eq!((capture.header.dropped, recording.recorder.dropped()), (1, 1));
    assert!(!capture.bytes(Direction::Sent).is_empty());
}

#[test]
fn a_folder_must_be_there() {
    let folder = tempfile::TempDir::new().unwrap();
    assert!(RecorderOptions::new(folder.path().join("absent")).open().is_err());
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = RecorderOptions::new(&file).open().unwrap_err();
    assert!(error.to_string().contains("expected a folder"), "{error}");
}

/// The capture of a connection that is open when the recorder ends is written up to that point.
#[test]
fn open_connections_are_written_at_the_end() {
    let recording = Recording::new(|options| options);
    on_socket(&recording.recorder, service(), TransportKind::Tcp, |address| {
        let mut client = vgi_rpc_unix::connect_tcp(address).unwrap();
        client.unary(&remote().method("echo"), &text("before")).unwrap();
        assert!(recording.recorder.close(PATIENCE));
        client.unary(&remote().method("echo"), &text("after")).unwrap();
        client.close().unwrap();
    });
    let (_, capture) = recording.capture();
    let text = capture.transcript().to_string();
    assert!(text.contains("[before]") && !text.contains("[after]"), "{text}");
}

/// A process that is about to end does not wait forever.
#[test]
fn closing_has_a_limit() {
    let (wait, waits) = std::sync::mpsc::channel::<()>();
    let waits = std::sync::Mutex::new(waits);
    let recording = Recording::new(|options| {
        options.max_captures(usize::MAX).on_trouble(move |_| waits.lock().unwrap().recv().unwrap_or_default())
    });
    std::fs::remove_dir(recording.folder.path()).unwrap();
    on_pipes(&recording.recorder, None, service(), |client| talk(client, &Metadata::new()));
    let began = Instant::now();
    assert!(!recording.recorder.close(Duration::from_millis(20)));
    assert!(began.elapsed() < Duration::from_secs(30));
    drop(wait);
    assert!(recording.recorder.close(PATIENCE) && recording.recorder.close(Duration::ZERO));
    assert_eq!(recording.recorder.dropped(), 1);
}
