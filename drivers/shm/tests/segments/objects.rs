//! Creating, attaching, refusing and removing segments.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vgi_rpc_protocol::effect::{Completion, Failure, FailureReason};
use vgi_rpc_protocol::shm::{AccessError, AttachSegment, Counters, Segment, SharedMemory, ShmOptions};
use vgi_rpc_shm::{ShmClient, ShmServer, accept_descriptor, takes_descriptors};

const FOLDER: &str = "/dev/shm";

fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// A name unique to this test; the object is removed on drop.
struct Name(String);

impl Name {
    fn new(what: &str) -> Self {
        Self(format!("vgi-test-{}-{what}", std::process::id()))
    }

    /// Creates a file of this mode and size.
    fn file(what: &str, mode: u32, len: u64) -> (Self, File) {
        let name = Self::new(what);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(mode).open(path(&name.0)).unwrap();
        // Regardless of the umask of the process.
        file.set_permissions(Permissions::from_mode(mode)).unwrap();
        file.set_len(len).unwrap();
        (name, file)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let path = path(&self.0);
        let _ = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
    }
}

fn attach(attach: &AttachSegment) -> Result<Arc<dyn SharedMemory>, Failure> {
    match ShmServer::new().attach(attach) {
        Completion::Attached(memory) => Ok(memory),
        Completion::Failed(failure) => Err(failure),
        other => panic!("{other:?}"),
    }
}

fn refusal(name: &str) -> Failure {
    attach(&AttachSegment::new(name, 1 << 20)).unwrap_err()
}

#[test]
fn a_segment_is_attached_by_either_spelling_and_removed_by_its_owner() {
    let segment = ShmClient::new(1 << 20).create().unwrap();
    let advertised = segment.advertisement();
    assert_eq!(advertised.claimed_size, 1 << 20);
    let slashed = AttachSegment::new(format!("/{}", advertised.name), 7);
    for name in [&advertised, &slashed] {
        let memory = attach(name).unwrap();
        // Its size is the object's.
        assert_eq!(memory.len(), 1 << 20);
        let attached =
            Segment::attach(&*name.name, memory, ShmOptions::default(), &Counters::default()).unwrap();
        assert_eq!(attached.header().unwrap().regions(), []);
    }
    assert!(path(segment.name()).exists(), "the server does not remove it");
    drop(segment);
    assert!(!path(&advertised.name).exists());
    assert_eq!(attach(&advertised).unwrap_err().reason, FailureReason::Failed);
}

#[test]
fn what_is_no_segment_of_this_user_is_refused() {
    let missing = refusal("vgi-test-that-is-not-there");
    assert_eq!(missing.reason, FailureReason::Failed);
    assert!(!missing.message.contains("that-is-not-there"), "{missing}");
    for name in ["../../etc/passwd", "/etc/passwd", "a/b", "", ".", ".."] {
        assert_eq!(refusal(name).reason, FailureReason::Refused, "{name:?}");
    }
    let folder = Name::new("folder");
    fs::create_dir(path(&folder.0)).unwrap();
    refusal(&folder.0);
    let (target, _) = Name::file("target", 0o600, 1 << 20);
    let link = Name::new("link");
    symlink(path(&target.0), path(&link.0)).unwrap();
    refusal(&link.0);
    attach(&AttachSegment::new(&*target.0, 0)).unwrap();
    let pipe = Name::new("pipe");
    assert!(Command::new("mkfifo").arg("-m").arg("600").arg(path(&pipe.0)).status().unwrap().success());
    assert!(refusal(&pipe.0).message.contains("not a shared memory object"));
    for mode in [0o640, 0o604, 0o660, 0o606, 0o666, 0o610] {
        let (open, _) = Name::file(&format!("open{mode:o}"), mode, 1 << 20);
        let failure = refusal(&open.0);
        assert_eq!(failure.reason, FailureReason::Refused);
        assert!(failure.message.contains(&format!("{mode:o}")), "{failure}");
    }
    // A client of another user.
    let other = AttachSegment::new(&*target.0, 0).of_user(4_000_001);
    assert!(attach(&other).unwrap_err().message.contains("4000001"));
    // It is our own, but not a segment.
    let memory = attach(&AttachSegment::new(&*target.0, 0)).unwrap();
    assert!(Segment::attach("x", memory, ShmOptions::default(), &Counters::default()).is_err());
}

