//! Casts from and to decimals. A cast that would lose a digit is refused; a float is rounded, half to even.

use super::by_arrow::by_arrow;
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_buffer::{ArrowNativeType, i256};
use arrow_schema::DataType;
use std::sync::Arc;

const TEN: i256 = i256::from_i128(10);

/// Casts a column of integers, floats or decimals, where the source or the target is decimal.
pub(super) fn convert(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    let source = column.data_type();
    match (source, target) {
        (source, target) if source.is_decimal() && target.is_floating() => by_arrow(column, target),
        (DataType::Float32, _) => {
            let (values, scale) = (column.as_primitive::<Float32Type>(), scale(target));
            fill(column, target, |row| rounded(values.value(row).into(), scale))
        }
        (DataType::Float64, _) => {
            let (values, scale) = (column.as_primitive::<Float64Type>(), scale(target));
            fill(column, target, |row| rounded(values.value(row), scale))
        }
        _ => {
            if source.is_integer() {
                check_precision(source, target)?;
            }
            let (values, from, to) = (integers(column)?, scale(source), scale(target));
            let too_wide = is_too_wide(source, target);
            fill(column, target, |row| if too_wide { None } else { rescale(values(row), from, to) })
        }
    }
}

/// Builds a column of integers or decimals from their values, with the nulls of the source.
///
/// # Errors
/// If a row that is not null has no value, or its value does not fit the type.
pub(super) fn fill(
    column: &dyn Array,
    target: &DataType,
    value: impl Fn(usize) -> Option<i256>,
) -> Result<ArrayRef, String> {
    match target {
        DataType::Int8 => fill_integers::<Int8Type>(column, value),
        DataType::Int16 => fill_integers::<Int16Type>(column, value),
        DataType::Int32 => fill_integers::<Int32Type>(column, value),
        DataType::Int64 => fill_integers::<Int64Type>(column, value),
        DataType::UInt8 => fill_integers::<UInt8Type>(column, value),
        DataType::UInt16 => fill_integers::<UInt16Type>(column, value),
        DataType::UInt32 => fill_integers::<UInt32Type>(column, value),
        DataType::UInt64 => fill_integers::<UInt64Type>(column, value),
        DataType::Decimal32(..) => fill_decimals::<Decimal32Type>(column, target, value, |value| {
            i32::try_from(value.to_i128()?).ok()
        }),
        DataType::Decimal64(..) => fill_decimals::<Decimal64Type>(column, target, value, |value| {
            i64::try_from(value.to_i128()?).ok()
        }),
        DataType::Decimal128(..) => {
            fill_decimals::<Decimal128Type>(column, target, value, |value| value.to_i128())
        }
        DataType::Decimal256(..) => fill_decimals::<Decimal256Type>(column, target, value, Some),
        _ => Err(format!("expected a type of integers or decimals, got {target}")),
    }
}

fn fill_integers<T: ArrowPrimitiveType>(
    column: &dyn Array,
    value: impl Fn(usize) -> Option<i256>,
) -> Result<ArrayRef, String>
where
    T::Native: TryFrom<i128>,
{
    let native = |row| T::Native::try_from(value(row)?.to_i128()?).ok();
    Ok(Arc::new(fill_natives::<T>(column, &T::DATA_TYPE, native)?))
}

fn fill_decimals<T: DecimalType>(
    column: &dyn Array,
    target: &DataType,
    value: impl Fn(usize) -> Option<i256>,
    native: impl Fn(i256) -> Option<T::Native>,
) -> Result<ArrayRef, String> {
    let (precision, scale) = (precision(target), scale(target));
    let fitting = |row| {
        let native = native(value(row)?)?;
        T::is_valid_decimal_precision(native, precision).then_some(native)
    };
    let values = fill_natives::<T>(column, target, fitting)?.with_precision_and_scale(precision, scale);
    values.map(|values| Arc::new(values) as ArrayRef).map_err(|error| error.to_string())
}

fn fill_natives<T: ArrowPrimitiveType>(
    column: &dyn Array,
    target: &DataType,
    value: impl Fn(usize) -> Option<T::Native>,
) -> Result<PrimitiveArray<T>, String> {
    let mut values = Vec::with_capacity(column.len());
    for row in 0..column.len() {
        if column.is_null(row) {
            values.push(T::Native::usize_as(0));
        } else {
            let source = column.data_type();
            values.push(value(row).ok_or_else(|| format!("row {row} of {source} has no value of {target}"))?);
        }
    }
    Ok(PrimitiveArray::new(values.into(), column.nulls().cloned()))
}

