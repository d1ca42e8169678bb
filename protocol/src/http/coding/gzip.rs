//! The coding `gzip`: one or more members per body. RFC 1952, section 2.2.

use super::error::DecodeError;
use super::output::Output;
use super::pool::Pool;
use crate::memory::Account;
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};
use std::io::{ErrorKind, Read};

/// Base-2 logarithm of the window: the largest, which every decoder knows.
const WINDOW_BITS: u8 = 15;

/// Contexts for coding. Those for decoding are small, and flate2 cannot prepare one for another body.
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

    /// Codes `segments`, of `total` bytes together; `None` when that takes no fewer bytes.
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
    // Room for one byte less than the body: what does not fit is not worth sending.
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
    // One context serves all members, so that many empty ones cost no more than their bytes.
    let mut decoder = MultiGzDecoder::new(body);
    // The last trailer's size is modulo 2^32 and may be a lie. It only says how much memory to begin with.
    let announced = body.last_chunk().map(|size| u64::from(u32::from_le_bytes(*size)));
    let mut output = Output::new(body.len(), announced, max, account);
    loop {
        match decoder.read(output.space()?) {
            Ok(0) => return Ok(output.finish()),
            Ok(count) => output.advance(count)?,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(DecodeError::corrupt_gzip("a member is cut short"));
            }
            Err(_) => return Err(DecodeError::corrupt_gzip("a member's header, data or checksum is wrong")),
        }
    }
}
