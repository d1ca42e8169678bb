//! Generates the server: the protocol of an implementation of the trait.

use super::method::{Argued, Kind, Method, Param, Turns};
use super::protocol::Protocol;
use super::types::{argument_of, convert, is_batch, outside};
use crate::attributes::{data_type, option};
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;
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

/// Generates the method with its handler.
fn expand_method(service: &Ident, method: &Method) -> TokenStream {
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
    let same = method.same.iter().map(|(said, declared)| {
        quote_spanned!(said.span()=> <#said as ::vgi_rpc_protocol::__private::SameRow<#declared>>::check();)
    });
    quote! {{
        #(#same)*
        let builder = ::vgi_rpc_protocol::service::Method::new(#name) #documented #idempotency #deprecated;
        #(#params)*
        #schemas
        #complete
    }}
}

/// Generates the field of a parameter.
pub fn field(param: &Param) -> TokenStream {
    let Param { ty, name, declared, .. } = param;
    let (data_type, nullable) = (declared.data_type_tokens(), declared.nullable_tokens());
    quote_spanned! {ty.span()=>
        <#ty as ::vgi_rpc_protocol::__private::Parameter<'_>>::field(#name, #data_type, #nullable)
    }
}

/// Adds a parameter to the builder.
fn expand_param(param: &Param) -> TokenStream {
    let (Param { ty, name, .. }, field) = (param, field(param));
    let parameter = quote_spanned!(ty.span()=> <#ty as ::vgi_rpc_protocol::__private::Parameter<'_>>);
    let default = param.default().map(|default| {
        quote_spanned!(ty.span()=> let builder = #parameter::declare_default(builder, #name, #default);)
    });
    quote_spanned! {ty.span()=>
        let builder = #parameter::declare(builder, #field);
        #default
    }
}

/// Declares the result, or the schemas of a stream.
fn expand_schemas(method: &Method) -> TokenStream {
    match (&method.kind, &method.result) {
        (Kind::Unary, Some(result)) => {
            let result_type = option(method.result_type.as_ref().map(data_type));
            let nullable = option(method.result_nullable.as_ref().map(|nullable| quote!(#nullable)));
            let returned =
                quote_spanned!(result.span()=> <#result as ::vgi_rpc_protocol::__private::Returned>);
            quote_spanned! {result.span()=>
                let builder = #returned::declare(builder, #returned::field(#result_type, #nullable));
            }
        }
        (Kind::Unary, None) => quote!(),
        _ => {
            let rows = [(&method.header, "header"), (&method.input, "input"), (&method.output, "output")];
            let declared = rows.into_iter().filter_map(|(ty, which)| {
                let ty = ty.as_ref().filter(|ty| !is_batch(ty))?;
                let which = format_ident!("{which}");
                Some(quote_spanned! {ty.span()=>
                    let builder = builder.#which(<#ty as ::vgi_rpc_protocol::__private::Row>::row_schema());
                })
            });
            quote!(#(#declared)*)
        }
    }
}

/// Reads the parameters, and calls the implementation.
fn expand_handler(service: &Ident, method: &Method) -> TokenStream {
    let values: Vec<_> = (0..method.params.len()).map(|index| format_ident!("parameter_{index}")).collect();
    let reads = method.params.iter().zip(&values).enumerate().map(|(index, (param, value))| {
        let Param { ty, name, .. } = param;
        quote_spanned! {ty.span()=>
            let #value = <#ty as ::vgi_rpc_protocol::__private::Parameter<'_>>::take(args, #index, #name)?;
        }
    });
    let arguments = method.arguments.iter().map(|argument| match argument {
        Argued::Param(index) => {
            let value = format_ident!("parameter_{index}");
            quote!(#value)
        }
        Argued::Context => quote!(context),
        Argued::Saved | Argued::Turn => quote!(saved),
    });
    let function = &method.ident;
    let call = quote!(#service::#function(&*implementation, #(#arguments),*));
    let span = method.result.as_ref().map_or_else(|| method.ident.span(), Spanned::span);
    let answer = if method.is_fallible {
        let error = method.error.as_ref().map(|error| outside(error, service));
        convert(error.as_ref(), &call)
    } else {
        quote!(::core::result::Result::Ok(#call))
    };
    let answer = match &method.turns {
        Some(Turns { state, .. }) => {
            let state = outside(state, service);
            let opened = if method.gives_schemas() { quote!(opened_with_schemas) } else { quote!(opened) };
            quote_spanned!(span=> #answer.map(::vgi_rpc_protocol::__private::#opened::<#state, _>))
        }
        None => answer,
    };
    let handler = quote! {{
        let implementation = ::std::sync::Arc::clone(&implementation);
        move |args: &::vgi_rpc_protocol::service::Args, context: &mut ::vgi_rpc_protocol::service::CallContext| {
            let _ = (&args, &context);
            #(#reads)*
            #answer
        }
    }};
    if let Some(turns) = &method.turns {
        return turns.complete(service, &method.kind, &handler);
    }
    let private = quote!(::vgi_rpc_protocol::__private);
    let of = |name| {
        let argument = method.result.as_ref().and_then(|result| argument_of(result, name))?;
        Some(outside(&argument, service))
    };
    match &method.kind {
        Kind::Unary => match &method.result {
            Some(result) => {
                quote_spanned!(result.span()=> <#result as #private::Returned>::complete(builder, #handler))
            }
            None => quote!(builder.unary(#handler)),
        },
        Kind::Producer => match (of("Rows"), of("Stream")) {
            (Some(row), _) => {
                quote_spanned!(row.span()=> <#row as #private::Row>::complete_rows(builder, #handler))
            }
            (None, Some(state)) => {
                quote_spanned!(state.span()=> <#state as #private::ProducerState>::complete(builder, #handler))
            }
            (None, None) => {
                quote_spanned!(span=> ::vgi_rpc_protocol::service::OpensProducer::complete(builder, #handler))
            }
        },
        Kind::Exchange => match of("Stream") {
            Some(state) => {
                quote_spanned!(state.span()=> <#state as #private::ExchangeState>::complete(builder, #handler))
            }
            None => quote_spanned!(span=> builder.exchange(#handler)),
        },
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
