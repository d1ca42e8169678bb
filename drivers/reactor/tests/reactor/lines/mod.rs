//! Another protocol for the event loop: requests and responses are lines; [`Lines::request`] lists the requests.
#![allow(dead_code, reason = "`process` uses some of it")]

mod waits;

pub use waits::{Told, Waits};

use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};
use vgi_rpc_reactor::{Acceptor, Expiry, Job, Machine, Origin, Phase, Step};

/// Longer than any step that succeeds.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// A longer line is refused.
const MAX_LINE: usize = 1 << 10;
/// If there is more output than this, it is sent before anything else.
const MUCH_OUTPUT: usize = 64 << 10;
/// Memory lent for the rest of a body at a time.
const BODY_CHUNK: usize = 1 << 20;

/// State that the connections share with the test.
#[derive(Clone, Default)]
pub struct World {
    pub gate: Gate,
    /// Machines that were asked to release memory.
    pub released: Arc<AtomicUsize>,
    /// Machines that were notified of their peer's end.
    pub hung_up: Arc<AtomicUsize>,
    /// Machines that exist.
    pub machines: Arc<AtomicUsize>,
    pub polls: Arc<AtomicUsize>,
    pub completed: Arc<AtomicUsize>,
    pub waits: Waits,
    /// Machines panic when they are dropped.
    pub drops_panic: Arc<AtomicBool>,
    /// Writes that sent output.
    pub writes: Arc<AtomicUsize>,
    /// Machines are woken as soon as they have a waker.
    pub wakes_at_once: Arc<AtomicBool>,
}

impl Acceptor for World {
    type Machine = Lines;

    fn accept(&self, origin: &Origin, seed: u64, waker: Waker) -> Lines {
        self.machines.fetch_add(1, Ordering::SeqCst);
        if self.wakes_at_once.load(Ordering::SeqCst) {
            waker.wake_by_ref();
        }
        Lines {
            told: Told::new(waker),
            waits: false,
            spins: false,
            is_at_work: false,
            world: self.clone(),
            origin: origin.clone(),
            seed,
            line: Vec::new(),
            body: None,
            lent: Vec::new(),
            output: Segments { bytes: VecDeque::new(), writes: self.writes.clone() },
            closes: None,
            drains: false,
        }
    }
}

/// Blocks jobs until the test opens it.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<(usize, bool)>, Condvar)>);

impl Gate {
    fn pass(&self) {
        let mut state = self.0.0.lock().unwrap();
        state.0 += 1;
        self.0.1.notify_all();
        let deadline = Instant::now() + PATIENCE;
        while !state.1 && Instant::now() < deadline {
            state = self.0.1.wait_timeout(state, Duration::from_millis(100)).unwrap().0;
        }
    }

    /// Waits until this many jobs have arrived.
    pub fn wait_for(&self, works: usize) {
        let mut state = self.0.0.lock().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while state.0 < works {
            assert!(Instant::now() < deadline, "expected {works} works, got {}", state.0);
            state = self.0.1.wait_timeout(state, Duration::from_millis(100)).unwrap().0;
        }
    }

    pub fn open(&self) {
        self.0.0.lock().unwrap().1 = true;
        self.0.1.notify_all();
    }
}

/// One connection.
pub struct Lines {
    world: World,
    origin: Origin,
    seed: u64,
    /// Input that has not been processed.
    line: Vec<u8>,
    /// A body that is being received: its length, and the part so far.
    body: Option<(usize, Vec<u8>)>,
    lent: Vec<u8>,
    output: Segments,
    closes: Option<Closing>,
    drains: bool,
    /// Messages for this connection, and its waker.
    told: Told,
    /// It waits for these messages.
    waits: bool,
    /// It wakes itself at every poll.
    spins: bool,
    is_at_work: bool,
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.world.machines.fetch_sub(1, Ordering::SeqCst);
        if self.world.drops_panic.load(Ordering::SeqCst) {
            panic!("on purpose, in a destructor");
        }
    }
}

#[derive(Clone, Copy)]
enum Closing {
    AtOnce,
    Lingering,
}

