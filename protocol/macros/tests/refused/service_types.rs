use vgi_rpc_protocol::service;
use vgi_rpc_protocol::wire::error::RpcError;

struct Handle;

struct Failure;

#[service(name = "test.Parameter.v1")]
trait Parameter {
    fn close(&self, handle: Handle) -> Result<(), RpcError>;
}

#[service(name = "test.Answer.v1")]
trait Answer {
    fn open(&self, name: &str) -> Result<Handle, RpcError>;
}

#[service(name = "test.Error.v1")]
trait Error {
    fn open(&self, name: &str) -> Result<i64, Failure>;
}

#[service(name = "test.Output.v1")]
trait Output {
    #[method(producer, output = Handle)]
    fn open(&self) -> vgi_rpc_protocol::service::Rows<Handle>;
}

fn main() {}
