//! `derive(Record)`: a struct as a row of columns.

use crate::attributes::{Declared, DefaultValue};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use std::collections::HashSet;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Data, DeriveInput, Error, Fields, Ident, Result, Type, TypePath};

/// A field of the struct.
struct Column {
    member: Ident,
    ty: Type,
    name: String,
    declared: Declared,
    contains_itself: bool,
}

pub fn derive(input: DeriveInput) -> Result<TokenStream> {
    let record = &input.ident;
    if !input.generics.params.is_empty() {
        let text = "a record owns its values: type and lifetime parameters are not supported";
        return Err(Error::new_spanned(&input.generics, text));
    }
    let columns = columns(&input)?;
    let (schema, problems, read) = (schema(&columns), problems(&columns), read(&columns));
    let RowsRead { read_columns, next_values, values } = read_rows(&columns);
    let members = columns.iter().map(|column| &column.member);
    let (write, write_rows) = (write(&columns), write_rows(&columns));
    let finite = finite(&columns);
    Ok(quote! {
        #[automatically_derived]
        impl ::vgi_rpc_protocol::values::Record for #record {
            fn schema() -> ::vgi_rpc_protocol::__private::SchemaRef {
                static SCHEMA: ::std::sync::OnceLock<::vgi_rpc_protocol::__private::SchemaRef> =
                    ::std::sync::OnceLock::new();
                ::core::clone::Clone::clone(SCHEMA.get_or_init(|| {
                    ::vgi_rpc_protocol::__private::schema(::std::vec![#(#schema),*])
                }))
            }
            fn field_problem() -> ::core::option::Option<::std::string::String> {
                let schema = <Self as ::vgi_rpc_protocol::values::Record>::schema();
                let mut fields = schema.fields().iter();
                let problem = ::core::option::Option::None;
                #(#problems)*
                problem
            }
            fn read_fields(
                __fields: &mut ::vgi_rpc_protocol::values::FieldReader<'_>,
            ) -> ::core::result::Result<Self, ::vgi_rpc_protocol::values::ValueError> {
                let _ = &__fields;
                ::core::result::Result::Ok(Self { #(#read),* })
            }
            fn read_rows(
                __fields: &mut ::vgi_rpc_protocol::values::FieldReader<'_>,
                __records: &mut ::std::vec::Vec<Self>,
            ) -> ::core::result::Result<(), ::vgi_rpc_protocol::values::ValueError> {
                #(#read_columns)*
                for _ in 0..__fields.rows() {
                    #(#next_values)*
                    __records.push(Self { #(#members: #values),* });
                }
                ::core::result::Result::Ok(())
            }
            fn write_fields(
                &self,
                __fields: &mut ::vgi_rpc_protocol::values::FieldWriter<'_>,
            ) -> ::core::result::Result<(), ::vgi_rpc_protocol::values::ValueError> {
                let _ = &__fields;
                #(#write)*
                ::core::result::Result::Ok(())
            }
            fn write_rows(
                rows: &[Self],
                __fields: &mut ::vgi_rpc_protocol::values::FieldWriter<'_>,
            ) -> ::core::result::Result<(), ::vgi_rpc_protocol::values::ValueError> {
                let _ = (&rows, &__fields);
                #(#write_rows)*
                ::core::result::Result::Ok(())
            }
        }

        #[automatically_derived]
        impl ::vgi_rpc_protocol::values::ArrowType for #record {
            const NO_RECORD_CONTAINS_ITSELF: () = {
                #(#finite)*
            };
            fn data_type() -> ::vgi_rpc_protocol::__private::DataType {
                ::vgi_rpc_protocol::__private::records::data_type::<Self>()
            }
            fn parameter_type() -> ::vgi_rpc_protocol::__private::DataType {
                ::vgi_rpc_protocol::__private::DataType::Binary
            }
            fn reads(data_type: &::vgi_rpc_protocol::__private::DataType) -> bool {
                ::vgi_rpc_protocol::__private::records::reads::<Self>(data_type)
            }
            fn writes(data_type: &::vgi_rpc_protocol::__private::DataType) -> bool {
                ::vgi_rpc_protocol::__private::records::writes::<Self>(data_type)
            }
            fn problem() -> ::core::option::Option<::std::string::String> {
                <Self as ::vgi_rpc_protocol::values::Record>::field_problem()
            }
        }

        const _: () = <#record as ::vgi_rpc_protocol::values::ArrowType>::NO_RECORD_CONTAINS_ITSELF;

        #[automatically_derived]
        impl<'a> ::vgi_rpc_protocol::values::FromArrow<'a> for #record {
            fn read(
                value: ::vgi_rpc_protocol::values::ValueRef<'a>,
            ) -> ::core::result::Result<Self, ::vgi_rpc_protocol::values::ValueError> {
                ::vgi_rpc_protocol::__private::records::read(value)
            }
        }

        #[automatically_derived]
        impl ::vgi_rpc_protocol::values::IntoArrow for #record {
            fn write(
                &self,
                column: &mut ::vgi_rpc_protocol::values::ColumnBuilder,
            ) -> ::core::result::Result<(), ::vgi_rpc_protocol::values::ValueError> {
                ::vgi_rpc_protocol::__private::records::write(self, column)
            }
            fn to_column(
                &self,
                data_type: &::vgi_rpc_protocol::__private::DataType,
            ) -> ::core::result::Result<
                ::vgi_rpc_protocol::__private::ArrayRef,
                ::vgi_rpc_protocol::values::ValueError,
            > {
                ::vgi_rpc_protocol::__private::records::to_column(self, data_type)
            }
        }
    })
}

fn columns(input: &DeriveInput) -> Result<Vec<Column>> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "a record is a struct; derive `Enum` for an enum"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(&input.ident, "a record has named fields, which are its columns"));
    };
    let mut names = HashSet::new();
    let mut columns = Vec::new();
    for field in &fields.named {
        let Some(member) = field.ident.clone() else { continue };
        let declared = Declared::parse(&field.attrs)?;
        let name = declared.rename.as_ref().map_or_else(|| member.unraw().to_string(), |name| name.value());
        if let Some(skip) = &declared.skip
            && (declared.rename.is_some() || declared.data_type.is_some() || declared.nullable.is_some())
        {
            return Err(Error::new(skip.span(), "a field that is skipped has no column to describe"));
        }
        let itself = mention(&field.ty, &input.ident);
        if declared.skip.is_none()
            && declared.data_type.is_none()
            && let Some(itself) = itself
        {
            let text = "a record that contains itself has no Arrow type, unless the one within is encoded: \
                 `#[arrow(type = DataType::Binary)]`";
            return Err(Error::new(itself, text));
        }
        if declared.skip.is_none() && !names.insert(name.clone()) {
            return Err(Error::new_spanned(field, format!("two columns are named {name:?}")));
        }
        let contains_itself = itself.is_some();
        columns.push(Column { member, ty: field.ty.clone(), name, declared, contains_itself });
    }
    Ok(columns)
}

