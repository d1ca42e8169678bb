//! The server on sockets: a server during a test, a service to call, waiting for conditions, and tests of it.
//!
//! | file | subject |
//! | --- | --- |
//! | `busy` | all threads at work, and the limit on connections |
//! | `end` | how a server ends, and its access log |
//! | `patience` | slow, silent and vanishing clients |
//! | `records` | access log lines of calls whose client did not receive its response |
//! | `requests` | responses, refusals, bytes that are not requests |
//! | `resources` | memory, descriptors and threads |
//! | `waits` | requests that wait for effects and sessions |
//! | `asking` | a service whose calls use effects and sticky sessions |
//! | `client` | one connection of plain bytes, with its requests and responses |
//! | `process` | the same test program as another process, and its resource usage |
#![cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "some tests are for Linux"))]

pub mod asking;
pub mod client;
pub mod process;

mod busy;
mod end;
mod patience;
mod records;
mod requests;
#[cfg(target_os = "linux")]
mod resources;
mod waits;

use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use client::Client;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use vgi_rpc_http::{Ended, Handle, HttpServer, system_entropy};
use vgi_rpc_protocol::http::{Endpoint, EndpointBuilder};
use vgi_rpc_protocol::service::{Method, Protocol, Service};

/// Longer than any step that succeeds, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The protocol of [`Calls::service`].
pub const PROTOCOL: &str = "test.Http.v1";

/// Waits until a condition holds.
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    assert!(comes_true(condition), "not within {PATIENCE:?}: {what}");
}

fn comes_true(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
    true
}

/// Controls and counts the handlers of a service.
#[derive(Clone, Default)]
pub struct Calls {
    made: Arc<AtomicUsize>,
    gate: Arc<(Mutex<Gate>, Condvar)>,
}

#[derive(Default)]
struct Gate {
    waiting: usize,
    is_open: bool,
}

impl Calls {
    /// Returns how many handlers were invoked.
    pub fn made(&self) -> usize {
        self.made.load(Ordering::Acquire)
    }

    /// Waits until this many handlers wait at the gate, or have passed it.
    pub fn wait_for(&self, handlers: usize) {
        until("handlers have come to the gate", || self.gate.0.lock().unwrap().waiting >= handlers);
    }

    /// Releases all handlers, waiting and future.
    pub fn open_gate(&self) {
        self.gate.0.lock().unwrap().is_open = true;
        self.gate.1.notify_all();
    }

    /// Waits at the gate, as a handler or an effect.
    pub fn pass_gate(&self) {
        let mut gate = self.gate.0.lock().unwrap();
        gate.waiting += 1;
        let (_gate, wait) = self.gate.1.wait_timeout_while(gate, PATIENCE, |gate| !gate.is_open).unwrap();
        assert!(!wait.timed_out(), "the gate was not opened");
    }

    /// Returns a service of one protocol: `greet`, `echo`, `zeros`, `wait`, `place`.
    pub fn service(&self) -> Arc<Service> {
        let counted = || {
            let made = self.made.clone();
            move || made.fetch_add(1, Ordering::AcqRel)
        };
        let (greet, echo, zeros, wait, place) = (counted(), counted(), counted(), counted(), counted());
        let calls = self.clone();
        let protocol = Protocol::new(PROTOCOL).methods([
            Method::new("greet").param("name", DataType::Utf8).returns(DataType::Utf8).unary(
                move |args, _| {
                    greet();
                    Ok(format!("Hello, {}!", args.get::<&str>("name")?))
                },
            ),
            Method::new("echo").param("data", DataType::Binary).returns(DataType::Binary).unary(
                move |args, _| {
                    echo();
                    Ok(args.column("data")?.clone())
                },
            ),
            Method::new("zeros").param("length", DataType::Int64).returns(DataType::Binary).unary(
                move |args, _| {
                    zeros();
                    let length = args.get::<i64>("length")?;
                    Ok(vec![0u8; usize::try_from(length).unwrap_or_default()])
                },
            ),
            Method::new("wait").returns(DataType::Utf8).unary(move |_, _| {
                wait();
                calls.pass_gate();
                Ok("at last".to_owned())
            }),
            Method::new("place").param("data", DataType::Binary).returns(DataType::Int64).unary(
                move |args, _| {
                    place();
                    let values = args.column("data")?.as_binary::<i32>().values().as_ptr();
                    Ok((values as usize % 64) as i64)
                },
            ),
        ]);
        Arc::new(Service::builder("test-server").protocol(protocol).build().unwrap())
    }

    /// Returns an endpoint of this service that compresses nothing.
    pub fn endpoint(&self) -> EndpointBuilder {
        Endpoint::builder(self.service(), system_entropy).compress(false)
    }

    /// Returns a server of this service.
    pub fn server(&self) -> HttpServer {
        HttpServer::new(self.endpoint().build().unwrap())
    }
}

/// A running server, on its own port. It stops on drop.
pub struct Running {
    pub handle: Handle,
    pub address: SocketAddr,
    thread: Option<JoinHandle<Ended>>,
}

impl Running {
    pub fn new(server: &HttpServer) -> Self {
        let bound = server.bind_tcp("127.0.0.1:0").unwrap();
        let handle = bound.handle();
        let address = bound.address().socket();
        let thread = thread::spawn(move || bound.run().unwrap());
        Self { handle, address, thread: Some(thread) }
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// Waits for its end, which the test must cause.
    pub fn join(mut self) -> Ended {
        let thread = self.thread.take().unwrap();
        until("the server ends", || thread.is_finished());
        thread.join().unwrap()
    }

    /// Waits until no connection is open.
    pub fn until_empty(&self) {
        until("every connection is gone", || self.handle.connections() == 0);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take()
            && comes_true(|| thread.is_finished())
        {
            // A test that has already failed gives the reason.
            let _ = thread.join();
        }
    }
}
