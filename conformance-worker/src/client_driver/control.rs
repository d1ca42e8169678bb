//! The control channel: one line in, one line out.

use crate::instruction::Instruction;
use crate::reply::{Reply, SharedLogs};
use std::io::{self, BufRead, Write};

pub struct Control<R, W> {
    input: R,
    output: W,
    /// The server's logs since the last reply.
    logs: SharedLogs,
}

impl<R: BufRead, W: Write> Control<R, W> {
    pub fn new(input: R, output: W) -> Self {
        Self { input, output, logs: SharedLogs::default() }
    }

    /// Returns the collector for the logs of the next reply.
    pub fn logs(&self) -> &SharedLogs {
        &self.logs
    }

    /// Reads the next instruction; `None` at the end of the input.
    ///
    /// # Errors
    /// If the channel fails. The inner error describes an invalid instruction.
    pub fn read(&mut self) -> io::Result<Option<Result<Instruction, String>>> {
        let mut line = Vec::new();
        self.input.read_until(b'\n', &mut line)?;
        Ok((!line.is_empty()).then(|| Instruction::parse(&line)))
    }

    /// Writes the one reply to an instruction.
    ///
    /// # Errors
    /// If the channel fails.
    pub fn write(&mut self, reply: Reply) -> io::Result<()> {
        serde_json::to_writer(&mut self.output, &reply.finish(self.logs.take()))?;
        self.output.write_all(b"\n")?;
        self.output.flush()
    }
}
