//! Servers behind real proxies, and clients that use one: nginx and haproxy if they are installed, and a SOCKS5 proxy on
//! a thread of the test.
//!
//! A test whose program is not installed is counted as ignored, with the reason. The standard test harness cannot do that
//! at run time, so it is disabled.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![cfg_attr(
    not(all(unix, feature = "tls")),
    allow(dead_code, unused_imports, reason = "proxies are tested on Unix")
)]

#[cfg(all(unix, feature = "tls"))]
mod authority;
#[cfg(all(unix, feature = "tls"))]
mod haproxy;
#[cfg(all(unix, feature = "tls"))]
mod nginx;
#[cfg(all(unix, feature = "tls"))]
mod program;
#[cfg(all(unix, feature = "tls"))]
mod service;
#[cfg(all(unix, feature = "tls"))]
mod socks;

use std::process::ExitCode;

/// A test, and the program that it needs.
type Test = (&'static str, Option<&'static str>, fn());

#[cfg(all(unix, feature = "tls"))]
const TESTS: &[Test] = &[
    ("haproxy: a TCP server knows the client and the proxy", Some("haproxy"), haproxy::tcp),
    ("haproxy: an HTTP server knows the client and the proxy", Some("haproxy"), haproxy::http),
    ("haproxy: TLS comes after the header", Some("haproxy"), haproxy::tls),
    ("haproxy: TLS ends at haproxy, which begins its own", Some("haproxy"), haproxy::re_encrypted),
    ("haproxy: version 1 and health checks are refused", Some("haproxy"), haproxy::refused),
    ("nginx: the client's certificate comes in headers", Some("nginx"), nginx::certificates),
    ("socks: both clients call through a proxy that resolves names", None, socks::calls),
    ("socks: TLS goes to the target", None, socks::tls),
    ("socks: both clients call through microsocks", Some("microsocks"), socks::microsocks),
    ("socks: a proxy's refusal is the client's error", None, socks::refusals),
];

#[cfg(not(all(unix, feature = "tls")))]
const TESTS: &[Test] = &[];

fn main() -> ExitCode {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let selected: Vec<_> = TESTS.iter().filter(|(name, ..)| name.contains(&filter)).collect();
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    for (name, program, test) in &selected {
        match program {
            Some(program) if !is_installed(program) => {
                ignored += 1;
                println!("test {name} ... ignored, {program} is not installed");
            }
            _ if std::panic::catch_unwind(test).is_ok() => {
                passed += 1;
                println!("test {name} ... ok");
            }
            _ => {
                failed += 1;
                println!("test {name} ... FAILED");
            }
        }
    }
    let left_out = TESTS.len() - selected.len();
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "test result: {verdict}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; {left_out} filtered out"
    );
    if failed > 0 { ExitCode::from(101) } else { ExitCode::SUCCESS }
}

/// Whether a program can be run. Debian installs those for administrators outside the usual `PATH`.
fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.any(|folder| folder.join(program).is_file())
}
