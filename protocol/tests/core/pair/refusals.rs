//! Requests that are refused before a handler runs, and what may follow them.

use super::*;
use arrow_array::{ArrayRef, DictionaryArray, Int8Array, RecordBatch, StringArray};

const MISMATCH: Option<&str> = Some("protocol_version_mismatch");

#[test]
fn versions_of_equal_major_and_minor_interoperate() {
    for script in [versioned_same(), versioned_other_patch()] {
        assert_eq!(play(script), ["output result=v", "finished"]);
    }
    assert_eq!(play(versioned_stream()), ["output n=0", "finished"]);
}

#[test]
fn other_versions_are_refused_with_both_versions_and_advice() {
    let older = ["1.3.9", VERSION, VERSIONED, "upgrade", "client is too old"];
    let newer = ["2.0.0", VERSION, VERSIONED, "upgrade", "server is too old"];
    for (script, says) in [
        (version_older(), &older[..]),
        (version_newer(), &newer),
        (version_older_on_a_stream(), &older),
        (version_missing(), &[VERSION, VERSIONED, "not declared"]),
        (version_malformed(), &["1.4", VERSION, "canonical"]),
        (version_not_utf8(), &[VERSION, "canonical"]),
    ] {
        let error = refused(script);
        assert_error(&error, "ProtocolVersionError", Code::FailedPrecondition, MISMATCH, says);
        let detail: &PreconditionFailure = error.detail().unwrap();
        let violation = &detail.violations[0];
        assert_eq!((&*violation.violation_type, &*violation.subject), ("protocol_version", VERSIONED));
        assert!(matches!(error.details(), [Detail::PreconditionFailure(_)]));
    }
}

#[test]
fn the_version_gate_comes_before_the_parameters() {
    let script = vec![versioned(Some("9.0.0"), unary("echo", row([("wrong", int(1))])))];
    assert_error(&refused(script), "ProtocolVersionError", Code::FailedPrecondition, MISMATCH, &[]);
}

#[test]
fn reflection_answers_any_version() {
    for version in [None, Some("99.0.0"), Some("nonsense")] {
        let list = call(reflection::PROTOCOL_NAME, "list_protocols", CallKind::Unary, no_columns(1));
        let Command::Call { protocol, method, id, kind, row, metadata, .. } = list else { unreachable!() };
        let lines = play(vec![Command::Call { protocol, method, version, id, kind, row, metadata }]);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("output result="));
    }
}

#[test]
fn an_unknown_method_is_refused_with_those_that_there_are() {
    for script in [unknown_method(), unknown_method_as_a_stream(), unknown_method_as_a_stream_with_header()] {
        let error = refused(script);
        let says = [MAIN, "no_such_method", "copy_colors", "echo_point"];
        let kind = Some(kind::METHOD_NOT_IMPLEMENTED.name());
        assert_error(&error, "MethodNotImplementedError", Code::Unimplemented, kind, &says);
    }
}

#[test]
fn reserved_methods_are_refused_alike() {
    for script in [unknown_reserved_method(), retired_describe()] {
        let kind = Some(kind::METHOD_NOT_IMPLEMENTED.name());
        assert_error(&refused(script), "MethodNotImplementedError", Code::Unimplemented, kind, &[]);
    }
    assert!(refused(retired_describe()).message().contains(reflection::PROTOCOL_NAME));
}

#[test]
fn an_unknown_protocol_is_refused_with_those_that_there_are() {
    let kind = Some(kind::PROTOCOL_NOT_SUPPORTED.name());
    let hosted = [MAIN, VERSIONED, reflection::PROTOCOL_NAME];
    let error = refused(unknown_protocol());
    assert_error(&error, "ProtocolNotSupportedError", Code::Unimplemented, kind, &hosted);
    assert!(error.message().contains("no.Such.v1"));
    let error = refused(malformed_protocol());
    assert_error(&error, "ProtocolNotSupportedError", Code::Unimplemented, kind, &hosted);
    assert!(!error.message().contains("no such protocol"), "an invalid name is not repeated");
}

