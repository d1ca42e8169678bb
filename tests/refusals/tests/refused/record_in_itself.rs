use vgi_rpc_protocol::Record;

#[derive(Record)]
struct Node {
    n: i64,
    next: Option<Box<Node>>,
}

#[derive(Record)]
struct Tree {
    children: Vec<Self>,
}

/// Encoded, as it may be.
#[derive(Record)]
struct Chain {
    #[arrow(type = DataType::Binary)]
    next: Option<Box<Chain>>,
}

fn main() {}
