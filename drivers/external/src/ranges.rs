//! Reads a large object by several requests at a time. The first response is that of the plain `GET`, which provides the first
//! range. It stays open until the second response has shown that the server supports ranges; otherwise it also provides the rest.

use crate::arrivals::{Arrival, coding, forward, headers};
use crate::error::TransferErrorKind;
use crate::exchange::{Answer, Http};
use crate::options::FetcherOptions;
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_RANGES, CONTENT_RANGE, ETAG, IF_MATCH, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::mpsc::{self, Sender, UnboundedReceiver, UnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use vgi_rpc_protocol::external::{Location, UrlPolicy};

/// The maximum number of buffered bytes of a range that waits for its turn; the rest is not read yet.
const WAITING_BYTES: usize = 2 << 20;
/// The minimum size of a buffered piece.
const PIECE_BYTES: usize = 64 << 10;

/// An object that is read in ranges.
#[derive(Clone)]
pub(crate) struct Ranges {
    /// The size of the object.
    len: u64,
    /// The size of a range.
    step: u64,
    /// The maximum number of requests at a time.
    parallel: usize,
    /// The version of the object.
    etag: HeaderValue,
    coding: Option<String>,
}

/// A received piece of a range, with its share of the buffer.
type Piece = Result<(Bytes, OwnedSemaphorePermit), TransferErrorKind>;

impl Ranges {
    /// Returns the ranges of a response's object, if it is large, its server supports ranges, and the response has its version,
    /// so that all ranges are of the same version.
    pub(crate) fn plan(answer: &Answer, options: &FetcherOptions) -> Option<Self> {
        let (len, step) = (answer.len()?, options.range_bytes.max(1));
        let is_large = len >= options.ranges_from? && len > step && options.parallel_ranges > 1;
        let headers = answer.headers();
        let accepts = headers.get(ACCEPT_RANGES)?.as_bytes().eq_ignore_ascii_case(b"bytes");
        let etag = headers.get(ETAG)?;
        let is_strong = etag.as_bytes().starts_with(b"\"");
        (is_large && accepts && is_strong).then(|| Self {
            len,
            step,
            parallel: options.parallel_ranges,
            etag: etag.clone(),
            coding: coding(headers),
        })
    }

    /// Returns the range that begins at `start`, if it is within the object.
    fn at(&self, start: u64) -> Option<Range<u64>> {
        (start < self.len).then(|| start..self.len.min(start.saturating_add(self.step)))
    }

    fn headers(&self, range: &Range<u64>) -> Result<HeaderMap, TransferErrorKind> {
        let text = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let mut headers = headers();
        headers.insert(RANGE, HeaderValue::try_from(text).map_err(|_| TransferErrorKind::Url)?);
        headers.insert(IF_MATCH, self.etag.clone());
        Ok(headers)
    }

    /// Checks that a response has this range of this version.
    fn check(&self, answer: &Answer, range: &Range<u64>) -> Result<(), TransferErrorKind> {
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => {}
            StatusCode::PRECONDITION_FAILED => return Err(TransferErrorKind::Changed),
            status => return Err(TransferErrorKind::Status(status.as_u16())),
        }
        let headers = answer.headers();
        let text = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), self.len);
        let is_range = headers.get(CONTENT_RANGE).is_some_and(|value| value.as_bytes() == text.as_bytes());
        let is_same = headers.get(ETAG) == Some(&self.etag) && coding(headers) == self.coding;
        if is_range && is_same { Ok(()) } else { Err(TransferErrorKind::Changed) }
    }
}

/// Forwards the whole object to the receiver, in order. `first` is the response of the plain `GET`.
pub(crate) async fn forward_ranges(
    http: &Arc<Http>,
    mut first: Answer,
    policy: &UrlPolicy,
    ranges: Ranges,
    arrivals: &Sender<Arrival>,
) -> Result<(), TransferErrorKind> {
    let mut requests = Requests {
        http: http.clone(),
        location: first.location.clone(),
        policy: policy.clone(),
        next: ranges.step,
        ranges,
        running: JoinSet::new(),
        waiting: VecDeque::new(),
    };
    requests.fill();
    let Some(rest) = forward_start(&mut first, requests.ranges.step, arrivals).await? else { return Ok(()) };
    let Some(mut range) = requests.waiting.pop_front() else { return Ok(()) };
    let Some(Ok(piece)) = range.pieces.recv().await else {
        // Ranges are not supported: continue with the plain response.
        drop(requests);
        if arrivals.send(Arrival::Piece(rest)).await.is_ok() && forward(&mut first, arrivals).await? {
            first.release(&http.pool).await;
        }
        return Ok(());
    };
    drop(first);
    let mut piece = Some(Ok(piece));
    loop {
        requests.fill();
        while let Some(next) = piece {
            let (data, _room) = next?;
            range.left = range.left.saturating_sub(data.len() as u64);
            if arrivals.send(Arrival::Piece(data)).await.is_err() {
                return Ok(());
            }
            piece = range.pieces.recv().await;
        }
        if range.left > 0 {
            return Err(TransferErrorKind::Internal("the request for a range ended".to_owned()));
        }
        match requests.waiting.pop_front() {
            Some(next) => range = next,
            None => return Ok(()),
        }
        piece = range.pieces.recv().await;
    }
}

