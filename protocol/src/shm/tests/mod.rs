//! Segments and pointers, in memory that the tests own.

mod batches;
mod headers;
mod hostile;
mod pointers;

use super::*;
use crate::ipc::{EncodedSchema, Metadata};
use crate::memory::Account;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::Field;
use bytes::Bytes;
use std::sync::{Arc, Mutex};

/// Memory that a peer may change, simulated by a test.
#[derive(Debug)]
struct Memory(Mutex<Vec<u8>>, bool);

impl Memory {
    fn new(len: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(vec![0; len]), false))
    }

    /// Returns memory that lends its bytes.
    fn lending(len: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(vec![0; len]), true))
    }

    fn change(&self, at: u64, bytes: &[u8]) {
        self.0.lock().unwrap()[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    fn truncate(&self, len: usize) {
        self.0.lock().unwrap().truncate(len);
    }
}

/// Has the length given by the test, even after truncation.
struct Lent(Arc<Memory>, u64);

impl SharedMemory for Lent {
    fn len(&self) -> u64 {
        self.1
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        assert!(offset + into.len() as u64 <= self.1, "nothing is read out of bounds");
        let bytes = self.0.0.lock().unwrap();
        let len = into.len() as u64;
        let found = bytes.get(offset as usize..).and_then(|bytes| bytes.get(..into.len()));
        into.copy_from_slice(found.ok_or(AccessError::OutOfBounds { offset, len })?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        assert!(offset + bytes.len() as u64 <= self.1, "nothing is written out of bounds");
        self.0.change(offset, bytes);
        Ok(())
    }

    fn view(&self, offset: u64, len: u64) -> Option<Bytes> {
        let bytes = self.0.0.lock().unwrap();
        self.0.1.then(|| Bytes::copy_from_slice(&bytes[offset as usize..][..len as usize]))
    }
}

fn lend(memory: &Arc<Memory>) -> Arc<dyn SharedMemory> {
    let len = memory.0.lock().unwrap().len() as u64;
    Arc::new(Lent(memory.clone(), len))
}

/// Returns the client and server of one segment, which share counters.
fn pair(memory: &Arc<Memory>, min_batch_bytes: u64) -> (Segment, Segment, Counters) {
    let (counters, options) = (Counters::default(), ShmOptions::default().min_batch_bytes(min_batch_bytes));
    let client = Segment::create("vgi-test", lend(memory), options, &counters).unwrap();
    let server = Segment::attach("vgi-test", lend(memory), options, &counters).unwrap();
    (client, server, counters)
}

fn numbers(rows: i64) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    RecordBatch::try_from_iter([("n", column)]).unwrap()
}

/// Returns batches that are stored in different ways: flat, nested, with a top-level dictionary, and with a nested one.
fn kinds() -> Vec<RecordBatch> {
    let texts: DictionaryArray<Int32Type> = (0..500).map(|n| Some(["a", "b", "c"][n % 3])).collect();
    let texts: ArrayRef = Arc::new(texts);
    let field = Arc::new(Field::new("inner", texts.data_type().clone(), true));
    let nested: ArrayRef = Arc::new(StructArray::from(vec![(field, texts.clone())]));
    let plain: ArrayRef =
        Arc::new(StringArray::from_iter((0..500).map(|n| (n % 5 > 0).then(|| n.to_string()))));
    let batch = |columns: Vec<(&str, ArrayRef)>| {
        RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        )
        .unwrap()
    };
    vec![
        numbers(500),
        batch(vec![("text", plain.clone()), ("n", Arc::new(Int64Array::from_iter_values(0..500)) as _)]),
        batch(vec![("dictionary", texts.clone()), ("text", plain)]),
        batch(vec![("nested", nested.clone())]),
        batch(vec![("nested", nested), ("dictionary", texts)]),
    ]
}

fn store(segment: &Segment, batch: &RecordBatch) -> Option<Stored> {
    let schema = EncodedSchema::new(batch.schema()).unwrap();
    segment.store(batch, &schema, &Account::default()).unwrap()
}

/// Stores a batch and sends its pointer.
fn send(segment: &Segment, batch: &RecordBatch) -> Pointer {
    let stored = store(segment, batch).expect("there is room");
    let pointer = stored.pointer();
    stored.sent();
    pointer
}
