//! A server on a real socket while a test runs, a service to call, and waiting for what is to happen.
//!
//! | file | subject |
//! | --- | --- |
//! | `asking` | a service whose calls ask the outside world and have sticky sessions |
//! | `client` | one connection of plain bytes, and what is sent and read on it |
//! | `process` | the same test program as another process, and what it takes of the system |
#![allow(dead_code, reason = "each test program uses some of it")]

pub mod asking;
pub mod client;
pub mod process;

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

/// Long enough for anything that is to happen at all, on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The protocol of [`Calls::service`].
pub const PROTOCOL: &str = "test.Http.v1";

/// Waits until it is so.
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    assert!(comes_true(condition), "in {PATIENCE:?} it did not come to this: {what}");
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

/// What the handlers of a service do and did.
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
    /// How many handlers were invoked.
    pub fn made(&self) -> usize {
        self.made.load(Ordering::Acquire)
    }

    /// Waits until so many handlers wait at the gate, or have passed it.
    pub fn wait_for(&self, handlers: usize) {
        until("handlers have come to the gate", || self.gate.0.lock().unwrap().waiting >= handlers);
    }

    /// Lets the handlers go on that wait, and all that are to come.
    pub fn open_gate(&self) {
        self.gate.0.lock().unwrap().is_open = true;
        self.gate.1.notify_all();
    }

    /// Waits at the gate, as a handler or what performs an effect.
    pub fn pass_gate(&self) {
        let mut gate = self.gate.0.lock().unwrap();
        gate.waiting += 1;
        let (_gate, wait) = self.gate.1.wait_timeout_while(gate, PATIENCE, |gate| !gate.is_open).unwrap();
        assert!(!wait.timed_out(), "nobody opened the gate");
    }

    /// A service of one protocol: `greet`, `echo`, `zeros`, `wait`, `place`.
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

    /// An endpoint of this service that compresses nothing.
    pub fn endpoint(&self) -> EndpointBuilder {
        Endpoint::builder(self.service(), system_entropy).compress(false)
    }

    /// A server of this service.
    pub fn server(&self) -> HttpServer {
        HttpServer::new(self.endpoint().build().unwrap())
    }
}

/// A server that runs, on a port of its own. It stops when this is dropped.
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

    /// Waits for its end, which something has to bring about.
    pub fn join(mut self) -> Ended {
        let thread = self.thread.take().unwrap();
        until("the server ends", || thread.is_finished());
        thread.join().unwrap()
    }

    /// Waits until no connection is left.
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
            // A test that failed already says why.
            let _ = thread.join();
        }
    }
}
