//! Sessions over their life, and calls that meet on one session.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1_800_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const ID: SessionId = *b"twelve bytes";
const OTHER: SessionId = *b"other twelve";

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

struct PanicsOnDrop(Drops);

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
        panic!("a destructor of the application's");
    }
}

/// Returns once so many calls wait for the session.
fn wait_for_callers(sessions: &Sessions, callers: usize) {
    while sessions.registry.find(ID, "ann").is_some_and(|slot| slot.waiting() < callers) {
        std::thread::yield_now();
    }
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
        let mut held = sessions.take(ID, "ann", NOW).unwrap();
        assert!(held.downcast_ref::<String>().is_none());
        let value = held.downcast_mut::<Vec<i32>>().unwrap();
        assert_eq!(std::ptr::from_mut(value), place);
        value.push(round);
    }
    assert_eq!(sessions.take(ID, "ann", NOW).unwrap().downcast_ref(), Some(&vec![1, 2, 3, 4]));
}

#[test]
fn a_session_is_its_owners_alone() {
    let (sessions, drops) = (Sessions::default(), Drops::default());
    drop(sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, ID).unwrap());
    assert_eq!(sessions.take(ID, "bob", NOW).err(), Some(TakeError::Lost));
    assert_eq!(sessions.close(ID, "bob", NOW), Err(TakeError::Lost));
    assert_eq!(sessions.close(ID, "", NOW), Err(TakeError::Lost));
    assert_eq!(sessions.take(OTHER, "ann", NOW).err(), Some(TakeError::Lost));
    assert_eq!((sessions.len(), drops.count()), (1, 0));
    assert_eq!(sessions.close(ID, "ann", NOW), Ok(()));
    assert_eq!(sessions.close(ID, "ann", NOW), Err(TakeError::Lost));
    assert_eq!((sessions.len(), drops.count()), (0, 1));
}

#[test]
fn a_session_ends_at_its_time_and_use_does_not_prolong_it() {
    let (sessions, drops) = (Sessions::default(), Drops::default());
    drop(sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, ID).unwrap());
    drop(sessions.open(drops.tracked(), "ann", None, MINUTE * 2, NOW, OTHER).unwrap());
    let last = NOW + MINUTE - Duration::from_nanos(1);
    assert!(sessions.take(ID, "ann", last).is_ok());
    assert_eq!(sessions.expire(last), 0);
    assert_eq!(sessions.take(ID, "ann", NOW + MINUTE).err(), Some(TakeError::Lost));
    assert_eq!((sessions.len(), drops.count()), (1, 1), "found expired, it is dropped at once");
    assert_eq!(sessions.expire(NOW + MINUTE * 2), 1);
    assert_eq!((sessions.len(), drops.count()), (0, 2));
    drop(sessions.open(drops.tracked(), "ann", None, Duration::MAX, NOW, ID).unwrap());
    assert!(sessions.take(ID, "ann", NOW * 2).is_ok());
}

#[test]
fn a_session_in_use_outlives_its_time_until_it_is_returned() {
    let (sessions, drops) = (Sessions::default(), Drops::default());
    let held = sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, ID).unwrap();
    assert_eq!(sessions.expire(NOW + MINUTE), 0);
    assert_eq!(
        sessions.take(ID, "ann", NOW + MINUTE).err(),
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
    assert_eq!(sessions.close(id, "", NOW), Ok(()));
    assert!(open("a", NOW).is_ok());
    assert!(open("a", NOW).is_err());
    // Of the three, the one that a call holds counts on; the expired ones do not.
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
    assert!(sessions.take(ID, "ann", NOW).is_ok());
    assert_eq!(sessions.close(ID, "ann", NOW), Ok(()));
}

#[test]
fn a_call_may_end_its_session_and_the_id_is_free_again() {
    let (sessions, drops) = (Sessions::default(), Drops::default());
    sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, ID).unwrap().close();
    assert_eq!((sessions.len(), drops.count()), (0, 1));
    assert_eq!(sessions.take(ID, "ann", NOW).err(), Some(TakeError::Lost));
    // A hold from before a shutdown must not end the session that has its id now.
    let before = sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, ID).unwrap();
    sessions.shutdown();
    let after = sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, ID).unwrap();
    before.close();
    assert_eq!((sessions.len(), drops.count()), (1, 2));
    drop(after);
    assert!(sessions.take(ID, "ann", NOW).is_ok());
}

#[test]
fn a_panic_in_a_call_returns_the_session() {
    let sessions = Sessions::default();
    drop(sessions.open(Box::new(41), "ann", None, MINUTE, NOW, ID).unwrap());
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let mut held = sessions.take(ID, "ann", NOW).unwrap();
        *held.downcast_mut::<i32>().unwrap() += 1;
        panic!("a handler of the application's");
    }));
    assert!(panic.is_err());
    assert_eq!(sessions.take(ID, "ann", NOW).unwrap().downcast_ref(), Some(&42));
}

#[test]
fn a_panic_in_a_destructor_stays_with_its_value() {
    let (sessions, drops) = (Sessions::new(2, 16), Drops::default());
    let fresh = || Box::new(PanicsOnDrop(drops.clone()));
    let open = |id| sessions.open(fresh(), "ann", None, MINUTE, NOW, id).unwrap();
    open(ID).close();
    drop((open(ID), open(OTHER)));
    assert!(sessions.open(fresh(), "ann", None, MINUTE, NOW, ID).is_err());
    assert_eq!(sessions.expire(NOW + MINUTE), 2);
    drop((open(ID), open(OTHER)));
    sessions.shutdown();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _held = open(ID);
        sessions.shutdown();
        panic!("a handler of the application's, so that the destructor panics while this unwinds");
    }));
    assert!(panic.is_err());
    assert_eq!((sessions.len(), drops.count()), (0, 7));
    drop(open(ID));
    drop(sessions);
    assert_eq!(drops.count(), 8);
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

