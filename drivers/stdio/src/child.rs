//! A worker as a child process: its stdin and stdout are the connection, and its stderr is inherited.

use crate::child_pipes::{Input, Output};
use crate::opening::Opening;
use std::error::Error;
use std::io::{self, ErrorKind, IoSlice};
use std::process::{self, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_client::{Client, DEFAULT_UNREAD_CAPACITY, Direction, Patience, Timeouts, Transport};
use vgi_rpc_protocol::{Limits, OneLine};

/// How long a child may take to end after its input was closed.
const GRACE: Duration = Duration::from_secs(5);
/// The minimum time for a child to end after it closed its output. A process that exits closes its output slightly earlier.
const MOMENT: Duration = Duration::from_millis(100);
/// The time between two checks whether the child has ended.
const LOOK: Duration = Duration::from_millis(2);

/// Starts a worker as a child process and connects to its stdin and stdout, with default limits and timeouts.
///
/// # Errors
/// If the process cannot be started. The error names the program.
pub fn spawn(command: Command) -> io::Result<Client> {
    spawn_with(command, Timeouts::default())
}

/// Starts a worker like [`spawn`], with these timeouts. After a timeout the client cannot be used any more.
///
/// # Errors
/// If the process cannot be started. The error names the program.
pub fn spawn_with(command: Command, timeouts: Timeouts) -> io::Result<Client> {
    let mut child = Child::spawn(command)?;
    child.set_timeouts(timeouts);
    Ok(Client::new(child, Limits::default()))
}

/// The worker process has ended. This is the cause of the [`CallError::Transport`](crate::CallError::Transport) of a call in
/// progress, and of the error of [`Client::close`] if the status is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker ended{} ({status})", if *is_before_answer { " before it answered" } else { "" })]
#[non_exhaustive]
pub struct WorkerEnded {
    /// Its exit status.
    pub status: ExitStatus,
    /// Whether a call waited for an answer, and the worker had never written one.
    pub is_before_answer: bool,
}

/// A worker process. Dropping it closes its input, waits for it to end, and kills it if that takes too long.
///
/// If the first bytes that it writes are not a message, a call fails with
/// [`CallError::Transport`](crate::CallError::Transport), which quotes them.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    /// `None` once closed.
    input: Option<Input>,
    output: Output,
    opening: Opening,
    patience: Patience,
    grace: Duration,
}

impl Child {
    /// Starts a worker. Its stdin and stdout become pipes, whatever the command sets.
    ///
    /// # Errors
    /// If the process cannot be started. The error names the program.
    pub fn spawn(mut command: Command) -> io::Result<Self> {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = spawned.map_err(|error| {
            let program = OneLine(command.get_program().display());
            io::Error::new(error.kind(), format!("{program}: {error}"))
        })?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::Error::other("the child's pipes are missing"));
        };
        Ok(Self {
            process,
            input: Some(Input::new(input)?),
            output: Output::new(output)?,
            opening: Opening::default(),
            patience: Patience::default(),
            grace: GRACE,
        })
    }

    /// Returns the operating system's id of the process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sets how long calls wait for the worker.
    pub fn set_timeouts(&mut self, timeouts: Timeouts) {
        self.patience = Patience::new(timeouts);
    }

    /// Sets how long the process may take to end after its input was closed. Default 5 s.
    pub fn set_grace(&mut self, grace: Duration) {
        self.grace = grace;
    }

    fn wait_or_kill(&mut self) -> io::Result<ExitStatus> {
        match self.wait(self.grace)? {
            Some(status) => Ok(status),
            None => self.kill(),
        }
    }

    /// Closes the input and waits for the process to end. Returns `None` if it does not within this time.
    fn wait(&mut self, time: Duration) -> io::Result<Option<ExitStatus>> {
        self.input = None;
        // A time that an `Instant` cannot express never passes.
        let deadline = Instant::now().checked_add(time);
        loop {
            let status = self.process.try_wait()?;
            if status.is_some() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(status);
            }
            thread::sleep(LOOK);
        }
    }

    fn kill(&mut self) -> io::Result<ExitStatus> {
        self.process.kill()?;
        self.process.wait()
    }
}

impl Transport for Child {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.output.read(&mut self.patience, buffer)?;
        self.opening.check(buffer, count)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.input {
            Some(input) => input.write_vectored(&mut self.patience, slices),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn unread_capacity(&self) -> usize {
        self.input.as_ref().and_then(Input::unread_capacity).unwrap_or(DEFAULT_UNREAD_CAPACITY)
    }

    fn is_local(&self) -> bool {
        true
    }

    fn is_quiet(&mut self) -> io::Result<bool> {
        // If the worker writes text instead of the first message, the next read quotes it.
        if self.opening.is_due() { Ok(true) } else { self.output.is_quiet() }
    }

    /// The process has as long to end as it would have had to answer, but no longer than the grace time.
    fn ended(&mut self) -> Box<dyn Error + Send + Sync> {
        let left = self.patience.next(Direction::Read).unwrap_or(Some(Duration::ZERO));
        let time = left.map_or(self.grace, |left| left.max(MOMENT).min(self.grace));
        let ended = self.wait(time).and_then(|status| match status {
            Some(status) => Ok(WorkerEnded { status, is_before_answer: self.opening.is_due() }.into()),
            None => {
                self.kill()?;
                let text =
                    format!("the worker closed its output and had not ended {time:?} later; it was killed");
                Err(io::Error::new(ErrorKind::UnexpectedEof, text))
            }
        });
        ended.unwrap_or_else(Into::into)
    }

    fn close(&mut self) -> io::Result<()> {
        let status = self.wait_or_kill()?;
        let ended = WorkerEnded { status, is_before_answer: false };
        if status.success() { Ok(()) } else { Err(io::Error::other(ended)) }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Reaps the process; it has ended already if `close` was called.
        let _ = self.wait_or_kill();
    }
}
