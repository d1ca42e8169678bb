//! Small messages that would become large: each is refused, or takes no more memory than the limits allow.

mod casts;
mod claims;
mod compressed;
mod dictionaries;
mod headers;
mod texts;
mod trickles;

use bytes::Bytes;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::ipc::{Item, ReadError, Reader};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

fn limits(set: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    set(&mut limits);
    limits
}

/// Reads a stream. Returns the peak memory, and the number of batches or the first error.
fn read(bytes: &Bytes, limits: Limits) -> (u64, Result<usize, ReadError>) {
    let mut result = Ok(0);
    let taken = allocation_counter::measure(|| {
        let mut reader = Reader::new(limits.clone());
        reader.receive(bytes.clone());
        loop {
            match reader.next_item() {
                Ok(Some(Item::Batch(..))) => result = result.clone().map(|count| count + 1),
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(error) => {
                    result = Err(error);
                    return;
                }
            }
        }
    });
    (taken.bytes_max, result)
}

#[track_caller]
fn assert_below(what: &str, taken: u64, most: u64) {
    println!("{what}: {} KiB at once", taken / KIB);
    assert!(taken <= most, "{what} takes {taken} bytes at once, more than {most}");
}
