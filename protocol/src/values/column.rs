//! Builds a column of any supported type value by value.

use super::arrow_type::ArrowType;
use super::dictionary::DictionaryBuilder;
use super::error::{ValueError, type_name};
use arrow_array::ArrowNativeTypeOp;
use arrow_array::builder::{
    BinaryBuilder, BinaryViewBuilder, LargeBinaryBuilder, LargeStringBuilder, StringBuilder,
    StringViewBuilder,
};
use arrow_buffer::{BooleanBufferBuilder, NullBufferBuilder, i256};
use arrow_schema::DataType;

/// Builds a column. [`IntoArrow::write`](super::IntoArrow::write) appends to it.
#[derive(Debug)]
pub struct ColumnBuilder {
    pub(super) data_type: DataType,
    /// Which values are null, except for types whose builders track this themselves.
    pub(super) nulls: NullBufferBuilder,
    pub(super) values: Values,
}

/// The values, by their layout. A null has a slot too.
#[derive(Debug)]
pub(super) enum Values {
    Null(usize),
    Boolean(BooleanBufferBuilder),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    UInt8(Vec<u8>),
    UInt16(Vec<u16>),
    UInt32(Vec<u32>),
    UInt64(Vec<u64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    /// 32-bit dates and times.
    Time32(Vec<i32>),
    /// 64-bit dates, times, timestamps and durations.
    Time64(Vec<i64>),
    Decimal128(Vec<i128>),
    Decimal256(Vec<i256>),
    Utf8(StringBuilder),
    LargeUtf8(LargeStringBuilder),
    Utf8View(StringViewBuilder),
    Binary(BinaryBuilder),
    LargeBinary(LargeBinaryBuilder),
    BinaryView(BinaryViewBuilder),
    FixedSizeBinary(Vec<u8>, usize),
    /// Zero and the end of each list, and the items of all lists.
    List(Vec<i32>, Box<ColumnBuilder>),
    LargeList(Vec<i64>, Box<ColumnBuilder>),
    FixedSizeList(usize, Box<ColumnBuilder>, usize),
    /// Zero and the end of each map, and the keys and values of all maps.
    Map(Vec<i32>, Box<[ColumnBuilder; 2]>),
    /// The fields, and the number of structs.
    Struct(Vec<ColumnBuilder>, usize),
    Dictionary(Box<DictionaryBuilder>),
}

impl ColumnBuilder {
    /// Creates an empty column with room for `capacity` values.
    ///
    /// # Errors
    /// If columns of this type cannot be built here: unions, runs, intervals, half floats, list views, and dictionaries of
    /// anything but text.
    pub fn new(data_type: &DataType, capacity: usize) -> Result<Self, ValueError> {
        let values = match data_type {
            DataType::Null => Values::Null(0),
            DataType::Boolean => Values::Boolean(BooleanBufferBuilder::new(capacity)),
            DataType::Int8 => Values::Int8(Vec::with_capacity(capacity)),
            DataType::Int16 => Values::Int16(Vec::with_capacity(capacity)),
            DataType::Int32 => Values::Int32(Vec::with_capacity(capacity)),
            DataType::Int64 => Values::Int64(Vec::with_capacity(capacity)),
            DataType::UInt8 => Values::UInt8(Vec::with_capacity(capacity)),
            DataType::UInt16 => Values::UInt16(Vec::with_capacity(capacity)),
            DataType::UInt32 => Values::UInt32(Vec::with_capacity(capacity)),
            DataType::UInt64 => Values::UInt64(Vec::with_capacity(capacity)),
            DataType::Float32 => Values::Float32(Vec::with_capacity(capacity)),
            DataType::Float64 => Values::Float64(Vec::with_capacity(capacity)),
            DataType::Date32 | DataType::Time32(_) => Values::Time32(Vec::with_capacity(capacity)),
            DataType::Date64 | DataType::Time64(_) | DataType::Timestamp(..) | DataType::Duration(_) => {
                Values::Time64(Vec::with_capacity(capacity))
            }
            DataType::Decimal128(..) => Values::Decimal128(Vec::with_capacity(capacity)),
            DataType::Decimal256(..) => Values::Decimal256(Vec::with_capacity(capacity)),
            DataType::Utf8 => Values::Utf8(StringBuilder::with_capacity(capacity, 0)),
            DataType::LargeUtf8 => Values::LargeUtf8(LargeStringBuilder::with_capacity(capacity, 0)),
            DataType::Utf8View => Values::Utf8View(StringViewBuilder::with_capacity(capacity)),
            DataType::Binary => Values::Binary(BinaryBuilder::with_capacity(capacity, 0)),
            DataType::LargeBinary => Values::LargeBinary(LargeBinaryBuilder::with_capacity(capacity, 0)),
            DataType::BinaryView => Values::BinaryView(BinaryViewBuilder::with_capacity(capacity)),
            DataType::FixedSizeBinary(size) => match usize::try_from(*size) {
                Ok(size) => Values::FixedSizeBinary(Vec::with_capacity(capacity.saturating_mul(size)), size),
                Err(_) => return Err(unsupported(data_type)),
            },
            DataType::List(item) => Values::List(offsets(capacity), Self::new(item.data_type(), 0)?.into()),
            DataType::LargeList(item) => {
                Values::LargeList(offsets(capacity), Self::new(item.data_type(), 0)?.into())
            }
            DataType::FixedSizeList(item, length) => match usize::try_from(*length) {
                Ok(length) => {
                    let items = Self::new(item.data_type(), capacity.saturating_mul(length))?;
                    Values::FixedSizeList(length, items.into(), 0)
                }
                Err(_) => return Err(unsupported(data_type)),
            },
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) => match &fields[..] {
                    [key, value] => {
                        let entries = [Self::new(key.data_type(), 0)?, Self::new(value.data_type(), 0)?];
                        Values::Map(offsets(capacity), entries.into())
                    }
                    _ => return Err(unsupported(data_type)),
                },
                _ => return Err(unsupported(data_type)),
            },
            DataType::Struct(fields) => {
                let fields = fields.iter().map(|field| Self::new(field.data_type(), capacity));
                Values::Struct(fields.collect::<Result<_, _>>()?, 0)
            }
            DataType::Dictionary(keys, values) => match DictionaryBuilder::new(keys, values) {
                Some(dictionary) => Values::Dictionary(dictionary.into()),
                None => return Err(unsupported(data_type)),
            },
            _ => return Err(unsupported(data_type)),
        };
        Ok(Self { data_type: data_type.clone(), nulls: NullBufferBuilder::new(capacity), values })
    }

    /// Returns the column's type.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Appends a null. After an append has failed, the column can no longer be used.
    pub fn append_null(&mut self) {
        match &mut self.values {
            Values::Utf8(texts) => return texts.append_null(),
            Values::LargeUtf8(texts) => return texts.append_null(),
            Values::Utf8View(texts) => return texts.append_null(),
            Values::Binary(bytes) => return bytes.append_null(),
            Values::LargeBinary(bytes) => return bytes.append_null(),
            Values::BinaryView(bytes) => return bytes.append_null(),
            Values::Dictionary(dictionary) => return dictionary.append_null(),
            Values::Null(_) => {}
            _ => self.nulls.append_null(),
        }
        self.append_slot();
    }

    /// Appends the slot of a null. Inside a null struct or a null array the slots are not null themselves, so that fields that
    /// are never null have none.
    fn append_slot(&mut self) {
        match &mut self.values {
            Values::Null(count) => *count += 1,
            Values::Boolean(values) => values.append(false),
            Values::Int8(values) => values.push(0),
            Values::Int16(values) => values.push(0),
            Values::Int32(values) | Values::Time32(values) => values.push(0),
            Values::Int64(values) | Values::Time64(values) => values.push(0),
            Values::UInt8(values) => values.push(0),
            Values::UInt16(values) => values.push(0),
            Values::UInt32(values) => values.push(0),
            Values::UInt64(values) => values.push(0),
            Values::Float32(values) => values.push(0.0),
            Values::Float64(values) => values.push(0.0),
            Values::Decimal128(values) => values.push(0),
            Values::Decimal256(values) => values.push(i256::ZERO),
            Values::Utf8(texts) => texts.append_value(""),
            Values::LargeUtf8(texts) => texts.append_value(""),
            Values::Utf8View(texts) => texts.append_value(""),
            Values::Binary(bytes) => bytes.append_value(b""),
            Values::LargeBinary(bytes) => bytes.append_value(b""),
            Values::BinaryView(bytes) => bytes.append_value(b""),
            Values::FixedSizeBinary(bytes, size) => bytes.resize(bytes.len() + *size, 0),
            Values::List(ends, _) | Values::Map(ends, _) => ends.push(ends.last().copied().unwrap_or(0)),
            Values::LargeList(ends, _) => ends.push(ends.last().copied().unwrap_or(0)),
            Values::FixedSizeList(length, items, count) => {
                (0..*length).for_each(|_| items.append_unseen());
                *count += 1;
            }
            Values::Struct(fields, count) => {
                fields.iter_mut().for_each(Self::append_unseen);
                *count += 1;
            }
            // A slot without a text must be null.
            Values::Dictionary(dictionary) => dictionary.append_null(),
        }
    }

    /// Appends a slot that is not null itself but is hidden by a null parent.
    fn append_unseen(&mut self) {
        self.nulls_append_valid();
        self.append_slot();
    }

    /// Records that the next value is not null. Does nothing for types whose builders track this themselves.
    fn nulls_append_valid(&mut self) {
        match self.values {
            Values::Null(_)
            | Values::Utf8(_)
            | Values::LargeUtf8(_)
            | Values::Utf8View(_)
            | Values::Binary(_)
            | Values::LargeBinary(_)
            | Values::BinaryView(_)
            | Values::Dictionary(_) => {}
            _ => self.nulls.append_non_null(),
        }
    }

    /// Appends a list of `length` values, which `fill` appends to the column of the items.
    pub(crate) fn append_list<T: ArrowType>(
        &mut self,
        length: usize,
        fill: impl FnOnce(&mut Self) -> Result<(), ValueError>,
    ) -> Result<(), ValueError> {
        match &mut self.values {
            Values::List(ends, items) => {
                fill(items)?;
                ends.push(next_end(ends, i32::try_from(length).ok())?);
            }
            Values::LargeList(ends, items) => {
                fill(items)?;
                ends.push(next_end(ends, i64::try_from(length).ok())?);
            }
            Values::FixedSizeList(expected, ..) if length != *expected => {
                return Err(ValueError::new(format!("{expected} items"), length.to_string()));
            }
            Values::FixedSizeList(_, items, count) => {
                fill(items)?;
                *count += 1;
            }
            _ => return Err(ValueError::of_types(&self.data_type, &T::list_type())),
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// Appends a map of `length` entries. `fill` appends their keys and values to their columns.
    pub(crate) fn append_map<T: ArrowType>(
        &mut self,
        length: usize,
        fill: impl FnOnce(&mut Self, &mut Self) -> Result<(), ValueError>,
    ) -> Result<(), ValueError> {
        let Values::Map(ends, columns) = &mut self.values else { return Err(self.mismatch::<T>()) };
        let [keys, values] = &mut **columns;
        fill(keys, values)?;
        ends.push(next_end(ends, i32::try_from(length).ok())?);
        self.nulls.append_non_null();
        Ok(())
    }

    /// Begins the next struct, and returns the columns of its fields.
    pub(crate) fn next_struct(&mut self) -> Option<&mut [ColumnBuilder]> {
        match &mut self.values {
            Values::Struct(fields, count) => {
                self.nulls.append_non_null();
                *count += 1;
                Some(fields)
            }
            _ => None,
        }
    }

    /// Returns the error for values of another type than this column's.
    pub(crate) fn mismatch<T: ArrowType + ?Sized>(&self) -> ValueError {
        ValueError::new(type_name(&self.data_type), type_name(&T::data_type()))
    }
}

/// Returns the end of the next list.
fn next_end<O: ArrowNativeTypeOp>(ends: &[O], length: Option<O>) -> Result<O, ValueError> {
    let start = ends.last().copied().unwrap_or_default();
    length
        .and_then(|length| start.add_checked(length).ok())
        .ok_or_else(|| ValueError::new("as many items as the offsets of a column of lists can count", "more"))
}

/// Returns the offsets of no list, with room for more.
fn offsets<O: Default>(capacity: usize) -> Vec<O> {
    let mut offsets = Vec::with_capacity(capacity.saturating_add(1));
    offsets.push(O::default());
    offsets
}

fn unsupported(data_type: &DataType) -> ValueError {
    ValueError::new("a type that Rust values are written to", type_name(data_type))
}
