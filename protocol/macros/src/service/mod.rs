//! `#[service]`: a trait as a protocol.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `protocol` | the protocol, as the attribute declares it |
// | `method` | a method of the trait, as the attributes declare it |
// | `turns` | a function of the trait that takes the turns of a stream |
// | `check` | checks of methods |
// | `types` | the types of signatures |
// | `server` | generates the protocol of an implementation |
// | `client` | generates the client |

mod check;
mod client;
mod method;
mod protocol;
mod server;
mod turns;
mod types;

use crate::attributes::documentation;
use method::{Method, Turns};
use proc_macro2::TokenStream;
use protocol::Protocol;
use quote::quote;
use syn::{Error, Ident, ItemTrait, Result, TraitItem};

pub fn expand(arguments: TokenStream, mut item: ItemTrait) -> TokenStream {
    let parsed = parse(arguments, &item);
    for member in &mut item.items {
        if let TraitItem::Fn(function) = member {
            method::strip(function);
        }
    }
    let made = match parsed {
        Ok(protocol) => {
            let (server, client) = (server::expand(&protocol), client::expand(&protocol));
            quote!(#server #client)
        }
        Err(error) => error.into_compile_error(),
    };
    // The trait is kept even if it is refused, so that its implementations do not cause further errors.
    quote!(#item #made)
}

fn parse(arguments: TokenStream, item: &ItemTrait) -> Result<Protocol> {
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(&item.generics, "a protocol has no type or lifetime parameters"));
    }
    let (name, version, deprecated) = protocol::arguments(arguments, item)?;
    let functions = item.items.iter().filter_map(|member| match member {
        TraitItem::Fn(function) => Some(Method::parse(function)),
        _ => None,
    });
    let mut methods = all(functions)?;
    // The functions that restore states and those that take turns are not part of the protocol.
    let is_own = |method: &Method| {
        methods.iter().any(|other| {
            [&other.restore, &other.turn].into_iter().flatten().any(|function| *function == method.ident)
        })
    };
    let own: Vec<bool> = methods.iter().map(is_own).collect();
    let turns = methods.iter().map(|method| turns_of(method, &methods));
    let turns = all(turns)?;
    for (method, turns) in methods.iter_mut().zip(turns) {
        method.set_turns(turns);
    }
    let mut own = own.into_iter();
    methods.retain(|_| own.next() == Some(false));
    if let Some(twice) = methods.iter().enumerate().find_map(|(index, method)| {
        methods.iter().take(index).any(|other| other.name == method.name).then_some(method)
    }) {
        return Err(Error::new_spanned(&twice.ident, format!("two methods are named {:?}", twice.name)));
    }
    all(methods.iter().map(Method::check))?;
    Ok(Protocol {
        visibility: item.vis.clone(),
        service: item.ident.clone(),
        documentation: documentation(&item.attrs),
        name,
        version,
        deprecated,
        methods,
    })
}

/// Returns the function that takes a method's turns, if the method names one. The function that restores it is checked too.
fn turns_of(method: &Method, methods: &[Method]) -> Result<Option<Turns>> {
    let find = |name: &Ident| {
        let found = methods.iter().find(|method| method.ident == *name);
        found.ok_or_else(|| Error::new_spanned(name, format!("the trait has no method `{name}`")))
    };
    if let Some(restore) = &method.restore {
        find(restore)?;
    }
    match &method.turn {
        Some(turn) => Turns::parse(find(turn)?, &method.kind).map(Some),
        None => Ok(None),
    }
}

/// Returns all of the values, or all of the errors.
fn all<T>(results: impl Iterator<Item = Result<T>>) -> Result<Vec<T>> {
    let (mut values, mut errors) = (Vec::new(), None::<Error>);
    for result in results {
        match (result, &mut errors) {
            (Ok(value), _) => values.push(value),
            (Err(error), Some(errors)) => errors.combine(error),
            (Err(error), None) => errors = Some(error),
        }
    }
    errors.map_or(Ok(values), Err)
}
