//! The roles of types in a declaration: fields, parameters, results, rows, states, errors.

use crate::client::params::{ParamsRow, result};
use crate::service::{
    Args, CallContext, Exchange, MethodBuilder, MethodSpec, OpensProducer, Producer, Rows, Stream,
};
use crate::values::{ArrowType, FieldReader, FieldWriter, FromArrow, IntoArrow, Record, ValueError, records};
use crate::wire::error::RpcError;
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, SchemaRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn field<T: ArrowType>(name: &str, data_type: Option<DataType>, nullable: Option<bool>) -> Field {
    Field::new(name, data_type.unwrap_or_else(T::parameter_type), nullable.unwrap_or(T::NULLABLE))
}

/// A field of a record.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a record",
    label = "not a value that is written to a column and read from one",
    note = "the table in `vgi_rpc_protocol::values` has the types that are; derive `Record` for a struct, `Enum` for an enum",
    note = "a record owns its values: take `String` for `&str`, and `Vec<u8>` for `&[u8]`",
    note = "take `u64` for `usize`, `chrono::DateTime<Utc>` for `SystemTime`, `String` for `PathBuf`"
)]
pub trait RecordField: Sized {
    /// See [`ArrowType::NO_RECORD_CONTAINS_ITSELF`].
    const NO_RECORD_CONTAINS_ITSELF: ();
    fn field(name: &str, data_type: Option<DataType>, nullable: Option<bool>) -> Field;
    /// Returns why a field with this declaration cannot represent this type.
    fn misfit(field: &Field) -> Option<String>;
    /// As [`misfit`](Self::misfit), or why the type cannot be used at all.
    fn problem(field: &Field) -> Option<String>;
    fn read(fields: &mut FieldReader<'_>, name: &str) -> Result<Self, ValueError>;
    fn read_or(
        fields: &mut FieldReader<'_>,
        name: &str,
        default: impl FnOnce() -> Self,
    ) -> Result<Self, ValueError>;
    fn read_rows(fields: &mut FieldReader<'_>, name: &str) -> Result<std::vec::IntoIter<Self>, ValueError>;
    fn read_rows_or(
        fields: &mut FieldReader<'_>,
        name: &str,
        default: impl FnMut() -> Self,
    ) -> Result<std::vec::IntoIter<Self>, ValueError>;
    fn write(&self, fields: &mut FieldWriter<'_>, name: &str) -> Result<(), ValueError>;
    fn write_rows<'v>(
        values: impl ExactSizeIterator<Item = &'v Self>,
        fields: &mut FieldWriter<'_>,
        name: &str,
    ) -> Result<(), ValueError>
    where
        Self: 'v;
}

#[diagnostic::do_not_recommend]
impl<T: IntoArrow + for<'a> FromArrow<'a>> RecordField for T {
    const NO_RECORD_CONTAINS_ITSELF: () = T::NO_RECORD_CONTAINS_ITSELF;
    fn field(name: &str, data_type: Option<DataType>, nullable: Option<bool>) -> Field {
        records::field::<T>(name, data_type, nullable)
    }
    fn misfit(field: &Field) -> Option<String> {
        records::misfit::<T>(field)
    }
    fn problem(field: &Field) -> Option<String> {
        records::problem::<T>(field)
    }
    fn read(fields: &mut FieldReader<'_>, name: &str) -> Result<Self, ValueError> {
        fields.read(name)
    }
    fn read_or(
        fields: &mut FieldReader<'_>,
        name: &str,
        default: impl FnOnce() -> Self,
    ) -> Result<Self, ValueError> {
        fields.read_or(name, default)
    }
    fn read_rows(fields: &mut FieldReader<'_>, name: &str) -> Result<std::vec::IntoIter<Self>, ValueError> {
        fields.read_each(name)
    }
    fn read_rows_or(
        fields: &mut FieldReader<'_>,
        name: &str,
        default: impl FnMut() -> Self,
    ) -> Result<std::vec::IntoIter<Self>, ValueError> {
        fields.read_each_or(name, default)
    }
    fn write(&self, fields: &mut FieldWriter<'_>, name: &str) -> Result<(), ValueError> {
        fields.write(name, self)
    }
    fn write_rows<'v>(
        values: impl ExactSizeIterator<Item = &'v Self>,
        fields: &mut FieldWriter<'_>,
        name: &str,
    ) -> Result<(), ValueError>
    where
        Self: 'v,
    {
        fields.write_each(name, values)
    }
}

/// A parameter of a method.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a method",
    label = "not a value that is written to a column and read from one",
    note = "the table in `vgi_rpc_protocol::values` has the types that are; derive `Record` for a struct, `Enum` for an enum",
    note = "take `u64` for `usize`, `chrono::DateTime<Utc>` for `SystemTime`, `&str` for `PathBuf`"
)]
pub trait Parameter<'a>: Sized {
    fn field(name: &str, data_type: Option<DataType>, nullable: Option<bool>) -> Field;
    fn declare(builder: MethodBuilder, field: Field) -> MethodBuilder;
    fn declare_default(builder: MethodBuilder, name: &str, default: impl FnOnce() -> Self) -> MethodBuilder;
    fn take(args: &'a Args, position: usize, name: &str) -> Result<Self, RpcError>;
    fn push(self, row: &mut ParamsRow<'_>) -> Result<(), ValueError>;
}

#[diagnostic::do_not_recommend]
impl<'a, T: FromArrow<'a> + IntoArrow> Parameter<'a> for T {
    fn field(name: &str, data_type: Option<DataType>, nullable: Option<bool>) -> Field {
        field::<T>(name, data_type, nullable)
    }
    fn declare(builder: MethodBuilder, field: Field) -> MethodBuilder {
        builder.typed_param_as::<T>(field)
    }
    fn declare_default(builder: MethodBuilder, name: &str, default: impl FnOnce() -> Self) -> MethodBuilder {
        builder.typed_default(name, default())
    }
    fn take(args: &'a Args, position: usize, name: &str) -> Result<Self, RpcError> {
        args.get_at(position, name)
    }
    fn push(self, row: &mut ParamsRow<'_>) -> Result<(), ValueError> {
        row.push(self)
    }
}

