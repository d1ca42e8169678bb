//! Writes the initial inputs for the targets into `seeds/`: `cargo run -p vgi-rpc-fuzz --example seeds`.
//!
//! They come from bytes captured from the reference (`tests/golden`), and from calls of the targets' own service.
//! Minimise them with `cargo fuzz cmin` before committing them: see `README.md`.

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringViewArray};
use arrow_ipc::{
    Field, FieldArgs, KeyValue, KeyValueArgs, Message, MessageArgs, MessageHeader, Schema, SchemaArgs,
};
use bytes::Buf;
use flatbuffers::FlatBufferBuilder;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_fuzz::metadata_detail::KEYS;
use vgi_rpc_fuzz::support::service::{MAIN, VERSION, VERSIONED, responder, text};
use vgi_rpc_fuzz::support::{limits, panics};
use vgi_rpc_protocol::Next;
use vgi_rpc_protocol::client::{self, Call, CallKind};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata, Outbox, decode_batch, encode_batch};
use vgi_rpc_protocol::reflection;
use vgi_rpc_protocol::service::TransportKind;
use vgi_rpc_protocol::wire::detail::{BadRequest, ErrorInfo, Help, PreconditionFailure, RetryInfo};
use vgi_rpc_protocol::wire::error::{ErrorContext, RpcError};
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_recorder::{Capture, Header, Record, Role, What};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    panics::watch();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    golden(&root.join("../tests/golden"), root)?;
    conversations(root)?;
    metadata(root)?;
    objects(&root.join("../tests/golden/objects"), root)?;
    captures(&root.join("../tests/golden"), root)?;
    for (n, seed) in [7_u64, 99, 12345].into_iter().enumerate() {
        let noise = noise(seed);
        for target in ["effects", "ipc_structured", "operations"] {
            for len in [40, 200, 1500] {
                write(root, target, &format!("noise{n}-{len}"), &noise[..len])?;
            }
        }
    }
    Ok(())
}

/// External objects that the reference has written, edits of a valid one, and URLs.
fn objects(golden: &Path, root: &Path) -> Result<()> {
    for (name, manner) in [("turn", 0x00), ("turn_gzip", 0x01), ("turn_zstd", 0x02)] {
        let object = fs::read(golden.join(format!("{name}.object.bin")))?;
        write(root, "external_object", name, &[&[manner, 20], &object[..]].concat())?;
    }
    for coding in 0..3 {
        for (name, manner) in [("edited", 0x10), ("verified", 0x50), ("capped", 0x58), ("damaged", 0x20)] {
            for (n, edits) in [&b""[..], &[9, 0xa0, 1], &[200, 0xa1, 4, 3, 0x23, 9]].into_iter().enumerate() {
                let bytes = [&[manner | coding, 40], edits].concat();
                write(root, "external_object", &format!("{name}{n}-coding{coding}"), &bytes)?;
            }
        }
    }
    let urls = [
        "https://user:password@storage.example:8443/bucket/key?signature=secret&expires=3600#part",
        "http://0x7f.1/",
        "https://[::ffff:10.0.0.1]/latest",
    ];
    for (n, url) in urls.into_iter().enumerate() {
        write(root, "external_object", &format!("url{n}"), &[&[0x30, 0], url.as_bytes()].concat())?;
    }
    Ok(())
}

