use vgi_rpc_protocol::Record;

#[derive(Record)]
struct Weighted {
    #[arrow(default = "three")]
    weight: i64,
}

fn main() {}
