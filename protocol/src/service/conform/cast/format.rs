//! Formats values as text in the reference's way.

use super::by_arrow::by_arrow;
use super::decimals::{integers, scale};
use super::table::Kind;
use super::times::{SECONDS_PER_DAY, instants, offset_seconds, ticks_per_day};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, GenericStringArray, OffsetSizeTrait};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, TimeUnit};
use chrono::{Datelike, NaiveDate, TimeDelta};
use std::fmt::{LowerExp, Write};
use std::str::FromStr;
use std::sync::Arc;

/// Casts a column of fixed-width values to text.
pub(super) fn format(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    match target {
        DataType::LargeUtf8 => Ok(Arc::new(texts::<i64>(column)?)),
        DataType::Utf8View => by_arrow(&texts::<i32>(column)?, target),
        _ => Ok(Arc::new(texts::<i32>(column)?)),
    }
}

/// Returns the maximum number of characters of a value's text, all of them ASCII.
pub(super) fn max_width(source: &DataType) -> u64 {
    match source {
        DataType::Boolean => 5,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => 24,
        DataType::Decimal32(..) | DataType::Decimal64(..) => 26,
        DataType::Decimal128(..) => 46,
        DataType::Decimal256(..) => 84,
        // This includes the text for a value out of range.
        DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) => 48,
        DataType::Timestamp(..) => 48,
        // Integers and durations.
        _ => 20,
    }
}

fn texts<O: OffsetSizeTrait>(column: &ArrayRef) -> Result<GenericStringArray<O>, String> {
    let write = writer(column)?;
    let most = usize::try_from(max_width(column.data_type())).unwrap_or(usize::MAX);
    let mut text = String::with_capacity(column.len().saturating_mul(most));
    let mut offsets = Vec::with_capacity(column.len() + 1);
    offsets.push(O::zero());
    for row in 0..column.len() {
        if column.is_valid(row) {
            write(row, &mut text)?;
        }
        let end = O::from_usize(text.len());
        offsets.push(end.ok_or_else(|| format!("{} bytes are too many for 32-bit offsets", text.len()))?);
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let values = Buffer::from_vec(text.into_bytes());
    GenericStringArray::try_new(offsets, values, column.nulls().cloned()).map_err(|error| error.to_string())
}

type Writer<'a> = Box<dyn Fn(usize, &mut String) -> Result<(), String> + 'a>;

/// Returns a writer that appends a row's text.
fn writer(column: &ArrayRef) -> Result<Writer<'_>, String> {
    let source = column.data_type();
    let written = |result: std::fmt::Result| result.map_err(|error| error.to_string());
    match Kind::of(source) {
        Kind::Bool => {
            let values = column.as_boolean();
            Ok(Box::new(move |row, text| written(write!(text, "{}", values.value(row)))))
        }
        Kind::Int => {
            let values = integers(column)?;
            Ok(Box::new(move |row, text| match values(row).to_i128() {
                Some(value) => written(write!(text, "{value}")),
                None => Err("expected an integer of 64 bits".into()),
            }))
        }
        Kind::Float => match source {
            DataType::Float16 => {
                let values = column.as_primitive::<Float16Type>();
                Ok(Box::new(move |row, text| written(float(text, values.value(row).to_f64()))))
            }
            DataType::Float32 => {
                let values = column.as_primitive::<Float32Type>();
                Ok(Box::new(move |row, text| written(float(text, values.value(row)))))
            }
            _ => {
                let values = column.as_primitive::<Float64Type>();
                Ok(Box::new(move |row, text| written(float(text, values.value(row)))))
            }
        },
        Kind::Decimal => {
            let (values, scale) = (integers(column)?, scale(source));
            Ok(Box::new(move |row, text| written(decimal(text, &values(row).to_string(), scale))))
        }
        Kind::Duration => {
            let values = instants(column)?;
            Ok(Box::new(move |row, text| written(write!(text, "{}", values.value(row)))))
        }
        Kind::Date | Kind::Time | Kind::Timestamp => {
            let (values, per_day, offset) =
                (instants(column)?, ticks_per_day(source), offset_seconds(source)?);
            let source = source.clone();
            Ok(Box::new(move |row, text| written(instant(text, &source, values.value(row), per_day, offset))))
        }
        _ => Err(format!("a cast from {source} to text is not supported")),
    }
}

