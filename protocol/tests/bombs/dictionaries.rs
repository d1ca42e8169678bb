//! Dictionaries that grow by deltas, or are many.

use super::common::batches::{row, text};
use super::*;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow_ipc::writer::{DictionaryHandling, IpcWriteOptions, StreamWriter};
use std::sync::Arc;
use vgi_rpc_protocol::ipc::{MessageError, encode_batch};

/// Batches whose dictionary grows by one value of `len` bytes each time.
fn growing(count: usize, len: usize) -> Bytes {
    let values: Vec<String> = (0..count).map(|n| format!("{n:0len$}")).collect();
    let batch = |n: usize| {
        let values = StringArray::from_iter_values(&values[..=n]);
        let keys = Int32Array::from(vec![n as i32]);
        let column: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(values)));
        RecordBatch::try_from_iter([("value", column)]).unwrap()
    };
    let options = IpcWriteOptions::default().with_dictionary_handling(DictionaryHandling::Delta);
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch(0).schema(), options).unwrap();
    (0..count).for_each(|n| writer.write(&batch(n)).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap().into()
}

#[test]
fn deltas_count_until_the_limit() {
    let bytes = growing(100, 10_000);
    assert!(bytes.len() < 1_200_000, "deltas, not whole dictionaries: {}", bytes.len());
    let (taken, result) = read(&bytes, limits(|limits| limits.max_body_bytes = 400_000));
    assert!(matches!(result, Err(ReadError::Message(MessageError::OverLimit { .. }))), "{result:?}");
    // The dictionary before a delta is held while the one after it is made.
    assert_below("deltas up to 400,000 bytes", taken, 4 * 400_000);
    let (taken, result) = read(&bytes, limits(|limits| limits.max_body_bytes = 60_000_000));
    assert_eq!(result, Ok(100));
    assert_below("deltas of 1,000,000 bytes", taken, 4 * 1_000_000);
}

#[test]
fn many_dictionaries_count_together() {
    let value = "0".repeat(50_000);
    let columns = (0..100).map(|n| {
        let column: DictionaryArray<Int32Type> = [&*value].into_iter().collect();
        (format!("c{n}"), Arc::new(column) as ArrayRef)
    });
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let bytes = encode_batch(&batch, &Default::default()).unwrap();
    let (taken, result) = read(&bytes, limits(|limits| limits.max_body_bytes = 1_000_000));
    assert!(matches!(result, Err(ReadError::Message(MessageError::OverLimit { .. }))), "{result:?}");
    assert_below("a hundred dictionaries", taken, 2_000_000);
}

/// What one stream held is given back at its end.
#[test]
fn dictionaries_go_with_their_stream() {
    let one = encode_batch(&row([("value", text("x"))]), &Default::default()).unwrap();
    let bytes: Bytes = [&growing(20, 20_000)[..], &one].concat().into();
    let mut reader = Reader::new(Limits::default());
    let taken = allocation_counter::measure(|| {
        reader.receive(bytes.clone());
        while reader.next_item().unwrap().is_some() {}
    });
    assert!(taken.bytes_current < 16 * KIB as i64, "{} bytes are kept", taken.bytes_current);
}

/// A large dictionary and many small deltas: each has all of it copied, so that what is copied is limited as well.
#[test]
fn the_work_of_deltas_is_bounded() {
    let deltas = 2000;
    let bytes = growing(deltas, 100);
    let limit = 10_000_000;
    let mut result = Ok(());
    let taken = allocation_counter::measure(|| {
        let mut reader = Reader::new(limits(|limits| limits.max_body_bytes = limit));
        reader.receive(bytes.clone());
        result = loop {
            match reader.next_item() {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
    });
    let Err(ReadError::Message(MessageError::OverLimit { what, .. })) = result else { panic!("{result:?}") };
    assert!(what.contains("deltas"), "{what}");
    println!("{} KiB in all for {} KiB of deltas", taken.bytes_total / KIB, bytes.len() / 1024);
    assert!(taken.bytes_total < 8 * limit, "{} bytes in all", taken.bytes_total);
}
