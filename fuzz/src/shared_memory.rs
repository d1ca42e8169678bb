//! Shared memory: two sides store batches in a segment and read them, while its bytes change between any two accesses, it
//! is truncated, and pointers are arbitrary. Batches are valid or refused, there is no access out of bounds, and an
//! undamaged segment returns what was stored.
//!
//! An input is a list of operations: a byte that selects one, and its arguments.

use crate::support::limits;
use arrow_array::types::Int8Type;
use arrow_array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray};
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata, encode_batch};
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::shm::{
    AccessError, Counters, HEADER_BYTES, Header, Pointer, Segment, SharedMemory, ShmOptions,
};

/// Bytes after the header: room for a few batches.
const DATA_BYTES: usize = 8 << 10;

/// Batches that are stored in different ways.
static BATCHES: LazyLock<Vec<(RecordBatch, EncodedSchema)>> = LazyLock::new(|| {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
    let texts: ArrayRef = Arc::new(StringArray::from_iter((0..40).map(|n| (n % 5 > 0).then(|| n.to_string()))));
    let words: DictionaryArray<Int8Type> = (0..40).map(|n| Some(["a", "b", "c"][n % 3])).collect();
    let batch = |columns: Vec<(&str, ArrayRef)>| {
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length");
        let schema = EncodedSchema::new(batch.schema()).expect("a schema that can be sent");
        (batch, schema)
    };
    let words: ArrayRef = Arc::new(words);
    vec![batch(vec![("n", numbers)]), batch(vec![("text", texts.clone())]), batch(vec![("word", words), ("text", texts)])]
});

/// Memory that changes: at its nth access, this byte is replaced.
#[derive(Default)]
struct Memory {
    bytes: Vec<u8>,
    accesses: u64,
    changes: VecDeque<(u64, usize, u8)>,
}

struct Lent(Arc<Mutex<Memory>>);

impl Lent {
    fn access(&self, offset: u64, len: usize, copy: impl FnOnce(&mut [u8])) -> Result<(), AccessError> {
        let mut memory = self.0.lock().expect("no access panics");
        let Memory { bytes, accesses, changes } = &mut *memory;
        *accesses += 1;
        while let Some((_, at, byte)) = changes.pop_front_if(|(when, ..)| *when <= *accesses) {
            if let Some(found) = bytes.get_mut(at) {
                *found = byte;
            }
        }
        let end = offset.checked_add(len as u64).expect("a range that can be expressed");
        assert!(end <= self.len(), "an access out of bounds");
        let range = offset as usize..end as usize;
        let found = bytes.get_mut(range);
        copy(found.ok_or(AccessError::OutOfBounds { offset, len: len as u64 })?);
        Ok(())
    }
}

impl SharedMemory for Lent {
    fn len(&self) -> u64 {
        HEADER_BYTES + DATA_BYTES as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        self.access(offset, into.len(), |bytes| into.copy_from_slice(bytes))
    }

    fn write_at(&self, offset: u64, from: &[u8]) -> Result<(), AccessError> {
        self.access(offset, from.len(), |bytes| bytes.copy_from_slice(from))
    }
}

/// The remaining operations.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> usize {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        usize::from(*first)
    }

    /// Returns a position: near the start of the segment, or in its data.
    fn position(&mut self) -> usize {
        let (high, low) = (self.byte(), self.byte());
        if high & 0x80 > 0 { HEADER_BYTES as usize + ((high & 0x7f) << 8 | low) } else { high << 8 | low }
    }
}

/// Runs the operations.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let bytes = vec![0; HEADER_BYTES as usize + DATA_BYTES];
    let memory = Arc::new(Mutex::new(Memory { bytes, ..Memory::default() }));
    let lent = || Arc::new(Lent(memory.clone())) as Arc<dyn SharedMemory>;
    let budget = Budget::new(1 << 20);
    let account = budget.account();
    let (options, counters) = (ShmOptions::default().min_batch_bytes(1), Counters::default());
    let client = Segment::create("segment", lent(), options, &counters).expect("memory that is as it should be");
    let server = Segment::attach("segment", lent(), options, &counters).expect("a header that was written");
    let sides = [client.bounded(&limits(), &account), server.bounded(&limits(), &account)];
    // The sent pointers, with their sender and the index of the batch.
    let mut sent: VecDeque<(Pointer, usize, usize)> = VecDeque::new();
    let mut is_damaged = false;
    while !input.0.is_empty() {
        let operation = input.byte();
        let side = operation >> 3 & 1;
        match operation & 7 {
            0 | 1 => {
                let which = input.byte() % BATCHES.len();
                let (batch, schema) = &BATCHES[which];
                match sides[side].store(batch, schema, &account) {
                    Ok(Some(stored)) => {
                        let pointer = stored.pointer();
                        assert!(pointer.offset >= HEADER_BYTES && pointer.len <= DATA_BYTES as u64);
                        // A dropped batch is freed in the next turn.
                        if operation & 0x10 == 0 {
                            stored.sent();
                            sent.push_back((pointer, side, which));
                        }
                    }
                    Ok(None) => {}
                    Err(error) => assert!(is_damaged, "{error}"),
                }
            }
            2 => {
                let Some((pointer, from, which)) = sent.pop_front() else { continue };
                let (batch, _) = &BATCHES[which];
                match sides[1 - from].read(pointer, batch.schema_ref()) {
                    Ok(read) => check(&read, (!is_damaged).then_some(batch)),
                    Err(error) => assert!(is_damaged, "{error}"),
                }
            }
            3 => {
                let (offset, len) = (input.position() as u64, input.position() as u64);
                let (batch, _) = &BATCHES[operation >> 4 & 1];
                // This may free a region of the other side.
                is_damaged = true;
                if let Ok(read) = sides[side].read(Pointer { offset, len }, batch.schema_ref()) {
                    check(&read, None);
                }
            }
            4 => {
                let (wait, at, byte) = (input.byte() as u64 & 15, input.position(), input.byte() as u8);
                let mut memory = memory.lock().expect("no access panics");
                let when = memory.accesses + wait;
                memory.changes.push_back((when, at, byte));
                is_damaged = true;
            }
            5 => {
                let settled = sides[side].settle();
                assert!(is_damaged || settled.is_ok(), "{settled:?}");
            }
            6 => {
                // A pointer stays valid however many calls begin.
                let settled = sides[1 - side].settle();
                assert!(is_damaged || settled.is_ok(), "{settled:?}");
                let begun = sides[side].begin_call();
                assert!(is_damaged || begun.is_ok(), "{begun:?}");
            }
            _ => {
                let len = input.position();
                memory.lock().expect("no access panics").bytes.truncate(len);
                is_damaged = true;
            }
        }
        if !is_damaged {
            let header = Header::read(&*lent()).expect("an undamaged header");
            assert!(sent.iter().all(|(pointer, ..)| header.is_in_use(pointer.region())));
        }
    }
    drop(sides);
    assert_eq!(budget.used(), 0, "memory is leaked");
}

/// Asserts that an accepted batch is valid and can be sent on.
fn check(batch: &RecordBatch, expected: Option<&RecordBatch>) {
    for column in batch.columns() {
        column.to_data().validate_full().expect("an accepted batch is valid");
    }
    encode_batch(batch, &Metadata::new()).expect("an accepted batch can be sent on");
    assert!(expected.is_none_or(|expected| expected == batch), "a different batch than was stored");
}
