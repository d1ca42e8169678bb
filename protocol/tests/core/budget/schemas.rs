//! A decoded schema never takes more memory than was reserved for it.

use super::KIB;
use super::hostile_streams::schemas;
use allocation_counter::measure;
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit, UnionFields, UnionMode};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::ipc::{EncodedSchema, Item, Reader};
use vgi_rpc_protocol::memory::Budget;

/// The reader itself, and the header's entry in its cache.
const READER: usize = 12 * KIB;

/// Reads a schema message. Returns whether it was accepted, and the bytes allocated and reserved at the peak.
fn decoded(message: &Bytes) -> (bool, usize, usize) {
    let budget = Budget::new(1 << 30);
    let account = budget.account();
    let (mut item, mut reserved) = (None, 0);
    let taken = measure(|| {
        let mut reader = Reader::with_account(Limits::default(), account.clone());
        reader.receive(message.clone());
        item = reader.next_item().ok().flatten();
        reserved = account.held();
    });
    let is_schema = matches!(item, Some(Item::Schema(_)));
    let kept = usize::try_from(taken.bytes_current).unwrap_or_default();
    assert!(!is_schema || kept <= reserved, "{kept} bytes are kept, {reserved} were reserved");
    drop(item);
    assert_eq!(account.held(), 0);
    (is_schema, taken.bytes_max as usize, reserved)
}

#[test]
fn hostile_schemas_take_no_more_than_is_reserved() {
    let mut accepted = 0;
    for (name, message) in schemas() {
        let (is_schema, most, reserved) = decoded(&message);
        println!("{} KiB, {} reserved, of {} for {name}", most / KIB, reserved / KIB, message.len() / KIB);
        if is_schema {
            accepted += 1;
            assert!(most <= reserved + READER, "{most} bytes, {reserved} reserved, for {name}");
        } else {
            assert!(most <= 2 * message.len() + READER, "{most} bytes before {name} was refused");
            assert_eq!(reserved, 0);
        }
    }
    assert!(accepted > 15, "{accepted} were accepted");
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z]{0,12}", 1 => "[a-zé]{100,400}"]
}

fn metadata() -> impl Strategy<Value = HashMap<String, String>> {
    let short = proptest::collection::hash_map("[a-z]{1,6}", "[a-z]{0,9}", 0..30);
    prop_oneof![3 => Just(HashMap::new()), 1 => short]
}

fn leaf() -> impl Strategy<Value = DataType> {
    let zone = prop_oneof![Just("".to_owned()), Just("UTC".to_owned()), "[A-Z]{30,60}"];
    prop_oneof![
        Just(DataType::Null),
        Just(DataType::Int64),
        Just(DataType::Utf8),
        Just(DataType::BinaryView),
        Just(DataType::Decimal128(20, 3)),
        Just(DataType::FixedSizeBinary(9)),
        zone.prop_map(|zone| DataType::Timestamp(TimeUnit::Second, Some(zone.into()))),
        Just(DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8))),
    ]
}

fn field_of(data_type: impl Strategy<Value = DataType>) -> impl Strategy<Value = Arc<Field>> {
    (name(), data_type, any::<bool>(), metadata()).prop_map(|(name, data_type, nullable, metadata)| {
        Arc::new(Field::new(name, data_type, nullable).with_metadata(metadata))
    })
}

fn data_type() -> impl Strategy<Value = DataType> {
    leaf().prop_recursive(4, 60, 12, |inner| {
        let field = || field_of(inner.clone());
        let runs =
            |values| DataType::RunEndEncoded(Arc::new(Field::new("e", DataType::Int32, false)), values);
        let map = |value: Arc<Field>| {
            let entries = vec![Arc::new(Field::new("key", DataType::Utf8, false)), value];
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.into()), false)), false)
        };
        let union = |fields: Vec<Arc<Field>>| {
            let fields = fields.into_iter().enumerate().map(|(n, field)| (n as i8, field));
            DataType::Union(UnionFields::from_iter(fields), UnionMode::Dense)
        };
        let many = || proptest::collection::vec(field_of(inner.clone()), 0..12);
        prop_oneof![
            field().prop_map(DataType::List),
            field().prop_map(|item| DataType::FixedSizeList(item, 3)),
            many().prop_map(|fields| DataType::Struct(fields.into())),
            many().prop_map(union),
            field().prop_map(runs),
            field().prop_map(map),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_schema_takes_more_than_is_reserved(
        fields in proptest::collection::vec(field_of(data_type()), 0..20),
        copies in 1_usize..20,
        metadata in metadata(),
    ) {
        let fields: Fields = fields.iter().cycle().take(fields.len() * copies).cloned().collect();
        let schema = Schema::new(fields).with_metadata(metadata);
        let encoded = EncodedSchema::new(Arc::new(schema));
        prop_assume!(encoded.is_ok());
        let message = encoded.unwrap().message().clone();
        let (is_schema, most, reserved) = decoded(&message);
        prop_assert!(is_schema, "{} bytes were refused", message.len());
        prop_assert!(most <= reserved + READER, "{} bytes, {} reserved", most, reserved);
    }
}