/// Returns where a type names the record itself. The compiler detects a record that contains itself through another one.
fn mention(ty: &Type, record: &Ident) -> Option<Span> {
    struct Mentions<'a>(&'a Ident, Option<Span>);

    impl<'ast> Visit<'ast> for Mentions<'_> {
        fn visit_type_path(&mut self, path: &'ast TypePath) {
            if path.path.is_ident(self.0) || path.path.is_ident("Self") {
                self.1 = self.1.or_else(|| Some(path.span()));
            }
            visit::visit_type_path(self, path);
        }
    }

    let mut mentions = Mentions(record, None);
    mentions.visit_type(ty);
    mentions.1
}

fn on_wire(columns: &[Column]) -> impl Iterator<Item = &Column> {
    columns.iter().filter(|column| column.declared.skip.is_none())
}

/// Returns the fields of the schema.
fn schema(columns: &[Column]) -> Vec<TokenStream> {
    let field = |Column { ty, name, declared, .. }: &Column| {
        let (data_type, nullable) = (declared.data_type_tokens(), declared.nullable_tokens());
        quote_spanned! {ty.span()=>
            <#ty as ::vgi_rpc_protocol::__private::RecordField>::field(#name, #data_type, #nullable)
        }
    };
    on_wire(columns).map(field).collect()
}

/// Returns code that evaluates whether each field's type is finite.
fn finite(columns: &[Column]) -> Vec<TokenStream> {
    let finite = |Column { ty, .. }: &Column| {
        quote_spanned! {ty.span()=>
            let () = <#ty as ::vgi_rpc_protocol::__private::RecordField>::NO_RECORD_CONTAINS_ITSELF;
        }
    };
    // A column that contains the record itself has a declared type.
    on_wire(columns).filter(|column| !column.contains_itself).map(finite).collect()
}

