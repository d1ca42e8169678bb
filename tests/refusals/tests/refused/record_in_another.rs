use vgi_rpc_protocol::Record;

#[derive(Record)]
struct Folder {
    entries: Vec<Entry>,
}

#[derive(Record)]
struct Entry {
    folder: Option<Box<Folder>>,
}

fn main() {}
