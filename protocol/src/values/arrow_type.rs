//! The Arrow types of Rust types.

use arrow_schema::{DataType, Field};
use std::sync::Arc;

/// A Rust type with an Arrow type, the same that Python's vgi-rpc infers for the corresponding annotation.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no Arrow type",
    note = "the table in `vgi_rpc_protocol::values` has the types that are; derive `Record` for a struct, `Enum` for an enum"
)]
pub trait ArrowType {
    /// Whether a field of this type may be null: true for `Option`.
    const NULLABLE: bool = false;

    /// Evaluated by the compiler, which reports a cycle if a record contains itself: such a record has no finite Arrow type. A
    /// type that contains other types evaluates theirs.
    #[doc(hidden)]
    const NO_RECORD_CONTAINS_ITSELF: () = ();

    /// Returns the Arrow type inside of other types and in the rows of streams.
    fn data_type() -> DataType;

    /// Returns the Arrow type as a parameter or a result. It differs for records, which are `Struct` elsewhere and are sent here
    /// as a `Binary` IPC stream of one row.
    fn parameter_type() -> DataType {
        Self::data_type()
    }

    /// Returns whether values can be read from columns of this type, apart from dictionary and run encoding.
    fn reads(data_type: &DataType) -> bool {
        *data_type == Self::data_type()
    }

    /// Returns whether every value can be written to columns of this type.
    fn writes(data_type: &DataType) -> bool {
        Self::reads(data_type)
    }

    /// Returns why the type cannot be used at all: it has a field whose declared Arrow type does not fit. Building the service
    /// then fails.
    fn problem() -> Option<String> {
        None
    }

    /// Returns the Arrow type of a list of these: `List`, but `Binary` for `u8`.
    #[doc(hidden)]
    fn list_type() -> DataType {
        DataType::List(item_field::<Self>())
    }

    /// Returns the Arrow type of an array of these: `FixedSizeList`, but `FixedSizeBinary` for `u8`.
    #[doc(hidden)]
    fn array_type(length: i32) -> DataType {
        DataType::FixedSizeList(item_field::<Self>(), length)
    }

    /// Returns whether lists of these can be read from columns of this type.
    #[doc(hidden)]
    fn list_reads(data_type: &DataType) -> bool {
        item_type(data_type).is_some_and(|item| can_read::<Self>(item))
    }

    /// Returns whether lists of these can be written to columns of this type.
    #[doc(hidden)]
    fn list_writes(data_type: &DataType) -> bool {
        match data_type {
            DataType::List(item) | DataType::LargeList(item) => {
                Self::writes(item.data_type()) && (item.is_nullable() || !Self::NULLABLE)
            }
            _ => false,
        }
    }
}

/// Returns the field of a list's items, with the name that Arrow's own libraries use.
pub(crate) fn item_field<T: ArrowType + ?Sized>() -> Arc<Field> {
    Arc::new(Field::new_list_field(T::data_type(), true))
}

/// Returns the type of the items of a list type.
pub(crate) fn item_type(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => Some(item.data_type()),
        _ => None,
    }
}

/// Returns whether a `T` can be read from a column of this type, whatever its encoding.
pub fn can_read<T: ArrowType + ?Sized>(data_type: &DataType) -> bool {
    T::reads(data_type)
        || match data_type {
            DataType::Dictionary(_, values) => can_read::<T>(values),
            DataType::RunEndEncoded(_, values) => can_read::<T>(values.data_type()),
            _ => false,
        }
}
