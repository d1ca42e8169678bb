//! The order in which connections give way, and its state between two decisions.

use crate::holder::Holder;
use mio::Token;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Instant;

/// The order among the candidates of one holder: the lowest rank gives way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// The preamble is incomplete; with the time of the connection's acceptance, in the server's milliseconds.
    Preamble(u64),
    /// The connection has never sent a byte; with the time of its acceptance.
    Silent(u64),
    /// The handshake is incomplete; with the time since when the connection waits for the rest.
    Handshake(u64),
    /// The last output was sent, and the peer has not closed; with the time since when.
    Closing(u64),
    /// The connection waits for its next request; with the time since when.
    Idle(u64),
    /// The connection has stopped in the middle of a request; with the time since when.
    Stalled(u64),
}

/// A connection that may give way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Greater for connections that were accepted later.
    pub(crate) token: Token,
    pub(crate) holder: Holder,
    pub(crate) rank: Rank,
}

impl Candidate {
    /// Returns the sort key: the lowest gives way first. Many connections may be accepted within one millisecond.
    fn key(&self) -> (Rank, Token) {
        (self.rank, self.token)
    }
}

/// The state between two decisions.
#[derive(Debug, Default)]
pub(crate) struct Yielding {
    /// The connections that may give way, in order.
    pub(crate) order: VecDeque<Token>,
    /// How long the order is used.
    pub(crate) order_until: Option<Instant>,
    /// A connection was asked to give way, and the result is not known yet. Until then no other is asked.
    pub(crate) is_asked: bool,
}

/// Whether there will be room for a new connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Room {
    /// A connection was asked to give way. Accepting is tried again when the result is known.
    Asked,
    /// No connection can give way now. Try again at this time.
    NotBefore(Instant),
    /// Connections do not give way.
    Never,
}

/// Returns the order in which candidates give way: each time, the holder with the most connections loses its candidate with the
/// lowest rank.
pub(crate) fn in_order(mut candidates: Vec<Candidate>, held: &HashMap<Holder, usize>) -> VecDeque<Token> {
    // The first candidate of each holder is at the end, where it is popped.
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

    /// Returns the order of candidates, each with its user; `held` is the number of connections per user.
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
        // Of holders with the same number of connections, the one with the oldest silent connection loses first.
        assert_eq!(order(&candidates, &[(1, 3), (2, 3), (3, 3)]), [20, 12, 30, 21, 10, 11]);
        // All connections of a holder count, not only its candidates.
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
