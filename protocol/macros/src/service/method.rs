//! A method of the trait, as its signature and its attributes declare it.

use super::types::last_segment;
use crate::attributes::{Argument, Declared, DefaultValue, arguments, documentation};
use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, FnArg, GenericArgument, Ident, LitBool, LitStr, Pat, PathArguments, ReceiverKind,
    Result, ReturnType, TraitItemFn, Type,
};

pub struct Method {
    pub ident: Ident,
    /// The name on the wire.
    pub name: String,
    pub documentation: String,
    /// The arguments of the function, in order.
    pub arguments: Vec<Argued>,
    pub params: Vec<Param>,
    /// What the function returns when it succeeds; `None` for `()`.
    pub result: Option<Type>,
    /// Whether it returns a `Result`.
    pub is_fallible: bool,
    /// The error type of that `Result`, if it is named.
    pub error: Option<Type>,
    pub kind: Kind,
    pub idempotency: Option<Ident>,
    pub deprecated: Option<LitStr>,
    pub result_type: Option<Expr>,
    pub result_nullable: Option<LitBool>,
    pub input: Option<Type>,
    pub output: Option<Type>,
    pub header: Option<Type>,
    pub restore: Option<Ident>,
    /// The name of the function that takes the turns.
    pub turn: Option<Ident>,
    pub turns: Option<Turns>,
    /// Row types that are both in the signature and in the attribute.
    pub same: Vec<(Type, Type)>,
    /// Why it is refused as a method. A function that takes turns has no names on the wire.
    pub pattern: Option<Error>,
    /// Why it is refused in any case.
    pub receiver: Option<Error>,
}

/// An argument of a function.
#[derive(Clone, Copy)]
pub enum Argued {
    Param(usize),
    /// The context of the call.
    Context,
    /// The saved stream.
    Saved,
    /// The turn of a stream.
    Turn,
}

/// A function that takes the turns of a stream, as its signature declares it.
pub struct Turns {
    pub ident: Ident,
    pub state: Type,
    pub arguments: Vec<Argued>,
    /// The records that it receives. An exchange without them receives a batch.
    pub input: Option<Type>,
    /// The records that it returns. Without them it emits its output itself.
    pub output: Option<Type>,
    pub is_fallible: bool,
    pub error: Option<Type>,
}

pub struct Param {
    pub ident: Ident,
    pub ty: Type,
    /// The name on the wire.
    pub name: String,
    pub documentation: String,
    pub declared: Declared,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Kind {
    Unary,
    Producer,
    Exchange,
    Stream,
}

impl Method {
    pub fn parse(function: &TraitItemFn) -> Result<Self> {
        let signature = &function.sig;
        if let Some(asyncness) = &signature.asyncness {
            return Err(Error::new_spanned(
                asyncness,
                "handlers are plain functions: a driver gives them threads",
            ));
        }
        if !signature.generics.params.is_empty() {
            return Err(Error::new_spanned(
                &signature.generics,
                "a method has no type or lifetime parameters",
            ));
        }
        let mut method = Self {
            name: signature.ident.unraw().to_string(),
            ident: signature.ident.clone(),
            documentation: documentation(&function.attrs),
            arguments: Vec::new(),
            params: Vec::new(),
            result: None,
            is_fallible: false,
            error: None,
            kind: Kind::Unary,
            idempotency: None,
            deprecated: None,
            result_type: None,
            result_nullable: None,
            input: None,
            output: None,
            header: None,
            restore: None,
            turn: None,
            turns: None,
            same: Vec::new(),
            pattern: None,
            receiver: None,
        };
        for argument in arguments(&function.attrs, "method")? {
            method.take(argument)?;
        }
        let mut has_receiver = false;
        for argument in &signature.inputs {
            match argument {
                FnArg::Receiver(receiver) => {
                    has_receiver = true;
                    let is_shared = matches!(receiver.kind, ReceiverKind::Reference(_, _, None));
                    if !is_shared {
                        let text = "a method takes `&self`: calls run on several threads at a time";
                        method.receiver = Some(Error::new_spanned(receiver, text));
                    }
                }
                FnArg::Typed(argument) => method.argument(argument)?,
            }
        }
        if !has_receiver {
            method.receiver = Some(Error::new_spanned(&signature.ident, "a method takes `&self`"));
        }
        if let ReturnType::Type(_, ty) = &signature.output {
            let (is_fallible, result, error) = outcome(ty);
            (method.is_fallible, method.error) = (is_fallible, error);
            method.result = (!is_unit(&result)).then_some(result);
        }
        Ok(method)
    }

    /// Reads an argument of `#[method(...)]`.
    fn take(&mut self, argument: Argument) -> Result<()> {
        const KNOWN: &str = "`rename`, `idempotent`, `no_side_effects`, `deprecated`, `type`, `nullable`, `producer`, \
             `exchange`, `stream`, `turn`, `restore`, `input`, `output` and `header`";
        let span = argument.name.span();
        match argument.name.to_string().as_str() {
            "rename" => self.name = argument.text()?.value(),
            "idempotent" => self.idempotency = Some(Ident::new("Idempotent", span)),
            "no_side_effects" => self.idempotency = Some(Ident::new("NoSideEffects", span)),
            "deprecated" => self.deprecated = Some(argument.text()?),
            "type" => self.result_type = Some(argument.value()?),
            "nullable" => self.result_nullable = Some(argument.boolean()?),
            "producer" => self.set_kind(Kind::Producer, span)?,
            "exchange" => self.set_kind(Kind::Exchange, span)?,
            "stream" => self.set_kind(Kind::Stream, span)?,
            "turn" => self.turn = Some(name_of(argument.value()?)?),
            "restore" => self.restore = Some(name_of(argument.value()?)?),
            "input" => self.input = Some(type_of(argument.value()?)?),
            "output" => self.output = Some(type_of(argument.value()?)?),
            "header" => self.header = Some(type_of(argument.value()?)?),
            _ => return Err(argument.unknown(KNOWN)),
        }
        Ok(())
    }

