use vgi_rpc_protocol::prelude::*;

#[derive(Record)]
struct Number {
    n: i64,
}

#[derive(Record)]
struct Title {
    title: String,
}

struct Handle;

#[service(name = "test.Contradiction.v1")]
trait Contradiction {
    #[method(producer, output = Title)]
    fn numbers(&self) -> Rows<Number>;
}

#[service(name = "test.Turns.v1")]
trait Turns {
    #[method(exchange, input = Title, turn = add)]
    fn sum(&self) -> i64;
    fn add(&self, sum: &mut i64, numbers: Vec<Number>) -> Vec<Number>;
}

#[service(name = "test.States.v1")]
trait States {
    #[method(producer, output = Number)]
    fn produce(&self) -> Result<Stream<Handle>, RpcError>;

    #[method(exchange, input = Number, output = Number)]
    fn exchange(&self) -> Result<Stream<Handle>, RpcError>;
}

type Opened = i64;

#[service(name = "test.Opened.v1")]
trait NotOpened {
    #[method(producer, output = Number)]
    fn produce(&self) -> Opened;
}

#[service(name = "test.Header.v1")]
trait Header {
    #[method(producer, header = Handle)]
    fn numbers(&self) -> Rows<Number>;
}

fn main() {}
