//! The client driver as a process, against this project's own worker: the order of instructions, the two failure
//! channels, and the end. The suite checks the client itself, against the reference's server.

use arrow_array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::Schema;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::ipc::{Metadata, decode_batch, encode_batch};

const WORKER: &str = env!("CARGO_BIN_EXE_vgi-rpc-conformance-rust");

struct Driver {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Driver {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_vgi-rpc-client-driver-rust"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take(), process.stdout.take().unwrap());
        Self { process, input, output: BufReader::new(output) }
    }

    fn connected() -> Self {
        let mut driver = Self::start();
        let target = json!([WORKER, "--pipe"]);
        let reply = driver.ask(json!({
            "op": "connect", "transport": "stdio", "target": target, "protocol": "ConformanceService",
            "external": false, "compression_level": null, "headers": {},
        }));
        assert_eq!(reply["ok"], true, "{reply}");
        driver
    }

    /// Writes one line and reads one.
    fn ask(&mut self, instruction: Value) -> Value {
        writeln!(self.input.as_mut().unwrap(), "{instruction}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Returns the reason why an instruction is refused.
    fn refusal(&mut self, instruction: Value) -> String {
        let reply = self.ask(instruction);
        assert_eq!(reply["ok"], false, "{reply}");
        reply["error"].as_str().unwrap().to_owned()
    }

    /// Closes the input, and waits for the process to end without further output.
    fn end(mut self) {
        self.input = None;
        let mut rest = String::new();
        self.output.read_line(&mut rest).unwrap();
        assert_eq!(rest, "");
        assert!(self.process.wait().unwrap().success());
    }
}

/// Returns a request as the harness sends it.
fn request(method: &str, params: &[(&str, ArrayRef)]) -> String {
    let metadata: Metadata = [
        ("vgi_rpc.method", method),
        ("vgi_rpc.protocol", "ConformanceService"),
        ("vgi_rpc.protocol_version", "2.0.0"),
        ("vgi_rpc.request_version", "1"),
    ]
    .into_iter()
    .collect();
    let batch = match params {
        [] => {
            let row = RecordBatchOptions::new().with_row_count(Some(1));
            RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &row).unwrap()
        }
        params => {
            let columns = params.iter().map(|(name, column)| (*name, column.clone(), false));
            RecordBatch::try_from_iter_with_nullable(columns).unwrap()
        }
    };
    STANDARD.encode(encode_batch(&batch, &metadata).unwrap())
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

fn batch(relayed: &Value) -> RecordBatch {
    let bytes = STANDARD.decode(relayed.as_str().unwrap()).unwrap();
    decode_batch(bytes.into(), &Limits::default()).unwrap().0
}

#[test]
fn calls_are_relayed_and_so_are_their_errors() {
    let mut driver = Driver::connected();
    let echo = request("echo_string", &[("value", text("hi"))]);
    let reply = driver.ask(json!({"op": "unary", "request_b64": echo}));
    assert_eq!((&reply["ok"], &reply["error"], &reply["logs"]), (&true.into(), &Value::Null, &json!([])));
    assert_eq!(batch(&reply["result_b64"]).column(0).as_ref(), text("hi").as_ref());

    let raise = request("raise_value_error", &[("message", text("boom"))]);
    let reply = driver.ask(json!({"op": "unary", "request_b64": raise}));
    assert_eq!((&reply["ok"], &reply["result_b64"]), (&true.into(), &Value::Null));
    assert_eq!(reply["error"]["error_type"], "ValueError");

    let described = driver.ask(json!({"op": "describe"}));
    let described = &described["describe"];
    assert_eq!(described["protocol_name"], "ConformanceService");
    assert!(described["methods"].as_array().unwrap().iter().any(|method| method["name"] == "echo_string"));
    assert_eq!(driver.ask(json!({"op": "shutdown"}))["ok"], true);
    driver.end();
}

#[test]
fn a_stream_takes_its_own_instructions_until_it_is_over() {
    let mut driver = Driver::connected();
    let count: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let open = request("produce_with_logs", &[("count", count)]);
    let open = json!({"op": "stream_open", "request_b64": open, "is_exchange": false, "has_header": false});
    let reply = driver.ask(open.clone());
    assert_eq!((&reply["ok"], &reply["header_b64"]), (&true.into(), &Value::Null));
    assert!(driver.refusal(open.clone()).contains("a stream is open"));
    assert!(driver.refusal(json!({"op": "describe"})).contains("a stream is open"));
    let reply = driver.ask(json!({"op": "next_with_token"}));
    assert_eq!((&reply["done"], &reply["token"]), (&false.into(), &Value::Null));
    assert_eq!((batch(&reply["batch_b64"]).num_rows(), &reply["logs"][0]["level"]), (1, &"INFO".into()));
    let reply = driver.ask(json!({"op": "tick"}));
    assert_eq!(
        (&reply["done"], &reply["batch_b64"], &reply["logs"]),
        (&true.into(), &Value::Null, &json!([]))
    );
    assert!(driver.refusal(json!({"op": "tick"})).contains("no stream is open"));
    for end in ["cancel", "close"] {
        assert_eq!(driver.ask(open.clone())["ok"], true);
        for _ in 0..2 {
            assert_eq!(driver.ask(json!({"op": end}))["ok"], true, "{end}, with and without a stream");
        }
    }
    // The end of the input within a stream is a shutdown too.
    driver.ask(open);
    driver.end();
}

#[test]
fn what_cannot_be_carried_out_is_refused() {
    let mut driver = Driver::start();
    assert!(driver.refusal(json!({"op": "describe"})).contains("no connection"));
    assert!(driver.refusal(json!({"op": "fly"})).contains("unknown variant"));
    let connect = |transport: &str, target: Value, external: bool| json!({"op": "connect", "transport": transport, "target": target, "protocol": "P", "external": external});
    assert!(driver.refusal(connect("unix", "/nowhere/at/all".into(), false)).contains("/nowhere/at/all"));
    assert!(driver.refusal(connect("stdio", json!([]), false)).contains("empty"));
    assert!(driver.refusal(connect("shm", json!([]), false)).contains("empty"));
    assert_eq!(driver.ask(connect("stdio", json!([WORKER]), true))["ok"], true);
    assert!(driver.refusal(connect("stdio", json!([WORKER]), false)).contains("already"));
    for op in ["capabilities", "session_begin", "session_token", "session_detach", "session_end"] {
        assert_eq!(driver.refusal(json!({"op": op})), "op requires http transport");
    }
    assert!(driver.refusal(json!({"op": "unary", "request_b64": "%"})).contains("base64"));
    driver.end();
}
