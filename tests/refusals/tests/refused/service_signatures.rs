use vgi_rpc_protocol::service;
use vgi_rpc_protocol::service::Stream;
use vgi_rpc_protocol::wire::error::RpcError;

#[service(name = "test.Mutable.v1")]
trait Mutable {
    fn change(&mut self, by: i64);
}

#[service(name = "test.Free.v1")]
trait Free {
    fn free(by: i64);
}

#[service(name = "test.Kindless.v1")]
trait Kindless {
    fn open(&self) -> Result<Stream<State>, RpcError>;
}

#[service(name = "test.Borrowed.v1")]
trait Borrowed {
    fn name(&self) -> &str;
}

#[service(name = "test.Later.v1")]
trait Later {
    async fn wait(&self);
}

#[service(name = "test.Pattern.v1")]
trait Pattern {
    fn add(&self, (a, b): (i64, i64)) -> i64;
}

#[service]
trait Nameless {
    fn call(&self);
}

#[service(name = "test.Twice.v1")]
trait Twice {
    fn call(&self);
    #[method(rename = "call")]
    fn other(&self);
}

#[service(name = "test.Client.v1")]
trait Client {
    fn caller(&self) -> i64;
}

fn main() {}
