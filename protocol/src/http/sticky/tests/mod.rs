//! The life cycle of sessions. Concurrent calls of one session are tested in `waiting` and `interleaving`, panics and
//! re-entrance in `foreign_code`.

mod foreign_code;
mod interleaving;
mod waiting;

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1_800_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const ID: SessionId = *b"twelve bytes";
const OTHER: SessionId = *b"other twelve";
const LOST: Option<TakeError> = Some(TakeError::Lost);

/// Counts how many values were dropped.
#[derive(Clone, Default)]
struct Drops(Arc<AtomicUsize>);

struct Tracked(Drops);

impl Drop for Tracked {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drops {
    fn tracked(&self) -> Box<Tracked> {
        Box::new(Tracked(self.clone()))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Counts how often it was woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Wakes {
    fn fresh() -> (Arc<Self>, Waker) {
        let wakes = Arc::<Self>::default();
        (Arc::clone(&wakes), Waker::from(wakes))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Takes a session of Ann, which must be free.
fn take(sessions: &Sessions, id: SessionId, now: Duration) -> SessionGuard {
    match sessions.take(id, "ann", now, Waker::noop()) {
        Ok(Taken::Now(held)) => held,
        other => panic!("expected a free session, got {other:?}"),
    }
}

/// Returns why a session cannot be taken.
fn refusal(sessions: &Sessions, id: SessionId, owner: &str, now: Duration) -> Option<TakeError> {
    sessions.take(id, owner, now, Waker::noop()).err()
}

/// A ticket, its waker, and how often the waker was woken.
struct Waiting {
    ticket: Ticket,
    waker: Waker,
    wakes: Arc<Wakes>,
}

impl Waiting {
    fn poll(&mut self, now: Duration) -> Result<Option<SessionGuard>, TakeError> {
        self.ticket.poll(now, &self.waker)
    }

    /// Polls the ticket, and expects that it is its turn.
    fn held(&mut self) -> SessionGuard {
        self.poll(NOW).unwrap().expect("it is this ticket's turn")
    }

    fn waits(&mut self) -> bool {
        self.poll(NOW).unwrap().is_none()
    }
}

/// Takes a session of Ann, which must be in use.
fn queue(sessions: &Sessions) -> Waiting {
    let (wakes, waker) = Wakes::fresh();
    match sessions.take(ID, "ann", NOW, &waker) {
        Ok(Taken::Wait(ticket)) => Waiting { ticket, waker, wakes },
        other => panic!("expected a place in the queue, got {other:?}"),
    }
}

fn queue_with(sessions: &Sessions, waker: &Waker) -> Ticket {
    match sessions.take(ID, "ann", NOW, waker) {
        Ok(Taken::Wait(ticket)) => ticket,
        other => panic!("expected a place in the queue, got {other:?}"),
    }
}

fn wakes<const N: usize>(waiting: &[Waiting; N]) -> [usize; N] {
    waiting.each_ref().map(|waiting| waiting.wakes.count())
}

/// Creates a session that a call uses, and tickets that wait for it.
fn in_use<const N: usize>(drops: &Drops) -> (Sessions, SessionGuard, [Waiting; N]) {
    let sessions = Sessions::default();
    let held = sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, ID).unwrap();
    let waiting = std::array::from_fn(|_| queue(&sessions));
    (sessions, held, waiting)
}

#[test]
fn every_call_finds_the_same_value_at_the_same_place() {
    let sessions = Sessions::default();
    let mut held = sessions.open(Box::new(vec![1]), "ann", None, MINUTE, NOW, ID).unwrap();
    let place = std::ptr::from_mut(held.downcast_mut::<Vec<i32>>().unwrap());
    assert_eq!((held.id(), held.expires_at()), (ID, NOW + MINUTE));
    assert_eq!(held.id_hex(), "7477656c7665206279746573");
    drop(held);
    for round in 2..5 {
        let mut held = take(&sessions, ID, NOW);
        assert!(held.downcast_ref::<String>().is_none());
        let value = held.downcast_mut::<Vec<i32>>().unwrap();
        assert_eq!(std::ptr::from_mut(value), place);
        value.push(round);
    }
    assert_eq!(take(&sessions, ID, NOW).downcast_ref(), Some(&vec![1, 2, 3, 4]));
}

#[test]
fn a_session_is_its_owners_alone() {
    let (sessions, drops) = (Sessions::default(), Drops::default());
    drop(sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, ID).unwrap());
    assert_eq!(refusal(&sessions, ID, "bob", NOW), Some(TakeError::Lost));
    assert_eq!(refusal(&sessions, ID, "", NOW), Some(TakeError::Lost));
    assert_eq!(refusal(&sessions, OTHER, "ann", NOW), Some(TakeError::Lost));
    assert_eq!((sessions.len(), drops.count()), (1, 0));
    take(&sessions, ID, NOW).close();
    assert_eq!(refusal(&sessions, ID, "ann", NOW), Some(TakeError::Lost));
    assert_eq!((sessions.len(), drops.count()), (0, 1));
}

#[test]
fn a_session_ends_at_its_time_and_use_does_not_prolong_it() {
    let (sessions, drops) = (Sessions::default(), Drops::default());
    drop(sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, ID).unwrap());
    drop(sessions.open(drops.tracked(), "ann", None, MINUTE * 2, NOW, OTHER).unwrap());
    let last = NOW + MINUTE - Duration::from_nanos(1);
    drop(take(&sessions, ID, last));
    assert_eq!(sessions.expire(last), 0);
    assert_eq!(refusal(&sessions, ID, "ann", NOW + MINUTE), Some(TakeError::Lost));
    assert_eq!((sessions.len(), drops.count()), (1, 1), "found expired, it is dropped at once");
    assert_eq!(sessions.expire(NOW + MINUTE * 2), 1);
    assert_eq!((sessions.len(), drops.count()), (0, 2));
    drop(sessions.open(drops.tracked(), "ann", None, Duration::MAX, NOW, ID).unwrap());
    drop(take(&sessions, ID, NOW * 2));
}

#[test]
fn a_session_in_use_outlives_its_time_until_it_is_returned() {
    let (sessions, drops) = (Sessions::default(), Drops::default());
    let held = sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, ID).unwrap();
    assert_eq!(sessions.expire(NOW + MINUTE), 0);
    assert_eq!(
        refusal(&sessions, ID, "ann", NOW + MINUTE),
        Some(TakeError::Lost),
        "expired for others, who do not wait for it"
    );
    assert_eq!(drops.count(), 0);
    drop(held);
    assert_eq!(drops.count(), 0);
    assert_eq!(sessions.expire(NOW + MINUTE), 1);
    assert_eq!(drops.count(), 1);
}

#[test]
fn opening_is_refused_for_a_reason_and_the_value_dropped() {
    let (sessions, drops) = (Sessions::new(2, 16), Drops::default());
    let open = |id, now| sessions.open(drops.tracked(), "ann", None, MINUTE, now, id).map(drop);
    sessions.set_draining(true);
    assert!(sessions.is_draining());
    assert_eq!(open(ID, NOW), Err(OpenError::Draining));
    sessions.set_draining(false);
    assert_eq!(open(ID, NOW), Ok(()));
    assert_eq!(open(ID, NOW), Err(OpenError::IdInUse));
    assert_eq!(open(OTHER, NOW), Ok(()));
    assert_eq!(open([3; 12], NOW), Err(OpenError::TooMany { limit: 2 }));
    assert_eq!((sessions.len(), drops.count()), (2, 3));
    assert_eq!(open([3; 12], NOW + MINUTE), Ok(()), "expired sessions make room");
    assert_eq!((sessions.len(), drops.count()), (1, 5));
}

#[test]
fn a_caller_has_no_more_sessions_than_its_quota_and_leaves_the_rest_to_others() {
    let (sessions, drops) = (Sessions::new(10, 16), Drops::default());
    let next = std::cell::Cell::new(0);
    let open = |caller: &str, now| {
        next.set(next.get() + 1);
        let quota = Some(Quota::of_address(caller, 3));
        sessions.open(drops.tracked(), "", quota, MINUTE, now, [next.get(); 12])
    };
    let held = open("a", NOW).unwrap();
    let id = held.id();
    drop(held);
    let kept = open("a", NOW).unwrap();
    let closed = open("a", NOW).unwrap();
    assert_eq!(open("a", NOW).err(), Some(OpenError::QuotaReached { limit: 3 }));
    assert_eq!(drops.count(), 1, "the value that found no place is dropped");
    assert!(open("b", NOW).is_ok(), "others are not affected");
    closed.close();
    assert!(open("a", NOW).is_ok(), "a session that was closed does not count");
    let Ok(Taken::Now(held)) = sessions.take(id, "", NOW, Waker::noop()) else { panic!("it is free") };
    held.close();
    assert!(open("a", NOW).is_ok());
    assert!(open("a", NOW).is_err());
    // Of the three, the one in use still counts; the expired ones do not.
    let later = NOW + MINUTE;
    assert!(open("a", later).is_ok() && open("a", later).is_ok());
    assert_eq!(open("a", later).err(), Some(OpenError::QuotaReached { limit: 3 }));
    drop(kept);
    sessions.shutdown();
    assert!(open("a", later).is_ok() && open("a", later).is_ok() && open("a", later).is_ok());
    assert!(sessions.open(drops.tracked(), "", None, MINUTE, NOW, ID).is_ok());
}

#[test]
fn draining_leaves_open_sessions_alone() {
    let sessions = Sessions::default();
    drop(sessions.open(Box::new(1), "ann", None, MINUTE, NOW, ID).unwrap());
    sessions.set_draining(true);
    take(&sessions, ID, NOW).close();
    assert!(sessions.is_empty());
}

#[test]
fn a_call_may_end_its_session_and_the_id_is_free_again() {
    let (sessions, drops) = (Sessions::default(), Drops::default());
    sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, ID).unwrap().close();
    assert_eq!((sessions.len(), drops.count()), (0, 1));
    assert_eq!(refusal(&sessions, ID, "ann", NOW), Some(TakeError::Lost));
    // A guard from before a shutdown must not end a later session with the same id.
    let before = sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, ID).unwrap();
    sessions.shutdown();
    let after = sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, ID).unwrap();
    before.close();
    assert_eq!((sessions.len(), drops.count()), (1, 2));
    drop(after);
    drop(take(&sessions, ID, NOW));
}

