//! Dates, times, timestamps and durations, of `chrono` and of `std`.
//!
//! They are microseconds unless a field is declared otherwise, as Python's are. Writing one that a column's unit cannot
//! express is an error, and nothing is rounded: [`SubsecRound::trunc_subsecs`](chrono::SubsecRound::trunc_subsecs) does that.

use super::arrow_type::ArrowType;
use super::column::{ColumnBuilder, Values};
use super::error::ValueError;
use super::traits::{FromArrow, IntoArrow};
use super::value_ref::ValueRef;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_schema::DataType;
use arrow_schema::TimeUnit::{self, Microsecond, Millisecond, Nanosecond, Second};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use std::time::Duration;

const NANOSECONDS: i128 = 1_000_000_000;

/// Returns the number of nanoseconds of a unit.
fn nanoseconds(unit: TimeUnit) -> i128 {
    match unit {
        Second => NANOSECONDS,
        Millisecond => 1_000_000,
        Microsecond => 1_000,
        Nanosecond => 1,
    }
}

/// Returns the unit of a type that has one.
fn unit(data_type: &DataType) -> Option<TimeUnit> {
    match data_type {
        DataType::Timestamp(unit, _)
        | DataType::Duration(unit)
        | DataType::Time32(unit)
        | DataType::Time64(unit) => Some(*unit),
        _ => None,
    }
}

/// Returns the number of a value in its column; `None` if it is null or the column is not one of times.
fn number(value: ValueRef<'_>) -> Option<i64> {
    fn of<T: ArrowPrimitiveType>(value: ValueRef<'_>) -> Option<i64>
    where
        T::Native: Into<i64>,
    {
        Some(value.column.as_primitive_opt::<T>()?.value(value.row).into())
    }
    if value.column.is_null(value.row) {
        return None;
    }
    match value.data_type() {
        DataType::Timestamp(Second, _) => of::<TimestampSecondType>(value),
        DataType::Timestamp(Millisecond, _) => of::<TimestampMillisecondType>(value),
        DataType::Timestamp(Microsecond, _) => of::<TimestampMicrosecondType>(value),
        DataType::Timestamp(Nanosecond, _) => of::<TimestampNanosecondType>(value),
        DataType::Duration(Second) => of::<DurationSecondType>(value),
        DataType::Duration(Millisecond) => of::<DurationMillisecondType>(value),
        DataType::Duration(Microsecond) => of::<DurationMicrosecondType>(value),
        DataType::Duration(Nanosecond) => of::<DurationNanosecondType>(value),
        DataType::Time32(Second) => of::<Time32SecondType>(value),
        DataType::Time32(_) => of::<Time32MillisecondType>(value),
        DataType::Time64(Nanosecond) => of::<Time64NanosecondType>(value),
        DataType::Time64(_) => of::<Time64MicrosecondType>(value),
        DataType::Date32 => of::<Date32Type>(value),
        DataType::Date64 => of::<Date64Type>(value),
        _ => None,
    }
}

/// Appends a number of the column's unit.
fn append<T: ArrowType>(number: Option<i128>, column: &mut ColumnBuilder) -> Result<(), ValueError> {
    let beyond = || ValueError::new(format!("what {} can express", column.data_type), "a value beyond it");
    if !T::writes(&column.data_type) {
        return Err(column.mismatch::<T>());
    }
    let number = number.and_then(|number| i64::try_from(number).ok()).ok_or_else(beyond)?;
    match &mut column.values {
        Values::Time64(values) => values.push(number),
        Values::Time32(values) => match i32::try_from(number) {
            Ok(number) => values.push(number),
            Err(_) => return Err(beyond()),
        },
        _ => return Err(column.mismatch::<T>()),
    }
    column.nulls.append_non_null();
    Ok(())
}

/// Appends nanoseconds as a number of the column's unit, if it can express them.
fn append_nanoseconds<T: ArrowType>(value: i128, column: &mut ColumnBuilder) -> Result<(), ValueError> {
    let unit = unit(&column.data_type).ok_or_else(|| column.mismatch::<T>())?;
    let size = nanoseconds(unit);
    if value % size != 0 {
        let expected = format!("a whole number of the units of {}", column.data_type);
        return Err(ValueError::new(expected, "a finer value; round it first, as by chrono's trunc_subsecs"));
    }
    append::<T>(Some(value / size), column)
}

/// Reads a value as nanoseconds.
fn in_nanoseconds<T: ArrowType>(value: ValueRef<'_>) -> Result<i128, ValueError> {
    match (T::reads(value.data_type()), unit(value.data_type()), number(value)) {
        (true, Some(unit), Some(number)) => Ok(i128::from(number) * nanoseconds(unit)),
        _ => Err(value.mismatch::<T>()),
    }
}

macro_rules! time {
    ($type:ty, $data_type:expr, $pattern:pat, $read:expr, $write:expr) => {
        impl ArrowType for $type {
            fn data_type() -> DataType {
                $data_type
            }
            fn reads(data_type: &DataType) -> bool {
                matches!(data_type, $pattern)
            }
        }

        impl<'a> FromArrow<'a> for $type {
            fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
                if let Some(value) = value.decoded() {
                    return Self::read(value);
                }
                let read: fn(ValueRef<'_>) -> Result<Option<Self>, ValueError> = $read;
                read(value)?.ok_or_else(|| {
                    ValueError::new(concat!("a value that fits ", stringify!($type)), "one beyond it")
                })
            }
        }

        impl IntoArrow for $type {
            fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
                let write: fn(&Self, &mut ColumnBuilder) -> Result<(), ValueError> = $write;
                write(self, column)
            }
        }
    };
}

