//! Lists, arrays, sets and maps.

use super::arrow_type::{ArrowType, can_read};
use super::column::ColumnBuilder;
use super::error::{ValueError, type_name};
use super::traits::{FromArrow, IntoArrow, items, write_items};
use super::value_ref::ValueRef;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field, Fields};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

macro_rules! list_of {
    ($item:ty) => {
        const NO_RECORD_CONTAINS_ITSELF: () = <$item>::NO_RECORD_CONTAINS_ITSELF;
        fn data_type() -> DataType {
            <$item>::list_type()
        }
        fn reads(data_type: &DataType) -> bool {
            <$item>::list_reads(data_type)
        }
        fn writes(data_type: &DataType) -> bool {
            <$item>::list_writes(data_type)
        }
        fn problem() -> Option<String> {
            <$item>::problem()
        }
    };
}

impl<T: ArrowType> ArrowType for [T] {
    list_of!(T);
}

impl<T: IntoArrow> IntoArrow for [T] {
    fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
        T::write_list(self, column)
    }
    fn to_column(&self, data_type: &DataType) -> Result<ArrayRef, ValueError> {
        T::list_to_column(self, data_type)
    }
}

impl<T: ArrowType> ArrowType for Vec<T> {
    list_of!(T);
}

impl<'a, T: FromArrow<'a>> FromArrow<'a> for Vec<T> {
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        T::read_list(value)
    }
}

impl<T: IntoArrow> IntoArrow for Vec<T> {
    fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
        T::write_list(self, column)
    }
    fn to_column(&self, data_type: &DataType) -> Result<ArrayRef, ValueError> {
        T::list_to_column(self, data_type)
    }
    fn into_column(self, data_type: &DataType) -> Result<ArrayRef, ValueError> {
        T::list_into_column(self, data_type)
    }
}

impl<T: ArrowType, const N: usize> ArrowType for [T; N] {
    const NO_RECORD_CONTAINS_ITSELF: () = T::NO_RECORD_CONTAINS_ITSELF;
    fn data_type() -> DataType {
        // No array is longer than an `i32` can count: it would not fit into a column.
        T::array_type(i32::try_from(N).unwrap_or(i32::MAX))
    }
    fn reads(data_type: &DataType) -> bool {
        T::list_reads(data_type)
    }
    fn writes(data_type: &DataType) -> bool {
        match data_type {
            DataType::FixedSizeBinary(length) => {
                T::list_writes(data_type) && usize::try_from(*length) == Ok(N)
            }
            DataType::FixedSizeList(item, length) => {
                T::writes(item.data_type())
                    && (item.is_nullable() || !T::NULLABLE)
                    && usize::try_from(*length) == Ok(N)
            }
            other => T::list_writes(other),
        }
    }
    fn problem() -> Option<String> {
        T::problem()
    }
}

impl<'a, T: FromArrow<'a>, const N: usize> FromArrow<'a> for [T; N] {
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        Self::try_from(T::read_list(value)?)
            .map_err(|items| ValueError::new(format!("{N} items"), items.len().to_string()))
    }
}

impl<T: IntoArrow, const N: usize> IntoArrow for [T; N] {
    fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
        T::write_array(self, column)
    }
}

macro_rules! set {
    ([$($generics:tt)*] $set:ty) => {
        impl<T: ArrowType, $($generics)*> ArrowType for $set {
            const NO_RECORD_CONTAINS_ITSELF: () = T::NO_RECORD_CONTAINS_ITSELF;
            fn data_type() -> DataType {
                DataType::List(super::arrow_type::item_field::<T>())
            }
            fn reads(data_type: &DataType) -> bool {
                super::arrow_type::item_type(data_type).is_some_and(|item| can_read::<T>(item))
            }
            fn writes(data_type: &DataType) -> bool {
                matches!(data_type, DataType::List(item) | DataType::LargeList(item) if T::writes(item.data_type()))
            }
            fn problem() -> Option<String> {
                T::problem()
            }
        }

        impl<T: IntoArrow, $($generics)*> IntoArrow for $set {
            fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
                write_items(self.iter(), column)
            }
        }
    };
}

set!([S] HashSet<T, S>);
set!([] BTreeSet<T>);

