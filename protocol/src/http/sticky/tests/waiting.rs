//! Calls that wait for one session: their order, and what happens when it ends.

use super::*;
use std::thread::{self, Thread};

#[test]
fn tickets_are_served_in_the_order_in_which_they_came() {
    let (sessions, held, mut waiting) = in_use::<8>(&Drops::default());
    let mut holder = Some(held);
    for turn in 0..8 {
        // Whatever the order of polls.
        for index in (turn..8).rev() {
            assert!(waiting[index].waits(), "{index} while another call holds it");
        }
        assert_eq!(wakes(&waiting), std::array::from_fn(|index| usize::from(index < turn)));
        drop(holder.take());
        for index in (turn + 1..8).rev() {
            assert!(waiting[index].waits(), "{index} while it is the turn of {turn}");
        }
        assert_eq!(wakes(&waiting), std::array::from_fn(|index| usize::from(index <= turn)));
        holder = Some(waiting[turn].held());
        assert_eq!(waiting[turn].poll(NOW).err(), LOST, "a ticket is good for one turn");
    }
    drop(holder);
    drop(waiting);
    drop(take(&sessions, ID, NOW));
}

#[test]
fn a_later_call_does_not_overtake_a_ticket_that_was_woken() {
    let (sessions, held, [mut first]) = in_use(&Drops::default());
    drop(held);
    assert_eq!(first.wakes.count(), 1);
    let mut later = queue(&sessions);
    assert!(later.waits());
    let held = first.held();
    assert!(later.waits());
    assert_eq!(later.wakes.count(), 0);
    drop(held);
    assert_eq!(later.wakes.count(), 1);
    drop(later.held());
    drop(take(&sessions, ID, NOW));
}

#[test]
fn a_dropped_ticket_leaves_the_queue_to_the_others() {
    let (sessions, held, waiting) = in_use::<4>(&Drops::default());
    let [head, mut second, middle, mut last] = waiting;
    drop(middle);
    drop(head);
    assert_eq!((second.wakes.count(), last.wakes.count()), (0, 0), "the session is still in use");
    drop(held);
    assert_eq!((second.wakes.count(), last.wakes.count()), (1, 0));
    assert!(last.waits());
    let held = second.held();
    drop(second);
    assert!(last.waits(), "the ticket is gone, the hold that it gave is not");
    drop(held);
    drop(last.held());
    drop(take(&sessions, ID, NOW));
}

#[test]
fn a_ticket_that_is_dropped_in_its_turn_passes_the_session_on() {
    let (sessions, held, [first, second, mut third]) = in_use(&Drops::default());
    drop(held);
    drop(first);
    assert_eq!((second.wakes.count(), third.wakes.count()), (1, 0));
    drop(second);
    assert_eq!(third.wakes.count(), 1);
    drop(third.held());
    // After the last one, the session is free.
    let held = take(&sessions, ID, NOW);
    let last = queue(&sessions);
    drop(held);
    drop(last);
    drop(take(&sessions, ID, NOW));
}

#[test]
fn a_ticket_wakes_the_waker_of_its_last_poll() {
    let (_sessions, held, [mut waiting]) = in_use(&Drops::default());
    let (wakes, waker) = Wakes::fresh();
    assert!(waiting.ticket.poll(NOW, &waker).unwrap().is_none());
    drop(held);
    assert_eq!((waiting.wakes.count(), wakes.count()), (0, 1));
    assert_eq!(Arc::strong_count(&waiting.wakes), 2, "no copy of the first is kept");
    drop(waiting.held());
    drop(waker);
    assert_eq!(Arc::strong_count(&wakes), 1);
}

#[test]
fn a_ticket_polled_after_the_end_of_its_session_ends_it_for_all() {
    let drops = Drops::default();
    let (sessions, held, mut waiting) = in_use::<3>(&drops);
    drop(held);
    assert_eq!((wakes(&waiting), drops.count()), ([1, 0, 0], 0));
    assert_eq!(waiting[0].poll(NOW + MINUTE).err(), LOST);
    assert_eq!((wakes(&waiting), drops.count(), sessions.len()), ([1, 1, 1], 1, 0));
    assert!(waiting.iter_mut().all(|waiting| waiting.poll(NOW).err() == LOST));
    // Likewise if it was not its turn.
    let (sessions, held, mut waiting) = in_use::<3>(&drops);
    drop(held);
    assert_eq!(waiting[2].poll(NOW + MINUTE).err(), LOST);
    assert_eq!((wakes(&waiting), drops.count(), sessions.len()), ([1, 1, 0], 2, 0), "it is not woken itself");
    assert!(waiting.iter_mut().all(|waiting| waiting.poll(NOW).err() == LOST));
}

