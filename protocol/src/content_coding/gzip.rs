//! The coding `gzip`: one or more members per body. RFC 1952, section 2.2.

use super::error::DecodeError;
use super::output::Output;
use super::pieces::Pieces;
use super::pool::Pool;
use crate::memory::{Account, OverBudget, Reservation};
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};
use std::io::{self, BufRead, ErrorKind, Read};

/// Base-2 logarithm of the window: the largest, which every decoder supports.
const WINDOW_BITS: u8 = 15;
/// The memory of a decoding context: its window, tables, and a little more.
const DECODER_BYTES: usize = 64 << 10;

/// Contexts for encoding. Those for decoding are small, and flate2 cannot reset one for another body.
#[derive(Debug)]
pub(super) struct Gzip {
    level: Compression,
    compressors: Pool<Compress>,
}

impl Gzip {
    pub(super) fn new(level: u32) -> Self {
        let level = Compression::new(level.min(9));
        Self { level, compressors: Pool::new() }
    }

    /// Encodes `segments`, whose total size is `total`. Returns `None` if that does not make it smaller.
    pub(super) fn encode(&self, segments: &[Bytes], total: usize) -> Option<Vec<u8>> {
        let mut context =
            self.compressors.take().unwrap_or_else(|| Compress::new_gzip(self.level, WINDOW_BITS));
        let coded = compress(&mut context, segments, total);
        context.reset();
        self.compressors.give_back(context);
        coded
    }
}

fn compress(context: &mut Compress, segments: &[Bytes], total: usize) -> Option<Vec<u8>> {
    // Room for one byte less than the body: a larger result is not worth sending.
    let mut coded = Vec::with_capacity(total.checked_sub(1)?);
    for segment in segments {
        let mut rest = segment.as_ref();
        while !rest.is_empty() {
            let before = (context.total_in(), coded.len());
            context.compress_vec(rest, &mut coded, FlushCompress::None).ok()?;
            let read = usize::try_from(context.total_in() - before.0).ok()?;
            rest = rest.get(read..)?;
            if read == 0 && coded.len() == before.1 {
                return None;
            }
        }
    }
    let end = context.compress_vec(&[], &mut coded, FlushCompress::Finish).ok()?;
    coded.shrink_to_fit();
    (end == Status::StreamEnd).then_some(coded)
}

/// Decodes all members of a body, into at most `max` bytes together.
pub(super) fn decode(body: &[u8], max: u64, account: &Account) -> Result<Bytes, DecodeError> {
    // One context decodes all members, so that many empty ones cost no more than their bytes.
    let mut decoder = MultiGzDecoder::new(body);
    // The last trailer's size is modulo 2^32 and may be wrong. It only determines the initial memory.
    let announced = body.last_chunk().map(|size| u64::from(u32::from_le_bytes(*size)));
    let mut output = Output::new(body.len(), announced, max, account);
    loop {
        match decoder.read(output.space()?) {
            Ok(0) => return Ok(output.finish()),
            Ok(count) => output.advance(count)?,
            Err(error) => return Err(corrupt(error.kind())),
        }
    }
}

fn corrupt(error: ErrorKind) -> DecodeError {
    DecodeError::corrupt_gzip(match error {
        ErrorKind::UnexpectedEof => "a member is cut short",
        _ => "a member's header, data or checksum is wrong",
    })
}

/// Decodes a body that arrives in pieces.
#[derive(Debug)]
pub(super) struct Incremental {
    decoder: MultiGzDecoder<Arrival>,
    _memory: Reservation,
}

impl Incremental {
    pub(super) fn new(account: &Account) -> Result<Self, OverBudget> {
        let memory = account.reserve(DECODER_BYTES)?;
        Ok(Self { decoder: MultiGzDecoder::new(Arrival::default()), _memory: memory })
    }

    pub(super) fn pieces(&mut self) -> &mut Pieces {
        &mut self.decoder.get_mut().0
    }

    /// Decodes to `space`, which is not empty. Returns 0 if more bytes are needed, or at the end.
    pub(super) fn read(&mut self, space: &mut [u8]) -> Result<usize, DecodeError> {
        match self.decoder.read(space) {
            Ok(count) => Ok(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(corrupt(error.kind())),
        }
    }
}

/// Pieces as a reader that would block when the next one is missing.
#[derive(Debug, Default)]
struct Arrival(Pieces);

impl Read for Arrival {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(space)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Arrival {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.0.first() {
            [] if !self.0.has_ended() => Err(ErrorKind::WouldBlock.into()),
            first => Ok(first),
        }
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}
