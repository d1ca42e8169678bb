//! The recorder: selects the connections to record, and owns the thread that writes captures.

use crate::capture::{Header, Role};
use crate::current;
use crate::events;
use crate::outlet::{Counts, Outlet};
use crate::raw::Raw;
use crate::redact::PlaceholderKey;
use crate::tape::{Shared, Tape};
use crate::writer::{OnTrouble, Writer};
use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vgi_rpc_protocol::service::TransportKind;

/// The default of [`RecorderOptions::max_bytes`].
pub const DEFAULT_MAX_BYTES: usize = 1 << 20;
/// The default of [`RecorderOptions::max_captures`].
pub const DEFAULT_MAX_CAPTURES: usize = 64;
/// The default of [`RecorderOptions::pause_after_trouble`].
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(10);

/// Options of a recorder: the folder for captures, and limits.
#[derive(Clone)]
pub struct RecorderOptions {
    folder: PathBuf,
    max_bytes: usize,
    max_captures: usize,
    pause: Duration,
    on_trouble: Option<Arc<OnTrouble>>,
}

impl fmt::Debug for RecorderOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, max_bytes, max_captures, .. } = self;
        f.debug_struct("RecorderOptions")
            .field("folder", folder)
            .field("max_bytes", max_bytes)
            .field("max_captures", max_captures)
            .finish_non_exhaustive()
    }
}

impl RecorderOptions {
    /// Creates options that write captures to an existing folder. Any user who can read it can read the data of the calls.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            max_bytes: DEFAULT_MAX_BYTES,
            max_captures: DEFAULT_MAX_CAPTURES,
            pause: DEFAULT_PAUSE,
            on_trouble: None,
        }
    }

    /// Sets how many bytes of one connection are recorded, for both directions together; each record counts 64 more. The rest is
    /// not recorded. Default 1 MiB.
    ///
    /// A capture is kept in memory until its connection ends or it reaches this limit.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets how many connections are recorded: the first ones. Default 64. This also limits the memory for captures that are not
    /// yet written.
    pub fn max_captures(mut self, captures: usize) -> Self {
        self.max_captures = captures;
        self
    }

    /// Sets how long no new recording begins after a capture could not be written. Default 10 s. Recordings in progress continue.
    pub fn pause_after_trouble(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Sets a function that is called when a capture is dropped because it cannot be written.
    pub fn on_trouble(mut self, on_trouble: impl Fn(&io::Error) + Send + Sync + 'static) -> Self {
        self.on_trouble = Some(Arc::new(on_trouble));
        self
    }

    /// Creates the recorder, and starts the thread that redacts and writes captures.
    ///
    /// # Errors
    /// If the folder does not exist, the system has no entropy, or the thread cannot be started.
    pub fn open(self) -> io::Result<Recorder> {
        let folder = fs::metadata(&self.folder).map_err(|error| {
            io::Error::new(error.kind(), format!("the folder {}: {error}", self.folder.display()))
        })?;
        if !folder.is_dir() {
            let text = format!("expected a folder, got another file: {}", self.folder.display());
            return Err(io::Error::new(io::ErrorKind::NotADirectory, text));
        }
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
        // It needs no limit: there are at most `max_captures` captures.
        let (sender, receiver) = channel();
        // The thread keeps the sender until it ends.
        let (held, ended) = channel();
        let counts = Arc::<Counts>::default();
        let inner = Arc::new(Inner {
            max_bytes: self.max_bytes,
            max_captures: self.max_captures,
            begun: AtomicUsize::new(0),
            outlet: Arc::new(Outlet::new(sender, counts.clone())),
            counts: counts.clone(),
            live: Mutex::default(),
            writer: Mutex::default(),
        });
        let writer = Writer {
            folder: self.folder,
            key: PlaceholderKey::new(key),
            counts,
            on_trouble: self.on_trouble,
            pause: self.pause,
        };
        let thread = thread::Builder::new().name("vgi-rpc-recorder".into());
        let thread = thread.spawn(move || {
            writer.run(&receiver);
            drop(held);
        })?;
        *lock(&inner.writer) = Some(WriterThread { thread, ended });
        Ok(Recorder(inner))
    }
}

