//! The HTML page that describes the hosted protocols, with the same contents as reflection.

use super::page::{Escaped, Site, Version, page};
use super::snippets::snippets;
use crate::reflection::type_token;
use crate::service::{Idempotency, MethodInfo, MethodKind, ProtocolInfo, StreamKind};
use crate::wire::text::Limit;
use arrow_array::{Array, RecordBatch};
use arrow_cast::display::array_value_to_string;
use arrow_schema::{Field, Schema};

/// The maximum length of a shown default, in characters.
const MAX_DEFAULT_CHARS: usize = 200;

/// Renders the page of `GET {prefix}/describe`.
pub(super) fn describe(site: Site<'_>) -> String {
    let mut body = String::from("<h1>Hosted protocols</h1>\n<ul>\n");
    for protocol in site.protocols {
        let name = Escaped(&protocol.name);
        body += &format!("<li><a href=\"#{name}\"><code>{name}</code></a></li>\n");
    }
    body += "</ul>\n";
    for protocol in site.protocols {
        describe_protocol(&mut body, site.url, protocol);
    }
    page("Hosted protocols", &body, site.server_id)
}

fn describe_protocol(body: &mut String, url: &str, protocol: &ProtocolInfo) {
    let name = Escaped(&protocol.name);
    *body += &format!(
        "<section id=\"{name}\">\n<h2>{name}</h2>\n<p class=\"meta\">Version {}. Hash <code>{}</code>.</p>\n",
        Version(protocol),
        Escaped(&protocol.hash)
    );
    note_deprecation(body, protocol.deprecated.as_deref());
    for method in &protocol.methods {
        describe_method(body, url, protocol, method);
    }
    *body += "</section>\n";
}

fn describe_method(body: &mut String, url: &str, protocol: &ProtocolInfo, method: &MethodInfo) {
    let (owner, name) = (Escaped(&protocol.name), Escaped(&method.name));
    *body += &format!(
        "<article id=\"{owner}/{name}\">\n<h3><a href=\"#{owner}/{name}\">{name}</a></h3>\n<p class=\"meta\">{}{}</p>\n",
        kind(method.kind),
        idempotency(method.idempotency)
    );
    note_deprecation(body, method.deprecated.as_deref());
    if !method.doc.is_empty() {
        *body += &format!("<p class=\"doc\">{}</p>\n", Escaped(&method.doc));
    }
    let tables = [
        ("Parameter", Some(&method.params)),
        ("Result", method.result.as_ref()),
        ("Stream header", method.header.as_ref()),
        ("Stream input", method.input.as_ref()),
        ("Stream output", method.output.as_ref()),
    ];
    for (title, schema) in tables {
        let defaults = method.defaults.as_ref().filter(|_| title == "Parameter");
        schema.iter().for_each(|schema| describe_schema(body, title, schema, defaults));
    }
    describe_calls(body, url, protocol, method);
    *body += "</article>\n";
}

/// Renders a table of fields. It has a column of defaults only if there are any.
fn describe_schema(body: &mut String, title: &str, schema: &Schema, defaults: Option<&RecordBatch>) {
    if schema.fields().is_empty() {
        return;
    }
    let heading = if defaults.is_some() { "<th>Default</th>" } else { "" };
    *body += &format!("<table>\n<tr><th>{title}</th><th>Type</th>{heading}</tr>\n");
    for field in schema.fields() {
        let default = match defaults {
            Some(_) => format!("<td>{}</td>", default(field, defaults)),
            None => String::new(),
        };
        *body += &format!(
            "<tr><td><code>{}</code></td><td><code>{}</code>{}</td>{default}</tr>\n",
            Escaped(field.name()),
            Escaped(&type_name(field)),
            if field.is_nullable() { ", or null" } else { "" },
        );
    }
    *body += "</table>\n";
}

/// Renders example calls, collapsed.
fn describe_calls(body: &mut String, url: &str, protocol: &ProtocolInfo, method: &MethodInfo) {
    let Some(snippets) = snippets(url, protocol, method) else { return };
    *body += "<details>\n<summary>Call it</summary>\n";
    for (language, text) in snippets {
        *body += &format!("<h4>{language}</h4>\n<pre>{}</pre>\n", Escaped(text.trim_end()));
    }
    *body += "</details>\n";
}

/// Returns the type as spelled in the protocol's hash or, if that has no token for it, as spelled by Arrow.
fn type_name(field: &Field) -> String {
    type_token(field).unwrap_or_else(|_| field.data_type().to_string())
}

/// Renders a field's default as HTML; empty if it has none.
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
        MethodKind::Stream(StreamKind::Exchange) => "A stream with one output batch for each input batch.",
        MethodKind::Stream(StreamKind::Unknown) => "A stream.",
    }
}

fn idempotency(idempotency: Idempotency) -> &'static str {
    match idempotency {
        Idempotency::Unknown => "",
        Idempotency::NoSideEffects => " It has no side effects.",
        Idempotency::Idempotent => " It may be repeated.",
    }
}

fn note_deprecation(body: &mut String, note: Option<&str>) {
    if let Some(note) = note {
        *body += &format!("<p class=\"note\">Deprecated. {}</p>\n", Escaped(note));
    }
}
