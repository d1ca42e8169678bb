//! The protocol inside TLS in these tests: a request is a letter, and a length in eight bytes.
//!
//! | letter | request |
//! | --- | --- |
//! | `e` | that many bytes follow, and are echoed |
//! | `s` | that many bytes follow, and are dropped; the response is a letter |
//! | `g` | the response is that many bytes |
//! | `c`, `l` | the end, immediately or gracefully |

use bytes::{Buf, Bytes};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use vgi_rpc_reactor::{Acceptor, Expiry, Job, Machine, Origin, Phase, Step};

static ZEROS: [u8; 32 << 10] = [0; 32 << 10];

/// The events of an acceptor's machines.
#[derive(Clone, Debug, Default)]
pub struct World(pub Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
pub struct Seen {
    pub origins: Vec<Origin>,
    pub events: Vec<&'static str>,
    pub dropped_bytes: u64,
}

impl World {
    pub fn events(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().events.clone()
    }

    pub fn origin(&self) -> Option<Origin> {
        self.0.lock().unwrap().origins.last().cloned()
    }
}

pub struct Conversation {
    world: World,
    header: Vec<u8>,
    body: Vec<u8>,
    filled: usize,
    is_dropping: bool,
    to_drop: u64,
    output: Bytes,
    to_give: u64,
    ending: Option<bool>,
    lent: Vec<u8>,
}

pub struct NoJob;

impl Job for NoJob {
    type Finished = ();
    fn run(self) {}
}

impl Acceptor for World {
    type Machine = Conversation;

    fn accept(&self, origin: &Origin, _: u64, _: Waker) -> Conversation {
        self.0.lock().unwrap().origins.push(origin.clone());
        Conversation {
            world: self.clone(),
            header: Vec::new(),
            body: Vec::new(),
            filled: 0,
            is_dropping: false,
            to_drop: 0,
            output: Bytes::new(),
            to_give: 0,
            ending: None,
            lent: Vec::new(),
        }
    }
}

impl Conversation {
    fn note(&self, event: &'static str) {
        self.world.0.lock().unwrap().events.push(event);
    }

    fn begin(&mut self) {
        let length = u64::from_be_bytes(self.header[1..].try_into().unwrap());
        match self.header[0] {
            b'e' => self.body = vec![0; usize::try_from(length).unwrap()],
            b's' => (self.is_dropping, self.to_drop) = (true, length),
            b'g' => self.to_give += length,
            b'c' => self.ending = Some(false),
            _ => self.ending = Some(true),
        }
        if self.header[0] != b'e' && self.header[0] != b's' {
            self.header.clear();
        }
    }

    fn take_body(&mut self, bytes: &[u8]) {
        if self.is_dropping {
            self.to_drop -= bytes.len() as u64;
            self.world.0.lock().unwrap().dropped_bytes += bytes.len() as u64;
        } else {
            self.body[self.filled..self.filled + bytes.len()].copy_from_slice(bytes);
            self.filled += bytes.len();
        }
        self.end_body();
    }

    fn end_body(&mut self) {
        if self.is_dropping && self.to_drop == 0 {
            (self.is_dropping, self.output) = (false, Bytes::from_static(b"s"));
            self.header.clear();
        } else if !self.is_dropping && self.filled == self.body.len() {
            self.output = std::mem::take(&mut self.body).into();
            self.filled = 0;
            self.header.clear();
        }
    }

    fn is_in_body(&self) -> bool {
        self.header.len() == 9
    }
}

impl Machine for Conversation {
    type Job = NoJob;
    type Output<'a> = &'a mut Bytes;

    fn phase(&self) -> Phase {
        match self.header.len() {
            0 => Phase::Idle,
            9 => Phase::Body,
            _ => Phase::Head,
        }
    }

    fn read_buf(&mut self) -> Option<&mut [u8]> {
        if !self.is_in_body() {
            None
        } else if self.is_dropping {
            self.lent.resize(self.to_drop.min(40_000) as usize, 0);
            Some(&mut self.lent)
        } else {
            Some(&mut self.body[self.filled..])
        }
    }

    fn advance(&mut self, count: usize) {
        if self.is_dropping {
            self.to_drop -= count as u64;
            self.world.0.lock().unwrap().dropped_bytes += count as u64;
        } else {
            self.filled += count;
        }
        self.end_body();
    }

    fn receive(&mut self, mut bytes: &[u8]) {
        assert!(!bytes.is_empty());
        while !bytes.is_empty() {
            if self.is_in_body() {
                let left =
                    if self.is_dropping { self.to_drop as usize } else { self.body.len() - self.filled };
                let (body, rest) = bytes.split_at(left.min(bytes.len()));
                self.take_body(body);
                bytes = rest;
            } else {
                let (head, rest) = bytes.split_at((9 - self.header.len()).min(bytes.len()));
                self.header.extend_from_slice(head);
                bytes = rest;
                if self.is_in_body() {
                    self.begin();
                }
            }
        }
    }

    fn receive_eof(&mut self) {
        self.note("end of input");
        self.ending = Some(false);
    }

    fn expire(&mut self, _: Phase, _: Expiry) {
        self.note("expired");
    }

    fn hang_up(&mut self) {
        self.note("hung up");
    }

    fn complete(&mut self, (): ()) {}

    fn poll(&mut self) -> Step<NoJob> {
        match self.ending {
            _ if !self.output.is_empty() || self.to_give > 0 => Step::NeedDrain,
            Some(true) => Step::LingeringClose,
            Some(false) => Step::Close,
            None => Step::NeedInput,
        }
    }

    fn poll_transmit(&mut self) -> Option<&mut Bytes> {
        if self.output.is_empty() && self.to_give > 0 {
            let count = self.to_give.min(ZEROS.len() as u64);
            self.output = Bytes::from_static(&ZEROS[..count as usize]);
            self.to_give -= count;
        }
        Some(&mut self.output).filter(|output| output.has_remaining())
    }
}

/// Returns a request.
pub fn request(letter: u8, length: u64) -> Vec<u8> {
    [&[letter][..], &length.to_be_bytes()].concat()
}