/// Returns code that checks whether each field's type fits its column.
fn problems(columns: &[Column]) -> Vec<TokenStream> {
    let problem = |Column { ty, contains_itself, .. }: &Column| {
        // The record's own problems are the ones being computed.
        let problem = if *contains_itself { quote!(misfit) } else { quote!(problem) };
        quote_spanned! {ty.span()=>
            let problem = ::core::option::Option::or_else(problem, || {
                <#ty as ::vgi_rpc_protocol::__private::RecordField>::#problem(fields.next()?)
            });
        }
    };
    on_wire(columns).map(problem).collect()
}

impl Column {
    /// Returns a function that creates the value of a missing field, if the field has a default.
    fn default(&self) -> Option<TokenStream> {
        let ty = &self.ty;
        match &self.declared.default {
            Some(DefaultValue::Value(value)) => Some(quote!(|| #value)),
            Some(DefaultValue::OfType) => Some(quote!(<#ty as ::core::default::Default>::default)),
            None => None,
        }
    }

    /// Returns the value of a field without a column.
    fn skipped(&self) -> Option<TokenStream> {
        let ty = &self.ty;
        self.declared.skip.as_ref().map(|_| match self.default() {
            Some(default) => quote_spanned!(ty.span()=> (#default)()),
            None => quote_spanned!(ty.span()=> <#ty as ::core::default::Default>::default()),
        })
    }
}

fn read(columns: &[Column]) -> Vec<TokenStream> {
    let read = |column: &Column| {
        let Column { member, ty, name, .. } = column;
        match (column.skipped(), column.default()) {
            (Some(skipped), _) => quote!(#member: #skipped),
            (None, Some(default)) => {
                quote_spanned! {ty.span()=>
                    #member: <#ty as ::vgi_rpc_protocol::__private::RecordField>::read_or(__fields, #name, #default)?
                }
            }
            (None, None) => quote_spanned! {ty.span()=>
                #member: <#ty as ::vgi_rpc_protocol::__private::RecordField>::read(__fields, #name)?
            },
        }
    };
    columns.iter().map(read).collect()
}

/// The code that reads several rows.
struct RowsRead {
    /// Reads the values of each column.
    read_columns: Vec<TokenStream>,
    /// Takes the next value of each.
    next_values: Vec<TokenStream>,
    /// The value of each field of the record.
    values: Vec<TokenStream>,
}

fn read_rows(columns: &[Column]) -> RowsRead {
    let mut rows = RowsRead { read_columns: Vec::new(), next_values: Vec::new(), values: Vec::new() };
    for (index, column) in columns.iter().enumerate() {
        if let Some(skipped) = column.skipped() {
            rows.values.push(skipped);
            continue;
        }
        let Column { ty, name, .. } = column;
        let (values, value) = (format_ident!("__column_{index}"), format_ident!("__value_{index}"));
        let read = match column.default() {
            Some(default) => quote!(read_rows_or(__fields, #name, #default)?),
            None => quote!(read_rows(__fields, #name)?),
        };
        rows.read_columns.push(quote_spanned! {ty.span()=>
            let mut #values = <#ty as ::vgi_rpc_protocol::__private::RecordField>::#read;
        });
        rows.next_values.push(quote! {
            let ::core::option::Option::Some(#value) = #values.next() else { break };
        });
        rows.values.push(quote!(#value));
    }
    rows
}

fn write(columns: &[Column]) -> Vec<TokenStream> {
    let write = |Column { member, ty, name, .. }: &Column| {
        quote_spanned! {ty.span()=>
            <#ty as ::vgi_rpc_protocol::__private::RecordField>::write(&self.#member, __fields, #name)?;
        }
    };
    on_wire(columns).map(write).collect()
}

fn write_rows(columns: &[Column]) -> Vec<TokenStream> {
    let write = |Column { member, ty, name, .. }: &Column| {
        quote_spanned! {ty.span()=>
            <#ty as ::vgi_rpc_protocol::__private::RecordField>::write_rows(
                rows.iter().map(|row| &row.#member),
                __fields,
                #name,
            )?;
        }
    };
    on_wire(columns).map(write).collect()
}
