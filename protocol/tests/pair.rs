//! Conversations between the client's and the server's machine, in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use bytes::Bytes;
use common::batches::*;
use common::driver::*;
use common::feed::drain;
use common::replay::{Seen, config};
use common::scenarios::{self, *};
use common::service::*;
use common::streams::{END_OF_STREAM, batches_of, open_stream_of, stream_of};
use common::told::Told;
use vgi_rpc_protocol::client::CallKind;
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::reflection::{self, ProtocolList, ServiceDescription};
use vgi_rpc_protocol::server::InputStream;
use vgi_rpc_protocol::service::{MethodKind, Responder, StreamKind};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::detail::{Detail, PreconditionFailure, RetryInfo};
use vgi_rpc_protocol::wire::error::{RpcError, kind};
use vgi_rpc_protocol::wire::keys;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{CommandError, ConnectionError, Limits, Next, client, server};

/// Plays a script, which must leave both sides free, and says what the client was told.
fn play(script: Vec<Command>) -> Vec<String> {
    let conversation = converse(script);
    assert!(conversation.idle, "the last call is over");
    conversation.lines()
}

/// Plays a script whose only call fails before anything else is told, and gives its error.
fn refused(script: Vec<Command>) -> RpcError {
    let conversation = converse(script);
    assert!(conversation.idle, "the last call is over");
    let told: Vec<_> = conversation.told().collect();
    assert!(matches!(told[..], [Told::Failed(_), Told::Finished]), "{told:?}");
    conversation.error().clone()
}

/// Checks type, code and kind of an error, and that its text says all these things.
#[track_caller]
fn assert_error(error: &RpcError, error_type: &str, code: Code, kind: Option<&str>, says: &[&str]) {
    assert_eq!((error.error_type(), error.code(), error.kind()), (error_type, code, kind), "{error:?}");
    for part in says {
        assert!(error.message().contains(part), "{:?} in {:?}", part, error.message());
    }
}

/// The command was refused as misuse.
#[track_caller]
fn assert_misuse(result: Result<(), CommandError>) {
    assert!(matches!(result, Err(CommandError::Misuse { .. })), "{result:?}");
}

mod unary {
    use super::*;

    #[test]
    fn a_call_is_answered_with_one_row() {
        assert_eq!(play(unary_echo()), ["output result=hello", "finished"]);
        assert_eq!(play(unary_empty_text()), ["output result=", "finished"]);
    }

    #[test]
    fn a_void_call_is_answered_with_nothing() {
        assert_eq!(play(unary_void()), ["output 0 rows of 0 columns", "finished"]);
        assert_eq!(play(unary_void_with_parameter()), ["output 0 rows of 0 columns", "finished"]);
        assert_eq!(play(unary_log_then_void())[1..], ["output 0 rows of 0 columns", "finished"]);
    }

    #[test]
    fn a_null_result_is_not_a_missing_one() {
        assert_eq!(play(unary_null_result()), ["output result=null", "finished"]);
        assert_eq!(play(unary_optional_value()), ["output result=here", "finished"]);
    }

    #[test]
    fn nested_and_dictionary_values_pass_unchanged() {
        let conversation = converse(unary_nested());
        let sent: Vec<_> = conversation
            .turns
            .iter()
            .map(|turn| match &turn.command {
                Command::Call { row, .. } => row.column(0).clone(),
                other => panic!("{other:?}"),
            })
            .collect();
        let received: Vec<_> = conversation
            .told()
            .filter_map(|told| match told {
                Told::Output(batch, _) => Some(batch.column(0).clone()),
                _ => None,
            })
            .collect();
        assert_eq!(received.len(), 5);
        for (sent, received) in sent.iter().zip(&received) {
            assert_eq!((sent.data_type(), sent), (received.data_type(), received));
        }
    }

    #[test]
    fn an_empty_text_in_a_dictionary_passes() {
        let lines = play(vec![unary("echo_color", row([("value", colors([""]))]))]);
        assert_eq!(lines, ["output result=", "finished"]);
        let lines = play(vec![unary("echo_labels", row([("value", labels([None]))]))]);
        assert_eq!(lines, ["output result=[null]", "finished"]);
        let lines = play(vec![unary("echo_labels", row([("value", labels([]))]))]);
        assert_eq!(lines, ["output result=[]", "finished"]);
    }

    #[test]
    fn an_error_carries_type_text_traceback_and_request() {
        let error = refused(unary_error());
        assert_error(&error, "ValueError", Code::Unknown, None, &["too small"]);
        assert_eq!(error.code_name(), "UNKNOWN");
        assert_eq!(error.request_id(), REQUEST_ID);
        assert!(error.traceback().contains("ValueError: too small"), "{}", error.traceback());
        assert!(error.traceback().contains(&format!("{MAIN}/fail")), "{}", error.traceback());
    }

    #[test]
    fn an_error_carries_kind_code_and_details() {
        let error = refused(unary_error_with_detail());
        assert_error(&error, "BusyError", Code::Unavailable, Some("busy"), &["come back later"]);
        assert_eq!(error.details().len(), 1);
        assert_eq!(error.detail::<RetryInfo>().map(|info| info.retry_delay_seconds), Some(3.0));
        assert!(error.is_retryable());
    }

    #[test]
    fn a_panic_is_an_error_of_its_call_alone() {
        let error = refused(unary_panic());
        assert_error(&error, "Panic", Code::Unknown, None, &["on purpose, in a unary method"]);
    }

    #[test]
    fn logs_come_ahead_of_answers_and_errors() {
        let conversation = converse(unary_logs());
        assert_eq!(
            conversation.lines(),
            ["log INFO first", "log DEBUG second", "output result=v", "finished"]
        );
        let expected = LogMessage::debug("second")
            .with("rows", 2)
            .with("server_id", SERVER_ID)
            .with("request_id", REQUEST_ID);
        assert_eq!(conversation.turns[0].told[1], Told::Log(expected));
        assert_eq!(
            play(unary_log_then_error()),
            ["log WARN about to fail", "failed RuntimeError: failed after a log", "finished"]
        );
        assert_eq!(play(unary_log_then_void())[0], "log TRACE nothing follows");
    }