#[test]
fn a_segment_that_is_truncated_fails_and_is_not_extended() {
    let segment = ShmClient::new(1 << 20).create().unwrap();
    let memory = attach(&segment.advertisement()).unwrap();
    let mut bytes = vec![0; 4096];
    memory.read_at(500_000, &mut bytes).unwrap();
    let file = OpenOptions::new().write(true).open(path(segment.name())).unwrap();
    file.set_len(100_000).unwrap();
    let truncated = memory.read_at(500_000, &mut bytes);
    assert!(matches!(truncated, Err(AccessError::OutOfBounds { .. })), "{truncated:?}");
    let beyond = memory.write_at((1 << 20) - 1, &[1, 2]);
    assert!(matches!(beyond, Err(AccessError::OutOfBounds { .. })), "{beyond:?}");
    assert!(matches!(memory.read_at(u64::MAX, &mut bytes), Err(AccessError::OutOfBounds { .. })));
    assert_eq!(file.metadata().unwrap().len(), 100_000);
    file.set_len(0).unwrap();
    assert!(segment.header().is_err());
}

/// Copies of this size are made in parts.
#[test]
fn large_copies_arrive_whole_and_fail_whole() {
    const LEN: usize = (9 << 20) + 12_345;
    let bytes: Vec<u8> = (0..LEN).map(|index| (index % 251) as u8).collect();
    let client = ShmClient::new(16 << 20);
    let (named, (_sealed, descriptor)) = (client.create().unwrap(), client.create_sealed().unwrap());
    // SAFETY: the segments belong to this test, which meets the requirement.
    let trusting = unsafe { ShmServer::new().trust_peers() };
    let own_user = rustix::process::geteuid().as_raw();
    let by_descriptor =
        |server: &ShmServer, user| server.attach_descriptor(descriptor.try_clone().ok(), user);
    for server in [ShmServer::new(), trusting] {
        let named = server.attach(&named.advertisement());
        for completion in [named, by_descriptor(&server, None), by_descriptor(&server, Some(own_user))] {
            let Completion::Attached(memory) = completion else { panic!("not attached") };
            memory.write_at(70_001, &bytes).unwrap();
            let mut read = vec![0; LEN + 2];
            memory.read_at(70_000, &mut read).unwrap();
            assert!(read[1..=LEN] == bytes && (read[0], read[LEN + 1]) == (0, 0));
            let whole_end = (16 << 20) - LEN as u64;
            assert!(matches!(
                memory.read_at(whole_end + 1, &mut read[2..]),
                Err(AccessError::OutOfBounds { .. })
            ));
            assert!(matches!(memory.write_at(whole_end + 1, &bytes), Err(AccessError::OutOfBounds { .. })));
            memory.write_at(70_001, &vec![0; LEN]).unwrap();
        }
    }
    let memory = attach(&named.advertisement()).unwrap();
    let file = OpenOptions::new().write(true).open(path(named.name())).unwrap();
    file.set_len(5 << 20).unwrap();
    let truncated = memory.read_at(70_001, &mut vec![0; LEN]);
    assert!(matches!(truncated, Err(AccessError::OutOfBounds { .. })), "{truncated:?}");
}

#[test]
fn a_segment_must_be_larger_than_its_header() {
    for len in [0, 1, 65536] {
        assert!(ShmClient::new(len).create().is_err());
    }
    assert!(ShmClient::new(u64::MAX).create().is_err(), "the system has no room for it");
    let left = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("vgi-rpc-");
    let len = |entry: &fs::DirEntry| entry.metadata().map_or(0, |metadata| metadata.len());
    let left = fs::read_dir(FOLDER).unwrap().flatten().filter(|entry| left(entry) && len(entry) <= 65536);
    assert_eq!(left.count(), 0, "an unusable segment is removed");
}

/// The variable that makes this program the process that is killed.
const DIES: &str = "VGI_TEST_DIES_WITH_A_SEGMENT";