/// The bytes of a connection: the reference's, and HTTP.
fn captures(golden: &Path, root: &Path) -> Result<()> {
    let said = |plan: u8, received: &[u8], sent: &[u8]| -> Result<Vec<u8>> {
        Ok([&[plan][..], &u16::try_from(received.len())?.to_le_bytes(), received, sent].concat())
    };
    for (plan, name) in ["echo_string", "calls_around_cancel", "produce_with_header"].into_iter().enumerate()
    {
        let read = |side| fs::read(golden.join(format!("{name}.{side}.bin")));
        let (request, response) = (read("request")?, read("response")?);
        let plan = u8::try_from(plan)?;
        write(root, "capture", name, &said(plan, &request, &response)?)?;
        write(root, "capture", &format!("{name}-client"), &said(plan | 12, &response, &request)?)?;
        let seed = Capture::parse(&conversation_of(&request, &response).encode())?;
        write(root, "capture", &format!("{name}.vgirec"), &seed.redact([1; 32]).encode())?;
        let head = format!(
            "POST /demo/{name}?a=b HTTP/1.1\r\nAuthorization: Bearer a\r\nContent-Type: application/vnd.apache.arrow.stream\r\nContent-Length: {}\r\n\r\n",
            request.len()
        );
        let chunk = format!("{:x};e\r\n", response.len());
        let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: c\r\nContent-Type: application/vnd.apache.arrow.stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (asked, answered) = (
            [head.as_bytes(), &request].concat(),
            [answer.as_bytes(), chunk.as_bytes(), &response, b"\r\n0\r\n\r\n"].concat(),
        );
        write(root, "capture", &format!("{name}-http"), &said(3, &asked, &answered)?)?;
    }
    let aliased = aliased_tables();
    write(root, "capture", "aliased_tables", &said(1, &aliased, &[])?)?;
    write(root, "ipc_raw", "aliased_tables", &aliased)
}

/// A stream whose schema has nested fields with metadata. All slots of each list refer to one table, so less than a
/// kilobyte represents nearly a million entries: the most that the default limits of flatbuffers allow.
fn aliased_tables() -> Vec<u8> {
    const SLOTS: usize = 31;
    let mut builder = FlatBufferBuilder::new();
    let (key, value) = (builder.create_string("token"), builder.create_string("secret"));
    let entry = KeyValue::create(&mut builder, &KeyValueArgs { key: Some(key), value: Some(value) });
    let entries = builder.create_vector(&[entry; SLOTS]);
    let leaf = FieldArgs { custom_metadata: Some(entries), ..FieldArgs::default() };
    let mut field = Field::create(&mut builder, &leaf);
    for _ in 0..2 {
        let children = builder.create_vector(&[field; SLOTS]);
        field = Field::create(&mut builder, &FieldArgs { children: Some(children), ..FieldArgs::default() });
    }
    let fields = builder.create_vector(&[field; SLOTS]);
    let schema = Schema::create(&mut builder, &SchemaArgs { fields: Some(fields), ..SchemaArgs::default() });
    let header = MessageArgs {
        version: arrow_ipc::MetadataVersion::V5,
        header_type: MessageHeader::Schema,
        header: Some(schema.as_union_value()),
        ..MessageArgs::default()
    };
    let message = Message::create(&mut builder, &header);
    builder.finish(message, None);
    let mut header = builder.finished_data().to_vec();
    header.resize(header.len().next_multiple_of(8), 0);
    let length = u32::try_from(header.len()).unwrap_or_default().to_le_bytes();
    [&[0xff; 4][..], &length, &header, &[0xff; 4], &[0; 4]].concat()
}

fn conversation_of(request: &[u8], response: &[u8]) -> Capture {
    let header = Header {
        transport: TransportKind::Unix,
        role: Role::Server,
        max_bytes: 1 << 20,
        dropped: 0,
        began: Duration::from_secs(1),
        seed: 1,
        server_id: "golden-server".into(),
    };
    let whats =
        [What::Received(request.to_vec()), What::Sent(response.to_vec()), What::PeerClosed, What::Closed];
    let records = whats.into_iter().map(|what| Record { elapsed: Duration::from_millis(1), what }).collect();
    Capture { header, records, placeholders: Vec::new(), is_capped: false }
}

fn write(root: &Path, target: &str, name: &str, bytes: &[u8]) -> Result<()> {
    let folder: PathBuf = root.join("seeds").join(target);
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(name), bytes)?)
}

