//! Finds the null rows of a column, whatever the encoding: dictionaries and runs may have null values.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, downcast_dictionary_array};
use arrow_schema::DataType;

/// Returns whether a column has a null row. Does not allocate, however many rows the runs claim.
pub(crate) fn has_nulls(column: &dyn Array) -> bool {
    match column.data_type() {
        DataType::Null => !column.is_empty(),
        DataType::Dictionary(..) => {
            let values =
                column.as_any_dictionary_opt().is_some_and(|dictionary| has_nulls(dictionary.values()));
            column.null_count() > 0 || (values && (0..column.len()).any(|row| is_null_at(column, row)))
        }
        DataType::RunEndEncoded(..) => shown_by_runs(column).is_some_and(|values| has_nulls(&values)),
        DataType::Union(..) => (0..column.len()).any(|row| is_null_at(column, row)),
        _ => column.null_count() > 0,
    }
}

/// Returns whether a row is null or does not exist.
pub(crate) fn is_null_at(column: &dyn Array, row: usize) -> bool {
    if row >= column.len() {
        return true;
    }
    match column.data_type() {
        DataType::Null => true,
        DataType::Dictionary(..) => {
            let key = downcast_dictionary_array!(column => column.key(row), _ => None);
            let values = column.as_any_dictionary_opt().map(|dictionary| dictionary.values());
            key.zip(values).is_none_or(|(key, values)| is_null_at(values, key))
        }
        DataType::RunEndEncoded(..) => {
            shown_by_runs(&column.slice(row, 1)).is_none_or(|values| is_null_at(&values, 0))
        }
        DataType::Union(..) => column
            .as_union_opt()
            .is_none_or(|union| is_null_at(union.child(union.type_id(row)), union.value_offset(row))),
        _ => column.is_null(row),
    }
}

/// Returns the values of the runs that a column shows. Each has at least one row.
fn shown_by_runs(column: &dyn Array) -> Option<ArrayRef> {
    let DataType::RunEndEncoded(ends, _) = column.data_type() else { return None };
    match ends.data_type() {
        DataType::Int16 => column.as_run_opt::<Int16Type>().map(|runs| runs.values_slice()),
        DataType::Int32 => column.as_run_opt::<Int32Type>().map(|runs| runs.values_slice()),
        DataType::Int64 => column.as_run_opt::<Int64Type>().map(|runs| runs.values_slice()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{
        DictionaryArray, Int8Array, Int32Array, Int64Array, NullArray, RunArray, StringArray, UnionArray,
    };
    use arrow_schema::{Field, UnionFields};
    use std::sync::Arc;

    fn nulls(column: &dyn Array) -> Vec<bool> {
        let nulls: Vec<_> = (0..column.len()).map(|row| is_null_at(column, row)).collect();
        assert_eq!(has_nulls(column), nulls.contains(&true), "{column:?}");
        nulls
    }

    #[test]
    fn nulls_are_rows_that_show_no_value() {
        assert_eq!(nulls(&Int64Array::from(vec![Some(1), None])), [false, true]);
        assert_eq!(nulls(&NullArray::new(2)), [true, true]);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![None, Some("a"), None]));
        let dictionary = DictionaryArray::new(Int8Array::from(vec![Some(1), Some(2), None, Some(1)]), texts);
        assert_eq!(nulls(&dictionary), [false, true, true, false]);
        // A null value that no row refers to does not make a row null.
        assert_eq!(nulls(&dictionary.slice(3, 1)), [false]);
        let runs = RunArray::try_new(
            &Int32Array::from(vec![2, 3, 5]),
            &Int64Array::from(vec![Some(1), None, Some(2)]),
        );
        let runs = runs.unwrap();
        assert_eq!(nulls(&runs), [false, false, true, false, false]);
        assert_eq!(nulls(&runs.slice(3, 2)), [false, false]);
        assert!(is_null_at(&runs, 5), "there is no such row");
    }

    #[test]
    fn nulls_nest() {
        let inner =
            DictionaryArray::new(Int8Array::from(vec![0]), Arc::new(StringArray::from(vec![None::<&str>])));
        let runs = RunArray::try_new(&Int32Array::from(vec![3]), &inner).unwrap();
        assert_eq!(nulls(&runs), [true, true, true]);
    }

    #[test]
    fn the_child_that_a_row_of_a_union_shows_decides() {
        let fields = UnionFields::try_new(
            [0, 1],
            [Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)],
        )
        .unwrap();
        let children: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![Some(1), None])),
            Arc::new(StringArray::from(vec![None, Some("x")])),
        ];
        let union = |ids: [i8; 2]| {
            UnionArray::try_new(fields.clone(), ids.to_vec().into(), None, children.clone()).unwrap()
        };
        assert_eq!(nulls(&union([0, 0])), [false, true]);
        assert_eq!(nulls(&union([1, 1])), [true, false]);
        assert_eq!(nulls(&union([0, 1])), [false, false]);
    }

    #[test]
    fn runs_take_nothing_per_row_and_plain_columns_nothing_at_all() {
        let rows = i32::MAX;
        let runs = RunArray::try_new(&Int32Array::from(vec![rows]), &Int64Array::from(vec![1])).unwrap();
        let plain: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        let taken = allocation_counter::measure(|| assert!(!has_nulls(&runs)));
        assert!(taken.bytes_max < 1000, "{taken:?}");
        let values = RunArray::try_new(&Int32Array::from(vec![rows]), &Int64Array::from(vec![None])).unwrap();
        let dictionary = DictionaryArray::new(Int8Array::from(vec![1]), Arc::new(values));
        let taken = allocation_counter::measure(|| assert!(has_nulls(&dictionary)));
        assert!(taken.bytes_max < 2000, "{taken:?}");
        let taken = allocation_counter::measure(|| assert!(has_nulls(&plain) && is_null_at(&plain, 1)));
        assert_eq!(taken.count_total, 0);
    }
}