/// Returns the unscaled value of each row of integers or decimals.
pub(super) fn integers(column: &ArrayRef) -> Result<Box<dyn Fn(usize) -> i256 + '_>, String> {
    macro_rules! read {
        ($($pattern:pat => $type:ty;)*) => {
            match column.data_type() {
                $($pattern => {
                    let values = column.as_primitive::<$type>();
                    Ok(Box::new(move |row| i256::from_i128(values.value(row).into())))
                })*
                DataType::Decimal256(..) => {
                    let values = column.as_primitive::<Decimal256Type>();
                    Ok(Box::new(move |row| values.value(row)))
                }
                other => Err(format!("expected integers or decimals, got {other}")),
            }
        };
    }
    read! {
        DataType::Int8 => Int8Type;
        DataType::Int16 => Int16Type;
        DataType::Int32 => Int32Type;
        DataType::Int64 => Int64Type;
        DataType::UInt8 => UInt8Type;
        DataType::UInt16 => UInt16Type;
        DataType::UInt32 => UInt32Type;
        DataType::UInt64 => UInt64Type;
        DataType::Decimal32(..) => Decimal32Type;
        DataType::Decimal64(..) => Decimal64Type;
        DataType::Decimal128(..) => Decimal128Type;
    }
}

pub(super) fn scale(data_type: &DataType) -> i8 {
    match data_type {
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) => *scale,
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale,
        _ => 0,
    }
}

fn precision(data_type: &DataType) -> u8 {
    match data_type {
        DataType::Decimal32(precision, _) | DataType::Decimal64(precision, _) => *precision,
        DataType::Decimal128(precision, _) | DataType::Decimal256(precision, _) => *precision,
        _ => 0,
    }
}

/// The reference casts integers to a decimal only if it has room for every integer of the type.
fn check_precision(source: &DataType, target: &DataType) -> Result<(), String> {
    let digits: i16 = match source {
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 => 19,
        _ => 20,
    };
    let scale = i16::from(scale(target));
    if scale < 0 {
        return Err(format!("a cast from {source} to {target} is not supported: its scale is negative"));
    }
    if digits + scale > i16::from(precision(target)) {
        return Err(format!("expected a decimal with room for {source}, got {target}"));
    }
    Ok(())
}

/// Returns whether the reference casts no value to this integer type: its largest value does not fit the decimal's own integer.
fn is_too_wide(source: &DataType, target: &DataType) -> bool {
    match source {
        DataType::Decimal32(..) => matches!(target, DataType::Int64 | DataType::UInt32 | DataType::UInt64),
        DataType::Decimal64(..) => *target == DataType::UInt64,
        _ => false,
    }
}

/// Converts a value to another scale, if no digit is lost.
pub(super) fn rescale(value: i256, from: i8, to: i8) -> Option<i256> {
    let shift = i32::from(to) - i32::from(from);
    let factor = TEN.checked_pow(shift.unsigned_abs());
    if shift >= 0 {
        return if value == i256::ZERO { Some(value) } else { value.checked_mul(factor?) };
    }
    // Only zero can be divided by a factor beyond 256 bits.
    let Some(factor) = factor else { return (value == i256::ZERO).then_some(value) };
    let (quotient, rest) = value.checked_div_rem(factor)?;
    (rest == i256::ZERO).then_some(quotient)
}

/// Converts a float to a decimal of this scale, rounded half to even.
fn rounded(value: f64, scale: i8) -> Option<i256> {
    if !value.is_finite() {
        return None;
    }
    let bits = value.to_bits();
    let fraction = (bits & ((1 << 52) - 1)) as i128;
    let (mantissa, exponent) = match (bits >> 52) & 0x7ff {
        0 => (fraction, -1074),
        biased => (fraction | 1 << 52, biased as i32 - 1075),
    };
    let power = TEN.checked_pow(u32::from(scale.unsigned_abs()))?;
    let (mut over, mut under) = (i256::from_i128(mantissa), i256::ONE);
    if scale >= 0 {
        over = over.checked_mul(power)?
    } else {
        under = power
    };
    if mantissa == 0 {
        return Some(i256::ZERO);
    }
    let two = i256::from_i128(2);
    if exponent >= 0 {
        over = over.checked_mul(two.checked_pow(exponent.unsigned_abs())?)?;
    } else {
        // A divisor that does not fit is far more than twice the dividend.
        let Some(divisor) = two.checked_pow(exponent.unsigned_abs()) else { return Some(i256::ZERO) };
        let Some(divisor) = under.checked_mul(divisor) else { return Some(i256::ZERO) };
        under = divisor;
    }
    let (quotient, rest) = over.checked_div_rem(under)?;
    let half = rest.checked_sub(under.checked_sub(rest)?)?;
    let odd = quotient.to_le_bytes().first().is_some_and(|byte| byte & 1 == 1);
    let up = half > i256::ZERO || (half == i256::ZERO && odd);
    let size = if up { quotient.checked_add(i256::ONE)? } else { quotient };
    if value.is_sign_negative() { size.checked_neg() } else { Some(size) }
}
