//! Converts Rust values to Arrow columns and rows and back, for servers and clients.
//!
//! This module has the Arrow types of Rust types ([`ArrowType`]), reading values from columns ([`FromArrow`]), writing them
//! ([`IntoArrow`]), and structs as rows ([`Record`]).
//!
//! | Rust | Arrow |
//! | --- | --- |
//! | `bool`, `i8` to `i64`, `u8` to `u64`, `f32`, `f64` | `Boolean`, `Int8` to `Float64` |
//! | `String`, `&str`, `Cow<str>` | `Utf8`; if declared, also `LargeUtf8`, `Utf8View`, dictionaries of text |
//! | `Vec<u8>`, `&[u8]`, `Bytes`, `[u8; N]` | `Binary`, `FixedSizeBinary(N)`; if declared, also large and view |
//! | `Vec<T>`, `&[T]`, `HashSet<T>`, `BTreeSet<T>`, `[T; N]` | `List`, `FixedSizeList`; if declared, also `LargeList` |
//! | `HashMap<K, V>`, `BTreeMap<K, V>` | `Map` |
//! | `Option<T>` | the type of `T`, nullable |
//! | `chrono::DateTime<Utc>`, `NaiveDateTime`, `NaiveDate`, `NaiveTime`, `TimeDelta`, `std::time::Duration` | `Timestamp`, `Date32`, `Time64`, `Duration`, of microseconds |
//! | [`Decimal`], [`WideDecimal`], `uuid::Uuid` (feature `uuid`) | `Decimal128`, `Decimal256`, `FixedSizeBinary(16)` |
//! | `#[derive(Record)]` | `Struct`; as a parameter or a result `Binary`, an IPC stream of one row |
//! | `#[derive(Enum)]` | `Dictionary(Int16, Utf8)`, by name |
//! | `Int64Array` and other typed arrays | `List`, without a copy |
//! | `RecordBatch`, `Schema` | `Binary`, an IPC stream, or the message of a schema |
//!
//! A value is null if its row is, or if it refers to a null value of a dictionary. Nothing is truncated: a number is read only
//! from its own type, and a timestamp that a column cannot express is an error.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `arrow_type`, `traits` | the three traits |
// | `value_ref` | one value of a column |
// | `column`, `dictionary`, `finish` | builders of columns |
// | `numbers`, `text`, `bytes`, `times`, `decimals` | plain types |
// | `pointers`, `containers` | options and references; lists, sets and maps |
// | `records`, `enums` | derived types |
// | `arrow_values` | batches, schemas, typed arrays |
// | `nulls` | which rows are null |
// | `error` | mismatches |

mod arrow_type;
pub(crate) mod arrow_values;
mod bytes;
mod column;
mod containers;
mod decimals;
mod dictionary;
#[doc(hidden)]
pub mod enums;
mod error;
mod finish;
pub(crate) mod nulls;
mod numbers;
mod pointers;
#[doc(hidden)]
pub mod records;
mod text;
mod times;
mod traits;
mod value_ref;

pub use arrow_type::{ArrowType, can_read};
pub use column::ColumnBuilder;
pub use decimals::{Decimal, WideDecimal};
pub use enums::Enum;
pub use error::ValueError;
pub(crate) use error::type_name;
pub use records::{FieldReader, FieldWriter, Record};
pub use traits::{FromArrow, IntoArrow};
pub use value_ref::ValueRef;
pub(crate) use value_ref::{ReadBounds, ReadMeter};
