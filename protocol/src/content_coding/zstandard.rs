//! The coding `zstd`: one or more frames per body, skippable and empty ones included. RFC 8878, section 3.1.

use super::error::DecodeError;
use super::output::{Output, believed};
use super::pieces::Pieces;
use super::pool::Pool;
use crate::memory::{Account, Reservation};
use bytes::Bytes;
use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd::zstd_safe::{
    self, CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, get_error_name,
};

/// Base-2 logarithm of the largest window that a frame may have: 8 MiB, as RFC 9659 specifies for this content coding. It limits
/// a decoder's memory apart from the output.
const MAX_WINDOW_LOG: u32 = 23;
/// The size of the largest block. An incremental decoder holds one encoded and one decoded block.
const MAX_BLOCK_BYTES: usize = 128 << 10;
/// The memory of a decoding context, without buffers.
const CONTEXT_BYTES: usize = 192 << 10;
/// The size of the longest frame header. RFC 8878, section 3.1.1.1.
const MAX_HEADER_BYTES: usize = 18;
/// The first four bytes of a skippable frame, whose last hex digit may be any. RFC 8878, section 3.1.2.
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;
/// Larger contexts are not cached.
const MAX_KEPT_BYTES: usize = 10 << 20;

/// Contexts for both directions.
#[derive(Debug)]
pub(super) struct Zstandard {
    level: i32,
    compressors: Pool<CCtx<'static>>,
    decompressors: Pool<DCtx<'static>>,
}

impl Zstandard {
    pub(super) fn new(level: i32) -> Self {
        let level = level.clamp(zstd_safe::min_c_level(), zstd_safe::max_c_level());
        Self { level, compressors: Pool::new(), decompressors: Pool::new() }
    }

    /// Encodes `segments`, whose total size is `total`. Returns `None` if that does not make it smaller.
    pub(super) fn encode(&self, segments: &[Bytes], total: usize) -> Option<Vec<u8>> {
        let mut context = self.compressors.take().unwrap_or_default();
        context.set_parameter(CParameter::CompressionLevel(self.level)).ok()?;
        let coded = compress(&mut context, segments, total);
        // An abandoned frame must not leak into the next one.
        if context.reset(ResetDirective::SessionOnly).is_ok() && context.sizeof() <= MAX_KEPT_BYTES {
            self.compressors.give_back(context);
        }
        coded
    }

    /// Decodes all frames of a body, into at most `max` bytes together.
    pub(super) fn decode(&self, body: &[u8], max: u64, account: &Account) -> Result<Bytes, DecodeError> {
        let Announced { size: announced, window } = announced(body, max)?;
        let mut context = self.decompressors.take().unwrap_or_default();
        context.set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG)).map_err(named)?;
        let decoded = match announced.and_then(|size| usize::try_from(size).ok()) {
            Some(size) if size <= believed(body.len()) => decompress_whole(&mut context, body, size, account),
            _ => {
                account.reserve(window + 2 * MAX_BLOCK_BYTES).map_err(DecodeError::from).and_then(|_window| {
                    let output = Output::new(body.len(), announced, max, account);
                    decompress_in_steps(&mut context, body, output)
                })
            }
        };
        if context.reset(ResetDirective::SessionOnly).is_ok() && context.sizeof() <= MAX_KEPT_BYTES {
            self.decompressors.give_back(context);
        }
        decoded
    }
}

/// What the frames of a body announce.
struct Announced {
    /// The sum of the frames' sizes; `None` if one of them announces none.
    size: Option<u64>,
    /// The size of the largest window.
    window: usize,
}

