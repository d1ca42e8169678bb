//! Four times the input costs at most four times the work: in allocated bytes, and in processor time, where the bounds are far
//! from both linear and quadratic growth.

use super::KIB;
use super::hostile_streams::stream;
use crate::common::batches::{int, row, text};
use crate::common::driver::Command;
use crate::common::messages::{self, Header, field};
use crate::common::scenarios::{echo, stream as open_stream, tick, unary};
use crate::common::service::responder;
use crate::common::streams::{growing, many_dictionaries};
use allocation_counter::measure;
use arrow_schema::{DataType, Field, Schema};
use bytes::{Buf, Bytes};
use flatbuffers::FlatBufferBuilder;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use vgi_rpc_protocol::client::Connection;
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata, Reader};
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::{Limits, Next};

/// Times below this are noise.
const LEAST: Duration = Duration::from_millis(10);

fn read(reader: &mut Reader) {
    while let Ok(Some(_)) = reader.next_item() {}
}

fn reader() -> Reader {
    Reader::with_account(Limits::default(), Budget::new(1 << 30).account())
}

fn read_whole(bytes: &Bytes) {
    let mut reader = reader();
    reader.receive(bytes.clone());
    read(&mut reader);
    assert!(reader.is_at_boundary(), "all input was read");
}

/// Returns the best of three times, to reduce the influence of other processes.
fn time(work: &mut impl FnMut()) -> Duration {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut once = || {
        let (start, ran) = (Instant::now(), on_processor());
        work();
        // The time that this thread ran, if the system reports it; on a busy machine the elapsed time is longer.
        ran.zip(on_processor()).map_or_else(|| start.elapsed(), |(before, after)| after - before)
    };
    (0..3).map(|_| once()).min().unwrap_or_default()
}

/// Returns how long this thread has run, as Linux counts it.
fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds))
}

/// Four times the input. Linear work takes four times as long, quadratic work sixteen times.
const MORE: usize = 4;
/// Between the two, so that neither caches nor other processes affect the result.
const MOST: u32 = 10;
/// A machine may be busy during one measurement. Quadratic work fails each attempt.
const ATTEMPTS: usize = 3;

/// Checks that four times the size takes at most ten times as long, if measurable, and five times the allocations.
#[track_caller]
pub(super) fn assert_linear(what: &str, first: usize, mut prepare: impl FnMut(usize) -> Box<dyn FnMut()>) {
    let mut size = first;
    let mut work = prepare(size);
    while time(&mut work) < LEAST && size < first << 12 {
        size *= 2;
        work = prepare(size);
    }
    let mut more_work = prepare(MORE * size);
    let (allocated, more_allocated) = (measure(&mut work), measure(&mut more_work));
    let most = 5 * allocated.bytes_total + 64 * KIB as u64;
    assert!(more_allocated.bytes_total <= most, "{what}: {allocated:?}, four times {more_allocated:?}");
    let most = 5 * allocated.count_total + 1000;
    assert!(more_allocated.count_total <= most, "{what}: {allocated:?}, four times {more_allocated:?}");
    let times: Vec<_> = (0..ATTEMPTS).map(|_| (time(&mut work), time(&mut more_work))).collect();
    println!("{what}: {size} and four times as many take {times:?}");
    let is_linear = times.iter().any(|(once, more)| *more < MOST * *once);
    assert!(is_linear, "{what}: {size} and four times as many take {times:?}");
}

fn reading(bytes: Bytes) -> Box<dyn FnMut()> {
    Box::new(move || read_whole(&bytes))
}

/// Returns a stream of one schema and this many copies of a message.
fn repeated(schema: &Schema, message: &[u8], count: usize) -> Bytes {
    stream(schema, &[&message.repeat(count)])
}

#[test]
fn dictionaries_by_columns() {
    // Each column has a dictionary, and each dictionary is a message.
    assert_linear("columns with a dictionary", 250, |columns| reading(many_dictionaries(columns, 1)));
    let one = many_dictionaries(500, 1);
    assert_linear("streams of 500 dictionaries", 1, move |count| reading(one.repeat(count).into()));
}

/// The same dictionaries four times, which is as often as they may occur between batches.
#[test]
fn dictionary_messages_by_columns() {
    assert_linear("four times as many dictionaries as columns", 250, |columns| {
        let bytes = many_dictionaries(columns, 1);
        let schema = 8 + u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        let (mut at, mut batch) = (schema, 0);
        while at < bytes.len() - 8 {
            let len = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
            let body =
                arrow_ipc::root_as_message(&bytes[at + 8..at + 8 + len]).unwrap().bodyLength() as usize;
            (batch, at) = (at, at + 8 + len + body);
        }
        let dictionaries = &bytes[schema..batch];
        reading([&bytes[..schema], &dictionaries.repeat(4), &bytes[batch..]].concat().into())
    });
}

