//! Wakers and destructors that panic, or call into the registry again.

use super::*;
use std::sync::{Mutex, OnceLock};

struct PanicsOnDrop(Drops);

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
        panic!("a destructor of the application's");
    }
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

/// Panics when it is woken, or else when its last copy is dropped.
#[derive(Default)]
struct PanicsAlways(Wakes);

impl Wake for PanicsAlways {
    fn wake(self: Arc<Self>) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
        panic!("a waker of the driver's");
    }
}

impl Drop for PanicsAlways {
    fn drop(&mut self) {
        if self.0.count() == 0 && !std::thread::panicking() {
            self.0.0.fetch_add(1, Ordering::SeqCst);
            panic!("the destructor of a waker of the driver's");
        }
    }
}

#[test]
fn a_panic_in_a_waker_ends_there() {
    let (sessions, held, [mut waiting]) = in_use(&Drops::default());
    // Its last copy is the one in the queue.
    let panics = || queue_with(&sessions, &Waker::from(Arc::<PanicsAlways>::default()));
    let (mut replaced, dropped, mut woken) = (panics(), panics(), panics());
    assert!(replaced.poll(NOW, Waker::noop()).unwrap().is_none(), "the first waker is dropped here");
    drop(replaced);
    drop(dropped);
    let last = queue(&sessions);
    drop(held);
    drop(waiting.held());
    let held = woken.poll(NOW, Waker::noop()).unwrap().expect("woken, and its waker panicked");
    assert_eq!(last.wakes.count(), 0);
    let (_first, _second, after) = (panics(), panics(), queue(&sessions));
    held.close();
    assert_eq!((last.wakes.count(), after.wakes.count(), sessions.len()), (1, 1, 0), "all are woken");
}

#[test]
fn a_panic_in_a_waker_while_a_call_unwinds_ends_there() {
    let (sessions, held, []) = in_use(&Drops::default());
    let mut ticket = queue_with(&sessions, &Waker::from(Arc::<PanicsAlways>::default()));
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _held = held;
        panic!("a handler of the application's, so that the waker panics while this unwinds");
    }));
    assert!(panic.is_err());
    assert!(ticket.poll(NOW, Waker::noop()).unwrap().is_some());
}

/// Calls into the registry when it is woken: polls its ticket, and more.
struct Reenters {
    sessions: Sessions,
    ticket: Mutex<Option<Ticket>>,
    result: OnceLock<Result<bool, TakeError>>,
}

impl Wake for Reenters {
    fn wake(self: Arc<Self>) {
        let mut ticket = self.ticket.lock().unwrap().take().expect("woken once");
        let _ = (self.sessions.len(), self.sessions.expire(NOW));
        let result = ticket.poll(NOW, Waker::noop());
        if let Ok(Some(_)) = &result {
            // In the queue behind its own guard.
            drop(queue(&self.sessions));
        } else {
            // A woken ticket whose session has ended finds the id free again.
            drop(self.sessions.open(Box::new(()), "ann", None, MINUTE, NOW, ID).unwrap());
            take(&self.sessions, ID, NOW).close();
        }
        self.result.set(result.map(|held| held.is_some())).unwrap();
    }
}

impl Reenters {
    fn queue(sessions: &Sessions) -> Arc<Self> {
        let (ticket, result) = (Mutex::new(None), OnceLock::new());
        let this = Arc::new(Self { sessions: sessions.clone(), ticket, result });
        *this.ticket.lock().unwrap() = Some(queue_with(sessions, &Waker::from(Arc::clone(&this))));
        this
    }
}

#[test]
fn a_waker_may_call_into_the_registry() {
    // Each ticket takes the session within its wake, and returning it wakes the next.
    let (sessions, held, []) = in_use(&Drops::default());
    let chain = [(); 4].map(|()| Reenters::queue(&sessions));
    drop(held);
    assert!(chain.iter().all(|waiting| waiting.result.get() == Some(&Ok(true))));
    drop(take(&sessions, ID, NOW));

    let end: [fn(&Sessions, SessionGuard); 4] = [
        |_, held| held.close(),
        |sessions, _held| sessions.shutdown(),
        |sessions, held| {
            drop(held);
            sessions.expire(NOW + MINUTE);
        },
        |sessions, held| {
            drop(held);
            assert_eq!(refusal(sessions, ID, "ann", NOW + MINUTE), LOST);
        },
    ];
    for end in end {
        // The first ticket is never polled, so the others still wait when the session ends.
        let (sessions, held, [_first]) = in_use(&Drops::default());
        let waiting = [(); 2].map(|()| Reenters::queue(&sessions));
        end(&sessions, held);
        assert!(waiting.iter().all(|waiting| waiting.result.get() == Some(&Err(TakeError::Lost))));
        assert!(sessions.is_empty());
    }
}

#[test]
fn the_destructor_of_a_value_may_call_into_the_registry() {
    struct Reopens(Sessions);
    impl Drop for Reopens {
        fn drop(&mut self) {
            drop(self.0.open(Box::new(()), "ann", None, MINUTE, NOW, ID).unwrap());
        }
    }
    let sessions = Sessions::default();
    let open = || sessions.open(Box::new(Reopens(sessions.clone())), "ann", None, MINUTE, NOW, ID).unwrap();
    open().close();
    take(&sessions, ID, NOW).close();
    drop(open());
    sessions.shutdown();
    take(&sessions, ID, NOW).close();
    let held = open();
    let mut ticket = queue(&sessions);
    drop(held);
    assert_eq!(ticket.poll(NOW + MINUTE).err(), LOST);
    take(&sessions, ID, NOW).close();
}
