//! Checks methods beyond their syntax.

use super::method::{Argued, Kind, Method};
use super::types::last_segment;
use syn::{Error, Result, Type};

impl Method {
    /// Checks a method that can be called.
    pub fn check(&self) -> Result<()> {
        if let Some(error) = self.receiver.as_ref().or(self.pattern.as_ref()) {
            return Err(error.clone());
        }
        if self.arguments.iter().any(|argument| matches!(argument, Argued::Saved)) {
            let text = "only a function that is named by `restore` takes `Saved`";
            return Err(Error::new_spanned(&self.ident, text));
        }
        if self.arguments.iter().any(|argument| matches!(argument, Argued::Turn)) {
            let text = "only a function that is named by `turn` takes `Turn`";
            return Err(Error::new_spanned(&self.ident, text));
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
        self.check_kind()
    }

    /// Checks the requirements of its kind.
    fn check_kind(&self) -> Result<()> {
        if !matches!(self.kind, Kind::Producer | Kind::Exchange)
            && let Some(turn) = &self.turn
        {
            let text = "`turn` belongs to `#[method(producer)]` and `#[method(exchange)]`";
            return Err(Error::new_spanned(turn, text));
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
            (_, None) if self.turn.is_none() => {
                return Err(Error::new_spanned(
                    &self.ident,
                    "a method that opens a stream returns a `Stream`",
                ));
            }
            (Kind::Exchange | Kind::Stream, Some(result)) if opens == Some("Rows") => {
                return Err(Error::new_spanned(result, "only a producer has `Rows`: return a `Stream`"));
            }
            (Kind::Exchange, _) if self.input.is_none() => {
                let text = "an exchange declares what it is sent: `#[method(exchange, input = Row)]`, or `input = RecordBatch` \
                     where its handler gives each call a schema";
                return Err(Error::new_spanned(&self.ident, text));
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
}