#[test]
fn batches_by_columns() {
    for nested in [false, true] {
        let of = |columns: usize| {
            let fields: Vec<_> =
                (0..columns).map(|n| Field::new(format!("{n}"), DataType::Null, true)).collect();
            let (mut nodes, mut buffers) = (vec![(1, 1); columns], vec![]);
            let mut schema = Schema::new(fields);
            if nested {
                let all = DataType::Struct(schema.fields().clone());
                schema = Schema::new(vec![Field::new("all", all, true)]);
                nodes.insert(0, (1, 0));
                buffers.push((0, 0));
            }
            (schema, Header::default().batch(1, &nodes, &buffers))
        };
        let (schema, batch) = of(2_000);
        let what = format!("batches of 2,000 columns, nested: {nested}");
        assert_linear(&what, 4, move |count| reading(repeated(&schema, &batch, count)));
        let what = format!("columns of 20 batches, nested: {nested}");
        assert_linear(&what, 250, |columns| {
            let (schema, batch) = of(columns);
            reading(repeated(&schema, &batch, 20))
        });
    }
}

/// The cost of a schema does not recur with each batch.
#[test]
fn batches_of_a_schema_with_long_texts() {
    let metadata = HashMap::from([("key".to_owned(), "v".repeat(1 << 20))]);
    for data_type in [DataType::Int64, DataType::Struct(vec![Field::new("n", DataType::Null, true)].into())] {
        let is_flat = data_type == DataType::Int64;
        let field = Field::new("n".repeat(1 << 20), data_type, false);
        let schema = Schema::new(vec![field]).with_metadata(metadata.clone());
        let header = Header::with_body(16);
        let batch = match is_flat {
            true => header.batch(1, &[(1, 1)], &[(0, 1), (8, 8)]),
            false => header.batch(1, &[(1, 1), (1, 1)], &[(0, 1)]),
        };
        let batch = [&batch[..], &[0; 16]].concat();
        let of = |count| {
            let bytes = repeated(&schema, &batch, count);
            measure(|| read_whole(&bytes)).bytes_total
        };
        let (one, many) = (of(1), of(101));
        assert!(many - one < 100 * 64 * KIB as u64, "{} bytes for a batch", (many - one) / 100);
    }
}

#[test]
fn metadata_entries() {
    let of = |entries: usize, count: usize| {
        let metadata = (0..entries).map(|n| (format!("key {n}"), "v".into())).collect();
        let batch = Header { metadata, ..Header::default() }.batch(0, &[], &[]);
        repeated(&Schema::empty(), &batch, count)
    };
    assert_linear("batches of 1,000 entries", 4, |count| reading(of(1000, count)));
    // Twice as many entries, half as many batches.
    let of_one_size = |entries: usize| {
        let bytes = of(entries, 200_000 / entries);
        time(&mut || read_whole(&bytes))
    };
    let (few, many) = (of_one_size(250), of_one_size(1000));
    assert!(many < 3 * few, "{few:?} for 250 entries each, {many:?} for 1,000");
}

#[test]
fn requests_with_much_metadata() {
    let request = |entries: usize| {
        let mut metadata: Metadata = (0..entries).map(|n| (format!("key {n}"), "v")).collect();
        for (key, value) in [
            (vgi_rpc_protocol::wire::keys::METHOD, "echo"),
            (vgi_rpc_protocol::wire::keys::PROTOCOL, crate::common::service::MAIN),
            (vgi_rpc_protocol::wire::keys::REQUEST_VERSION, "1"),
        ] {
            metadata.push(key, value);
        }
        crate::common::streams::stream_of(&[(row([("value", text("x"))]), metadata)])
    };
    let of_one_size = |entries: usize| {
        let bytes: Bytes = request(entries).repeat(50_000 / entries).into();
        time(&mut || answer(&bytes))
    };
    let (few, many) = (of_one_size(250), of_one_size(1000));
    assert!(many < 3 * few, "{few:?} for 250 entries each, {many:?} for 1,000");
}

#[test]
fn nesting_and_names() {
    let nested = |name: &str, depth: usize| {
        let mut inner = Field::new(name, DataType::Null, true);
        for _ in 1..depth {
            inner = Field::new(name, DataType::Struct(vec![inner].into()), true);
        }
        EncodedSchema::new(Schema::new(vec![inner]).into()).unwrap().message().clone()
    };
    let open = |bytes: Bytes, count: usize| -> Box<dyn FnMut()> {
        Box::new(move || {
            for _ in 0..count {
                let mut reader = reader();
                reader.receive(bytes.clone());
                assert!(reader.next_item().unwrap().is_some());
            }
        })
    };
    assert_linear("bytes of names at each of 30 levels", 8 * KIB, |len| {
        let longest = 128 * KIB;
        open(nested(&"n".repeat(len.min(longest)), 30), 4 * len.div_ceil(longest))
    });
    assert_linear("levels", 15, |depth| {
        // Beyond the maximum depth, more copies.
        open(nested(&"n".repeat(1000), depth.min(30)), 2000 * depth.div_ceil(30))
    });
    assert_linear("fields of one", 500, |count| {
        let mut builder = FlatBufferBuilder::new();
        let one = field(&mut builder, arrow_ipc::Type::Null, &[], None);
        builder.create_string(&"x".repeat(12 * count.min(16_000)));
        let fields = builder.create_vector(&vec![one; count.min(16_000)]);
        open(messages::schema(builder, fields), count.div_ceil(16_000))
    });
}