/// Forwards the first bytes of a body to the receiver, and returns the bytes of the rest that were received with them. Returns
/// `None` if the receiver was dropped.
async fn forward_start(
    answer: &mut Answer,
    mut count: u64,
    arrivals: &Sender<Arrival>,
) -> Result<Option<Bytes>, TransferErrorKind> {
    let mut rest = Bytes::new();
    while count > 0 {
        let Some(mut piece) = answer.piece().await? else { break };
        rest = piece.split_off(piece.len().min(usize::try_from(count).unwrap_or(usize::MAX)));
        count -= piece.len() as u64;
        if arrivals.send(Arrival::Piece(piece)).await.is_err() {
            return Ok(None);
        }
    }
    Ok(Some(rest))
}

/// The requests for ranges after the first. Dropping it ends them.
struct Requests {
    http: Arc<Http>,
    location: Location,
    policy: UrlPolicy,
    ranges: Ranges,
    /// Where the next range begins.
    next: u64,
    running: JoinSet<()>,
    /// Their ranges, in order.
    waiting: VecDeque<Requested>,
}

/// A range that was requested.
struct Requested {
    /// How many bytes are not forwarded yet.
    left: u64,
    pieces: UnboundedReceiver<Piece>,
}

impl Requests {
    /// Starts requests, up to the maximum in addition to the one that is being forwarded.
    fn fill(&mut self) {
        while self.waiting.len() + 1 < self.ranges.parallel
            && let Some(range) = self.ranges.at(self.next)
        {
            self.next = range.end;
            // The permits bound this channel.
            let (sender, pieces) = mpsc::unbounded_channel();
            self.waiting.push_back(Requested { left: range.end - range.start, pieces });
            let (http, location) = (self.http.clone(), self.location.clone());
            let (policy, ranges) = (self.policy.clone(), self.ranges.clone());
            self.running.spawn(async move {
                if let Err(kind) = ranges.read(&http, &location, &policy, range, &sender).await {
                    // If the receiver was dropped, the error is not needed.
                    let _ = sender.send(Err(kind));
                }
            });
        }
    }
}

impl Ranges {
    async fn read(
        &self,
        http: &Http,
        location: &Location,
        policy: &UrlPolicy,
        range: Range<u64>,
        pieces: &UnboundedSender<Piece>,
    ) -> Result<(), TransferErrorKind> {
        let mut answer = http.get(location, policy, self.headers(&range)?).await?;
        self.check(&answer, &range)?;
        let mut queue =
            Queue { pieces, room: Arc::new(Semaphore::new(WAITING_BYTES)), small: BytesMut::new() };
        let mut left = range.end - range.start;
        while let Some(piece) = answer.piece().await? {
            left = left.checked_sub(piece.len() as u64).ok_or(TransferErrorKind::Changed)?;
            if !queue.push(piece).await {
                return Ok(());
            }
        }
        if left > 0 {
            return Err(TransferErrorKind::Changed);
        }
        if queue.flush().await {
            answer.release(&http.pool).await;
        }
        Ok(())
    }
}

/// The buffered pieces of a range. Small pieces are merged, because each would keep its whole read buffer in memory.
struct Queue<'a> {
    pieces: &'a UnboundedSender<Piece>,
    room: Arc<Semaphore>,
    small: BytesMut,
}

impl Queue<'_> {
    /// Adds a piece, once there is room for it. Returns false if the receiver was dropped.
    async fn push(&mut self, piece: Bytes) -> bool {
        if piece.len() >= PIECE_BYTES {
            return self.flush().await && self.send(piece).await;
        }
        self.small.reserve(PIECE_BYTES);
        self.small.extend_from_slice(&piece);
        self.small.len() < PIECE_BYTES || self.flush().await
    }

    async fn flush(&mut self) -> bool {
        let small = std::mem::take(&mut self.small).freeze();
        small.is_empty() || self.send(small).await
    }

    async fn send(&self, piece: Bytes) -> bool {
        let bytes = u32::try_from(piece.len().min(WAITING_BYTES)).unwrap_or(u32::MAX);
        let permit = self.room.clone().acquire_many_owned(bytes).await;
        permit.is_ok_and(|permit| self.pieces.send(Ok((piece, permit))).is_ok())
    }
}