/// The result of a unary method.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a method",
    label = "not an owned value that is written to a column and read from one",
    note = "the table in `vgi_rpc_protocol::values` has the types that are; derive `Record` for a struct, `Enum` for an enum",
    note = "return `u64` for `usize`, `chrono::DateTime<Utc>` for `SystemTime`, `String` for `PathBuf`"
)]
pub trait Returned: Sized {
    fn field(data_type: Option<DataType>, nullable: Option<bool>) -> Field;
    fn declare(builder: MethodBuilder, field: Field) -> MethodBuilder;
    fn complete(
        builder: MethodBuilder,
        handler: impl Fn(&Args, &mut CallContext) -> Result<Self, RpcError> + Send + Sync + 'static,
    ) -> MethodSpec;
    fn read<E: From<ValueError>>(answer: &RecordBatch) -> Result<Self, E>;
}

#[diagnostic::do_not_recommend]
impl<T: IntoArrow + for<'a> FromArrow<'a>> Returned for T {
    fn field(data_type: Option<DataType>, nullable: Option<bool>) -> Field {
        field::<T>("result", data_type, nullable)
    }
    fn declare(builder: MethodBuilder, field: Field) -> MethodBuilder {
        builder.typed_result_as::<T>(field)
    }
    fn complete(
        builder: MethodBuilder,
        handler: impl Fn(&Args, &mut CallContext) -> Result<Self, RpcError> + Send + Sync + 'static,
    ) -> MethodSpec {
        builder.unary(handler)
    }
    fn read<E: From<ValueError>>(answer: &RecordBatch) -> Result<Self, E> {
        result(answer)
    }
}

