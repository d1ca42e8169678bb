//! This crate decodes batches of flat columns, unless the header contains something only `arrow-ipc` reads. Whatever a header
//! claims, both decoders refuse it or return the same batch.

use super::*;
use arrow_schema::IntervalUnit;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::sync::LazyLock;

/// The parts of a record batch message.
#[derive(Clone, Debug)]
struct Parts {
    rows: i64,
    nodes: Vec<(i64, i64)>,
    buffers: Vec<(i64, i64)>,
    body: Vec<u8>,
}

/// Batches of every flat type: complete, sliced, and without rows.
static FLAT: LazyLock<Vec<RecordBatch>> = LazyLock::new(|| {
    let is_flat = |data_type: &DataType| {
        let by_arrow = matches!(
            data_type,
            DataType::Dictionary(..)
                | DataType::RunEndEncoded(..)
                | DataType::Utf8View
                | DataType::BinaryView
        );
        !by_arrow && !data_type.is_nested()
    };
    let flat: Vec<_> = columns::all().into_iter().filter(|column| is_flat(column.data_type())).collect();
    let wide = DataType::Interval(IntervalUnit::MonthDayNano);
    assert!(flat.len() > 20 && flat.iter().any(|column| *column.data_type() == wide), "{}", flat.len());
    let of = |columns: &[arrow_array::ArrayRef]| {
        RecordBatch::try_from_iter(
            columns.iter().enumerate().map(|(n, column)| (format!("c{n}"), column.clone())),
        )
        .unwrap()
    };
    let mut batches: Vec<_> = flat.iter().map(|column| of(std::slice::from_ref(column))).collect();
    batches.push(of(&flat[..3]));
    batches.into_iter().flat_map(|batch| [batch.slice(0, 0), batch.slice(1, 3), batch]).collect()
});

fn parts(batch: &RecordBatch) -> Parts {
    let bytes = stream_of(&[(batch.clone(), Metadata::new())]);
    let len = |at: usize| u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
    let at = 8 + len(0);
    let (header, body) = (at + 8, at + 8 + len(at));
    let message = arrow_ipc::root_as_message(&bytes[header..body]).unwrap();
    let table = message.header_as_record_batch().unwrap();
    Parts {
        rows: table.length(),
        nodes: table.nodes().unwrap().iter().map(|node| (node.length(), node.null_count())).collect(),
        buffers: table.buffers().unwrap().iter().map(|buffer| (buffer.offset(), buffer.length())).collect(),
        body: bytes[body..body + message.bodyLength() as usize].to_vec(),
    }
}

impl Parts {
    /// Reads the message. With an empty list of variadic counts, which flat columns do not need, `arrow-ipc` decodes the batch.
    fn read(&self, schema: &EncodedSchema, by_arrow: bool) -> Result<RecordBatch, ReadError> {
        let variadic_counts = by_arrow.then(Vec::new);
        let header = Header { variadic_counts, ..Header::with_body(self.body.len() as i64) };
        let header = header.batch(self.rows, &self.nodes, &self.buffers);
        let mut reader = Reader::new(Limits::default());
        reader.receive([&schema.message()[..], &header, &self.body].concat().into());
        assert!(matches!(reader.next_item(), Ok(Some(Item::Schema(_)))));
        reader.next_item().map(|item| match item {
            Some(Item::Batch(batch, _)) => batch,
            other => panic!("{other:?}"),
        })
    }

    fn edit(&mut self, edit: &Edit) {
        fn set((number, value): (&mut i64, &Value)) {
            *number = match value {
                Value::Plus(by) => number.wrapping_add(*by),
                Value::To(value) => *value,
            };
        }
        match edit {
            Edit::Rows(value) => set((&mut self.rows, value)),
            Edit::Node(at, nulls, value) => {
                let node = at.get_mut(&mut self.nodes);
                set((if *nulls { &mut node.1 } else { &mut node.0 }, value));
            }
            Edit::Buffer(at, length, value) if !self.buffers.is_empty() => {
                let buffer = at.get_mut(&mut self.buffers);
                set((if *length { &mut buffer.1 } else { &mut buffer.0 }, value));
            }
            Edit::Byte(at, byte) if !self.body.is_empty() => *at.get_mut(&mut self.body) = *byte,
            Edit::Buffer(..) | Edit::Byte(..) => {}
        }
    }
}

#[derive(Clone, Debug)]
enum Value {
    Plus(i64),
    To(i64),
}

#[derive(Clone, Debug)]
enum Edit {
    Rows(Value),
    Node(Index, bool, Value),
    Buffer(Index, bool, Value),
    Byte(Index, u8),
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-9..=9_i64).prop_map(Value::Plus),
        select(vec![-16, -8, 8, 16, 24, 64]).prop_map(Value::Plus),
        select(vec![0, 1, -1, i64::from(i32::MAX), i64::MAX, i64::MIN, 1 << 40]).prop_map(Value::To),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        1 => value().prop_map(Edit::Rows),
        2 => (any::<Index>(), any::<bool>(), value()).prop_map(|(at, nulls, value)| Edit::Node(at, nulls, value)),
        4 => (any::<Index>(), any::<bool>(), value())
            .prop_map(|(at, length, value)| Edit::Buffer(at, length, value)),
        3 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Byte(at, byte)),
    ]
}

fn assert_same(schema: &EncodedSchema, parts: &Parts) -> bool {
    match (parts.read(schema, false), parts.read(schema, true)) {
        (Ok(ours), Ok(arrows)) => {
            // Only the values are compared: not all damage affects them.
            assert_eq!(format!("{ours:?}"), format!("{arrows:?}"));
            true
        }
        (Err(ReadError::Message(_)), Err(ReadError::Message(_))) => false,
        (ours, arrows) => panic!("ours {ours:?}, by arrow-ipc {arrows:?}: {parts:?}, {:?}", schema.schema()),
    }
}

#[test]
fn flat_batches_are_the_same_either_way() {
    for batch in FLAT.iter() {
        let schema = EncodedSchema::new(batch.schema()).unwrap();
        let parts = parts(batch);
        assert!(assert_same(&schema, &parts), "{batch:?}");
        assert_eq!(parts.read(&schema, true).unwrap(), *batch);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn damaged_flat_batches_are_the_same_either_way(
        which in any::<Index>(),
        edits in proptest::collection::vec(edit(), 1..4),
    ) {
        let batch = which.get(&FLAT);
        let mut parts = parts(batch);
        edits.iter().for_each(|edit| parts.edit(edit));
        assert_same(&EncodedSchema::new(batch.schema()).unwrap(), &parts);
    }
}
