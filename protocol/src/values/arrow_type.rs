//! Rust types that have an Arrow type.

use arrow_schema::{DataType, Field};
use std::sync::Arc;

/// A Rust type that stands for an Arrow type, the same that Python's vgi-rpc infers for the corresponding annotation.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no Arrow type",
    note = "the table in `vgi_rpc_protocol::values` has the types that are; derive `Record` for a struct, `Enum` for an enum"
)]
pub trait ArrowType {
    /// Whether a field of this type may be null: true for `Option`.
    const NULLABLE: bool = false;

    /// Whether a record contains itself is found where this is evaluated, by the compiler: it reports a cycle. A record like
    /// that has no finite Arrow type. A type that contains others of any type evaluates theirs.
    #[doc(hidden)]
    const NO_RECORD_CONTAINS_ITSELF: () = ();

    /// The Arrow type, inside of other types and in the rows of streams.
    fn data_type() -> DataType;

    /// The Arrow type as a parameter or a result. It differs for records, which are `Struct` elsewhere and travel there as
    /// a `Binary` IPC stream of one row.
    fn parameter_type() -> DataType {
        Self::data_type()
    }

    /// Whether values can be read from columns of this type, leaving aside that they may be dictionary or run encoded.
    fn reads(data_type: &DataType) -> bool {
        *data_type == Self::data_type()
    }

    /// Whether every value can be written to columns of this type.
    fn writes(data_type: &DataType) -> bool {
        Self::reads(data_type)
    }

    /// Why the type cannot be used at all: it has a field whose declared Arrow type does not fit. It is an error of
    /// building the service.
    fn problem() -> Option<String> {
        None
    }

    /// The Arrow type of a list of these: `List`, but `Binary` for `u8`.
    #[doc(hidden)]
    fn list_type() -> DataType {
        DataType::List(item_field::<Self>())
    }

    /// The Arrow type of an array of these: `FixedSizeList`, but `FixedSizeBinary` for `u8`.
    #[doc(hidden)]
    fn array_type(length: i32) -> DataType {
        DataType::FixedSizeList(item_field::<Self>(), length)
    }

    /// Whether lists of these can be read from columns of this type.
    #[doc(hidden)]
    fn list_reads(data_type: &DataType) -> bool {
        item_type(data_type).is_some_and(|item| can_read::<Self>(item))
    }

    /// Whether lists of these can be written to columns of this type.
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

/// The field of a list's items, as Arrow's own libraries name it.
pub(crate) fn item_field<T: ArrowType + ?Sized>() -> Arc<Field> {
    Arc::new(Field::new_list_field(T::data_type(), true))
}

/// The type of the items of a type of lists.
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

/// Whether a `T` can be read from a column of this type, however it is encoded.
pub fn can_read<T: ArrowType + ?Sized>(data_type: &DataType) -> bool {
    T::reads(data_type)
        || match data_type {
            DataType::Dictionary(_, values) => can_read::<T>(values),
            DataType::RunEndEncoded(_, values) => can_read::<T>(values.data_type()),
            _ => false,
        }
}