/// A row of a stream, or its header.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a record",
    label = "not a row of a stream",
    note = "derive `Record` for it"
)]
pub trait Row: Sized {
    fn row_schema() -> SchemaRef;
    fn complete_rows(
        builder: MethodBuilder,
        handler: impl Fn(&Args, &mut CallContext) -> Result<Rows<Self>, RpcError> + Send + Sync + 'static,
    ) -> MethodSpec
    where
        Self: Send + 'static;
}

#[diagnostic::do_not_recommend]
impl<R: Record> Row for R {
    fn row_schema() -> SchemaRef {
        R::schema()
    }
    fn complete_rows(
        builder: MethodBuilder,
        handler: impl Fn(&Args, &mut CallContext) -> Result<Rows<Self>, RpcError> + Send + Sync + 'static,
    ) -> MethodSpec
    where
        Self: Send + 'static,
    {
        OpensProducer::complete(builder, handler)
    }
}

/// The type of the rows in a method's signature, if its attribute names one too.
#[diagnostic::on_unimplemented(
    message = "the method declares rows of `{Declared}`, and its signature has rows of `{Self}`",
    label = "other rows than `{Declared}`",
    note = "leave the declaration out: the signature says it"
)]
pub trait SameRow<Declared> {
    fn check() {}
}

impl<R> SameRow<R> for R {}

/// The state of a producer.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the state of a producer",
    label = "not the state of a producer",
    note = "implement `Producer` for it and derive serde's `Serialize` and `Deserialize`, or name a function of the trait that \
            takes its turns: `#[method(producer, turn = function)]`"
)]
pub trait ProducerState: Sized {
    fn complete(
        builder: MethodBuilder,
        open: impl Fn(&Args, &mut CallContext) -> Result<Stream<Self>, RpcError> + Send + Sync + 'static,
    ) -> MethodSpec;
}

#[diagnostic::do_not_recommend]
impl<S: Producer + Serialize + DeserializeOwned> ProducerState for S {
    fn complete(
        builder: MethodBuilder,
        open: impl Fn(&Args, &mut CallContext) -> Result<Stream<Self>, RpcError> + Send + Sync + 'static,
    ) -> MethodSpec {
        builder.producer(open)
    }
}

/// The state of an exchange.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the state of an exchange",
    label = "not the state of an exchange",
    note = "implement `Exchange` for it and derive serde's `Serialize` and `Deserialize`, or name a function of the trait that \
            takes its turns: `#[method(exchange, turn = function)]`"
)]
pub trait ExchangeState: Sized {
    fn complete(
        builder: MethodBuilder,
        open: impl Fn(&Args, &mut CallContext) -> Result<Stream<Self>, RpcError> + Send + Sync + 'static,
    ) -> MethodSpec;
}

#[diagnostic::do_not_recommend]
impl<S: Exchange + Serialize + DeserializeOwned> ExchangeState for S {
    fn complete(
        builder: MethodBuilder,
        open: impl Fn(&Args, &mut CallContext) -> Result<Stream<Self>, RpcError> + Send + Sync + 'static,
    ) -> MethodSpec {
        builder.exchange(open)
    }
}

/// An error that a handler returns.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an error that a handler may return",
    label = "not an error of a call",
    note = "implement `From<{Self}>` for `vgi_rpc_protocol::wire::error::RpcError`; `std::io::Error` is such an error, and with \
            the feature `anyhow`, `anyhow::Error`"
)]
pub trait HandlerError: Sized {
    fn convert<T>(result: Result<T, Self>) -> Result<T, RpcError>;
}

#[diagnostic::do_not_recommend]
impl<E: Into<RpcError>> HandlerError for E {
    fn convert<T>(result: Result<T, Self>) -> Result<T, RpcError> {
        result.map_err(Into::into)
    }
}
