//! Dictionaries that grow by deltas, or are numerous.

use super::*;
use crate::common::batches::{row, text};
use crate::common::streams::{growing, many_dictionaries};
use vgi_rpc_protocol::ipc::{MessageError, encode_batch};

#[test]
fn deltas_count_until_the_limit() {
    let bytes = growing(100, 10_000);
    assert!(bytes.len() < 1_200_000, "deltas, not whole dictionaries: {}", bytes.len());
    let (taken, result) = read(&bytes, limits(|limits| limits.max_body_bytes = 400_000));
    assert!(matches!(result, Err(ReadError::Message(MessageError::OverLimit { .. }))), "{result:?}");
    // The dictionary before a delta exists while the one after it is built.
    assert_below("deltas up to 400,000 bytes", taken, 4 * 400_000);
    let (taken, result) = read(&bytes, limits(|limits| limits.max_body_bytes = 60_000_000));
    assert_eq!(result, Ok(100));
    assert_below("deltas of 1,000,000 bytes", taken, 4 * 1_000_000);
}

#[test]
fn many_dictionaries_count_together() {
    let bytes = many_dictionaries(100, 50_000);
    let (taken, result) = read(&bytes, limits(|limits| limits.max_body_bytes = 1_000_000));
    assert!(matches!(result, Err(ReadError::Message(MessageError::OverLimit { .. }))), "{result:?}");
    assert_below("a hundred dictionaries", taken, 2_000_000);
}

/// The memory of a stream is released at its end.
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

/// A large dictionary and many small deltas: each delta copies all of it, so the copied bytes are limited as well.
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
