//! The receiving half that both roles share: input, the body that is being read, and the memory that was lent.

use super::body::{BodyError, BodyReader};
use super::head_bytes::HeadBytes;
use super::input::Input;
use super::{BodyKind, BodyTooLarge, Limits, Malformed};
use bytes::Bytes;
use std::fmt;
use vgi_rpc_protocol::memory::{Account, Spare};

/// More than the empty lines that may precede a head, so that the head's own limit applies.
const BEFORE_HEAD_BYTES: usize = 64;

/// The input that a state machine has received.
#[derive(Default)]
pub(super) struct Receiver {
    input: Input,
    body: Option<BodyReader>,
    /// The last `read_buf` lent the body's memory.
    lent_body: bool,
    /// The memory of the last large body.
    spare: Spare,
    /// Bodies are reserved in it as they arrive.
    account: Account,
    eof: bool,
    /// The number of bytes received so far, of any kind.
    received: u64,
}

/// Prints no bytes: they include credentials.
impl fmt::Debug for Receiver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, body, received, eof, .. } = self;
        formatter
            .debug_struct("Receiver")
            .field("input", input)
            .field("reads_body", &body.is_some())
            .field("received", received)
            .field("eof", eof)
            .finish_non_exhaustive()
    }
}

impl Receiver {
    pub(super) fn set_account(&mut self, account: Account) {
        self.account = account;
    }

    pub(super) fn is_eof(&self) -> bool {
        self.eof
    }

    /// Whether all received input has been consumed.
    pub(super) fn is_empty(&self) -> bool {
        self.input.is_empty()
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn receive(&mut self, chunk: Bytes) {
        self.received += chunk.len() as u64;
        self.input.push(chunk);
    }

    pub(super) fn receive_eof(&mut self) {
        self.eof = true;
    }

    /// Returns memory to read into when input is needed: the body's own, or scratch memory that grows up to a head's limit.
    pub(super) fn read_buf(&mut self, limits: &Limits) -> &mut [u8] {
        // Earlier input comes first, so this requires that the input is empty.
        let direct =
            if self.input.is_empty() { self.body.as_mut().and_then(BodyReader::space) } else { None };
        self.lent_body = direct.is_some();
        match direct {
            Some(space) => space,
            None => self.input.space_for(max_held(limits)),
        }
    }

    /// Returns memory to read into when input is not needed yet: the rest of the scratch memory.
    pub(super) fn read_ahead_buf(&mut self) -> &mut [u8] {
        self.lent_body = false;
        self.input.space()
    }

    pub(super) fn advance(&mut self, count: usize) {
        self.received += count as u64;
        match (self.lent_body, &mut self.body) {
            (true, Some(body)) => body.advance(count),
            _ => self.input.advance(count),
        }
        self.lent_body = false;
    }

    /// Returns the next head once it is complete.
    pub(super) fn read_head(
        &mut self,
        head: &mut HeadBytes,
        limits: &Limits,
    ) -> Result<Option<Bytes>, Malformed> {
        // A head that is completely in one received chunk is shared.
        if let Some(chunk) = self.input.front_chunk()
            && let Some(range) = head.find(chunk, limits)?
        {
            return Ok(Some(self.input.split_chunk(range.end).slice(range.start..)));
        }
        let bytes = self.input.gather(max_held(limits));
        let Some(range) = head.find(bytes, limits)? else { return Ok(None) };
        let end = range.end;
        let found = Bytes::copy_from_slice(bytes.get(range).unwrap_or_default());
        self.input.consume(end);
        Ok(Some(found))
    }

    /// Begins to read the body of a response or a request.
    pub(super) fn begin_body(
        &mut self,
        kind: BodyKind,
        is_response: bool,
        max: u64,
    ) -> Result<(), BodyTooLarge> {
        let spare = std::mem::take(&mut self.spare);
        self.body = Some(BodyReader::new(kind, is_response, max, spare, &self.account)?);
        Ok(())
    }

    /// Returns the body that was begun, once it is complete.
    pub(super) fn read_body(&mut self, limits: &Limits) -> Result<Option<Bytes>, BodyError> {
        let Some(body) = &mut self.body else { return Ok(None) };
        if !body.read(&mut self.input, self.eof, limits)? {
            return Ok(None);
        }
        let Some(body) = self.body.take() else { return Ok(None) };
        let (whole, spare) = body.finish();
        self.spare = spare;
        Ok(Some(whole))
    }

    /// Drops up to `count` bytes and returns how many were dropped.
    pub(super) fn skip(&mut self, count: u64) -> u64 {
        self.input.skip(count)
    }

    /// Drops the received input, and a body that was begun.
    pub(super) fn discard(&mut self) {
        self.body = None;
        self.input.skip(u64::MAX);
    }

    /// Frees memory that is kept for further input.
    pub(super) fn release_memory(&mut self) {
        self.spare = Spare::default();
        self.input.release_memory();
    }
}

fn max_held(limits: &Limits) -> usize {
    limits.max_head_bytes.saturating_add(BEFORE_HEAD_BYTES)
}