#[test]
fn a_panic_in_a_call_returns_the_session() {
    let sessions = Sessions::default();
    drop(sessions.open(Box::new(41), "ann", None, MINUTE, NOW, ID).unwrap());
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let mut held = take(&sessions, ID, NOW);
        *held.downcast_mut::<i32>().unwrap() += 1;
        panic!("a handler of the application's");
    }));
    assert!(panic.is_err());
    assert_eq!(take(&sessions, ID, NOW).downcast_ref(), Some(&42));
}

#[test]
fn shutdown_spares_what_is_in_use_until_it_is_returned() {
    let (sessions, drops) = (Sessions::default(), Drops::default());
    let held = sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, ID).unwrap();
    drop(sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, OTHER).unwrap());
    sessions.shutdown();
    assert_eq!((sessions.len(), drops.count()), (0, 1));
    assert!(held.downcast_ref::<Tracked>().is_some());
    drop(held);
    assert_eq!(drops.count(), 2);
}

#[test]
fn values_are_dropped_with_the_last_of_the_registry() {
    let (sessions, drops) = (Sessions::default(), Drops::default());
    drop(sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, OTHER).unwrap());
    let held = sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, ID).unwrap();
    drop(sessions);
    assert_eq!(drops.count(), 0, "a call still holds a session");
    drop(held);
    assert_eq!(drops.count(), 2);
}
