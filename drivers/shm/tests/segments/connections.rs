//! Clients and servers on unix sockets that share memory.

use crate::kept::Kept;
use crate::plain::Plain;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::service::{Exchange, Method, Producer, Protocol, Service, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_shm::{Counters, ShmClient, ShmServer};
use vgi_rpc_unix::{
    Address, CallError, Client, Handle, Remote, SocketServer, Transport, connect_tcp, connect_unix,
};

const NAME: &str = "test.Shared.v1";

#[derive(Serialize, Deserialize)]
struct Count(i64);

impl Producer for Count {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.0 == 0 {
            return turn.finish();
        }
        self.0 -= 1;
        turn.emit_columns(vec![Arc::new(Int64Array::from_value(self.0, 1000))])
    }
}

#[derive(Serialize, Deserialize)]
struct Same;

impl Exchange for Same {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        turn.emit_columns(input.columns().to_vec())
    }
}

fn numbers() -> Arc<Schema> {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

fn service() -> Arc<Service> {
    let echo = Method::new("echo")
        .param("value", DataType::Binary)
        .returns(DataType::Binary)
        .unary(|args, _| args.column("value").cloned());
    let length =
        Method::new("length").param("value", DataType::Binary).returns(DataType::Int64).unary(|args, _| {
            let bytes = args.column("value")?.as_binary::<i32>().value(0).len();
            Ok(bytes as i64)
        });
    let count = Method::new("count")
        .param("n", DataType::Int64)
        .output(numbers())
        .producer(|args, _| Ok(Stream::new(Count(args.get("n")?))));
    let same = Method::new("same").input(numbers()).output(numbers()).exchange(|_, _| Ok(Stream::new(Same)));
    let protocol = Protocol::new(NAME).method(echo).method(length).method(count).method(same);
    Arc::new(Service::builder("a1b2c3d4e5f6").protocol(protocol).build().unwrap())
}

/// A server in this process.
struct Server {
    address: Address,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(shared: Option<ShmServer>, tcp: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = SocketServer::new(service()).shared_memory(shared);
        let bound = match tcp {
            true => server.bind_tcp("127.0.0.1:0").unwrap(),
            false => server.bind_unix(folder.path().join("s")).unwrap(),
        };
        let (address, handle) = (bound.address().clone(), bound.handle());
        let thread = Some(std::thread::spawn(move || {
            bound.run().unwrap();
        }));
        Self { address, handle, thread, _folder: folder }
    }

    fn path(&self) -> &Path {
        let Address::Unix(path) = &self.address else { panic!("a unix socket") };
        path
    }

    /// Returns a client that cannot send descriptors, so its segment has a name.
    fn connect_plainly(&self) -> Client {
        let socket = UnixStream::connect(self.path()).unwrap();
        Client::new(Plain(socket), Limits::default())
    }

    fn connect(&self) -> Client {
        match &self.address {
            Address::Tcp(address) => connect_tcp(&address.to_string()).unwrap(),
            _ => connect_unix(self.path()).unwrap(),
        }
    }
}

/// Replaces offers of segments by something that the server ignores, as if it did not know them.
struct NoOffers(Plain);

impl Transport for NoOffers {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let (offer, other) = (b"vgi_rpc.transport.shm_segment_", b"vgi_rpc.transport.new_segment_");
        while let Some(at) = bytes.windows(offer.len()).position(|found| found == offer) {
            bytes[at..at + other.len()].copy_from_slice(other);
        }
        self.0.0.write_all(&bytes)?;
        Ok(bytes.len())
    }

    fn is_local(&self) -> bool {
        true
    }

    fn close(&mut self) -> io::Result<()> {
        self.0.close()
    }
}

/// Sends a descriptor with its first bytes.
struct Sending(Plain, Option<OwnedFd>);

impl Transport for Sending {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(descriptor) = self.1.take() else { return self.0.write_vectored(slices) };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [descriptor.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        Ok(sendmsg(&self.0.0, slices, &mut control, SendFlags::empty())?)
    }

    fn close(&mut self) -> io::Result<()> {
        self.0.close()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.stop();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()));
    }
}

fn sharing_server() -> (Server, Counters) {
    let shared = ShmServer::new().min_batch_bytes(1);
    let counters = shared.counters().clone();
    (Server::start(Some(shared), false), counters)
}

fn sharing(client: Client, bytes: u64) -> (Client, Counters) {
    let shared = ShmClient::new(bytes).min_batch_bytes(1);
    let counters = shared.counters().clone();
    (client.shared_memory(shared), counters)
}

fn bytes_row(value: &[u8]) -> RecordBatch {
    let value: ArrayRef = Arc::new(BinaryArray::from(vec![value]));
    RecordBatch::try_from_iter_with_nullable([("value", value, false)]).unwrap()
}

fn echo(client: &mut Client, value: &[u8]) -> Result<(), CallError> {
    let row = bytes_row(value);
    let result = client.unary(&Remote::new(NAME).method("echo"), &row)?;
    assert_eq!(result.column(0).as_binary::<i32>(), row.column(0).as_binary::<i32>());
    Ok(())
}

