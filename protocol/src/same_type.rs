//! Compares schemas, fields and types as Arrow does, but without metadata.

use arrow_schema::{DataType, Field, Fields, Schema};

/// Returns whether two schemas are equal apart from metadata.
pub(crate) fn same_schema(got: &Schema, declared: &Schema) -> bool {
    got.fields().len() == declared.fields().len()
        && got.fields().iter().zip(declared.fields()).all(|(got, declared)| same_field(got, declared, true))
}

/// Returns whether two fields are equal in this sense. Names are compared if `named`.
pub(crate) fn same_field(got: &Field, declared: &Field, named: bool) -> bool {
    (!named || got.name() == declared.name())
        && got.is_nullable() == declared.is_nullable()
        && same_type(got.data_type(), declared.data_type())
}

/// Compares types as Arrow does: the names of a list's item and of a map's entries are ignored.
pub(crate) fn same_type(got: &DataType, declared: &DataType) -> bool {
    use DataType::{Dictionary, FixedSizeList, LargeList, LargeListView, List, ListView, Map, Struct};
    match (got, declared) {
        (List(a), List(b)) | (LargeList(a), LargeList(b)) => same_field(a, b, false),
        (ListView(a), ListView(b)) | (LargeListView(a), LargeListView(b)) => same_field(a, b, false),
        (FixedSizeList(a, n), FixedSizeList(b, m)) => n == m && same_field(a, b, false),
        (Struct(a), Struct(b)) => same_fields(a, b, true),
        (Map(a, x), Map(b, y)) => match (a.data_type(), b.data_type()) {
            (Struct(a), Struct(b)) => x == y && same_fields(a, b, false),
            _ => false,
        },
        (Dictionary(a, x), Dictionary(b, y)) => a == b && same_type(x, y),
        (a, b) => a == b,
    }
}

fn same_fields(got: &Fields, declared: &Fields, named: bool) -> bool {
    got.len() == declared.len() && got.iter().zip(declared).all(|(a, b)| same_field(a, b, named))
}
