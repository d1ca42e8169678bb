//! The client's side: a type with a method for each of the trait's, over anything that makes calls.

use super::Protocol;
use super::method::{Kind, Method, Param};
use super::server::field;
use crate::attributes::option;
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

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
        #[derive(Debug)]
        #visibility struct #ident<C> {
            caller: C,
        }

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
        match param.default() {
            Some(_) => {
                quote_spanned!(ty.span()=> #ident: impl ::core::convert::Into<::core::option::Option<#ty>>)
            }
            None => quote_spanned!(ty.span()=> #ident: #ty),
        }
    });
    let fields = params.iter().map(field);
    let values = params.iter().map(|param| {
        let Param { ident, ty, .. } = param;
        match param.default() {
            Some(default) => quote_spanned! {ty.span()=>
                row.push(::core::convert::Into::<::core::option::Option<#ty>>::into(#ident).unwrap_or_else(|| #default))?;
            },
            None => quote_spanned!(ty.span()=> row.push(#ident)?;),
        }
    });
    let (has_header, is_idempotent) = (method.header.is_some(), method.idempotency.is_some());
    let (returns, call) = expand_call(method);
    let deprecated = method.deprecated.as_ref().map(|note| quote!(#[deprecated = #note]));
    let documentation =
        if documentation.is_empty() { format!("Calls `{name}`.") } else { documentation.clone() };
    let documentation =
        format!("{documentation}\n\n# Errors\nWhen the call fails, or its answer does not fit.");
    quote! {
        #[doc = #documentation]
        #deprecated
        pub fn #ident(&mut self, #(#arguments),*) -> ::core::result::Result<#returns, C::Error> {
            static PARAMS: ::std::sync::OnceLock<::vgi_rpc_protocol::__private::SchemaRef> =
                ::std::sync::OnceLock::new();
            let schema = PARAMS.get_or_init(|| ::vgi_rpc_protocol::__private::schema(::std::vec![#(#fields),*]));
            #[allow(unused_mut)]
            let mut row = ::vgi_rpc_protocol::__private::ParamsRow::new(schema);
            #(#values)*
            let method = ::vgi_rpc_protocol::client::RemoteMethod {
                protocol: Self::PROTOCOL,
                name: #name,
                has_header: #has_header,
                is_idempotent: #is_idempotent,
            };
            #call
        }
    }
}

/// What the method returns, and the call.
fn expand_call(method: &Method) -> (TokenStream, TokenStream) {
    match (&method.kind, &method.result) {
        (Kind::Unary, Some(result)) => {
            let read = quote_spanned! {result.span()=>
                ::vgi_rpc_protocol::__private::result::<#result, C::Error>(&batch)
            };
            let call = quote! {
                let batch = self.caller.unary(&method, &row.finish()?)?;
                #read
            };
            (quote!(#result), call)
        }
        (Kind::Unary, None) => {
            (quote!(()), quote!(self.caller.unary(&method, &row.finish()?).map(::core::mem::drop)))
        }
        (kind, _) => {
            let batch: Type = syn::parse_quote!(::vgi_rpc_protocol::arrow::array::RecordBatch);
            let unit: Type = syn::parse_quote!(());
            let output = method.output.as_ref().unwrap_or(&batch);
            let input = match kind {
                Kind::Producer => &unit,
                _ => method.input.as_ref().unwrap_or(&batch),
            };
            let header = method.header.as_ref().unwrap_or(&unit);
            let stream = quote!(::vgi_rpc_protocol::client::TypedStream);
            let call = quote!(self.caller.open(&method, &row.finish()?).map(#stream::new));
            (quote!(#stream<C::Stream<'_>, #input, #output, #header>), call)
        }
    }
}
