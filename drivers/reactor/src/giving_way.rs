//! The order in which connections give way, and what is remembered of it.

use crate::holder::Holder;
use mio::Token;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Instant;

/// The order among the candidates of one holder: the least gives way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// What comes before the protocol has not all come; since when it is there, in the server's milliseconds.
    Preamble(u64),
    /// It has never sent a byte; since when it is there.
    Silent(u64),
    /// It has not ended its handshake; since when it waits for the rest.
    Handshake(u64),
    /// It was sent its last, and has not closed; since when.
    Closing(u64),
    /// It waits for its next request; since when.
    Idle(u64),
    /// It has stopped in the middle of a request; since when.
    Stalled(u64),
}

/// A connection that may give way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Greater for those that were accepted later.
    pub(crate) token: Token,
    pub(crate) holder: Holder,
    pub(crate) rank: Rank,
}

impl Candidate {
    /// The least gives way first. Many connections may come within one millisecond.
    fn key(&self) -> (Rank, Token) {
        (self.rank, self.token)
    }
}

/// What is remembered between two choices.
#[derive(Debug, Default)]
pub(crate) struct Yielding {
    /// Those that may give way, the first one first.
    pub(crate) order: VecDeque<Token>,
    /// Until when the order is used.
    pub(crate) order_until: Option<Instant>,
    /// A connection was asked, and it is not decided yet whether it gives way. Others are asked after that.
    pub(crate) is_asked: bool,
}

/// Whether there will be room.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Room {
    /// A connection was asked to give way. When that is decided, accepting is tried again.
    Asked,
    /// No connection may give way now. Ask again at this time.
    NotBefore(Instant),
    /// Connections do not give way.
    Never,
}

/// The order in which candidates give way, if one after the other does: each time the holder with the most
/// connections loses the one of its candidates that ranks first.
pub(crate) fn in_order(mut candidates: Vec<Candidate>, held: &HashMap<Holder, usize>) -> VecDeque<Token> {
    // The first of each holder is at the end, to be taken from there.
    candidates.sort_unstable_by_key(|candidate| Reverse(candidate.key()));
    let mut of_holder: HashMap<Holder, Vec<Candidate>> = HashMap::new();
    for candidate in candidates {
        of_holder.entry(candidate.holder).or_default().push(candidate);
    }
    let mut groups: Vec<Vec<Candidate>> = of_holder.into_values().collect();
    let next =
        |group: &[Candidate], count, index| group.last().map(|first| (count, Reverse(first.key()), index));
    let size = |group: &[Candidate]| group.last().and_then(|first| held.get(&first.holder)).copied();
    let mut heap: BinaryHeap<_> = groups
        .iter()
        .enumerate()
        .filter_map(|(index, group)| next(group, size(group).unwrap_or_default(), index))
        .collect();
    let mut order = VecDeque::new();
    while let Some((count, _, index)) = heap.pop() {
        let Some(group) = groups.get_mut(index) else { break };
        order.extend(group.pop().map(|candidate| candidate.token));
        heap.extend(next(group, count.saturating_sub(1), index));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: u32) -> Holder {
        Holder::User(uid)
    }

    /// The order of candidates, each with the user that it belongs to, where users have so many connections.
    fn order(candidates: &[(usize, u32, Rank)], held: &[(u32, usize)]) -> Vec<usize> {
        let held = held.iter().map(|(uid, count)| (user(*uid), *count)).collect();
        let candidates = candidates
            .iter()
            .map(|(token, uid, rank)| Candidate { token: Token(*token), holder: user(*uid), rank: *rank })
            .collect();
        in_order(candidates, &held).into_iter().map(usize::from).collect()
    }

    #[test]
    fn the_largest_holder_loses_first_and_silent_connections_before_idle_ones() {
        use Rank::{Idle, Preamble, Silent};
        let both = [(10, 1, Silent(1)), (11, 1, Preamble(2)), (12, 1, Preamble(1))];
        assert_eq!(order(&both, &[(1, 3)]), [12, 11, 10]);
        let candidates = [
            (10, 1, Silent(500)),
            (11, 1, Idle(1)),
            (12, 1, Silent(400)),
            (20, 2, Silent(1)),
            (21, 2, Silent(2)),
            (30, 3, Idle(0)),
        ];
        assert_eq!(order(&candidates, &[(1, 9), (2, 3), (3, 2)]), [12, 10, 11, 20, 21, 30]);
        let same = [(12, 1, Silent(1)), (11, 1, Silent(1)), (21, 2, Silent(1)), (10, 1, Silent(1))];
        assert_eq!(order(&same, &[(1, 3), (2, 3)]), [10, 21, 11, 12]);
        // Of holders that have as many, the oldest silent connection goes first.
        assert_eq!(order(&candidates, &[(1, 3), (2, 3), (3, 3)]), [20, 12, 30, 21, 10, 11]);
        // What counts is all that a holder has, not what of it may go.
        assert_eq!(order(&candidates, &[(1, 3), (2, 3), (3, 50)])[0], 30);
        assert_eq!(order(&[], &[]), []);
    }

    #[test]
    fn an_order_of_many_takes_each_candidate_once() {
        let candidates: Vec<_> =
            (0..50_000).map(|token| (token, token as u32 % 5000, Rank::Silent(token as u64))).collect();
        let held: Vec<_> = (0..5000).map(|uid| (uid, 10)).collect();
        let mut order = order(&candidates, &held);
        assert_eq!(order[..3], [0, 1, 2]);
        order.sort_unstable();
        assert!(order.into_iter().eq(0..50_000));
    }
}
