//! A source without the code compiled only for tests.

use std::ops::RangeInclusive;
use syn::spanned::Spanned;
use syn::{Attribute, File, Item, Meta};

/// Whether an item is compiled only for tests.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string() == "test",
        meta => meta.path().is_ident("test"),
    })
}

/// Returns the attributes of an item that can be excluded from a build.
pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns the lines of a source, numbered from 1, without comments and code compiled only for tests.
///
/// # Errors
/// If it is not valid Rust.
pub fn code(source: &str) -> syn::Result<Vec<(usize, &str)>> {
    let file: File = syn::parse_str(source)?;
    let tests: Vec<RangeInclusive<usize>> = file
        .items
        .iter()
        .filter(|item| is_test(attributes(item)))
        .map(|item| item.span().start().line..=item.span().end().line)
        .collect();
    let lines = source.lines().zip(1..).filter(|(_, number)| !tests.iter().any(|test| test.contains(number)));
    Ok(lines.map(|(line, number)| (number, line.split("//").next().unwrap_or_default())).collect())
}