    #[test]
    fn a_result_that_does_not_fit_its_declaration_is_a_type_error() {
        for script in [unary_answer_of_wrong_type(), unary_null_answer(), unary_two_answers()] {
            assert_error(&refused(script), "TypeError", Code::Unknown, None, &["return value"]);
        }
    }

    #[test]
    fn a_handler_knows_its_call() {
        let expected = format!(
            "output result={MAIN}/about {REQUEST_ID} over pipe on {SERVER_ID} mark m1 trace 00-ab-cd-01"
        );
        assert_eq!(play(unary_about()), [expected.as_str(), "finished"]);
    }

    #[test]
    fn a_request_without_an_id_is_given_one() {
        let mut pair = Pair::default();
        let Command::Call { row, metadata, protocol, kind, version, .. } = echo("x") else { unreachable!() };
        let call = |method: &str| Command::Call {
            protocol,
            method: method.into(),
            version,
            id: None,
            kind,
            row: row.clone(),
            metadata: metadata.clone(),
        };
        let mut ids = Vec::new();
        for _ in 0..2 {
            let turn = pair.play(call("no_such_method"));
            ids.push(turn.told[0].error().unwrap().request_id().to_owned());
        }
        assert!(ids.iter().all(|id| id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit())), "{ids:?}");
        assert_ne!(ids[0], ids[1]);
    }
}

mod producers {
    use super::*;

    #[test]
    fn a_producer_answers_each_tick_until_it_ends() {
        let conversation = converse(producer_to_the_end());
        let told: Vec<_> = conversation.turns.iter().map(|turn| lines(&turn.told)).collect();
        assert_eq!(
            told,
            [vec![], vec!["output n=0".to_owned()], vec!["output n=1".into()], vec!["finished".into()]]
        );
        assert_eq!(play(producer_of_nothing()), ["finished"]);
        assert_eq!(
            play(producer_finish_with_data()),
            ["output n=0", "log INFO the last one", "output n=1", "log INFO after the last one", "finished"]
        );
        assert_eq!(play(producer_finish()), ["output n=0", "finished"]);
    }

    #[test]
    fn a_producer_can_be_closed_at_any_turn() {
        for script in [producer_closed_before_the_first_tick(), producer_with_header_closed_at_once()] {
            let conversation = converse(script);
            assert_eq!(conversation.lines().last().unwrap(), "finished");
            assert_eq!(conversation.turns.last().unwrap().told, [Told::Finished]);
            assert_eq!(conversation.cancel_hooks, 0);
        }
        assert_eq!(play(producer_closed_in_the_middle()), ["output n=0", "output n=1", "finished"]);
    }

    #[test]
    fn a_cancel_runs_the_hook_once_and_is_no_error() {
        for (script, outputs) in
            [(producer_cancelled_before_the_first_tick(), 0), (producer_cancelled_in_the_middle(), 2)]
        {
            let conversation = converse(script);
            assert_eq!(conversation.cancel_hooks, 1);
            assert_eq!(conversation.lines().len(), outputs + 1);
            assert_eq!(conversation.turns.last().unwrap().told, [Told::Finished]);
        }
    }

    #[test]
    fn a_failing_cancel_hook_changes_nothing() {
        let conversation = converse(producer_with_panicking_cancel_hook());
        assert_eq!(conversation.lines(), ["output n=0", "finished"]);
        assert_eq!(conversation.cancel_hooks, 1);
    }

    #[test]
    fn a_cancel_hook_may_log() {
        assert_eq!(
            play(producer_with_logging_cancel_hook()),
            ["output n=0", "log INFO cancelled", "finished"]
        );
    }

    #[test]
    fn logs_keep_their_place_before_and_after_the_data() {
        assert_eq!(
            play(producer_with_logs()),
            [
                "log INFO opening",
                "log INFO before 0",
                "output n=0",
                "log DEBUG after 0",
                "log INFO before 1",
                "finished"
            ]
        );
    }

    #[test]
    fn a_header_comes_ahead_of_the_data() {
        let conversation = converse(producer_with_header());
        assert_eq!(
            conversation.lines(),
            ["log INFO ahead of the header", "header total=1, label=all", "output n=0", "finished"]
        );
        assert_eq!(conversation.turns[0].told.len(), 2, "the header comes without a tick");
    }

    #[test]
    fn an_error_at_open_takes_the_place_of_header_and_stream() {
        assert_eq!(
            play(producer_failing_to_open_with_header()),
            ["log INFO ahead of the header", "failed ValueError: expected a count of 0 or more", "finished"]
        );
        assert_eq!(
            play(producer_failing_to_open()),
            ["log INFO opening", "failed RuntimeError: failed to open", "finished"]
        );
        assert_eq!(play(producer_panicking_at_open())[1..].len(), 2);
        // WIRE_PROTOCOL 9, phase 1.5: on the empty schema.
        for script in [producer_failing_to_open_with_header(), producer_failing_to_open()] {
            for (batch, _) in batches_of(&converse(script).response()) {
                assert_eq!((batch.num_rows(), batch.num_columns()), (0, 0));
            }
        }
    }

    #[test]
    fn a_stream_that_does_not_fit_its_declaration_does_not_open() {
        for script in [
            producer_without_its_header(),
            producer_with_undeclared_header(),
            producer_without_output_schema(),
        ] {
            assert_error(&refused(script), "TypeError", Code::Unknown, None, &[]);
        }
    }

    #[test]
    fn an_error_in_a_turn_ends_the_stream() {
        for (script, error_type) in [
            (producer_error(), "RuntimeError"),
            (producer_error_after_emit(), "RuntimeError"),
            (producer_panic(), "Panic"),
            (producer_silence(), "RuntimeError"),
            (producer_two_batches(), "RuntimeError"),
            (producer_misfit(), "ValueError"),
        ] {
            let conversation = converse(script);
            let told: Vec<_> = conversation.told().collect();
            let [Told::Output(..), Told::Failed(error), Told::Finished] = told[..] else {
                panic!("{told:?}")
            };
            assert_error(error, error_type, Code::Unknown, None, &[]);
            assert!(conversation.idle);
        }
        assert_eq!(play(producer_error_at_once()), ["failed RuntimeError: failed in a turn", "finished"]);
        assert_eq!(
            play(producer_log_and_error()),
            ["output n=0", "log ERROR going down", "failed ValueError: failed after a log", "finished"]
        );
    }

