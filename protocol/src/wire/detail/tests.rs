//! Details: the JSON form of each type, the cap and the rules, tolerant decoding. MULTI_PROTOCOL_HOSTING 3, V5 to V7.

use super::*;
use serde_json::json;

fn error_info(key: &str, value: &str) -> Detail {
    ErrorInfo { metadata: [(key.to_owned(), value.to_owned())].into() }.into()
}

fn retry(seconds: f64) -> Detail {
    RetryInfo { retry_delay_seconds: seconds }.into()
}

#[test]
fn every_type_has_the_form_of_the_reference_and_reads_back() {
    let quota = QuotaViolation { subject: "s".into(), description: "d".into() };
    let precondition =
        PreconditionViolation { violation_type: "t".into(), subject: "s".into(), description: "d".into() };
    let table: [(Detail, &str); 9] = [
        (error_info("k", "v"), r#"{"@type":"vgi_rpc.ErrorInfo","metadata":{"k":"v"}}"#),
        (retry(7.0), r#"{"@type":"vgi_rpc.RetryInfo","retry_delay_seconds":7}"#),
        (retry(2.5), r#"{"@type":"vgi_rpc.RetryInfo","retry_delay_seconds":2.5}"#),
        (
            BadRequest {
                field_violations: vec![FieldViolation { field: "code".into(), description: "bad".into() }],
            }
            .into(),
            r#"{"@type":"vgi_rpc.BadRequest","field_violations":[{"field":"code","description":"bad"}]}"#,
        ),
        (
            PreconditionFailure { violations: vec![precondition] }.into(),
            r#"{"@type":"vgi_rpc.PreconditionFailure","violations":[{"type":"t","subject":"s","description":"d"}]}"#,
        ),
        (
            QuotaFailure { violations: vec![quota] }.into(),
            r#"{"@type":"vgi_rpc.QuotaFailure","violations":[{"subject":"s","description":"d"}]}"#,
        ),
        (
            ResourceInfo {
                resource_type: "report".into(),
                resource_name: "r1".into(),
                owner: "o".into(),
                description: "d".into(),
            }
            .into(),
            concat!(
                r#"{"@type":"vgi_rpc.ResourceInfo","resource_type":"report","resource_name":"r1","#,
                r#""owner":"o","description":"d"}"#
            ),
        ),
        (
            Help { links: vec![HelpLink { description: "docs".into(), url: "https://example.com".into() }] }
                .into(),
            r#"{"@type":"vgi_rpc.Help","links":[{"description":"docs","url":"https://example.com"}]}"#,
        ),
        (
            LocalizedMessage { locale: "en-US".into(), message: "Try later".into() }.into(),
            r#"{"@type":"vgi_rpc.LocalizedMessage","locale":"en-US","message":"Try later"}"#,
        ),
    ];
    for (detail, wire) in table {
        assert_eq!(serde_json::to_string(&detail).unwrap(), wire);
        assert_eq!(encode_details(std::slice::from_ref(&detail)), Some(format!("[{wire}]")));
        assert_eq!(Detail::from_json(detail.to_json()), detail);
        assert_eq!(detail.to_json()["@type"].as_str(), detail.type_name());
    }
}

#[test]
fn absent_fields_read_as_empty_and_unknown_ones_are_ignored() {
    let read = |value| Detail::from_json(value);
    assert_eq!(read(json!({"@type": "vgi_rpc.ErrorInfo"})), ErrorInfo::default().into());
    assert_eq!(read(json!({"@type": "vgi_rpc.ResourceInfo", "new": 1})), ResourceInfo::default().into());
    assert_eq!(read(json!({"@type": "vgi_rpc.Help"})), Help::default().into());
    assert_eq!(
        read(json!({"@type": "vgi_rpc.BadRequest", "field_violations": [{}]})),
        BadRequest { field_violations: vec![FieldViolation::default()] }.into()
    );
}

/// V5: the cap counts the bytes of the value as sent.
#[test]
fn v5_the_cap_is_4096_bytes_of_utf8() {
    let padded = |count| encode_details(&[error_info("p", &"x".repeat(count))]);
    assert_eq!(padded(4045).map(|text| text.len()), Some(4096));
    assert_eq!(padded(4046), None);
    let accented = LocalizedMessage { locale: "fr".into(), message: "é".repeat(2048) };
    assert_eq!(encode_details(&[accented.into()]), None);
}

#[test]
fn one_detail_too_many_bytes_drops_the_small_ones_too() {
    assert_eq!(encode_details(&[retry(1.0), error_info("padding", &"x".repeat(5000))]), None);
    assert_eq!(encode_details(&[]), None);
}

/// V6: an array that breaks a rule is not sent.
#[test]
fn v6_rule_violations_drop_the_array() {
    let other = |value| Detail::Other(value);
    let fine = other(json!({"@type": "vgi.reports.v1.Thing"}));
    assert!(encode_details(&[fine.clone(), retry(1.0)]).is_some());
    for broken in [
        vec![retry(1.0), retry(2.0)],
        vec![fine.clone(), fine.clone()],
        vec![fine.clone(), other(json!({"@type": "vgi_rpc.Made.Up"}))],
        vec![other(json!({"@type": "Unqualified"}))],
        vec![other(json!({"note": "no type"}))],
        vec![other(json!({"@type": ""}))],
        vec![other(json!({"@type": 7}))],
        vec![other(json!("vgi.reports.v1.Thing"))],
        vec![retry(-1.0)],
        vec![retry(f64::NAN)],
        vec![retry(f64::INFINITY)],
    ] {
        assert_eq!(encode_details(&broken), None, "{broken:?}");
    }
}

/// V7: damaged elements are kept but have no typed form.
#[test]
fn v7_unknown_and_malformed_elements_are_kept_as_they_came() {
    let elements = json!([
        "not an object",
        1,
        null,
        ["vgi_rpc.RetryInfo", 5],
        {"no": "type"},
        {"@type": "conformance.Secondary.v1.Probe"},
        {"@type": "vgi_rpc.Made.Up"},
        {"@type": "vgi_rpc.RetryInfo"},
        {"@type": "vgi_rpc.RetryInfo", "retry_delay_seconds": "soon"},
        {"@type": "vgi_rpc.RetryInfo", "retry_delay_seconds": true},
        {"@type": "vgi_rpc.RetryInfo", "retry_delay_seconds": -1},
        {"@type": "vgi_rpc.ErrorInfo", "metadata": {"k": 1}},
        {"@type": "vgi_rpc.BadRequest", "field_violations": [["a", "b"]]},
        {"@type": "vgi_rpc.LocalizedMessage", "locale": null},
    ]);
    let decoded = decode_details(elements.to_string().as_bytes());
    let kept: Vec<Detail> = elements.as_array().unwrap().iter().cloned().map(Detail::Other).collect();
    assert_eq!(decoded, kept);
}

/// V7: a value that is not an array has no details.
#[test]
fn v7_garbage_decodes_as_no_details() {
    let deep = "[".repeat(10_000);
    for garbage in [&b""[..], b"{", b"\xff", b"null", br#"{"@type":"vgi_rpc.RetryInfo"}"#, deep.as_bytes()] {
        assert_eq!(decode_details(garbage), []);
    }
}

#[test]
fn text_is_escaped_as_the_reference_escapes_it() {
    let message =
        LocalizedMessage { locale: String::new(), message: "ü\u{1}\u{2028}\u{7f}\n\u{8}\"\\/<".into() };
    assert_eq!(
        encode_details(&[message.into()]).unwrap(),
        concat!(
            r#"[{"@type":"vgi_rpc.LocalizedMessage","locale":"","#,
            "\"message\":\"ü\\u0001\u{2028}\u{7f}\\n\\b\\\"\\\\/<\"}]"
        )
    );
}

#[test]
fn delays_convert_without_panics_at_the_edges() {
    assert_eq!(RetryInfo::after(Duration::from_millis(1500)).retry_delay_seconds, 1.5);
    let delay = |seconds| RetryInfo { retry_delay_seconds: seconds }.delay();
    assert_eq!(delay(1.5), Duration::from_millis(1500));
    assert_eq!(delay(1e300), Duration::MAX);
    assert_eq!(delay(f64::INFINITY), Duration::MAX);
    assert_eq!(delay(-1.0), Duration::ZERO);
    assert_eq!(delay(f64::NAN), Duration::ZERO);
    assert_eq!(encode_details(&[retry(-0.0)]).unwrap(), encode_details(&[retry(0.0)]).unwrap());
    assert_eq!(decode_details(encode_details(&[retry(1e20)]).unwrap().as_bytes()), [retry(1e20)]);
}

#[test]
fn typed_access_finds_its_own_type_only() {
    let detail = retry(7.0);
    assert_eq!(RetryInfo::of(&detail), Some(&RetryInfo { retry_delay_seconds: 7.0 }));
    assert_eq!(ErrorInfo::of(&detail), None);
    assert_eq!(detail.type_name(), Some(RetryInfo::TYPE));
}