/// Records connections. Clones share one recorder.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("begun", &self.begun()).finish_non_exhaustive()
    }
}

/// The state that the clones of a recorder share.
struct Inner {
    max_bytes: usize,
    max_captures: usize,
    begun: AtomicUsize,
    counts: Arc<Counts>,
    outlet: Arc<Outlet>,
    /// The tapes that may still be recording.
    live: Mutex<Vec<Weak<Shared>>>,
    writer: Mutex<Option<WriterThread>>,
}

/// The thread that writes captures.
struct WriterThread {
    thread: JoinHandle<()>,
    /// Is disconnected when the thread ends.
    ended: Receiver<()>,
}

impl Recorder {
    /// Returns how many recordings have begun.
    pub fn begun(&self) -> usize {
        self.0.begun.load(Ordering::Relaxed).min(self.0.max_captures)
    }

    /// Returns how many captures were written.
    pub fn written(&self) -> u64 {
        self.0.counts.written.load(Ordering::Relaxed)
    }

    /// Returns how many captures were dropped because they could not be written.
    pub fn dropped(&self) -> u64 {
        self.0.counts.dropped.load(Ordering::Relaxed)
    }

    /// Wraps `entropy` so that the random bytes that a recorded connection draws are recorded. Pass it to
    /// [`Endpoint::builder`](vgi_rpc_protocol::http::Endpoint::builder). A replay returns the same bytes.
    pub fn entropy<E: Fn(&mut [u8]) + Send + Sync>(
        &self,
        entropy: E,
    ) -> impl Fn(&mut [u8]) + Send + Sync + use<E> {
        move |bytes| {
            entropy(bytes);
            current::note(|tape| tape.entropy(bytes));
        }
    }

    /// Wraps `clock` so that the readings of a recorded connection are recorded. It returns the time since the Unix epoch.
    pub fn clock<C: Fn() -> Duration + Send + Sync>(
        &self,
        clock: C,
    ) -> impl Fn() -> Duration + Send + Sync + use<C> {
        move || {
            let now = clock();
            current::note(|tape| tape.clock(now));
            now
        }
    }

    /// Ends the captures of open connections, and waits at most `patience` until all captures are written. Returns false if they
    /// are not; the thread then continues while the process runs. Nothing is recorded afterwards.
    pub fn close(&self, patience: Duration) -> bool {
        let live = std::mem::take(&mut *lock(&self.0.live));
        live.iter().filter_map(Weak::upgrade).for_each(|shared| shared.finish());
        self.0.outlet.close();
        let mut writer = lock(&self.0.writer);
        let Some(WriterThread { thread, ended }) = writer.take() else { return true };
        if let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(patience) {
            *writer = Some(WriterThread { thread, ended });
            return false;
        }
        // Its panics are caught.
        let _ = thread.join();
        true
    }

    /// Begins a capture, unless the maximum is reached, recording is paused, or the recorder is closed.
    pub(crate) fn begin(
        &self,
        transport: TransportKind,
        role: Role,
        seed: u64,
        server_id: &str,
    ) -> Option<Tape> {
        let inner = &self.0;
        if inner.counts.is_paused() {
            return None;
        }
        let may = |begun: usize| (begun < inner.max_captures).then_some(begun + 1);
        let before = inner.begun.fetch_update(Ordering::Relaxed, Ordering::Relaxed, may).ok()?;
        if !inner.outlet.is_open() {
            return None;
        }
        events::begun(&inner.counts.throttles, transport, before + 1);
        if before + 1 == inner.max_captures {
            events::full(inner.max_captures);
        }
        let tape = Tape::new(
            Raw::new(Header {
                transport,
                role,
                max_bytes: inner.max_bytes as u64,
                dropped: 0,
                began: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
                seed,
                server_id: server_id.to_owned(),
            }),
            inner.outlet.clone(),
        );
        let mut live = lock(&inner.live);
        live.retain(|tape| tape.strong_count() > 0);
        live.push(Arc::downgrade(tape.shared()));
        Some(tape)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change of the guarded value is a single step, so it is valid after a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