#[test]
fn a_segment_of_a_process_that_was_killed_is_removed_by_the_next() {
    if std::env::var_os(DIES).is_some() {
        let segment = ShmClient::new(1 << 20).create().unwrap();
        println!("\nSEGMENT:{}", segment.name());
        // Until it is killed.
        loop {
            std::thread::park();
        }
    }
    use std::io::{BufRead, BufReader};
    let this = "objects::a_segment_of_a_process_that_was_killed_is_removed_by_the_next";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", this, "--nocapture"])
        .env(DIES, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let name = lines.find_map(|line| Some(line.unwrap().strip_prefix("SEGMENT:")?.to_owned())).unwrap();
    assert!(path(&name).exists());
    // It is in use, and is kept.
    let _other = ShmClient::new(1 << 20).create().unwrap();
    assert!(path(&name).exists());
    child.kill().unwrap();
    child.wait().unwrap();
    // Those of other tests, which run at the same time, count as later ones too.
    let _next = ShmClient::new(1 << 20).create().unwrap();
    assert!(!path(&name).exists());
}

#[test]
fn a_descriptor_is_taken_only_of_a_sealed_file_in_memory() {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
    let refusal = |descriptor: Option<OwnedFd>| match ShmServer::new().attach_descriptor(descriptor, None) {
        Completion::Failed(failure) => failure.message,
        other => panic!("{other:?}"),
    };
    assert!(refusal(None).contains("was not received"));
    let memory = |seals: SealFlags| {
        let memory = memfd_create("test", MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&memory, 1 << 20).unwrap();
        fcntl_add_seals(&memory, seals).unwrap();
        memory
    };
    assert!(refusal(Some(memory(SealFlags::empty()))).contains("sealed"));
    assert!(refusal(Some(memory(SealFlags::GROW | SealFlags::SEAL))).contains("sealed"));
    assert!(refusal(Some(tempfile::tempfile().unwrap().into())).contains("sealed"));
    assert!(refusal(Some(std::io::pipe().unwrap().0.into())).contains("sealed"));
    // It cannot be written, so nothing could be freed in it.
    refusal(Some(memory(SealFlags::SHRINK | SealFlags::WRITE)));
    // One opened for reading only, and one of huge pages, which the system may lack when they are read.
    let writable = memory(SealFlags::SHRINK);
    let read_only = File::open(format!("/proc/self/fd/{}", writable.as_raw_fd())).unwrap();
    refusal(Some(read_only.into()));
    let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB;
    // Some systems do not support them.
    if let Ok(huge) = memfd_create("test", flags) {
        fcntl_add_seals(&huge, SealFlags::SHRINK).unwrap();
        assert!(refusal(Some(huge)).contains("expected the descriptor of a sealed file in memory"));
    }
    let Completion::Attached(attached) =
        ShmServer::new().attach_descriptor(Some(memory(SealFlags::SHRINK)), None)
    else {
        panic!("not attached")
    };
    assert_eq!(attached.len(), 1 << 20);
    // Sealed by this crate, it cannot be truncated under either side.
    let (segment, descriptor) = ShmClient::new(1 << 20).create_sealed().unwrap();
    assert!(segment.advertisement().is_by_descriptor());
    assert!(ftruncate(&descriptor, 0).is_err() && ftruncate(&descriptor, 2 << 20).is_err());
    assert_eq!(segment.header().unwrap().regions(), []);
}

/// Sparse files, which are not written and barely read.
#[test]
fn a_segment_that_is_too_large_is_refused_and_reading_a_large_one_takes_no_memory() {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, ftruncate, memfd_create};
    let sparse = |len: u64| {
        let memory = memfd_create("test", MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&memory, len).unwrap();
        fcntl_add_seals(&memory, SealFlags::SHRINK).unwrap();
        memory
    };
    // SAFETY: nothing is lent.
    let trusting = unsafe { ShmServer::new().trust_peers() };
    let attach = |server: &ShmServer, len| server.attach_descriptor(Some(sparse(len)), None);
    for (server, what) in [(&ShmServer::new(), "copied"), (&trusting, "mapped")] {
        for (server, len) in
            [(server.clone(), (4 << 30) + 1), (server.clone().max_segment_bytes(1 << 20), 2 << 20)]
        {
            let Completion::Failed(failure) = attach(&server, len) else { panic!("attached") };
            assert_eq!(failure.reason, FailureReason::Refused);
            assert!(failure.message.contains(&format!("got {len}")), "{failure}");
        }
        let large = server.clone().max_segment_bytes(1 << 20);
        assert!(matches!(attach(&large, 1 << 20), Completion::Attached(_)));
        let (named, _file) = Name::file(what, 0o600, (1 << 20) + 1);
        assert!(matches!(large.attach(&AttachSegment::new(&*named.0, 1)), Completion::Failed(_)));
    }
    let object = sparse(1 << 30);
    let other_user = rustix::process::geteuid().as_raw() + 1;
    let Completion::Attached(memory) =
        ShmServer::new().attach_descriptor(Some(object.try_clone().unwrap()), other_user)
    else {
        panic!("not attached")
    };
    memory.read_at(70_000, &mut vec![1; 4 << 20]).unwrap();
    assert_eq!(fstat(&object).unwrap().st_blocks, 0, "holes are preserved");
    // Written data is read with the holes around it.
    memory.write_at(8 << 20, &[7; 5000]).unwrap();
    let written = fstat(&object).unwrap().st_blocks;
    let mut read = vec![1; 5 << 20];
    memory.read_at(6 << 20, &mut read).unwrap();
    assert_eq!(read.iter().map(|byte| u32::from(*byte)).sum::<u32>(), 7 * 5000);
    assert_eq!(read[(2 << 20) - 1..2 << 20 | 1], [0, 7]);
    assert_eq!(fstat(&object).unwrap().st_blocks, written);
}

