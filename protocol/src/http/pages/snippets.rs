//! Example calls of a method in Rust, Python and curl.

use crate::service::{MethodInfo, MethodKind, ProtocolInfo, StreamKind, Version};
use crate::wire::keys;
use arrow_schema::{DataType, Field};

/// How a program writes a type and a value of it.
struct Spelling {
    rust: &'static str,
    rust_value: &'static str,
    python: &'static str,
    python_value: &'static str,
    pyarrow: &'static str,
}

/// Returns the spelling of a type; `None` if it has no short one.
fn spelling(data_type: &DataType) -> Option<Spelling> {
    let [rust, rust_value, python, python_value, pyarrow] = match data_type {
        DataType::Boolean => ["bool", "true", "bool", "True", "pa.bool_()"],
        DataType::Int8 => ["i8", "1_i8", "Annotated[int, ArrowType(pa.int8())]", "1", "pa.int8()"],
        DataType::Int16 => ["i16", "1_i16", "Annotated[int, ArrowType(pa.int16())]", "1", "pa.int16()"],
        DataType::Int32 => ["i32", "1_i32", "Annotated[int, ArrowType(pa.int32())]", "1", "pa.int32()"],
        DataType::Int64 => ["i64", "1_i64", "int", "1", "pa.int64()"],
        DataType::UInt8 => ["u8", "1_u8", "Annotated[int, ArrowType(pa.uint8())]", "1", "pa.uint8()"],
        DataType::UInt16 => ["u16", "1_u16", "Annotated[int, ArrowType(pa.uint16())]", "1", "pa.uint16()"],
        DataType::UInt32 => ["u32", "1_u32", "Annotated[int, ArrowType(pa.uint32())]", "1", "pa.uint32()"],
        DataType::UInt64 => ["u64", "1_u64", "Annotated[int, ArrowType(pa.uint64())]", "1", "pa.uint64()"],
        DataType::Float32 => {
            ["f32", "1.5_f32", "Annotated[float, ArrowType(pa.float32())]", "1.5", "pa.float32()"]
        }
        DataType::Float64 => ["f64", "1.5_f64", "float", "1.5", "pa.float64()"],
        DataType::Utf8 => ["String", "\"text\"", "str", "\"text\"", "pa.string()"],
        DataType::Binary => ["Vec<u8>", "&b\"bytes\"[..]", "bytes", "b\"bytes\"", "pa.binary()"],
        _ => return None,
    };
    Some(Spelling { rust, rust_value, python, python_value, pyarrow })
}

/// Returns the snippets of a method with their titles. There are none if one of its types has no short spelling, or one of its
/// names is not a valid identifier. `url` is the server's URL.
pub(super) fn snippets(
    url: &str,
    protocol: &ProtocolInfo,
    method: &MethodInfo,
) -> Option<[(&'static str, String); 3]> {
    let fields: Option<Vec<_>> =
        method.params.fields().iter().map(|field| Some((&**field, spelling(field.data_type())?))).collect();
    let fields = fields?;
    let result = match &method.result {
        Some(schema) => {
            let field = schema.fields().first()?;
            Some((&**field, spelling(field.data_type())?))
        }
        None => None,
    };
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let is_plain =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if !is_name(&method.name)
        || !is_plain(&protocol.name)
        || !fields.iter().all(|(field, _)| is_name(field.name()))
    {
        return None;
    }
    let ProtocolInfo { name, version, .. } = protocol;
    let call =
        Call { url, protocol: name, version: *version, method, fields: &fields, result: result.as_ref() };
    Some([("Rust", call.rust()), ("Python", call.python()), ("curl", call.curl())])
}

struct Call<'a> {
    url: &'a str,
    protocol: &'a str,
    version: Option<Version>,
    method: &'a MethodInfo,
    fields: &'a [(&'a Field, Spelling)],
    result: Option<&'a (&'a Field, Spelling)>,
}