#[test]
fn those_who_wait_lose_a_session_whose_time_ends_in_use() {
    let notice: [fn(&Sessions, &mut Waiting); 3] = [
        |sessions, _| assert_eq!(refusal(sessions, ID, "ann", NOW + MINUTE), LOST),
        |sessions, _| assert_eq!(sessions.expire(NOW + MINUTE), 0),
        |_, last| assert_eq!(last.poll(NOW + MINUTE).err(), LOST),
    ];
    for (notice, last_woken) in notice.into_iter().zip([1, 1, 0]) {
        let drops = Drops::default();
        let (sessions, held, mut waiting) = in_use::<3>(&drops);
        notice(&sessions, &mut waiting[2]);
        assert_eq!(wakes(&waiting), [1, 1, last_woken]);
        assert!(waiting.iter_mut().all(|waiting| waiting.poll(NOW).err() == LOST));
        assert!(held.downcast_ref::<Tracked>().is_some());
        assert_eq!((sessions.len(), drops.count()), (1, 0), "the call that holds it keeps it");
        drop(held);
        assert_eq!((sessions.expire(NOW + MINUTE), drops.count()), (1, 1));
    }
}

#[test]
fn a_session_whose_ticket_is_never_polled_ends_at_its_time() {
    let drops = Drops::default();
    let (sessions, held, mut waiting) = in_use::<2>(&drops);
    drop(held);
    assert_eq!(sessions.expire(NOW), 0);
    assert_eq!(sessions.expire(NOW + MINUTE), 1);
    assert_eq!((wakes(&waiting), drops.count(), sessions.len()), ([1, 1], 1, 0));
    assert!(waiting.iter_mut().all(|waiting| waiting.poll(NOW).err() == LOST));
}

#[test]
fn the_end_of_a_session_wakes_all_who_wait() {
    let end: [fn(&Sessions, SessionGuard); 3] = [
        |_, held| held.close(),
        |sessions, held| {
            sessions.shutdown();
            drop(held);
        },
        |sessions, held| {
            drop(held);
            sessions.shutdown();
        },
    ];
    for end in end {
        let drops = Drops::default();
        let (sessions, held, mut waiting) = in_use::<3>(&drops);
        end(&sessions, held);
        assert_eq!((wakes(&waiting), drops.count(), sessions.len()), ([1; 3], 1, 0));
        assert!(waiting.iter_mut().all(|waiting| waiting.poll(NOW).err() == LOST));
        assert!(waiting.iter_mut().all(|waiting| waiting.poll(NOW).err() == LOST), "and stays lost");
    }
}

