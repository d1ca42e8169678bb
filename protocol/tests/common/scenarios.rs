//! The conversations of the tests: named scripts of commands.

use super::batches::*;
use super::driver::Command;
use super::service::{MAIN, VERSION, VERSIONED};
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field};
use vgi_rpc_protocol::client::CallKind;
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::reflection;
use vgi_rpc_protocol::wire::keys;

pub const REQUEST_ID: &str = "request-1";

pub fn call(protocol: &'static str, method: &str, kind: CallKind, row: RecordBatch) -> Command {
    let (method, id, metadata) = (method.to_owned(), Some(REQUEST_ID), Metadata::new());
    Command::Call { protocol, method, version: None, id, kind, row, metadata }
}

pub fn unary(method: &str, row: RecordBatch) -> Command {
    call(MAIN, method, CallKind::Unary, row)
}

pub fn stream(method: &str, row: RecordBatch) -> Command {
    call(MAIN, method, CallKind::Stream { header: false }, row)
}

pub fn stream_with_header(method: &str, row: RecordBatch) -> Command {
    call(MAIN, method, CallKind::Stream { header: true }, row)
}

/// Returns a call of the versioned protocol by a client of this version.
pub fn versioned(version: Option<&'static str>, command: Command) -> Command {
    match command {
        Command::Call { method, id, kind, row, metadata, .. } => {
            Command::Call { protocol: VERSIONED, method, version, id, kind, row, metadata }
        }
        other => other,
    }
}

/// Returns a request with exactly this metadata.
pub fn request<const N: usize>(kind: CallKind, row: RecordBatch, metadata: [(&str, &[u8]); N]) -> Command {
    Command::Request { kind, row, metadata: metadata.into_iter().collect() }
}

pub fn tick() -> Command {
    Command::Tick(Metadata::new())
}

pub fn ticks(count: usize) -> Vec<Command> {
    vec![tick(); count]
}

pub fn send(batch: RecordBatch) -> Command {
    Command::Send(batch, Metadata::new())
}

pub fn metadata<const N: usize>(entries: [(&str, &str); N]) -> Metadata {
    entries.into_iter().collect()
}

pub fn echo(value: &str) -> Command {
    unary("echo", row([("value", text(value))]))
}

pub fn count(count: i64) -> Command {
    stream("count", row([("count", int(count))]))
}

pub fn count_until(at: i64, manner: &str) -> Command {
    stream("count_until", row([("at", int(at)), ("manner", text(manner))]))
}

pub fn scale(factor: f64) -> Command {
    stream("scale", row([("factor", floats([factor]))]))
}

pub fn scale_until(at: i64, manner: &str) -> Command {
    stream("scale_until", row([("at", int(at)), ("manner", text(manner))]))
}

pub fn values<const N: usize>(values: [f64; N]) -> RecordBatch {
    row([("value", floats(values))])
}

pub fn add(row: RecordBatch) -> Command {
    unary("add", row)
}

/// Returns the script of `open` and `commands`.
pub fn script<const N: usize>(open: Command, commands: [Command; N]) -> Vec<Command> {
    std::iter::once(open).chain(commands).collect()
}