fn read_and_written(counters: &Counters) -> (u64, u64) {
    (counters.counts().read, counters.counts().written)
}

/// Returns the named segments of this size.
fn named(len: u64) -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/dev/shm").unwrap().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("vgi-rpc-"));
    ours.filter(|entry| entry.metadata().is_ok_and(|found| found.len() == len))
        .map(|entry| entry.path())
        .collect()
}

#[test]
fn calls_and_streams_go_through_a_segment_by_name() {
    go_through_a_segment(Server::connect_plainly, 4_100_000, 1);
}

#[test]
fn calls_and_streams_go_through_a_segment_by_descriptor() {
    go_through_a_segment(Server::connect, 4_200_000, 0);
}

/// The size distinguishes the segment from those of other tests.
fn go_through_a_segment(connect: fn(&Server) -> Client, bytes: u64, names: usize) {
    let (server, at_server) = sharing_server();
    let (mut client, at_client) = sharing(connect(&server), bytes);
    // The client queries the kinds of the methods in a separate call.
    echo(&mut client, &[7; 1_000_000]).unwrap();
    assert_eq!((at_client.counts().attached, at_server.counts().attached), (1, 1));
    assert_eq!(named(bytes).len(), names);
    let (read, written) = read_and_written(&at_client);
    assert!(read > 0 && written > 0);
    assert_eq!(read_and_written(&at_server), (written, read));
    let remote = Remote::new(NAME);
    let row = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![3])) as ArrayRef)]).unwrap();
    let batches: Vec<_> = client.stream(&remote.method("count"), &row).unwrap().prefetch(8).collect();
    assert_eq!(batches.iter().map(|batch| batch.as_ref().unwrap().num_rows()).sum::<usize>(), 3000);
    let none = RecordBatch::try_new_with_options(
        Arc::new(Schema::empty()),
        vec![],
        &arrow_array::RecordBatchOptions::new().with_row_count(Some(1)),
    );
    let mut stream = client.stream(&remote.method("same"), &none.unwrap()).unwrap();
    for size in [1, 100_000, 10] {
        let batch = RecordBatch::try_new(numbers(), vec![Arc::new(Int64Array::from_iter_values(0..size))]);
        let batch = batch.unwrap();
        assert_eq!(stream.exchange(&batch).unwrap(), batch);
    }
    stream.close().unwrap();
    assert!(read_and_written(&at_client).0 >= read + 6);
    // Larger than the segment, in both directions.
    echo(&mut client, &[8; 5_000_000]).unwrap();
    assert!(at_client.counts().no_room > 0);
    echo(&mut client, &[9; 3_000_000]).unwrap();
    assert_eq!((at_client.counts().in_use, at_server.counts().in_use), (1, 1));
    drop(client);
    assert_eq!(named(bytes).len(), 0);
    assert_eq!((at_client.counts().in_use, at_client.counts().attached), (0, 1));
}

#[test]
fn a_first_call_of_many_bytes_in_the_stream_arrives_behind_its_descriptor() {
    let (server, at_server) = sharing_server();
    let shared = ShmClient::new(4 << 20).min_batch_bytes(1 << 20);
    // Without the query for the kind, which would take the descriptor.
    let mut client = server.connect().check_kinds(false).shared_memory(shared);
    for _ in 0..3 {
        let sent = client.unary(&Remote::new(NAME).method("length"), &bytes_row(&[7; 150_000])).unwrap();
        assert_eq!(sent.column(0).as_primitive::<Int64Type>().value(0), 150_000);
    }
    assert_eq!(at_server.counts().attached, 1);
    assert_eq!(read_and_written(&at_server).0, 0, "nothing was large enough");
}

#[test]
fn a_server_that_knows_no_offers_attaches_what_a_request_names() {
    let (server, at_server) = sharing_server();
    let socket = NoOffers(Plain(UnixStream::connect(server.path()).unwrap()));
    let (mut client, at_client) = sharing(Client::new(socket, Limits::default()), 4_300_000);
    echo(&mut client, &[7; 1_000_000]).unwrap();
    assert_eq!((at_client.counts().attached, at_server.counts().attached), (1, 1));
    let (read, written) = read_and_written(&at_client);
    assert!(read > 0 && written > 0);
    assert_eq!(read_and_written(&at_server), (written, read));
}

#[test]
fn a_descriptor_that_no_request_takes_is_closed() {
    let (server, at_server) = sharing_server();
    let (mut ours, sent) = UnixStream::pair().unwrap();
    let socket = Plain(UnixStream::connect(server.path()).unwrap());
    let mut client = Client::new(Sending(socket, Some(sent.into())), Limits::default());
    echo(&mut client, b"first").unwrap();
    ours.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(ours.read(&mut [0]).unwrap(), 0, "the server has closed the other end");
    echo(&mut client, b"second").unwrap();
    assert_eq!(at_server.counts().attached, 0);
}

