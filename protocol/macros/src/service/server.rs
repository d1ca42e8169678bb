//! The server's side: the protocol of an implementation of the trait.

use super::method::{Argued, Kind, Method, Param};
use super::protocol::Protocol;
use crate::attributes::{data_type, option};
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

pub fn expand(protocol: &Protocol) -> TokenStream {
    let Protocol { visibility, service, name, version, deprecated, methods, .. } = protocol;
    let ident = format_ident!("{service}Protocol");
    let methods = methods.iter().map(|method| expand_method(service, method));
    let declared_version = version.as_ref().map(|version| quote!(.version(#version)));
    let deprecated = deprecated.as_ref().map(|deprecated| quote!(.deprecated(#deprecated)));
    let version = option(version.as_ref().map(|version| quote!(#version)));
    let documentation = format!("The protocol of [`{service}`]: serves its implementations.");
    quote! {
        #[allow(dead_code, reason = "a program may only call")]
        #[doc = #documentation]
        #visibility enum #ident {}

        #[allow(dead_code, reason = "a program may only call")]
        #[automatically_derived]
        impl #ident {
            /// Name on the wire.
            pub const NAME: &'static str = #name;
            /// Declared version.
            pub const VERSION: ::core::option::Option<&'static str> = #version;

            /// The protocol, whose calls go to this implementation.
            pub fn serve<Implementation>(implementation: Implementation) -> ::vgi_rpc_protocol::service::Protocol
            where
                Implementation: #service + ::core::marker::Send + ::core::marker::Sync + 'static,
            {
                ::vgi_rpc_protocol::service::Protocol::new(#name)
                    #declared_version
                    #deprecated
                    .methods(Self::methods(implementation))
            }

            /// The methods alone, for a protocol that several traits declare together.
            pub fn methods<Implementation>(
                implementation: Implementation,
            ) -> ::std::vec::Vec<::vgi_rpc_protocol::service::MethodSpec>
            where
                Implementation: #service + ::core::marker::Send + ::core::marker::Sync + 'static,
            {
                let implementation = ::std::sync::Arc::new(implementation);
                ::std::vec![#(#methods),*]
            }
        }
    }
}

/// The method with its handler.
fn expand_method(service: &syn::Ident, method: &Method) -> TokenStream {
    let name = &method.name;
    let params = method.params.iter().map(expand_param);
    let documentation = method.full_documentation();
    let documented = (!documentation.is_empty()).then(|| quote!(.doc(#documentation)));
    let idempotency = method
        .idempotency
        .as_ref()
        .map(|idempotency| quote!(.idempotency(::vgi_rpc_protocol::service::Idempotency::#idempotency)));
    let deprecated = method.deprecated.as_ref().map(|deprecated| quote!(.deprecated(#deprecated)));
    let schemas = expand_schemas(method);
    let complete = expand_handler(service, method);
    quote! {{
        let builder = ::vgi_rpc_protocol::service::Method::new(#name)
            #(#params)*
            #documented
            #idempotency
            #deprecated
            #schemas;
        #complete
    }}
}

/// The field of a parameter.
pub fn field(param: &Param) -> TokenStream {
    let Param { ty, name, declared, .. } = param;
    let (data_type, nullable) = (declared.data_type_tokens(), declared.nullable_tokens());
    quote_spanned! {ty.span()=>
        ::vgi_rpc_protocol::__private::parameter::<#ty>(#name, #data_type, #nullable)
    }
}

fn expand_param(param: &Param) -> TokenStream {
    let (ty, field) = (&param.ty, field(param));
    let default = param.default().map(|default| {
        let name = &param.name;
        quote_spanned!(ty.span()=> .typed_default::<#ty>(#name, #default))
    });
    quote_spanned!(ty.span()=> .typed_param_as::<#ty>(#field) #default)
}

/// The result, or the schemas of a stream.
fn expand_schemas(method: &Method) -> TokenStream {
    let record =
        |ty: &syn::Type| quote_spanned!(ty.span()=> ::vgi_rpc_protocol::__private::record_schema::<#ty>());
    match (&method.kind, &method.result) {
        (Kind::Unary, Some(result)) => {
            let result_type = option(method.result_type.as_ref().map(data_type));
            let nullable = option(method.result_nullable.as_ref().map(|nullable| quote!(#nullable)));
            quote_spanned! {result.span()=>
                .typed_result_as::<#result>(::vgi_rpc_protocol::__private::parameter::<#result>("result", #result_type, #nullable))
            }
        }
        (Kind::Unary, None) => quote!(),
        _ => {
            let header = method.header.as_ref().map(|ty| (record(ty), ty.span()));
            let header = header.map(|(schema, span)| quote_spanned!(span=> .header(#schema)));
            let input = method.input.as_ref().map(|ty| (record(ty), ty.span()));
            let input = input.map(|(schema, span)| quote_spanned!(span=> .input(#schema)));
            let output = method.output.as_ref().map(|ty| (record(ty), ty.span()));
            let output = output.map(|(schema, span)| quote_spanned!(span=> .output(#schema)));
            quote!(#header #input #output)
        }
    }
}

/// Reads the parameters, and calls the implementation.
fn expand_handler(service: &syn::Ident, method: &Method) -> TokenStream {
    let values: Vec<_> = (0..method.params.len()).map(|index| format_ident!("parameter_{index}")).collect();
    let reads = method.params.iter().zip(&values).enumerate().map(|(index, (param, value))| {
        let Param { ty, name, .. } = param;
        quote_spanned!(ty.span()=> let #value = args.get_at::<#ty>(#index, #name)?;)
    });
    let arguments = method.arguments.iter().map(|argument| match argument {
        Argued::Param(index) => {
            let value = format_ident!("parameter_{index}");
            quote!(#value)
        }
        Argued::Context => quote!(context),
        Argued::Saved => quote!(saved),
    });
    let function = &method.ident;
    let call = quote!(#service::#function(&*implementation, #(#arguments),*));
    let span = method.result.as_ref().map_or_else(|| method.ident.span(), Spanned::span);
    let answer = if method.is_fallible {
        let span = method.error.as_ref().map_or(span, Spanned::span);
        let into =
            quote_spanned!(span=> ::core::convert::Into::<::vgi_rpc_protocol::wire::error::RpcError>::into);
        quote!(#call.map_err(#into))
    } else {
        quote!(::core::result::Result::Ok(#call))
    };
    let handler = quote! {{
        let implementation = ::std::sync::Arc::clone(&implementation);
        move |args: &::vgi_rpc_protocol::service::Args, context: &mut ::vgi_rpc_protocol::service::CallContext| {
            let _ = (&args, &context);
            #(#reads)*
            #answer
        }
    }};
    match &method.kind {
        Kind::Unary => quote_spanned!(span=> builder.unary(#handler)),
        Kind::Producer => {
            quote_spanned!(span=> ::vgi_rpc_protocol::service::OpensProducer::complete(builder, #handler))
        }
        Kind::Exchange => quote_spanned!(span=> builder.exchange(#handler)),
        Kind::Stream => {
            let restore = &method.restore;
            quote! {
                builder.stream(#handler, {
                    let implementation = ::std::sync::Arc::clone(&implementation);
                    move |saved: ::vgi_rpc_protocol::service::Saved<'_>,
                          context: &mut ::vgi_rpc_protocol::service::CallContext| {
                        #service::#restore(&*implementation, saved, context).map_err(::core::convert::Into::into)
                    }
                })
            }
        }
    }
}
