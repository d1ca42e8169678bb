//! The contents of the pages, and the escaping of foreign text.

use super::*;
use crate::service::{Idempotency, MethodInfo, MethodKind, StreamKind, Version as ProtocolVersion};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

const HOSTILE: &str = "<script>alert('x')</script>&\"";

fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

fn method(name: &str) -> MethodInfo {
    let value: ArrayRef = Arc::new(StringArray::from(vec![HOSTILE]));
    MethodInfo {
        name: name.into(),
        kind: MethodKind::Stream(StreamKind::Exchange),
        params: schema(vec![
            Field::new("start", DataType::Int64, false),
            Field::new("label", DataType::Utf8, true),
        ]),
        result: None,
        header: Some(schema(vec![Field::new("total", DataType::UInt32, false)])),
        input: Some(schema(vec![Field::new("value", DataType::Float64, false)])),
        output: Some(schema(vec![Field::new("sum", DataType::Float64, true)])),
        defaults: Some(RecordBatch::try_from_iter([("label", value)]).unwrap()),
        doc: format!("Adds up.\n{HOSTILE}"),
        idempotency: Idempotency::Idempotent,
        deprecated: Some("Use `sum`.".into()),
    }
}

fn protocol() -> ProtocolInfo {
    ProtocolInfo {
        name: "example.Sums.v1".into(),
        version: Some(ProtocolVersion { major: 2, minor: 0, patch: 7 }),
        deprecated: None,
        methods: vec![method("add_up")],
        hash: "ab".repeat(32),
    }
}

fn pages(site: Site<'_>) -> [String; 3] {
    [landing(site), describe(site), not_found(site)]
}

#[test]
fn the_description_tells_everything() {
    let protocol = protocol();
    let page =
        describe(Site { server_id: "5e7", prefix: "/vgi", url: "https://HOST/vgi", protocols: &[&protocol] });
    for told in [
        "example.Sums.v1",
        "2.0.7",
        &"ab".repeat(32),
        "add_up",
        "A stream with one output batch for each input batch. It may be repeated.",
        "Deprecated. Use `sum`.",
        "Adds up.\n",
        "<code>start</code></td><td><code>int64</code></td><td></td>",
        "<code>label</code></td><td><code>utf8</code>, or null</td><td><code>&lt;script&gt;",
        "<code>total</code></td><td><code>uint32</code></td></tr>",
        "<th>Stream input</th><th>Type</th></tr>\n<tr><td><code>value</code>",
        "<th>Stream output</th><th>Type</th></tr>\n<tr><td><code>sum</code></td><td><code>float64</code>, or null</td></tr>",
        "<th>Parameter</th><th>Type</th><th>Default</th>",
        "vgi_rpc_connect::connect(&quot;https://HOST/vgi&quot;)?",
        "with http_connect(Service, &quot;https://HOST/vgi&quot;) as service:",
        "&#39;https://HOST/vgi/example.Sums.v1/add_up/init&#39;",
        "5e7",
    ] {
        assert!(page.contains(told), "{told}\n{page}");
    }
}

#[test]
fn the_landing_page_leads_to_the_descriptions() {
    let protocol = protocol();
    let page =
        landing(Site { server_id: "5e7", prefix: "/vgi", url: "https://HOST/vgi", protocols: &[&protocol] });
    assert!(page.contains("href=\"/vgi/describe#example.Sums.v1\""), "{page}");
    assert!(page.contains("<td>2.0.7</td><td>1</td>"), "{page}");
}

#[test]
fn pages_are_answers_with_a_policy() {
    use crate::service::{Method, Protocol};
    let echo = Method::new("echo").param("value", DataType::Int64).returns(DataType::Int64);
    let echo = echo.unary(|args, _| args.get::<i64>("value"));
    let service = Service::builder("5e7").protocol(Protocol::new("Echo").method(echo)).build().unwrap();
    let pages = Pages::new(&service, "/vgi", None);
    let statuses = [pages.landing(), pages.describe(), pages.not_found()].map(|reply| {
        assert_eq!(reply.headers[CONTENT_SECURITY_POLICY], security_policy());
        assert_eq!(reply.headers[http::header::CONTENT_TYPE], HTML);
        assert!(reply.len() > 0);
        reply.status.as_u16()
    });
    assert_eq!(statuses, [200, 200, 404]);
    assert!(
        describe(Site { server_id: "", prefix: "", url: "https://HOST", protocols: &[] }).contains("</html>")
    );
}

#[test]
fn nothing_foreign_becomes_markup() {
    let hostile = ProtocolInfo {
        name: HOSTILE.into(),
        version: None,
        deprecated: Some(HOSTILE.into()),
        methods: vec![method(HOSTILE)],
        hash: HOSTILE.into(),
    };
    for page in pages(Site { server_id: HOSTILE, prefix: HOSTILE, url: HOSTILE, protocols: &[&hostile] }) {
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains("alert('"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;"));
    }
}

#[test]
fn pages_load_nothing_and_their_style_is_the_one_that_the_policy_allows() {
    let protocol = protocol();
    let policy = security_policy();
    for page in pages(Site { server_id: "5e7", prefix: "", url: "https://HOST", protocols: &[&protocol] }) {
        for loader in ["src=", "<link", "url(", "@import", "href=\"http", "style=", "onclick"] {
            assert!(!page.contains(loader), "{loader}");
        }
        let (_, rest) = page.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        let hash = BASE64_STANDARD.encode(Sha256::digest(style));
        assert!(policy.to_str().unwrap().contains(&format!("'sha256-{hash}'")));
        assert_eq!(page.matches("<style").count(), 1);
    }
}
