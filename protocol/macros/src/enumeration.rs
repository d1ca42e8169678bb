//! `derive(Enum)`: an enum without data, which is sent as the names of its variants.

use crate::attributes::arguments;
use proc_macro2::TokenStream;
use quote::quote;
use std::collections::HashSet;
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Error, Fields, Ident, LitStr, Result};

/// How the names of variants are derived from those in Rust.
#[derive(Clone, Copy)]
enum Renaming {
    Unchanged,
    ScreamingSnake,
    Snake,
    Upper,
    Lower,
}

pub fn derive(input: DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(ident, "expected an enum; derive `Record` for a struct"));
    };
    let renaming = renaming(&input)?;
    let (mut variants, mut names, mut arms) = (Vec::new(), Vec::new(), Vec::new());
    let mut known = HashSet::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(
                &variant.fields,
                "a variant that travels by its name has no data",
            ));
        }
        let (name, value) = texts(variant, renaming)?;
        if !known.insert(name.clone()) {
            return Err(Error::new_spanned(variant, format!("two variants are named {name:?}")));
        }
        let variant = &variant.ident;
        arms.push(quote!(#name => ::core::option::Option::Some(Self::#variant)));
        if let Some(value) = value.filter(|value| known.insert(value.value())) {
            arms.push(quote!(#value => ::core::option::Option::Some(Self::#variant)));
        }
        variants.push(variant);
        names.push(name);
    }
    if names.is_empty() {
        return Err(Error::new_spanned(ident, "an enum without variants has no values"));
    }
    Ok(quote! {
        #[automatically_derived]
        impl ::vgi_rpc_protocol::values::Enum for #ident {
            const NAMES: &'static [&'static str] = &[#(#names),*];

            fn name(&self) -> &'static str {
                match self {
                    #(Self::#variants => #names,)*
                }
            }
            fn of_name(name: &str) -> ::core::option::Option<Self> {
                match name {
                    #(#arms,)*
                    _ => ::core::option::Option::None,
                }
            }
        }

        #[automatically_derived]
        impl ::vgi_rpc_protocol::values::ArrowType for #ident {
            fn data_type() -> ::vgi_rpc_protocol::__private::DataType {
                ::vgi_rpc_protocol::__private::enums::data_type()
            }
            fn reads(data_type: &::vgi_rpc_protocol::__private::DataType) -> bool {
                ::vgi_rpc_protocol::__private::enums::reads(data_type)
            }
        }

        #[automatically_derived]
        impl<'a> ::vgi_rpc_protocol::values::FromArrow<'a> for #ident {
            fn read(
                value: ::vgi_rpc_protocol::values::ValueRef<'a>,
            ) -> ::core::result::Result<Self, ::vgi_rpc_protocol::values::ValueError> {
                ::vgi_rpc_protocol::__private::enums::read(value)
            }
        }

        #[automatically_derived]
        impl ::vgi_rpc_protocol::values::IntoArrow for #ident {
            fn write(
                &self,
                column: &mut ::vgi_rpc_protocol::values::ColumnBuilder,
            ) -> ::core::result::Result<(), ::vgi_rpc_protocol::values::ValueError> {
                ::vgi_rpc_protocol::__private::enums::write(*self, column)
            }
        }
    })
}

fn renaming(input: &DeriveInput) -> Result<Renaming> {
    let mut renaming = Renaming::Unchanged;
    for argument in arguments(&input.attrs, "arrow")? {
        if argument.name != "rename_all" {
            return Err(argument.unknown("`rename_all`"));
        }
        let text = argument.text()?;
        renaming = match text.value().as_str() {
            "SCREAMING_SNAKE_CASE" => Renaming::ScreamingSnake,
            "snake_case" => Renaming::Snake,
            "UPPERCASE" => Renaming::Upper,
            "lowercase" => Renaming::Lower,
            _ => {
                let known = "\"SCREAMING_SNAKE_CASE\", \"snake_case\", \"UPPERCASE\" and \"lowercase\"";
                return Err(Error::new(text.span(), format!("expected one of {known}")));
            }
        };
    }
    Ok(renaming)
}

/// Returns the name of a variant, and its alternative value.
fn texts(variant: &syn::Variant, renaming: Renaming) -> Result<(String, Option<LitStr>)> {
    let (mut name, mut value) = (renamed(&variant.ident, renaming), None);
    for argument in arguments(&variant.attrs, "arrow")? {
        match argument.name.to_string().as_str() {
            "rename" => name = argument.text()?.value(),
            "value" => value = Some(argument.text()?),
            _ => return Err(argument.unknown("`rename` and `value`")),
        }
    }
    Ok((name, value))
}

fn renamed(ident: &Ident, renaming: Renaming) -> String {
    let name = ident.unraw().to_string();
    match renaming {
        Renaming::Unchanged => name,
        Renaming::Upper => name.to_uppercase(),
        Renaming::Lower => name.to_lowercase(),
        Renaming::Snake => words(&name).to_lowercase(),
        Renaming::ScreamingSnake => words(&name).to_uppercase(),
    }
}

/// Converts a camel-case name to words with underscores between.
fn words(name: &str) -> String {
    let mut words = String::new();
    for (index, letter) in name.char_indices() {
        if index > 0 && letter.is_uppercase() {
            words.push('_');
        }
        words.push(letter);
    }
    words
}
