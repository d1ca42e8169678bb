//! The values that unary handlers return, encoded as the one row of a response. WIRE_PROTOCOL 4 and 6.

use crate::external::Pointer;
use crate::values::{IntoArrow, type_name};
use crate::wire::error::RpcError;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema, SchemaRef};
use std::sync::{Arc, LazyLock};

/// The response of a void method: no columns, no rows.
pub(crate) static VOID: LazyLock<RecordBatch> =
    LazyLock::new(|| RecordBatch::new_empty(Arc::new(Schema::empty())));

/// What a unary handler may return: any value that is [written to a column](IntoArrow), a column of one row, or `()` from a
/// void method.
///
/// ```
/// use vgi_rpc_protocol::arrow::array::Int64Array;
/// use vgi_rpc_protocol::arrow::schema::DataType;
/// use vgi_rpc_protocol::service::{Method, Protocol, Service};
/// use vgi_rpc_protocol::wire::error::RpcError;
/// use vgi_rpc_protocol::{Enum, Record};
///
/// #[derive(Clone, Copy, Enum)]
/// enum Color {
///     Red,
/// }
///
/// #[derive(Record)]
/// struct Point {
///     x: f64,
/// }
///
/// let methods = [
///     Method::new("number").returns(DataType::Int64).unary(|_, _| Ok(42)),
///     Method::new("array").returns(DataType::Int64).unary(|_, _| Ok(Int64Array::from(vec![42]))),
///     Method::new("color").typed_result::<Color>().unary(|_, _| Ok(Color::Red)),
///     Method::new("point").typed_result::<Point>().unary(|_, _| Ok(Point { x: 1.0 })),
///     // `?` makes an error of I/O that of the call.
///     Method::new("size").returns(DataType::UInt64).unary(|args, _| {
///         Ok::<_, RpcError>(std::fs::metadata(args.get::<&str>("path")?)?.len())
///     }),
/// ];
/// Service::builder("0123456789ab").protocol(Protocol::new("demo.Answers.v1").methods(methods)).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A type that does not fit the declared result is reported before the first call:
///
/// ```
/// use vgi_rpc_protocol::arrow::schema::DataType;
/// use vgi_rpc_protocol::service::{Method, Protocol, Service};
///
/// let build = |data_type: DataType| {
///     let answer = Method::new("answer").returns(data_type).unary(|_, _| Ok(42));
///     Service::builder("0123456789ab").protocol(Protocol::new("demo.Answers.v1").method(answer)).build()
/// };
/// assert!(build(DataType::Int64).is_ok());
/// let error = build(DataType::Utf8).unwrap_err();
/// assert!(error.to_string().contains("returns Int32, which is not written to a result of type Utf8"), "{error}");
/// ```
pub trait IntoAnswer {
    /// Says why values of this type cannot be the declared result. `result` is `None` for a void method.
    fn problem(result: Option<&Field>) -> Option<String>;

    /// Converts the value into one row of the result's schema.
    ///
    /// # Errors
    /// A `TypeError` that describes the mismatch.
    fn into_answer(self, schema: &SchemaRef) -> Result<Answer, RpcError>;
}

/// The answer to a unary call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Answer {
    /// One row of the result's schema; empty for a void method.
    Batch(RecordBatch),
    /// A pointer to an object that contains the row and was stored before the call. WIRE_PROTOCOL 12, "Pre-published references".
    Published(Pointer),
}

/// A value, or a pointer to an object that contains it and was stored before the call. A method that is declared to return a `T`
/// may return this; clients see no difference. WIRE_PROTOCOL 12, "Pre-published references".
///
/// The object is an Arrow IPC stream of the result's schema with one row. Any server may have stored it. It is not checked here;
/// clients check it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published<T> {
    /// The value itself.
    Value(T),
    /// The object's location.
    At(Pointer),
}

impl<T: IntoArrow> IntoAnswer for Published<T> {
    fn problem(result: Option<&Field>) -> Option<String> {
        <T as IntoAnswer>::problem(result)
    }

    fn into_answer(self, schema: &SchemaRef) -> Result<Answer, RpcError> {
        match self {
            Self::Value(value) => value.into_answer(schema),
            Self::At(pointer) => Ok(Answer::Published(pointer)),
        }
    }
}

impl<T: IntoArrow> IntoAnswer for T {
    fn problem(result: Option<&Field>) -> Option<String> {
        let own = || type_name(&T::parameter_type());
        let Some(field) = result else {
            return Some(format!("the handler of a void method returns {}", own()));
        };
        let declared = || type_name(field.data_type());
        if !T::writes(field.data_type()) {
            return Some(format!(
                "the handler returns {}, which is not written to a result of type {}",
                own(),
                declared()
            ));
        }
        if T::NULLABLE && !field.is_nullable() {
            return Some(format!(
                "the handler returns an optional value for a required result of type {}",
                declared()
            ));
        }
        T::problem()
    }

    fn into_answer(self, schema: &SchemaRef) -> Result<Answer, RpcError> {
        let [field] = &schema.fields()[..] else {
            return Err(RpcError::type_error("expected no return value of a void method, got one"));
        };
        let column = self.into_column(field.data_type());
        one_row(schema, column.map_err(|error| error.in_result())?)
    }
}

/// A column of one row. It is checked at each call.
impl IntoAnswer for ArrayRef {
    fn problem(result: Option<&Field>) -> Option<String> {
        result.is_none().then(|| "the handler of a void method returns a column".into())
    }

    fn into_answer(self, schema: &SchemaRef) -> Result<Answer, RpcError> {
        one_row(schema, self)
    }
}

impl IntoAnswer for () {
    fn problem(result: Option<&Field>) -> Option<String> {
        let field = result?;
        Some(format!("the handler returns no value for a result of type {}", type_name(field.data_type())))
    }

    fn into_answer(self, schema: &SchemaRef) -> Result<Answer, RpcError> {
        if schema.fields().is_empty() {
            return Ok(Answer::Batch(VOID.clone()));
        }
        Err(RpcError::type_error("expected a return value, got none"))
    }
}

fn one_row(schema: &SchemaRef, column: ArrayRef) -> Result<Answer, RpcError> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(schema.clone(), vec![column], &options)
        .map(Answer::Batch)
        .map_err(|error| RpcError::type_error(format!("the return value does not fit its type: {error}")))
}
