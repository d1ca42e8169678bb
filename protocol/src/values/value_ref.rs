//! One value of a column, seen through whatever the column is encoded as.

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

/// Records that travel as bytes in one another.
const MAX_DEPTH: u8 = 32;
/// What values take is looked at in steps of this.
const METER_STEP: usize = 1 << 20;
/// Values that take this much may be made of any batch, such as records with defaults of a column of bytes, or one run of many
/// rows. It is as much as a cast may add.
const ALWAYS: usize = 64 << 20;
/// How many times as much memory as its columns the values of a batch may take beyond that. A `String` of a few characters takes
/// about 40 times as much as the one-byte key of a dictionary that stands for it.
const MOST_TIMES: usize = 64;

/// The bounds of records that are read outside of any call: the default limits, and no budget.
static UNBUDGETED: LazyLock<(Limits, Account)> = LazyLock::new(Default::default);

/// One value of a column, which may be null.
#[derive(Clone, Copy)]
pub struct ValueRef<'a> {
    pub(crate) column: &'a dyn Array,
    pub(crate) row: usize,
    bounds: ReadBounds<'a>,
}

/// What may be made of a batch: how much values may take, and what records that travel as bytes may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadBounds<'a> {
    limits: &'a Limits,
    account: &'a Account,
    /// What is read from, and how much was made of it.
    meter: Option<(&'a RecordBatch, &'a ReadMeter)>,
    /// Records that this one is in, of those that travel as bytes.
    depth: u8,
}

/// Bytes that the values take which were read from one batch. Columns may show a few bytes any number of times, or none: what
/// is made of them is therefore bounded by what they take themselves.
#[derive(Debug, Default)]
pub(crate) struct ReadMeter(AtomicUsize);

impl Clone for ReadMeter {
    /// A copy of what is read from begins anew.
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

    /// The default limits, and no budget.
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

    /// The same for a record that travels as bytes in this one.
    ///
    /// # Errors
    /// When it would be too deep.
    pub(crate) fn deeper(self) -> Result<Self, ValueError> {
        if self.depth == MAX_DEPTH {
            let expected = format!("at most {MAX_DEPTH} records that are bytes in one another");
            return Err(ValueError::new(expected, "one more"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    /// Counts so many bytes that a value takes, before it is made.
    ///
    /// # Errors
    /// When the values take too much for what they are read from, or there is no room for them in the budget.
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
        // They are the application's, which has no budget: there has to be room when they are made.
        self.account.reserve(spent).map(drop).map_err(ValueError::failed)
    }
}

/// What the columns take. Memory that several share, as those of a message share its body, counts once.
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
    /// The value in a row of a column. Records in it that travel as bytes are decoded within the default [`Limits`].
    ///
    /// # Errors
    /// When there is no such row.
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

    /// The column's type.
    pub fn data_type(self) -> &'a DataType {
        self.column.data_type()
    }

    /// Whether there is no value: the row is null, or refers to a null value of its dictionary or run.
    pub fn is_null(self) -> bool {
        is_null_at(self.column, self.row)
    }

    /// The error that this is no `T`.
    pub fn mismatch<T: ArrowType + ?Sized>(self) -> ValueError {
        self.unexpected(type_name(&T::data_type()))
    }

    /// The error that this is not what was expected.
    pub(crate) fn unexpected(self, expected: impl Into<std::borrow::Cow<'static, str>>) -> ValueError {
        let data_type = type_name(self.data_type());
        let got = if self.is_null() { format!("null of type {data_type}") } else { data_type };
        ValueError::new(expected, got)
    }

    pub(crate) fn bounds(self) -> ReadBounds<'a> {
        self.bounds
    }

    /// The same row of another column, or another row of it. The caller makes sure that there is one.
    pub(crate) fn at(self, column: &'a dyn Array, row: usize) -> Self {
        Self { column, row, bounds: self.bounds }
    }

    /// The value of the dictionary or run that this row refers to; `None` if it is null or the column is neither.
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

    /// The values of a list, as a column and the rows of it that belong to this list; `None` if it is null or no list.
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

/// The run that shows a row.
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
