//! Payloads: round trips, tolerant decoding, damage.

use super::*;
use arrow_array::DictionaryArray;
use arrow_array::types::Int8Type;
use arrow_schema::Fields;

fn schema(name: &str, data_type: DataType) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(name, data_type, false)]))
}

fn method(name: &str, kind: MethodKind) -> MethodDescription {
    MethodDescription {
        name: name.to_owned(),
        kind,
        params: schema("a", DataType::Int64),
        result: None,
        header: None,
        idempotency: Idempotency::Unknown,
        deprecated: None,
    }
}

fn summary() -> ProtocolSummary {
    ProtocolSummary {
        protocol: "demo.Echo.v1".to_owned(),
        protocol_version: "1.2.3".to_owned(),
        protocol_hash: "ab".repeat(32),
        deprecated: None,
    }
}

fn list() -> ProtocolList {
    let old = ProtocolSummary {
        protocol_version: String::new(),
        deprecated: Some("Call demo.Echo.v2.".to_owned()),
        ..summary()
    };
    ProtocolList {
        server_id: "5f1e".to_owned(),
        server_version: "0.1.0".to_owned(),
        request_version: "1".to_owned(),
        protocols: vec![summary(), old],
    }
}

fn description() -> ServiceDescription {
    let unary = MethodDescription {
        params: Arc::new(Schema::empty()),
        result: Some(schema("result", DataType::Binary)),
        idempotency: Idempotency::NoSideEffects,
        ..method("get", MethodKind::Unary)
    };
    let stream = MethodDescription {
        header: Some(schema("h", DataType::Utf8)),
        deprecated: Some(String::new()),
        ..method("scan", MethodKind::Stream(StreamKind::Producer))
    };
    let idempotent =
        MethodDescription { idempotency: Idempotency::Idempotent, ..method("put", MethodKind::Unary) };
    let methods = vec![
        method("feed", MethodKind::Stream(StreamKind::Exchange)),
        unary,
        idempotent,
        stream,
        method("whatever", MethodKind::Stream(StreamKind::Unknown)),
    ];
    ServiceDescription { summary: summary(), methods }
}

fn batch(bytes: Vec<u8>) -> RecordBatch {
    ipc::decode_batch(bytes.into(), &Limits::default()).unwrap().0
}

