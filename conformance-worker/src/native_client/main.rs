//! Calls the reference's worker for native clients with the client of this project, and prints what came of each case: a
//! line that begins with `passed`, `failed` or `skipped`, the name of the case, and why if it did not pass.
//!
//! The conformance suite drives servers with batches that Python has made, so that it cannot tell whether a client makes its
//! batches by the declared schema. The contract is `native-client-conformance.md`, where that is not out of date: what it
//! calls `__describe__` is `vgi_rpc.Reflection.v1` by now.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `report` | the outcome of each case |
// | `calls` | unary calls, and what the server says about itself |
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
    /// Which cases are run.
    lane: Lane,
    /// Where the worker is: what `vgi_rpc_connect` takes.
    address: String,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Lane {
    /// A connection of bytes.
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

/// The cases that are the same on every transport, all of them with one client.
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
