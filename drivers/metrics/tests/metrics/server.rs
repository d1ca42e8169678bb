//! A server with counters, and waiting for conditions.

use arrow_schema::DataType;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use vgi_rpc_metrics::Metrics;
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::service::{Method, Protocol, Service};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_unix::{Address, Client, Ended, Handle, Remote, SocketOptions, SocketServer, SocketServerError};

pub const PROTOCOL: &str = "demo.Counted.v1";
pub const BUDGET: usize = 64 << 20;

pub struct Running {
    pub address: String,
    pub handle: Handle,
    thread: JoinHandle<Result<Ended, SocketServerError>>,
}

/// Returns a service with a method that succeeds and one that fails.
pub fn service(metrics: &Metrics) -> Arc<Service> {
    let answer = Method::new("answer").returns(DataType::Int64).unary(|_, _| Ok(42_i64));
    let fail = Method::new("fail")
        .returns(DataType::Int64)
        .unary(|_, _| -> Result<i64, RpcError> { Err(RpcError::value_error("as asked")) });
    let protocol = Protocol::new(PROTOCOL).method(answer).method(fail);
    Arc::new(Service::builder("0123456789ab").protocol(protocol).hook(metrics.hook()).build().unwrap())
}

pub fn run(metrics: &Metrics, set: impl FnOnce(SocketServer) -> SocketServer) -> Running {
    let budget = Budget::new(BUDGET);
    metrics.budget("requests", budget.clone());
    let bound = set(SocketServer::new(service(metrics)).budget(budget)).bind_tcp("0").unwrap();
    let Address::Tcp(address) = bound.address().clone() else { panic!() };
    let handle = bound.handle();
    metrics.server("tcp", handle.watch());
    Running { address: address.to_string(), handle, thread: std::thread::spawn(move || bound.run()) }
}

impl Running {
    pub fn connect(&self) -> Client {
        SocketOptions::default().tcp(&self.address).unwrap()
    }

    /// Drains it.
    pub fn drain(self) {
        self.handle.drain(Duration::from_secs(20));
        assert_eq!(self.thread.join().unwrap().unwrap(), Ended::Drained);
    }
}

pub fn call(client: &mut Client, method: &str) -> Result<i64, vgi_rpc_unix::CallError> {
    client.call(&Remote::new(PROTOCOL).method(method), ())
}

#[track_caller]
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
