//! The page that describes the hosted protocols: what reflection tells programs, for people.

use super::page::{Escaped, Site, Version, page};
use crate::reflection::type_token;
use crate::service::{Idempotency, MethodInfo, MethodKind, ProtocolInfo, StreamKind};
use crate::wire::text::Limit;
use arrow_array::{Array, RecordBatch};
use arrow_cast::display::array_value_to_string;
use arrow_schema::{Field, Schema};

/// Most characters that are shown of a default.
const MAX_DEFAULT_CHARS: usize = 200;

/// The page of `GET {prefix}/describe`.
pub(super) fn describe(site: Site<'_>) -> String {
    let mut body = String::from("<h1>Hosted protocols</h1>\n<ul>\n");
    for protocol in site.protocols {
        let name = Escaped(&protocol.name);
        body += &format!("<li><a href=\"#{name}\"><code>{name}</code></a></li>\n");
    }
    body += "</ul>\n";
    for protocol in site.protocols {
        describe_protocol(&mut body, protocol);
    }
    page("Hosted protocols", &body, site.server_id)
}

fn describe_protocol(body: &mut String, protocol: &ProtocolInfo) {
    let name = Escaped(&protocol.name);
    *body += &format!(
        "<section id=\"{name}\">\n<h2>{name}</h2>\n<p>Version {}. Hash <code>{}</code>.</p>\n",
        Version(protocol),
        Escaped(&protocol.hash)
    );
    note_deprecation(body, protocol.deprecated.as_deref());
    for method in &protocol.methods {
        describe_method(body, &protocol.name, method);
    }
    *body += "</section>\n";
}

fn describe_method(body: &mut String, protocol: &str, method: &MethodInfo) {
    let (protocol, name) = (Escaped(protocol), Escaped(&method.name));
    *body += &format!(
        "<article id=\"{protocol}/{name}\">\n<h3>{name}</h3>\n<p>{}{}</p>\n",
        kind(method.kind),
        idempotency(method.idempotency)
    );
    note_deprecation(body, method.deprecated.as_deref());
    if !method.doc.is_empty() {
        *body += &format!("<p class=\"doc\">{}</p>\n", Escaped(&method.doc));
    }
    describe_schema(body, "Parameters", &method.params, method.defaults.as_ref());
    if let Some(result) = &method.result {
        describe_schema(body, "Result", result, None);
    }
    if let Some(header) = &method.header {
        describe_schema(body, "Stream header", header, None);
    }
    *body += "</article>\n";
}

fn describe_schema(body: &mut String, title: &str, schema: &Schema, defaults: Option<&RecordBatch>) {
    if schema.fields().is_empty() {
        return;
    }
    *body += &format!("<table>\n<tr><th>{title}</th><th>Type</th><th>Default</th></tr>\n");
    for field in schema.fields() {
        *body += &format!(
            "<tr><td><code>{}</code></td><td><code>{}</code>{}</td><td>{}</td></tr>\n",
            Escaped(field.name()),
            Escaped(&type_name(field)),
            if field.is_nullable() { ", or null" } else { "" },
            default(field, defaults)
        );
    }
    *body += "</table>\n";
}

/// The type as the protocol's hash spells it, or, without a token, as Arrow does.
fn type_name(field: &Field) -> String {
    type_token(field).unwrap_or_else(|_| field.data_type().to_string())
}

/// A field's default as HTML; empty when it has none.
fn default(field: &Field, defaults: Option<&RecordBatch>) -> String {
    let Some(column) = defaults.and_then(|row| row.column_by_name(field.name())) else {
        return String::new();
    };
    if column.is_empty() || column.is_null(0) {
        return "<code>null</code>".to_owned();
    }
    match array_value_to_string(column, 0) {
        Ok(value) => {
            let shown = Limit::characters(MAX_DEFAULT_CHARS, "…").shown(&value);
            format!("<code>{}</code>", Escaped(&shown))
        }
        Err(_) => "present".to_owned(),
    }
}

fn kind(kind: MethodKind) -> &'static str {
    match kind {
        MethodKind::Unary => "One request, one response.",
        MethodKind::Stream(StreamKind::Producer) => "A stream that the server produces.",
        MethodKind::Stream(StreamKind::Exchange) => "A stream that answers each batch with one.",
        MethodKind::Stream(StreamKind::Unknown) => "A stream.",
    }
}

fn idempotency(idempotency: Idempotency) -> &'static str {
    match idempotency {
        Idempotency::Unknown => "",
        Idempotency::NoSideEffects => " It changes nothing.",
        Idempotency::Idempotent => " It may be repeated.",
    }
}

fn note_deprecation(body: &mut String, note: Option<&str>) {
    if let Some(note) = note {
        *body += &format!("<p class=\"note\">Deprecated. {}</p>\n", Escaped(note));
    }
}
