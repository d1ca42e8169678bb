//! Macros of typed services: `derive(Record)`, `derive(Enum)` and `#[service]`.
//!
//! Use them through `vgi_rpc_protocol`, whose feature `macros` exports them and is on by default. The generated code only names
//! that crate.

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

/// Makes a struct a record: a row of a batch. It is documented where `vgi_rpc_protocol` exports it.
#[proc_macro_derive(Record, attributes(arrow))]
pub fn derive_record(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    record::derive(input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an enum without data a value. It is documented where `vgi_rpc_protocol` exports it.
#[proc_macro_derive(Enum, attributes(arrow))]
pub fn derive_enum(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    enumeration::derive(input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a trait a protocol. It is documented where `vgi_rpc_protocol` exports it.
#[proc_macro_attribute]
pub fn service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemTrait);
    service::expand(arguments.into(), item).into()
}