/// Bytes to be sent.
pub struct Segments {
    bytes: VecDeque<Bytes>,
    /// How many writes there were.
    writes: Arc<AtomicUsize>,
}

impl Segments {
    fn push(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        if !bytes.is_empty() {
            self.bytes.push_back(bytes);
        }
    }
}

impl Buf for Segments {
    fn remaining(&self) -> usize {
        self.bytes.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.front().map(|first| &first[..]).unwrap_or_default()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled = slices.iter_mut().zip(&self.bytes);
        filled.map(|(slice, segment)| *slice = IoSlice::new(segment)).count()
    }

    fn advance(&mut self, mut count: usize) {
        self.writes.fetch_add(1, Ordering::SeqCst);
        while let Some(first) = self.bytes.front_mut() {
            let taken = count.min(first.len());
            first.advance(taken);
            count -= taken;
            if !first.is_empty() {
                break;
            }
            self.bytes.pop_front();
        }
        assert_eq!(count, 0, "more was sent than was available");
    }
}

/// A job for a worker thread, which produces the response.
pub enum Task {
    Echo(String),
    Wait(Gate),
    /// Sleeps for this many milliseconds.
    Sleep(u64),
    /// Sends a message first.
    Tell(Told, String, Gate),
    Panic,
}

impl Job for Task {
    type Finished = String;

    fn run(self) -> String {
        match self {
            Self::Echo(text) => text,
            Self::Wait(gate) => {
                gate.pass();
                "waited".into()
            }
            Self::Tell(told, text, gate) => {
                told.tell(text);
                gate.pass();
                "done".into()
            }
            Self::Sleep(millis) => {
                std::thread::sleep(Duration::from_millis(millis));
                "slept".into()
            }
            Self::Panic => panic!("as asked"),
        }
    }
}

impl Lines {
    fn say(&mut self, text: &str) {
        let last = if self.drains { " (last)" } else { "" };
        self.output.push(format!("{text}{last}\n"));
    }

    fn request(&mut self, line: &str) -> Option<Task> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "echo" => return Some(Task::Echo(rest.into())),
            "sleep" => return Some(Task::Sleep(rest.parse().unwrap())),
            "wait" => return Some(Task::Wait(self.world.gate.clone())),
            "tell" => return Some(Task::Tell(self.told.clone(), rest.into(), self.world.gate.clone())),
            // Sends a message of this many bytes.
            "tell-much" => {
                let text = "x".repeat(rest.parse().unwrap());
                return Some(Task::Tell(self.told.clone(), text, self.world.gate.clone()));
            }
            "panic" => return Some(Task::Panic),
            // The response is the message that another thread sends.
            "park" => {
                self.waits = true;
                self.world.waits.park(&self.told);
            }
            "spin" => {
                self.waits = true;
                self.spins = true;
            }
            // The machine wakes itself, before it returns that it waits.
            "nudge" => {
                self.waits = true;
                self.told.tell("nudged");
            }
            // The body's length in bytes; the response is their number and their sum.
            "body" => {
                let mut begun = std::mem::take(&mut self.line);
                let length = rest.parse().unwrap();
                if begun.len() > length {
                    self.line = begun.split_off(length);
                }
                self.body = Some((length, begun));
            }
            "origin" => match self.origin.clone() {
                Origin::Unix(credentials) => {
                    let pid = credentials.map(|found| found.pid);
                    self.say(&format!("unix {pid:?}"));
                }
                Origin::Tcp(address) => self.say(&format!("tcp {}", address.unwrap())),
                _ => self.say("elsewhere"),
            },
            "seed" => {
                let seed = self.seed.to_string();
                self.say(&seed);
            }
            // This many segments of 1 KiB.
            "flood" => {
                let segment = Bytes::from(vec![b'x'; 1 << 10]);
                (0..rest.parse().unwrap()).for_each(|_| self.output.push(segment.clone()));
                self.say("");
            }
            // This many segments that are unsent when the job begins.
            "flood-wait" => {
                let segment = Bytes::from(vec![b'x'; 1 << 10]);
                (0..rest.parse().unwrap()).for_each(|_| self.output.push(segment.clone()));
                self.say("");
                return Some(Task::Wait(self.world.gate.clone()));
            }
            "quit" => {
                self.say("bye");
                self.closes = Some(Closing::AtOnce);
            }
            _ => self.refuse("what?"),
        }
        None
    }

    /// Sends the received messages. Returns true if there were any.
    fn say_told(&mut self) -> bool {
        let told = self.told.take();
        told.iter().for_each(|line| self.say(line));
        !told.is_empty()
    }

    fn refuse(&mut self, why: &str) {
        self.say(why);
        self.closes = Some(Closing::Lingering);
    }
}

