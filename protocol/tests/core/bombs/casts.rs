//! Inputs of a type that stores many values in few bytes, where the method declares a type that does not.

use super::*;
use crate::common::batches::{no_columns, point, row, schema};
use crate::common::driver::{Command, Rest, lines, listen, serve};
use crate::common::messages::Header;
use crate::common::scenarios::{scale, stream};
use crate::common::service::responder;
use crate::common::streams::{END_OF_STREAM, stream_of};
use crate::common::transcript::Told;
use allocation_counter::measure;
use arrow_array::{ArrayRef, DictionaryArray, Float64Array, Int8Array, ListArray, NullArray, StringArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field};
use bytes::Buf;
use std::sync::Arc;
use vgi_rpc_protocol::client::Connection;
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};

/// Rows that such a column claims: enough to notice, few enough to bear if the test fails.
const ROWS: i64 = 20_000_000;

/// Sends a first input of this type to an exchange of `float64`. Returns the server's peak memory and the client's first event.
fn exchanged(data_type: DataType, header: &Bytes, body: &[u8]) -> (u64, String) {
    let schema = EncodedSchema::new(schema([("value", data_type)])).unwrap();
    exchanged_by(scale(2.0), [&schema.message()[..], header, body, &END_OF_STREAM].concat().into())
}

/// Does the same for any exchange, with the given input stream.
fn exchanged_by(open: Command, input: Bytes) -> (u64, String) {
    crate::common::quiet_panics();
    let (mut client, mut server) = (Connection::new(Limits::default()), responder(Limits::default()));
    open.issue(&mut client).unwrap();
    let outbox = client.poll_transmit().unwrap();
    server.receive(outbox.copy_to_bytes(outbox.len()));
    let mut sent = Vec::new();
    assert_eq!(serve(&mut server, usize::MAX, &mut sent), Rest::NeedInput);
    let taken = measure(|| {
        server.receive(input);
        assert_eq!(serve(&mut server, usize::MAX, &mut sent), Rest::NeedInput);
    });
    // The client's memory is not measured, and long events are not shown.
    let mut told: Vec<Told> = Vec::new();
    if sent.len() < MIB as usize {
        client.receive(sent.into());
        listen(&mut client, &mut told);
    }
    let first = lines(&told).into_iter().next().unwrap_or_default();
    (taken.bytes_max, first.chars().take(300).collect())
}

#[track_caller]
fn assert_refused(what: &str, (taken, told): (u64, String)) {
    assert_below(what, taken, 16 * MIB);
    assert!(told.starts_with("failed TypeError"), "{what}: {told:?}");
}

#[test]
fn nulls_are_not_written_out() {
    let header = Header::default().batch(ROWS, &[(ROWS, ROWS)], &[]);
    assert_refused("twenty million nulls", exchanged(DataType::Null, &header, &[]));
}

/// A bit per row, where the declared type needs 64.
#[test]
fn bits_are_not_written_out() {
    let body = vec![0xff; ROWS as usize / 8];
    let header =
        Header::with_body(body.len() as i64).batch(ROWS, &[(ROWS, 0)], &[(0, 0), (0, body.len() as i64)]);
    let (taken, told) = exchanged(DataType::Boolean, &header, &body);
    assert_refused("twenty million bits", (taken, told.clone()));
    assert!(told.contains("are allowed"), "{told:?}");
}

/// A column of small integers that fits is cast at its own size, and only once.
#[test]
fn a_million_small_integers_are_cast() {
    let rows = 1_000_000;
    let header = Header::with_body(rows).batch(rows, &[(rows, 0)], &[(0, 0), (0, rows)]);
    let (taken, told) = exchanged(DataType::Int8, &header, &vec![1; rows as usize]);
    assert_below("a million small integers", taken, 64 * MIB);
    assert_eq!(told, "");
}

#[test]
fn runs_are_not_written_out() {
    let ends = Arc::new(Field::new("run_ends", DataType::Int32, false));
    let values = Arc::new(Field::new("values", DataType::Float64, true));
    let body = [&(ROWS as i32).to_le_bytes()[..], &[0; 4], &1.5_f64.to_le_bytes()].concat();
    let nodes = [(ROWS, 0), (1, 0), (1, 0)];
    let header = Header::with_body(16).batch(ROWS, &nodes, &[(0, 0), (0, 4), (0, 0), (8, 8)]);
    let result = exchanged(DataType::RunEndEncoded(ends, values), &header, &body);
    assert_refused("a run of twenty million", result);
}

/// Two columns; the second has views of one text, and a cast would copy each view.
#[test]
fn views_are_not_written_out() {
    let (text, views) = (1_i32 << 12, 20_000_i64);
    let view = [text.to_le_bytes(), *b"xxxx", [0; 4], [0; 4]].concat();
    let body = [vec![0; 8 * views as usize], view.repeat(views as usize), vec![b'x'; text as usize]].concat();
    let (nodes, at) = ([(views, 0), (views, 0)], 8 * views);
    let buffers = [(0, 0), (0, at), (0, 0), (at, 2 * at), (3 * at, i64::from(text))];
    let header = Header { variadic_counts: Some(vec![1]), ..Header::with_body(body.len() as i64) };
    let header = header.batch(views, &nodes, &buffers);
    let schema = schema([("a", DataType::Float64), ("b", DataType::Utf8View)]);
    let schema = EncodedSchema::new(schema).unwrap();
    let input = [&schema.message()[..], &header, &body, &END_OF_STREAM].concat();
    let result = exchanged_by(stream("swap", no_columns(1)), input.into());
    assert_refused("twenty thousand views of 4 KiB", result);
}

/// A list of nulls; a list of any other type would store each of them.
#[test]
fn nulls_in_a_list_are_not_written_out() {
    let count = 10 * ROWS as usize;
    let (items, offsets) = (NullArray::new(count), OffsetBuffer::from_lengths([count]));
    let item = Arc::new(Field::new("item", DataType::Null, true));
    let list: ArrayRef = Arc::new(ListArray::new(item, offsets, Arc::new(items), None));
    let input = stream_of(&[(row([("labels", list), ("point", point(0.5, None))]), Metadata::new())]);
    let result = exchanged_by(stream("copy_labels", no_columns(1)), input);
    assert_refused("a list of two hundred million nulls", result);
}

/// A long value to which every row refers.
#[test]
fn dictionaries_are_not_written_out() {
    let long = "0".repeat(MIB as usize / 4);
    let values = Arc::new(StringArray::from(vec![&*long]));
    let texts: ArrayRef = Arc::new(DictionaryArray::new(Int8Array::from(vec![0; 1000]), values));
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![0.0; 1000]));
    let input = stream_of(&[(row([("a", numbers), ("b", texts)]), Metadata::new())]);
    let result = exchanged_by(stream("swap", no_columns(1)), input);
    assert_refused("a thousand times one long value", result);
}

/// Clients that infer types send a column without values as nulls. As many as are ever sent are cast.
#[test]
fn a_million_nulls_are_cast() {
    let rows = 1_000_000;
    let header = Header::default().batch(rows, &[(rows, rows)], &[]);
    let (taken, told) = exchanged(DataType::Null, &header, &[]);
    assert_below("a million nulls", taken, 64 * MIB);
    // They are refused for their type, not for their number.
    assert!(told.contains("Input schema mismatch") && !told.contains("are allowed"), "{told:?}");
}
