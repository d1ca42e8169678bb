//! Macros of typed services: `derive(Record)`, `derive(Enum)` and `#[service]`.
//!
//! Use them through `vgi_rpc_protocol`, which has them behind its feature `macros`, on by default. What they expand to
//! names that crate alone.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `attributes` | the attribute `#[arrow(...)]` |
// | `record`, `enumeration` | the derives |
// | `service` | the attribute on a trait: its methods, the server's side, the client's side |

mod attributes;
mod enumeration;
mod record;
mod service;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemTrait, parse_macro_input};

/// Makes a struct a record: a row of a batch, a `Struct` inside of other types, and as a parameter or a result an IPC stream
/// of one row in a `Binary` column, as Python's dataclasses are.
///
/// Every field is a column of its name, unless `#[arrow(...)]` on it says otherwise:
///
/// | attribute | effect |
/// | --- | --- |
/// | `rename = "name"` | the name of the column |
/// | `type = DataType::LargeBinary` | the Arrow type; names of `arrow_schema` are in scope |
/// | `nullable = false` | whether the column may be null, where that is not what the Rust type says |
/// | `default`, `default = expression` | stands in for a column that is missing |
/// | `skip` | no column: reading gives the default |
///
/// ```
/// use vgi_rpc_protocol::Record;
///
/// #[derive(Debug, PartialEq, Record)]
/// struct Point {
///     x: f64,
///     #[arrow(default = 1.5)]
///     y: f64,
/// }
///
/// let batch = Point { x: 1.0, y: 2.0 }.to_batch()?;
/// assert_eq!(Point::from_batch(&batch)?, Point { x: 1.0, y: 2.0 });
/// assert_eq!(Point::from_batch(&batch.project(&[0])?)?, Point { x: 1.0, y: 1.5 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[proc_macro_derive(Record, attributes(arrow))]
pub fn derive_record(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    record::derive(input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an enum without data a value that travels by the name of its variant in a `Dictionary(Int16, Utf8)`.
///
/// `#[arrow(rename_all = "SCREAMING_SNAKE_CASE")]` on the enum, or `"snake_case"`, `"lowercase"` or `"UPPERCASE"`, renames
/// all variants; `#[arrow(rename = "NAME")]` on a variant, one. `#[arrow(value = "text")]` on a variant is read as well, as
/// Python reads the values of its enums. The enum has to be `Copy`.
#[proc_macro_derive(Enum, attributes(arrow))]
pub fn derive_enum(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    enumeration::derive(input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a trait a protocol: implement it to serve, and call it through the client that is made of it.
///
/// Of a trait `Hello` it makes `HelloProtocol`, whose `serve` gives the `Protocol` of an implementation, and
/// `HelloClient`, which calls over anything that is a `Caller`. Arguments of the attribute: `name`, which is required,
/// `version` and `deprecated`.
///
/// A method takes `&self`, parameters of types that have an Arrow type, and anywhere among them `&mut CallContext` if it
/// asks for the context of its call. It returns a `Result` of any error that is `Into<RpcError>`. Its documentation and that of
/// its parameters are shown to clients. On a parameter, `#[arrow(...)]` takes `rename`, `type`, `nullable` and `default`;
/// the client then takes an `impl Into<Option<_>>` and puts the default in for `None`. See [Defaults](#defaults).
///
/// On a method, `#[method(...)]` takes
///
/// | argument | effect |
/// | --- | --- |
/// | `rename = "name"` | the name on the wire |
/// | `idempotent`, `no_side_effects` | whether a call may be repeated |
/// | `deprecated = "what to use instead"` | says that callers should migrate |
/// | `type = DataType::LargeUtf8`, `nullable = true` | the Arrow type and nullability of the result |
/// | `producer`, `exchange` | the method returns a `Stream` of a state, or the `Rows` of a producer |
/// | `turn = function` | the method returns the state of a producer or an exchange, and `function` names the method of the trait that takes its turns |
/// | `stream`, `restore = function` | the method returns a `Stream<State>`, whose kind it decides for each call; `restore` names the method of the trait that brings a saved state back |
/// | `input = Row`, `output = Row`, `header = Row` | the records that travel on the stream, and its header |
///
/// `Rows<Row>` and the signature of a `turn` function say what the rows are, and need no `input` and `output`. Any other
/// stream without an `output`, or with `output = RecordBatch`, has a schema of its own for each call, and its client reads
/// batches. Any other exchange has an `input`; it is sent batches where that is `RecordBatch`.
///
/// # Turns
///
/// A state that implements `Producer` or `Exchange` takes its turns itself, and has only what is saved with it. A `turn`
/// function has `&self`, the state by `&mut`, the rows that an exchange was sent, as a `Vec` or as a `&RecordBatch`, and
/// `&mut Turn` if it asks for it. It returns the rows that are emitted; a producer that returns none has ended. Without a
/// result it emits by the `Turn`. The state is any type that is `serde`'s `Serialize` and `Deserialize`.
///
/// ```
/// use std::ops::Range;
/// use vgi_rpc_protocol::prelude::*;
///
/// #[derive(Record)]
/// struct Number {
///     n: i64,
/// }
///
/// #[service(name = "demo.Numbers.v1")]
/// trait Numbers {
///     #[method(producer, turn = next_numbers)]
///     fn count(&self, end: i64) -> Range<i64> {
///         0..end
///     }
///     fn next_numbers(&self, left: &mut Range<i64>) -> Vec<Number> {
///         left.take(1000).map(|n| Number { n }).collect()
///     }
///
///     #[method(exchange, turn = add)]
///     fn sum(&self) -> i64 {
///         0
///     }
///     fn add(&self, sum: &mut i64, numbers: Vec<Number>) -> Vec<Number> {
///         *sum += numbers.iter().map(|number| number.n).sum::<i64>();
///         vec![Number { n: *sum }]
///     }
/// }
/// ```
///
/// # Defaults
///
/// A default is applied by the client, never by the server. That of a parameter that is an `Option` is shown to clients, but
/// not applied: `None` is then a value of its own, which is sent as null. Where a caller who says nothing should have the
/// default, take the type without `Option`.
///
/// # A trait in a library
///
/// Worker and client are often programs of their own, which share a crate with the trait. What the trait names has to be
/// there too, as have the states of its streams, which only the worker needs. An associated type leaves them to the worker:
///
/// ```
/// # use vgi_rpc_protocol::prelude::*;
/// # #[derive(Record)]
/// # pub struct Row { n: i64 }
/// /// In the library.
/// #[service(name = "demo.Tables.v1")]
/// pub trait Tables {
///     type Scan: Producer + serde::Serialize + serde::de::DeserializeOwned;
///
///     #[method(producer, output = Row)]
///     fn scan(&self, table: &str) -> Result<Stream<Self::Scan>, RpcError>;
/// }
///
/// /// In the worker.
/// struct Worker;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Scan;
///
/// impl Tables for Worker {
///     type Scan = Scan;
///
///     fn scan(&self, table: &str) -> Result<Stream<Scan>, RpcError> {
///         Ok(Stream::new(Scan))
///     }
/// }
///
/// impl Producer for Scan {
///     fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
///         turn.finish()
///     }
/// }
///
/// /// In the client.
/// fn rows<C: vgi_rpc_protocol::client::Caller>(caller: C) -> Result<usize, C::Error> {
///     Ok(TablesClient::new(caller).scan("people")?.count())
/// }
/// # TablesProtocol::serve(Worker);
/// ```
#[proc_macro_attribute]
pub fn service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemTrait);
    service::expand(arguments.into(), item).into()
}
