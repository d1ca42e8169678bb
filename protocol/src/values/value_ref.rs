//! One value of a column, independent of the column's encoding.

use super::arrow_type::ArrowType;
use super::error::{ValueError, type_name};
use super::nulls::is_null_at;
use crate::Limits;
use crate::memory::Account;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, RunArray, downcast_dictionary_array};
use arrow_data::ArrayData;
use arrow_schema::DataType;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The maximum nesting of records that are sent as bytes.
const MAX_DEPTH: u8 = 32;
/// The step, in bytes, in which the memory of values is checked.
const METER_STEP: usize = 1 << 20;
/// The memory that the values of any batch may use, such as records with defaults of a column of bytes, or one run of many rows.
/// It equals the limit for casts.
const ALWAYS: usize = 64 << 20;
/// The memory that a batch's values may use beyond that, as a multiple of its columns' memory. A `String` of a few characters
/// uses about 40 times the memory of the one-byte dictionary key that refers to it.
const MOST_TIMES: usize = 64;

/// The limits for records that are read outside a call: the default limits, and no budget.
static UNBUDGETED: LazyLock<(Limits, Account)> = LazyLock::new(Default::default);

/// One value of a column, which may be null.
#[derive(Clone, Copy)]
pub struct ValueRef<'a> {
    pub(crate) column: &'a dyn Array,
    pub(crate) row: usize,
    bounds: ReadBounds<'a>,
}

/// The limits for the values of a batch: their memory, and the content of records that are sent as bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadBounds<'a> {
    limits: &'a Limits,
    account: &'a Account,
    /// The batch being read, and the memory of its values so far.
    meter: Option<(&'a RecordBatch, &'a ReadMeter)>,
    /// The number of records, sent as bytes, that enclose this one.
    depth: u8,
}

/// The memory of the values that were read from one batch. Columns may show a few bytes any number of times, or no bytes, so the
/// values' own memory is limited.
#[derive(Debug, Default)]
pub(crate) struct ReadMeter(AtomicUsize);

impl Clone for ReadMeter {
    /// A clone starts from zero.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<'a> ReadBounds<'a> {
    pub(crate) fn new(
        limits: &'a Limits,
        account: &'a Account,
        batch: &'a RecordBatch,
        meter: &'a ReadMeter,
    ) -> Self {
        Self { limits, account, meter: Some((batch, meter)), depth: 0 }
    }

    /// Returns the default limits, without a budget.
    pub(crate) fn unbudgeted(batch: &'a RecordBatch, meter: &'a ReadMeter) -> Self {
        let (limits, account) = &*UNBUDGETED;
        Self::new(limits, account, batch, meter)
    }

