//! Which connection gives way when the server is full and a peer waits to be accepted.
//!
//! Connections that have never sent a byte give way, and with [`GiveWay::Idle`] also those that wait for their next
//! request or have stopped in the middle of one. The holder with the most connections loses one first, so that a peer that takes many places loses its own
//! and not those of others. A connection that is asked to give way is read once more before it is closed: what
//! arrived in the meantime is served.
//!
//! Making the order looks at every connection under the server's lock, and strangers decide when it is needed. So it
//! is made at most every 10 ms, and less often where it takes long: never for more than a tenth of the time. One
//! order serves all who wait until it is replaced.
//!
//! A second reason to give way adds its candidates in [`Shared::candidate`] and its rank to [`Rank`].

use crate::connection::{Connection, Waiting};
use crate::listener::Origin;
use crate::machine::Acceptor;
use crate::shared::{Shared, State};
use crate::timeouts::Wait;
use mio::Token;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// How long an order is used at least.
const KEEP_ORDER: Duration = Duration::from_millis(10);
/// An order is used for so many times what making it took.
const COST_FACTOR: u32 = 10;
/// When no connection could give way, how long until it is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// How long a connection must have been idle to give way, in milliseconds. Clients that send one request after
/// another are idle for a moment between two.
const IDLE_GRACE: u64 = 1000;

/// Which connections give way to new ones when a server has [as many as it may](crate::Options::max_connections), or
/// the system has no descriptors left. New ones wait in the listener's backlog until one does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GiveWay {
    /// None: a new connection waits until another one closes.
    Never,
    /// Those that have never sent a byte, the oldest of them first.
    #[default]
    Silent,
    /// Those, then those in [`Phase::Idle`](crate::Phase::Idle) for a second or more, then those that have sent nothing
    /// for as long in the middle of a request, the longest first. For protocols whose clients connect again, such as HTTP.
    Idle,
}

/// Whom a connection is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// A user of this machine.
    User(u32),
    /// A host: an IPv4 address, or an IPv6 network of 64 bits, of which one host may use every address.
    Host(IpAddr),
    /// The system did not say.
    Unknown,
}

impl Holder {
    pub(crate) fn of(origin: &Origin) -> Self {
        match origin {
            Origin::Unix(Some(credentials)) => Self::User(credentials.uid),
            Origin::Tcp(Some(address)) => Self::Host(match address.ip().to_canonical() {
                IpAddr::V6(address) => {
                    let network = u128::from(address) & (u128::MAX << 64);
                    Ipv6Addr::from(network).into()
                }
                address => address,
            }),
            Origin::Unix(None) | Origin::Tcp(None) => Self::Unknown,
        }
    }
}

/// The order among the candidates of one holder: the least gives way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// It has never sent a byte; since when it is there, in the server's milliseconds.
    Silent(u64),
    /// It waits for its next request; since when.
    Idle(u64),
    /// It has stopped in the middle of a request; since when.
    Stalled(u64),
}

/// A connection that may give way.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Greater for those that were accepted later.
    token: Token,
    holder: Holder,
    rank: Rank,
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
    order: VecDeque<Token>,
    /// Until when the order is used.
    order_until: Option<Instant>,
    /// A connection was asked, and it is not decided yet whether it gives way. Others are asked after that.
    is_asked: bool,
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

impl<A: Acceptor> Shared<A> {
    /// Asks the connection whose turn it is to give way.
    pub(crate) fn make_room(&self, state: &mut State<A::Machine>) -> Room {
        if self.options.give_way == GiveWay::Never {
            return Room::Never;
        }
        if state.yielding.is_asked {
            return Room::Asked;
        }
        let now = Instant::now();
        let mut again = state.yielding.order_until.filter(|until| *until > now);
        if again.is_none() {
            state.yielding.order = self.order(state);
            state.yielding.order_until = Some(now + KEEP_ORDER.max(now.elapsed() * COST_FACTOR));
            again = Some(now + RETRY);
        }
        while let Some(token) = state.yielding.order.pop_front() {
            if let Some(connection) = state.connections.get(&token)
                && self.candidate(connection).is_some()
                && connection.ask_to_give_way()
            {
                let connection = connection.clone();
                state.yielding.is_asked = true;
                self.queue_from_outside(state, connection);
                return Room::Asked;
            }
        }
        Room::NotBefore(again.unwrap_or(now))
    }

    /// Notes that the connection that was asked is closed, or had something to say.
    pub(crate) fn answered_whether_it_gives_way(&self, state: &mut State<A::Machine>) {
        state.yielding.is_asked = false;
        state.accept_if_full();
    }

    /// Whether connections in this wait give way at all.
    pub(crate) fn gives_way(&self, wait: Wait) -> bool {
        match self.options.give_way {
            GiveWay::Never => false,
            GiveWay::Silent => wait == Wait::Fresh,
            GiveWay::Idle => {
                matches!(wait, Wait::Fresh | Wait::Idle | Wait::Released | Wait::Head | Wait::Body)
            }
        }
    }

    /// The rank of a connection that may give way now.
    fn candidate(&self, connection: &Connection<A::Machine>) -> Option<Rank> {
        let Waiting { wait, progress, began, .. } = connection.waiting()?;
        let may_go = self.gives_way(wait);
        match wait {
            Wait::Fresh => may_go.then_some(Rank::Silent(began)),
            _ if !may_go || progress.saturating_add(IDLE_GRACE) > self.now() => None,
            Wait::Head | Wait::Body => Some(Rank::Stalled(progress)),
            _ => Some(Rank::Idle(progress)),
        }
    }

    fn order(&self, state: &State<A::Machine>) -> VecDeque<Token> {
        let mut held = HashMap::new();
        let mut candidates = Vec::new();
        for connection in state.connections.values() {
            let holder = connection.holder;
            *held.entry(holder).or_default() += 1;
            let rank = self.candidate(connection);
            candidates.extend(rank.map(|rank| Candidate { token: connection.token, holder, rank }));
        }
        in_order(candidates, &held)
    }
}

/// The order in which candidates give way, if one after the other does: each time the holder with the most
/// connections loses the one of its candidates that ranks first.
fn in_order(mut candidates: Vec<Candidate>, held: &HashMap<Holder, usize>) -> VecDeque<Token> {
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
        use Rank::{Idle, Silent};
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
    fn hosts_are_told_apart_by_address_and_ipv6_hosts_by_network() {
        let holder = |address: &str| Holder::of(&Origin::Tcp(Some(address.parse().unwrap())));
        assert_eq!(holder("192.0.2.1:1"), holder("192.0.2.1:2"));
        assert_ne!(holder("192.0.2.1:1"), holder("192.0.2.2:1"));
        assert_eq!(holder("192.0.2.1:1"), holder("[::ffff:192.0.2.1]:2"));
        assert_eq!(holder("[2001:db8::1]:1"), holder("[2001:db8::2:0:0:1]:1"));
        assert_ne!(holder("[2001:db8::1]:1"), holder("[2001:db8:0:1::1]:1"));
        assert_eq!(Holder::of(&Origin::Unix(None)), Holder::Unknown);
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