/// Writes the fewest digits that parse to the same float: of these the nearest, or the even ones on a tie.
fn float<F: LowerExp + FromStr + PartialEq>(text: &mut String, value: F) -> std::fmt::Result {
    let shortest = format!("{value:e}");
    let Some((digits, _)) = shortest.split_once('e') else {
        return text.write_str(if shortest == "NaN" { "nan" } else { &shortest });
    };
    let fraction = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let nearest = format!("{value:.fraction$e}");
    let scientific =
        if nearest.parse::<F>().is_ok_and(|parsed| parsed == value) { nearest } else { shortest };
    let Some((digits, exponent)) = scientific.split_once('e') else { return Err(std::fmt::Error) };
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    text.write_str(sign)?;
    if !(-6..10).contains(&exponent) {
        return write!(text, "{digits}e{exponent:+}");
    }
    let digits = digits.replace('.', "");
    point(text, &digits, exponent + 1)
}

/// Writes digits with the decimal point after this many of them.
fn point(text: &mut String, digits: &str, at: i32) -> std::fmt::Result {
    let size = at.unsigned_abs() as usize;
    if at <= 0 {
        return write!(text, "0.{:0>width$}", digits, width = digits.len() + size);
    }
    match digits.split_at_checked(size) {
        Some((whole, fraction)) if !fraction.is_empty() => write!(text, "{whole}.{fraction}"),
        _ => write!(text, "{digits:0<size$}"),
    }
}

/// Writes a decimal with all digits of its scale, or in scientific notation if that is much shorter.
fn decimal(text: &mut String, value: &str, scale: i8) -> std::fmt::Result {
    let (sign, digits) = value.strip_prefix('-').map_or(("", value), |digits| ("-", digits));
    let (length, scale) = (i32::try_from(digits.len()).unwrap_or(i32::MAX), i32::from(scale));
    let exponent = length - 1 - scale;
    text.write_str(sign)?;
    if scale == 0 {
        text.write_str(digits)
    } else if scale < 0 || exponent < -6 {
        point(text, digits, 1)?;
        write!(text, "E{exponent:+}")
    } else {
        point(text, digits, length - scale)
    }
}

/// Writes a date, time or timestamp.
fn instant(text: &mut String, source: &DataType, value: i64, per_day: i64, offset: i64) -> std::fmt::Result {
    let per_second = (per_day / SECONDS_PER_DAY).max(1);
    let out_of_range = |text: &mut String| write!(text, "<value out of range: {value}>");
    if let DataType::Time32(unit) | DataType::Time64(unit) = source {
        if !(0..per_day).contains(&value) {
            return out_of_range(text);
        }
        return time(text, value, per_second, *unit);
    }
    let Some(local) = offset.checked_mul(per_second).and_then(|offset| value.checked_add(offset)) else {
        return out_of_range(text);
    };
    // A date in milliseconds is rounded toward 1970, a timestamp down.
    let day = if *source == DataType::Date64 { local / per_day } else { local.div_euclid(per_day) };
    let date = TimeDelta::try_days(day).and_then(|days| NaiveDate::default().checked_add_signed(days));
    let Some(date) = date.filter(|date| YEARS.contains(&date.year())) else { return out_of_range(text) };
    // Years have at least four digits, and a sign if they are before 0.
    let (sign, year) = if date.year() < 0 { ("-", -date.year()) } else { ("", date.year()) };
    write!(text, "{sign}{year:04}-{:02}-{:02}", date.month(), date.day())?;
    let DataType::Timestamp(unit, zone) = source else { return Ok(()) };
    text.push(' ');
    time(text, local.rem_euclid(per_day), per_second, *unit)?;
    match zone.as_deref() {
        None => Ok(()),
        Some("UTC") => text.write_char('Z'),
        Some(_) => {
            let (sign, size) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
            write!(text, "{sign}{:02}{:02}", size / 3600, size / 60 % 60)
        }
    }
}

/// The years that the reference writes.
const YEARS: std::ops::RangeInclusive<i32> = -32_767..=32_767;

fn time(text: &mut String, value: i64, per_second: i64, unit: TimeUnit) -> std::fmt::Result {
    let (seconds, rest) = (value / per_second, value % per_second);
    write!(text, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
    match unit {
        TimeUnit::Second => Ok(()),
        TimeUnit::Millisecond => write!(text, ".{rest:03}"),
        TimeUnit::Microsecond => write!(text, ".{rest:06}"),
        TimeUnit::Nanosecond => write!(text, ".{rest:09}"),
    }
}
