//! Measures an echo of bytes by way of shared memory, beside the copies that it is made of and beside a unix socket:
//! `cargo run --release -p vgi-rpc-shm --example echo`. Each row is the median of some calls, taken in turns.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("this example is for Linux");
}

#[cfg(target_os = "linux")]
mod linux {
    use arrow_array::{Array, ArrayRef, BinaryArray, RecordBatch};
    use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
    use arrow_schema::DataType;
    use std::error::Error;
    use std::hint::black_box;
    use std::io::{self, IoSlice, Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::time::{Duration, Instant};
    use vgi_rpc_protocol::Limits;
    use vgi_rpc_protocol::service::{Method, Protocol, Service};
    use vgi_rpc_shm::{ShmClient, ShmServer};
    use vgi_rpc_unix::{Client, Remote, SocketServer, Transport, connect_unix};

    const NAME: &str = "demo.Echo.v1";

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

    /// A socket that sends no descriptors, so that the segment has a name and is read through its descriptor.
    struct Plain(UnixStream);

    impl Transport for Plain {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.0.write_vectored(slices)
        }

        fn is_local(&self) -> bool {
            true
        }

        fn close(&mut self) -> io::Result<()> {
            Ok(())
        }
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

    fn median(mut times: Vec<Duration>) -> f64 {
        times.sort_unstable();
        times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64) * 1e3
    }

    pub fn main() -> Result<(), Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let copying = server(ShmServer::new(), &folder, "copying")?;
        // SAFETY: the clients are those below, which keep the promise.
        let trusting = server(unsafe { ShmServer::new().trust_peers() }, &folder, "trusting")?;
        println!(
            "{:>8} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}  ms",
            "bytes", "2 copies", "4 copies", "trusted", "sealed", "named", "socket"
        );
        for (bytes, rounds) in [(1_usize << 18, 200), (1 << 20, 100), (1 << 23, 40), (1 << 26, 15)] {
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
            let (from, mut to) = (vec![1_u8; bytes], vec![0_u8; bytes]);
            let mut copy = || to.copy_from_slice(black_box(&from));
            let mut times: [Vec<Duration>; 6] = Default::default();
            for round in 0..rounds + 3 {
                let taken = [
                    time(|| (0..2).for_each(|_| copy())),
                    time(|| (0..4).for_each(|_| copy())),
                    echo(&mut trusted, &row),
                    echo(&mut sealed, &row),
                    echo(&mut named, &row),
                    echo(&mut socket, &row),
                ];
                if round >= 3 {
                    times.iter_mut().zip(taken).for_each(|(times, taken)| times.push(taken));
                }
            }
            let [two, four, trusted, sealed, named, socket] = times.map(median);
            println!(
                "{bytes:>8} {two:>10.3} {four:>10.3} {trusted:>10.3} {sealed:>10.3} {named:>10.3} {socket:>10.3}"
            );
        }
        Ok(())
    }
}
