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
/// use vgi_rpc_protocol::values::Record as _;
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
/// the client then takes an `impl Into<Option<_>>` and puts the default in for `None`. A parameter that is an `Option` itself is
/// taken as it is, and its default is only shown.
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
/// | `stream`, `restore = function` | the method returns a `Stream<State>`, whose kind it decides for each call; `restore` names the method of the trait that brings a saved state back |
/// | `input = Row`, `output = Row`, `header = Row` | the records that travel on the stream, and its header |
///
/// A stream without an `output` has a schema of its own for each call, and its client reads batches.
#[proc_macro_attribute]
pub fn service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemTrait);
    service::expand(arguments.into(), item).unwrap_or_else(syn::Error::into_compile_error).into()
}