impl<'a, T: FromArrow<'a> + Eq + Hash, S: BuildHasher + Default> FromArrow<'a> for HashSet<T, S> {
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        items(value, |items| items.collect())
    }
}

impl<'a, T: FromArrow<'a> + Ord> FromArrow<'a> for BTreeSet<T> {
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        items(value, |items| items.collect())
    }
}

fn map_type<K: ArrowType, V: ArrowType>() -> DataType {
    let entry = vec![Field::new("key", K::data_type(), false), Field::new("value", V::data_type(), true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(Fields::from(entry)), false)), false)
}

/// Returns the types of the keys and values of a map type.
fn entry_types(data_type: &DataType) -> Option<(&DataType, &Field)> {
    let DataType::Map(entries, _) = data_type else { return None };
    let DataType::Struct(fields) = entries.data_type() else { return None };
    let [key, value] = &fields[..] else { return None };
    Some((key.data_type(), value))
}

/// Reads the entries of a map.
fn entries<'a, K: FromArrow<'a>, V: FromArrow<'a>, C>(
    value: ValueRef<'a>,
    collect: impl Fn(&mut dyn Iterator<Item = Result<(K, V), ValueError>>) -> Result<C, ValueError>,
) -> Result<C, ValueError> {
    let (column, row) = (value.column, value.row);
    let Some(map) = column.as_map_opt().filter(|map| map.is_valid(row)) else {
        return match value.decoded() {
            Some(value) => entries(value, collect),
            None => Err(value.unexpected(type_name(&map_type::<K, V>()))),
        };
    };
    let offset =
        |row| map.value_offsets().get(row).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0);
    let (keys, values) = (map.keys(), map.values());
    let rows = offset(row)..offset(row + 1).min(keys.len());
    value.bounds().charge(size_of::<(K, V)>().saturating_mul(rows.len()))?;
    let mut pairs = rows.enumerate().map(|(index, row)| {
        let pair = K::read(value.at(keys, row)).and_then(|key| Ok((key, V::read(value.at(values, row))?)));
        pair.map_err(|error| error.in_item(index))
    });
    collect(&mut pairs)
}

macro_rules! map {
    ([$($generics:tt)*] $map:ty) => {
        impl<K: ArrowType, V: ArrowType, $($generics)*> ArrowType for $map {
            const NO_RECORD_CONTAINS_ITSELF: () = {
                let () = K::NO_RECORD_CONTAINS_ITSELF;
                V::NO_RECORD_CONTAINS_ITSELF
            };
            fn data_type() -> DataType {
                map_type::<K, V>()
            }
            fn reads(data_type: &DataType) -> bool {
                entry_types(data_type)
                    .is_some_and(|(key, value)| can_read::<K>(key) && can_read::<V>(value.data_type()))
            }
            fn writes(data_type: &DataType) -> bool {
                entry_types(data_type).is_some_and(|(key, value)| {
                    K::writes(key) && V::writes(value.data_type()) && (value.is_nullable() || !V::NULLABLE)
                })
            }
            fn problem() -> Option<String> {
                K::problem().or_else(V::problem)
            }
        }

        impl<K: IntoArrow, V: IntoArrow, $($generics)*> IntoArrow for $map {
            fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
                let entries = self.iter();
                column.append_map::<Self>(entries.len(), |keys, values| {
                    for (index, (key, value)) in entries.enumerate() {
                        let written = key.write(keys).and_then(|()| value.write(values));
                        written.map_err(|error| error.in_item(index))?;
                    }
                    Ok(())
                })
            }
        }
    };
}

map!([S] HashMap<K, V, S>);
map!([] BTreeMap<K, V>);

/// If several entries have the same key, the last one wins.
impl<'a, K, V, S> FromArrow<'a> for HashMap<K, V, S>
where
    K: FromArrow<'a> + Eq + Hash,
    V: FromArrow<'a>,
    S: BuildHasher + Default,
{
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        entries(value, |entries| entries.collect())
    }
}

/// If several entries have the same key, the last one wins.
impl<'a, K: FromArrow<'a> + Ord, V: FromArrow<'a>> FromArrow<'a> for BTreeMap<K, V> {
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        entries(value, |entries| entries.collect())
    }
}
