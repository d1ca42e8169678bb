//! The notation of Arrow types in the preimage of a protocol hash. WIRE_PROTOCOL 14 (Type tokens).

use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit, UnionMode};

/// The field metadata key of an extension type. Its value is the extension's name.
const EXTENSION_NAME: &str = "ARROW:extension:name";

/// An Arrow type without a token, such as `Decimal32`. A token of our own would result in a hash that no other implementation
/// computes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Arrow type {0} has no token for the protocol hash")]
pub struct UnknownType(pub DataType);

/// Returns the token of the type of `field`: lowercase ASCII, parameters in parentheses, children in angle brackets, with names
/// and time zones verbatim. WIRE_PROTOCOL 14 (Type tokens).
///
/// It takes a field because two parts of a type are stored there and not in [`DataType`]: the extension name, in metadata, and
/// whether a dictionary is ordered. The field's own name and nullability are not part of its token.
///
/// # Errors
///
/// [`UnknownType`] if the type, or one nested in it, has no token.
pub fn type_token(field: &Field) -> Result<String, UnknownType> {
    let storage = data_type_token(field.data_type(), field.dict_is_ordered().unwrap_or(false))?;
    Ok(match field.metadata().get(EXTENSION_NAME) {
        Some(name) => format!("extension({name})<{storage}>"),
        None => storage,
    })
}

/// `ordered` only applies to dictionaries.
fn data_type_token(data_type: &DataType, ordered: bool) -> Result<String, UnknownType> {
    let unknown = || UnknownType(data_type.clone());
    if let Some(token) = parameterless(data_type) {
        return Ok(token.to_owned());
    }
    Ok(match data_type {
        DataType::FixedSizeBinary(width) => format!("fixed_size_binary({width})"),
        DataType::Decimal128(precision, scale) => format!("decimal128({precision},{scale})"),
        DataType::Decimal256(precision, scale) => format!("decimal256({precision},{scale})"),
        DataType::Duration(unit) => format!("duration({})", unit_token(*unit)),
        DataType::Timestamp(unit, zone) => match zone.as_deref() {
            // Arrow's format calls an empty zone and no zone the same type.
            None | Some("") => format!("timestamp({})", unit_token(*unit)),
            Some(zone) => format!("timestamp({},tz={zone})", unit_token(*unit)),
        },

        DataType::List(item) => format!("list<{}>", child_token("item", item)?),
        DataType::LargeList(item) => format!("large_list<{}>", child_token("item", item)?),
        DataType::ListView(item) => format!("list_view<{}>", child_token("item", item)?),
        DataType::LargeListView(item) => format!("large_list_view<{}>", child_token("item", item)?),
        DataType::FixedSizeList(item, size) => {
            format!("fixed_size_list({size})<{}>", child_token("item", item)?)
        }
        DataType::Struct(children) => {
            let children = children.iter().map(|child| child_token(child.name(), child));
            format!("struct<{}>", children.collect::<Result<Vec<_>, _>>()?.join(","))
        }
        DataType::Map(entries, keys_sorted) => {
            let DataType::Struct(children) = entries.data_type() else { return Err(unknown()) };
            let [key, value] = children.as_ref() else { return Err(unknown()) };
            let flag = if *keys_sorted { ",keys_sorted" } else { "" };
            format!("map<{},{}>{flag}", child_token("key", key)?, child_token("value", value)?)
        }
        DataType::Union(children, mode) => {
            let kind = match mode {
                UnionMode::Dense => "dense_union",
                UnionMode::Sparse => "sparse_union",
            };
            let child = |(code, child): (i8, &arrow_schema::FieldRef)| {
                Ok(format!("{code}={}", child_token(child.name(), child)?))
            };
            format!("{kind}<{}>", children.iter().map(child).collect::<Result<Vec<_>, _>>()?.join(","))
        }
        DataType::Dictionary(index, value) => {
            let (index, value) = (data_type_token(index, false)?, data_type_token(value, false)?);
            let flag = if ordered { ",ordered" } else { "" };
            format!("dictionary<index:{index},value:{value}>{flag}")
        }
        DataType::RunEndEncoded(run_ends, values) => {
            format!("run_end_encoded<run_ends:{},values:{}>", type_token(run_ends)?, type_token(values)?)
        }
        _ => return Err(unknown()),
    })
}

