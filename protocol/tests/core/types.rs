//! Every Arrow type through our encoder and reader, and through those of `arrow-ipc`, in both directions.

use crate::common::batches::{colors, no_columns, row};
use crate::common::columns::{self, ROWS, batch};
use crate::common::messages::COMPRESSIONS;
use crate::common::streams::{batches_of, stream_of};
use arrow_array::{Array, ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{DictionaryHandling, IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, TimeUnit};
use bytes::Bytes;
use std::sync::Arc;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::ipc::{Metadata, decode_batch, encode_batch};

/// Returns the whole column and slices, at byte boundaries, at bit offsets, and without rows.
fn parts(column: &ArrayRef) -> Vec<ArrayRef> {
    let ranges =
        [(0, ROWS), (0, 0), (ROWS, 0), (1, ROWS - 1), (8, 9), (3, 1), (2, 1), (9, 12), (0, 2), (20, 1)];
    ranges.into_iter().map(|(start, len)| column.slice(start, len)).collect()
}

/// Returns the output of `arrow-ipc`.
fn written_by_arrow(batches: &[RecordBatch], options: IpcWriteOptions) -> Bytes {
    let schema = batches[0].schema();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    writer.into_inner().unwrap().into()
}

fn read_by_arrow(bytes: &Bytes) -> Vec<RecordBatch> {
    StreamReader::try_new(&bytes[..], None).unwrap().map(|batch| batch.unwrap()).collect()
}

fn read_by_us(bytes: &Bytes) -> Vec<RecordBatch> {
    batches_of(bytes).into_iter().map(|(batch, _)| batch).collect()
}

fn written_by_us(batches: &[RecordBatch]) -> Bytes {
    let with = |batch: &RecordBatch| (batch.clone(), Metadata::new());
    stream_of(&batches.iter().map(with).collect::<Vec<_>>())
}

/// Validates every value, which Arrow does not do when it decodes.
fn assert_valid(batch: &RecordBatch) {
    for column in batch.columns() {
        column.to_data().validate_full().unwrap();
    }
}

#[test]
fn every_type_passes_whole_and_in_parts() {
    let columns = columns::all();
    for column in &columns {
        for part in parts(column) {
            let batch = batch(part);
            let metadata = [("key", "value")].into_iter().collect();
            let bytes = encode_batch(&batch, &metadata).unwrap();
            let name = format!("{} rows of {}", batch.num_rows(), column.data_type());
            let (read, with) = decode_batch(bytes.clone(), &Limits::default())
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!((&read, &with), (&batch, &metadata), "{name}");
            assert_valid(&read);
            assert_eq!(read_by_arrow(&bytes), [batch], "{name}, read by arrow-ipc");
        }
    }
    assert!(columns.len() > 60, "{} types", columns.len());
}

#[test]
fn every_type_that_arrow_writes_is_read_whole_and_in_parts() {
    for column in columns::all() {
        for part in parts(&column) {
            let batch = batch(part);
            let bytes = written_by_arrow(std::slice::from_ref(&batch), IpcWriteOptions::default());
            let read = read_by_us(&bytes);
            assert_eq!(read, [batch], "{}", column.data_type());
            assert_valid(&read[0]);
        }
    }
}

#[test]
fn every_type_is_read_from_bytes_that_are_not_aligned() {
    for column in columns::all() {
        let batch = batch(column);
        let bytes = columns::unaligned(&encode_batch(&batch, &Metadata::new()).unwrap());
        let (read, _) = decode_batch(bytes, &Limits::default()).unwrap();
        assert_eq!(read, batch);
        assert_valid(&read);
    }
}

#[test]
fn several_parts_follow_each_other_on_one_stream() {
    for column in columns::all() {
        let batches: Vec<_> = parts(&column).into_iter().map(batch).collect();
        let bytes = written_by_us(&batches);
        assert_eq!(read_by_us(&bytes), batches, "{}", column.data_type());
        assert_eq!(read_by_arrow(&bytes), batches, "{}", column.data_type());
        let bytes = written_by_arrow(&batches, IpcWriteOptions::default());
        assert_eq!(read_by_us(&bytes), batches, "{}", column.data_type());
    }
}

#[test]
fn all_types_stand_side_by_side() {
    let wide = columns::wide();
    let parts = [wide.clone(), wide.slice(5, 7), wide.slice(0, 0), wide.slice(13, 8)];
    let bytes = written_by_us(&parts);
    assert_eq!(read_by_us(&bytes), parts);
    assert_eq!(read_by_arrow(&bytes), parts);
    assert_eq!(read_by_us(&written_by_arrow(&parts, IpcWriteOptions::default())), parts);
}

#[test]
fn both_compressions_are_read() {
    for &compression in COMPRESSIONS {
        let options = || IpcWriteOptions::default().try_with_compression(Some(compression)).unwrap();
        for column in columns::all() {
            // Long enough that some buffers become shorter, while others stay uncompressed.
            let copies = vec![column.as_ref(); 8];
            for column in [column.clone(), arrow_select::concat::concat(&copies).unwrap()] {
                let batch = batch(column);
                let bytes = written_by_arrow(std::slice::from_ref(&batch), options());
                let read = read_by_us(&bytes);
                assert_eq!(
                    read[..],
                    *std::slice::from_ref(&batch),
                    "{} in {compression:?}",
                    batch.column(0).data_type()
                );
                assert_valid(&read[0]);
                let read = read_by_us(&columns::unaligned(&bytes));
                assert_eq!(read, [batch], "not aligned");
            }
        }
        let wide = columns::wide();
        assert_eq!(read_by_us(&written_by_arrow(std::slice::from_ref(&wide), options())), [wide]);
    }
}

#[test]
fn lists_of_values_without_bytes_are_as_long_as_they_say() {
    for column in columns::weightless() {
        let batch = batch(column);
        let bytes = encode_batch(&batch, &Metadata::new()).unwrap();
        let name = batch.column(0).data_type().clone();
        let (read, _) =
            decode_batch(bytes, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read, batch, "{name}");
    }
}

#[test]
fn batches_without_columns_have_rows() {
    for rows in [0, 1, 7, 1_000_000] {
        let batch = no_columns(rows);
        let bytes = encode_batch(&batch, &Metadata::new()).unwrap();
        assert_eq!(decode_batch(bytes.clone(), &Limits::default()).unwrap().0.num_rows(), rows);
        assert_eq!(read_by_arrow(&bytes)[0].num_rows(), rows);
        let bytes = written_by_arrow(&[batch], IpcWriteOptions::default());
        assert_eq!(read_by_us(&bytes)[0].num_rows(), rows);
    }
}

fn color_batches() -> Vec<RecordBatch> {
    let row = |column| row([("color", column)]);
    vec![
        row(colors(["red", "blue", "red"])),
        row(colors(["red", "blue"])),
        row(colors(["red", "blue", "green", "red"])),
        row(colors(["black"])),
        row(colors([])),
        row(colors([""])),
        row(colors(["red"])),
    ]
}

#[test]
fn dictionaries_are_replaced() {
    let batches = color_batches();
    let bytes = written_by_us(&batches);
    assert_eq!(read_by_us(&bytes), batches);
    assert_eq!(read_by_arrow(&bytes), batches);
    assert_eq!(read_by_us(&written_by_arrow(&batches, IpcWriteOptions::default())), batches);
}

#[test]
fn dictionaries_grow() {
    let options = || IpcWriteOptions::default().with_dictionary_handling(DictionaryHandling::Delta);
    // The second dictionary begins with the first, so only the new values are sent.
    let row = |column| row([("color", column)]);
    let batches = [row(colors(["red", "blue"])), row(colors(["red", "blue", "green"]))];
    let bytes = written_by_arrow(&batches, options());
    assert!(is_delta_sent(&bytes), "a delta is sent");
    assert_eq!(read_by_us(&bytes), batches);
    for &compression in COMPRESSIONS {
        let options = options().try_with_compression(Some(compression)).unwrap();
        assert_eq!(read_by_us(&written_by_arrow(&batches, options)), batches);
    }
}

/// Whether any message is a delta dictionary.
fn is_delta_sent(bytes: &Bytes) -> bool {
    let mut at = 0;
    loop {
        let len = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        if len == 0 {
            return false;
        }
        let message = arrow_ipc::root_as_message(&bytes[at + 8..at + 8 + len]).unwrap();
        if message.header_as_dictionary_batch().is_some_and(|dictionary| dictionary.isDelta()) {
            return true;
        }
        at += 8 + len + message.bodyLength() as usize;
    }
}

/// Arrow's C++ treats such a zone as no zone, and so does a client built on it.
#[test]
fn a_time_zone_without_a_name_is_none() {
    let column = |zone: Option<&str>| -> ArrayRef {
        let values = TimestampMicrosecondArray::from(vec![Some(1), None]);
        Arc::new(values.with_timezone_opt(zone))
    };
    // Arrow's writer omits such a zone, so it is patched in place of another.
    let named = written_by_arrow(&[batch(column(Some("UTC")))], IpcWriteOptions::default());
    let at = named.windows(8).position(|window| window == *b"\x03\0\0\0UTC\0").unwrap();
    let mut unnamed = named.to_vec();
    unnamed[at..at + 8].fill(0);
    let read = read_by_us(&unnamed.into());
    assert_eq!(read, [batch(column(None))]);
    assert_eq!(read[0].column(0).data_type(), &DataType::Timestamp(TimeUnit::Microsecond, None));
}
