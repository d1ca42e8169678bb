//! Replaces empty time zone names, which mean no time zone. Arrow's C++ library reads and writes them; `arrow-ipc` writes them
//! but does not read them.

use arrow_schema::{DataType, Field, FieldRef, Schema};
use std::sync::Arc;

/// Returns the schema with `Timestamp(unit, None)` for each `Timestamp(unit, Some(""))`, at any depth.
pub(crate) fn without_unnamed(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(field);
    Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone())
}

/// Returns whether the type itself, not a part of it, has such a zone.
pub(crate) fn is_unnamed(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, Some(zone)) if zone.is_empty())
}

fn field(field: &FieldRef) -> FieldRef {
    let data_type = data_type(field.data_type());
    Arc::new(Field::clone(field).with_data_type(data_type))
}

fn data_type(of: &DataType) -> DataType {
    match of {
        DataType::Timestamp(unit, _) if is_unnamed(of) => DataType::Timestamp(*unit, None),
        DataType::List(item) => DataType::List(field(item)),
        DataType::LargeList(item) => DataType::LargeList(field(item)),
        DataType::ListView(item) => DataType::ListView(field(item)),
        DataType::LargeListView(item) => DataType::LargeListView(field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(field(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::Union(fields, mode) => {
            DataType::Union(fields.iter().map(|(id, child)| (id, field(child))).collect(), *mode)
        }
        DataType::RunEndEncoded(ends, values) => DataType::RunEndEncoded(ends.clone(), field(values)),
        DataType::Dictionary(keys, values) => DataType::Dictionary(keys.clone(), Box::new(data_type(values))),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::{TimeUnit, UnionFields, UnionMode};
    use std::collections::HashMap;

    fn time(zone: Option<&str>) -> DataType {
        DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into))
    }

    fn metadata() -> HashMap<String, String> {
        [("k".to_owned(), "v".to_owned())].into()
    }

    fn item(data_type: DataType) -> FieldRef {
        Arc::new(Field::new("item", data_type, true).with_metadata(metadata()))
    }

    /// Returns every type that contains this one.
    fn around(inner: &DataType) -> Vec<DataType> {
        let (child, ends) = (item(inner.clone()), item(DataType::Int32));
        let entries = item(DataType::Struct(vec![item(DataType::Utf8), child.clone()].into()));
        vec![
            inner.clone(),
            DataType::List(child.clone()),
            DataType::LargeList(child.clone()),
            DataType::ListView(child.clone()),
            DataType::LargeListView(child.clone()),
            DataType::FixedSizeList(child.clone(), 3),
            DataType::Map(entries, false),
            DataType::Struct(vec![child.clone()].into()),
            DataType::Union(UnionFields::from_iter([(5, child.clone())]), UnionMode::Dense),
            DataType::RunEndEncoded(ends, child),
            DataType::Dictionary(Box::new(DataType::Int8), Box::new(inner.clone())),
        ]
    }

    #[test]
    fn unnamed_zones_are_none_at_any_depth_and_all_else_stays() {
        for zone in [None, Some("UTC")] {
            for same in around(&time(zone)).iter().flat_map(around) {
                let schema = Schema::new(vec![item(same)]).with_metadata(metadata());
                assert_eq!(without_unnamed(&schema), schema);
            }
        }
        let (unnamed, none) = (around(&time(Some(""))), around(&time(None)));
        for (unnamed, none) in unnamed.iter().zip(&none) {
            for (unnamed, none) in around(unnamed).into_iter().zip(around(none)) {
                assert_eq!(without_unnamed(&Schema::new(vec![item(unnamed)])), Schema::new(vec![item(none)]));
            }
        }
    }
}