/// The reference's output, for the targets that read one side of a connection.
fn golden(golden: &Path, root: &Path) -> Result<()> {
    for entry in fs::read_dir(golden)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some(name) = name.strip_suffix(".bin") else { continue };
        let bytes = fs::read(&path)?;
        write(root, "ipc_raw", name, &bytes)?;
        if name.ends_with(".request") {
            write(root, "server_session", name, &bytes)?;
        } else {
            for plan in [0x00, 0x1a, 0x1e, 0x1b, 0xca] {
                write(
                    root,
                    "client_connection",
                    &format!("{name}.{plan:02x}"),
                    &[&[plan], &bytes[..]].concat(),
                )?;
            }
        }
    }
    Ok(())
}

/// One call of each method of the targets' own service, with its response.
fn conversations(root: &Path) -> Result<()> {
    let numbers = |values: [i64; 2]| {
        let [at, manner] = values.map(|value| Arc::new(Int64Array::from(vec![value])) as ArrayRef);
        vec![("at", at), ("manner", manner)]
    };
    let count = || vec![("count", Arc::new(Int64Array::from(vec![2])) as ArrayRef)];
    let value = |value: ArrayRef| vec![("value", value)];
    let (stream, headed) = (CallKind::Stream { header: false }, CallKind::Stream { header: true });
    let view: ArrayRef = Arc::new(StringViewArray::from(vec!["a text that does not fit into its view"]));
    let record = encode_batch(&RecordBatch::try_from_iter([("a", text("b"))])?, &Metadata::new())?;
    let record: ArrayRef = Arc::new(arrow_array::BinaryArray::from_iter_values([record]));
    let mut calls = vec![
        ("echo", CallKind::Unary, value(text("hello"))),
        ("echo_view", CallKind::Unary, value(view)),
        ("record", CallKind::Unary, value(record)),
        ("log", CallKind::Unary, value(text("hello"))),
        ("fail", CallKind::Unary, vec![("message", text("too small"))]),
        ("nothing", CallKind::Unary, vec![]),
        ("panic", CallKind::Unary, vec![]),
        ("misfit", CallKind::Unary, vec![]),
        ("__transport_options__", CallKind::Unary, vec![]),
        ("no_such_method", stream, vec![]),
        ("count", stream, count()),
        ("count_with_header", headed, count()),
        ("no_header", headed, vec![]),
        ("colors", stream, vec![]),
        ("no_columns", stream, vec![]),
        ("scale", stream, vec![("factor", Arc::new(Float64Array::from(vec![2.0])) as ArrayRef)]),
    ];
    calls.extend((0..7).map(|manner| ("count_until", stream, numbers([1, manner]))));
    calls.extend((0..7).map(|manner| ("scale_until", stream, numbers([1, manner]))));
    let mut all = Vec::new();
    for (index, (method, kind, row)) in calls.into_iter().enumerate() {
        for protocol in [MAIN, VERSIONED] {
            let (request, response) = converse(protocol, method, kind, &row)?;
            all.extend_from_slice(&request);
            let name = format!("{method}-{index}-{protocol}");
            write(root, "server_session", &name, &request)?;
            let plan = match kind {
                CallKind::Unary => 0,
                CallKind::Stream { header: false } => 0x1a,
                CallKind::Stream { header: true } => 0x1b,
            };
            write(root, "client_connection", &name, &[&[plan], &response[..]].concat())?;
        }
    }
    write(root, "server_session", "all", &all)
}

