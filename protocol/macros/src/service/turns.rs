//! Handles the trait functions that take the turns of streams.

use super::method::{Argued, Kind, Method, Turns};
use super::types::{argument_of, convert, is_batch, outside};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Ident, Result, Type};

impl Method {
    /// Sets the function that takes the turns, and reads the row types from it or from the result.
    pub fn set_turns(&mut self, turns: Option<Turns>) {
        let rows = self.result.as_ref().and_then(|result| argument_of(result, "Rows"));
        let said = [
            (turns.as_ref().and_then(|turns| turns.input.clone()), &mut self.input),
            (turns.as_ref().and_then(|turns| turns.output.clone()).or(rows), &mut self.output),
        ];
        for (said, declared) in said {
            match (said, declared) {
                (Some(said), Some(declared)) => self.same.push((said, declared.clone())),
                (said, declared @ None) => *declared = said,
                (None, Some(_)) => {}
            }
        }
        self.turns = turns;
    }
}

impl Method {
    /// Returns whether each call has its own schemas, which a state alone cannot have.
    pub fn gives_schemas(&self) -> bool {
        let is_open = |ty: &Option<Type>| ty.as_ref().is_none_or(is_batch);
        is_open(&self.output) || (self.kind == Kind::Exchange && is_open(&self.input))
    }
}

impl Turns {
    pub fn parse(function: &Method, kind: &Kind) -> Result<Self> {
        if let Some(error) = &function.receiver {
            return Err(error.clone());
        }
        let refuse = |text: &str| Error::new_spanned(&function.ident, text);
        let (state, input) = match (kind, &function.params[..]) {
            (Kind::Exchange, [state, input]) => (state, Some(input)),
            (Kind::Exchange, _) => {
                let text = "the turns of an exchange are taken by `fn(&self, state: &mut State, rows: Vec<Row>) -> Vec<Row>`; the \
                     rows may be a `&RecordBatch`, and `turn: &mut Turn` is given where it is asked for";
                return Err(refuse(text));
            }
            (_, [state]) => (state, None),
            _ => {
                let text = "the turns of a producer are taken by `fn(&self, state: &mut State) -> Vec<Row>`; `turn: &mut Turn` is \
                     given where it is asked for";
                return Err(refuse(text));
            }
        };
        let state = match &state.ty {
            Type::Reference(reference) if reference.mutability.is_some() => (*reference.elem).clone(),
            other => return Err(Error::new_spanned(other, "a turn changes the state: take it by `&mut`")),
        };
        let rows = |ty, text| argument_of(ty, "Vec").ok_or_else(|| Error::new_spanned(ty, text));
        let input = match input.map(|input| &input.ty) {
            None => None,
            Some(Type::Reference(batch)) if is_batch(&batch.elem) => None,
            Some(ty) => Some(rows(ty, "expected a `Vec` of records, or a `&RecordBatch`")?),
        };
        let output = function.result.as_ref().map(|result| {
            rows(result, "expected a `Vec` of records, or nothing where the function emits by itself")
        });
        Ok(Self {
            ident: function.ident.clone(),
            state,
            arguments: function.arguments.clone(),
            input,
            output: output.transpose()?,
            is_fallible: function.is_fallible,
            error: function.error.clone(),
        })
    }

    /// Completes the method, whose handler opens the stream.
    pub fn complete(&self, service: &Ident, kind: &Kind, open: &TokenStream) -> TokenStream {
        let Self { ident, input, output, .. } = self;
        let (state, error) =
            (outside(&self.state, service), self.error.as_ref().map(|error| outside(error, service)));
        let mut params = 0;
        let arguments = self.arguments.iter().map(|argument| match (argument, params) {
            (Argued::Param(_), 0) => {
                params += 1;
                quote!(state)
            }
            (Argued::Param(_), _) => match input {
                Some(row) => {
                    quote_spanned!(row.span()=> ::vgi_rpc_protocol::__private::input_rows::<#row>(input)?)
                }
                None => quote!(input),
            },
            // A turn dereferences to its call's context.
            _ => quote!(turn),
        });
        let call = quote!(#service::#ident(&*implementation, #(#arguments),*));
        let call = if self.is_fallible {
            let converted = convert(error.as_ref(), &call);
            quote!(#converted?)
        } else {
            call
        };
        let is_exchange = *kind == Kind::Exchange;
        let emit = match output {
            Some(row) if is_exchange => {
                quote_spanned!(row.span()=> ::vgi_rpc_protocol::__private::answer_rows::<#row>(&rows, turn))
            }
            Some(row) => {
                quote_spanned!(row.span()=> ::vgi_rpc_protocol::__private::produce_rows::<#row>(&rows, turn))
            }
            None => quote!(::core::result::Result::Ok(rows)),
        };
        let (complete, input) = if is_exchange {
            let batch = quote!(input: &::vgi_rpc_protocol::arrow::array::RecordBatch,);
            (quote!(exchange_with), Some(batch))
        } else {
            (quote!(producer_with), None)
        };
        quote! {
            builder.#complete::<#state>(#open, {
                let implementation = ::std::sync::Arc::clone(&implementation);
                move |state: &mut #state, #input turn: &mut ::vgi_rpc_protocol::service::Turn| {
                    let rows = #call;
                    #emit
                }
            })
        }
    }
}
