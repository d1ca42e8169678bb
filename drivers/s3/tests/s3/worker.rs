//! A worker whose operator configures a bucket with `--storage`.

use crate::server::BUCKET;
use crate::support::{ID, SECRET, hides_secrets, server};
use arrow_array::cast::AsArray;
use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::DataType;
use clap::Parser;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_external::{FetcherOptions, HttpFetcher};
use vgi_rpc_http::client::{External, HttpOptions as ClientOptions, Remote};
use vgi_rpc_protocol::external::{FetchOptions, UrlPolicy};
use vgi_rpc_protocol::service::{Method, Protocol};
use vgi_rpc_worker::WorkerOptions;

/// The variable that makes the test below a worker, with its flags.
const FLAGS: &str = "VGI_RPC_TEST_WORKER";

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    worker: WorkerOptions,
}

fn parse(flags: &[&str]) -> Result<WorkerOptions, clap::Error> {
    CommandLine::try_parse_from([&["worker"], flags].concat()).map(|line| line.worker)
}

struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The main function of a worker's process. As a test of its own it does nothing.
#[test]
fn process() {
    let Ok(flags) = std::env::var(FLAGS) else { return };
    let worker = parse(&flags.split(' ').collect::<Vec<_>>()).unwrap();
    let zeros = Method::new("zeros").param("bytes", DataType::Int64).returns(DataType::Binary);
    let zeros = zeros.unary(|args, _| Ok(vec![0_u8; args.get::<i64>("bytes")? as usize]));
    let service = worker.service().protocol(Protocol::new("demo.Zeros.v1").method(zeros)).build().unwrap();
    worker.serve(service).unwrap();
}

#[test]
fn a_worker_stores_large_outputs_in_the_bucket_that_its_flag_names() {
    let server = server();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "worker::process", "--nocapture"]);
    command.env(
        FLAGS,
        "--http --storage s3://test-bucket/results --storage-threshold 1000 --storage-by-content",
    );
    command.env("AWS_ENDPOINT_URL_S3", server.endpoint()).env("AWS_ACCESS_KEY_ID", ID);
    command.env("AWS_SECRET_ACCESS_KEY", SECRET).env_remove("AWS_SESSION_TOKEN");
    let mut worker = Worker(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(worker.0.stdout.take().unwrap()).lines();
    let port = lines.find_map(|line| line.unwrap().split_once("PORT:").map(|(_, port)| port.to_owned()));
    let url = format!("http://127.0.0.1:{}", port.expect("it listens"));

    let options = FetchOptions { policy: UrlPolicy::https_or_http_loopback(), ..FetchOptions::default() };
    let external = External::new(options, HttpFetcher::new(FetcherOptions::default()).unwrap());
    let mut client = ClientOptions::default().build(&url).unwrap().client().external(external);
    let zeros = Remote::new("demo.Zeros.v1");
    for (bytes, operations) in [
        (100, &[][..]),
        (5000, &["HeadObject", "PutObject", "GetObject"]),
        (5000, &["HeadObject", "GetObject"]),
    ] {
        let column = Arc::new(Int64Array::from(vec![bytes]));
        let parameters = RecordBatch::try_from_iter_with_nullable([("bytes", column as _, false)]).unwrap();
        let result = client.unary(&zeros.method("zeros"), &parameters).unwrap();
        assert_eq!(result.column(0).as_binary::<i32>().value(0), vec![0; bytes as usize]);
        let log = server.take_log();
        assert_eq!(log.iter().map(|asked| asked.operation()).collect::<Vec<_>>(), operations);
        let is_below = |path: &str| path.starts_with(&format!("/{BUCKET}/results/sha256-"));
        assert!(log.iter().all(|asked| is_below(&asked.path)), "{log:?}");
    }
    drop(worker);
    drop(lines);
}

#[test]
fn the_variable_of_storage_is_not_repeated_and_may_be_empty() {
    let run = |flags: &str, value: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "worker::process", "--nocapture"]);
        command.env(FLAGS, flags).env("VGI_RPC_STORAGE", value).stdin(Stdio::null());
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(!said.contains("s3cr3t") && !said.contains("ID:"), "{said}");
        (output.status.success(), said)
    };
    // The flags cannot be parsed by a program: the test fails with the parser's message.
    for (flags, says) in [("--pipe", "VGI_RPC_STORAGE: expected s3://"), ("--help", "[env: VGI_RPC_STORAGE]")]
    {
        let (is_success, said) = run(flags, "s3://ID:s3cr3t@bucket");
        assert!(!is_success && said.contains(says), "{said}");
    }
    let (is_success, said) = run("--pipe", "");
    assert!(is_success, "{said}");
    let (is_success, said) = run("--storage-by-content", "");
    assert!(!is_success && said.contains("without '--storage'"), "{said}");
}

#[test]
fn the_flags_of_storage_are_checked() {
    let refused = |flags: &[&str], says: &[&str]| {
        let error = parse(flags).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.exit_code(), 2);
        assert!(says.iter().all(|part| text.contains(part)), "{text}");
    };
    refused(&["--storage", "bucket"], &["--storage", "s3://"]);
    refused(&["--storage", "ftp://bucket/"], &["--storage", "s3://"]);
    refused(&["--storage", ""], &["--storage", "s3://"]);
    refused(&["--storage", "s3://user@bucket/"], &["--storage", "s3://BUCKET/PREFIX"]);
    let error = parse(&["--storage", "s3://ID:s3cr3t@bucket"]).unwrap_err();
    let expected = "error: invalid value for '--storage' or VGI_RPC_STORAGE: expected s3://BUCKET or s3://BUCKET/PREFIX\n";
    assert_eq!(error.to_string(), expected);
    for value in ["s3://bucket/a?key=s3cr3t", "https://ID:s3cr3t@bucket", "s3cr3t"] {
        let error = parse(&["--storage", value]).unwrap_err();
        hides_secrets(&error, &error);
    }
    refused(&["--storage-threshold", "1"], &["'--storage-threshold' cannot be used without '--storage'"]);
    refused(&["--storage-by-content"], &["'--storage-by-content' cannot be used without '--storage'"]);
    refused(&["--storage", "s3://my-bucket", "--storage-url-expiry", "604801"], &["--storage-url-expiry"]);
    let none = parse(&[]).unwrap();
    assert!(none.storage().is_none());
    assert_eq!(none.externalisation().time_limit, Duration::from_secs(60));
}
