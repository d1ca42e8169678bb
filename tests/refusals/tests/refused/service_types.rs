use vgi_rpc_protocol::prelude::*;

struct Handle;

struct Failure;

#[service(name = "test.Parameter.v1")]
trait Parameter {
    fn close(&self, handle: Handle) -> Result<(), RpcError>;
}

#[service(name = "test.Machine.v1")]
trait Machine {
    fn seek(&self, offset: usize, since: std::time::SystemTime) -> Option<std::path::PathBuf>;
}

#[service(name = "test.Answer.v1")]
trait Answer {
    fn open(&self, name: &str) -> Result<Handle, RpcError>;
}

#[service(name = "test.Error.v1")]
trait Error {
    fn open(&self, name: &str) -> Result<i64, Failure>;
}

#[service(name = "test.Default.v1")]
trait Default {
    fn repeat(&self, #[arrow(default = "once")] times: u32);
}

#[service(name = "test.Output.v1")]
trait Output {
    #[method(producer)]
    fn open(&self) -> Rows<Handle>;
}

fn main() {}
