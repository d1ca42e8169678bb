//! Generates the client: a type with a method for each of the trait's, over any `Caller`.

use super::method::{Kind, Method, Param};
use super::protocol::Protocol;
use super::server::field;
use crate::attributes::option;
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Lifetime, Type, TypeReference};

pub fn expand(protocol: &Protocol) -> TokenStream {
    let Protocol { visibility, service, name, version, methods, documentation, .. } = protocol;
    let ident = format_ident!("{service}Client");
    let version = option(version.as_ref().map(|version| quote!(#version)));
    let methods = methods.iter().map(expand_method);
    let summary = format!("Calls the protocol of [`{service}`] over anything that makes calls.");
    let documentation =
        if documentation.is_empty() { summary } else { format!("{summary}\n\n{documentation}") };
    quote! {
        #[doc = #documentation]
        #[allow(dead_code, reason = "a program may only serve")]
        #[derive(Debug)]
        #visibility struct #ident<C> {
            caller: C,
        }

        #[allow(dead_code, reason = "a program may only serve, or make some of the calls")]
        #[automatically_derived]
        impl<C: ::vgi_rpc_protocol::client::Caller> #ident<C> {
            const PROTOCOL: ::vgi_rpc_protocol::client::RemoteProtocol =
                ::vgi_rpc_protocol::client::RemoteProtocol { name: #name, version: #version };

            /// A client that calls over this.
            pub fn new(caller: C) -> Self {
                Self { caller }
            }

            /// What the calls are made over.
            pub fn caller(&mut self) -> &mut C {
                &mut self.caller
            }

            /// Gives back what the calls are made over.
            pub fn into_caller(self) -> C {
                self.caller
            }

            #(#methods)*
        }
    }
}

fn expand_method(method: &Method) -> TokenStream {
    let Method { ident, name, documentation, params, .. } = method;
    let arguments = params.iter().map(|param| {
        let Param { ident, ty, .. } = param;
        match param.applied_default() {
            Some(_) => {
                let ty = with_lifetime(ty);
                quote_spanned!(ty.span()=> #ident: impl ::core::convert::Into<::core::option::Option<#ty>>)
            }
            None => quote_spanned!(ty.span()=> #ident: #ty),
        }
    });
    let borrows =
        params.iter().any(|param| param.applied_default().is_some() && with_lifetime(&param.ty) != param.ty);
    let lifetime = borrows.then(|| quote!(<'default>));
    let fields = params.iter().map(field);
    let values = params.iter().map(|param| {
        let Param { ident, ty, .. } = param;
        match param.applied_default() {
            Some(default) => {
                let given = quote_spanned! {ty.span()=>
                    ::core::convert::Into::<::core::option::Option<#ty>>::into(#ident).unwrap_or_else(#default)
                };
                push(ty, &given)
            }
            None => push(ty, &quote!(#ident)),
        }
    });
    let (has_header, is_idempotent) = (method.header.is_some(), method.idempotency.is_some());
    let kind = match &method.kind {
        Kind::Unary => quote!(Unary),
        Kind::Producer => quote!(Stream(::vgi_rpc_protocol::description::StreamKind::Producer)),
        Kind::Exchange => quote!(Stream(::vgi_rpc_protocol::description::StreamKind::Exchange)),
        Kind::Stream => quote!(Stream(::vgi_rpc_protocol::description::StreamKind::Unknown)),
    };
    let kind = quote!(::vgi_rpc_protocol::description::MethodKind::#kind);
    let (returns, call) = expand_call(method);
    let deprecated = method.deprecated.as_ref().map(|note| quote!(#[deprecated = #note]));
    let documentation =
        if documentation.is_empty() { format!("Calls `{name}`.") } else { documentation.clone() };
    let documentation =
        format!("{documentation}\n\n# Errors\nWhen the call fails, or its answer does not fit.");
    quote! {
        #[doc = #documentation]
        #deprecated
        #[allow(clippy::too_many_arguments, reason = "as many as the trait has")]
        pub fn #ident #lifetime(&mut self, #(#arguments),*) -> ::core::result::Result<#returns, C::Error> {
            static __PARAMS: ::std::sync::OnceLock<::vgi_rpc_protocol::__private::SchemaRef> =
                ::std::sync::OnceLock::new();
            let __schema = __PARAMS.get_or_init(|| ::vgi_rpc_protocol::__private::schema(::std::vec![#(#fields),*]));
            #[allow(unused_mut)]
            let mut __row = ::vgi_rpc_protocol::__private::ParamsRow::new(__schema);
            #(#values)*
            let __method = ::vgi_rpc_protocol::client::RemoteMethod {
                protocol: Self::PROTOCOL,
                name: #name,
                kind: #kind,
                has_header: #has_header,
                is_idempotent: #is_idempotent,
            };
            #call
        }
    }
}

/// Adds the value of a parameter to the row.
fn push(ty: &Type, value: &TokenStream) -> TokenStream {
    quote_spanned! {ty.span()=>
        <#ty as ::vgi_rpc_protocol::__private::Parameter<'_>>::push(#value, &mut __row)?;
    }
}

/// Returns the method's return type, and the call.
fn expand_call(method: &Method) -> (TokenStream, TokenStream) {
    match (&method.kind, &method.result) {
        (Kind::Unary, Some(result)) => {
            let read = quote_spanned! {result.span()=>
                <#result as ::vgi_rpc_protocol::__private::Returned>::read::<C::Error>(&__batch)
            };
            let call = quote! {
                let __batch = self.caller.unary(&__method, &__row.finish()?)?;
                #read
            };
            (quote!(#result), call)
        }
        (Kind::Unary, None) => {
            (quote!(()), quote!(self.caller.unary(&__method, &__row.finish()?).map(::core::mem::drop)))
        }
        (kind, _) => {
            let batch: Type = syn::parse_quote!(::vgi_rpc_protocol::arrow::array::RecordBatch);
            let unit: Type = syn::parse_quote!(());
            let output = method.output.as_ref().unwrap_or(&batch);
            let input = method.input.as_ref().unwrap_or(&batch);
            let kind = match kind {
                Kind::Exchange => quote!(::vgi_rpc_protocol::client::Exchanges<#input>),
                Kind::Stream => quote!(::vgi_rpc_protocol::client::DecidesPerCall<#input>),
                _ => quote!(::vgi_rpc_protocol::client::Produces),
            };
            let header = method.header.as_ref().unwrap_or(&unit);
            let stream = quote!(::vgi_rpc_protocol::client::TypedStream);
            let call = quote!(self.caller.open(&__method, &__row.finish()?).map(#stream::new));
            (quote!(#stream<C::Stream<'_>, #kind, #output, #header>), call)
        }
    }
}

/// Returns the type with a name for the lifetimes that it omits, which are not inferred if a trait replaces the type.
fn with_lifetime(ty: &Type) -> Type {
    struct Naming;

    impl VisitMut for Naming {
        fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
            let span = reference.and_token.span;
            reference.lifetime.get_or_insert_with(|| Lifetime::new("'default", span));
            visit_mut::visit_type_reference_mut(self, reference);
        }

        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            if lifetime.ident == "_" {
                *lifetime = Lifetime::new("'default", lifetime.span());
            }
        }
    }

    let mut ty = ty.clone();
    Naming.visit_type_mut(&mut ty);
    ty
}