fn bytes(columns: StructArray) -> Vec<u8> {
    let batch = RecordBatch::from(columns);
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// Returns the struct with its columns changed.
fn with_columns(table: &StructArray, change: impl FnOnce(&mut Vec<(Field, ArrayRef)>)) -> StructArray {
    let fields = table.fields().iter().map(|field| field.as_ref().clone());
    let mut columns: Vec<_> = fields.zip(table.columns().iter().cloned()).collect();
    change(&mut columns);
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    StructArray::try_new_with_length(fields.into(), arrays, None, table.len()).unwrap()
}

/// Returns the payload with the columns of its last column, a list of structs, changed.
fn with_item_columns(row: &StructArray, change: impl FnOnce(&mut Vec<(Field, ArrayRef)>)) -> StructArray {
    with_columns(row, |columns| {
        let (field, array) = columns.pop().unwrap();
        let items = with_columns(array.as_list::<i32>().value(0).as_struct(), change);
        let item = Arc::new(Field::new("item", items.data_type().clone(), true));
        let lists = ListArray::new(item, OffsetBuffer::from_lengths([items.len()]), Arc::new(items), None);
        columns.push((Field::new(field.name(), lists.data_type().clone(), false), Arc::new(lists)));
    })
}

fn set(columns: &mut [(Field, ArrayRef)], name: &str, array: ArrayRef) {
    let column = columns.iter_mut().find(|(field, _)| field.name() == name).unwrap();
    *column = (Field::new(name, array.data_type().clone(), true), array);
}

fn text_of(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[test]
fn what_is_encoded_is_decoded() {
    assert_eq!(ProtocolList::decode(&list().encode().unwrap()), Ok(list()));
    assert_eq!(ServiceDescription::decode(&description().encode().unwrap()), Ok(description()));
    let empty = ProtocolList { protocols: vec![], ..list() };
    assert_eq!(ProtocolList::decode(&empty.encode().unwrap()), Ok(empty));
    let empty = ServiceDescription { methods: vec![], ..description() };
    assert_eq!(ServiceDescription::decode(&empty.encode().unwrap()), Ok(empty));
}

#[test]
fn the_arrow_schemas_are_the_reference_s() {
    let field = |name: &str, data_type: &DataType| Field::new(name, data_type.clone(), false);
    let list_of = |item: DataType| DataType::List(Arc::new(Field::new("item", item, true)));
    let struct_of = |fields: &[Field]| DataType::Struct(Fields::from(fields.to_vec()));
    let (utf8, bool, binary) = (DataType::Utf8, DataType::Boolean, DataType::Binary);
    let mut protocol = vec![
        field("protocol", &utf8),
        field("protocol_version", &utf8),
        field("protocol_hash", &utf8),
        field("deprecated", &bool),
        field("deprecation_message", &utf8),
        field("features", &list_of(utf8.clone())),
    ];
    let method = [
        field("name", &utf8),
        field("method_type", &utf8),
        field("has_return", &bool),
        field("has_header", &bool),
        field("stream_kind", &utf8),
        field("params_schema_ipc", &binary),
        field("result_schema_ipc", &binary),
        field("header_schema_ipc", &binary),
        field("idempotency", &utf8),
        field("deprecated", &bool),
        field("deprecation_message", &utf8),
    ];
    let server = vec![
        field("server_id", &utf8),
        field("server_version", &utf8),
        field("request_version", &utf8),
        field("protocols", &list_of(struct_of(&protocol))),
    ];
    assert_eq!(*batch(list().encode().unwrap()).schema(), Schema::new(server));
    protocol.push(field("methods", &list_of(struct_of(&method))));
    assert_eq!(*batch(description().encode().unwrap()).schema(), Schema::new(protocol));
}

#[test]
fn a_schema_is_one_message_and_an_absent_one_is_no_bytes() {
    let row = StructArray::from(batch(description().encode().unwrap()));
    let methods = row.column_by_name("methods").unwrap().as_list::<i32>().value(0);
    let schemas = |name: &str| methods.as_struct().column_by_name(name).unwrap().as_binary::<i32>().clone();
    let message = schemas("result_schema_ipc").value(1).to_vec();
    let length = u32::from_le_bytes(message[4..8].try_into().unwrap()) as usize;
    assert_eq!((&message[..4], length + 8), (&[0xff; 4][..], message.len()));
    assert_eq!(message.len() % 8, 0);
    assert!(schemas("result_schema_ipc").value(0).is_empty());
    assert!(schemas("header_schema_ipc").value(0).is_empty());
}

#[test]
fn unknown_columns_and_another_order_are_harmless() {
    let row = StructArray::from(batch(description().encode().unwrap()));
    let extended = with_item_columns(&row, |columns| {
        columns.reverse();
        let levels: DictionaryArray<Int8Type> = ["low"; 5].into_iter().collect();
        columns.insert(0, (Field::new("level", levels.data_type().clone(), false), Arc::new(levels)));
    });
    let extended = with_columns(&extended, |columns| {
        columns.reverse();
        columns.push((Field::new("added", DataType::Utf8, true), text_of(&[None])));
        set(columns, "features", text_of(&[Some("of a later version")]));
    });
    assert_eq!(ServiceDescription::decode(&bytes(extended)), Ok(description()));
}

#[test]
fn columns_with_a_default_may_be_absent_or_null() {
    let mut expected = description();
    for method in &mut expected.methods {
        method.idempotency = Idempotency::Unknown;
        method.deprecated = None;
    }
    let row = StructArray::from(batch(description().encode().unwrap()));
    let defaulted = ["idempotency", "deprecated", "deprecation_message"];
    let absent = with_item_columns(&row, |columns| {
        columns.retain(|(field, _)| !defaulted.contains(&field.name().as_str()));
    });
    assert_eq!(ServiceDescription::decode(&bytes(absent)), Ok(expected.clone()));
    let null = with_item_columns(&row, |columns| {
        set(columns, "idempotency", text_of(&[None; 5]));
        set(columns, "deprecated", Arc::new(BooleanArray::from(vec![None; 5])));
        set(columns, "deprecation_message", text_of(&[None; 5]));
    });
    assert_eq!(ServiceDescription::decode(&bytes(null)), Ok(expected));
}

#[test]
fn columns_without_a_default_may_not_be_absent() {
    let row = StructArray::from(batch(description().encode().unwrap()));
    for field in row.fields() {
        let without = with_columns(&row, |columns| columns.retain(|(other, _)| other.name() != field.name()));
        let error = ServiceDescription::decode(&bytes(without)).unwrap_err();
        assert!(matches!(error, DecodeError::Missing(name) if name == field.name()), "{error}");
    }
    for name in ["name", "method_type", "has_return", "has_header", "stream_kind", "params_schema_ipc"] {
        let without = with_item_columns(&row, |columns| columns.retain(|(field, _)| field.name() != name));
        assert_eq!(ServiceDescription::decode(&bytes(without)), Err(DecodeError::Missing(name)));
    }
    let null = with_columns(&row, |columns| set(columns, "protocol", text_of(&[None])));
    assert_eq!(ServiceDescription::decode(&bytes(null)), Err(DecodeError::Missing("protocol")));
}

#[test]
fn other_types_words_and_schemas_are_named_in_the_error() {
    let row = StructArray::from(batch(description().encode().unwrap()));
    let changed = |name: &str, array: ArrayRef| {
        let changed = with_item_columns(&row, |columns| set(columns, name, array));
        ServiceDescription::decode(&bytes(changed))
    };
    let numbers = Arc::new(arrow_array::Int8Array::from(vec![0; 5]));
    assert_eq!(changed("has_return", numbers), Err(DecodeError::Type("has_return")));
    let odd = Err(DecodeError::Value { column: "method_type", value: "batch".to_owned() });
    assert_eq!(changed("method_type", text_of(&[Some("batch"); 5])), odd);
    let later = changed("stream_kind", text_of(&[Some("duplex"); 5])).unwrap();
    assert_eq!(later.methods[0].kind, MethodKind::Stream(StreamKind::Unknown));
    let later = changed("idempotency", text_of(&[Some("mostly"); 5])).unwrap();
    assert_eq!(later.methods[1].idempotency, Idempotency::Unknown);
    for garbage in [&b"\xff\xff\xff\xff"[..], b"not a schema message", &[0; 16]] {
        let error = changed("params_schema_ipc", Arc::new(BinaryArray::from(vec![garbage; 5]))).unwrap_err();
        assert!(matches!(error, DecodeError::Schema { column: "params_schema_ipc", .. }), "{error}");
    }
    let empty = changed("params_schema_ipc", Arc::new(BinaryArray::from(vec![&b""[..]; 5]))).unwrap();
    assert!(empty.methods.iter().all(|method| method.params.fields().is_empty()));
}

#[test]
fn a_payload_is_one_row() {
    let row = batch(list().encode().unwrap());
    assert_eq!(ProtocolList::decode(&bytes(row.slice(0, 0).into())), Err(DecodeError::Rows(0)));
    assert!(matches!(ProtocolList::decode(b""), Err(DecodeError::Malformed(_))));
}

#[test]
fn no_truncation_and_no_changed_byte_panics() {
    let bytes = description().encode().unwrap();
    let end = bytes.len() - 8; // where the end-of-stream marker begins, which is not required
    assert!((0..end).all(|length| ServiceDescription::decode(&bytes[..length]).is_err()));
    for position in 0..bytes.len() {
        for flip in [0x01, 0x02, 0x04, 0x10, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[position] ^= flip;
            let _ = ServiceDescription::decode(&changed);
        }
    }
}