/// Both sides' bytes of one call: a stream has three inputs and is then closed.
fn converse(
    protocol: &str,
    method: &str,
    kind: CallKind,
    row: &[(&str, ArrayRef)],
) -> Result<(Vec<u8>, Vec<u8>)> {
    let (mut client, mut server) = (client::Connection::new(limits()), responder(limits()));
    let row = match row {
        [] => RecordBatch::new_empty(EncodedSchema::empty().schema().clone()),
        row => RecordBatch::try_from_iter(row.iter().cloned())?,
    };
    let call = Call {
        protocol,
        method,
        protocol_version: (protocol == VERSIONED).then_some(VERSION),
        request_id: Some("1"),
        kind,
        metadata: Metadata::new(),
    };
    client.call(&call, &EncodedSchema::new(row.schema())?, &row)?;
    let (mut request, mut response) = (Vec::new(), Vec::new());
    let values: ArrayRef = Arc::new(Float64Array::from(vec![1.5]));
    let input = RecordBatch::try_from_iter([("value", values)])?;
    for turn in 0..6 {
        let sent = client.poll_transmit().map(take).unwrap_or_default();
        request.extend_from_slice(&sent);
        server.receive(sent.into());
        while let Ok(Next::Event(work)) = server.poll_work() {
            server.complete(work.run())?;
        }
        let answer = server.poll_transmit().map(take).unwrap_or_default();
        response.extend_from_slice(&answer);
        client.receive(answer.into());
        while let Ok(Next::Event(_)) = client.poll_event() {}
        // On a call that has ended these are refused, which is fine.
        let _ = match (turn, method.starts_with("scale")) {
            (4, _) => client.close(),
            (_, true) => client.send(&EncodedSchema::new(input.schema())?, &input, &Metadata::new()),
            (_, false) => client.tick(&Metadata::new()),
        };
    }
    Ok((request, response))
}

fn take(outbox: &mut Outbox) -> Vec<u8> {
    outbox.copy_to_bytes(outbox.len()).to_vec()
}

/// Metadata of logs and errors, and reflection's payloads.
fn metadata(root: &Path) -> Result<()> {
    let error = RpcError::value_error("too small")
        .with_kind("some_kind")
        .with_detail(RetryInfo { retry_delay_seconds: 1.5 })
        .with_detail(ErrorInfo { metadata: [("key".to_owned(), "value".to_owned())].into_iter().collect() })
        .with_detail(BadRequest::default())
        .with_detail(PreconditionFailure::default())
        .with_detail(Help::default());
    let error = error.to_metadata(&ErrorContext::new("server"));
    let log =
        LogMessage::info("hello").with("rows", 3).with("nested", serde_json::json!({"a": [1, null, 2.5]}));
    for (name, metadata) in [("error", error), ("log", log.to_metadata("server", Some("1")))] {
        let mut bytes = Vec::new();
        for (key, value) in metadata.iter() {
            let index = KEYS.iter().position(|known| known.as_bytes() == key).unwrap_or_default();
            bytes.push(index as u8);
            bytes.extend_from_slice(value);
            bytes.push(0);
        }
        write(root, "metadata_detail", name, &bytes)?;
    }
    for (name, value) in
        [("request", "echo"), ("version", "1.20.3"), ("code", "UNAVAILABLE"), ("trace", "00-ab-cd-01")]
    {
        write(
            root,
            "metadata_detail",
            name,
            format!("\x08{value}\0\x09demo.A.v1\0\x0a1\0\x0b{value}").as_bytes(),
        )?;
    }
    let service = responder(limits()).service().clone();
    for info in service.protocols() {
        write(root, "metadata_detail", &info.name, &reflection::describe(info).encode()?)?;
    }
    let (_, list) = converse(reflection::PROTOCOL_NAME, "list_protocols", CallKind::Unary, &[])?;
    let (batch, _) = decode_batch(list.into(), &limits())?;
    let list = arrow_array::cast::AsArray::as_binary::<i32>(batch.column(0)).value(0).to_vec();
    write(root, "metadata_detail", "list", &list)
}

/// Returns bytes from which a description is drawn.
fn noise(seed: u64) -> Vec<u8> {
    let mut draws = vgi_rpc_protocol::IdSource::seeded(seed);
    (0..200).flat_map(|_| draws.next_u64().to_le_bytes()).collect()
}
