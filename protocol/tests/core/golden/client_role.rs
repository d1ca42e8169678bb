//! Our client in place of the reference's client.

use super::transcript::TOLD;
use super::*;

/// The events of our client, and the bytes that it sent, in the place of the reference's client.
struct Played {
    told: Vec<Told>,
    sent: Bytes,
}

/// Drives our client with the reference client's commands, chunk by chunk, and the reference server's answers.
fn play_client(scenario: &Scenario) -> Played {
    let name = &scenario.name;
    let mut client = client::Connection::new(Limits::default());
    let mut reader = Reader::new(Limits::default());
    let (mut told, mut sent, mut in_input) = (Vec::new(), Vec::new(), false);
    for (by_client, bytes) in &scenario.chunks {
        if !by_client {
            client.receive(bytes.clone());
            let rest = listen(&mut client, &mut told);
            assert!(rest == Rest::NeedCommand, "{name}: {rest:?}");
        } else {
            reader.receive(bytes.clone());
            while let Some(item) = reader.next_item().unwrap() {
                match item {
                    // A stream that begins during a call is that call's input.
                    Item::Schema(_) => in_input = !client.is_idle(),
                    // The result is ignored: the client may have ended the stream itself.
                    Item::EndOfStream if in_input => _ = client.close(),
                    Item::EndOfStream => {}
                    Item::Batch(batch, metadata) => say(&mut client, scenario, &batch, &metadata),
                }
            }
        }
        drain(client.poll_transmit(), usize::MAX, &mut sent);
    }
    assert!(client.is_idle(), "{name}: the last call has ended");
    assert!(reader.is_at_boundary(), "{name}: the client sent its whole part");
    assert_eq!(listen(&mut client, &mut told), Rest::NeedCommand, "{name}: no event remains");
    client.receive_eof();
    assert_eq!(listen(&mut client, &mut told), Rest::Closed, "{name}");
    Played { told, sent: sent.into() }
}

/// Issues the command that sends what the reference's client sent.
fn say(client: &mut client::Connection, scenario: &Scenario, batch: &RecordBatch, metadata: &Metadata) {
    if client.is_idle() {
        // Input of a stream that did not open: our client sends none once it knows.
        if !is_input(metadata, scenario) {
            let kind = scenario.call_kind(metadata.get_str(keys::METHOD).unwrap_or_default());
            client.send_request(kind, &encoded(batch), batch, metadata).unwrap();
        }
    } else if metadata.contains_key(keys::CANCEL) {
        client.cancel().unwrap();
    } else if batch.num_columns() == 0 {
        assert_eq!(batch.num_rows(), 0, "{}: a tick has no rows", scenario.name);
        client.tick(metadata).unwrap();
    } else {
        client.send(&encoded(batch), batch, metadata).unwrap();
    }
}

#[test]
fn our_client_understands_every_conversation_to_its_end() {
    for scenario in scenarios() {
        let name = &scenario.name;
        let played = play_client(&scenario);
        let calls = calls(&scenario.request, &scenario).len();
        let finished = played.told.iter().filter(|told| **told == Told::Finished).count();
        assert_eq!(finished, calls, "{name}: each call ends once");
        assert_eq!(played.told.last(), Some(&Told::Finished), "{name}");

        let errors: Vec<_> = played.told.iter().filter_map(Told::error).collect();
        let expected_errors = usize::from(scenario.error.is_some() || name == "call_after_error");
        assert_eq!(errors.len(), expected_errors, "{name}: {errors:?}");
        if let Some([error_type, code, kind]) = &scenario.error {
            let error = errors[0];
            let found = [error.error_type(), error.code_name(), error.kind().unwrap_or_default()];
            assert_eq!(found, [error_type, code, kind], "{name}");
            assert_eq!(error.code().as_str(), code, "{name}");
            assert_eq!(error.request_id(), "golden-request", "{name}");
            assert_eq!(error.traceback(), "scrubbed\n", "{name}");
        }
    }
}

#[test]
fn our_client_says_what_the_references_client_says() {
    for scenario in scenarios() {
        let ours = batches_of(&play_client(&scenario).sent);
        let mut theirs = batches_of(&scenario.request);
        match scenario.name.as_str() {
            // The reference's client sends its first input before it reads that the stream did not open, and requests one more
            // turn although the stream has ended with its last batch.
            "produce_error_on_init" | "exchange_error_on_init" | "produce_tick_metadata" => {
                drop(theirs.pop())
            }
            _ => {}
        }
        assert_eq!(ours, theirs, "{}", scenario.name);
    }
}

#[test]
fn our_client_is_told_the_values_that_the_reference_sent() {
    let played: BTreeMap<_, _> =
        scenarios().iter().map(|scenario| (scenario.name.clone(), play_client(scenario).told)).collect();
    for (name, expected) in TOLD {
        let told: Vec<_> =
            played[*name].iter().filter(|told| **told != Told::Finished).map(Told::line).collect();
        assert_eq!(told, *expected, "{name}");
    }
    assert!(TOLD.len() > 80);
}

/// Returns the only batch received as a result or an output.
fn only_output(name: &str) -> RecordBatch {
    let told = play_client(&scenario(name)).told;
    let mut outputs = told.into_iter().filter_map(|told| match told {
        Told::Output(batch, _) => Some(batch),
        _ => None,
    });
    let output = outputs.next().unwrap();
    assert!(outputs.next().is_none());
    output
}

/// Returns the record in the result.
fn record(name: &str) -> RecordBatch {
    let bytes = only_output(name).column(0).as_binary::<i32>().value(0).to_vec();
    decode_batch(bytes.into(), &Limits::default()).unwrap().0
}

