//! Random calls whose results are checked.

use super::random::Random;
use super::{echo, greet, nothing, remote, row};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use std::fmt::Debug;
use std::sync::Arc;
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_unix::{CallError, Client, Stream};

/// Makes one call, or uses one stream, and leaves the client ready for the next.
///
/// # Errors
/// If the connection is lost. An unexpected result panics.
pub fn step(client: &mut Client, random: &mut Random) -> Result<(), CallError> {
    match random.below(16) {
        0..4 => {
            let name = "x".repeat(random.below(100));
            assert_eq!(greet(client, &name)?, format!("Hello, {name}!"));
            Ok(())
        }
        4 | 5 => echoed(client, random, 5000),
        6 if random.below(4) == 0 => echoed(client, random, 1 << 20),
        6 | 7 => refused(super::call(client, "fail"), "ValueError"),
        8 => refused(super::call(client, "panic"), "Panic"),
        9 => refused(super::call(client, "absent"), "MethodNotImplementedError"),
        10..13 => blocks(client, random),
        _ => negations(client, random),
    }
}

/// Begins a stream and leaves it open: the client's socket can then only be closed.
///
/// # Errors
/// As for [`step`].
pub fn leave_a_stream_open(client: &mut Client, random: &mut Random) -> Result<(), CallError> {
    if random.below(2) == 0 {
        let mut stream = open_blocks(client, [100, 2000, -1])?;
        for batch in 0..random.below(10) as i64 {
            next_block(&mut stream, batch, 2000)?;
        }
        std::mem::forget(stream);
    } else {
        let remote = remote();
        let mut stream = client.stream(&remote.method("negate"), &nothing())?;
        for _ in 0..random.below(10) {
            negated(&mut stream, random)?;
        }
        std::mem::forget(stream);
    }
    Ok(())
}

fn echoed(client: &mut Client, random: &mut Random, most: usize) -> Result<(), CallError> {
    let length = most - random.below(most / 2);
    let data = random.bytes(length);
    assert!(echo(client, &data)? == data, "expected the same {length} bytes back");
    Ok(())
}

/// A producer: read to its end, abandoned in each of three ways, or failing.
fn blocks(client: &mut Client, random: &mut Random) -> Result<(), CallError> {
    let (batches, rows) = (random.below(8) as i64, random.below(3000) as i64);
    let fails = random.below(4) == 0;
    let read = if fails { random.below(8) as i64 } else { batches };
    let mut stream = open_blocks(client, [read + batches, rows, if fails { read } else { -1 }])?;
    for batch in 0..read {
        next_block(&mut stream, batch, rows)?;
    }
    if fails {
        return refused(stream.tick(&Metadata::new()), "ValueError");
    }
    match random.below(4) {
        0 => stream.cancel(),
        1 => stream.close(),
        2 => {
            drop(stream);
            Ok(())
        }
        _ => {
            for batch in read..read + batches {
                next_block(&mut stream, batch, rows)?;
            }
            let end = stream.tick(&Metadata::new())?;
            assert!(end.is_none(), "expected the end, got {end:?}");
            Ok(())
        }
    }
}

fn open_blocks(client: &mut Client, [batches, rows, fails_at]: [i64; 3]) -> Result<Stream<'_>, CallError> {
    let number = |value| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    let columns = [("batches", number(batches)), ("rows", number(rows)), ("fails_at", number(fails_at))];
    client.stream(&remote().method("blocks"), &RecordBatch::try_from_iter(columns)?)
}

fn next_block(stream: &mut Stream<'_>, batch: i64, rows: i64) -> Result<(), CallError> {
    let (block, _) = stream.tick(&Metadata::new())?.expect("the producer has more");
    let numbers = block.column(0).as_primitive::<Int64Type>().values();
    assert!(numbers.iter().copied().eq(batch * rows..(batch + 1) * rows), "block {batch} of {rows} rows");
    Ok(())
}

/// An exchange: ended in each of three ways, or failing.
fn negations(client: &mut Client, random: &mut Random) -> Result<(), CallError> {
    let remote = remote();
    let mut stream = client.stream(&remote.method("negate"), &nothing())?;
    for _ in 0..random.below(8) {
        negated(&mut stream, random)?;
    }
    match random.below(4) {
        0 => stream.cancel(),
        1 => stream.close(),
        2 => {
            drop(stream);
            Ok(())
        }
        _ => refused(stream.exchange(&numbers(vec![1, i64::MIN])), "ValueError"),
    }
}

fn negated(stream: &mut Stream<'_>, random: &mut Random) -> Result<(), CallError> {
    let sent: Vec<i64> = (0..1 + random.below(500)).map(|_| (random.next() >> 1) as i64).collect();
    let expected: Vec<i64> = sent.iter().map(|n| -n).collect();
    let answer = stream.exchange(&numbers(sent))?;
    assert_eq!(answer.column(0).as_primitive::<Int64Type>().values()[..], expected);
    Ok(())
}

fn numbers(n: Vec<i64>) -> RecordBatch {
    row("n", Arc::new(Int64Array::from(n)))
}

fn refused<T: Debug>(result: Result<T, CallError>, expected: &str) -> Result<(), CallError> {
    match result {
        Ok(answer) => panic!("expected {expected}, got {answer:?}"),
        Err(CallError::Rpc(error)) => {
            assert_eq!(error.error_type(), expected, "{error}");
            Ok(())
        }
        Err(other) => Err(other),
    }
}