    pub(crate) fn limits(self) -> &'a Limits {
        self.limits
    }

    pub(crate) fn account(self) -> &'a Account {
        self.account
    }

    /// Returns the limits for a record that is sent as bytes inside this one.
    ///
    /// # Errors
    /// If it is nested too deeply.
    pub(crate) fn deeper(self) -> Result<Self, ValueError> {
        if self.depth == MAX_DEPTH {
            let expected = format!("at most {MAX_DEPTH} records that are bytes in one another");
            return Err(ValueError::new(expected, "one more"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    /// Counts the memory of a value before it is created.
    ///
    /// # Errors
    /// If the values use too much memory for their batch, or the budget has no room for them.
    pub(crate) fn charge(self, bytes: usize) -> Result<(), ValueError> {
        let Some((batch, meter)) = self.meter else { return Ok(()) };
        let before = meter.0.fetch_add(bytes, Ordering::Relaxed);
        let spent = before.saturating_add(bytes);
        if before / METER_STEP == spent / METER_STEP {
            return Ok(());
        }
        if spent > ALWAYS {
            let held = held(batch);
            let most = ALWAYS.saturating_add(held.saturating_mul(MOST_TIMES));
            if spent > most {
                let got = format!("{spent} from columns of {held} bytes");
                return Err(ValueError::new(format!("values of at most {most} bytes"), got));
            }
        }
        // They belong to the application, which has no budget: there only has to be room when they are created.
        self.account.reserve(spent).map(drop).map_err(ValueError::failed)
    }
}

/// Returns the memory of the columns. Memory that several of them share, such as a message's body, counts once.
fn held(batch: &RecordBatch) -> usize {
    fn add(data: &ArrayData, seen: &mut HashSet<usize>) -> usize {
        let nulls = data.nulls().map(|nulls| nulls.buffer());
        let own = data.buffers().iter().chain(nulls).map(|buffer| {
            if seen.insert(buffer.data_ptr().as_ptr() as usize) { buffer.capacity() } else { 0 }
        });
        let own: usize = own.sum();
        data.child_data().iter().fold(own, |sum, child| sum.saturating_add(add(child, seen)))
    }
    let mut seen = HashSet::new();
    batch.columns().iter().fold(0, |sum, column| sum.saturating_add(add(&column.to_data(), &mut seen)))
}

#[cold]
fn beyond(row: usize, rows: usize) -> ValueError {
    ValueError::new(format!("a row {row}"), format!("a column of {rows} rows"))
}

impl<'a> ValueRef<'a> {
    /// Returns the value in a row of a column. Records in it that are sent as bytes are decoded within the default [`Limits`].
    ///
    /// # Errors
    /// If there is no such row.
    pub fn new(column: &'a ArrayRef, row: usize) -> Result<Self, ValueError> {
        let (limits, account) = &*UNBUDGETED;
        Self::within(column, row, ReadBounds { limits, account, meter: None, depth: 0 })
    }

    #[inline]
    pub(crate) fn within(
        column: &'a ArrayRef,
        row: usize,
        bounds: ReadBounds<'a>,
    ) -> Result<Self, ValueError> {
        if row >= column.len() {
            return Err(beyond(row, column.len()));
        }
        Ok(Self { column: column.as_ref(), row, bounds })
    }

    /// Returns the column's type.
    pub fn data_type(self) -> &'a DataType {
        self.column.data_type()
    }

    /// Returns whether there is no value: the row is null, or refers to a null value of its dictionary or run.
    pub fn is_null(self) -> bool {
        is_null_at(self.column, self.row)
    }

    /// Returns the error that this is not a `T`.
    pub fn mismatch<T: ArrowType + ?Sized>(self) -> ValueError {
        self.unexpected(type_name(&T::data_type()))
    }

    /// Returns the error that this is not the expected value.
    pub(crate) fn unexpected(self, expected: impl Into<std::borrow::Cow<'static, str>>) -> ValueError {
        let data_type = type_name(self.data_type());
        let got = if self.is_null() { format!("null of type {data_type}") } else { data_type };
        ValueError::new(expected, got)
    }

    pub(crate) fn bounds(self) -> ReadBounds<'a> {
        self.bounds
    }

    /// Returns the same row of another column, or another row. The caller ensures that it exists.
    pub(crate) fn at(self, column: &'a dyn Array, row: usize) -> Self {
        Self { column, row, bounds: self.bounds }
    }

    /// Returns the value of the dictionary or run that this row refers to; `None` if it is null or the column is neither.
    pub(crate) fn decoded(self) -> Option<Self> {
        let (column, row) = (self.column, self.row);
        match column.data_type() {
            DataType::Dictionary(..) => {
                let key = downcast_dictionary_array!(column => column.key(row), _ => None)?;
                let values = column.as_any_dictionary_opt()?.values();
                (key < values.len()).then(|| self.at(values, key))
            }
            DataType::RunEndEncoded(ends, _) => {
                let (values, row) = match ends.data_type() {
                    DataType::Int16 => shown(column.as_run_opt::<Int16Type>()?, row),
                    DataType::Int32 => shown(column.as_run_opt::<Int32Type>()?, row),
                    DataType::Int64 => shown(column.as_run_opt::<Int64Type>()?, row),
                    _ => return None,
                };
                (row < values.len()).then(|| self.at(values, row))
            }
            _ => None,
        }
    }

    /// Returns the values of a list, as a column and the range of its rows; `None` if it is null or not a list.
    pub(crate) fn list(self) -> Option<(&'a ArrayRef, Range<usize>)> {
        let (column, row) = (self.column, self.row);
        if column.is_null(row) {
            return None;
        }
        let (values, start, end) = match column.data_type() {
            DataType::List(_) => {
                let list = column.as_list_opt::<i32>()?;
                let offsets = list.value_offsets();
                (list.values(), index(*offsets.get(row)?)?, index(*offsets.get(row + 1)?)?)
            }
            DataType::LargeList(_) => {
                let list = column.as_list_opt::<i64>()?;
                let offsets = list.value_offsets();
                (list.values(), index(*offsets.get(row)?)?, index(*offsets.get(row + 1)?)?)
            }
            DataType::FixedSizeList(..) => {
                let list = column.as_fixed_size_list_opt()?;
                let length = usize::try_from(list.value_length()).ok()?;
                let start = list.value_offset_at(row);
                (list.values(), start, start + length)
            }
            DataType::ListView(_) => {
                let list = column.as_list_view_opt::<i32>()?;
                let start = index(*list.offsets().get(row)?)?;
                (list.values(), start, start + index(*list.sizes().get(row)?)?)
            }
            DataType::LargeListView(_) => {
                let list = column.as_list_view_opt::<i64>()?;
                let start = index(*list.offsets().get(row)?)?;
                (list.values(), start, start + index(*list.sizes().get(row)?)?)
            }
            _ => return None,
        };
        (end <= values.len()).then_some((values, start..end))
    }
}

/// Returns the run that contains a row.
fn shown<E: arrow_array::types::RunEndIndexType>(runs: &RunArray<E>, row: usize) -> (&ArrayRef, usize) {
    (runs.values(), runs.get_physical_index(row))
}

fn index(offset: impl TryInto<usize>) -> Option<usize> {
    offset.try_into().ok()
}

impl std::fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ValueRef")
            .field("data_type", self.data_type())
            .field("row", &self.row)
            .finish_non_exhaustive()
    }
}
