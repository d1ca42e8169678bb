//! The attribute `#[arrow(...)]` of fields, variants and parameters.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, ExprLit, Ident, Lit, LitBool, LitStr, Meta, Result, Token};

/// One argument of an attribute: a word, or a word with a value.
pub struct Argument {
    pub name: Ident,
    pub value: Option<Expr>,
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        // `type` is a keyword.
        let name = input.call(Ident::parse_any)?;
        let value = if input.parse::<Option<Token![=]>>()?.is_some() { Some(input.parse()?) } else { None };
        Ok(Self { name, value })
    }
}

impl Argument {
    /// Returns the value, which is required.
    pub fn value(self) -> Result<Expr> {
        let Self { name, value } = self;
        value.ok_or_else(|| Error::new(name.span(), format!("expected `{name} = ...`")))
    }

    /// Returns the value as a text.
    pub fn text(self) -> Result<LitStr> {
        match self.value()? {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text),
            other => Err(Error::new_spanned(other, "expected a string")),
        }
    }

    /// Returns the value as `true` or `false`.
    pub fn boolean(self) -> Result<LitBool> {
        match self.value()? {
            Expr::Lit(ExprLit { lit: Lit::Bool(value), .. }) => Ok(value),
            other => Err(Error::new_spanned(other, "expected `true` or `false`")),
        }
    }

    /// Returns the error that lists the known arguments.
    pub fn unknown(self, known: &str) -> Error {
        Error::new(self.name.span(), format!("expected one of {known}, got `{}`", self.name))
    }
}

/// Returns the arguments of all attributes of this name.
pub fn arguments(attributes: &[Attribute], name: &str) -> Result<Vec<Argument>> {
    let mut found = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(name)) {
        found.extend(attribute.parse_args_with(Punctuated::<Argument, Token![,]>::parse_terminated)?);
    }
    Ok(found)
}

/// The declaration of a field or parameter.
#[derive(Default)]
pub struct Declared {
    pub rename: Option<LitStr>,
    pub data_type: Option<Expr>,
    pub nullable: Option<LitBool>,
    pub default: Option<DefaultValue>,
    pub skip: Option<Ident>,
}

/// The default of a field or parameter: an expression, or that of its type.
pub enum DefaultValue {
    OfType,
    Value(Box<Expr>),
}

impl Declared {
    pub fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut declared = Self::default();
        for argument in arguments(attributes, "arrow")? {
            match argument.name.to_string().as_str() {
                "rename" => declared.rename = Some(argument.text()?),
                "type" => declared.data_type = Some(argument.value()?),
                "nullable" => declared.nullable = Some(argument.boolean()?),
                "skip" if argument.value.is_none() => declared.skip = Some(argument.name),
                "default" => {
                    declared.default = Some(match argument.value {
                        Some(value) => DefaultValue::Value(Box::new(value)),
                        None => DefaultValue::OfType,
                    });
                }
                _ => return Err(argument.unknown("`rename`, `type`, `nullable`, `default` and `skip`")),
            }
        }
        Ok(declared)
    }

    /// Returns the declared type as an `Option<DataType>`.
    pub fn data_type_tokens(&self) -> TokenStream {
        option(self.data_type.as_ref().map(data_type))
    }

    /// Returns whether the column may be null, as an `Option<bool>`.
    pub fn nullable_tokens(&self) -> TokenStream {
        option(self.nullable.as_ref().map(|nullable| quote!(#nullable)))
    }
}

/// Returns an expression of a `DataType`, with the names of Arrow in scope.
pub fn data_type(expression: &Expr) -> TokenStream {
    quote! {{
        #[allow(unused_imports)]
        use ::vgi_rpc_protocol::__private::data_types::*;
        #expression
    }}
}

/// Returns the tokens of an `Option`.
pub fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

/// Returns the text of documentation comments, without the leading space of each line.
pub fn documentation(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(line) if line.path.is_ident("doc") => match &line.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<String> =
        lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect();
    lines.join("\n").trim().to_owned()
}
