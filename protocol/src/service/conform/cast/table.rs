//! Which types can be cast to which, regardless of their parameters, children and values.

use arrow_schema::DataType;

/// A group of types with the same casts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Int,
    Float,
    Decimal,
    Text,
    TextView,
    Bytes,
    BytesView,
    FixedBytes,
    Date,
    Time,
    Timestamp,
    Duration,
    Interval,
    List,
    FixedList,
    Struct,
    Map,
    Dictionary,
    /// List views, runs and unions, which cannot be cast. (The reference's casts of list views lose their values.)
    Other,
}

impl Kind {
    pub(super) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Bool,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Self::Int,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => Self::Int,
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Self::Float,
            DataType::Decimal32(..) | DataType::Decimal64(..) => Self::Decimal,
            DataType::Decimal128(..) | DataType::Decimal256(..) => Self::Decimal,
            DataType::Utf8 | DataType::LargeUtf8 => Self::Text,
            DataType::Utf8View => Self::TextView,
            DataType::Binary | DataType::LargeBinary => Self::Bytes,
            DataType::BinaryView => Self::BytesView,
            DataType::FixedSizeBinary(_) => Self::FixedBytes,
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Timestamp(..) => Self::Timestamp,
            DataType::Duration(_) => Self::Duration,
            DataType::Interval(_) => Self::Interval,
            DataType::List(_) | DataType::LargeList(_) => Self::List,
            DataType::FixedSizeList(..) => Self::FixedList,
            DataType::Struct(_) => Self::Struct,
            DataType::Map(..) => Self::Map,
            DataType::Dictionary(..) => Self::Dictionary,
            DataType::ListView(_) | DataType::LargeListView(_) => Self::Other,
            DataType::RunEndEncoded(..) | DataType::Union(..) => Self::Other,
        }
    }

    /// Returns whether this is text or bytes, of any layout.
    pub(super) fn is_sized(self) -> bool {
        matches!(self, Self::Text | Self::TextView | Self::Bytes | Self::BytesView | Self::FixedBytes)
    }
}

/// Returns whether columns of a type can be cast to another. A column without rows is cast whenever this is true.
pub(super) fn is_supported(source: &DataType, target: &DataType) -> bool {
    let half = *target == DataType::Float16;
    let (from, to) = (Kind::of(source), Kind::of(target));
    match from {
        Kind::Null => !matches!(to, Kind::Other),
        Kind::Bool => matches!(to, Kind::Int | Kind::Text | Kind::TextView) || (to == Kind::Float && !half),
        Kind::Int => match to {
            Kind::Bool | Kind::Int | Kind::Float | Kind::Decimal | Kind::Text | Kind::TextView => true,
            Kind::Date | Kind::Time | Kind::Timestamp | Kind::Duration => *source == storage(target),
            _ => false,
        },
        Kind::Float => match to {
            Kind::Int | Kind::Float | Kind::Text | Kind::TextView => true,
            Kind::Bool | Kind::Decimal => *source != DataType::Float16,
            _ => false,
        },
        Kind::Decimal => {
            matches!(to, Kind::Int | Kind::Decimal | Kind::Text | Kind::TextView)
                || (to == Kind::Float && !half)
        }
        Kind::Text | Kind::Bytes => match to {
            Kind::Bool | Kind::Int | Kind::Float | Kind::Decimal => true,
            // The type of the values is checked when the rows are cast to it.
            Kind::Dictionary => true,
            Kind::Date | Kind::Timestamp => from == Kind::Text,
            to => to.is_sized(),
        },
        Kind::TextView | Kind::BytesView => match to {
            Kind::Bool | Kind::Int | Kind::Decimal => true,
            Kind::Float => !half,
            to => to.is_sized(),
        },
        Kind::FixedBytes => to.is_sized(),
        Kind::Date | Kind::Time | Kind::Timestamp | Kind::Duration => match to {
            Kind::Int => *target == storage(source),
            Kind::Text | Kind::TextView => true,
            Kind::Timestamp => matches!(from, Kind::Date | Kind::Timestamp),
            Kind::Date | Kind::Time => from == to || from == Kind::Timestamp,
            Kind::Duration => from == to,
            _ => false,
        },
        Kind::List | Kind::FixedList => matches!(to, Kind::List | Kind::FixedList),
        Kind::Map => matches!(to, Kind::List | Kind::FixedList | Kind::Map),
        Kind::Struct => to == Kind::Struct,
        Kind::Dictionary => !matches!(
            to,
            Kind::TextView
                | Kind::BytesView
                | Kind::List
                | Kind::FixedList
                | Kind::Struct
                | Kind::Map
                | Kind::Other
        ),
        Kind::Interval | Kind::Other => false,
    }
}

/// The integer type that holds the values of a date, time, timestamp or duration.
pub(super) fn storage(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Date32 | DataType::Time32(_) => DataType::Int32,
        _ => DataType::Int64,
    }
}