/// Reads the sizes that the frames announce.
///
/// It reads only the headers of frames and blocks, each once, and stops as soon as the sum exceeds `max`.
///
/// # Errors
/// If the sum exceeds `max`, or the body is not a sequence of whole frames.
fn announced(body: &[u8], max: u64) -> Result<Announced, DecodeError> {
    let (mut rest, mut sum, mut is_complete, mut window) = (body, 0_u64, true, 0);
    loop {
        match zstd_safe::get_frame_content_size(rest) {
            Ok(Some(size)) => sum = sum.saturating_add(size),
            Ok(None) => {
                is_complete = false;
                window = window.max(window_bytes(rest));
            }
            Err(_) if rest.len() == body.len() => {
                return Err(DecodeError::corrupt_zstd("it does not begin with a frame's header"));
            }
            Err(_) => return Err(DecodeError::corrupt_zstd("something other than a frame follows a frame")),
        }
        if sum > max {
            return Err(DecodeError::TooLarge { max });
        }
        let frame = zstd_safe::find_frame_compressed_size(rest).map_err(named)?;
        rest = rest.get(frame..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(Announced { size: is_complete.then_some(sum), window });
        }
    }
}

/// Returns the window size of a frame without a size, according to its header, capped at the maximum. RFC 8878, section
/// 3.1.1.1.2.
fn window_bytes(frame: &[u8]) -> usize {
    // Magic number, descriptor, window descriptor: five bits of exponent, three of mantissa.
    let Some(descriptor) = frame.get(5) else { return 0 };
    let base = 1_u64 << (10 + (descriptor >> 3));
    let window = base + base / 8 * u64::from(descriptor & 7);
    usize::try_from(window.min(1 << MAX_WINDOW_LOG)).unwrap_or_default()
}

/// Returns the window size of any frame, according to its header, capped at the maximum; `None` if the header is incomplete. RFC
/// 8878, section 3.1.1.1.
fn window_of_frame(header: &[u8]) -> Option<usize> {
    let (magic, rest) = header.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*magic) & !0xf == SKIPPABLE_MAGIC {
        return Some(0);
    }
    let descriptor = *rest.first()?;
    let is_single_segment = descriptor & 0b0010_0000 != 0;
    let dictionary_id = match descriptor & 3 {
        3 => 4,
        len => usize::from(len),
    };
    let content_size = match descriptor >> 6 {
        0 => usize::from(is_single_segment),
        exponent => 1 << exponent,
    };
    let len = 1 + usize::from(!is_single_segment) + dictionary_id + content_size;
    rest.get(..len)?;
    if !is_single_segment {
        return Some(window_bytes(header));
    }
    // Its window is its content.
    let size = zstd_safe::get_frame_content_size(header).ok().flatten().unwrap_or_default();
    usize::try_from(size.min(1 << MAX_WINDOW_LOG)).ok()
}

fn compress(context: &mut CCtx<'static>, segments: &[Bytes], total: usize) -> Option<Vec<u8>> {
    // Room for one byte less than the body: a larger frame is not worth sending. Pages that are not written cost nothing, and the
    // excess is released.
    let mut coded = Vec::with_capacity(total.checked_sub(1)?);
    if let [whole] = segments {
        context.compress2(&mut coded, whole).ok()?;
    } else {
        // Writes the size to the frame, which lets the receiver decode it in one step.
        context.set_pledged_src_size(Some(u64::try_from(total).ok()?)).ok()?;
        compress_segments(context, segments, &mut coded)?;
    }
    coded.shrink_to_fit();
    Some(coded)
}

fn compress_segments(context: &mut CCtx<'static>, segments: &[Bytes], coded: &mut Vec<u8>) -> Option<()> {
    for segment in segments {
        let mut input = InBuffer::around(segment);
        while input.pos() < segment.len() {
            let (read, written) = (input.pos(), coded.len());
            let mut output = OutBuffer::around_pos(coded, written);
            context.compress_stream2(&mut output, &mut input, ZSTD_EndDirective::ZSTD_e_continue).ok()?;
            if input.pos() == read && coded.len() == written {
                return None;
            }
        }
    }
    let end = coded.len();
    let mut output = OutBuffer::around_pos(coded, end);
    let left =
        context.compress_stream2(&mut output, &mut InBuffer::around(&[]), ZSTD_EndDirective::ZSTD_e_end);
    // There is no room for the rest, because the call writes as much as fits.
    matches!(left, Ok(0)).then_some(())
}

