use vgi_rpc_protocol::service;
use vgi_rpc_protocol::service::{State, Stream};
use vgi_rpc_protocol::wire::error::RpcError;

#[service(name = "test.Unrestored.v1")]
trait Unrestored {
    #[method(stream)]
    fn open(&self) -> Result<Stream<State>, RpcError>;
}

#[service(name = "test.Misnamed.v1")]
trait Misnamed {
    #[method(stream, restore = restor)]
    fn open(&self) -> Result<Stream<State>, RpcError>;
}

#[service(name = "test.Input.v1")]
trait Input {
    #[method(producer, input = Row)]
    fn open(&self) -> Result<Stream<State>, RpcError>;
}

#[service(name = "test.Unary.v1")]
trait Unary {
    #[method(output = Row)]
    fn call(&self) -> i64;
}

fn main() {}
