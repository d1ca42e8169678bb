use vgi_rpc_protocol::{Enum, Record};

#[derive(Record)]
struct Generic<T> {
    value: T,
}

#[derive(Record)]
struct Pair(i64, i64);

#[derive(Record)]
enum Either {
    Left,
}

#[derive(Clone, Copy, Enum)]
enum Loaded {
    Empty,
    Full(i64),
}

#[derive(Clone, Copy, Enum)]
struct Plain {
    n: i64,
}

fn main() {}
