//! Parses values from text, in the grammar that the reference accepts.

use super::by_arrow::{by_arrow, reinterpret};
use super::decimals::{fill, rescale, scale};
use super::times::{SECONDS_PER_DAY, fixed_offset, ticks_per_day};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, PrimitiveArray};
use arrow_buffer::i256;
use arrow_schema::DataType;
use chrono::{NaiveDate, NaiveTime, Timelike};
use std::sync::Arc;

/// Casts a column of text to booleans, numbers, dates or timestamps.
pub(super) fn parse(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    let text = texts(column)?;
    let refused = |row: usize| {
        let shown: String = text(row).chars().take(100).collect();
        format!("expected a text of {target}, got {shown:?}")
    };
    let checked = |row: usize, valid: bool| if valid { Ok(()) } else { Err(refused(row)) };
    let valid = |row: &usize| column.is_valid(*row);
    match target {
        DataType::Boolean => {
            for row in (0..column.len()).filter(valid) {
                checked(row, boolean(text(row)).is_some())?;
            }
            let values =
                (0..column.len()).map(|row| column.is_valid(row) && boolean(text(row)) == Some(true));
            let values = values.collect();
            Ok(Arc::new(BooleanArray::new(values, column.nulls().cloned())))
        }
        DataType::Float32 => {
            let values =
                floats::<Float32Type>(column, |row| text(row).parse().ok().ok_or_else(|| refused(row)));
            Ok(Arc::new(values?))
        }
        DataType::Float16 | DataType::Float64 => {
            let values =
                floats::<Float64Type>(column, |row| text(row).parse().ok().ok_or_else(|| refused(row)));
            by_arrow(&values?, target)
        }
        DataType::Date32 | DataType::Date64 => {
            let per_day = ticks_per_day(target);
            instants(column, target, |row| date(text(row))?.checked_mul(per_day), refused)
        }
        DataType::Timestamp(_, zone) => {
            let (per_day, zoned) = (ticks_per_day(target), zone.is_some());
            instants(column, target, |row| timestamp(text(row), per_day, zoned), refused)
        }
        target if target.is_decimal() => {
            let scale = scale(target);
            fill(column, target, |row| decimal(text(row), scale))
        }
        target => {
            let bits = target.primitive_width().unwrap_or_default() as u32 * 8;
            let signed = target.is_signed_integer();
            fill(column, target, |row| integer(text(row), bits, signed))
        }
    }
}

/// Returns the text of each row.
fn texts<'a>(column: &'a ArrayRef) -> Result<Box<dyn Fn(usize) -> &'a str + 'a>, String> {
    match column.data_type() {
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            Ok(Box::new(|row| values.value(row)))
        }
        DataType::LargeUtf8 => {
            let values = column.as_string::<i64>();
            Ok(Box::new(|row| values.value(row)))
        }
        DataType::Utf8View => {
            let values = column.as_string_view();
            Ok(Box::new(|row| values.value(row)))
        }
        other => Err(format!("expected text, got {other}")),
    }
}

fn floats<T: arrow_array::ArrowPrimitiveType>(
    column: &ArrayRef,
    value: impl Fn(usize) -> Result<T::Native, String>,
) -> Result<PrimitiveArray<T>, String> {
    let mut values = Vec::with_capacity(column.len());
    for row in 0..column.len() {
        values.push(if column.is_valid(row) { value(row)? } else { T::Native::default() });
    }
    Ok(PrimitiveArray::new(values.into(), column.nulls().cloned()))
}