#[test]
fn memory_is_not_shared_where_it_cannot_be() {
    let events = Kept::everywhere();
    let with = || Some(ShmServer::new().min_batch_bytes(1));
    for (server, bytes, refused) in [
        (Server::start(None, false), 4 << 20, 1),
        // A client over TCP does not offer one.
        (Server::start(with(), true), 4 << 20, 0),
        // No such segment can be created.
        (Server::start(with(), false), u64::MAX, 1),
        (Server::start(with(), false), 10, 1),
    ] {
        let (mut client, counters) = sharing(server.connect(), bytes);
        echo(&mut client, &[7; 300_000]).unwrap();
        echo(&mut client, b"again").unwrap();
        let counts = counters.counts();
        assert_eq!((counts.attached, counts.read, counts.written, counts.no_room), (0, 0, 0, 0));
        assert_eq!(counts.refused, refused, "{bytes}");
    }
    assert!(events.has(&["memory is not shared", "the server shares no memory"]));
    assert!(events.has(&["memory is not shared", "cannot be created", "more than 65536 bytes, got 10"]));
}

#[test]
fn a_segment_that_the_server_refuses_costs_no_call() {
    let events = Kept::everywhere();
    let small = || ShmServer::new().min_batch_bytes(1).max_segment_bytes(1 << 20);
    // The last is larger than any server accepts by default. It has no name, so it uses no memory.
    for (shared, connect, bytes) in [
        (small(), Server::connect as fn(&Server) -> Client, 2_000_001),
        (small(), Server::connect_plainly, 2_000_002),
        (ShmServer::new().min_batch_bytes(1), Server::connect, 5 << 30),
    ] {
        let at_server = shared.counters().clone();
        let server = Server::start(Some(shared), false);
        let (mut client, at_client) = sharing(connect(&server).check_kinds(false), bytes);
        for _ in 0..2 {
            echo(&mut client, &[7; 300_000]).unwrap();
        }
        let row =
            RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![2])) as ArrayRef)]).unwrap();
        // Since no memory is shared, batches are prefetched.
        let batches: Vec<_> =
            client.stream(&Remote::new(NAME).method("count"), &row).unwrap().prefetch(8).collect();
        assert!(batches.len() == 2 && batches.iter().all(Result::is_ok), "{batches:?}");
        for counters in [&at_client, &at_server] {
            let counts = counters.counts();
            assert_eq!((counts.attached, counts.in_use, counts.refused), (0, 0, 1));
            assert_eq!((counts.read, counts.written), (0, 0));
        }
        let reason = format!("of the server), got {bytes}");
        assert_eq!(
            events.with(&["memory is not shared", "the server has refused the segment", &reason]).len(),
            1
        );
        assert_eq!(
            events.with(&["the shared segment of a client is refused", "left_out=0", &reason]).len(),
            1
        );
        assert_eq!(named(bytes).len(), 0, "a segment that is not shared is removed");
    }
}

#[test]
fn a_segment_that_its_owner_truncates_costs_its_calls_alone() {
    let (server, _) = sharing_server();
    let (mut client, _) = sharing(server.connect(), 4 << 20);
    echo(&mut client, &[7; 100_000]).unwrap();
    let (mut other, _) = sharing(server.connect_plainly(), 12_345_678);
    echo(&mut other, &[7; 100_000]).unwrap();
    let path = named(12_345_678).pop().unwrap();
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(0).unwrap();
    // Both sides continue without the segment.
    for _ in 0..3 {
        echo(&mut other, &[8; 100_000]).unwrap();
    }
    echo(&mut client, &[9; 100_000]).unwrap();
}

#[test]
fn trusted_peers_use_batches_where_they_lie() {
    // SAFETY: both ends are in this test and meet the requirement.
    let shared = unsafe { ShmServer::new().min_batch_bytes(1).trust_peers() };
    let server = Server::start(Some(shared), false);
    // SAFETY: as above.
    let shared = unsafe { ShmClient::new(4 << 20).min_batch_bytes(1).trust_server() };
    let counters = shared.counters().clone();
    let mut client = server.connect().shared_memory(shared);
    let remote = Remote::new(NAME);
    let mut kept = Vec::new();
    for number in 0..20 {
        echo(&mut client, &[number; 100_000]).unwrap();
        let value: ArrayRef = Arc::new(BinaryArray::from(vec![&[number; 50_000][..]]));
        let row = RecordBatch::try_from_iter_with_nullable([("value", value, false)]).unwrap();
        // Kept data stays unchanged by later calls.
        kept.push(client.unary(&remote.method("echo"), &row).unwrap());
    }
    for (number, batch) in kept.iter().enumerate() {
        let bytes = batch.column(0).as_binary::<i32>();
        assert_eq!((bytes.len(), bytes.value(0)), (1, &[number as u8; 50_000][..]));
    }
    assert!(counters.counts().read >= 40);
}
