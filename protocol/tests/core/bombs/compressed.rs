//! Compressed bodies that are far larger once decompressed.

use super::*;
use crate::common::batches::{labels, row};
use crate::common::messages::COMPRESSIONS;
use crate::common::streams::END_OF_STREAM;
use arrow_array::{ArrayRef, BinaryArray, RecordBatch};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use std::sync::Arc;
use vgi_rpc_protocol::ipc::MessageError;

const LIMIT: u64 = 4 * MIB;
/// The memory of an LZ4 decoder itself: a peer may choose the largest blocks.
const DECODER: u64 = 9 * MIB;

fn compressed(batches: &[RecordBatch], codec: CompressionType) -> Bytes {
    let options = IpcWriteOptions::default().try_with_compression(Some(codec)).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap().into()
}

fn zeros(len: usize) -> ArrayRef {
    Arc::new(BinaryArray::from_vec(vec![&vec![0; len]]))
}

fn is_over_limit(result: &Result<usize, ReadError>) -> bool {
    matches!(result, Err(ReadError::Message(MessageError::OverLimit { .. })))
}

#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    for &codec in COMPRESSIONS {
        let bytes = compressed(&[row([("value", zeros(64 << 20))])], codec);
        let (taken, result) = read(&bytes, limits(|limits| limits.max_body_bytes = LIMIT));
        assert!(is_over_limit(&result), "{result:?}");
        assert_below(&format!("64 MiB in {} KiB, {codec:?}", bytes.len() / 1024), taken, MIB);
    }
}

#[test]
fn many_small_bombs_in_one_batch_are_refused_together() {
    for &codec in COMPRESSIONS {
        let columns: Vec<_> = (0..20).map(|n| (format!("c{n}"), zeros(MIB as usize))).collect();
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let (taken, result) =
            read(&compressed(&[batch], codec), limits(|limits| limits.max_body_bytes = LIMIT));
        assert!(is_over_limit(&result), "{result:?}");
        assert_below("twenty columns of a megabyte", taken, MIB);
    }
}

#[test]
fn what_is_within_the_limit_takes_about_what_it_claims() {
    for &codec in COMPRESSIONS {
        let bytes = compressed(&[row([("value", zeros(3 << 20))])], codec);
        let (taken, result) = read(&bytes, limits(|limits| limits.max_body_bytes = LIMIT));
        assert_eq!(result, Ok(1));
        assert_below(&format!("3 MiB in {} KiB, {codec:?}", bytes.len() / 1024), taken, 2 * LIMIT + DECODER);
    }
}

/// The prefix claims little, and the frame after it contains much.
#[test]
fn a_frame_that_holds_more_than_it_claims_is_refused() {
    for &codec in COMPRESSIONS {
        let truth = 32_i64 << 20;
        let mut bytes = compressed(&[row([("value", zeros(truth as usize))])], codec).to_vec();
        let at = bytes.windows(8).rposition(|window| window == truth.to_le_bytes()).unwrap();
        bytes[at..at + 8].copy_from_slice(&1000_i64.to_le_bytes());
        let (taken, result) = read(&bytes.into(), Limits::default());
        assert!(matches!(result, Err(ReadError::Message(_))), "{result:?}");
        assert_below(&format!("32 MiB for a claim of 1000 bytes, {codec:?}"), taken, MIB + DECODER);
    }
}

/// A compressed dictionary exists beside the batches that refer to it, and counts towards their limit.
#[test]
fn compressed_dictionaries_count() {
    let long = "0".repeat(MIB as usize);
    for &codec in COMPRESSIONS {
        let batch = row([("value", labels([Some(&long), None, Some(&long)]))]);
        let bytes = compressed(&[batch], codec);
        assert!(bytes.len() < 16 << 10, "{}", bytes.len());
        let (taken, result) = read(&bytes, limits(|limits| limits.max_body_bytes = MIB / 2));
        assert!(is_over_limit(&result), "{result:?}");
        assert_below("a dictionary of a megabyte", taken, MIB / 2);
        assert!(bytes.ends_with(&END_OF_STREAM));
    }
}
