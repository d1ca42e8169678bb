//! [`run`]: the whole `main` of a worker.

use crate::command_line::WorkerOptions;
use clap::{Args, Command, FromArgMatches};
use std::env;
use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use vgi_rpc_protocol::OneLine;
use vgi_rpc_protocol::service::{Service, ServiceBuilder};

/// Parses the command line, has the service built, and serves it until the end.
///
/// `build` is given a [`ServiceBuilder`] that has the instance's id, and hosts reflection unless the command line says
/// otherwise. It adds its protocols and builds. It may fail with anything that can be displayed.
///
/// Returns the process's exit status: success when the worker has ended in order; failure, after a line on stderr, when the
/// service cannot be built or served. An invalid command line ends the process here with status 2, and `--help` with 0. On
/// glibc freed memory goes back to the system, as by [`return_freed_memory`](crate::return_freed_memory).
pub fn run<E: Display>(build: impl FnOnce(ServiceBuilder) -> Result<Service, E>) -> ExitCode {
    vgi_rpc_memory::return_freed_memory();
    let options = parse();
    let service = match build(options.service()) {
        Ok(service) => service,
        Err(error) => return fail(&error),
    };
    match options.serve(service) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// The command line's options. Ends the process if it is invalid, or asks for help.
fn parse() -> WorkerOptions {
    let command = WorkerOptions::augment_args(Command::new("worker").bin_name(program()));
    // Said last: the groups of flags say of themselves what they are, in the same place.
    let mut command = command.about("Serves vgi-rpc protocols").long_about(None);
    let mut matches = command.get_matches_mut();
    WorkerOptions::from_arg_matches_mut(&mut matches)
        .unwrap_or_else(|error| error.format(&mut command).exit())
}

fn fail(error: &dyn Display) -> ExitCode {
    // It may have texts of files and peers in it. Stdout belongs to the protocol, and a closed stderr is no reason to panic.
    let _ = writeln!(std::io::stderr(), "{}: {}", program(), OneLine(error));
    ExitCode::FAILURE
}

/// The name that this program was started by.
fn program() -> String {
    let path = env::args_os().next().map(PathBuf::from).unwrap_or_default();
    path.file_name().map_or_else(|| "worker".to_owned(), |name| name.to_string_lossy().into_owned())
}