#[test]
fn calls_on_one_session_follow_one_another() {
    let sessions = Sessions::default();
    drop(sessions.open(Box::new(0_u32), "ann", None, MINUTE, NOW, ID).unwrap());
    let inside = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let mut held = sessions.take(ID, "ann", NOW).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two calls at once");
                    std::thread::yield_now();
                    *held.downcast_mut::<u32>().unwrap() += 1;
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(sessions.take(ID, "ann", NOW).unwrap().downcast_ref(), Some(&400_u32));
}

#[test]
fn a_waiting_call_delays_no_other_session() {
    let sessions = Sessions::default();
    let held = sessions.open(Box::new(1), "ann", None, MINUTE, NOW, ID).unwrap();
    std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| sessions.take(ID, "ann", NOW).map(|held| held.downcast_ref::<i32>().copied()));
        wait_for_callers(&sessions, 1);
        drop(sessions.open(Box::new(2), "ann", None, MINUTE, NOW, OTHER).unwrap());
        assert_eq!(sessions.take(OTHER, "ann", NOW).unwrap().downcast_ref(), Some(&2));
        assert_eq!(sessions.close(OTHER, "ann", NOW), Ok(()));
        assert_eq!(sessions.expire(NOW), 0);
        assert!(!waiting.is_finished());
        drop(held);
        assert_eq!(waiting.join().unwrap(), Ok(Some(1)));
    });
}

#[test]
fn no_more_calls_wait_than_may() {
    let sessions = Sessions::new(2, 2);
    let held = sessions.open(Box::new(0_u32), "ann", None, MINUTE, NOW, ID).unwrap();
    let busy = Some(TakeError::Busy { limit: 2 });
    std::thread::scope(|scope| {
        let increment = || *sessions.take(ID, "ann", NOW).unwrap().downcast_mut::<u32>().unwrap() += 1;
        let waiting = [scope.spawn(increment), scope.spawn(increment)];
        wait_for_callers(&sessions, 2);
        assert_eq!(sessions.take(ID, "ann", NOW).err(), busy);
        assert_eq!(sessions.close(ID, "ann", NOW).err(), busy);
        assert_eq!(sessions.take(ID, "bob", NOW).err(), Some(TakeError::Lost), "not even that it is busy");
        drop(held);
        waiting.into_iter().for_each(|call| call.join().unwrap());
    });
    assert_eq!(
        sessions.take(ID, "ann", NOW).unwrap().downcast_ref(),
        Some(&2_u32),
        "those who waited had it"
    );
    let alone = Sessions::new(1, 0);
    let held = alone.open(Box::new(()), "ann", None, MINUTE, NOW, ID).unwrap();
    assert_eq!(alone.take(ID, "ann", NOW).err(), Some(TakeError::Busy { limit: 0 }));
    drop(held);
    assert!(alone.take(ID, "ann", NOW).is_ok());
}

#[test]
fn those_who_wait_learn_that_the_session_ended() {
    let end: [fn(&Sessions, Held); 3] = [
        |_, held| held.close(),
        |sessions, held| {
            sessions.shutdown();
            drop(held);
        },
        |sessions, held| {
            drop(held);
            // Either a waiting call was quicker and has had the session, or this drops it under all that
            // wait.
            sessions.expire(NOW + MINUTE);
        },
    ];
    for (which, end) in end.into_iter().enumerate() {
        for _ in 0..50 {
            let (sessions, drops) = (Sessions::default(), Drops::default());
            let held = sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, ID).unwrap();
            let found = std::thread::scope(|scope| {
                let call = || sessions.take(ID, "ann", NOW).is_ok();
                let waiting = [scope.spawn(call), scope.spawn(call), scope.spawn(call)];
                wait_for_callers(&sessions, 3);
                end(&sessions, held);
                waiting.map(|call| call.join().unwrap())
            });
            if which < 2 {
                assert_eq!(found, [false; 3]);
            }
            sessions.expire(NOW + MINUTE);
            assert_eq!((sessions.len(), drops.count()), (0, 1));
        }
    }
}

#[test]
fn closing_waits_for_the_call_that_holds_the_session() {
    struct Job {
        done: bool,
        done_when_dropped: Arc<AtomicUsize>,
    }
    impl Drop for Job {
        fn drop(&mut self) {
            self.done_when_dropped.store(1 + usize::from(self.done), Ordering::SeqCst);
        }
    }
    let (sessions, when_dropped) = (Sessions::default(), Arc::new(AtomicUsize::new(0)));
    let job = Job { done: false, done_when_dropped: Arc::clone(&when_dropped) };
    let mut held = sessions.open(Box::new(job), "ann", None, MINUTE, NOW, ID).unwrap();
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| sessions.close(ID, "ann", NOW));
        wait_for_callers(&sessions, 1);
        held.downcast_mut::<Job>().unwrap().done = true;
        drop(held);
        assert_eq!(closing.join().unwrap(), Ok(()));
    });
    assert_eq!(when_dropped.load(Ordering::SeqCst), 2, "dropped after the call had done its work");
    assert!(sessions.is_empty());
}
