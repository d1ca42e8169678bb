use vgi_rpc_protocol::{Enum, Record};

#[derive(Record)]
struct Unknown {
    #[arrow(renamed = "n")]
    number: i64,
}

#[derive(Record)]
struct Twice {
    #[arrow(rename = "b")]
    a: i64,
    b: i64,
}

#[derive(Record)]
struct Skipped {
    #[arrow(skip, rename = "n")]
    number: i64,
}

#[derive(Clone, Copy, Enum)]
#[arrow(rename_all = "kebab-case")]
enum Renamed {
    First,
}

fn main() {}
