//! How a test reaches a machine that waits or is busy: it sends a message and wakes the machine.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::Waker;

/// Lines for one connection, from any thread.
#[derive(Clone)]
pub struct Told {
    lines: Arc<Mutex<Vec<String>>>,
    waker: Waker,
}

impl Told {
    pub fn new(waker: Waker) -> Self {
        Self { lines: Arc::default(), waker }
    }

    pub fn tell(&self, line: impl Into<String>) {
        self.lines.lock().unwrap().push(line.into());
        self.wake();
    }

    pub fn wake(&self) {
        self.waker.wake_by_ref();
    }

    /// Whether the last line asks to close.
    pub(super) fn is_to_close(&self) -> bool {
        self.lines.lock().unwrap().last().is_some_and(|line| line == "close")
    }

    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

/// Connections that wait for a message.
#[derive(Clone, Default)]
pub struct Waits(Arc<Mutex<VecDeque<Told>>>);

impl Waits {
    pub(super) fn park(&self, told: &Told) {
        self.0.lock().unwrap().push_back(told.clone());
    }

    pub fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Returns the first of them.
    pub fn pop(&self) -> Option<Told> {
        self.0.lock().unwrap().pop_front()
    }
}