#[test]
fn a_shutdown_wakes_those_who_wait_while_the_session_is_in_use() {
    let drops = Drops::default();
    let (sessions, held, mut waiting) = in_use::<2>(&drops);
    sessions.shutdown();
    assert_eq!(wakes(&waiting), [1; 2]);
    assert!(waiting.iter_mut().all(|waiting| waiting.poll(NOW).err() == LOST));
    assert_eq!(drops.count(), 0);
    drop(held);
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_teardown_waits_for_its_turn() {
    let drops = Drops::default();
    let (sessions, held, [mut call, mut teardown, mut late]) = in_use(&drops);
    drop(held);
    drop(call.held());
    assert_eq!(drops.count(), 0);
    teardown.held().close();
    assert_eq!((drops.count(), sessions.len()), (1, 0));
    assert_eq!((late.wakes.count(), late.poll(NOW).err()), (1, LOST));
}

#[test]
fn no_more_calls_wait_than_may() {
    let sessions = Sessions::new(2, 2);
    let held = sessions.open(Box::new(()), "ann", None, MINUTE, NOW, ID).unwrap();
    let busy = Some(TakeError::Busy { limit: 2 });
    let (mut first, second) = (queue(&sessions), queue(&sessions));
    assert_eq!(refusal(&sessions, ID, "ann", NOW), busy);
    assert_eq!(
        refusal(&sessions, ID, "bob", NOW),
        LOST,
        "another caller does not even learn that it is busy"
    );
    drop(held);
    assert_eq!(refusal(&sessions, ID, "ann", NOW), busy, "the first has yet to fetch it");
    let held = first.held();
    let third = queue(&sessions);
    assert_eq!(refusal(&sessions, ID, "ann", NOW), busy);
    drop(second);
    let fourth = queue(&sessions);
    assert_eq!(refusal(&sessions, ID, "ann", NOW), busy);
    drop((held, third, fourth));
    drop(take(&sessions, ID, NOW));

    let alone = Sessions::new(1, 0);
    let held = alone.open(Box::new(()), "ann", None, MINUTE, NOW, ID).unwrap();
    assert_eq!(refusal(&alone, ID, "ann", NOW), Some(TakeError::Busy { limit: 0 }));
    drop(held);
    drop(take(&alone, ID, NOW));
}

#[test]
fn a_waiting_call_delays_no_other_session() {
    let (sessions, held, [mut waiting]) = in_use(&Drops::default());
    drop(sessions.open(Box::new(2), "ann", None, MINUTE, NOW, OTHER).unwrap());
    assert_eq!(take(&sessions, OTHER, NOW).downcast_ref(), Some(&2));
    take(&sessions, OTHER, NOW).close();
    assert_eq!((sessions.len(), waiting.wakes.count()), (1, 0));
    drop(held);
    drop(waiting.held());
}

#[test]
fn a_ticket_keeps_the_registry_alive() {
    let drops = Drops::default();
    let (sessions, held, [mut first, second]) = in_use(&drops);
    drop(sessions);
    drop(held);
    drop(first.held());
    drop(first);
    assert_eq!((drops.count(), second.wakes.count()), (0, 1));
    drop(second);
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_call_that_panics_hands_the_session_over() {
    let (_sessions, held, [mut waiting]) = in_use(&Drops::default());
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _held = held;
        panic!("a handler of the application's");
    }));
    assert!(panic.is_err());
    assert_eq!(waiting.wakes.count(), 1);
    drop(waiting.held());
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Takes a session, and parks the thread until it is available.
fn take_parking(sessions: &Sessions) -> Result<SessionGuard, TakeError> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut ticket = match sessions.take(ID, "ann", NOW, &waker)? {
        Taken::Now(held) => return Ok(held),
        Taken::Wait(ticket) => ticket,
    };
    loop {
        if let Some(held) = ticket.poll(NOW, &waker)? {
            return Ok(held);
        }
        thread::park();
    }
}

#[test]
fn calls_on_several_threads_follow_one_another() {
    let sessions = Sessions::default();
    drop(sessions.open(Box::new(0_u32), "ann", None, MINUTE, NOW, ID).unwrap());
    let inside = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (sessions, inside) = (&sessions, &inside);
            scope.spawn(move || {
                for round in 0..200 {
                    if (thread + round) % 5 == 0 {
                        // Drops its ticket at once, whether it is its turn or not.
                        drop(sessions.take(ID, "ann", NOW, Waker::noop()).unwrap());
                    }
                    let mut held = take_parking(sessions).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two calls at once");
                    thread::yield_now();
                    *held.downcast_mut::<u32>().unwrap() += 1;
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(take(&sessions, ID, NOW).downcast_ref(), Some(&800_u32));
}

#[test]
fn threads_that_wait_learn_that_the_session_ended() {
    let end: [fn(&Sessions, SessionGuard); 3] = [
        |_, held| held.close(),
        |sessions, held| {
            sessions.shutdown();
            drop(held);
        },
        |sessions, held| {
            drop(held);
            // Before, between or after the turns of the threads.
            sessions.expire(NOW + MINUTE);
        },
    ];
    for (which, end) in end.into_iter().enumerate() {
        for _ in 0..50 {
            let (sessions, drops) = (Sessions::default(), Drops::default());
            let held = sessions.open(drops.tracked(), "ann", None, MINUTE, NOW, ID).unwrap();
            let found = thread::scope(|scope| {
                let call = || take_parking(&sessions).is_ok();
                let waiting = [scope.spawn(call), scope.spawn(call), scope.spawn(call)];
                thread::yield_now();
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
fn what_a_call_keeps_may_move_between_threads() {
    fn moves<T: Send + 'static>() {}
    moves::<SessionGuard>();
    moves::<Ticket>();
    moves::<Taken>();
}