fn instants(
    column: &ArrayRef,
    target: &DataType,
    value: impl Fn(usize) -> Option<i64>,
    refused: impl Fn(usize) -> String,
) -> Result<ArrayRef, String> {
    let mut values = Vec::with_capacity(column.len());
    for row in 0..column.len() {
        values.push(if column.is_valid(row) { value(row).ok_or_else(|| refused(row))? } else { 0 });
    }
    let values = Int64Array::new(values.into(), column.nulls().cloned());
    let values = by_arrow(&values, &super::table::storage(target))?;
    reinterpret(&values, target)
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        "0" => Some(false),
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Parses decimal digits with an optional minus, or the bits of the integer in hexadecimal after `0x`.
fn integer(text: &str, bits: u32, signed: bool) -> Option<i256> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let valid = digits.len() <= bits as usize / 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = u64::from_str_radix(digits, 16).ok().filter(|_| valid)?;
        let negative = signed && value >> (bits - 1) != 0;
        let value = if negative { i128::from(value) - (1 << bits) } else { i128::from(value) };
        return Some(i256::from_i128(value));
    }
    let digits = if signed { text.strip_prefix('-').unwrap_or(text) } else { text };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: i128 = digits.parse().ok()?;
    Some(i256::from_i128(if digits.len() < text.len() { -value } else { value }))
}

/// The maximum number of digits, that of the widest decimal.
const MAX_DIGITS: usize = 76;

/// Parses a number with an optional sign, fraction and exponent, if it is exact at this scale.
fn decimal(text: &str, scale: i8) -> Option<i256> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let negative = number.starts_with('-');
    let number = number.strip_prefix(['-', '+']).unwrap_or(number);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = [whole.trim_start_matches('0'), fraction].concat();
    if whole.len() + fraction.len() == 0
        || digits.len() > MAX_DIGITS
        || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let value = i256::from_string(if digits.is_empty() { "0" } else { &digits })?;
    let value = if negative { value.checked_neg()? } else { value };
    let given = i8::try_from(i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?).ok()?;
    rescale(value, given, scale)
}

/// Parses `YYYY-MM-DD` as days since 1970.
fn date(text: &str) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text.as_bytes() else { return None };
    let year = number(&[y1, y2, y3, y4])?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, number(&[m1, m2])?, number(&[d1, d2])?)?;
    Some(date.signed_duration_since(NaiveDate::default()).num_days())
}

/// Parses a date, an optionally shortened time, and a zone if the type has one, as units since 1970.
fn timestamp(text: &str, per_day: i64, zoned: bool) -> Option<i64> {
    let (day, rest) = text.split_at_checked(10)?;
    let day = date(day)?.checked_mul(per_day)?;
    let per_second = per_day / SECONDS_PER_DAY;
    if rest.is_empty() {
        return (!zoned).then_some(day);
    }
    let rest = rest.strip_prefix(['T', ' '])?;
    let (time, offset) = if let Some(time) = rest.strip_suffix('Z') {
        (time, Some(0))
    } else if let Some(at) = rest.rfind(['+', '-']) {
        let (time, offset) = rest.split_at_checked(at)?;
        (time, Some(fixed_offset(offset)?))
    } else {
        (rest, None)
    };
    if offset.is_some() != zoned {
        return None;
    }
    let seconds = time_of_day(time, per_second)?;
    day.checked_add(seconds)?.checked_sub(offset.unwrap_or_default() * per_second)
}

/// Parses `HH`, `HH:MM` or `HH:MM:SS`, with a fraction of at most the precision of the unit, as units.
fn time_of_day(text: &str, per_second: i64) -> Option<i64> {
    let (time, fraction) =
        text.split_once('.').map_or((text, None), |(time, fraction)| (time, Some(fraction)));
    let (hour, minute, second) = match *time.as_bytes() {
        [h1, h2] => (number(&[h1, h2])?, 0, 0),
        [h1, h2, b':', m1, m2] => (number(&[h1, h2])?, number(&[m1, m2])?, 0),
        [h1, h2, b':', m1, m2, b':', s1, s2] => (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?),
        _ => return None,
    };
    let seconds = i64::from(NaiveTime::from_hms_opt(hour, minute, second)?.num_seconds_from_midnight());
    let mut units = seconds * per_second;
    if let Some(fraction) = fraction {
        let digits = per_second.checked_ilog10()? as usize;
        if time.len() != 8 || fraction.is_empty() || fraction.len() > digits {
            return None;
        }
        let power = 10_i64.pow((digits - fraction.len()) as u32);
        units += i64::from(number(fraction.as_bytes())?) * power;
    }
    Some(units)
}

fn number(digits: &[u8]) -> Option<u32> {
    let digit = |value: u32, byte: &u8| byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0'));
    digits.iter().try_fold(0, digit)
}
