//! Which connection gives way when the server is full and a peer waits to be accepted.
//!
//! Connections that have never sent a byte give way first, then those with an incomplete handshake, then those that were sent
//! their last output and do not close; with [`GiveWay::Idle`] also those that wait for their next request or have stopped in
//! the middle of one. The holder with the most connections loses one first, so that a peer with many connections loses its own
//! rather than those of other peers. A connection that is asked to give way is read once more before it is closed: input that
//! arrived in the meantime is served.
//!
//! Computing the order visits every connection under the server's lock, and untrusted peers cause it. So it is computed at most
//! every 10 ms, and less often if it takes long: never for more than a tenth of the time. One order serves all waiting peers
//! until it is replaced.
//!
//! To add a reason to give way, add its candidates in [`Shared::candidate`] and its rank to [`Rank`].

use crate::giving_way::{Candidate, Rank, Room, in_order};
use crate::machine::Acceptor;
use crate::options::GiveWay;
use crate::shared::{Shared, State};
use crate::socket_connection::{SocketConnection, Waiting};
use crate::timeouts::Wait;
use mio::Token;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// The minimum time for which an order is used.
const KEEP_ORDER: Duration = Duration::from_millis(10);
/// An order is used for this multiple of the time that computing it took.
const COST_FACTOR: u32 = 10;
/// The delay until the next attempt if no connection could give way.
const RETRY: Duration = Duration::from_millis(250);
/// How long a connection must have been idle, or in its handshake, to give way, in milliseconds. Clients that send one
/// request after another are idle for a moment between two.
const IDLE_GRACE: u64 = 1000;

impl<A: Acceptor> Shared<A> {
    /// Asks the next connection in the order to give way.
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

    /// Records that the connection that was asked is closed, or had input.
    pub(crate) fn answered_whether_it_gives_way(&self, state: &mut State<A::Machine>) {
        state.yielding.is_asked = false;
        state.accept_if_full();
    }

    /// Whether connections in this wait can give way.
    pub(crate) fn gives_way(&self, wait: Wait) -> bool {
        match self.options.give_way {
            GiveWay::Never => false,
            GiveWay::Silent => matches!(wait, Wait::Preamble | Wait::Fresh | Wait::Handshake | Wait::Close),
            GiveWay::Idle => !matches!(wait, Wait::Stream | Wait::Waiting | Wait::Work | Wait::Output),
        }
    }

    /// Returns the rank of a connection that may give way now.
    fn candidate(&self, connection: &SocketConnection<A::Machine>) -> Option<Rank> {
        let Waiting { wait, progress, began, .. } = connection.waiting()?;
        let may_go = self.gives_way(wait);
        match wait {
            Wait::Preamble => may_go.then_some(Rank::Preamble(began)),
            Wait::Fresh => may_go.then_some(Rank::Silent(began)),
            // Regardless of any input, which costs the peer nothing.
            Wait::Handshake | Wait::Close if !may_go || began.saturating_add(IDLE_GRACE) > self.now() => None,
            Wait::Handshake => Some(Rank::Handshake(began)),
            Wait::Close => Some(Rank::Closing(began)),
            _ if !may_go || progress.saturating_add(IDLE_GRACE) > self.now() => None,
            Wait::Head | Wait::Body => Some(Rank::Stalled(progress)),
            _ => Some(Rank::Idle(progress)),
        }
    }

    fn order(&self, state: &State<A::Machine>) -> VecDeque<Token> {
        let mut held = HashMap::new();
        let mut candidates = Vec::new();
        for connection in state.connections.values() {
            let holder = connection.holder();
            *held.entry(holder).or_default() += 1;
            let rank = self.candidate(connection);
            candidates.extend(rank.map(|rank| Candidate { token: connection.token, holder, rank }));
        }
        in_order(candidates, &held)
    }
}