    fn set_kind(&mut self, kind: Kind, span: Span) -> Result<()> {
        if self.kind != Kind::Unary {
            return Err(Error::new(span, "a method is of one kind"));
        }
        self.kind = kind;
        Ok(())
    }

    fn argument(&mut self, argument: &syn::PatType) -> Result<()> {
        let ty = &*argument.ty;
        if let Type::Reference(reference) = ty
            && let Some(segment) = last_segment(&reference.elem)
            && (segment.ident == "CallContext" || segment.ident == "Turn")
        {
            let is_turn = segment.ident == "Turn";
            self.arguments.push(if is_turn { Argued::Turn } else { Argued::Context });
            return Ok(());
        }
        if last_segment(ty).is_some_and(|segment| segment.ident == "Saved") {
            self.arguments.push(Argued::Saved);
            return Ok(());
        }
        let ident = match &*argument.pat {
            Pat::Ident(pattern) => pattern.ident.clone(),
            pattern => {
                let text = "a parameter has a name, which it has on the wire too";
                self.pattern = self.pattern.take().or_else(|| Some(Error::new_spanned(pattern, text)));
                Ident::new("pattern", pattern.span())
            }
        };
        let declared = Declared::parse(&argument.attrs)?;
        if let Some(skip) = &declared.skip {
            return Err(Error::new_spanned(
                skip,
                "a parameter is not skipped: every call has a column for it",
            ));
        }
        let name = declared.rename.as_ref().map_or_else(|| ident.unraw().to_string(), LitStr::value);
        self.arguments.push(Argued::Param(self.params.len()));
        let documentation = documentation(&argument.attrs);
        self.params.push(Param { ident, ty: ty.clone(), name, documentation, declared });
        Ok(())
    }

    /// Returns the documentation of the method and its parameters, in the format that Python clients read.
    pub fn full_documentation(&self) -> String {
        let mut text = self.documentation.clone();
        let documented = || self.params.iter().filter(|param| !param.documentation.is_empty());
        if documented().next().is_some() {
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str("Args:");
            for param in documented() {
                let lines = param.documentation.lines().map(str::trim).collect::<Vec<_>>().join(" ");
                text.push_str(&format!("\n    {}: {lines}", param.name));
            }
            text.push('\n');
        }
        text
    }
}

impl Param {
    /// Returns a closure that creates the default, if there is one.
    pub fn default(&self) -> Option<proc_macro2::TokenStream> {
        let ty = &self.ty;
        let value = match self.declared.default.as_ref()? {
            DefaultValue::Value(value) => quote::quote!(#value),
            DefaultValue::OfType => quote::quote!(<#ty as ::core::default::Default>::default()),
        };
        Some(quote::quote_spanned!(ty.span()=> || -> #ty { #value }))
    }

    /// Returns the default that the client applies if its caller passes `None`. For an optional parameter, `None` means null.
    pub fn applied_default(&self) -> Option<proc_macro2::TokenStream> {
        let is_optional = last_segment(&self.ty).is_some_and(|segment| segment.ident == "Option");
        self.default().filter(|_| !is_optional)
    }
}

/// Removes the attributes that only this macro reads from a function of the trait.
pub fn strip(function: &mut TraitItemFn) {
    function.attrs.retain(|attribute| !attribute.path().is_ident("method"));
    let is_ours =
        |attribute: &Attribute| attribute.path().is_ident("arrow") || attribute.path().is_ident("doc");
    for argument in &mut function.sig.inputs {
        if let FnArg::Typed(argument) = argument {
            argument.attrs.retain(|attribute| !is_ours(attribute));
        }
    }
}

/// Returns whether the type is a `Result`, its success type, and its error type if that is named.
fn outcome(ty: &Type) -> (bool, Type, Option<Type>) {
    if let Some(segment) = last_segment(ty)
        && segment.ident == "Result"
        && let PathArguments::AngleBracketed(arguments) = &segment.arguments
    {
        let mut types = arguments.args.iter().filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty.clone()),
            _ => None,
        });
        if let Some(success) = types.next() {
            return (true, success, types.next());
        }
    }
    (false, ty.clone(), None)
}

fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
}

fn name_of(expression: Expr) -> Result<Ident> {
    match &expression {
        Expr::Path(path) => match path.path.get_ident() {
            Some(name) => Ok(name.clone()),
            None => Err(Error::new_spanned(expression, "expected the name of a method of the trait")),
        },
        _ => Err(Error::new_spanned(expression, "expected the name of a method of the trait")),
    }
}

fn type_of(expression: Expr) -> Result<Type> {
    syn::parse2(quote::quote!(#expression)).map_err(|_| Error::new_spanned(expression, "expected a type"))
}