/// Splits nanoseconds into seconds and nanoseconds.
fn split(nanoseconds: i128) -> Option<(i64, u32)> {
    let seconds = i64::try_from(nanoseconds.div_euclid(NANOSECONDS)).ok()?;
    Some((seconds, u32::try_from(nanoseconds.rem_euclid(NANOSECONDS)).ok()?))
}

/// Returns the nanoseconds since the epoch. A leap second counts as the second after it.
fn since_epoch(time: &DateTime<Utc>) -> i128 {
    i128::from(time.timestamp()) * NANOSECONDS + i128::from(time.timestamp_subsec_nanos())
}

time!(
    DateTime<Utc>,
    DataType::Timestamp(Microsecond, Some("UTC".into())),
    DataType::Timestamp(_, Some(_)),
    |value| {
        let time = split(in_nanoseconds::<Self>(value)?);
        Ok(time.and_then(|(seconds, nanoseconds)| DateTime::from_timestamp(seconds, nanoseconds)))
    },
    |time, column| append_nanoseconds::<Self>(since_epoch(time), column)
);

time!(
    NaiveDateTime,
    DataType::Timestamp(Microsecond, None),
    DataType::Timestamp(_, None),
    |value| {
        let time = split(in_nanoseconds::<Self>(value)?);
        let time = time.and_then(|(seconds, nanoseconds)| DateTime::from_timestamp(seconds, nanoseconds));
        Ok(time.map(|time| time.naive_utc()))
    },
    |time, column| append_nanoseconds::<Self>(since_epoch(&time.and_utc()), column)
);

const DAY_MILLISECONDS: i64 = 86_400_000;

time!(
    NaiveDate,
    DataType::Date32,
    DataType::Date32 | DataType::Date64,
    |value| {
        let number = number(value).filter(|_| Self::reads(value.data_type()));
        let number = number.ok_or_else(|| value.mismatch::<Self>())?;
        let days = if *value.data_type() == DataType::Date64 {
            // A number with a time of day is not a valid date.
            (number % DAY_MILLISECONDS == 0).then_some(number / DAY_MILLISECONDS)
        } else {
            Some(number)
        };
        Ok(days.and_then(TimeDelta::try_days).and_then(|days| NaiveDate::default().checked_add_signed(days)))
    },
    |date, column| {
        let days = i128::from(date.signed_duration_since(NaiveDate::default()).num_days());
        let size = if column.data_type == DataType::Date64 { i128::from(DAY_MILLISECONDS) } else { 1 };
        append::<Self>(Some(days * size), column)
    }
);

time!(
    NaiveTime,
    DataType::Time64(Microsecond),
    DataType::Time32(_) | DataType::Time64(_),
    |value| {
        let time = split(in_nanoseconds::<Self>(value)?);
        Ok(time.and_then(|(seconds, nanoseconds)| {
            NaiveTime::from_num_seconds_from_midnight_opt(u32::try_from(seconds).ok()?, nanoseconds)
        }))
    },
    |time, column| {
        let seconds = i128::from(time.num_seconds_from_midnight()) * NANOSECONDS;
        append_nanoseconds::<Self>(seconds + i128::from(time.nanosecond()), column)
    }
);

time!(
    TimeDelta,
    DataType::Duration(Microsecond),
    DataType::Duration(_),
    |value| {
        let time = split(in_nanoseconds::<Self>(value)?);
        Ok(time.and_then(|(seconds, nanoseconds)| TimeDelta::new(seconds, nanoseconds)))
    },
    |time, column| {
        let nanoseconds = i128::from(time.num_seconds()) * NANOSECONDS + i128::from(time.subsec_nanos());
        append_nanoseconds::<Self>(nanoseconds, column)
    }
);

time!(
    Duration,
    DataType::Duration(Microsecond),
    DataType::Duration(_),
    |value| {
        let time = split(in_nanoseconds::<Self>(value)?);
        Ok(time.and_then(|(seconds, nanoseconds)| {
            Some(Duration::new(u64::try_from(seconds).ok()?, nanoseconds))
        }))
    },
    |time, column| {
        let nanoseconds = i128::from(time.as_secs()) * NANOSECONDS + i128::from(time.subsec_nanos());
        append_nanoseconds::<Self>(nanoseconds, column)
    }
);
