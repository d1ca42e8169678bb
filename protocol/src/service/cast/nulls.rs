//! Which rows of a column are null, whatever the encoding: dictionaries and runs may hold nulls as values.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

/// Whether a column has a null row. Takes no memory for runs, however many rows they claim.
pub(crate) fn has_nulls(column: &dyn Array) -> bool {
    match column.data_type() {
        DataType::Dictionary(..) => column.is_nullable() && column.logical_null_count() > 0,
        DataType::RunEndEncoded(..) => values_of_runs(column).is_some_and(|values| has_nulls(&values)),
        DataType::Union(..) => column.logical_null_count() > 0,
        DataType::Null => !column.is_empty(),
        _ => column.null_count() > 0,
    }
}

/// Whether a row is null, or is not there.
pub(crate) fn is_null_at(column: &dyn Array, row: usize) -> bool {
    if row >= column.len() {
        return true;
    }
    match column.data_type() {
        DataType::Dictionary(..) | DataType::RunEndEncoded(..) | DataType::Union(..) => {
            has_nulls(&column.slice(row, 1))
        }
        DataType::Null => true,
        _ => column.is_null(row),
    }
}

/// The values of the runs that a column shows, of which each has at least one row.
pub(crate) fn values_of_runs(column: &dyn Array) -> Option<ArrayRef> {
    let DataType::RunEndEncoded(ends, _) = column.data_type() else { return None };
    let values = match ends.data_type() {
        DataType::Int16 => column.as_run_opt::<Int16Type>()?.values_slice(),
        DataType::Int32 => column.as_run_opt::<Int32Type>()?.values_slice(),
        DataType::Int64 => column.as_run_opt::<Int64Type>()?.values_slice(),
        _ => return None,
    };
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{DictionaryArray, Int8Array, Int32Array, Int64Array, NullArray, RunArray, StringArray};
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
        // A null value that no row refers to makes no row null.
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
    fn runs_take_nothing_per_row_and_plain_columns_nothing_at_all() {
        let rows = i32::MAX;
        let runs = RunArray::try_new(&Int32Array::from(vec![rows]), &Int64Array::from(vec![1])).unwrap();
        let plain: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        let taken = allocation_counter::measure(|| assert!(!has_nulls(&runs)));
        assert!(taken.bytes_max < 1000, "{taken:?}");
        let taken = allocation_counter::measure(|| assert!(has_nulls(&plain) && is_null_at(&plain, 1)));
        assert_eq!(taken.count_total, 0);
    }
}