    #[test]
    fn the_handler_may_choose_the_output_schema() {
        assert_eq!(
            play(producer_of_dynamic_schema()),
            ["output c0=0, c1=1, c2=2", "output c0=0, c1=1, c2=2", "finished"]
        );
        assert_eq!(play(producer_of_no_columns()), ["output 1 rows of 0 columns", "finished"]);
    }

    #[test]
    fn metadata_of_ticks_arrives_and_metadata_of_batches_leaves() {
        assert_eq!(
            play(producer_tick_metadata()),
            [r#"output n=0 {"turn": "0"}"#, r#"output n=1 {"mark": "second", "turn": "1"}"#, "finished"]
        );
    }

    #[test]
    fn emitted_columns_are_brought_to_the_schema() {
        assert_eq!(play(producer_emitting_columns_in_another_order()), ["output a=1.5, b=x", "finished"]);
    }

    #[test]
    fn dictionaries_stay_grow_and_change_with_logs_between() {
        let log = "log INFO a log between dictionaries";
        assert_eq!(
            play(producer_of_dictionaries()),
            [
                log,
                "output color=red; color=blue; color=red",
                log,
                "output color=red; color=blue; color=red",
                log,
                "output color=red; color=blue; color=green",
                log,
                "output color=black",
                "finished"
            ]
        );
    }

    #[test]
    fn large_batches_pass_whole() {
        let conversation = converse(producer_of_large_batches());
        for turn in &conversation.turns[1..3] {
            let [Told::Output(batch, _)] = &turn.told[..] else { panic!("{:?}", turn.told.len()) };
            let texts = batch.column(1).as_string::<i32>();
            assert_eq!((batch.num_rows(), texts.value(1999)), (2000, "row 1999"));
        }
    }
}

mod exchanges {
    use super::*;

    #[test]
    fn each_input_is_answered_until_the_client_ends_the_stream() {
        assert_eq!(
            play(scenarios::exchange()),
            ["output value=2.0; value=5.0", "output value=-2.0", "finished"]
        );
        assert_eq!(play(exchange_of_no_rows()), ["output 0 rows of 1 columns", "finished"]);
        assert_eq!(play(exchange_closed_before_the_first_input()), ["finished"]);
    }

    #[test]
    fn a_cancel_runs_the_hook_once_and_is_no_error() {
        for script in [exchange_cancelled_before_the_first_input(), exchange_cancelled_in_the_middle()] {
            let conversation = converse(script);
            assert_eq!(conversation.cancel_hooks, 1);
            assert_eq!(conversation.turns.last().unwrap().told, [Told::Finished]);
        }
    }

    #[test]
    fn a_header_comes_ahead_of_the_data() {
        assert_eq!(play(exchange_with_header()), ["header factor=3.0", "output value=6.0", "finished"]);
    }

    #[test]
    fn input_that_can_be_brought_to_the_schema_is() {
        assert_eq!(play(exchange_casting_its_input()), ["output value=1.0", "output value=3.0", "finished"]);
        assert_eq!(play(exchange_casting_integers()), ["output value=6.0", "finished"]);
        assert_eq!(play(exchange_of_nullable_input_without_nulls()), ["output value=2.0", "finished"]);
        assert_eq!(
            play(exchange_of_reordered_columns()),
            ["log INFO 1 rows", "output b=x, a=1.0", "finished"]
        );
    }

    #[test]
    fn input_that_cannot_be_is_a_type_error() {
        for script in [
            exchange_of_another_column(),
            exchange_of_one_column_too_many(),
            exchange_of_text_for_numbers(),
            exchange_of_null_for_a_number(),
        ] {
            assert_error(&refused(script), "TypeError", Code::Unknown, None, &["Input schema mismatch"]);
        }
    }

    #[test]
    fn an_error_in_a_turn_ends_the_stream() {
        for (script, error_type) in [
            (exchange_error(), "RuntimeError"),
            (exchange_panic(), "Panic"),
            (exchange_silence(), "RuntimeError"),
            (exchange_two_batches(), "RuntimeError"),
            (exchange_misfit(), "ValueError"),
            (exchange_finish(), "RuntimeError"),
        ] {
            let conversation = converse(script);
            let told: Vec<_> = conversation.told().collect();
            let [Told::Output(..), Told::Failed(error), Told::Finished] = told[..] else {
                panic!("{told:?}")
            };
            assert_error(error, error_type, Code::Unknown, None, &[]);
        }
        assert_error(
            &refused(exchange_failing_to_open()),
            "TypeError",
            Code::Unknown,
            None,
            &["failed to open"],
        );
    }

    #[test]
    fn batches_without_columns_keep_their_row_counts() {
        assert_eq!(
            play(exchange_of_no_columns()),
            [
                "log INFO 0 rows",
                "output 0 rows of 0 columns",
                "log INFO 3 rows",
                "output 3 rows of 0 columns",
                "finished"
            ]
        );
    }

    #[test]
    fn the_handler_may_choose_the_schemas() {
        assert_eq!(play(exchange_of_dynamic_schema()), ["log INFO 2 rows", "output x=1; x=2", "finished"]);
    }

    #[test]
    fn dictionaries_pass_in_both_directions() {
        assert_eq!(
            play(exchange_of_dictionaries()),
            [
                "log INFO 2 rows",
                "output color=red; color=blue",
                "log INFO 1 rows",
                "output color=blue",
                "log INFO 1 rows",
                "output color=blue",
                "finished"
            ]
        );
        assert_eq!(
            play(exchange_of_nested_dictionaries()),
            [
                "log INFO 1 rows",
                "output labels=[a, null], point={x: 0.5, name: null}",
                "log INFO 1 rows",
                "output labels=[b, a, b], point={x: 1.5, name: q}",
                "finished"
            ]
        );
    }

