//! Measures an echo of bytes through shared memory, compared with the copies that it consists of and with a unix socket: `cargo
//! run --release -p vgi-rpc-shm --example echo`. The rows of a size are the time of a call in milliseconds: minimum and median.
//! All columns are measured in turns of a few calls each, so that other load affects all of them.
//!
//! - *2 copies*, *4 copies*: `memcpy` of the bytes from memory to memory, as often as trusting and other peers copy them.
//! - *pread*: only the system calls that write the bytes to a file in memory, read, write and read them again.
//! - *trusted*, *sealed*, *named*: segments of peers that trust each other, passed by descriptor, and by name.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    linux::main()
}

#[cfg(target_os = "linux")]
mod plain;

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("this example is for Linux");
}

#[cfg(target_os = "linux")]
mod linux {
    use crate::plain::Plain;
    use arrow_array::{Array, ArrayRef, BinaryArray, RecordBatch};
    use arrow_buffer::{Buffer, MutableBuffer, OffsetBuffer, ScalarBuffer};
    use arrow_schema::DataType;
    use rustix::fs::{MemfdFlags, memfd_create};
    use std::error::Error;
    use std::fs::File;
    use std::hint::black_box;
    use std::os::unix::fs::FileExt;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::time::{Duration, Instant};
    use vgi_rpc_protocol::Limits;
    use vgi_rpc_protocol::service::{Method, Protocol, Service};
    use vgi_rpc_shm::{ShmClient, ShmServer};
    use vgi_rpc_unix::{Client, Remote, SocketServer, connect_unix};

    const NAME: &str = "demo.Echo.v1";
    const COLUMNS: [&str; 7] = ["2 copies", "4 copies", "pread", "trusted", "sealed", "named", "socket"];
    /// Calls in one turn.
    const CALLS: usize = 3;

    fn server(
        shared: ShmServer,
        folder: &tempfile::TempDir,
        name: &str,
    ) -> Result<std::path::PathBuf, Box<dyn Error>> {
        let echo = Method::new("echo")
            .param("value", DataType::Binary)
            .returns(DataType::Binary)
            .unary(|args, _| args.column("value").cloned());
        let service = Service::builder("a1b2c3d4e5f6").protocol(Protocol::new(NAME).method(echo)).build()?;
        let path = folder.path().join(name);
        let bound = SocketServer::new(Arc::new(service)).shared_memory(shared).bind_unix(&path)?;
        std::thread::spawn(move || bound.run());
        Ok(path)
    }

    fn time(run: impl FnOnce()) -> Duration {
        let begun = Instant::now();
        run();
        begun.elapsed()
    }

    fn echo(client: &mut Client, row: &RecordBatch) -> Duration {
        time(|| {
            let answer = client.unary(&Remote::new(NAME).method("echo"), row).expect("an answer");
            assert_eq!(answer.column(0).len(), 1);
            black_box(answer);
        })
    }

    /// Measures the system calls of an echo through a named segment.
    fn through_a_file(file: &File, from: &[u8], to: &mut [u8]) -> Duration {
        time(|| {
            for _ in 0..2 {
                file.write_all_at(black_box(from), 0).expect("room in memory");
                file.read_exact_at(black_box(to), 0).expect("what was written");
            }
        })
    }

    /// Prints the minimum and the median of each column.
    fn print(bytes: usize, mut columns: [Vec<Duration>; COLUMNS.len()]) {
        columns.iter_mut().for_each(|times| times.sort_unstable());
        for (what, part) in [("least", 0), ("median", 2)] {
            let times = columns.iter().map(|times| times.get(times.len() * part / 4));
            let millis = times.map(|time| time.map_or(0.0, Duration::as_secs_f64) * 1e3);
            let cells: Vec<_> = millis.map(|millis| format!("{millis:>10.3}")).collect();
            println!("{bytes:>8} {what:>7}{}", cells.concat());
        }
    }

    pub fn main() -> Result<(), Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let copying = server(ShmServer::new(), &folder, "copying")?;
        // SAFETY: the only clients are those below, which keep the promise.
        let trusting = server(unsafe { ShmServer::new().trust_peers() }, &folder, "trusting")?;
        println!("{:>16}{}", "bytes", COLUMNS.map(|column| format!("{column:>10}")).concat());
        for (bytes, rounds) in [(1_usize << 18, 100), (1 << 20, 60), (1 << 23, 20), (1 << 26, 8)] {
            let segment = 3 * bytes as u64 + (1 << 20);
            let mut sealed = connect_unix(&copying)?.shared_memory(ShmClient::new(segment));
            let named = Client::new(Plain(UnixStream::connect(&copying)?), Limits::default());
            let mut named = named.shared_memory(ShmClient::new(segment));
            // SAFETY: the server is the one above.
            let trusted = unsafe { ShmClient::new(segment).trust_server() };
            let mut trusted = connect_unix(&trusting)?.shared_memory(trusted);
            let mut socket = connect_unix(&copying)?;
            let values = Buffer::from(vec![7_u8; bytes]);
            let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, i32::try_from(bytes)?]));
            let value: ArrayRef = Arc::new(BinaryArray::new(offsets, values, None));
            let row = RecordBatch::try_from_iter_with_nullable([("value", value, false)])?;
            // Aligned like the memory of batches: a processor may copy more slowly between other addresses.
            let mut from = MutableBuffer::from_len_zeroed(bytes);
            let mut to = MutableBuffer::from_len_zeroed(bytes);
            from.fill(1);
            let file = File::from(memfd_create("copies", MemfdFlags::CLOEXEC)?);
            let copy = |from: &[u8], to: &mut [u8]| to.copy_from_slice(black_box(from));
            let mut columns: [Vec<Duration>; COLUMNS.len()] = Default::default();
            for round in 0..=rounds {
                for (column, times) in columns.iter_mut().enumerate() {
                    for _ in 0..CALLS {
                        let taken = match column {
                            0 => time(|| (0..2).for_each(|_| copy(&from, &mut to))),
                            1 => time(|| (0..4).for_each(|_| copy(&from, &mut to))),
                            2 => through_a_file(&file, &from, &mut to),
                            3 => echo(&mut trusted, &row),
                            4 => echo(&mut sealed, &row),
                            5 => echo(&mut named, &row),
                            _ => echo(&mut socket, &row),
                        };
                        if round > 0 {
                            times.push(taken);
                        }
                    }
                }
            }
            print(bytes, columns);
        }
        Ok(())
    }
}