#[test]
fn a_request_without_a_protocol_is_refused() {
    let kind = Some(kind::PROTOCOL_NOT_SPECIFIED.name());
    for script in [missing_protocol(), empty_protocol(), protocol_not_utf8()] {
        let error = refused(script);
        assert_error(&error, "ProtocolNotSpecifiedError", Code::InvalidArgument, kind, &[keys::PROTOCOL]);
    }
}

#[test]
fn a_request_without_a_method_is_refused() {
    for script in [missing_method(), method_not_utf8()] {
        assert_error(&refused(script), "RpcError", Code::Unknown, None, &[keys::METHOD]);
    }
}

#[test]
fn another_framing_version_is_refused() {
    for script in [missing_request_version(), wrong_request_version(), wrong_request_version_on_a_stream()] {
        assert_error(&refused(script), "VersionError", Code::Unknown, None, &[keys::REQUEST_VERSION]);
    }
}

#[test]
fn parameters_must_be_the_declared_ones() {
    for (script, says) in [
        (undeclared_parameter(), &["add()", "\"c\"", "[\"a\", \"b\"]"][..]),
        (renamed_parameter(), &["add()", "\"z\"", "[\"a\", \"b\"]"]),
        (missing_parameter(), &["add()", "\"b\""]),
        (misordered_parameters(), &["add()", "\"a\"", "\"b\""]),
        (mistyped_parameter(), &["add()", "\"b\"", "Float64", "Float32"]),
        (nullability_changed(), &["add()", "\"b\"", "nullable"]),
        (mistyped_parameter_of_a_stream(), &["count()", "Int64", "Float64"]),
    ] {
        assert_error(&refused(script), "TypeError", Code::Unknown, None, says);
    }
}

#[test]
fn a_parameter_error_comes_on_the_result_schema() {
    let conversation = converse(missing_parameter());
    let batches = batches_of(&conversation.response());
    assert_eq!(batches[0].0.schema(), schema([("result", DataType::Float64)]));
    assert_eq!(batches[0].0.num_rows(), 0);
}

/// Returns a batch with a null in a column that is not nullable. A `RecordBatch` cannot represent this, but bytes can.
fn null_for_required() -> Bytes {
    let nullable = fields([
        (
            arrow_schema::Field::new("a", DataType::Float64, true),
            std::sync::Arc::new(arrow_array::Float64Array::from(vec![None])),
        ),
        (arrow_schema::Field::new("b", DataType::Float64, true), floats([1.0])),
    ]);
    let required = EncodedSchema::new(schema([("a", DataType::Float64), ("b", DataType::Float64)])).unwrap();
    let metadata = metadata([(keys::METHOD, "add"), (keys::PROTOCOL, MAIN), (keys::REQUEST_VERSION, "1")]);
    let bytes = stream_of(&[(nullable.clone(), metadata)]);
    let schema_len = EncodedSchema::new(nullable.schema()).unwrap().message().len();
    [&required.message()[..], &bytes[schema_len..]].concat().into()
}

#[test]
fn null_for_a_parameter_that_is_not_optional_is_an_error() {
    let mut server = responder(Limits::default());
    server.receive(null_for_required());
    let mut sent = Vec::new();
    assert_eq!(serve(&mut server, usize::MAX, &mut sent), Rest::NeedInput);
    let (batch, metadata) = batches_of(&sent.into()).pop().unwrap();
    let error = RpcError::from_metadata(&metadata);
    assert_error(&error, "TypeError", Code::Unknown, None, &["\"a\"", "null"]);
    // WIRE_PROTOCOL 13, "Version checking": on the method's result schema.
    assert_eq!(batch.schema(), schema([("result", DataType::Float64)]));
}

#[test]
fn a_request_has_one_row_unless_it_has_no_columns() {
    for script in [zero_rows(), two_rows()] {
        assert_error(&refused(script), "RpcError", Code::Unknown, None, &["1 row"]);
    }
    assert_eq!(play(any_rows_without_parameters()).len(), 4);
}

