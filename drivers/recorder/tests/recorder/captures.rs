//! Captures as test files.

use crate::support::*;
use bytes::Bytes;
use serde_json::Value;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::ipc::{Metadata, Reader};
use vgi_rpc_protocol::service::TransportKind;
use vgi_rpc_recorder::{Capture, ExportError, Golden};

fn talked() -> Capture {
    let recording = Recording::new(|options| options);
    on_pipes(&recording.recorder, None, service(), |client| talk(client, &Metadata::new()));
    recording.capture().1
}

#[test]
fn a_capture_becomes_a_golden_conversation() {
    let capture = talked();
    let golden = capture.golden().unwrap();
    assert_eq!(golden.request, capture.bytes(capture.requests()));
    assert_eq!(golden.response, capture.bytes(capture.responses()));
    for bytes in [&golden.request, &golden.response] {
        let mut reader = Reader::new(Limits::default());
        reader.receive(Bytes::copy_from_slice(bytes));
        while reader.next_item().unwrap().is_some() {}
        assert!(reader.is_at_boundary());
    }
    added_to_an_index(&golden);
    let entry = &golden.entry;
    assert_eq!((&entry["protocol"], &entry["kind"]), (&"test.Main.v1".into(), &"several".into()));
    assert_eq!(entry["error"]["code"], "UNIMPLEMENTED");
    assert!(entry["error"]["kind"].is_string(), "as in tests/golden: {entry}");
    let chunks = entry["chunks"].as_array().unwrap();
    let total = |name: &str| {
        let of = chunks.iter().filter(|chunk| chunk[0] == name);
        of.map(|chunk| usize::try_from(chunk[1].as_u64().unwrap()).unwrap()).sum::<usize>()
    };
    assert_eq!((total("request"), total("response")), (golden.request.len(), golden.response.len()));
    assert_eq!(chunks[0][0], "request");
    assert!(chunks.windows(2).all(|pair| pair[0][0] != pair[1][0]), "they alternate");
}

/// Adding a conversation leaves all other lines of an index unchanged.
fn added_to_an_index(golden: &Golden) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/index.json");
    let index = std::fs::read_to_string(path).unwrap();
    let added = golden.add_to_index(&index, "recorded").unwrap();
    let (before, after): (Vec<_>, Vec<_>) = (index.lines().collect(), added.lines().collect());
    assert_eq!(after.len(), before.len() + 1);
    let end = before.len() - 3;
    assert_eq!((&after[..end], &after[end + 2..]), (&before[..end], &before[end + 1..]));
    assert_eq!(after[end], format!("{},", before[end]));
    let parsed: Value = serde_json::from_str(&added).unwrap();
    assert_eq!(parsed["scenarios"]["recorded"], golden.entry);
    assert!(matches!(golden.add_to_index(&added, "recorded"), Err(ExportError::Index(_))));

    let first = golden.add_to_index("{\"scenarios\": {}, \"about\": {\"a\": {}}}", "recorded").unwrap();
    assert!(first.starts_with("{\"scenarios\": {\n    \"recorded\": {"), "{first}");
    for index in ["", "{}", "{\"scenarios\": []}"] {
        assert!(matches!(golden.add_to_index(index, "recorded"), Err(ExportError::Index(_))), "{index}");
    }
}

#[test]
fn an_error_without_a_kind_has_an_empty_one() {
    let recording = Recording::new(|options| options);
    on_pipes(&recording.recorder, None, service(), |client| {
        client.unary(&remote().method("fail"), &nothing()).unwrap_err();
    });
    let entry = recording.capture().1.golden().unwrap().entry;
    assert_eq!(entry["error"]["kind"], "", "{entry}");
}

#[test]
fn one_call_is_of_its_own_kind() {
    let recording = Recording::new(|options| options);
    on_pipes(&recording.recorder, None, service(), |client| {
        client.unary(&remote().method("echo"), &text("x")).unwrap();
    });
    let entry = recording.capture().1.golden().unwrap().entry;
    assert_eq!((&entry["method"], &entry["kind"]), (&"echo".into(), &"unary".into()));
    assert!(entry["error"].is_null());
}

#[test]
fn a_capture_becomes_seeds_of_the_targets_for_its_transport() {
    let capture = talked();
    let requests = capture.bytes(capture.requests());
    assert_eq!(capture.seed("server_session").unwrap(), requests);
    assert!(capture.seed("client_connection").unwrap().ends_with(&capture.bytes(capture.responses())));
    assert_eq!(Capture::parse(&capture.seed("capture").unwrap()).unwrap(), capture);
    assert!(matches!(
        capture.seed("http1_server"),
        Err(ExportError::Transport { got: TransportKind::Pipe, .. })
    ));
    assert!(matches!(capture.seed("tls"), Err(ExportError::Target(_))));
}
