//! Formats Arrow types as text. Arrow's own `Display` has the same format, but first makes a text of each child. Here formatting
//! stops where the text is cut, and the metadata of fields, which may have any content, are omitted.

use crate::wire::text::Limit;
use arrow_schema::{DataType, Field, Schema};
use std::fmt::{self, Display, Formatter};

/// The limit for a refusal that repeats names from a peer: enough for any signature that people read, without a response that is
/// many times the request.
pub(crate) const REFUSAL: Limit = Limit::bytes(2000);

/// Displays the columns of a schema, by name and type.
pub(crate) struct Columns<'a>(pub(crate) &'a Schema);

impl Display for Columns<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, field) in self.0.fields().iter().enumerate() {
            write!(f, "{}{}: {}", separator(index), field.name(), TypeText(field.data_type()))?;
        }
        f.write_str("]")
    }
}

/// Displays a type.
pub(crate) struct TypeText<'a>(pub(crate) &'a DataType);

impl Display for TypeText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        use DataType::{
            Dictionary, FixedSizeList, LargeList, LargeListView, List, ListView, Map, RunEndEncoded, Struct,
            Union,
        };
        match self.0 {
            List(item) => write!(f, "List({})", Item(item)),
            LargeList(item) => write!(f, "LargeList({})", Item(item)),
            ListView(item) => write!(f, "ListView({})", Item(item)),
            LargeListView(item) => write!(f, "LargeListView({})", Item(item)),
            FixedSizeList(item, size) => write!(f, "FixedSizeList({size} x {})", Item(item)),
            Struct(fields) => {
                f.write_str("Struct(")?;
                for (index, field) in fields.iter().enumerate() {
                    write!(f, "{}{}", separator(index), Named(field))?;
                }
                f.write_str(")")
            }
            Union(fields, mode) => {
                write!(f, "Union({mode:?}")?;
                for (id, field) in fields.iter() {
                    write!(f, ", {id}: ({})", Named(field))?;
                }
                f.write_str(")")
            }
            Dictionary(keys, values) => write!(f, "Dictionary({}, {})", TypeText(keys), TypeText(values)),
            Map(entries, is_sorted) => {
                write!(f, "Map({}, {})", Named(entries), if *is_sorted { "sorted" } else { "unsorted" })
            }
            RunEndEncoded(ends, values) => {
                let usual = ends.name() == Field::REE_RUN_ENDS_FIELD_DEFAULT_NAME
                    && values.name() == Field::REE_VALUES_FIELD_DEFAULT_NAME;
                if usual {
                    write!(f, "RunEndEncoded({}, {})", Unnamed(ends), Unnamed(values))
                } else {
                    write!(f, "RunEndEncoded({}, {})", Named(ends), Named(values))
                }
            }
            flat => flat.fmt(f),
        }
    }
}

fn separator(index: usize) -> &'static str {
    if index == 0 { "" } else { ", " }
}

/// Nullability and type.
struct Unnamed<'a>(&'a Field);

impl Display for Unnamed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let nullability = if self.0.is_nullable() { "" } else { "non-null " };
        write!(f, "{nullability}{}", TypeText(self.0.data_type()))
    }
}

/// Name, nullability and type.
struct Named<'a>(&'a Field);

impl Display for Named<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.name(), Unnamed(self.0))
    }
}

/// The item of a list. Its usual name is omitted.
struct Item<'a>(&'a Field);

impl Display for Item<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Unnamed(self.0).fmt(f)?;
        match self.0.name().as_str() {
            "item" => Ok(()),
            name => write!(f, ", field: '{name}'"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::{TimeUnit, UnionFields, UnionMode};
    use std::sync::Arc;

    #[test]
    fn types_are_named_as_arrow_names_them() {
        let item = Arc::new(Field::new("item", DataType::Utf8View, false));
        let other = Arc::new(Field::new("o\"ther", DataType::Decimal128(10, 2), true));
        let fields = || vec![item.clone(), other.clone()];
        let unions = UnionFields::try_new([0, 5], fields()).unwrap();
        let ends = Arc::new(Field::new("run_ends", DataType::Int32, false));
        let values = Arc::new(Field::new("values", DataType::Utf8, true));
        for data_type in [
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            DataType::List(item.clone()),
            DataType::LargeList(other.clone()),
            DataType::ListView(item.clone()),
            DataType::LargeListView(other.clone()),
            DataType::FixedSizeList(other.clone(), 3),
            DataType::Struct(fields().into()),
            DataType::Struct(Vec::<Field>::new().into()),
            DataType::Union(unions, UnionMode::Sparse),
            DataType::Dictionary(DataType::Int8.into(), DataType::Struct(fields().into()).into()),
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(fields().into()), false)), true),
            DataType::RunEndEncoded(ends.clone(), values),
            DataType::RunEndEncoded(ends, other.clone()),
        ] {
            assert_eq!(TypeText(&data_type).to_string(), data_type.to_string());
        }
    }
}
