//! `conformance.Secondary.v1`: a second protocol, which has a method with the same name as one of the primary's, and
//! exercises the error model. MULTI_PROTOCOL_HOSTING.

use arrow_schema::DataType::{Float64, Utf8};
use serde_json::json;
use std::time::Duration;
use vgi_rpc_protocol::service::{Args, CallContext, Method, Protocol};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::detail::{BadRequest, Detail, ErrorInfo, FieldViolation, RetryInfo};
use vgi_rpc_protocol::wire::error::RpcError;

const NAME: &str = "conformance.Secondary.v1";
/// More than an error's details may have in total.
const PADDING_BYTES: usize = 5000;

/// Returns the protocol. It declares no version, to show that only the primary's version is checked.
pub fn protocol() -> Protocol {
    Protocol::new(NAME)
        .method(Method::new("echo_string").param("value", Utf8).returns(Utf8).unary(echo_string))
        .method(
            Method::new("fail")
                .param("code", Utf8)
                .param("kind", Utf8)
                .param("retry_delay_seconds", Float64)
                .unary(fail),
        )
        .method(Method::new("fail_oversized").unary(fail_oversized))
}

/// Returns a different result than the primary's method of this name, so that a misrouted call is noticed.
fn echo_string(args: &Args, _: &mut CallContext) -> Result<String, RpcError> {
    Ok(format!("secondary:{}", args.get::<&str>("value")?))
}

/// Fails with the requested error: one detail of the catalog, one more if a delay is given, and one that no client knows.
fn fail(args: &Args, _: &mut CallContext) -> Result<(), RpcError> {
    let (name, kind): (&str, &str) = (args.get("code")?, args.get("kind")?);
    let retry_delay_seconds: f64 = args.get("retry_delay_seconds")?;
    let Ok(code) = name.parse::<Code>() else { return Err(invalid_code(name)) };

    let message = format!("{NAME} fail: {name} {kind}");
    let fixture = [("fixture".to_owned(), NAME.to_owned())].into();
    let mut error = RpcError::status(code, message.trim_end())
        .with_kind(kind)
        .with_detail(Detail::ErrorInfo(ErrorInfo { metadata: fixture }));
    if retry_delay_seconds > 0.0 {
        error = error.with_detail(Detail::RetryInfo(RetryInfo { retry_delay_seconds }));
    }
    let unknown = json!({
        "@type": format!("{NAME}.Probe"),
        "note": "clients ignore detail types they do not know",
    });
    Err(error.with_detail(Detail::Other(unknown)))
}

fn invalid_code(name: &str) -> RpcError {
    let violation =
        FieldViolation { field: "code".into(), description: "must be a canonical code name".into() };
    RpcError::status(Code::InvalidArgument, format!("'{name}' is not a canonical error code"))
        .with_kind("invalid_code")
        .with_detail(BadRequest { field_violations: vec![violation] })
}

/// Fails with a small detail before one that is too large: neither may arrive.
fn fail_oversized(_: &Args, _: &mut CallContext) -> Result<(), RpcError> {
    let padding = [("padding".to_owned(), "x".repeat(PADDING_BYTES))].into();
    let message = format!("{NAME} fail_oversized: details exceed 4 KiB");
    Err(RpcError::status(Code::ResourceExhausted, message)
        .with_kind("details_oversized")
        .with_detail(RetryInfo::after(Duration::from_secs(1)))
        .with_detail(ErrorInfo { metadata: padding }))
}
