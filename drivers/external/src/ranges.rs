//! A large object by several requests at a time. The first response is that of the plain `GET`, which gives the first range and
//! stays open until the second one has proved that its server can do this: otherwise it gives the rest as well.

use crate::arrivals::{Arrival, coding, forward, headers};
use crate::error::TransferErrorKind;
use crate::exchange::{Answer, Http};
use crate::options::HttpOptions;
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

/// Most bytes of a range that wait for its turn; its server waits with the rest.
const WAITING_BYTES: usize = 2 << 20;
/// Bytes of a piece that waits, or more.
const PIECE_BYTES: usize = 64 << 10;

/// An object that is read in ranges.
#[derive(Clone)]
pub(crate) struct Ranges {
    /// Bytes of the object.
    len: u64,
    /// Bytes of a range.
    step: u64,
    /// Most requests at a time.
    parallel: usize,
    /// The version of the object.
    etag: HeaderValue,
    coding: Option<String>,
}

/// What there is of a range: a piece, with the room that it takes.
type Piece = Result<(Bytes, OwnedSemaphorePermit), TransferErrorKind>;

impl Ranges {
    /// Whether the object of a response is read in ranges: if it is large, its server can do that, and names its version, so that
    /// no two ranges can be of different ones.
    pub(crate) fn plan(answer: &Answer, options: &HttpOptions) -> Option<Self> {
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

    /// The range that begins there, if the object has one.
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

    /// Whether a response gives this range of this version.
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

/// Gives all of the object to the receiver, in order. `first` is the response of the plain `GET`.
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
        // No ranges then: the plain response goes on.
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

/// Gives the first bytes of a body to the receiver, and returns what came with them of the rest. `None` if the receiver is gone.
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
    /// Where the next one begins.
    next: u64,
    running: JoinSet<()>,
    /// What they give, in order.
    waiting: VecDeque<Requested>,
}

/// A range that was requested.
struct Requested {
    /// Bytes that were not forwarded yet.
    left: u64,
    pieces: UnboundedReceiver<Piece>,
}

impl Requests {
    /// Starts requests, as many as may be under way beside the one that is being forwarded.
    fn fill(&mut self) {
        while self.waiting.len() + 1 < self.ranges.parallel
            && let Some(range) = self.ranges.at(self.next)
        {
            self.next = range.end;
            // Bounded by its permits.
            let (sender, pieces) = mpsc::unbounded_channel();
            self.waiting.push_back(Requested { left: range.end - range.start, pieces });
            let (http, location) = (self.http.clone(), self.location.clone());
            let (policy, ranges) = (self.policy.clone(), self.ranges.clone());
            self.running.spawn(async move {
                if let Err(kind) = ranges.read(&http, &location, &policy, range, &sender).await {
                    // Without a receiver there is no use for it.
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

/// What waits of a range. Small pieces are put together: each would keep the whole memory that it was read into.
struct Queue<'a> {
    pieces: &'a UnboundedSender<Piece>,
    room: Arc<Semaphore>,
    small: BytesMut,
}

impl Queue<'_> {
    /// Adds a piece, once there is room for it. False if nothing receives it.
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