/// Decodes without a window besides the output, which is faster: for a plausible size.
fn decompress_whole(
    context: &mut DCtx<'static>,
    body: &[u8],
    size: usize,
    account: &Account,
) -> Result<Bytes, DecodeError> {
    let mut output = Output::exact(size, account)?;
    let decoded = context.decompress(output.whole(), body).map_err(named)?;
    output.advance(decoded)?;
    Ok(output.finish())
}

fn decompress_in_steps(
    context: &mut DCtx<'static>,
    body: &[u8],
    mut output: Output,
) -> Result<Bytes, DecodeError> {
    let mut input = InBuffer::around(body);
    loop {
        let read = input.pos();
        let mut space = OutBuffer::around(output.space()?);
        let left = context.decompress_stream(&mut space, &mut input).map_err(named)?;
        let written = space.pos();
        output.advance(written)?;
        // Zero means the end of a frame.
        if left == 0 && input.pos() == body.len() {
            return Ok(output.finish());
        }
        if input.pos() == read && written == 0 {
            return Err(DecodeError::corrupt_zstd("a frame is cut short"));
        }
    }
}

/// Decodes a body that arrives in pieces.
pub(super) struct Incremental {
    context: DCtx<'static>,
    pieces: Pieces,
    progress: Progress,
    memory: Reservation,
}

/// The decoder's position in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Before the first frame.
    Beginning,
    /// In a frame.
    Inside,
    /// Between two frames, or after the last one.
    Between,
}

impl std::fmt::Debug for Incremental {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incremental").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl Incremental {
    pub(super) fn new(account: &Account) -> Result<Self, DecodeError> {
        let memory = account.reserve(CONTEXT_BYTES)?;
        let mut context = DCtx::try_create()
            .ok_or_else(|| DecodeError::corrupt_zstd("no memory is left for its decoder"))?;
        context.set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG)).map_err(named)?;
        Ok(Self { context, pieces: Pieces::default(), progress: Progress::Beginning, memory })
    }

    pub(super) fn pieces(&mut self) -> &mut Pieces {
        &mut self.pieces
    }

    /// Decodes to `space`, which is not empty. Returns 0 if more bytes are needed, or at the end.
    pub(super) fn read(&mut self, space: &mut [u8]) -> Result<usize, DecodeError> {
        loop {
            if self.progress != Progress::Inside && !self.reserve_for_frame()? {
                return Ok(0);
            }
            let (read, written) = self.step(space)?;
            if written > 0 {
                return Ok(written);
            }
            if read == 0 {
                let is_cut = self.pieces.has_ended() && self.progress != Progress::Between;
                return if is_cut { Err(DecodeError::corrupt_zstd("a frame is cut short")) } else { Ok(0) };
            }
        }
    }

    /// Reserves the window of the frame that begins here. Returns false until its header has been received, or if there is no
    /// further frame.
    fn reserve_for_frame(&mut self) -> Result<bool, DecodeError> {
        let mut header = [0; MAX_HEADER_BYTES];
        let count = self.pieces.peek(&mut header);
        match window_of_frame(header.get(..count).unwrap_or_default()) {
            Some(window) => {
                let bytes = CONTEXT_BYTES + window + 2 * MAX_BLOCK_BYTES;
                self.memory.resize(self.memory.bytes().max(bytes))?;
                Ok(true)
            }
            // The decoder refuses what is too short for a frame.
            None => Ok(self.pieces.has_ended() && (count > 0 || self.progress == Progress::Beginning)),
        }
    }

    /// Decodes from the first piece to `space`. Returns the number of bytes read and written.
    fn step(&mut self, space: &mut [u8]) -> Result<(usize, usize), DecodeError> {
        let mut input = InBuffer::around(self.pieces.first());
        let mut output = OutBuffer::around(space);
        let left = self.context.decompress_stream(&mut output, &mut input).map_err(named)?;
        let (read, written) = (input.pos(), output.pos());
        self.pieces.consume(read);
        if read > 0 || written > 0 {
            // Zero means the end of a frame.
            self.progress = if left == 0 { Progress::Between } else { Progress::Inside };
        }
        Ok((read, written))
    }
}

fn named(code: usize) -> DecodeError {
    DecodeError::corrupt_zstd(get_error_name(code))
}