/// `name` may differ from the child's own name: Arrow's equality of types ignores the names of list items and map entries, so the
/// token uses the same names everywhere.
fn child_token(name: &str, child: &Field) -> Result<String, UnknownType> {
    let mark = if child.is_nullable() { "?" } else { "" };
    Ok(format!("{name}{mark}:{}", type_token(child)?))
}

fn parameterless(data_type: &DataType) -> Option<&'static str> {
    Some(match data_type {
        DataType::Null => "null",
        DataType::Boolean => "bool",
        DataType::Int8 => "int8",
        DataType::Int16 => "int16",
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::UInt8 => "uint8",
        DataType::UInt16 => "uint16",
        DataType::UInt32 => "uint32",
        DataType::UInt64 => "uint64",
        DataType::Float16 => "float16",
        DataType::Float32 => "float32",
        DataType::Float64 => "float64",
        DataType::Utf8 => "utf8",
        DataType::LargeUtf8 => "large_utf8",
        DataType::Utf8View => "utf8_view",
        DataType::Binary => "binary",
        DataType::LargeBinary => "large_binary",
        DataType::BinaryView => "binary_view",
        DataType::Date32 => "date32",
        DataType::Date64 => "date64",
        // The other combinations of width and unit are not Arrow types.
        DataType::Time32(TimeUnit::Second) => "time32(s)",
        DataType::Time32(TimeUnit::Millisecond) => "time32(ms)",
        DataType::Time64(TimeUnit::Microsecond) => "time64(us)",
        DataType::Time64(TimeUnit::Nanosecond) => "time64(ns)",
        DataType::Interval(IntervalUnit::YearMonth) => "interval_months",
        DataType::Interval(IntervalUnit::DayTime) => "interval_day_time",
        DataType::Interval(IntervalUnit::MonthDayNano) => "interval_month_day_nano",
        _ => return None,
    })
}

