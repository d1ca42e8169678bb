//! Conversion of columns, and what is refused.

use super::*;
use crate::memory::Budget;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{
    BooleanArray, DictionaryArray, Int8Array, Int32Array, Int64Array, NullArray, RunArray, StringArray,
};
use arrow_schema::{DataType, Field};
use std::sync::Arc;

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    let fields: Vec<_> = fields.iter().map(|(name, of)| Field::new(*name, of.clone(), true)).collect();
    Arc::new(Schema::new(fields))
}

/// Returns one row of `int32`, in columns with these names.
fn numbers(columns: &[(&str, i32)]) -> RecordBatch {
    let fields: Vec<_> = columns.iter().map(|(name, _)| (*name, DataType::Int32)).collect();
    let values = columns.iter().map(|(_, value)| Arc::new(Int32Array::from(vec![*value])) as ArrayRef);
    RecordBatch::try_new(schema(&fields), values.collect()).unwrap()
}

fn longs(names: &[&str]) -> SchemaRef {
    schema(&names.iter().map(|name| (*name, DataType::Int64)).collect::<Vec<_>>())
}

fn values(batch: &RecordBatch) -> Vec<i64> {
    batch.columns().iter().map(|column| column.as_primitive::<Int64Type>().value(0)).collect()
}

#[track_caller]
fn input(batch: RecordBatch, schema: &SchemaRef) -> Result<Vec<i64>, String> {
    conform_input(batch, schema, &Account::default()).map(|batch| values(&batch)).map_err(|error| {
        let InputError::Mismatch(error) = error else { panic!("{error:?}") };
        assert_eq!(error.error_type(), "TypeError");
        assert!(error.message().starts_with("Input schema mismatch"), "{}", error.message());
        error.message().to_owned()
    })
}

#[track_caller]
fn emitted(batch: RecordBatch, schema: &SchemaRef) -> Result<Vec<i64>, String> {
    conform(batch, schema).map(|batch| values(&batch))
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, String>, says: &str) {
    let error = result.unwrap_err();
    assert!(error.contains(says), "{says:?} in {error:?}");
}

#[test]
fn columns_of_one_name_are_taken_by_position_where_all_names_agree() {
    let twins = numbers(&[("x", 1), ("y", 5), ("x", 2)]);
    assert_eq!(input(twins.clone(), &longs(&["x", "y", "x"])), Ok(vec![1, 5, 2]));
    assert_eq!(emitted(twins, &longs(&["x", "y", "x"])), Ok(vec![1, 5, 2]));
}

#[test]
fn a_difference_in_nullability_or_metadata_leaves_columns_in_their_places() {
    let columns = [1, 2].map(|value| Arc::new(Int64Array::from(vec![value])) as ArrayRef);
    let twins = RecordBatch::try_new(longs(&["x", "x"]), columns.to_vec()).unwrap();
    let field = |nullable| Field::new("x", DataType::Int64, nullable);
    let marked =
        field(true).with_metadata(std::collections::HashMap::from([("a".to_owned(), "b".to_owned())]));
    for first in [field(false), marked] {
        let declared = Arc::new(Schema::new(vec![first, field(true)]));
        assert_eq!(input(twins.clone(), &declared), Ok(vec![1, 2]));
        assert_eq!(emitted(twins.clone(), &declared), Ok(vec![1, 2]));
    }
}

#[test]
fn a_name_of_several_columns_in_another_order_is_refused() {
    for declared in [&["x", "x", "y"][..], &["y", "x"]] {
        let twins = numbers(&[("x", 1), ("y", 5), ("x", 2)]);
        assert_refused(input(twins.clone(), &longs(declared)), "expected one column \"x\", got several");
        assert_refused(emitted(twins, &longs(declared)), "expected one column \"x\", got several");
    }
}

#[test]
fn a_name_that_is_declared_twice_takes_its_one_column_twice() {
    assert_eq!(input(numbers(&[("x", 1)]), &longs(&["x", "x"])), Ok(vec![1, 1]));
    assert_eq!(emitted(numbers(&[("x", 1)]), &longs(&["x", "x"])), Ok(vec![1, 1]));
}

