use vgi_rpc_protocol::prelude::*;

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

#[service(name = "test.NoInput.v1")]
trait NoInput {
    #[method(exchange, output = Row)]
    fn open(&self) -> Result<Stream<State>, RpcError>;
}

#[service(name = "test.RowsOfExchange.v1")]
trait RowsOfExchange {
    #[method(exchange, input = Row)]
    fn open(&self) -> Rows<Row>;
}

#[service(name = "test.MisnamedTurn.v1")]
trait MisnamedTurn {
    #[method(producer, turn = nxt)]
    fn open(&self) -> i64;
    fn next(&self, state: &mut i64) -> Vec<Row>;
}

#[service(name = "test.TurnOfUnary.v1")]
trait TurnOfUnary {
    #[method(turn = next)]
    fn call(&self) -> i64;
    fn next(&self, state: &mut i64) -> Vec<Row>;
}

#[service(name = "test.TurnSignatures.v1")]
trait TurnSignatures {
    #[method(producer, turn = by_value)]
    fn first(&self) -> i64;
    fn by_value(&self, state: i64) -> Vec<Row>;

    #[method(exchange, turn = without_input)]
    fn second(&self) -> i64;
    fn without_input(&self, state: &mut i64) -> Vec<Row>;

    #[method(producer, turn = one_row)]
    fn third(&self) -> i64;
    fn one_row(&self, state: &mut i64) -> Row;

    #[method(exchange, turn = one_input)]
    fn fourth(&self) -> i64;
    fn one_input(&self, state: &mut i64, row: Row) -> Vec<Row>;
}

#[service(name = "test.Turn.v1")]
trait TurnOfNothing {
    fn call(&self, turn: &mut Turn) -> i64;
}

fn main() {}