#[test]
fn a_trusted_peer_lends_its_memory() {
    let segment = ShmClient::new(1 << 20).create().unwrap();
    // SAFETY: the segment belongs to this test, which meets the requirement.
    let server = unsafe { ShmServer::new().trust_peers() };
    let Completion::Attached(memory) = server.attach(&segment.advertisement()) else {
        panic!("not attached")
    };
    memory.write_at(70_000, b"shared").unwrap();
    assert_eq!(memory.view(70_000, 6).unwrap(), "shared");
    let mut copied = [0; 6];
    memory.read_at(70_000, &mut copied).unwrap();
    assert_eq!(&copied, b"shared");
    let view = memory.view(70_000, 6).unwrap();
    drop(memory);
    assert_eq!(view, "shared", "the mapping is kept as long as its views");
    let Completion::Attached(memory) = server.attach(&segment.advertisement()) else {
        panic!("not attached")
    };
    assert!(memory.view(1 << 20, 1).is_none() && memory.view(u64::MAX, 2).is_none());
    assert!(memory.read_at((1 << 20) - 3, &mut copied).is_err());
    assert!(memory.write_at(u64::MAX - 2, &copied).is_err());
    let Completion::Attached(copying) = ShmServer::new().attach(&segment.advertisement()) else { panic!() };
    assert!(copying.view(70_000, 6).is_none(), "by default nothing is lent");
}

/// Returns the only descriptor of a TCP socket that takes this many seconds to close: it has bytes to send that its peer
/// does not read.
fn lingering(seconds: u64) -> (OwnedFd, std::net::TcpStream) {
    use std::io::Write;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut sender = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let receiver = listener.accept().unwrap().0;
    rustix::net::sockopt::set_socket_linger(&sender, Some(Duration::from_secs(seconds))).unwrap();
    sender.set_nonblocking(true).unwrap();
    while sender.write(&[7; 1 << 16]).is_ok() {}
    // Only a blocking socket lingers on close.
    sender.set_nonblocking(false).unwrap();
    (sender.into(), receiver)
}

#[test]
fn a_descriptor_that_is_slow_to_close_does_not_block() {
    let timed = |run: &mut dyn FnMut()| {
        let begun = Instant::now();
        run();
        begun.elapsed()
    };
    let (slow, _receiver) = lingering(1);
    let mut slow = Some(slow);
    assert!(timed(&mut || drop(slow.take())) > Duration::from_millis(500), "closing it takes a second");
    let (slow, _receiver) = lingering(5);
    let mut slow = Some(slow);
    let taken = timed(&mut || assert!(accept_descriptor(slow.take().unwrap()).is_none()));
    assert!(taken < Duration::from_secs(2), "{taken:?}");
    assert!(takes_descriptors(), "one of them is not too many");
    // A file in memory is kept.
    let (_segment, descriptor) = ShmClient::new(1 << 20).create_sealed().unwrap();
    assert!(accept_descriptor(descriptor).is_some());
}

/// Root can change a file's owner, and read it afterwards.
#[test]
fn a_segment_of_another_user_is_refused() {
    const OTHER: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can make a segment of another user");
        return;
    }
    let segment = ShmClient::new(1 << 20).create().unwrap();
    let advertised = segment.advertisement();
    std::os::unix::fs::chown(path(&advertised.name), Some(OTHER), None).unwrap();
    // Of a root client, over a pipe and a socket.
    for user in [None, Some(0)] {
        let failure = attach(&advertised.clone().of_user(user)).unwrap_err();
        assert_eq!(failure.reason, FailureReason::Refused);
        assert!(failure.message.contains("belong to user 0, got 65534"), "{failure}");
    }
    // Of a client that is that user, which could make a write to its file block forever.
    let failure = attach(&advertised.of_user(OTHER)).unwrap_err();
    assert_eq!(failure.reason, FailureReason::Refused);
    assert!(
        failure.message.contains("come from user 0, as whom the server runs, got one from user 65534"),
        "{failure}"
    );
}
