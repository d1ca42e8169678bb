//! Calls the reference's worker for native clients with this project's client, and prints the result of each case: a line
//! that begins with `passed`, `failed` or `skipped`, followed by the case's name, and the reason unless it passed.
//!
//! The conformance suite drives servers with batches made by Python, so it cannot check whether a client builds its
//! batches with the declared schema. The contract is `native-client-conformance.md`, except where it is out of date: its
//! `__describe__` is now `vgi_rpc.Reflection.v1`.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `report` | the outcome of each case |
// | `calls` | unary calls, and the description of the server |
// | `producers`, `exchange` | streams |
// | `typed` | the batches of the exchange |
// | `sessions` | sticky sessions |
// | `shared_memory` | shared memory |
// | `external` | external storage |

mod calls;
mod exchange;
mod external;
mod producers;
mod report;
mod sessions;
mod shared_memory;
mod typed;

use calls::{Case, PROTOCOL};
use clap::{Parser, ValueEnum};
use report::Report;
use std::process::ExitCode;
use vgi_rpc_connect::{Client, Remote, connect};

#[derive(Parser)]
#[command(about = "Runs the cases for native clients against the reference's worker")]
struct Arguments {
    /// The cases to run.
    lane: Lane,
    /// The worker's address, for `vgi_rpc_connect`.
    address: String,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Lane {
    /// A byte-stream connection.
    Bytes,
    /// HTTP without options.
    Http,
    /// HTTP with a budget for each turn.
    Buffered,
    /// HTTP with sticky sessions.
    Sticky,
    /// HTTP with external storage.
    External,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut report = Report::default();
    match arguments.lane {
        Lane::Sticky => sessions::run(&arguments.address, &mut report),
        Lane::External => external::run(&arguments.address, &mut report),
        lane => run_calls(lane, &arguments.address, &mut report),
    }
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the cases that are the same on every transport, all with one client.
fn run_calls(lane: Lane, address: &str, report: &mut Report) {
    let mut client = match connect(address) {
        Ok(client) => client,
        Err(error) => return report.add("connect", Err(error.into())),
    };
    let service = Remote::new(PROTOCOL);
    let run = |report: &mut Report, client: &mut Client, cases: &[(&'static str, Case)]| {
        for (name, case) in cases {
            report.add(name, case(client, &service));
        }
    };
    run(report, &mut client, &producers::CASES);
    if lane == Lane::Buffered {
        run(report, &mut client, &producers::LARGE);
        return report.add("close", client.close().map_err(Into::into));
    }
    run(report, &mut client, &calls::CASES);
    run(report, &mut client, &exchange::CASES);
    if lane == Lane::Bytes {
        run(report, &mut client, &calls::BYTES);
    } else {
        report.skip("tls", "the worker's certificate is its own authority, which rustls refuses");
    }
    report.add("close", client.close().map_err(Into::into));
    match lane {
        Lane::Bytes if address.starts_with("tcp:") => report.skip("shared_memory", "TCP shares no memory"),
        Lane::Bytes => report.add("shared_memory", shared_memory::run(address)),
        _ => {}
    }
}