fn nullable(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

/// Returns streams that fail in the turn of this script's last command.
pub fn producer_that(manner: &str) -> Vec<Command> {
    script(count_until(1, manner), [tick(), tick()])
}

pub fn exchange_that(manner: &str) -> Vec<Command> {
    script(scale_until(1, manner), [send(values([1.0])), send(values([2.0]))])
}

macro_rules! scenarios {
    ($($name:ident => $script:expr;)*) => {
        $(pub fn $name() -> Vec<Command> {
            $script
        })*

        /// Returns every scenario with its name.
        pub fn all() -> Vec<(&'static str, Vec<Command>)> {
            vec![$((stringify!($name), $name())),*]
        }
    };
}

const UNARY: CallKind = CallKind::Unary;
const STREAM: CallKind = CallKind::Stream { header: false };
const HEADED: CallKind = CallKind::Stream { header: true };

scenarios! {
    unary_echo => vec![echo("hello")];
    unary_empty_text => vec![echo("")];
    unary_without_an_id => vec![match echo("x") {
        Command::Call { protocol, method, version, kind, row, metadata, .. } => {
            Command::Call { protocol, method, version, id: None, kind, row, metadata }
        }
        other => other,
    }];
    unary_void => vec![unary("nothing", no_columns(1))];
    unary_void_with_parameter => vec![unary("ignore", row([("value", int(3))]))];
    unary_null_result => vec![unary("maybe", fields([(nullable("value", DataType::Utf8), texts([None]))]))];
    unary_optional_value =>
        vec![unary("maybe", fields([(nullable("value", DataType::Utf8), texts([Some("here")]))]))];
    unary_nested => vec![
        unary("echo_point", row([("value", point(1.5, Some("p")))])),
        unary("echo_labels", row([("value", labels([Some("a"), None, Some("b"), Some("a")]))])),
        unary("echo_counts", row([("value", counts([("x", 1), ("y", 2)]))])),
        unary("echo_color", row([("value", colors(["red"]))])),
        unary("echo_matrix", row([("value", matrix([[1, 2], [3, 4]]))])),
    ];
    unary_error => vec![unary("fail", row([("message", text("too small"))]))];
    unary_error_with_detail => vec![unary("fail_busy", no_columns(1))];
    unary_panic => vec![unary("panic", no_columns(1))];
    unary_logs => vec![unary("log", row([("value", text("v"))]))];
    unary_log_then_error => vec![unary("log_and_fail", no_columns(1))];
    unary_log_then_void => vec![unary("log_and_nothing", no_columns(1))];
    unary_answer_of_wrong_type => vec![unary("answer_of_wrong_type", no_columns(1))];
    unary_null_answer => vec![unary("null_answer", no_columns(1))];
    unary_two_answers => vec![unary("two_answers", no_columns(1))];
    unary_about => vec![match unary("about", no_columns(1)) {
        Command::Call { protocol, method, version, id, kind, row, .. } => {
            let metadata = metadata([("mark", "m1"), (keys::TRACEPARENT, "00-ab-cd-01")]);
            Command::Call { protocol, method, version, id, kind, row, metadata }
        }
        other => other,
    }];

    producer_to_the_end => script(count(2), [tick(), tick(), tick()]);
    producer_of_nothing => script(count(0), [tick()]);
    producer_closed_before_the_first_tick => script(count(2), [Command::Close]);
    producer_closed_in_the_middle => script(count(5), [tick(), tick(), Command::Close]);
    producer_cancelled_before_the_first_tick => script(count(2), [Command::Cancel]);
    producer_cancelled_in_the_middle => script(count(5), [tick(), tick(), Command::Cancel]);
    producer_with_panicking_cancel_hook =>
        script(count_until(9, "panic in the hook"), [tick(), Command::Cancel]);
    producer_with_logging_cancel_hook => script(count_until(9, "log in the hook"), [tick(), Command::Cancel]);
    producer_with_logs =>
        script(stream("count_with_logs", row([("count", int(1))])), [tick(), tick()]);
    producer_with_header =>
        script(stream_with_header("count_with_header", row([("count", int(1))])), [tick(), tick()]);
    producer_with_header_closed_at_once =>
        script(stream_with_header("count_with_header", row([("count", int(1))])), [Command::Close]);
    producer_failing_to_open_with_header =>
        vec![stream_with_header("count_with_header", row([("count", int(-1))]))];
    producer_failing_to_open => vec![count_until(-1, "error")];
    producer_panicking_at_open => vec![count_until(-1, "panic")];
    producer_without_its_header => vec![stream_with_header("no_header", no_columns(1))];
    producer_with_undeclared_header => vec![stream("undeclared_header", no_columns(1))];
    producer_without_output_schema => vec![stream("no_output", no_columns(1))];
    producer_error => producer_that("error");
    producer_error_at_once => script(count_until(0, "error"), [tick()]);
    producer_error_after_emit => producer_that("error after emit");
    producer_log_and_error => producer_that("log and error");
    producer_panic => producer_that("panic");
    producer_silence => producer_that("silence");
    producer_two_batches => producer_that("two batches");
    producer_misfit => producer_that("misfit");
    producer_finish => producer_that("finish");
    producer_finish_with_data => producer_that("finish with data");
    producer_of_dynamic_schema =>
        script(stream("wide", row([("columns", int(3))])), [tick(), tick(), tick()]);
    producer_of_no_columns => script(stream("wide", row([("columns", int(0))])), [tick(), Command::Close]);
    producer_tick_metadata => script(
        stream("tick_marks", no_columns(1)),
        [
            tick(),
            Command::Tick(metadata([("mark", "second"), (keys::LOCATION_SHA256, "transport's own")])),
            Command::Close,
        ],
    );
    producer_emitting_columns_in_another_order => script(stream("reordered", no_columns(1)), [tick(), tick()]);
    producer_of_dictionaries =>
        script(stream("colors", no_columns(1)), [tick(), tick(), tick(), tick(), tick()]);
    producer_of_large_batches =>
        script(stream("large", row([("rows", int(2000))])), [tick(), tick(), tick()]);

    exchange => script(scale(2.0), [send(values([1.0, 2.5])), send(values([-1.0])), Command::Close]);
    exchange_of_no_rows => script(scale(2.0), [send(values([])), Command::Close]);
    exchange_closed_before_the_first_input => script(scale(2.0), [Command::Close]);
    exchange_cancelled_before_the_first_input => script(scale(2.0), [Command::Cancel]);
    exchange_cancelled_in_the_middle => script(scale(2.0), [send(values([1.0])), Command::Cancel]);
    exchange_with_header => script(
        stream_with_header("scale_with_header", row([("factor", floats([3.0]))])),
        [send(values([2.0])), Command::Close],
    );
    exchange_casting_its_input => script(
        scale(2.0),
        [send(row([("value", floats32([0.5]))])), send(row([("value", floats32([1.5]))])), Command::Close],
    );
    exchange_casting_integers => script(scale(2.0), [send(row([("value", ints([3]))])), Command::Close]);
    exchange_of_nullable_input_without_nulls => script(
        scale(2.0),
        [send(fields([(nullable("value", DataType::Float64), floats([1.0]))])), Command::Close],
    );
    exchange_of_reordered_columns =>
        script(stream("swap", no_columns(1)), [send(row([("b", text("x")), ("a", floats([1.0]))])), Command::Close]);
    exchange_of_another_column => script(scale(2.0), [send(row([("other", floats([1.0]))]))]);
    exchange_of_one_column_too_many =>
        script(scale(2.0), [send(row([("value", floats([1.0])), ("other", floats([1.0]))]))]);
    exchange_of_text_for_numbers => script(scale(2.0), [send(row([("value", text("many"))]))]);
    exchange_of_null_for_a_number =>
        script(scale(2.0), [send(fields([(nullable("value", DataType::Utf8), texts([None]))]))]);
    exchange_failing_to_open => vec![scale_until(-1, "error")];
    exchange_error => exchange_that("error");
    exchange_panic => exchange_that("panic");
    exchange_silence => exchange_that("silence");
    exchange_two_batches => exchange_that("two batches");
    exchange_misfit => exchange_that("misfit");
    exchange_finish => exchange_that("finish");
    exchange_of_no_columns => script(
        stream("no_columns", no_columns(1)),
        [Command::Tick(Metadata::new()), send(no_columns(3)), Command::Close],
    );
    exchange_of_dynamic_schema =>
        script(stream("dynamic", no_columns(1)), [send(row([("x", ints32([1, 2]))])), Command::Close]);
    exchange_of_dictionaries => script(
        stream("copy_colors", no_columns(1)),
        [
            send(row([("color", colors(["red", "blue"]))])),
            send(row([("color", colors(["blue"]))])),
            send(row([("color", colors(["blue"]))])),
            Command::Close,
        ],
    );
    exchange_of_nested_dictionaries => script(
        stream("copy_labels", no_columns(1)),
        [
            send(row([("labels", labels([Some("a"), None])), ("point", point(0.5, None))])),
            send(row([("labels", labels([Some("b"), Some("a"), Some("b")])), ("point", point(1.5, Some("q")))])),
            Command::Close,
        ],
    );
    exchange_input_metadata => script(
        stream("swap", no_columns(1)),
        [
            Command::Send(
                row([("a", floats([1.0])), ("b", text("x"))]),
                metadata([("mark", "first"), ("mark", "twice"), (keys::LOCATION_SHA256, "transport's own")]),
            ),
            send(row([("a", floats([2.0])), ("b", text("y"))])),
            Command::Close,
        ],
    );

    versioned_same => vec![versioned(Some(VERSION), echo("v"))];
    versioned_other_patch => vec![versioned(Some("1.4.99"), echo("v"))];
    versioned_stream => script(versioned(Some(VERSION), count(1)), [tick(), tick()]);
    version_missing => vec![versioned(None, echo("v"))];
    version_malformed => vec![versioned(Some("1.4"), echo("v"))];
    version_older => vec![versioned(Some("1.3.9"), echo("v"))];
    version_newer => vec![versioned(Some("2.0.0"), echo("v"))];
    version_older_on_a_stream => vec![versioned(Some("1.3.9"), count(1))];
    version_not_utf8 => vec![request(
        UNARY,
        row([("value", text("v"))]),
        [
            (keys::METHOD, b"echo"),
            (keys::PROTOCOL, VERSIONED.as_bytes()),
            (keys::REQUEST_VERSION, b"1"),
            (keys::PROTOCOL_VERSION, b"\xff"),
        ],
    )];

    unknown_method => vec![unary("no_such_method", no_columns(1))];
    unknown_method_as_a_stream => vec![stream("no_such_method", no_columns(1))];
    unknown_method_as_a_stream_with_header => vec![stream_with_header("no_such_method", no_columns(1))];
    unknown_reserved_method => vec![unary("__no_such_method__", no_columns(1))];
    retired_describe => vec![unary("__describe__", no_columns(1))];
    unknown_protocol => vec![call("no.Such.v1", "echo", UNARY, row([("value", text("v"))]))];
    malformed_protocol => vec![call("no such protocol", "echo", UNARY, row([("value", text("v"))]))];
    missing_protocol => vec![request(
        UNARY,
        row([("value", text("v"))]),
        [(keys::METHOD, b"echo"), (keys::REQUEST_VERSION, b"1"), (keys::REQUEST_ID, b"request-1")],
    )];
    empty_protocol => vec![call("", "echo", UNARY, row([("value", text("v"))]))];
    protocol_not_utf8 => vec![request(
        UNARY,
        row([("value", text("v"))]),
        [(keys::METHOD, b"echo"), (keys::REQUEST_VERSION, b"1"), (keys::PROTOCOL, b"\xff\xfe")],
    )];
    missing_method => vec![request(
        UNARY,
        row([("value", text("v"))]),
        [(keys::PROTOCOL, MAIN.as_bytes()), (keys::REQUEST_VERSION, b"1")],
    )];
    method_not_utf8 => vec![request(
        UNARY,
        row([("value", text("v"))]),
        [(keys::METHOD, b"\xff\xfe"), (keys::PROTOCOL, MAIN.as_bytes()), (keys::REQUEST_VERSION, b"1")],
    )];
    missing_request_version => vec![request(
        UNARY,
        row([("value", text("v"))]),
        [(keys::METHOD, b"echo"), (keys::PROTOCOL, MAIN.as_bytes())],
    )];
    wrong_request_version => vec![request(
        UNARY,
        row([("value", text("v"))]),
        [(keys::METHOD, b"echo"), (keys::PROTOCOL, MAIN.as_bytes()), (keys::REQUEST_VERSION, b"2")],
    )];
    wrong_request_version_on_a_stream => vec![request(
        STREAM,
        row([("count", int(1))]),
        [(keys::METHOD, b"count"), (keys::PROTOCOL, MAIN.as_bytes()), (keys::REQUEST_VERSION, b"2")],
    )];

    undeclared_parameter => vec![add(row([("a", floats([1.0])), ("b", floats([1.0])), ("c", floats([1.0]))]))];
    missing_parameter => vec![add(row([("a", floats([1.0]))]))];
    misordered_parameters => vec![add(row([("b", floats([1.0])), ("a", floats([1.0]))]))];
    renamed_parameter => vec![add(row([("a", floats([1.0])), ("z", floats([1.0]))]))];
    mistyped_parameter => vec![add(row([("a", floats([1.0])), ("b", floats32([1.0]))]))];
    nullability_changed => vec![add(fields([
        (Field::new("a", DataType::Float64, false), floats([1.0])),
        (nullable("b", DataType::Float64), floats([1.0])),
    ]))];
    zero_rows => vec![add(row([("a", floats([])), ("b", floats([]))]))];
    two_rows => vec![add(row([("a", floats([1.0, 2.0])), ("b", floats([1.0, 2.0]))]))];
    any_rows_without_parameters => vec![unary("nothing", no_columns(0)), unary("nothing", no_columns(7))];
    mistyped_parameter_of_a_stream => vec![stream("count", row([("count", floats([1.0]))]))];
    refused_stream_then_abandoned_input =>
        vec![stream("no_such_method", no_columns(1)), count_until(-1, "error"), echo("after")];
    refused_stream_then_a_request_at_once => vec![
        unary("no_such_method", no_columns(1)),
        echo("between"),
        request(HEADED, row([("count", int(1))]), [(keys::METHOD, b"count"), (keys::REQUEST_VERSION, b"1")]),
        unary("count", row([("count", floats([0.0]))])),
        echo("after"),
    ];

    transport_options => vec![request(
        UNARY,
        no_columns(1),
        [
            (keys::METHOD, b"__transport_options__"),
            (keys::REQUEST_VERSION, b"1"),
            (keys::TRANSPORT_SHM, b"true"),
        ],
    )];
    list_protocols => vec![call(reflection::PROTOCOL_NAME, "list_protocols", UNARY, no_columns(1))];
    describe =>
        vec![call(reflection::PROTOCOL_NAME, "describe", UNARY, row([("protocol", text(MAIN))]))];
    describe_unknown =>
        vec![call(reflection::PROTOCOL_NAME, "describe", UNARY, row([("protocol", text("no.Such.v1"))]))];
    many_calls => vec![
        echo("1"),
        count(1), tick(), tick(),
        unary("fail", row([("message", text("m"))])),
        scale(2.0), send(values([1.0])), Command::Close,
        unary("no_such_method", no_columns(1)),
        count(9), tick(), Command::Cancel,
        stream("no_such_method", no_columns(1)),
        stream_with_header("count_with_header", row([("count", int(0))])), tick(),
        count_until(0, "panic"), tick(),
        unary("log", row([("value", text("v"))])),
        count(3), Command::Close,
        echo("end"),
    ];
}
