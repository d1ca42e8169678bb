//! Replays the reference's casts and their results, as captured by `tests/casts/capture.py`.

use super::{cast, cast_bytes};
use crate::same_type::same_type;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_schema::DataType;
use std::collections::BTreeMap;
use std::io::Cursor;

const MATRIX: &[u8] = include_bytes!("../../../../../tests/casts/matrix.zst");

/// The streams of the fixture, each of one batch.
fn streams() -> Vec<RecordBatch> {
    let bytes = zstd::stream::decode_all(MATRIX).unwrap();
    let (mut at, mut streams) = (Cursor::new(&bytes[..]), Vec::new());
    while at.position() < bytes.len() as u64 {
        let mut reader = StreamReader::try_new(&mut at, None).unwrap();
        streams.push(reader.next().unwrap().unwrap());
        assert!(reader.next().is_none());
    }
    streams
}

/// The pairs of types for which some samples differ from the reference, and their number.
const KNOWN: &[(&str, &str, usize)] = &[
    // Ours are the nearest floats. The reference multiplies by a negative power of ten, which a float only approximates.
    ("Decimal32(7, 2)", "Float32", 1),
    ("Decimal64(12, 3)", "Float32", 6),
    ("Decimal128(10, 2)", "Float32", 1),
    ("Decimal256(40, 5)", "Float64", 8),
    // The reference's narrow decimals overflow: it gives 1.00 for 9007199254740993, and refuses 65504.00.
    ("Decimal128(38, 0)", "Decimal32(7, 2)", 3),
    ("Decimal256(40, 5)", "Decimal32(7, 2)", 6),
    ("Utf8", "Decimal32(7, 2)", 1),
    ("LargeUtf8", "Decimal32(7, 2)", 1),
    ("Utf8View", "Decimal32(7, 2)", 1),
    // The reference refuses values that round to 0.000, or returns another value.
    ("Float64", "Decimal32(7, 2)", 1),
    ("Float64", "Decimal64(12, 3)", 5),
    // `arrow-cast` does not encode booleans.
    ("Utf8", "Dictionary(Int32, Boolean)", 9),
    ("LargeUtf8", "Dictionary(Int32, Boolean)", 8),
    ("Binary", "Dictionary(Int32, Boolean)", 1),
    ("LargeBinary", "Dictionary(Int32, Boolean)", 1),
    // The local time of a named zone needs a time zone database.
    (BERLIN, "Utf8", 16),
    (BERLIN, "LargeUtf8", 16),
    (BERLIN, "Utf8View", 16),
    (BERLIN, "Date32", 16),
    (BERLIN, "Date64", 16),
    (BERLIN, "Time32(s)", 14),
    (BERLIN, "Time32(ms)", 15),
    (BERLIN, "Time64(µs)", 16),
    (BERLIN, "Time64(ns)", 16),
];
const BERLIN: &str = "Timestamp(µs, \"Europe/Berlin\")";

/// Returns how a cast differs from the reference's, if it does.
fn difference(source: &ArrayRef, target: &DataType, expected: Option<&ArrayRef>) -> Option<String> {
    match (expected, cast(source, target)) {
        (None, Err(_)) => None,
        (Some(expected), Ok(got)) => {
            assert_eq!(got.data_type(), target);
            // The reference leaves a column as it is if only the names of its items differ.
            let expected = if same_type(expected.data_type(), target) {
                cast(expected, target).unwrap()
            } else {
                expected.clone()
            };
            (*got != *expected).then(|| format!("expected {}, got {}", show(&expected), show(&got)))
        }
        (Some(expected), Err(error)) => Some(format!("expected {}, got {error}", show(expected))),
        (None, Ok(got)) => Some(format!("expected to be refused, got {}", show(&got))),
    }
}

#[test]
fn casts_are_the_references() {
    let streams = streams();
    let (targets, samples) = streams.split_first().unwrap();
    let mut found: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for sample in samples {
        let (schema, source) = (sample.schema(), sample.column(0));
        for (number, target) in targets.schema().fields().iter().enumerate() {
            let (target, expected) = (target.data_type(), sample.column_by_name(&number.to_string()));
            if let Some(difference) = difference(source, target, expected) {
                let line = format!("{} {}: {difference}", schema.metadata()["sample"], show(source));
                found.entry((source.data_type().to_string(), target.to_string())).or_default().push(line);
            }
        }
    }
    for ((source, target), lines) in &found {
        println!("{source} -> {target}: {lines:#?}");
    }
    let known: BTreeMap<_, _> =
        KNOWN.iter().map(|(from, to, count)| ((from.to_string(), to.to_string()), *count)).collect();
    let found: BTreeMap<_, _> = found.into_iter().map(|(pair, lines)| (pair, lines.len())).collect();
    assert_eq!(found, known);
}

#[test]
fn no_cast_takes_more_than_its_bound() {
    let streams = streams();
    let (targets, samples) = streams.split_first().unwrap();
    for sample in samples {
        let source = sample.column(0);
        for target in targets.schema().fields() {
            let target = target.data_type();
            let bound = cast_bytes(source, target);
            let taken = allocation_counter::measure(|| drop(cast(source, target)));
            let text = 4096; // of an error, which names both types
            assert!(
                taken.bytes_max <= bound + text,
                "{} -> {target} takes {} bytes, more than {bound}",
                source.data_type(),
                taken.bytes_max
            );
        }
    }
}

fn show(column: &ArrayRef) -> String {
    format!("{column:?}").split_whitespace().collect::<Vec<_>>().join(" ").chars().take(150).collect()
}

#[test]
fn a_column_of_its_own_type_takes_nothing() {
    for sample in streams() {
        for column in sample.columns() {
            assert_eq!(cast_bytes(column, column.data_type()), 0);
            assert_eq!(&cast(column, column.data_type()).unwrap(), column);
        }
    }
}
