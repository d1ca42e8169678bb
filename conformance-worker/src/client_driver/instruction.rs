//! Instructions, as JSON. CLIENT_DRIVER_PROTOCOL 4.

use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// One line of the control channel. Unknown fields are ignored, as the contract requires.
///
/// `stream_open` states whether the stream is an exchange. This is ignored, since the client does not know it either
/// until the first `tick` or `exchange`.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Instruction {
    Connect(Connect),
    Describe,
    Shutdown,
    Unary { request_b64: String },
    StreamOpen { request_b64: String, has_header: bool },
    Tick { input_b64: Option<String> },
    NextWithToken,
    Exchange { input_b64: String },
    Cancel,
    Close,
    Capabilities,
    RequestUploadUrls { count: u8 },
    SessionBegin { token: Option<String> },
    SessionToken,
    SessionEchoHeaders,
    SessionDetach,
    SessionEnd,
}

/// What to connect to, and how.
#[derive(Debug, Deserialize, PartialEq)]
pub struct Connect {
    #[serde(flatten)]
    pub target: Target,
    /// Wire name of the protocol that calls address.
    pub protocol: String,
    /// Whether the client fetches the targets of pointers.
    #[serde(default)]
    pub external: bool,
    /// Absent for the client's default, null for uncompressed requests, or a level of zstd.
    #[serde(default, deserialize_with = "present")]
    pub compression_level: Option<Option<i32>>,
    /// Size of the segment of the transport `shm`, in bytes.
    #[serde(default = "default_shm_size")]
    pub shm_size: u64,
    /// Headers of every HTTP request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// A transport, and its address.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(tag = "transport", content = "target", rename_all = "lowercase")]
pub enum Target {
    /// A program and its arguments.
    Stdio(Vec<String>),
    /// Like `Stdio`, with shared memory.
    Shm(Vec<String>),
    /// The path of a socket.
    Unix(String),
    /// `HOST:PORT`; an empty host means 127.0.0.1.
    Tcp(String),
    /// A base URL.
    Http(String),
}

impl Instruction {
    /// Parses one line.
    ///
    /// # Errors
    /// If the line is invalid, with the reason.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| format!("the instruction cannot be read: {error}"))
    }
}

/// The default size of a segment.
fn default_shm_size() -> u64 {
    4 << 20
}

/// Returns the value of a field that is present, even if it is null.
fn present<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Option<i32>>, D::Error> {
    Option::deserialize(field).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parse(request: &Value) -> Result<Instruction, String> {
        Instruction::parse(request.to_string().as_bytes())
    }

    fn connect(mut fields: Value) -> Connect {
        fields["op"] = "connect".into();
        match parse(&fields) {
            Ok(Instruction::Connect(connect)) => connect,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_compression_level_has_three_states() {
        let of = |fields: &Value| connect(fields.clone()).compression_level;
        let mut fields = json!({"transport": "http", "target": "http://x", "protocol": "P"});
        assert_eq!(of(&fields), None);
        fields["compression_level"] = Value::Null;
        assert_eq!(of(&fields), Some(None));
        fields["compression_level"] = 3.into();
        assert_eq!(of(&fields), Some(Some(3)));
    }

    #[test]
    fn the_target_is_of_the_shape_that_its_transport_has() {
        let stdio =
            connect(json!({"transport": "stdio", "target": ["a", "b"], "protocol": "P", "shm_size": 1}));
        assert_eq!(stdio.target, Target::Stdio(vec!["a".to_owned(), "b".to_owned()]));
        assert!(!stdio.external && stdio.headers.is_empty() && stdio.shm_size == 1);
        let tcp = connect(json!({"protocol": "P", "target": ":80", "transport": "tcp", "external": true}));
        assert_eq!(tcp.target, Target::Tcp(":80".to_owned()));
        assert!(tcp.external && tcp.shm_size == 4 << 20);
        let headers = json!({"X-A": "b"});
        let http = connect(json!({"transport": "http", "target": "u", "protocol": "P", "headers": headers}));
        assert_eq!(http.headers["X-A"], "b");
        assert!(
            parse(&json!({"op": "connect", "transport": "unix", "target": ["x"], "protocol": "P"})).is_err()
        );
    }

    #[test]
    fn nothing_that_is_required_has_a_default() {
        let refused = [
            json!({"op": "connect", "transport": "unix", "target": "x"}),
            json!({"op": "connect", "transport": "carrier pigeon", "target": "x", "protocol": "P"}),
            json!({"op": "unary"}),
            json!({"op": "stream_open", "request_b64": ""}),
            json!({"op": "exchange"}),
            json!({"op": "request_upload_urls"}),
            json!({"op": "no_such_op"}),
            json!({"request_b64": ""}),
            json!([]),
        ];
        for request in refused {
            assert!(parse(&request).is_err(), "{request}");
        }
        assert!(Instruction::parse(b"{\"op\": \"close\"").is_err());
    }

    #[test]
    fn unknown_fields_are_ignored() {
        assert_eq!(parse(&json!({"op": "describe", "colour": "red"})), Ok(Instruction::Describe));
        let opened =
            parse(&json!({"op": "stream_open", "request_b64": "", "has_header": true, "is_exchange": false}));
        assert_eq!(opened, Ok(Instruction::StreamOpen { request_b64: String::new(), has_header: true }));
        assert_eq!(parse(&json!({"op": "tick"})), Ok(Instruction::Tick { input_b64: None }));
        assert_eq!(parse(&json!({"op": "session_begin"})), Ok(Instruction::SessionBegin { token: None }));
    }
}
