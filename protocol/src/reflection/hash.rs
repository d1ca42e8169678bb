//! The fingerprint of a protocol's wire surface, and the canonical JSON that is hashed. WIRE_PROTOCOL 14 (`protocol_hash`).

use super::type_token::{UnknownType, type_token};
use crate::description::{MethodInfo, MethodKind};
use arrow_schema::Schema;
use sha2::{Digest, Sha256};

/// Separates the digest from other uses of SHA-256. It changes with the definition of the hash.
const DOMAIN: &[u8] = b"vgi_rpc.protocol_hash.v1|";

/// A method cannot be part of a hashed protocol: the type of one of its fields has no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("method {method:?}, field {field:?}: {error}")]
pub struct HashError {
    /// Name of the method.
    pub method: String,
    /// Name of the field in its parameters, result or header.
    pub field: String,
    /// The type without a token.
    pub error: UnknownType,
}

/// Returns the fingerprint of a protocol's wire surface: 64 lowercase hex digits, equal for equal surfaces in every
/// implementation and independent of the order of `methods`. WIRE_PROTOCOL 14 (`protocol_hash`).
///
/// # Errors
///
/// [`HashError`] if a field has a type without a token.
pub fn protocol_hash(protocol: &str, methods: &[MethodInfo]) -> Result<String, HashError> {
    let mut hasher = Sha256::new();
    hasher.update(DOMAIN);
    hasher.update(preimage(protocol, methods)?);
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Returns the input of [`protocol_hash`] after its domain tag: RFC 8785 canonical JSON of the protocol's name and methods. It is
/// public so that two implementations whose digests differ can compare it. WIRE_PROTOCOL 14 (`protocol_hash`).
///
/// # Errors
///
/// [`HashError`] if a field has a type without a token.
pub fn preimage(protocol: &str, methods: &[MethodInfo]) -> Result<String, HashError> {
    let mut methods: Vec<&MethodInfo> = methods.iter().collect();
    methods.sort_by(|a, b| a.name.cmp(&b.name));

    // Canonical JSON sorts keys. All keys are known here, so they are written in that order.
    let mut json = String::from("{\"methods\":[");
    for (position, method) in methods.into_iter().enumerate() {
        if position > 0 {
            json.push(',');
        }
        push_method(&mut json, method)?;
    }
    json.push_str("],\"protocol\":");
    push_string(&mut json, protocol);
    json.push('}');
    Ok(json)
}

fn push_method(json: &mut String, method: &MethodInfo) -> Result<(), HashError> {
    let (has_header, has_return) = (method.header.is_some(), method.result.is_some());
    json.push_str(&format!("{{\"has_header\":{has_header},\"has_return\":{has_return}"));
    if let Some(header) = &method.header {
        json.push_str(",\"header\":");
        push_fields(json, method, header)?;
    }
    json.push_str(",\"name\":");
    push_string(json, &method.name);
    json.push_str(",\"params\":");
    push_fields(json, method, &method.params)?;
    // Omitted, not empty, if nothing is returned: the two must have different hashes.
    if let Some(result) = &method.result {
        json.push_str(",\"result\":");
        push_fields(json, method, result)?;
    }
    json.push_str(match method.kind {
        MethodKind::Unary => ",\"type\":\"unary\"}",
        MethodKind::Stream(_) => ",\"type\":\"stream\"}",
    });
    Ok(())
}

fn push_fields(json: &mut String, method: &MethodInfo, schema: &Schema) -> Result<(), HashError> {
    json.push('[');
    for (position, field) in schema.fields().iter().enumerate() {
        if position > 0 {
            json.push(',');
        }
        let token = type_token(field).map_err(|error| HashError {
            method: method.name.clone(),
            field: field.name().clone(),
            error,
        })?;
        json.push_str("{\"name\":");
        push_string(json, field.name());
        json.push_str(&format!(",\"nullable\":{},\"type\":", field.is_nullable()));
        push_string(json, &token);
        json.push('}');
    }
    json.push(']');
    Ok(())
}

/// Writes a string as in RFC 8785, 3.2.2.2: a short escape if there is one, other control characters as `\u00xx`, the rest
/// verbatim.
fn push_string(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\u{8}' => json.push_str("\\b"),
            '\t' => json.push_str("\\t"),
            '\n' => json.push_str("\\n"),
            '\u{c}' => json.push_str("\\f"),
            '\r' => json.push_str("\\r"),
            '\0'..='\u{1f}' => json.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => json.push(character),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::{Idempotency, StreamKind};
    use arrow_schema::{DataType, Field, FieldRef, TimeUnit};
    use serde_json::Value;
    use std::sync::Arc;

    fn method(name: &str, kind: MethodKind, params: Schema, result: Option<Schema>) -> MethodInfo {
        MethodInfo {
            name: name.to_owned(),
            kind,
            params: Arc::new(params),
            result: result.map(Arc::new),
            header: None,
            input: None,
            output: None,
            defaults: None,
            doc: String::new(),
            idempotency: Idempotency::Unknown,
            deprecated: None,
        }
    }

    #[test]
    fn reflection_itself_has_the_digest_that_every_port_agrees_on() {
        let methods = crate::reflection::methods();
        assert_eq!(
            preimage(crate::reflection::PROTOCOL_NAME, &methods).unwrap(),
            concat!(
                r#"{"methods":[{"has_header":false,"has_return":true,"name":"describe","params":[{"name":"protocol","#,
                r#""nullable":false,"type":"utf8"}],"result":[{"name":"result","nullable":false,"type":"binary"}],"#,
                r#""type":"unary"},{"has_header":false,"has_return":true,"name":"list_protocols","params":[],"#,
                r#""result":[{"name":"result","nullable":false,"type":"binary"}],"type":"unary"}],"#,
                r#""protocol":"vgi_rpc.Reflection.v1"}"#,
            )
        );
        assert_eq!(
            protocol_hash(crate::reflection::PROTOCOL_NAME, &methods).unwrap(),
            "3c7db4cae8cdfc93dc4a76e73b8b759e18e45e6a5811adba4e520366344b919a"
        );
    }

    #[test]
    fn the_conformance_service_has_the_digest_of_the_shared_vector() {
        let vector = include_str!("../../tests/vectors/protocol_hash_vector.json");
        let (digest, json) = vector.split_once('\n').unwrap();
        let parsed: Value = serde_json::from_str(json).unwrap();
        let mut methods: Vec<_> =
            parsed["methods"].as_array().unwrap().iter().map(method_from_json).collect();
        methods.reverse(); // the order they are given in must not matter
        assert_eq!(preimage("ConformanceService", &methods).unwrap(), json.trim_end());
        let digest = digest.strip_prefix("# sha256 = ").unwrap();
        assert_eq!(protocol_hash("ConformanceService", &methods).unwrap(), digest);
    }

    #[test]
    fn void_and_empty_results_differ() {
        let void = [method("m", MethodKind::Unary, Schema::empty(), None)];
        let empty = [method("m", MethodKind::Unary, Schema::empty(), Some(Schema::empty()))];
        assert!(!preimage("P", &void).unwrap().contains("\"result\""));
        assert!(preimage("P", &empty).unwrap().contains("\"result\":[]"));
        // Both digests are the reference's.
        assert_eq!(
            protocol_hash("P", &void).unwrap(),
            "87f7a1d3bba412ff3996b2664a31fc7a78dca7f969e9981b789a472df6f248d2"
        );
        assert_eq!(
            protocol_hash("P", &empty).unwrap(),
            "03384a0623d8079e6fc4f6c25fdec392b20423ba3bb82a0f1210f8fd5027cfe1"
        );
    }

    #[test]
    fn only_the_wire_surface_counts() {
        let plain = method("m", MethodKind::Stream(StreamKind::Unknown), Schema::empty(), None);
        let mut adorned = method("m", MethodKind::Stream(StreamKind::Exchange), Schema::empty(), None);
        adorned.doc = "What it does.".to_owned();
        adorned.idempotency = Idempotency::NoSideEffects;
        adorned.deprecated = Some("Call n.".to_owned());
        assert_eq!(preimage("P", &[plain]), preimage("P", &[adorned]));
    }

    #[test]
    fn strings_are_escaped_as_canonical_json_wants() {
        let mut json = String::new();
        push_string(&mut json, "\u{0}\u{8}\t\n\u{b}\u{c}\r\u{1f}\"\\/\u{7f}é€😀");
        assert_eq!(json, "\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\\\"\\\\/\u{7f}é€😀\"");
    }

    #[test]
    fn an_untokenable_type_names_its_place() {
        let params = Schema::new(vec![Field::new("price", DataType::Decimal32(5, 2), false)]);
        let error = protocol_hash("P", &[method("buy", MethodKind::Unary, params, None)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "method \"buy\", field \"price\": the Arrow type Decimal32(5, 2) has no token for the protocol hash"
        );
    }

    fn method_from_json(json: &Value) -> MethodInfo {
        let kind = match json["type"].as_str().unwrap() {
            "unary" => MethodKind::Unary,
            "stream" => MethodKind::Stream(StreamKind::Unknown),
            other => panic!("{other}"),
        };
        let schema = |key: &str| json.get(key).map(schema_from_json);
        let mut method =
            method(json["name"].as_str().unwrap(), kind, schema("params").unwrap(), schema("result"));
        method.header = schema("header").map(Arc::new);
        method
    }

    fn schema_from_json(json: &Value) -> Schema {
        let field = |field: &Value| {
            let data_type = type_from_token(field["type"].as_str().unwrap());
            Field::new(field["name"].as_str().unwrap(), data_type, field["nullable"].as_bool().unwrap())
        };
        Schema::new(json.as_array().unwrap().iter().map(field).collect::<Vec<_>>())
    }

    /// Parses only the tokens that occur in the vector.
    fn type_from_token(token: &str) -> DataType {
        let inside = |prefix: &str| token.strip_prefix(prefix).and_then(|rest| rest.strip_suffix('>'));
        if let Some(item) = inside("list<") {
            return DataType::List(child_from_token(item));
        } else if let Some(children) = inside("struct<") {
            return DataType::Struct(children.split(',').map(child_from_token).collect());
        } else if let Some((key, value)) = inside("map<").and_then(|inner| inner.split_once(',')) {
            let entries = DataType::Struct([key, value].into_iter().map(child_from_token).collect());
            return DataType::Map(Arc::new(Field::new("entries", entries, false)), false);
        }
        match token {
            "binary" => DataType::Binary,
            "bool" => DataType::Boolean,
            "date32" => DataType::Date32,
            "decimal128(20,4)" => DataType::Decimal128(20, 4),
            "dictionary<index:int16,value:utf8>" => {
                DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8))
            }
            "duration(us)" => DataType::Duration(TimeUnit::Microsecond),
            "fixed_size_binary(8)" => DataType::FixedSizeBinary(8),
            "float32" => DataType::Float32,
            "float64" => DataType::Float64,
            "int8" => DataType::Int8,
            "int16" => DataType::Int16,
            "int32" => DataType::Int32,
            "int64" => DataType::Int64,
            "large_binary" => DataType::LargeBinary,
            "large_utf8" => DataType::LargeUtf8,
            "time64(us)" => DataType::Time64(TimeUnit::Microsecond),
            "timestamp(us)" => DataType::Timestamp(TimeUnit::Microsecond, None),
            "timestamp(us,tz=UTC)" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            "uint8" => DataType::UInt8,
            "uint16" => DataType::UInt16,
            "uint32" => DataType::UInt32,
            "uint64" => DataType::UInt64,
            "utf8" => DataType::Utf8,
            other => panic!("{other}"),
        }
    }

    fn child_from_token(child: &str) -> FieldRef {
        let (name, token) = child.split_once(':').unwrap();
        let nullable = name.ends_with('?');
        Arc::new(Field::new(name.trim_end_matches('?'), type_from_token(token), nullable))
    }
}