#[test]
fn input_of_a_refused_stream_is_passed_over() {
    let lines = play(refused_stream_then_abandoned_input());
    assert_eq!(lines.len(), 7, "{lines:?}");
    assert_eq!(lines[5..], ["output result=after", "finished"]);
}

#[test]
fn a_request_right_after_a_refused_stream_is_answered() {
    let lines = play(refused_stream_then_a_request_at_once());
    assert_eq!(lines[2..4], ["output result=between", "finished"]);
    assert_eq!(lines[8..], ["output result=after", "finished"]);
}

#[test]
fn input_with_rows_and_metadata_of_a_refused_stream_is_passed_over() {
    let refused = [
        stream("no_such_method", no_columns(1)),
        scale_until(-1, "error"),
        versioned(Some("9.9.9"), count(1)),
        stream("count", row([("wrong", int(1))])),
    ];
    for open in refused {
        let mut pair = Pair::default();
        // All at once, like a client that does not wait.
        open.issue(&mut pair.client).unwrap();
        for value in [1.0, 2.0] {
            Command::Send(values([value]), metadata([("mark", "m")])).issue(&mut pair.client).unwrap();
        }
        let (told, _, rest) = pair.settle();
        assert!(matches!(told[..], [Told::Failed(_), Told::Finished]), "{told:?}");
        assert_eq!(rest, Rest::NeedCommand);
        pair.assert_usable();
    }
}

/// A refused request, followed by input with more metadata entries than the server accepts.
#[test]
fn unreadable_input_of_a_refused_stream_is_passed_over() {
    let mut limits = Limits::default();
    limits.max_metadata_entries = 8;
    let mut pair = Pair::with_limits(Limits::default(), limits);
    stream("no_such_method", no_columns(1)).issue(&mut pair.client).unwrap();
    let many: Metadata = (0..9).map(|n| (format!("key {n}"), "value")).collect();
    Command::Tick(many).issue(&mut pair.client).unwrap();
    let (told, _, rest) = pair.settle();
    assert!(matches!(told[..], [Told::Failed(_), Told::Finished]), "{told:?}");
    assert_eq!(rest, Rest::NeedCommand);
    pair.assert_usable();
}

#[test]
fn a_key_that_refers_to_a_null_is_no_parameter() {
    let values = Arc::new(StringArray::from(vec![None::<&str>]));
    let null: ArrayRef = Arc::new(DictionaryArray::new(Int8Array::from(vec![0]), values));
    let error = refused(vec![unary("echo_color", row([("value", null)]))]);
    assert_error(&error, "TypeError", Code::Unknown, None, &["\"value\" is not optional but got null"]);
}

#[test]
fn a_record_that_is_cut_short_is_named_as_that_and_not_as_the_end_of_the_connection() {
    let whole = encode_batch(&row([("n", int(7))]), &Metadata::new()).unwrap();
    let read = Method::new("read")
        .param("record", DataType::Binary)
        .returns(DataType::Int64)
        .unary(|args, _| Ok(args.get::<RecordBatch>("record")?.num_rows() as i64));
    let protocol = Protocol::new(MAIN).method(read);
    let service = Service::builder("record000000").protocol(protocol).build().unwrap();
    let peer = Peer::new(TransportKind::Pipe, "record000000");
    let server = Responder::new(service.into(), peer, Limits::default(), IdSource::seeded(1));
    let mut pair = Pair { server, ..Pair::default() };
    let ends = message_ends(&whole);
    for cut in 0..=whole.len() {
        let record = BinaryArray::from_vec(vec![&whole[..cut]]);
        let turn = pair.play(unary("read", row([("record", Arc::new(record))])));
        // Only the batch is read.
        if cut >= ends[1] {
            assert_eq!(lines(&turn.told), ["output result=1", "finished"], "{cut}");
            continue;
        }
        let error = turn.told[0].error().unwrap();
        let expected = "parameter \"record\": expected an Arrow IPC stream of one batch, got other bytes: the Arrow IPC \
            stream is cut short";
        assert_eq!(
            (error.error_type(), error.message()),
            ("TypeError", format!("TypeError: {expected}").as_str())
        );
    }
}
