//! One connection of the simulated network: two directions that carry bytes in pieces, each piece later than the one
//! before, until one direction is cut or both are torn.

use super::draws::Draws;
use bytes::Bytes;
use std::collections::VecDeque;

/// Virtual time in microseconds.
pub type Time = u64;

/// What the network does to a connection that it should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Of this direction only so many bytes arrive; then it ends.
    Truncate {
        up: bool,
        after: usize,
    },
    /// At this time both directions end, and what was on its way is lost.
    Reset {
        at: Time,
    },
}

/// What a network or a driver does that none may: it must be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A piece arrives twice.
    Duplicate,
    /// A piece does not arrive, and those after it do.
    Lose,
    /// A piece has one bit flipped.
    Flip,
    /// A piece arrives on the connection of another caller.
    Misdeliver,
    /// A handler's invocation, and the state with it, is never completed nor dropped.
    Leak,
    /// What completes one effect is given to the effect of another caller.
    CompleteAnother,
    /// An effect is performed, and never completed.
    LoseCompletion,
    /// A piece of an effect's data does not arrive.
    LoseData,
    /// The record of a call is thrown away.
    LoseRecord,
}

impl Mutation {
    /// Whether the network does it, and not the driver.
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

/// A piece on its way; none is the end.
type Piece = Option<Bytes>;

/// One direction.
#[derive(Default)]
pub struct Direction {
    on_its_way: VecDeque<(Time, Piece)>,
    /// How many bytes may still arrive before it is cut.
    left: Option<usize>,
    last: Time,
    /// The end was sent, or the direction was cut.
    ended: bool,
}

impl Direction {
    pub fn cut_after(bytes: Option<usize>) -> Self {
        Self { left: bytes, ..Self::default() }
    }

    /// Puts bytes on their way in pieces of any size. Gives the times at which pieces arrive.
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

    /// The sender is done.
    pub fn end(&mut self, now: Time, draws: &mut Draws, arrivals: &mut Vec<Time>) {
        if !self.ended {
            self.ended = true;
            let at = self.later(now, draws);
            self.on_its_way.push_back((at, None));
            arrivals.push(at);
        }
    }

    /// All that is on its way is lost, and the end arrives at once.
    pub fn tear(&mut self, now: Time, arrivals: &mut Vec<Time>) {
        self.on_its_way.clear();
        self.ended = true;
        self.on_its_way.push_back((now, None));
        arrivals.push(now);
    }

    /// The next piece that has arrived.
    pub fn arrived(&mut self, now: Time) -> Option<Piece> {
        let (at, _) = self.on_its_way.front()?;
        if *at > now { None } else { self.on_its_way.pop_front().map(|(_, piece)| piece) }
    }

    /// Misbehaves with the next piece that is bytes. False when there is none.
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

    /// Takes the next piece out, if it is bytes.
    pub fn steal(&mut self) -> Option<Bytes> {
        let (_, Some(bytes)) = self.on_its_way.front()? else { return None };
        let bytes = bytes.clone();
        self.on_its_way.pop_front();
        Some(bytes)
    }

    /// Puts bytes in that nobody sent here. They arrive first.
    pub fn inject(&mut self, bytes: Bytes, now: Time) {
        self.on_its_way.push_front((now, Some(bytes)));
    }

    fn later(&mut self, now: Time, draws: &mut Draws) -> Time {
        // Mostly at once, at times long enough for everything else to happen in between.
        let delay = draws.pick(&[0, 1, 1, 50, 50, 3000]);
        self.last = self.last.max(now) + delay;
        self.last
    }
}
