//! Decompression of buffers: LZ4 frames, and zstd with the feature `zstd`.

use super::error::MessageError;
use crate::memory::Account;
#[cfg(feature = "zstd")]
use crate::memory::Reservation;
use arrow_ipc::{BodyCompression, BodyCompressionMethod, CompressionType};
use lz4_flex::frame::FrameDecoder;
use std::io::Read;
#[cfg(feature = "zstd")]
use zstd::zstd_safe::{DCtx, get_error_name};

/// The maximum expansion of one byte of an LZ4 block: each byte of a run's length adds 255.
const MAX_LZ4_RATIO: u64 = 255;
/// The maximum expansion of one byte of a zstd frame: a block of 128 KiB takes at least four bytes.
#[cfg(feature = "zstd")]
const MAX_ZSTD_RATIO: u64 = (128 << 10) / 4;
/// The memory of an LZ4 decoder, as a multiple of the frame's block size: one compressed block, two decoded ones.
const LZ4_BLOCKS: usize = 3;

/// How the buffers of a body are compressed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Compression {
    Lz4Frame,
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Compression {
    /// Returns the compression that a header states, if it is supported.
    pub(crate) fn of(header: BodyCompression<'_>) -> Result<Self, MessageError> {
        match header.codec() {
            _ if header.method() != BodyCompressionMethod::BUFFER => Err(unsupported("another")),
            CompressionType::LZ4_FRAME => Ok(Self::Lz4Frame),
            #[cfg(feature = "zstd")]
            CompressionType::ZSTD => Ok(Self::Zstd),
            #[cfg(not(feature = "zstd"))]
            CompressionType::ZSTD => Err(unsupported("zstd, which needs the feature `zstd`")),
            _ => Err(unsupported("another")),
        }
    }

    /// Returns the maximum expansion of one compressed byte.
    pub(crate) const fn max_ratio(self) -> u64 {
        match self {
            Self::Lz4Frame => MAX_LZ4_RATIO,
            #[cfg(feature = "zstd")]
            Self::Zstd => MAX_ZSTD_RATIO,
        }
    }
}

fn unsupported(got: &str) -> MessageError {
    let read = if cfg!(feature = "zstd") { "LZ4 frame or zstd" } else { "LZ4 frame" };
    MessageError::Inconsistent { expected: format!("{read} compression of each buffer"), got: got.into() }
}

/// Decompresses buffers, and reuses its memory.
#[derive(Default)]
pub(crate) struct Decompressor {
    #[cfg(feature = "zstd")]
    zstd: Option<ZstdContext>,
}

/// A context of the zstd library, which has its own memory.
#[cfg(feature = "zstd")]
struct ZstdContext {
    context: DCtx<'static>,
    _reservation: Reservation,
}

impl Decompressor {
    /// Decompresses one buffer into exactly the memory for it.
    pub(crate) fn decompress(
        &mut self,
        compression: Compression,
        coded: &[u8],
        to: &mut [u8],
        account: &Account,
    ) -> Result<(), MessageError> {
        match compression {
            Compression::Lz4Frame => decompress_lz4(coded, to, account),
            #[cfg(feature = "zstd")]
            Compression::Zstd => self.decompress_zstd(coded, to, account),
        }
    }

    #[cfg(feature = "zstd")]
    fn decompress_zstd(
        &mut self,
        coded: &[u8],
        to: &mut [u8],
        account: &Account,
    ) -> Result<(), MessageError> {
        let expected = to.len();
        let zstd = match &mut self.zstd {
            Some(zstd) => zstd,
            none => {
                let context = DCtx::try_create().ok_or_else(|| failed(expected, "no decoder"))?;
                // One per connection, and of a fixed size.
                let _reservation = account.charge(context.sizeof());
                none.insert(ZstdContext { context, _reservation })
            }
        };
        let written =
            zstd.context.decompress(to, coded).map_err(|code| failed(expected, get_error_name(code)))?;
        if written == expected { Ok(()) } else { Err(failed(expected, format!("{written} bytes"))) }
    }
}

fn decompress_lz4(coded: &[u8], to: &mut [u8], account: &Account) -> Result<(), MessageError> {
    let expected = to.len();
    let _blocks = account.reserve(lz4_block_size(coded) * LZ4_BLOCKS)?;
    let mut decoder = FrameDecoder::new(coded);
    decoder.read_exact(to).map_err(|error| failed(expected, error.to_string()))?;
    match decoder.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err(failed(expected, "more")),
        Err(error) => Err(failed(expected, error.to_string())),
    }
}

/// Returns the error for a buffer that does not decompress to `expected` bytes.
fn failed(expected: usize, got: impl Into<String>) -> MessageError {
    let expected = format!("a compressed buffer that unfolds into {expected} bytes");
    MessageError::Inconsistent { expected, got: got.into() }
}

/// Returns the maximum block size of an LZ4 frame, as its descriptor states; the largest possible one for other frames.
fn lz4_block_size(frame: &[u8]) -> usize {
    const MAGIC: [u8; 4] = 0x184D_2204_u32.to_le_bytes();
    const LARGEST: usize = 8 << 20;
    match frame {
        [a, b, c, d, _, descriptor, ..] if [*a, *b, *c, *d] == MAGIC => match (descriptor >> 4) & 7 {
            4 => 64 << 10,
            5 => 256 << 10,
            6 => 1 << 20,
            _ => 4 << 20,
        },
        _ => LARGEST,
    }
}