#[test]
fn records_with_every_type_are_read() {
    let all = rows(&record("echo_all_types"));
    for part in [
        "str_field=text, bytes_field=00ff, int_field=-1, float_field=0.5, bool_field=true",
        "list_of_int=[1, 2], list_of_str=[a, ], dict_field={k: 9}, enum_field=CLOSED",
        "nested_point={x: 1.0, y: 2.0}, optional_str=null, optional_int=5, optional_nested=null",
        "list_of_nested=[{x: 3.0, y: 4.0}], annotated_int32=7, annotated_float32=0.25",
        "nested_list=[[1], []], dict_str_str={a: b}",
    ] {
        assert!(all.contains(part), "{part:?} in {all}");
    }
    let wide = rows(&record("echo_wide_types"));
    for part in [
        "int8_field=-128, int16_field=-32768, int32_field=-2147483648",
        "uint8_field=255, uint16_field=65535, uint32_field=4294967295, uint64_field=18446744073709551615",
        "date_field=2024-02-29, timestamp_field=2024-02-29T01:02:03.456789",
        "timestamp_utc_field=2024-02-29T01:02:03.456789[UTC], time_field=23:59:59.999999",
        "duration_field=-PT86399.999999S, decimal_field=-1234567890123456.7891",
        "large_string_field=large, large_binary_field=0102, fixed_binary_field=3820627974657321",
    ] {
        assert!(wide.contains(part), "{part:?} in {wide}");
    }
}

#[test]
fn a_batch_and_a_schema_inside_a_record_are_read() {
    let embedded = record("echo_embedded_arrow");
    let bytes = |column: usize| Bytes::copy_from_slice(embedded.column(column).as_binary::<i32>().value(0));
    let (inner, _) = decode_batch(bytes(0), &Limits::default()).unwrap();
    assert_eq!(rows(&inner), "x=1; x=2");
    let mut reader = Reader::new(Limits::default());
    reader.receive(bytes(1));
    let Some(Item::Schema(schema)) = reader.next_item().unwrap() else { panic!() };
    assert_eq!(schema.schema().field(0).name(), "y");
}

#[test]
fn logs_carry_what_the_reference_attached() {
    let told = play_client(&scenario("echo_with_log_extras")).told;
    let [Told::Log(log), ..] = &told[..] else { panic!("{told:?}") };
    assert_eq!(log.message, "info: lvl");
    assert_eq!(log.extra["server_id"], "golden-server");
    assert_eq!(log.extra["request_id"], "golden-request");
    assert!(log.extra.len() > 2, "{:?}", log.extra);
}

#[test]
fn details_of_errors_are_read() {
    let error =
        |name: &str| play_client(&scenario(name)).told.iter().find_map(|told| told.error().cloned()).unwrap();
    let retry = error("secondary_fail_retry");
    assert!(retry.is_retryable());
    assert_eq!(retry.retry_delay(), Some(std::time::Duration::from_millis(1500)));
    let fail = error("secondary_fail");
    assert!(matches!(fail.details(), [Detail::ErrorInfo(_), Detail::Other(_)]), "{:?}", fail.details());
    assert_eq!(error("secondary_fail_oversized").details().len(), 0);
    let mismatch = error("protocol_version_mismatch");
    let detail: &PreconditionFailure = mismatch.detail().unwrap();
    assert_eq!(detail.violations[0].subject, "ConformanceService");
}

#[test]
fn large_batches_come_whole() {
    let told = play_client(&scenario("produce_large_batches")).told;
    let rows: Vec<_> = told
        .iter()
        .filter_map(|told| match told {
            Told::Output(batch, _) => Some(batch.num_rows()),
            _ => None,
        })
        .collect();
    assert_eq!(rows, [50, 50]);
}

#[test]
fn metadata_of_outputs_keeps_its_bytes() {
    let told = play_client(&scenario("produce_annotated_batches")).told;
    let labels = told.iter().filter_map(|told| match told {
        Told::Output(_, metadata) => metadata.get_str("conformance.emit_label"),
        _ => None,
    });
    assert_eq!(labels.collect::<Vec<_>>(), ["ünïcode-λ"; 2]);
}

#[test]
fn reflection_of_the_reference_is_read() {
    let payload = |name: &str| only_output(name).column(0).as_binary::<i32>().value(0).to_vec();
    let list = ProtocolList::decode(&payload("reflection_list_protocols")).unwrap();
    let names: Vec<_> = list.protocols.iter().map(|protocol| protocol.protocol.as_str()).collect();
    assert_eq!(names, ["ConformanceService", "conformance.Secondary.v1", reflection::PROTOCOL_NAME]);
    assert_eq!(list.protocols[0].protocol_version, "2.0.0");
    let secondary = ServiceDescription::decode(&payload("reflection_describe_secondary")).unwrap();
    assert_eq!(secondary.summary, list.protocols[1]);
    assert!(secondary.methods.iter().any(|method| method.name == "fail_oversized"));
    // Reflection is the same protocol everywhere, so its description is also the same.
    let theirs = ServiceDescription::decode(&payload("reflection_describe_reflection")).unwrap();
    let hash = reflection::protocol_hash(reflection::PROTOCOL_NAME, &reflection::methods()).unwrap();
    assert_eq!(theirs.summary.protocol_hash, hash);
    assert_eq!(theirs.methods.len(), 2);
}

#[test]
fn capabilities_of_the_reference_are_read() {
    let told = play_client(&scenario("transport_options")).told;
    let [Told::Output(_, metadata), Told::Finished] = &told[..] else { panic!("{told:?}") };
    assert_eq!(metadata.get_str(keys::TRANSPORT_SHM), Some("true"));
    assert_eq!(metadata.get_str(keys::SERVER_ID), Some("golden-server"));
}