/// Written here, because the `Display` of [`TimeUnit`] has a micro sign.
fn unit_token(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::{FieldRef, Fields, UnionFields};
    use std::sync::Arc;

    fn token(data_type: DataType) -> String {
        type_token(&Field::new("ignored", data_type, true)).unwrap()
    }

    fn field(name: &str, data_type: DataType, nullable: bool) -> FieldRef {
        Arc::new(Field::new(name, data_type, nullable))
    }

    fn item(data_type: DataType) -> FieldRef {
        field("item", data_type, true)
    }

    fn boxed(data_type: DataType) -> Box<DataType> {
        Box::new(data_type)
    }

    fn map(key: FieldRef, value: FieldRef, keys_sorted: bool) -> DataType {
        DataType::Map(field("entries", DataType::Struct(vec![key, value].into()), false), keys_sorted)
    }

    fn extension(name: &str, storage: DataType) -> Field {
        Field::new("e", storage, false).with_metadata([(EXTENSION_NAME.to_owned(), name.to_owned())])
    }

    // The expected strings are the reference's, 0.52.2, for every type that pyarrow can make.

    #[test]
    fn types_without_parameters() {
        for (data_type, expected) in [
            (DataType::Null, "null"),
            (DataType::Boolean, "bool"),
            (DataType::Int8, "int8"),
            (DataType::Int16, "int16"),
            (DataType::Int32, "int32"),
            (DataType::Int64, "int64"),
            (DataType::UInt8, "uint8"),
            (DataType::UInt16, "uint16"),
            (DataType::UInt32, "uint32"),
            (DataType::UInt64, "uint64"),
            (DataType::Float16, "float16"),
            (DataType::Float32, "float32"),
            (DataType::Float64, "float64"),
            (DataType::Utf8, "utf8"),
            (DataType::LargeUtf8, "large_utf8"),
            (DataType::Utf8View, "utf8_view"),
            (DataType::Binary, "binary"),
            (DataType::LargeBinary, "large_binary"),
            (DataType::BinaryView, "binary_view"),
            (DataType::Date32, "date32"),
            (DataType::Date64, "date64"),
            (DataType::Interval(IntervalUnit::YearMonth), "interval_months"),
            (DataType::Interval(IntervalUnit::DayTime), "interval_day_time"),
            (DataType::Interval(IntervalUnit::MonthDayNano), "interval_month_day_nano"),
        ] {
            assert_eq!(token(data_type), expected);
        }
    }

    #[test]
    fn parameters_are_in_parentheses() {
        use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        for (data_type, expected) in [
            (DataType::FixedSizeBinary(16), "fixed_size_binary(16)"),
            (DataType::FixedSizeBinary(0), "fixed_size_binary(0)"),
            (DataType::Decimal128(38, 9), "decimal128(38,9)"),
            (DataType::Decimal128(10, -2), "decimal128(10,-2)"),
            (DataType::Decimal256(76, 38), "decimal256(76,38)"),
            (DataType::Time32(Second), "time32(s)"),
            (DataType::Time32(Millisecond), "time32(ms)"),
            (DataType::Time64(Microsecond), "time64(us)"),
            (DataType::Time64(Nanosecond), "time64(ns)"),
            (DataType::Timestamp(Second, None), "timestamp(s)"),
            (DataType::Timestamp(Millisecond, None), "timestamp(ms)"),
            (DataType::Timestamp(Microsecond, None), "timestamp(us)"),
            (DataType::Timestamp(Microsecond, Some("".into())), "timestamp(us)"),
            (DataType::Timestamp(Microsecond, Some("UTC".into())), "timestamp(us,tz=UTC)"),
            (DataType::Timestamp(Microsecond, Some("+00:00".into())), "timestamp(us,tz=+00:00)"),
            (DataType::Timestamp(Nanosecond, None), "timestamp(ns)"),
            (DataType::Timestamp(Nanosecond, Some("Europe/Berlin".into())), "timestamp(ns,tz=Europe/Berlin)"),
            (DataType::Duration(Second), "duration(s)"),
            (DataType::Duration(Millisecond), "duration(ms)"),
            (DataType::Duration(Microsecond), "duration(us)"),
            (DataType::Duration(Nanosecond), "duration(ns)"),
        ] {
            assert_eq!(token(data_type), expected);
        }
    }

    #[test]
    fn lists_forget_the_name_of_their_item_but_not_its_nullability() {
        assert_eq!(token(DataType::List(item(DataType::Int64))), "list<item?:int64>");
        assert_eq!(token(DataType::List(field("element", DataType::Int64, true))), "list<item?:int64>");
        assert_eq!(token(DataType::List(field("item", DataType::Int64, false))), "list<item:int64>");
        assert_eq!(token(DataType::LargeList(item(DataType::Int64))), "large_list<item?:int64>");
        assert_eq!(token(DataType::ListView(item(DataType::Int8))), "list_view<item?:int8>");
        assert_eq!(token(DataType::LargeListView(item(DataType::Int8))), "large_list_view<item?:int8>");
        assert_eq!(token(DataType::FixedSizeList(item(DataType::Int8), 3)), "fixed_size_list(3)<item?:int8>");
        let none = DataType::FixedSizeList(field("x", DataType::Int8, false), 0);
        assert_eq!(token(none), "fixed_size_list(0)<item:int8>");
    }

    #[test]
    fn structs_keep_names_and_order() {
        assert_eq!(token(DataType::Struct(Fields::empty())), "struct<>");
        let (a, b) = (field("a", DataType::Int32, false), field("b", DataType::Utf8, true));
        assert_eq!(token(DataType::Struct(vec![a.clone(), b.clone()].into())), "struct<a:int32,b?:utf8>");
        assert_eq!(token(DataType::Struct(vec![b, a].into())), "struct<b?:utf8,a:int32>");
        let odd = vec![field("d?", DataType::Int8, true), field("", DataType::Int8, true)];
        assert_eq!(token(DataType::Struct(odd.into())), "struct<d??:int8,?:int8>");
    }

    #[test]
    fn maps_forget_names_and_keep_the_sorted_flag() {
        let (key, value) = (field("k", DataType::Utf8, false), field("v", DataType::Int64, true));
        assert_eq!(token(map(key.clone(), value.clone(), false)), "map<key:utf8,value?:int64>");
        assert_eq!(token(map(key.clone(), value, true)), "map<key:utf8,value?:int64>,keys_sorted");
        assert_eq!(token(map(key, field("z", DataType::Int64, false), false)), "map<key:utf8,value:int64>");
    }

    #[test]
    fn unions_spell_their_type_codes() {
        let (a, b) = (field("a", DataType::Int8, true), field("b", DataType::Utf8, false));
        let two = UnionFields::try_new([5, 0], [a.clone(), b]).unwrap();
        assert_eq!(token(DataType::Union(two, UnionMode::Sparse)), "sparse_union<5=a?:int8,0=b:utf8>");
        let one = UnionFields::try_new([0], [a]).unwrap();
        assert_eq!(token(DataType::Union(one, UnionMode::Dense)), "dense_union<0=a?:int8>");
        assert_eq!(token(DataType::Union(UnionFields::empty(), UnionMode::Dense)), "dense_union<>");
    }

    #[test]
    fn encodings_are_part_of_the_type() {
        let plain = DataType::Dictionary(boxed(DataType::Int16), boxed(DataType::Utf8));
        assert_eq!(token(plain.clone()), "dictionary<index:int16,value:utf8>");
        let ordered = Field::new("d", plain.clone(), false).with_dict_is_ordered(true);
        assert_eq!(type_token(&ordered), Ok("dictionary<index:int16,value:utf8>,ordered".to_owned()));
        assert_eq!(
            token(DataType::Struct(vec![ordered].into())),
            "struct<d:dictionary<index:int16,value:utf8>,ordered>"
        );
        let lists = DataType::Dictionary(boxed(DataType::Int16), boxed(DataType::List(item(DataType::Int8))));
        assert_eq!(token(lists), "dictionary<index:int16,value:list<item?:int8>>");
        let twice = DataType::Dictionary(boxed(DataType::Int32), boxed(plain));
        assert_eq!(token(twice), "dictionary<index:int32,value:dictionary<index:int16,value:utf8>>");

        let run_ends = field("run_ends", DataType::Int32, false);
        let runs = DataType::RunEndEncoded(run_ends, field("values", DataType::Utf8, true));
        assert_eq!(token(runs), "run_end_encoded<run_ends:int32,values:utf8>");
    }

    #[test]
    fn extensions_name_themselves_and_their_storage_at_any_depth() {
        let ext = Arc::new(extension("my.ext", DataType::Int32));
        assert_eq!(type_token(&ext), Ok("extension(my.ext)<int32>".to_owned()));
        let uuid = extension("arrow.uuid", DataType::FixedSizeBinary(16));
        assert_eq!(type_token(&uuid), Ok("extension(arrow.uuid)<fixed_size_binary(16)>".to_owned()));
        assert_eq!(token(DataType::List(ext.clone())), "list<item:extension(my.ext)<int32>>");
        assert_eq!(token(DataType::Struct(vec![ext.clone()].into())), "struct<e:extension(my.ext)<int32>>");
        let runs = DataType::RunEndEncoded(field("run_ends", DataType::Int16, false), ext);
        assert_eq!(token(runs), "run_end_encoded<run_ends:int16,values:extension(my.ext)<int32>>");
    }

    #[test]
    fn nesting_composes() {
        let inner = map(
            field("key", DataType::Utf8, false),
            field("value", DataType::List(item(DataType::Int8)), true),
            false,
        );
        let outer = DataType::List(item(DataType::Struct(vec![field("m", inner, true)].into())));
        assert_eq!(token(outer), "list<item?:struct<m?:map<key:utf8,value?:list<item?:int8>>>>");
    }

    #[test]
    fn a_type_without_a_token_is_an_error_at_any_depth() {
        let not_entries = field("entries", DataType::Utf8, false);
        let too_few = field("entries", DataType::Struct(vec![item(DataType::Utf8)].into()), false);
        for unknown in [
            DataType::Decimal32(5, 2),
            DataType::Decimal64(5, 2),
            DataType::Time32(TimeUnit::Nanosecond),
            DataType::Time64(TimeUnit::Second),
            DataType::Map(not_entries, false),
            DataType::Map(too_few, false),
        ] {
            let nested =
                DataType::List(item(DataType::Struct(vec![field("x", unknown.clone(), true)].into())));
            assert_eq!(type_token(&Field::new("f", nested, false)), Err(UnknownType(unknown)));
        }
    }
}