impl Call<'_> {
    fn rust(&self) -> String {
        let Self { url, protocol, .. } = self;
        let name = &self.method.name;
        let value = |(field, spelling): &(&Field, Spelling)| match field.is_nullable() {
            true => format!("(\"{}\", Some({}))", field.name(), spelling.rust_value),
            false => format!("(\"{}\", {})", field.name(), spelling.rust_value),
        };
        let params: Vec<String> = self.fields.iter().map(value).collect();
        let params = match &*params {
            [] => "()".to_owned(),
            [one] => format!("({one},)"),
            all => format!("({})", all.join(", ")),
        };
        let version = self.version.map(|version| format!(".version(\"{version}\")")).unwrap_or_default();
        let header = if self.method.header.is_some() { ".with_header()" } else { "" };
        let begin = format!(
            "let mut client = vgi_rpc_connect::connect(\"{url}\")?;\n\
             let remote = vgi_rpc_connect::Remote::new(\"{protocol}\"){version};\n\
             let method = remote.method(\"{name}\"){header};\n"
        );
        let rest = match self.method.kind {
            MethodKind::Unary => match self.result {
                Some((field, spelling)) => {
                    let result = match field.is_nullable() {
                        true => format!("Option<{}>", spelling.rust),
                        false => spelling.rust.to_owned(),
                    };
                    return format!("{begin}let result: {result} = client.call(&method, {params})?;\n");
                }
                None => format!("client.unary(&method, {params}.to_row()?.as_ref())?;\n"),
            },
            MethodKind::Stream(kind) => {
                let open = format!("client.stream(&method, {params}.to_row()?.as_ref())?");
                match kind {
                    StreamKind::Exchange => {
                        format!(
                            "let mut stream = {open};\nlet answer = stream.exchange(&batch)?; // a batch of the input\n"
                        )
                    }
                    _ => format!("for batch in {open} {{\n    println!(\"{{:?}}\", batch?);\n}}\n"),
                }
            }
        };
        format!("use vgi_rpc_protocol::client::Params;\n\n{begin}{rest}")
    }

    fn python(&self) -> String {
        let Self { url, protocol, .. } = self;
        let name = &self.method.name;
        let or_none = |field: &Field, python: &str| match field.is_nullable() {
            true => format!("{python} | None"),
            false => python.to_owned(),
        };
        let params: String = self
            .fields
            .iter()
            .map(|(field, spelling)| format!(", {}: {}", field.name(), or_none(field, spelling.python)))
            .collect();
        let values: Vec<String> = self
            .fields
            .iter()
            .map(|(field, spelling)| format!("{}={}", field.name(), spelling.python_value))
            .collect();
        let result = match (self.method.kind, self.result) {
            (MethodKind::Unary, Some((field, spelling))) => or_none(field, spelling.python),
            (MethodKind::Unary, None) => "None".to_owned(),
            (MethodKind::Stream(_), _) => "Stream[StreamState]".to_owned(),
        };
        let call = format!("service.{name}({})", values.join(", "));
        let call = match self.method.kind {
            MethodKind::Unary => format!("print({call})"),
            MethodKind::Stream(StreamKind::Exchange) => {
                format!("print({call}.exchange(AnnotatedBatch(batch)))  # a record batch of the input")
            }
            MethodKind::Stream(_) => format!("for batch in {call}:\n        print(batch)"),
        };
        let is_annotated = format!("{params}{result}").contains("Annotated[");
        let mut imports = String::new();
        if is_annotated {
            imports += "from typing import Annotated, ClassVar, Protocol\n\nimport pyarrow as pa\n";
        } else {
            imports += "from typing import ClassVar, Protocol\n\n";
        }
        let streams = match self.method.kind {
            MethodKind::Unary => "",
            MethodKind::Stream(StreamKind::Exchange) => {
                "from vgi_rpc import AnnotatedBatch, Stream, StreamState\n"
            }
            MethodKind::Stream(_) => "from vgi_rpc import Stream, StreamState\n",
        };
        let version =
            self.version.map(|version| format!("    protocol_version: ClassVar[str] = \"{version}\"\n"));
        let version = version.unwrap_or_default();
        let arrow = if is_annotated { "from vgi_rpc import ArrowType\n" } else { "" };
        format!(
            "{imports}{arrow}{streams}from vgi_rpc.http import http_connect\n\n\n\
             class Service(Protocol):\n    protocol_name: ClassVar[str] = \"{protocol}\"\n{version}\n    \
             def {name}(self{params}) -> {result}: ...\n\n\n\
             with http_connect(Service, \"{url}\") as service:\n    {call}\n"
        )
    }

    fn curl(&self) -> String {
        let Self { url, protocol, .. } = self;
        let name = &self.method.name;
        let list = |item: &dyn Fn(&Field, &Spelling) -> String| {
            self.fields.iter().map(|(field, spelling)| item(field, spelling)).collect::<Vec<_>>().join(", ")
        };
        let fields = list(&|field, spelling| {
            let nullable = if field.is_nullable() { "True" } else { "False" };
            format!("pa.field(\"{}\", {}, nullable={nullable})", field.name(), spelling.pyarrow)
        });
        let row = list(&|field, spelling| format!("\"{}\": {}", field.name(), spelling.python_value));
        let part = match self.method.kind {
            MethodKind::Unary => "",
            MethodKind::Stream(_) => "/init",
        };
        let version = self.version.map(|version| format!(", \"{}\": \"{version}\"", keys::PROTOCOL_VERSION));
        let version = version.unwrap_or_default();
        // In Arrow, this is the only way to create a batch with a row and no columns.
        let batch = match self.fields.is_empty() {
            true => "pa.record_batch({\"\": [None]}).select([])".to_owned(),
            false => format!("pa.RecordBatch.from_pylist([{{{row}}}], schema)"),
        };
        format!(
            "python3 - > request.arrow <<'EOF'\n\
             import sys, pyarrow as pa\n\
             schema = pa.schema([{fields}])\n\
             batch = {batch}\n\
             metadata = {{\"{}\": \"{name}\", \"{}\": \"{protocol}\", \"{}\": \"{}\"{version}}}\n\
             with pa.ipc.new_stream(sys.stdout.buffer, schema) as stream:\n    \
             stream.write_batch(batch, custom_metadata=metadata)\n\
             EOF\n\
             curl --fail-with-body -H 'Content-Type: application/vnd.apache.arrow.stream' \\\n  \
             --data-binary @request.arrow -o response.arrow '{url}/{protocol}/{name}{part}'\n\
             python3 -c 'import pyarrow as pa; print(pa.ipc.open_stream(\"response.arrow\").read_all())'\n",
            keys::METHOD,
            keys::PROTOCOL,
            keys::REQUEST_VERSION,
            keys::REQUEST_VERSION_VALUE,
        )
    }
}
