//! External objects written by the reference: tests/golden/objects, where objects.py describes the files.

use crate::common::streams::batches_of;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use bytes::Bytes;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::external::{ObjectLimits, Pointer, Resolution, Resolved, total_buffer_size};
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::wire::keys;
use vgi_rpc_protocol::wire::log::{Level, LogMessage};

fn read(name: &str) -> Bytes {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/objects");
    std::fs::read(folder.join(name)).unwrap().into()
}

fn index() -> Value {
    serde_json::from_slice(&read("index.json")).unwrap()
}

/// Resolves an object with the reference's pointer batch.
fn resolve(name: &str, coding: Option<&str>, piece: usize) -> Resolved {
    let [(batch, metadata)] = &batches_of(&read(&format!("{name}.pointer.bin")))[..] else {
        panic!("{name}")
    };
    let pointer = Pointer::recognise(batch.num_rows(), metadata).unwrap().expect("a pointer");
    assert_eq!(pointer.sha256.is_none(), name.contains("without_digest"), "{name}");
    assert_eq!(pointer.to_metadata(), *metadata, "{name}: the same bytes as the reference's");
    let account = Budget::new(64 << 20).account();
    let mut resolution =
        Resolution::new(pointer, batch.schema(), &Limits::default(), &account, ObjectLimits::default());
    resolution.begin(coding).unwrap();
    for piece in read(&format!("{name}.object.bin")).chunks(piece) {
        resolution.receive(Bytes::copy_from_slice(piece)).unwrap();
    }
    resolution.finish(Duration::from_millis(1)).unwrap()
}

#[test]
fn objects_of_the_reference_are_resolved() {
    let index = index();
    let objects = index["objects"].as_object().unwrap();
    assert!(objects.len() >= 5, "the capture exists");
    for (name, entry) in objects {
        let coding = entry["coding"].as_str();
        if coding == Some("zstd") && cfg!(not(feature = "zstd")) {
            continue;
        }
        for piece in [1, 100, usize::MAX] {
            let resolved = resolve(name, coding, piece);
            let rows = resolved.batch.num_rows();
            assert_eq!(Some(rows as u64), entry["rows"].as_u64(), "{name}");
            let numbers = resolved.batch.column(0).as_primitive::<Int64Type>();
            let texts = resolved.batch.column(1).as_string::<i32>();
            if rows == 1 {
                assert_eq!((numbers.value(0), texts.value(0)), (1, "published"), "{name}");
            } else {
                let is_right = |n: usize| {
                    let text = texts.iter().nth(n).unwrap();
                    numbers.value(n) == n as i64
                        && text == (!n.is_multiple_of(7)).then(|| format!("row {n}")).as_deref()
                };
                assert!((0..rows).all(is_right), "{name}");
                assert_eq!(
                    index["total_buffer_size"].as_u64(),
                    Some(total_buffer_size(&resolved.batch)),
                    "{name}"
                );
            }
            let logs = resolved.logs.iter().map(|log| LogMessage::from_metadata(log).unwrap());
            let logs: Vec<_> = logs.map(|log| (log.level, log.message)).collect();
            if entry["logs"] == 2 {
                assert_eq!(logs, [(Level::Info, "first".to_owned()), (Level::Warn, "second".to_owned())]);
                assert_eq!(resolved.metadata.get_str("application"), Some("x"), "{name}");
            } else {
                assert_eq!((logs.len(), entry["logs"].as_u64()), (0, Some(0)), "{name}");
            }
            assert_eq!(resolved.metadata.get_str(keys::LOCATION_FETCH_MS), Some("1.0"));
            assert!(!resolved.metadata.contains_key(keys::LOCATION), "{name}");
        }
    }
}
