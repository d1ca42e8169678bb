//! Exposes this project's client to the conformance suite of vgi-rpc: reads instructions on stdin, executes them with the
//! client, and writes the results to stdout. The contract is CLIENT_DRIVER_PROTOCOL.
//!
//! It only relays: it decodes no values, resolves no pointers, retries nothing and chooses neither protocol nor method.
//! Otherwise the suite could not detect that the client lacks such a feature.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `instruction` | instructions, as JSON |
// | `reply` | replies, as JSON |
// | `control` | lines in and lines out |
// | `batches` | batches as base64 of IPC streams |
// | `connection` | the one connection |
// | `http` | what exists only over HTTP, mainly sessions |
// | `calls` | instructions outside a stream |
// | `stream` | instructions while a stream is open |
// | `describe` | the description of the server |

mod batches;
mod calls;
mod connection;
mod control;
mod describe;
mod http;
mod instruction;
mod reply;
mod stream;

use control::Control;
use std::process::ExitCode;

fn main() -> ExitCode {
    let control = Control::new(std::io::stdin().lock(), std::io::stdout().lock());
    match calls::serve(control) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Stdout belongs to the control channel.
            eprintln!("vgi-rpc-client-driver-rust: {error}");
            ExitCode::FAILURE
        }
    }
}
