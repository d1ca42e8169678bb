//! `vgi_rpc.Reflection.v1`: a server's description of the protocols that it hosts. WIRE_PROTOCOL 14.
//!
//! This module has the content of reflection: the payloads of its two methods, the fingerprint of a protocol and its type tokens,
//! and the description of reflection's own methods. All of it is a function of [`ProtocolInfo`] and bytes.
//!
//! Reflection is hosted and dispatched like any other protocol, by `service`, which also decides which protocols are hosted and
//! in what order they are listed.
// Where things are:
//
// | file | subject |
// | --- | --- |
// | `payload` | the methods' responses, as bytes |
// | `hash` | the fingerprint of a protocol |
// | `type_token` | its notation of Arrow types |

mod hash;
mod payload;
mod type_token;

pub use hash::{HashError, preimage, protocol_hash};
pub use payload::{DecodeError, MethodDescription, ProtocolList, ProtocolSummary, ServiceDescription};
pub use type_token::{UnknownType, type_token};

use crate::description::{Idempotency, MethodInfo, MethodKind, ProtocolInfo};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// Wire name of the protocol. Its last part is the major version: an incompatible reflection has another name.
pub const PROTOCOL_NAME: &str = "vgi_rpc.Reflection.v1";

/// Returns reflection's own methods, since it also describes itself: `describe`, then `list_protocols`. WIRE_PROTOCOL 14
/// (Methods).
///
/// Both return the bytes of a payload: `describe` a [`ServiceDescription`], `list_protocols` a [`ProtocolList`].
pub fn methods() -> Vec<MethodInfo> {
    let result = schema([Field::new("result", DataType::Binary, false)]);
    let method = |name: &str, params: SchemaRef, doc: &str| MethodInfo {
        name: name.to_owned(),
        kind: MethodKind::Unary,
        params,
        result: Some(result.clone()),
        header: None,
        input: None,
        output: None,
        defaults: None,
        doc: doc.to_owned(),
        // Calls could be repeated, but every implementation describes a protocol in the same way, and the reference does not
        // declare this.
        idempotency: Idempotency::Unknown,
        deprecated: None,
    };
    vec![
        method(
            "describe",
            schema([Field::new("protocol", DataType::Utf8, false)]),
            "Describes one hosted protocol: its methods with their schemas.",
        ),
        method(
            "list_protocols",
            schema([]),
            "Lists the hosted protocols with their versions and fingerprints, this one included.",
        ),
    ]
}

/// Returns the response of `describe` for a protocol. WIRE_PROTOCOL 14 (`ServiceDescription`).
pub fn describe(info: &ProtocolInfo) -> ServiceDescription {
    let mut methods: Vec<MethodDescription> = info.methods.iter().map(describe_method).collect();
    methods.sort_by(|a, b| a.name.cmp(&b.name));
    ServiceDescription { summary: summarize(info), methods }
}

/// Returns a protocol's entry in the response of `list_protocols`. WIRE_PROTOCOL 14 (`ProtocolSummary`).
pub fn summarize(info: &ProtocolInfo) -> ProtocolSummary {
    ProtocolSummary {
        protocol: info.name.clone(),
        protocol_version: info.version.map_or_else(String::new, |version| version.to_string()),
        protocol_hash: info.hash.clone(),
        deprecated: info.deprecated.clone(),
    }
}

fn describe_method(method: &MethodInfo) -> MethodDescription {
    MethodDescription {
        name: method.name.clone(),
        kind: method.kind,
        params: method.params.clone(),
        result: method.result.clone(),
        header: method.header.clone(),
        idempotency: method.idempotency,
        deprecated: method.deprecated.clone(),
    }
}

fn schema<const N: usize>(fields: [Field; N]) -> SchemaRef {
    Arc::new(Schema::new(fields.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::{StreamKind, Version};

    #[test]
    fn reflection_describes_itself() {
        let methods = methods();
        let hash = protocol_hash(PROTOCOL_NAME, &methods).unwrap();
        let info = ProtocolInfo {
            name: PROTOCOL_NAME.to_owned(),
            version: None,
            deprecated: None,
            methods,
            hash: hash.clone(),
        };
        let described = ServiceDescription::decode(&describe(&info).encode().unwrap()).unwrap();
        assert_eq!(described.summary, summarize(&info));
        assert_eq!(described.summary.protocol_version, "");
        assert_eq!(described.summary.protocol_hash, hash);
        let names: Vec<_> = described.methods.iter().map(|method| method.name.as_str()).collect();
        assert_eq!(names, ["describe", "list_protocols"]);
        for (described, method) in described.methods.iter().zip(&info.methods) {
            assert_eq!((&described.params, &described.result), (&method.params, &method.result));
            assert_eq!((described.kind, &described.header), (MethodKind::Unary, &None));
            assert!(!method.doc.is_empty());
        }
    }

    #[test]
    fn defaults_are_neither_described_nor_hashed() {
        let encode = |methods: Vec<MethodInfo>| {
            let hash = protocol_hash("demo.A.v1", &methods).unwrap();
            let name = "demo.A.v1".to_owned();
            describe(&ProtocolInfo { name, version: None, deprecated: None, methods, hash }).encode().unwrap()
        };
        let mut methods = methods();
        let without = encode(methods.clone());
        let default = Arc::new(arrow_array::StringArray::from(vec!["demo.A.v1"])) as _;
        let row = arrow_array::RecordBatch::try_from_iter([("protocol", default)]).unwrap();
        methods[0].defaults = Some(row);
        assert_eq!(encode(methods), without);
    }

    #[test]
    fn a_description_is_sorted_and_carries_what_the_protocol_declares() {
        let mut methods = methods();
        methods.reverse();
        for method in &mut methods {
            method.kind = MethodKind::Stream(StreamKind::Exchange);
            method.result = None;
            method.header = Some(schema([]));
            method.idempotency = Idempotency::Idempotent;
            method.deprecated = Some("Stop.".to_owned());
        }
        let info = ProtocolInfo {
            name: "demo.Old.v1".to_owned(),
            version: Some(Version { major: 1, minor: 20, patch: 3 }),
            deprecated: Some("Call demo.New.v1.".to_owned()),
            methods,
            hash: String::new(),
        };
        let described = describe(&info);
        assert_eq!(described.summary.protocol_version, "1.20.3");
        assert_eq!(described.summary.deprecated.as_deref(), Some("Call demo.New.v1."));
        assert_eq!(described.methods[0].name, "describe");
        assert_eq!(
            described.methods[1],
            MethodDescription {
                name: "list_protocols".to_owned(),
                kind: MethodKind::Stream(StreamKind::Exchange),
                params: schema([]),
                result: None,
                header: Some(schema([])),
                idempotency: Idempotency::Idempotent,
                deprecated: Some("Stop.".to_owned()),
            }
        );
    }
}
