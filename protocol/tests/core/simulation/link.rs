//! One connection of the simulated network: two directions that carry bytes in pieces, in order, until one direction is cut or
//! both are torn.

use super::draws::Draws;
use bytes::Bytes;
use std::collections::VecDeque;

/// Virtual time in microseconds.
pub type Time = u64;

/// A fault of the network on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Only this many bytes of this direction arrive; then it ends.
    Truncate {
        up: bool,
        after: usize,
    },
    /// At this time both directions end, and bytes in transit are lost.
    Reset {
        at: Time,
    },
}

/// A fault that no network or driver may cause: the simulation must detect it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A piece arrives twice.
    Duplicate,
    /// A piece does not arrive, and those after it do.
    Lose,
    /// A piece has one bit flipped.
    Flip,
    /// A piece arrives on another caller's connection.
    Misdeliver,
    /// A handler's invocation, with its state, is neither completed nor dropped.
    Leak,
    /// One effect's completion is passed to another caller's effect.
    CompleteAnother,
    /// An effect is performed, but never completed.
    LoseCompletion,
    /// A piece of an effect's data does not arrive.
    LoseData,
    /// The record of a call is discarded.
    LoseRecord,
}

impl Mutation {
    /// Whether the network causes it, not the driver.
    pub fn is_of_network(self) -> bool {
        matches!(self, Self::Duplicate | Self::Lose | Self::Flip | Self::Misdeliver)
    }
}

impl Fault {
    pub fn draw(draws: &mut Draws) -> Self {
        match draws.below(8) {
            0 => Self::Truncate { up: draws.once_in(2), after: draws.below(3000) },
            1 => Self::Reset { at: draws.below(20_000) as Time },
            _ => Self::None,
        }
    }
}

/// A piece in transit; `None` is the end.
type Piece = Option<Bytes>;

/// One direction.
#[derive(Default)]
pub struct Direction {
    on_its_way: VecDeque<(Time, Piece)>,
    /// Remaining bytes that may arrive before the cut.
    left: Option<usize>,
    last: Time,
    /// The end was sent, or the direction was cut.
    ended: bool,
}

impl Direction {
    pub fn cut_after(bytes: Option<usize>) -> Self {
        Self { left: bytes, ..Self::default() }
    }

    /// Sends bytes in pieces of any size. Adds the arrival times of the pieces.
    pub fn send(&mut self, bytes: Bytes, now: Time, draws: &mut Draws, arrivals: &mut Vec<Time>) {
        let mut rest = bytes;
        let most = draws.pick(&[8, 64, 700, 100_000, 100_000]);
        while !rest.is_empty() && !self.ended {
            let mut len = (1 + draws.below(most)).min(rest.len());
            if let Some(left) = &mut self.left {
                len = len.min(*left);
                *left -= len;
                if len == 0 {
                    self.end(now, draws, arrivals);
                    return;
                }
            }
            let at = self.later(now, draws);
            self.on_its_way.push_back((at, Some(rest.split_to(len))));
            arrivals.push(at);
        }
    }

    /// Ends the direction after the pieces sent so far.
    pub fn end(&mut self, now: Time, draws: &mut Draws, arrivals: &mut Vec<Time>) {
        if !self.ended {
            self.ended = true;
            let at = self.later(now, draws);
            self.on_its_way.push_back((at, None));
            arrivals.push(at);
        }
    }

    /// Drops everything in transit. The end arrives at once.
    pub fn tear(&mut self, now: Time, arrivals: &mut Vec<Time>) {
        self.on_its_way.clear();
        self.ended = true;
        self.on_its_way.push_back((now, None));
        arrivals.push(now);
    }

    /// Returns the next piece that has arrived.
    pub fn arrived(&mut self, now: Time) -> Option<Piece> {
        let (at, _) = self.on_its_way.front()?;
        if *at > now { None } else { self.on_its_way.pop_front().map(|(_, piece)| piece) }
    }

    /// Applies a fault to the next piece with bytes. Returns false if there is none.
    pub fn mutate(&mut self, mutation: Mutation) -> bool {
        let Some(index) = self.on_its_way.iter().position(|(_, piece)| piece.is_some()) else { return false };
        let (at, piece) = self.on_its_way[index].clone();
        match mutation {
            Mutation::Duplicate => self.on_its_way.insert(index, (at, piece)),
            Mutation::Lose => drop(self.on_its_way.remove(index)),
            Mutation::Flip => {
                let mut flipped = piece.unwrap_or_default().to_vec();
                let middle = flipped.len() / 2;
                flipped[middle] ^= 1;
                self.on_its_way[index].1 = Some(flipped.into());
            }
            _ => return false,
        }
        true
    }

    /// Removes and returns the next piece, if it has bytes.
    pub fn steal(&mut self) -> Option<Bytes> {
        let (_, Some(bytes)) = self.on_its_way.front()? else { return None };
        let bytes = bytes.clone();
        self.on_its_way.pop_front();
        Some(bytes)
    }

    /// Inserts bytes that were not sent on this connection. They arrive first.
    pub fn inject(&mut self, bytes: Bytes, now: Time) {
        self.on_its_way.push_front((now, Some(bytes)));
    }

    fn later(&mut self, now: Time, draws: &mut Draws) -> Time {
        // Mostly short, sometimes long enough for everything else to happen in between.
        let delay = draws.pick(&[0, 1, 1, 50, 50, 3000]);
        self.last = self.last.max(now) + delay;
        self.last
    }
}
