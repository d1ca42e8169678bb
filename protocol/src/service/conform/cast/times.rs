//! Casts between dates, times, timestamps, durations and their integers. A cast that would lose part of a unit is refused, except
//! from a timestamp to its day or its time of day.

use super::by_arrow::{by_arrow, reinterpret};
use super::table::{Kind, storage};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array};
use arrow_schema::{DataType, TimeUnit};
use std::sync::Arc;

pub(super) const SECONDS_PER_DAY: i64 = 86_400;

/// Casts a column of one of these types to another.
pub(super) fn convert(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    let source = column.data_type();
    if Kind::of(source) == Kind::Int || Kind::of(target) == Kind::Int {
        return reinterpret(column, target);
    }
    let (from, to) = (ticks_per_day(source), ticks_per_day(target));
    let mut values = instants(column)?;
    values = match (Kind::of(source), Kind::of(target)) {
        (Kind::Timestamp, Kind::Date) => {
            let (offset, day) = (local_offset(source)?, to);
            try_map(&values, |value| value.checked_add(offset)?.div_euclid(from).checked_mul(day))
        }
        (Kind::Timestamp, Kind::Time) => {
            let offset = local_offset(source)?;
            try_map(&values, |value| rescale(value.checked_add(offset)?.rem_euclid(from), from, to))
        }
        _ => try_map(&values, |value| rescale(value, from, to)),
    }
    .map_err(|value| format!("expected a value that {target} can hold, got {value} of {source}"))?;
    let values: ArrayRef = Arc::new(values);
    let values =
        if storage(target) == DataType::Int32 { by_arrow(&values, &DataType::Int32)? } else { values };
    reinterpret(&values, target)
}

/// Returns the values of a column, counted in its unit.
pub(super) fn instants(column: &ArrayRef) -> Result<Int64Array, String> {
    let storage = storage(column.data_type());
    let integers = by_arrow(&reinterpret(column, &storage)?, &DataType::Int64)?;
    Ok(integers.as_primitive::<Int64Type>().clone())
}

/// Maps the values that are not null. Returns the first value that cannot be mapped as the error.
fn try_map(values: &Int64Array, map: impl Fn(i64) -> Option<i64>) -> Result<Int64Array, i64> {
    values.try_unary(|value| map(value).ok_or(value))
}

/// Converts a count of one unit to another, if the result is exact.
fn rescale(value: i64, from: i64, to: i64) -> Option<i64> {
    if to >= from {
        return value.checked_mul(to / from);
    }
    let divisor = from / to;
    (value % divisor == 0).then(|| value / divisor)
}

/// Returns how many of a type's units a day has. (Each divides each larger one.)
pub(super) fn ticks_per_day(data_type: &DataType) -> i64 {
    let per_second = match data_type {
        DataType::Date32 => return 1,
        DataType::Date64 => 1_000,
        DataType::Time32(unit)
        | DataType::Time64(unit)
        | DataType::Timestamp(unit, _)
        | DataType::Duration(unit) => match unit {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => 1_000_000_000,
        },
        _ => 1,
    };
    SECONDS_PER_DAY * per_second
}

/// Returns the offset of local time from UTC, in the timestamp's own unit.
fn local_offset(timestamp: &DataType) -> Result<i64, String> {
    Ok(offset_seconds(timestamp)? * (ticks_per_day(timestamp) / SECONDS_PER_DAY))
}

/// Returns the offset of a timestamp's local time from UTC, in seconds.
///
/// # Errors
/// If the zone has a name other than those of UTC: there is no database of zones here.
pub(super) fn offset_seconds(timestamp: &DataType) -> Result<i64, String> {
    let DataType::Timestamp(_, Some(zone)) = timestamp else { return Ok(0) };
    if matches!(zone.as_ref(), "UTC" | "Etc/UTC" | "GMT") {
        return Ok(0);
    }
    fixed_offset(zone).ok_or_else(|| {
        format!("the local time of zone {zone:?} is not known here: expected UTC or an offset such as +01:00")
    })
}

/// Parses an offset of the form `+HH:MM`, `+HHMM` or `+HH` as seconds.
pub(super) fn fixed_offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.len() {
        2 => (digits, "00"),
        4 => digits.split_at_checked(2)?,
        5 => digits.split_once(':')?,
        _ => return None,
    };
    let number = |text: &str, most: i64| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|value| digits && *value <= most)
    };
    Some(sign * (number(hours, 23)? * 3600 + number(minutes, 59)? * 60))
}
