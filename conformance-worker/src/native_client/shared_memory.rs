//! Shared memory: negotiated, and used in both directions.

use crate::calls::{PROTOCOL, call, params};
use crate::report::{Outcome, expect};
use arrow_array::BinaryArray;
use arrow_array::cast::AsArray;
use std::sync::Arc;
use vgi_rpc_connect::{Remote, connect};
use vgi_rpc_stdio::ShmClient;

/// Larger than what either side sends inline.
const BYTES: usize = 300_000;

/// Echoes bytes through a segment, then too many for it, then again through it.
pub fn run(address: &str) -> Outcome {
    let shared = ShmClient::new(2 << 20);
    let counters = shared.counters().clone();
    let mut client = connect(address)?.shared_memory(shared);
    for (size, batches) in [(BYTES, 1), (10 * BYTES, 1), (BYTES, 2)] {
        let bytes: Vec<u8> = (0_u8..251).cycle().take(size).collect();
        let params = params([("value", Arc::new(BinaryArray::from(vec![&*bytes])) as _)])?;
        let echoed = call(&mut client, &Remote::new(PROTOCOL), "echo_bytes", &params)?;
        let echoed = echoed.as_binary_opt::<i32>().map(|bytes| bytes.value(0));
        expect("the bytes are those that were sent", echoed == Some(&*bytes), true)?;
        let counts = counters.counts();
        expect("batches written and read", (counts.written, counts.read), (batches, batches))?;
    }
    Ok(client.close()?)
}