impl Machine for Lines {
    type Job = Task;
    type Output<'a> = &'a mut Segments;

    fn phase(&self) -> Phase {
        match (&self.body, self.line.is_empty()) {
            (Some(_), _) => Phase::Body,
            (None, true) => Phase::Idle,
            (None, false) => Phase::Head,
        }
    }

    fn read_buf(&mut self) -> Option<&mut [u8]> {
        let (length, body) = self.body.as_ref()?;
        self.lent.resize((length - body.len()).min(BODY_CHUNK), 0);
        Some(&mut self.lent)
    }

    fn advance(&mut self, count: usize) {
        let (_, body) = self.body.as_mut().unwrap();
        body.extend_from_slice(&self.lent[..count]);
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.line.extend_from_slice(bytes);
    }

    fn receive_eof(&mut self) {
        if self.line.is_empty() && self.body.is_none() {
            self.closes = Some(Closing::AtOnce);
        }
        // Otherwise more is needed than will arrive.
    }

    fn release_memory(&mut self) {
        self.world.released.fetch_add(1, Ordering::SeqCst);
    }

    fn complete(&mut self, done: String) {
        assert!(self.is_at_work, "a job is completed once");
        self.world.completed.fetch_add(1, Ordering::SeqCst);
        self.is_at_work = false;
        self.say_told();
        self.say(&done);
    }

    fn expire(&mut self, phase: Phase, _: Expiry) {
        if phase != Phase::Idle {
            self.say(&format!("timeout in {phase:?}"));
        }
    }

    fn hang_up(&mut self) {
        self.world.hung_up.fetch_add(1, Ordering::SeqCst);
    }

    fn drain(&mut self) {
        self.drains = true;
    }

    fn poll(&mut self) -> Step<Task> {
        self.world.polls.fetch_add(1, Ordering::SeqCst);
        if self.is_at_work {
            if self.told.is_to_close() {
                return Step::LingeringClose;
            }
            self.say_told();
            return if self.output.has_remaining() { Step::NeedDrain } else { Step::Waiting };
        }
        loop {
            match self.closes {
                Some(Closing::AtOnce) => return Step::Close,
                Some(Closing::Lingering) => return Step::LingeringClose,
                None if self.output.remaining() > MUCH_OUTPUT => return Step::NeedDrain,
                None => {}
            }
            if self.waits {
                self.waits = !self.say_told();
                if self.spins {
                    self.told.wake();
                }
                if self.waits {
                    return Step::Waiting;
                }
                continue;
            }
            if let Some((length, body)) = &self.body {
                if body.len() < *length {
                    return Step::NeedInput;
                }
                let sum: u64 = body.iter().copied().map(u64::from).sum();
                let answer = format!("{length} {sum}");
                self.body = None;
                self.say(&answer);
                continue;
            }
            match self.line.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    let rest = self.line.split_off(end + 1);
                    let line = std::mem::replace(&mut self.line, rest);
                    let line = String::from_utf8_lossy(&line[..end]).into_owned();
                    if let Some(task) = self.request(&line) {
                        self.is_at_work = true;
                        return Step::Job(task);
                    }
                }
                None if self.line.len() > MAX_LINE => self.refuse("too long"),
                None => return Step::NeedInput,
            }
        }
    }

    fn poll_transmit(&mut self) -> Option<&mut Segments> {
        Some(&mut self.output).filter(|output| output.has_remaining())
    }
}