/// The deltas of one dictionary are all joined, up to a limit that does not depend on their number.
#[test]
fn deltas() {
    let of = |count: usize| {
        let bytes = growing(count, 50);
        let taken = measure(|| read_whole(&bytes));
        taken.bytes_total as f64 / bytes.len() as f64
    };
    // Quadratic up to `Limits::max_body_bytes` in total: on average a delta copies at most half the dictionary.
    let (few, many) = (of(100), of(200));
    assert!(many < 3.0 * few, "{few} bytes for one of 100 deltas, {many} for one of 200");
}

#[cfg(feature = "http")]
#[test]
fn empty_frames_of_codings() {
    use vgi_rpc_protocol::http::coding::{Codecs, Coding};
    let codecs = Codecs::default();
    let frames = [
        #[cfg(feature = "zstd")]
        (Coding::Zstd, vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0]),
        (Coding::Gzip, {
            let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 3, 0];
            [&head[..], &[0; 8]].concat()
        }),
    ];
    for (coding, frame) in frames {
        assert_eq!(codecs.decode(coding, &frame, 100).unwrap().len(), 0);
        let what = format!("empty frames of {coding}");
        assert_linear(&what, 4096, |count| {
            let (body, codecs) = (frame.repeat(count), Codecs::default());
            Box::new(move || assert_eq!(codecs.decode(coding, &body, 100).unwrap().len(), 0))
        });
    }
}

/// Chunks of one byte, all received before the first poll.
#[test]
fn chunks_that_are_not_polled() {
    assert_linear("chunks of one byte", 1024, |count| {
        let one = crate::common::streams::stream_of(&[(row([("value", int(1))]), Metadata::new())]);
        let bytes: Bytes = one.repeat(count.div_ceil(one.len())).into();
        Box::new(move || {
            let mut reader = reader();
            (0..bytes.len()).for_each(|at| reader.receive(bytes.slice(at..at + 1)));
            loop {
                // A driver checks this after each item.
                if reader.is_at_boundary() && !reader.is_mid_message() {
                    break;
                }
                if reader.next_item().unwrap().is_none() {
                    break;
                }
            }
            assert!(reader.is_at_boundary());
        })
    });
}

/// Answers all requests and discards the answers.
fn answer(bytes: &Bytes) {
    let mut server = responder(Limits::default()).with_account(Budget::new(1 << 30).account());
    server.receive(bytes.clone());
    loop {
        match server.poll_work() {
            Ok(Next::Event(work)) => server.complete(work.run()).unwrap(),
            Ok(next) => {
                let is_done = matches!(next, Next::NeedInput);
                if let Some(outbox) = server.poll_transmit() {
                    outbox.advance(outbox.len());
                }
                if is_done {
                    return assert!(server.is_idle());
                }
            }
            Err(error) => panic!("{error}"),
        }
        let _ = server.is_idle();
    }
}

fn sent(commands: &[Command]) -> Bytes {
    let mut client = Connection::new(Limits::default());
    commands.iter().for_each(|command| command.issue(&mut client).unwrap());
    let outbox = client.poll_transmit().unwrap();
    outbox.copy_to_bytes(outbox.len())
}

#[test]
fn calls_on_one_connection() {
    let one = sent(&[echo("x")]);
    assert_linear("calls", 32, |count| {
        let bytes: Bytes = one.repeat(count).into();
        Box::new(move || answer(&bytes))
    });
    // Each has a different schema from the previous one, and there are more schemas than the cache holds.
    let row = |n: usize| {
        let name = format!("value {}", n % 100);
        arrow_array::RecordBatch::try_from_iter([(name, text("x"))]).unwrap()
    };
    assert_linear("calls of many schemas", 32, |count| {
        let bytes: Vec<_> = (0..count).map(|n| sent(&[unary("echo", row(n))])).collect();
        let bytes: Bytes = bytes.concat().into();
        Box::new(move || answer(&bytes))
    });
}

#[test]
fn logs() {
    // Each tick has logs; output and logs are written on one stream.
    let count = arrow_array::RecordBatch::try_from_iter([("count", int(1 << 40))]).unwrap();
    let open = open_stream("count_with_logs", count);
    let (both, one) = (sent(&[open.clone(), tick(), tick()]), sent(&[open.clone(), tick()]));
    let (tick, first) = (both.slice(one.len()..), one);
    assert_linear("ticks with logs", 64, move |count| {
        let bytes: Bytes =
            [&first[..], &tick.repeat(count), &crate::common::streams::END_OF_STREAM].concat().into();
        Box::new(move || answer(&bytes))
    });
}
