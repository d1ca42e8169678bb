//! [`run`]: the complete `main` of a worker.

use crate::command_line::WorkerOptions;
use clap::{Args, Command, FromArgMatches};
use std::env;
use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use vgi_rpc_protocol::OneLine;
use vgi_rpc_protocol::service::{Service, ServiceBuilder};

/// Parses the command line, builds the service, and serves it until the end.
///
/// `build` receives a [`ServiceBuilder`] that has the instance's id, and hosts reflection unless the command line disables it.
/// It adds its protocols and builds the service. Its error can be of any type that implements `Display`.
///
/// Returns the process's exit status: success if the worker has ended normally; failure, after a line on stderr, if the service
/// cannot be built or served. An invalid command line exits the process with status 2, and `--help` with 0. With glibc, freed
/// memory is returned to the system, as by [`return_freed_memory`](crate::return_freed_memory).
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

/// Parses the command line. Exits the process if it is invalid, or asks for help.
fn parse() -> WorkerOptions {
    let command = WorkerOptions::augment_args(Command::new("worker").bin_name(program()));
    // Set last, because the groups of flags also set the description.
    let mut command = command.about("Serves vgi-rpc protocols").long_about(None);
    let mut matches = command.get_matches_mut();
    WorkerOptions::from_arg_matches_mut(&mut matches)
        .unwrap_or_else(|error| error.format(&mut command).exit())
}

fn fail(error: &dyn Display) -> ExitCode {
    // The error may contain texts of files and peers. Stdout belongs to the protocol, and a closed stderr must not cause a
    // panic.
    let _ = writeln!(std::io::stderr(), "{}: {}", program(), OneLine(error));
    ExitCode::FAILURE
}

/// Returns the name by which this program was started.
fn program() -> String {
    let path = env::args_os().next().map(PathBuf::from).unwrap_or_default();
    path.file_name().map_or_else(|| "worker".to_owned(), |name| name.to_string_lossy().into_owned())
}
