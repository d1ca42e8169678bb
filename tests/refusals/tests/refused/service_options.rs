use vgi_rpc_protocol::prelude::*;

#[service(name = "test.Protocol.v1", versoin = "1.0.0")]
trait Protocol {
    fn call(&self);
}

#[service(name = "test.Method.v1")]
trait Method {
    #[method(idempotant)]
    fn first(&self);

    #[method(prodcer, output = Row)]
    fn second(&self) -> Rows<Row>;

    #[method(producer, exchange)]
    fn third(&self) -> Rows<Row>;
}

#[service(name = "test.Parameter.v1")]
trait Parameter {
    fn call(&self, #[arrow(defualt = 1)] times: i64);
}

#[service(name = "test.Values.v1")]
trait Values {
    #[method(rename = call)]
    fn first(&self);

    #[method(deprecated)]
    fn second(&self);

    #[method(nullable = "yes")]
    fn third(&self) -> i64;

    #[method(producer, output = 3)]
    fn fourth(&self) -> Rows<Row>;
}

fn main() {}