#[test]
fn only_emitted_batches_may_have_further_columns() {
    let batch = numbers(&[("x", 1), ("y", 2), ("y", 3)]);
    assert_eq!(emitted(batch.clone(), &longs(&["x"])), Ok(vec![1]));
    assert_refused(input(batch, &longs(&["x"])), "got a column \"y\" that is not declared");
    assert_refused(input(numbers(&[("x", 1)]), &longs(&["z"])), "expected a column \"z\", got none");
    assert_refused(emitted(numbers(&[("x", 1)]), &longs(&["z"])), "expected a column \"z\", got none");
}

#[test]
fn nulls_of_every_encoding_are_refused_where_none_may_be() {
    let dictionary = |key| -> ArrayRef {
        let values = Arc::new(StringArray::from(vec![Some("a"), None]));
        Arc::new(DictionaryArray::new(Int8Array::from(vec![key]), values))
    };
    let runs = |value| -> ArrayRef {
        Arc::new(RunArray::try_new(&Int32Array::from(vec![1]), &Int64Array::from(vec![value])).unwrap())
    };
    let cases: [(ArrayRef, bool); 6] = [
        (dictionary(Some(0)), true),
        (dictionary(Some(1)), false),
        (dictionary(None), false),
        (runs(Some(1)), true),
        (runs(None), false),
        (Arc::new(NullArray::new(1)), false),
    ];
    for (column, accepted) in cases {
        let given = schema(&[("x", column.data_type().clone())]);
        let declared = Arc::new(Schema::new(vec![Field::new("x", column.data_type().clone(), false)]));
        let result = conform_input(
            RecordBatch::try_new(given, vec![column.clone()]).unwrap(),
            &declared,
            &Account::default(),
        );
        assert_eq!(result.is_ok(), accepted, "{column:?}");
    }
}

#[test]
fn a_batch_of_the_declared_schema_is_not_touched() {
    let batch = numbers(&[("x", 1), ("x", 2)]);
    let declared = Arc::new(batch.schema().as_ref().clone());
    let taken = allocation_counter::measure(|| {
        let conformed = conform_input(batch.clone(), &declared, &Account::default()).unwrap();
        assert!(conformed.columns().iter().zip(batch.columns()).all(|(a, b)| Arc::ptr_eq(a, b)));
    });
    // The clone allocates only the list of columns.
    assert!(taken.count_total <= 1, "{taken:?}");
}

#[test]
fn casts_are_bounded_before_they_run() {
    let bits: ArrayRef = Arc::new(BooleanArray::from(vec![true; 1000]));
    let batch = RecordBatch::try_new(schema(&[("x", DataType::Boolean)]), vec![bits]).unwrap();
    let declared = longs(&["x"]);
    assert!(bounded_cast_bytes(&batch, &[0], &declared, MAX_CAST_BYTES).is_ok());
    let taken = allocation_counter::measure(|| {
        assert_refused(bounded_cast_bytes(&batch, &[0], &declared, 8000), "at most 8000 are allowed");
    });
    assert!(taken.bytes_max < 4000, "{taken:?}");
}

#[test]
fn a_cast_is_reserved_until_its_columns_are_dropped() {
    let rows = 100_000;
    let bits: ArrayRef = Arc::new(BooleanArray::from(vec![true; rows]));
    let batch = RecordBatch::try_new(schema(&[("x", DataType::Boolean)]), vec![bits]).unwrap();
    let declared = longs(&["x"]);
    let budget = Budget::new(4 << 20);
    let account = budget.account();
    let conformed = conform_input(batch.clone(), &declared, &account).unwrap();
    assert!(account.held() >= 8 * rows, "{account:?}");
    let column = conformed.column(0).slice(0, 1);
    drop(conformed);
    assert!(account.held() >= 8 * rows, "a slice keeps the whole batch");
    assert_eq!(column.as_primitive::<Int64Type>().value(0), 1);
    drop(column);
    assert_eq!(account.held(), 0);

    let account = Budget::new(100_000).account();
    let taken = allocation_counter::measure(|| {
        let error = conform_input(batch.clone(), &declared, &account).unwrap_err();
        assert!(matches!(error, InputError::OverBudget(_)), "{error:?}");
    });
    assert!(taken.bytes_max < 4000, "{taken:?}");
    assert_eq!(account.held(), 0);
}
