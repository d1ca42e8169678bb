//! `#[service]`: a trait as a protocol.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `protocol` | the protocol, as the attribute declares it |
// | `method` | a method of the trait, as the attributes declare it |
// | `server` | the protocol of an implementation |
// | `client` | the client |

mod client;
mod method;
mod protocol;
mod server;

use crate::attributes::documentation;
use method::Method;
use proc_macro2::TokenStream;
use protocol::Protocol;
use quote::quote;
use syn::{Error, Ident, ItemTrait, Result, TraitItem};

pub fn expand(arguments: TokenStream, mut item: ItemTrait) -> Result<TokenStream> {
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(&item.generics, "a protocol has no type or lifetime parameters"));
    }
    let (name, version, deprecated) = protocol::arguments(arguments, &item)?;
    let mut methods = Vec::new();
    let mut errors: Option<Error> = None;
    for member in &mut item.items {
        let TraitItem::Fn(function) = member else { continue };
        match Method::parse(function) {
            Ok(method) => methods.push(method),
            Err(error) => match &mut errors {
                Some(errors) => errors.combine(error),
                None => errors = Some(error),
            },
        }
        method::strip(function);
    }
    if let Some(errors) = errors {
        return Err(errors);
    }
    // A function that brings states back is the server's own.
    let restoring: Vec<Ident> = methods.iter().filter_map(|method| method.restore.clone()).collect();
    for restore in &restoring {
        if !methods.iter().any(|method| method.ident == *restore) {
            return Err(Error::new_spanned(restore, format!("the trait has no method `{restore}`")));
        }
    }
    methods.retain(|method| !restoring.contains(&method.ident));
    if let Some(twice) = methods.iter().enumerate().find_map(|(index, method)| {
        methods.iter().take(index).any(|other| other.name == method.name).then_some(method)
    }) {
        return Err(Error::new_spanned(&twice.ident, format!("two methods are named {:?}", twice.name)));
    }
    for method in &methods {
        method.check()?;
    }
    let protocol = Protocol {
        visibility: item.vis.clone(),
        service: item.ident.clone(),
        documentation: documentation(&item.attrs),
        name,
        version,
        deprecated,
        methods,
    };
    let (server, client) = (server::expand(&protocol), client::expand(&protocol));
    Ok(quote! {
        #item
        #server
        #client
    })
}
