//! Inspects and converts the types of signatures.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{
    GenericArgument, Ident, PathArguments, PathSegment, Type, TypePath, parse_quote, parse_quote_spanned,
};

/// Returns the type in angle brackets of a type of this name.
pub fn argument_of(ty: &Type, name: &str) -> Option<Type> {
    let segment = last_segment(ty).filter(|segment| segment.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    })
}

/// Returns whether the type is a batch, which may have any schema.
pub fn is_batch(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == "RecordBatch")
}

pub fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// Returns the type as it is named outside the trait: `Self` is the implementation.
pub fn outside(ty: &Type, service: &Ident) -> Type {
    struct Outside<'a>(&'a Ident);

    impl VisitMut for Outside<'_> {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            visit_mut::visit_type_mut(self, ty);
            let Type::Path(TypePath { qself: None, path, .. }) = &*ty else { return };
            let mut segments = path.segments.iter();
            if segments.next().is_some_and(|first| first.ident == "Self") {
                let (service, segments) = (self.0, segments.collect::<Vec<_>>());
                *ty = match &segments[..] {
                    [] => parse_quote!(Implementation),
                    [member, ..] => {
                        parse_quote_spanned!(member.span()=> <Implementation as #service>::#(#segments)::*)
                    }
                };
            }
        }
    }

    let mut ty = ty.clone();
    Outside(service).visit_type_mut(&mut ty);
    ty
}

/// Converts the error of a trait function to that of a call.
pub fn convert(error: Option<&Type>, call: &TokenStream) -> TokenStream {
    match error {
        Some(error) => quote_spanned! {error.span()=>
            <#error as ::vgi_rpc_protocol::__private::HandlerError>::convert(#call)
        },
        None => quote!(::vgi_rpc_protocol::__private::HandlerError::convert(#call)),
    }
}
