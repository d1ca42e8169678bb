//! Exposes the client of this project to the conformance suite of vgi-rpc: reads instructions on stdin, carries them out
//! with the client, and writes what came of them to stdout. The contract is CLIENT_DRIVER_PROTOCOL.
//!
//! This is a relay. It decodes no values, resolves no pointers, retries nothing and chooses neither protocol nor method:
//! whatever it did in the client's place, the suite could not find missing in the client.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `instruction` | instructions, as JSON |
// | `reply` | replies, as JSON |
// | `control` | lines in and lines out |
// | `batches` | batches as base64 of IPC streams |
// | `connection` | the one connection |
// | `http` | what there is over HTTP only, sessions above all |
// | `calls` | instructions outside a stream |
// | `stream` | instructions while a stream is open |
// | `describe` | what the server says about itself |

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