    #[test]
    fn metadata_of_inputs_arrives_without_the_transports_own() {
        assert_eq!(
            play(exchange_input_metadata()),
            [
                "log INFO 1 rows",
                r#"output b=x, a=1.0 {"mark": "first", "mark": "twice"}"#,
                "log INFO 1 rows",
                "output b=y, a=2.0",
                "finished"
            ]
        );
    }

    #[test]
    fn an_error_on_a_stream_of_dictionaries_is_told() {
        let script = script(stream("copy_colors", no_columns(1)), [send(row([("other", int(1))]))]);
        assert_error(&refused(script), "TypeError", Code::Unknown, None, &["Input schema mismatch"]);
    }

    #[test]
    fn a_pointer_to_data_elsewhere_is_refused_and_not_taken_for_an_empty_batch() {
        for key in [keys::LOCATION, keys::SHM_OFFSET] {
            let pointer = Command::Send(values([]), metadata([(key, "64")]));
            let error = refused(script(scale(2.0), [pointer]));
            assert_error(&error, "RuntimeError", Code::Unknown, None, &["points to data"]);
        }
    }
}

mod refusals {
    use super::*;

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
            let Command::Call { protocol, method, id, kind, row, metadata, .. } = list else {
                unreachable!()
            };
            let lines = play(vec![Command::Call { protocol, method, version, id, kind, row, metadata }]);
            assert_eq!(lines.len(), 2, "{lines:?}");
            assert!(lines[0].starts_with("output result="));
        }
    }

    #[test]
    fn an_unknown_method_is_refused_with_those_that_there_are() {
        for script in
            [unknown_method(), unknown_method_as_a_stream(), unknown_method_as_a_stream_with_header()]
        {
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
        assert!(!error.message().contains("no such protocol"), "what is no name is not repeated");
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
        for script in
            [missing_request_version(), wrong_request_version(), wrong_request_version_on_a_stream()]
        {
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

    /// A batch with a null in a column that is not nullable: no `RecordBatch` can be that, but bytes can.
    fn null_for_required() -> Bytes {
        let nullable = fields([
            (
                arrow_schema::Field::new("a", DataType::Float64, true),
                std::sync::Arc::new(arrow_array::Float64Array::from(vec![None])),
            ),
            (arrow_schema::Field::new("b", DataType::Float64, true), floats([1.0])),
        ]);
        let required =
            EncodedSchema::new(schema([("a", DataType::Float64), ("b", DataType::Float64)])).unwrap();
        let metadata =
            metadata([(keys::METHOD, "add"), (keys::PROTOCOL, MAIN), (keys::REQUEST_VERSION, "1")]);
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
            // All at once, as by a client that does not wait.
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

    /// A batch of more columns than a server takes, twice: a request that is refused, and input for it.
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
}

mod built_ins {
    use super::*;

    #[test]
    fn transport_options_tell_that_there_is_no_shared_memory() {
        let conversation = converse(transport_options());
        let [Told::Output(batch, answered), Told::Finished] = &conversation.turns[0].told[..] else {
            panic!()
        };
        assert_eq!((batch.num_rows(), batch.num_columns()), (0, 0));
        assert_eq!(answered.get_str(keys::TRANSPORT_SHM), Some("false"));
        assert_eq!(answered.get_str(keys::REQUEST_VERSION), Some("1"));
        assert_eq!(answered.get_str(keys::SERVER_ID), Some(SERVER_ID));
    }

    /// The bytes of the `result` column of the only answer.
    fn payload(conversation: &Conversation) -> Vec<u8> {
        let [Told::Output(batch, _), Told::Finished] = &conversation.turns[0].told[..] else { panic!() };
        batch.column(0).as_binary::<i32>().value(0).to_vec()
    }

    #[test]
    fn list_protocols_names_all_in_the_order_of_registration() {
        let list = ProtocolList::decode(&payload(&converse(list_protocols()))).unwrap();
        let names: Vec<_> = list.protocols.iter().map(|protocol| protocol.protocol.as_str()).collect();
        assert_eq!(names, [MAIN, VERSIONED, reflection::PROTOCOL_NAME]);
        let versions: Vec<_> =
            list.protocols.iter().map(|protocol| protocol.protocol_version.as_str()).collect();
        assert_eq!(versions, ["", VERSION, ""]);
        assert_eq!(
            (&*list.server_id, &*list.server_version, &*list.request_version),
            (SERVER_ID, "0.1", "1")
        );
        assert_eq!(list.protocols[1].deprecated.as_deref(), Some("test.Versioned.v2"));
        assert!(list.protocols.iter().all(|protocol| protocol.protocol_hash.len() == 64));
    }

    #[test]
    fn describe_tells_every_method_of_a_protocol() {
        let service = service();
        let description = ServiceDescription::decode(&payload(&converse(describe()))).unwrap();
        let hosted = service.protocols().next().unwrap();
        assert_eq!(description, reflection::describe(hosted));
        let method = |name: &str| description.methods.iter().find(|method| method.name == name).unwrap();
        assert_eq!(method("add").kind, MethodKind::Unary);
        assert_eq!(method("add").params, schema([("a", DataType::Float64), ("b", DataType::Float64)]));
        assert_eq!(method("nothing").result, None);
        assert_eq!(method("count_with_header").kind, MethodKind::Stream(StreamKind::Producer));
        assert!(method("count_with_header").header.is_some());
        assert_eq!(method("scale").kind, MethodKind::Stream(StreamKind::Exchange));
    }

    #[test]
    fn describe_of_an_unknown_protocol_is_refused() {
        let kind = Some(kind::PROTOCOL_NOT_SUPPORTED.name());
        let error = refused(describe_unknown());
        assert_error(&error, "ProtocolNotSupportedError", Code::Unimplemented, kind, &["no.Such.v1", MAIN]);
    }
}

mod connections {
    use super::*;

    #[test]
    fn one_connection_carries_every_conversation_one_after_another() {
        let mut pair = Pair::default();
        let mut calls = 0;
        for _ in 0..2 {
            for (name, script) in scenarios::all() {
                let mut told = Vec::new();
                for command in script.clone() {
                    let turn = pair.play(command);
                    assert_eq!(turn.rest, Rest::NeedCommand, "{name}");
                    told.extend(lines(&turn.told));
                }
                if !pair.client.is_idle() {
                    pair.play(Command::Close);
                }
                assert!(pair.client.is_idle() && pair.server.is_idle(), "{name}");
                assert_eq!(told, converse(script).lines(), "{name} says what it says on a new connection");
                calls += 1;
            }
        }
        assert!(calls > 150);
    }

    #[test]
    fn many_calls_on_one_connection_keep_apart() {
        let conversation = converse(many_calls());
        assert_eq!(conversation.cancel_hooks, 1);
        let finished = conversation.told().filter(|told| **told == Told::Finished).count();
        assert_eq!(finished, 12);
        assert_eq!(conversation.turns.last().unwrap().told[1], Told::Finished);
        assert_eq!(conversation.lines().iter().rev().nth(1).unwrap(), "output result=end");
    }

    /// Everything a client has to say, said before the server's first word is read.
    #[test]
    fn commands_may_be_issued_back_to_back() {
        let mut pair = Pair::default();
        for command in
            [stream_with_header("count_with_header", row([("count", int(2))])), tick(), tick(), tick()]
        {
            command.issue(&mut pair.client).unwrap();
        }
        let (told, _, rest) = pair.settle();
        assert_eq!(rest, Rest::NeedCommand);
        assert_eq!(
            lines(&told),
            [
                "log INFO ahead of the header",
                "header total=2, label=all",
                "output n=0",
                "output n=1",
                "finished"
            ]
        );
        pair.assert_usable();
    }

    /// A client that has asked for two batches waits for input until it has both, whatever comes in between.
    #[test]
    fn a_header_is_not_the_answer_to_a_tick() {
        let conversation = converse(script(
            stream_with_header("count_with_header", row([("count", int(1))])),
            [tick(), Command::Close],
        ));
        let mut client = client::Connection::new(Limits::default());
        conversation.turns[0].command.issue(&mut client).unwrap();
        client.tick(&Metadata::new()).unwrap();
        let mut told = Vec::new();
        client.receive(conversation.turns[0].response.clone());
        assert_eq!(listen(&mut client, &mut told), Rest::NeedInput);
        assert_eq!(lines(&told), ["log INFO ahead of the header", "header total=1, label=all"]);
        client.receive(conversation.turns[1].response.clone());
        assert_eq!(listen(&mut client, &mut told), Rest::NeedCommand);
        assert_eq!(lines(&told)[2..], ["output n=0"]);
    }

    #[test]
    fn a_stream_may_be_given_up_before_its_header_is_read() {
        for (last, hooks) in [(Command::Close, 0), (Command::Cancel, 1)] {
            let mut pair = Pair::default();
            take_cancel_hooks();
            stream_with_header("count_with_header", row([("count", int(5))]))
                .issue(&mut pair.client)
                .unwrap();
            last.issue(&mut pair.client).unwrap();
            let (told, _, rest) = pair.settle();
            assert_eq!(rest, Rest::NeedCommand);
            assert_eq!(told.last(), Some(&Told::Finished));
            assert!(told.iter().all(|told| told.error().is_none()), "{told:?}");
            assert_eq!(take_cancel_hooks(), hooks);
            pair.assert_usable();
        }
    }

    #[test]
    fn a_stream_may_be_given_up_with_answers_outstanding() {
        for last in [Command::Close, Command::Cancel] {
            let mut pair = Pair::default();
            for command in [count(5), tick(), tick(), last] {
                command.issue(&mut pair.client).unwrap();
            }
            let (told, _, rest) = pair.settle();
            assert_eq!((lines(&told), rest), (vec!["finished".to_owned()], Rest::NeedCommand));
            pair.assert_usable();
        }
    }

    #[test]
    fn more_ticks_than_turns_do_no_harm() {
        let mut pair = Pair::default();
        for command in [count(1), tick(), tick(), tick(), tick()] {
            command.issue(&mut pair.client).unwrap();
        }
        let (told, ..) = pair.settle();
        assert_eq!(lines(&told), ["output n=0", "finished"]);
        pair.assert_usable();
    }

    /// A header that the client cannot accept: the server believes that all is well and opens the stream.
    #[test]
    fn a_header_over_a_limit_fails_its_call_alone() {
        let mut limits = Limits::default();
        limits.max_schema_fields = 1;
        let mut pair = Pair::with_limits(limits, Limits::default());
        let turn = pair.play(stream_with_header("count_with_header", row([("count", int(5))])));
        assert!(matches!(turn.told[..], [Told::Failed(_), Told::Finished]), "{:?}", turn.told);
        assert_eq!(turn.rest, Rest::NeedCommand);
        pair.assert_usable();
    }

    /// A call between streams of many turns takes its answer from nobody else.
    #[test]
    fn a_call_made_before_the_last_event_is_told_is_refused() {
        // An answer without a batch: the call fails, and that it is over is told after that.
        let mut client = client::Connection::new(Limits::default());
        echo("x").issue(&mut client).unwrap();
        let empty = EncodedSchema::empty();
        client.receive([&empty.message()[..], &END_OF_STREAM].concat().into());
        assert!(matches!(client.poll_event(), Ok(Next::Event(client::Event::Failed(_)))));
        assert!(!client.is_idle(), "a call whose end was not told is under way");
        assert_misuse(echo("y").issue(&mut client));
        assert!(matches!(client.poll_event(), Ok(Next::Event(client::Event::Finished))));
        assert!(client.is_idle());
        echo("y").issue(&mut client).unwrap();
    }

    #[test]
    fn what_cannot_be_read_as_a_request_does_not_carry_the_last_calls_id() {
        let mut pair = Pair::default();
        pair.play(echo("x"));
        let empty = EncodedSchema::empty();
        pair.server.receive([&empty.message()[..], &END_OF_STREAM].concat().into());
        let mut sent = Vec::new();
        assert_eq!(serve(&mut pair.server, usize::MAX, &mut sent), Rest::NeedInput);
        let (_, metadata) = batches_of(&sent.into()).pop().unwrap();
        let error = RpcError::from_metadata(&metadata);
        assert_error(&error, "RpcError", Code::Unknown, None, &[]);
        assert_ne!(error.request_id(), REQUEST_ID);
        assert!(!error.traceback().contains("echo"), "{}", error.traceback());
    }

    #[test]
    fn garbage_between_calls_does_not_carry_the_last_calls_id() {
        let mut pair = Pair::default();
        pair.play(echo("x"));
        pair.server.receive(Bytes::from_static(b"GET / HTTP/1.1\r\n"));
        let mut sent = Vec::new();
        let rest = serve(&mut pair.server, usize::MAX, &mut sent);
        assert!(matches!(rest, Rest::Failed(ConnectionError::Framing(_))), "{rest:?}");
        let (_, metadata) = batches_of(&sent.into()).pop().unwrap();
        let error = RpcError::from_metadata(&metadata);
        assert_ne!(error.request_id(), REQUEST_ID);
    }

    #[test]
    fn a_server_that_speaks_unasked_breaks_the_protocol() {
        let mut client = client::Connection::new(Limits::default());
        let empty = EncodedSchema::empty();
        client.receive([&empty.message()[..], &END_OF_STREAM].concat().into());
        assert!(matches!(client.poll_event(), Err(ConnectionError::Protocol { .. })));
        assert!(matches!(client.poll_event(), Err(ConnectionError::Protocol { .. })), "it stays failed");
        assert!(!client.is_idle());
        assert_misuse(echo("x").issue(&mut client));
        assert!(client.poll_transmit().is_none(), "nothing is sent on a failed connection");
    }

    #[test]
    fn output_over_the_limit_holds_further_work_back_until_it_is_sent() {
        let mut limits = Limits::default();
        limits.max_buffered_output = 1000;
        let mut pair = Pair::with_limits(Limits::default(), limits);
        for command in [stream("large", row([("rows", int(100))])), tick(), tick(), tick()] {
            command.issue(&mut pair.client).unwrap();
        }
        let mut up = Vec::new();
        drain(pair.client.poll_transmit(), usize::MAX, &mut up);
        pair.server.receive(up.into());
        let mut held_back = 0;
        let mut down = Vec::new();
        loop {
            match Rest::or_event(pair.server.poll_work()) {
                Ok(work) => pair.server.complete(work.run()).unwrap(),
                Err(Rest::NeedDrain) => {
                    held_back += 1;
                    assert!(pair.server.poll_transmit().unwrap().len() > 1000);
                    drain(pair.server.poll_transmit(), 700, &mut down);
                }
                Err(rest) => {
                    assert_eq!(rest, Rest::NeedInput);
                    break;
                }
            }
        }
        drain(pair.server.poll_transmit(), 700, &mut down);
        assert_eq!(held_back, 2);
        let mut told = Vec::new();
        pair.client.receive(down.into());
        assert_eq!(listen(&mut pair.client, &mut told), Rest::NeedCommand);
        assert_eq!(told.len(), 3);
    }
}

mod misuse {
    use super::*;

    /// A server's connection that was given these requests.
    fn server_after(bytes: impl Into<Bytes>) -> (server::Connection, Vec<Seen>) {
        let mut connection = server::Connection::new(config(Limits::default()));
        connection.receive(bytes.into());
        let seen = events(&mut connection);
        (connection, seen)
    }

    fn events(connection: &mut server::Connection) -> Vec<Seen> {
        let mut seen = Vec::new();
        while let Ok(Next::Event(event)) = connection.poll_event() {
            seen.push(event.into());
        }
        seen
    }

    fn a_request() -> Bytes {
        let metadata = metadata([(keys::METHOD, "m"), (keys::PROTOCOL, "p"), (keys::REQUEST_VERSION, "1")]);
        stream_of(&[(no_columns(1), metadata)])
    }

    fn a_tick() -> Bytes {
        open_stream_of(&[(no_columns(0), Metadata::new())])
    }

    fn a_cancel() -> Bytes {
        open_stream_of(&[(no_columns(0), metadata([(keys::CANCEL, "")]))])
    }

    fn nothing() -> RecordBatch {
        RecordBatch::new_empty(EncodedSchema::empty().schema().clone())
    }

    /// Issues every command that is wrong at this place, and checks that none leaves a trace.
    fn assert_refuses(connection: &mut server::Connection, commands: &[&str]) {
        let (empty, error) = (EncodedSchema::empty(), RpcError::value_error("e"));
        let mut before = Vec::new();
        drain(connection.poll_transmit(), usize::MAX, &mut before);
        let state = format!("{connection:?}");
        for command in commands {
            assert_misuse(match *command {
                "respond" => connection.respond(&empty, &nothing(), &Metadata::new()),
                "refuse" => connection.refuse(&empty, &error, InputStream::None),
                "send_header" => connection.send_header(&empty, &nothing()),
                "open_stream" => connection.open_stream(&empty),
                "emit" => connection.emit(&nothing(), &Metadata::new()),
                "fail" => connection.fail(&error),
                "finish" => connection.finish(),
                other => panic!("{other}"),
            });
            assert!(connection.poll_transmit().is_none(), "{command} sends nothing");
            assert_eq!(format!("{connection:?}"), state, "{command} changes nothing");
        }
    }

    const ANSWERS: [&str; 4] = ["respond", "refuse", "send_header", "open_stream"];
    const STREAMS: [&str; 3] = ["emit", "fail", "finish"];

    #[test]
    fn a_server_between_calls_takes_no_command() {
        let (mut connection, seen) = server_after(Bytes::new());
        assert_eq!(seen, []);
        assert_refuses(&mut connection, &ANSWERS);
        assert_refuses(&mut connection, &STREAMS);
    }

    #[test]
    fn a_server_that_owes_an_answer_takes_no_turn() {
        let (mut connection, seen) = server_after(a_request());
        assert!(matches!(seen[..], [Seen::Request(..)]));
        assert!(matches!(connection.poll_event(), Ok(Next::NeedCommand)));
        assert_refuses(&mut connection, &STREAMS);
        connection.respond(&EncodedSchema::empty(), &nothing(), &Metadata::new()).unwrap();
        assert_refuses(&mut connection, &ANSWERS);
        assert_refuses(&mut connection, &STREAMS);
    }

    #[test]
    fn a_server_on_an_open_stream_answers_no_request_and_emits_once_for_each_input() {
        let (mut connection, _) = server_after(a_request());
        connection.open_stream(&EncodedSchema::empty()).unwrap();
        assert_refuses(&mut connection, &ANSWERS);
        assert_refuses(&mut connection, &["emit"]);
        connection.receive(a_tick());
        assert!(matches!(events(&mut connection)[..], [Seen::Input(..)]));
        assert!(matches!(connection.poll_event(), Ok(Next::NeedCommand)));
        assert_refuses(&mut connection, &ANSWERS);
        connection.emit(&nothing(), &Metadata::new()).unwrap();
        assert_refuses(&mut connection, &["emit"]);
        connection.receive(Bytes::from_static(&END_OF_STREAM));
        assert_eq!(events(&mut connection), [Seen::InputEnded]);
        assert_refuses(&mut connection, &["emit"]);
        connection.finish().unwrap();
        assert_refuses(&mut connection, &STREAMS);
        assert!(connection.is_idle());
    }

    #[test]
    fn a_server_emits_nothing_on_a_cancelled_stream() {
        let (mut connection, _) = server_after(a_request());
        connection.open_stream(&EncodedSchema::empty()).unwrap();
        connection.receive(a_cancel());
        assert_eq!(events(&mut connection), [Seen::Cancelled]);
        assert_refuses(&mut connection, &ANSWERS);
        assert_refuses(&mut connection, &["emit"]);
        connection.finish().unwrap();
        assert!(!connection.is_idle(), "the end of the input has not come");
        connection.receive(Bytes::from_static(&END_OF_STREAM));
        assert_eq!(events(&mut connection), []);
        assert!(connection.is_idle());
    }

    #[test]
    fn a_server_refuses_a_batch_that_does_not_fit_and_goes_on() {
        let numbers = EncodedSchema::new(schema([("n", DataType::Int64)])).unwrap();
        let (mut connection, _) = server_after(a_request());
        let misfit = connection.respond(&numbers, &row([("n", text("x"))]), &Metadata::new());
        assert!(matches!(misfit, Err(CommandError::Encode(_))));
        let misfit = connection.send_header(&numbers, &row([("n", text("x"))]));
        assert!(matches!(misfit, Err(CommandError::Encode(_))));
        assert!(connection.poll_transmit().is_none());
        connection.open_stream(&numbers).unwrap();
        connection.receive(a_tick());
        events(&mut connection);
        let mut sent = Vec::new();
        drain(connection.poll_transmit(), usize::MAX, &mut sent);
        assert!(matches!(connection.emit(&nothing(), &Metadata::new()), Err(CommandError::Encode(_))));
        assert!(connection.poll_transmit().is_none());
        connection.emit(&row([("n", int(1))]), &Metadata::new()).unwrap();
        connection.finish().unwrap();
        drain(connection.poll_transmit(), usize::MAX, &mut sent);
        assert_eq!(batches_of(&sent.into()), [(row([("n", int(1))]), Metadata::new())]);
    }

    #[test]
    fn a_failed_server_takes_no_command() {
        let (mut connection, _) = server_after(a_request());
        connection.open_stream(&EncodedSchema::empty()).unwrap();
        connection.receive(Bytes::from_static(b"garbage!"));
        assert!(matches!(connection.poll_event(), Err(ConnectionError::Framing(_))));
        assert_refuses(&mut connection, &ANSWERS);
        assert_refuses(&mut connection, &STREAMS);
    }

    /// The same for a client.
    fn assert_client_refuses(client: &mut client::Connection, commands: Vec<Command>) {
        let mut sent = Vec::new();
        drain(client.poll_transmit(), usize::MAX, &mut sent);
        let state = format!("{client:?}");
        for command in commands {
            assert_misuse(command.issue(client));
            assert!(client.poll_transmit().is_none(), "{command:?} sends nothing");
            assert_eq!(format!("{client:?}"), state, "{command:?} changes nothing");
        }
    }

    fn stream_commands() -> Vec<Command> {
        vec![tick(), send(values([1.0])), Command::Close, Command::Cancel]
    }

    fn calls() -> Vec<Command> {
        [echo("x"), count(1)].into_iter().chain(missing_method()).collect()
    }

    #[test]
    fn a_client_between_calls_takes_nothing_but_calls() {
        let mut pair = Pair::default();
        assert_client_refuses(&mut pair.client, stream_commands());
        pair.play(echo("x"));
        assert_client_refuses(&mut pair.client, stream_commands());
        pair.play(count(1));
        pair.play(Command::Close);
        assert_client_refuses(&mut pair.client, stream_commands());
    }

    #[test]
    fn a_client_in_a_unary_call_waits() {
        let mut client = client::Connection::new(Limits::default());
        echo("x").issue(&mut client).unwrap();
        assert_client_refuses(&mut client, calls());
        assert_client_refuses(&mut client, stream_commands());
    }

    #[test]
    fn a_client_on_a_stream_makes_no_call_and_gives_up_once() {
        for last in [Command::Close, Command::Cancel] {
            let mut client = client::Connection::new(Limits::default());
            count(1).issue(&mut client).unwrap();
            assert_client_refuses(&mut client, calls());
            tick().issue(&mut client).unwrap();
            last.issue(&mut client).unwrap();
            assert_client_refuses(&mut client, calls());
            assert_client_refuses(&mut client, stream_commands());
        }
    }

    #[test]
    fn a_client_refuses_a_batch_that_does_not_fit_and_goes_on() {
        let mut pair = Pair::default();
        let numbers = EncodedSchema::new(schema([("value", DataType::Float64)])).unwrap();
        pair.play(scale(2.0));
        for misfit in [row([("value", text("x"))]), row([("value", floats([1.0])), ("b", int(1))])] {
            let refused = pair.client.send(&numbers, &misfit, &Metadata::new());
            assert!(matches!(refused, Err(CommandError::Encode(_))), "{refused:?}");
            assert!(pair.client.poll_transmit().is_none());
        }
        let turn = pair.play(send(values([1.0])));
        assert_eq!(lines(&turn.told), ["output value=2.0"]);
        let refused = pair.client.send(&EncodedSchema::empty(), &row([("n", int(1))]), &Metadata::new());
        assert!(
            matches!(refused, Err(CommandError::Encode(_))),
            "a stream keeps its first schema: {refused:?}"
        );
        let turn = pair.play(send(values([2.0])));
        assert_eq!(lines(&turn.told), ["output value=4.0"]);
    }

    #[test]
    fn a_responder_refuses_work_that_it_did_not_give() {
        let work_of = |command: Command| {
            let mut pair = Pair::default();
            command.issue(&mut pair.client).unwrap();
            let mut up = Vec::new();
            drain(pair.client.poll_transmit(), usize::MAX, &mut up);
            pair.server.receive(up.into());
            let Ok(Next::Event(work)) = pair.server.poll_work() else { panic!("work waits") };
            work.run()
        };
        let mut pair = Pair::default();
        let log = || unary("log", row([("value", text("foreign"))]));
        let opening = || stream("count_with_logs", row([("count", int(1))]));
        for command in [log(), opening(), unary("log_and_fail", no_columns(1))] {
            assert_misuse(pair.server.complete(work_of(command)));
            assert!(pair.server.poll_transmit().is_none());
        }
        // Nothing of it may show in the next call.
        pair.assert_usable();
    }

    #[test]
    fn a_responder_waits_while_work_is_out() {
        let mut pair = Pair::default();
        count(1).issue(&mut pair.client).unwrap();
        tick().issue(&mut pair.client).unwrap();
        let mut up = Vec::new();
        drain(pair.client.poll_transmit(), usize::MAX, &mut up);
        pair.server.receive(up.into());
        for _ in 0..2 {
            let Ok(Next::Event(work)) = pair.server.poll_work() else { panic!("work waits") };
            assert!(matches!(pair.server.poll_work(), Ok(Next::NeedCommand)));
            assert!(!pair.server.is_idle());
            pair.server.complete(work.run()).unwrap();
        }
        assert!(matches!(pair.server.poll_work(), Ok(Next::NeedInput)));
    }
}

mod end_of_input {
    use super::*;

    /// Every cut of a short conversation, and some hundred of a long one.
    fn cuts(len: usize) -> impl Iterator<Item = usize> {
        let step = (len / 300).max(1);
        (0..len).step_by(step).chain(len.saturating_sub(9)..=len)
    }

    /// Whatever the responder was in the middle of, it says that it is over.
    fn end(server: &mut Responder) -> Rest {
        let mut sent = Vec::new();
        server.receive_eof();
        let rest = serve(server, usize::MAX, &mut sent);
        assert_eq!(serve(server, usize::MAX, &mut sent), rest, "it stays so");
        rest
    }

    #[test]
    fn a_server_knows_at_every_byte_what_the_end_means() {
        let mut closed = 0;
        for (name, script) in scenarios::all() {
            let request = converse(script).request;
            for cut in cuts(request.len()) {
                let mut server = responder(Limits::default());
                server.receive(request.slice(..cut));
                serve(&mut server, usize::MAX, &mut Vec::new());
                let idle = server.is_idle();
                match end(&mut server) {
                    Rest::Closed => {
                        assert!(idle, "{name} at {cut}");
                        assert!(cut == 0 || request[..cut].ends_with(&END_OF_STREAM), "{name} at {cut}");
                        closed += 1;
                    }
                    Rest::Failed(_) => assert!(!idle, "{name} at {cut}"),
                    other => panic!("{name} at {cut}: {other:?}"),
                }
            }
        }
        assert!(closed > 2 * scenarios::all().len());
    }

    #[test]
    fn a_client_knows_at_every_byte_what_the_end_means() {
        for (name, script) in scenarios::all() {
            let conversation = converse(script);
            for (index, turn) in conversation.turns.iter().enumerate() {
                for cut in cuts(turn.response.len()).step_by(3) {
                    let mut client = client::Connection::new(Limits::default());
                    let mut told = Vec::new();
                    for earlier in &conversation.turns[..index] {
                        earlier.command.issue(&mut client).unwrap();
                        client.receive(earlier.response.clone());
                        listen(&mut client, &mut told);
                    }
                    turn.command.issue(&mut client).unwrap();
                    client.receive(turn.response.slice(..cut));
                    client.receive_eof();
                    let rest = listen(&mut client, &mut told);
                    let over = cut == turn.response.len() && turn.told.last() == Some(&Told::Finished);
                    if over {
                        assert_eq!(rest, Rest::Closed, "{name}, turn {index} at {cut}");
                    } else {
                        assert!(matches!(rest, Rest::Failed(_)), "{name}, turn {index} at {cut}: {rest:?}");
                    }
                    assert_eq!(listen(&mut client, &mut told), rest, "it stays so");
                }
            }
        }
    }

    #[test]
    fn a_connection_that_was_never_used_closes() {
        assert_eq!(end(&mut responder(Limits::default())), Rest::Closed);
        let mut client = client::Connection::new(Limits::default());
        client.receive_eof();
        assert_eq!(listen(&mut client, &mut Vec::new()), Rest::Closed);
    }

    #[test]
    fn a_call_that_came_whole_is_answered_before_the_connection_closes() {
        let mut server = responder(Limits::default());
        server.receive(converse(unary_echo()).request);
        server.receive_eof();
        let mut sent = Vec::new();
        assert_eq!(serve(&mut server, usize::MAX, &mut sent), Rest::Closed);
        assert_eq!(batches_of(&sent.into()).len(), 1);
    }
}
