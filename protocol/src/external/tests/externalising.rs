//! Batches stored as objects, and resolved again.

use super::*;
use crate::memory::Budget;

fn externalised(
    settings: Externalisation,
    rows: usize,
    before: u64,
    account: &Account,
) -> Result<Store, ExternaliseError> {
    let schema = EncodedSchema::new(schema()).unwrap();
    let (logs, batch) = ([log("one"), log("two")], batch(rows));
    let codecs = Arc::new(Codecs::new(CodecSettings { zstd_level: 3, ..CodecSettings::default() }));
    let metadata = own_metadata();
    let cycle = Cycle { logs_before: &logs[..1], batch: &batch, metadata: &metadata, logs_after: &logs[1..] };
    settings.externalise(cycle, &schema, before, &codecs, account)
}

#[test]
fn a_batch_is_externalised_at_its_threshold_and_never_without_rows() {
    let batch = batch(1000);
    let size = total_buffer_size(&batch);
    let with = |threshold| Externalisation { threshold, ..Externalisation::default() };
    assert!(with(size).wants(&batch) && with(1).wants(&batch) && with(0).wants(&batch));
    assert!(!with(size + 1).wants(&batch));
    assert!(!with(0).wants(&RecordBatch::new_empty(schema())));
}

#[test]
fn the_size_is_that_of_all_buffers_each_once() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let size = |columns: Vec<ArrayRef>| {
        let field = |(index, column): (usize, &ArrayRef)| {
            Field::new(format!("{index}"), column.data_type().clone(), true)
        };
        let fields: Vec<_> = columns.iter().enumerate().map(field).collect();
        total_buffer_size(&RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap())
    };
    assert_eq!(size(vec![numbers.clone()]), 24);
    assert_eq!(size(vec![numbers.clone(), numbers.clone()]), 24, "shared");
    assert_eq!(size(vec![Arc::new(StringArray::from(vec!["ab", "c"]))]), 3 * 4 + 3);
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("ab"), None]));
    let validity = texts.nulls().unwrap().buffer().len() as u64;
    assert_eq!(size(vec![texts.clone()]), 3 * 4 + 2 + validity);
    let list =
        arrow_array::ListArray::from_iter_primitive::<arrow_array::types::Int64Type, _, _>([Some(vec![
            Some(1),
            Some(2),
        ])]);
    let expected =
        arrow_array::Array::to_data(&list).buffers()[0].len() + list.values().to_data().buffers()[0].len();
    assert!(size(vec![Arc::new(list)]) >= expected as u64);
}

#[test]
fn an_object_is_resolved_to_what_it_was_made_of() {
    let codings: Vec<_> = [None].into_iter().chain(Coding::ALL.iter().copied().map(Some)).collect();
    for coding in codings {
        let budget = Budget::new(64 << 20);
        let account = budget.account();
        let settings = Externalisation { coding, ..Externalisation::default() };
        let made = externalised(settings, 5_000, 0, &account).unwrap();
        let object = made.object();
        assert_eq!(object.coding, coding);
        let stored = Bytes::from(object.segments.concat());
        assert_eq!(object.len, stored.len() as u64);
        assert_eq!(coding.is_some(), object.len < made.uncompressed_len());
        // The end marker is not reserved separately.
        assert!(account.held() + 8 >= stored.len(), "data to store is reserved");
        let pointer = made.pointer(Location::parse(URL).unwrap());
        let mut resolution = resolution(pointer, &account, ObjectLimits::default());
        let resolved = resolve(&mut resolution, coding.map(Coding::as_str), &stored, 3_000).unwrap();
        assert_eq!((resolved.batch, resolved.logs.len()), (batch(5_000), 2));
        let debug = format!("{made:?}");
        assert!(debug.len() < 500 && !debug.contains("row 1"), "{debug}");
        drop((made, resolution, resolved.logs));
    }
}

#[test]
fn an_object_shares_the_buffers_of_its_batch() {
    let schema = EncodedSchema::new(schema()).unwrap();
    let batch = batch(10_000);
    let (settings, account) = (Externalisation::default(), Account::default());
    let cycle = Cycle { logs_before: &[], batch: &batch, metadata: &Metadata::new(), logs_after: &[] };
    let made = settings.externalise(cycle, &schema, 0, &Arc::default(), &account).unwrap();
    let numbers = batch.column(0).to_data().buffers()[0].as_ptr();
    assert!(made.object().segments.iter().any(|segment| segment.as_ptr() == numbers));
}

#[test]
fn the_cap_is_checked_before_anything_is_stored() {
    let account = Account::default();
    let with =
        |max| Externalisation { max_externalized_response_bytes: Some(max), ..Externalisation::default() };
    let bytes = externalised(Externalisation::default(), 1_000, 0, &account).unwrap().uncompressed_len();
    assert!(externalised(with(bytes), 1_000, 0, &account).is_ok());
    assert!(externalised(with(bytes + 10), 1_000, 10, &account).is_ok());
    for (max, before) in [(bytes - 1, 0), (bytes + 10, 11), (100, 0), (0, u64::MAX)] {
        let error = externalised(with(max), 1_000, before, &account).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("max_externalized_response_bytes"), "{text}");
        assert_eq!(crate::wire::error::RpcError::from(error).error_type(), "ResponseTooLargeError");
    }
}

#[test]
fn an_object_beyond_the_budget_is_refused_and_given_back() {
    let budget = Budget::new(1 << 20);
    let account = budget.account();
    let error = externalised(Externalisation::default(), 200_000, 0, &account).unwrap_err();
    assert!(matches!(error, ExternaliseError::Encode(_)), "{error}");
    assert_eq!(account.held(), 0);
}
