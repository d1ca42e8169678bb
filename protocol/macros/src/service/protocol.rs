//! The protocol that a trait declares, and the arguments of the attribute.

use super::method::Method;
use crate::attributes::Argument;
use proc_macro2::TokenStream;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Error, Ident, ItemTrait, LitStr, Result, Token, Visibility};

/// The protocol that a trait declares.
pub struct Protocol {
    pub visibility: Visibility,
    /// The trait.
    pub service: Ident,
    pub documentation: String,
    pub name: LitStr,
    pub version: Option<LitStr>,
    pub deprecated: Option<LitStr>,
    pub methods: Vec<Method>,
}

/// Name, version, and replacement if deprecated.
type Arguments = (LitStr, Option<LitStr>, Option<LitStr>);

/// Parses the arguments of the attribute.
pub fn arguments(arguments: TokenStream, item: &ItemTrait) -> Result<Arguments> {
    let (mut name, mut version, mut deprecated) = (None, None, None);
    for argument in Punctuated::<Argument, Token![,]>::parse_terminated.parse2(arguments)? {
        match argument.name.to_string().as_str() {
            "name" => name = Some(argument.text()?),
            "version" => version = Some(argument.text()?),
            "deprecated" => deprecated = Some(argument.text()?),
            _ => return Err(argument.unknown("`name`, `version` and `deprecated`")),
        }
    }
    let name = name.ok_or_else(|| {
        let text = format!(
            "expected the name of the protocol, as in `#[service(name = \"acme.{}.v1\")]`",
            item.ident
        );
        Error::new_spanned(&item.ident, text)
    })?;
    Ok((name, version, deprecated))
}
