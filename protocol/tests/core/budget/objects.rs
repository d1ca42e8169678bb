//! External objects: resolving one takes little more memory than the decoded object, whatever the pieces; making one allocates
//! nothing for the batch; both take time linear in the bytes.

use super::costs::assert_linear;
use super::{KIB, MIB};
use allocation_counter::measure;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::content_coding::{Codecs, Coding};
use vgi_rpc_protocol::external::{
    Cycle, Digest, Externalisation, Location, ObjectLimits, Pointer, Resolution, Resolved, total_buffer_size,
};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata, encode_batch};
use vgi_rpc_protocol::memory::{Account, Budget};

/// Scratch memory, headers, Rust decoders.
const SMALL: usize = 512 * KIB;

/// Returns a batch of two columns of about this many bytes, which compresses to about half.
fn batch(bytes: usize) -> RecordBatch {
    let rows = bytes / 32;
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows as i64).map(|n| n * n)));
    let texts = (0..rows).map(|n| format!("{:020}", n.wrapping_mul(0x9e37_79b9)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    RecordBatch::try_from_iter([("n", numbers), ("text", texts)]).unwrap()
}

struct Stored {
    batch: RecordBatch,
    coding: Option<Coding>,
    /// The size of the decoded object.
    len: usize,
    bytes: Bytes,
    sha256: Digest,
}

fn stored(batch: RecordBatch, coding: Option<Coding>) -> Stored {
    let object = encode_batch(&batch, &Metadata::new()).unwrap();
    let sha256 = Digest(Sha256::digest(&object).into());
    let (len, codecs) = (object.len(), Codecs::default());
    let bytes = match coding {
        Some(coding) => codecs.encode(coding, &[object]).unwrap().into(),
        None => object,
    };
    Stored { batch, coding, len, bytes, sha256 }
}

/// Resolves an object that arrives in pieces. Each piece is a copy, as a driver reads it, and is dropped after use.
fn resolve(stored: &Stored, piece: usize, account: &Account, sha256: Option<Digest>) -> Resolved {
    let location = Location::parse("https://h.example/object").unwrap();
    let (schema, pointer) = (stored.batch.schema(), Pointer { location, sha256 });
    let mut resolution =
        Resolution::new(pointer, schema, &Limits::default(), account, ObjectLimits::default());
    resolution.begin(stored.coding.map(Coding::as_str)).unwrap();
    for piece in stored.bytes.chunks(piece) {
        resolution.receive(Bytes::copy_from_slice(piece)).unwrap();
    }
    resolution.finish(Duration::ZERO).unwrap()
}

#[test]
fn resolving_takes_little_more_than_the_decoded_object() {
    let sizes = |coding: &Coding| if *coding == Coding::Gzip { 2 * MIB } else { 9 * MIB };
    for (size, coding) in [(32 * MIB, None), (12 * MIB + 5, None)]
        .into_iter()
        .chain(Coding::ALL.iter().map(|coding| (sizes(coding), Some(*coding))))
    {
        let stored = stored(batch(size), coding);
        let most = stored.len + stored.len / 10 + SMALL;
        // Only the budget counts what the zstd library allocates.
        let window = if coding.is_some() { 9 * MIB } else { 0 };
        for piece in [16 * KIB, 100_003] {
            let account = Budget::new(most + window).account();
            let taken =
                measure(|| drop(resolve(&stored, piece, &account, Some(stored.sha256)))).bytes_max as usize;
            println!("{size} bytes, {coding:?}, pieces of {piece}: {} of {}", taken, stored.len);
            assert!(taken >= stored.len, "the object was in memory: {taken}");
            assert!(taken <= most, "{size} bytes, {coding:?}, pieces of {piece}: {taken}, at most {most}");
            assert_eq!(account.held(), 0);
        }
        let resolved = resolve(&stored, MIB, &Account::default(), Some(stored.sha256));
        assert_eq!(resolved.batch, stored.batch);
    }
}

#[test]
fn resolving_costs_time_in_the_bytes_whatever_the_pieces() {
    for (piece, first) in [(1, 8 * KIB), (1_000, 64 * KIB), (64 * KIB, 256 * KIB)] {
        for coding in [None].into_iter().chain(Coding::ALL.iter().copied().map(Some)) {
            assert_linear(&format!("resolving {coding:?} in pieces of {piece}"), first, move |size| {
                let stored = stored(batch(size), coding);
                Box::new(move || {
                    let account = Budget::new(1 << 30).account();
                    drop(resolve(&stored, piece, &account, Some(stored.sha256)));
                })
            });
        }
    }
}

#[test]
fn an_object_that_is_not_compressed_takes_no_memory_for_its_batch() {
    let batch = batch(16 * MIB);
    let schema = EncodedSchema::new(batch.schema()).unwrap();
    let (settings, codecs) = (Externalisation::default(), Arc::new(Codecs::default()));
    let account = Budget::new(32 * MIB).account();
    let taken = measure(|| {
        let cycle = Cycle { logs_before: &[], batch: &batch, metadata: &Metadata::new(), logs_after: &[] };
        let store = settings.externalise(cycle, &schema, 0, &codecs, &account).unwrap();
        assert!(store.object().len >= total_buffer_size(&batch));
    });
    assert!(taken.bytes_max < 64 * KIB as u64, "{taken:?}");
}
