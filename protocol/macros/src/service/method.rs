//! A method of the trait, as its signature and its attributes declare it.

use crate::attributes::{Argument, Declared, DefaultValue, arguments, documentation};
use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{
    Attribute, Error, Expr, FnArg, GenericArgument, Ident, LitBool, LitStr, Pat, PathArguments, ReceiverKind,
    Result, ReturnType, TraitItemFn, Type,
};

pub struct Method {
    pub ident: Ident,
    /// On the wire.
    pub name: String,
    pub documentation: String,
    /// What the function takes, in order.
    pub arguments: Vec<Argued>,
    pub params: Vec<Param>,
    /// What the function returns when it succeeds; `None` for `()`.
    pub result: Option<Type>,
    /// Whether it returns a `Result`.
    pub is_fallible: bool,
    /// The error of that, if it is named.
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
    receiver: Option<Error>,
}

/// What a function takes.
#[derive(Clone, Copy)]
pub enum Argued {
    Param(usize),
    /// The context of the call.
    Context,
    /// What a stream was saved as.
    Saved,
}

pub struct Param {
    pub ident: Ident,
    pub ty: Type,
    /// On the wire.
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

    /// An argument of `#[method(...)]`.
    fn take(&mut self, argument: Argument) -> Result<()> {
        const KNOWN: &str = "`rename`, `idempotent`, `no_side_effects`, `deprecated`, `type`, `nullable`, `producer`, \
             `exchange`, `stream`, `restore`, `input`, `output` and `header`";
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
            && last_segment(&reference.elem).is_some_and(|segment| segment.ident == "CallContext")
        {
            self.arguments.push(Argued::Context);
            return Ok(());
        }
        if last_segment(ty).is_some_and(|segment| segment.ident == "Saved") {
            self.arguments.push(Argued::Saved);
            return Ok(());
        }
        let Pat::Ident(pattern) = &*argument.pat else {
            return Err(Error::new_spanned(
                &argument.pat,
                "a parameter has a name, which it has on the wire too",
            ));
        };
        let declared = Declared::parse(&argument.attrs)?;
        if let Some(skip) = &declared.skip {
            return Err(Error::new_spanned(
                skip,
                "a parameter is not skipped: every call has a column for it",
            ));
        }
        let ident = pattern.ident.clone();
        let name = declared.rename.as_ref().map_or_else(|| ident.unraw().to_string(), LitStr::value);
        self.arguments.push(Argued::Param(self.params.len()));
        let documentation = documentation(&argument.attrs);
        self.params.push(Param { ident, ty: ty.clone(), name, documentation, declared });
        Ok(())
    }

    /// What can be said of a method that is called.
    pub fn check(&self) -> Result<()> {
        if let Some(error) = &self.receiver {
            return Err(error.clone());
        }
        if let Some(argument) = self.arguments.iter().find(|argument| matches!(argument, Argued::Saved)) {
            let _ = argument;
            return Err(Error::new_spanned(
                &self.ident,
                "only a function that is named by `restore` takes `Saved`",
            ));
        }
        if let Some(position) = self.params.iter().enumerate().find_map(|(index, param)| {
            self.params.iter().take(index).any(|other| other.name == param.name).then_some(index)
        }) && let Some(param) = self.params.get(position)
        {
            return Err(Error::new_spanned(
                &param.ident,
                format!("two parameters are named {:?}", param.name),
            ));
        }
        if ["new", "caller", "into_caller"].iter().any(|name| self.ident == name) {
            let text = "the client has a method of this name: take another, and this one on the wire with \
                 `#[method(rename = \"...\")]`";
            return Err(Error::new_spanned(&self.ident, text));
        }
        if let Some(result @ Type::Reference(_)) = &self.result {
            return Err(Error::new_spanned(
                result,
                "the result is read by the client too, which owns it: return an owned type",
            ));
        }
        let opens = self.result.as_ref().and_then(last_segment).map(|segment| segment.ident.to_string());
        let opens = opens.as_deref();
        match (&self.kind, &self.result) {
            (Kind::Unary, Some(result)) if opens == Some("Stream") || opens == Some("Rows") => {
                let text = "a method that opens a stream says which kind: `#[method(producer)]`, `#[method(exchange)]` or \
                     `#[method(stream)]`";
                return Err(Error::new_spanned(result, text));
            }
            (Kind::Unary, _) => {
                for (ty, what) in [(&self.input, "input"), (&self.output, "output"), (&self.header, "header")]
                {
                    if let Some(ty) = ty {
                        return Err(Error::new_spanned(ty, format!("a unary method has no {what}")));
                    }
                }
            }
            (_, None) => {
                return Err(Error::new_spanned(
                    &self.ident,
                    "a method that opens a stream returns a `Stream`",
                ));
            }
            (Kind::Producer, _) => {
                if let Some(input) = &self.input {
                    return Err(Error::new_spanned(input, "a producer has no input"));
                }
            }
            (Kind::Stream, _) if self.restore.is_none() => {
                let text = "a method whose kind is decided for each call names the function that brings its states back: \
                     `#[method(stream, restore = function)]`";
                return Err(Error::new_spanned(&self.ident, text));
            }
            _ => {}
        }
        if self.kind != Kind::Stream
            && let Some(restore) = &self.restore
        {
            return Err(Error::new_spanned(restore, "`restore` belongs to `#[method(stream)]`"));
        }
        if self.kind != Kind::Unary
            && let Some(result_type) = &self.result_type
        {
            return Err(Error::new_spanned(result_type, "a stream has no result: declare its `output`"));
        }
        Ok(())
    }

    /// The documentation of the method and its parameters, in the format that clients in Python read.
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
    /// The default, if there is one.
    pub fn default(&self) -> Option<proc_macro2::TokenStream> {
        let ty = &self.ty;
        match self.declared.default.as_ref()? {
            DefaultValue::Value(value) => Some(quote::quote!(#value)),
            DefaultValue::OfType => Some(quote::quote!(<#ty as ::core::default::Default>::default())),
        }
    }
}

impl Param {
    /// The default that the client puts in where its caller gives `None`. A caller of an optional parameter gives `None`
    /// for null.
    pub fn applied_default(&self) -> Option<proc_macro2::TokenStream> {
        let is_optional = last_segment(&self.ty).is_some_and(|segment| segment.ident == "Option");
        self.default().filter(|_| !is_optional)
    }
}

/// Removes what only this macro reads from a function of the trait.
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

/// Whether the type is a `Result`, the type of its success, and that of its error if it is named.
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

fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
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
