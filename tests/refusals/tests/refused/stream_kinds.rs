use vgi_rpc_protocol::client::Caller;
use vgi_rpc_protocol::prelude::*;

#[derive(Record)]
struct Number {
    n: i64,
}

#[service(name = "test.Kinds.v1")]
trait Kinds {
    #[method(producer)]
    fn count(&self) -> Rows<Number>;

    #[method(exchange, turn = add)]
    fn sum(&self) -> i64;
    fn add(&self, sum: &mut i64, numbers: Vec<Number>) -> Vec<Number>;
}

fn next_of_an_exchange<C: Caller>(mut client: KindsClient<C>) -> Result<(), C::Error> {
    client.sum()?.next();
    Ok(())
}

fn rows_of_an_exchange<C: Caller>(mut client: KindsClient<C>) -> Result<(), C::Error> {
    for _ in client.sum()? {}
    Ok(())
}

fn input_of_a_producer<C: Caller>(mut client: KindsClient<C>) -> Result<(), C::Error> {
    client.count()?.send(&[Number { n: 1 }])?;
    Ok(())
}

fn main() {}
