//! A worker as an operator uses it: started with flags as its own process, called, and ended.
//!
//! The workers are this same program, whose command line must be only the worker's. So the standard test harness is
//! disabled, and a few lines replace it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![cfg_attr(
    not(all(unix, feature = "unix", feature = "http")),
    allow(dead_code, unused_imports, reason = "tests of transports that are left out")
)]

#[cfg(unix)]
mod access_log;
#[cfg(unix)]
mod ends;
#[cfg(all(unix, feature = "http"))]
mod grants;
#[path = "../../examples/greeter.rs"]
mod greeter;
#[cfg(all(unix, feature = "unix", feature = "http"))]
mod observing;
mod refusals;
#[cfg(all(unix, feature = "http"))]
mod secrets;
#[cfg(all(feature = "unix", feature = "http"))]
mod settings;
mod support;
#[cfg(all(unix, feature = "http", feature = "tls"))]
mod tls;
mod transports;
#[path = "../../examples/twelve.rs"]
mod twelve;

use std::process::ExitCode;

const TESTS: &[(&str, fn())] = &[
    #[cfg(unix)]
    ("a worker serves on stdin and stdout", transports::pipe),
    #[cfg(all(unix, feature = "unix"))]
    ("a worker serves on a unix socket, and names its absolute path", transports::unix),
    #[cfg(feature = "unix")]
    ("a worker serves on a TCP socket", transports::tcp),
    #[cfg(feature = "http")]
    ("a worker serves HTTP", transports::http),
    #[cfg(all(unix, feature = "unix", feature = "http"))]
    ("a typed service answers its client on every transport", transports::typed),
    #[cfg(all(unix, feature = "unix"))]
    ("stdout has one line, and what handlers print goes to stderr", transports::stdout),
    #[cfg(feature = "unix")]
    ("large batches are refused", transports::large),
    #[cfg(unix)]
    ("the access log names the instance, whose id differs from every other's", access_log::ids),
    #[cfg(unix)]
    ("the environment says where the access log is", access_log::environment),
    #[cfg(all(unix, feature = "unix"))]
    ("the access log is moved aside by its size", access_log::rotation),
    #[cfg(unix)]
    (
        "a part of the calls is logged, by either variable, and a log may be written by a thread",
        access_log::sampled,
    ),
    #[cfg(all(unix, feature = "unix", feature = "http"))]
    ("metrics are on an address of their own, whatever the transport", observing::metrics),
    #[cfg(all(unix, feature = "unix", feature = "http"))]
    ("metrics are a page of HTTP", observing::page),
    #[cfg(all(unix, feature = "unix", feature = "http"))]
    ("events are lines on stderr", observing::events),
    ("an invalid command line is refused with status 2, on stderr", refusals::command_line),
    #[cfg(all(unix, feature = "http"))]
    ("flags of HTTP are refused where it is not served", refusals::http_flags),
    #[cfg(all(unix, feature = "unix", feature = "http"))]
    ("trusted proxies are IP addresses, of transports that have them", refusals::proxies),
    #[cfg(all(unix, feature = "unix", feature = "http"))]
    ("a worker behind a proxy serves what comes through it, and nothing else", transports::proxied),
    #[cfg(feature = "unix")]
    ("a worker that cannot serve ends with status 1 and says why", refusals::serving),
    ("a service that cannot be built ends the worker with status 1", refusals::building),
    ("a variable that is malformed is refused with status 2", refusals::variables),
    ("the help lists flags and variables, on stdout", refusals::help),
    #[cfg(unix)]
    ("the end of stdin is the end of the worker", ends::input),
    #[cfg(unix)]
    ("SIGTERM and SIGINT end a worker with status 0, on every transport", ends::signals),
    #[cfg(all(unix, feature = "unix"))]
    ("a worker without clients ends after a while", ends::idle),
    #[cfg(all(unix, feature = "http"))]
    ("workers with the same token keys go on with each other's streams", secrets::shared),
    #[cfg(all(unix, feature = "http"))]
    ("no token key is shown in help, debug output or errors", secrets::hidden),
    #[cfg(all(unix, feature = "http"))]
    ("a worker with grant keys hosts identity over HTTP", grants::hosted_with_keys),
    #[cfg(all(unix, feature = "http"))]
    ("a worker with invalid grant keys does not start, and shows none", grants::invalid_keys),
    #[cfg(all(feature = "unix", feature = "http"))]
    ("settings that no flag has hold on sockets", settings::sockets),
    #[cfg(all(feature = "unix", feature = "http"))]
    ("settings that no flag has hold over HTTP", settings::http),
    #[cfg(all(unix, feature = "http", feature = "tls"))]
    ("a worker serves over TLS, and knows its clients by their certificates", tls::served),
    #[cfg(all(unix, feature = "http", feature = "tls"))]
    ("the files of TLS are read anew on SIGHUP", tls::reloaded),
    #[cfg(all(unix, feature = "http", feature = "tls"))]
    ("flags and files of TLS that cannot be used are refused", tls::refused),
];

fn main() -> ExitCode {
    match support::role().as_deref() {
        Some("greeter") => greeter::main(),
        Some("twelve") => twelve::main().unwrap_or_else(|error| panic!("{error}")),
        Some("unbuildable") => vgi_rpc_worker::run(|_| Err("there is no database")),
        #[cfg(all(unix, feature = "http"))]
        Some("debug") => secrets::print_debug(),
        #[cfg(all(feature = "unix", feature = "http"))]
        Some("guarded") => settings::guarded(),
        Some(other) => panic!("no role {other}"),
        None => run_tests(),
    }
}

fn run_tests() -> ExitCode {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let selected: Vec<_> = TESTS.iter().filter(|(name, _)| name.contains(&filter)).collect();
    let failed = selected.iter().filter(|(name, test)| {
        let failed = std::panic::catch_unwind(test).is_err();
        println!("test {name} ... {}", if failed { "FAILED" } else { "ok" });
        failed
    });
    let failed = failed.count();
    let (passed, left_out) = (selected.len() - failed, TESTS.len() - selected.len());
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "test result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {left_out} filtered out"
    );
    if failed > 0 { ExitCode::from(101) } else { ExitCode::SUCCESS }
}
