use vgi_rpc_protocol::Record;

struct Handle;

#[derive(Record)]
struct Open {
    name: String,
    handle: Handle,
}

fn main() {}
