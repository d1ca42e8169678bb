//! Random sequences of operations on one session, compared with a model that is a list of tickets.

use super::*;
use crate::IdSource;
use std::collections::VecDeque;

const MAX_WAITING: usize = 6;
const SEEDS: u64 = 300;
const STEPS: usize = 200;

/// A ticket that has not been dropped.
struct Client {
    number: usize,
    /// The number of sessions that had ended before the one it waits for.
    session: usize,
    ticket: Ticket,
    wakes: Arc<Wakes>,
    waker: Waker,
    /// How often it should have been woken since it entered the queue.
    expected_wakes: usize,
    /// Whether it has not been woken since the last poll.
    sleeps: bool,
}

/// The expected state.
#[derive(Debug, Default)]
struct Model {
    /// Whether a session is open.
    is_open: bool,
    is_held: bool,
    expires_at: Duration,
    /// The numbers of the waiting tickets.
    line: VecDeque<usize>,
    ended: usize,
}

struct Run {
    sessions: Sessions,
    drops: Drops,
    now: Duration,
    /// The guard of the open session.
    held: Option<SessionGuard>,
    /// The guards of sessions that have ended.
    orphans: Vec<SessionGuard>,
    clients: Vec<Client>,
    next_number: usize,
    served: usize,
    lost: usize,
    /// The number of sessions that have expired.
    expired: usize,
    model: Model,
    random: IdSource,
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            sessions: Sessions::new(1, MAX_WAITING),
            drops: Drops::default(),
            now: NOW,
            held: None,
            orphans: Vec::new(),
            clients: Vec::new(),
            next_number: 0,
            served: 0,
            lost: 0,
            expired: 0,
            model: Model::default(),
            random: IdSource::seeded(seed),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.next_u64() >> 33).unwrap() % bound
    }

    fn step(&mut self) {
        match self.below(32) {
            0..8 => self.take(),
            8..13 => self.give_back(),
            13..22 => self.poll_any(),
            22..25 => self.drop_any(),
            25 => self.close(),
            26 => self.expire(),
            27 => self.shut_down(),
            28 => self.now += MINUTE / 2,
            29 => self.end_orphan(),
            _ => self.open(),
        }
        self.check();
    }

    fn open(&mut self) {
        self.expire();
        if self.model.is_open {
            return;
        }
        let held = self.sessions.open(self.drops.tracked(), "ann", None, MINUTE, self.now, ID).unwrap();
        self.held = Some(held);
        self.model.is_open = true;
        self.model.is_held = true;
        self.model.expires_at = self.now + MINUTE;
    }

    fn take(&mut self) {
        let (wakes, waker) = Wakes::fresh();
        let taken = self.sessions.take(ID, "ann", self.now, &waker);
        self.notice_expiry();
        let has_expired = self.now >= self.model.expires_at;
        match taken {
            Err(TakeError::Lost) => assert!(!self.model.is_open || has_expired),
            Err(TakeError::Busy { limit }) => {
                assert_eq!((limit, self.model.line.len()), (MAX_WAITING, MAX_WAITING));
            }
            Ok(taken) => {
                assert!(self.model.is_open && !has_expired);
                match taken {
                    Taken::Now(held) => {
                        assert!(self.model.line.is_empty(), "overtook those who wait");
                        self.hold(held);
                    }
                    Taken::Wait(ticket) => {
                        assert!(self.model.is_held || !self.model.line.is_empty());
                        assert!(self.model.line.len() < MAX_WAITING);
                        let number = self.next_number;
                        self.next_number += 1;
                        self.model.line.push_back(number);
                        self.clients.push(Client {
                            number,
                            session: self.model.ended,
                            ticket,
                            wakes,
                            waker,
                            expected_wakes: 0,
                            sleeps: true,
                        });
                    }
                }
            }
        }
    }

    /// A call takes the session.
    fn hold(&mut self, held: SessionGuard) {
        assert!(!self.model.is_held, "two calls hold it at once");
        assert!(held.downcast_ref::<Tracked>().is_some());
        self.model.is_held = true;
        self.held = Some(held);
    }

    fn give_back(&mut self) {
        let Some(held) = self.held.take() else { return };
        drop(held);
        self.model.is_held = false;
        self.hand_over();
    }

    fn close(&mut self) {
        let Some(held) = self.held.take() else { return };
        held.close();
        self.model.is_held = false;
        self.end();
    }

    /// A call returns or closes a session that has ended. This affects no other session.
    fn end_orphan(&mut self) {
        let closes = self.below(2) == 0;
        match self.orphans.pop() {
            Some(held) if closes => held.close(),
            held => drop(held),
        }
    }

    fn poll_any(&mut self) {
        if !self.clients.is_empty() {
            let index = self.below(self.clients.len());
            self.poll(index);
        }
    }

    fn poll(&mut self, index: usize) {
        if self.below(3) == 0 {
            // With another waker. Only the last waker is used.
            let client = &mut self.clients[index];
            (client.wakes, client.waker) = Wakes::fresh();
            client.expected_wakes = 0;
        }
        let client = &mut self.clients[index];
        let number = client.number;
        let polled = client.ticket.poll(self.now, &client.waker);
        if self.model.is_open && client.session == self.model.ended {
            // A ticket notices that its session has expired even if it has already lost it. The poll reports the end, so the
            // ticket is not woken.
            let expected_wakes = client.expected_wakes;
            self.notice_expiry();
            let client = &mut self.clients[index];
            client.expected_wakes = expected_wakes;
            assert_eq!(client.wakes.count(), expected_wakes);
        }
        match polled {
            Ok(Some(held)) => {
                assert_eq!(self.model.line.pop_front(), Some(number), "out of turn");
                self.clients.remove(index);
                self.served += 1;
                self.hold(held);
            }
            Ok(None) => {
                assert!(self.model.line.contains(&number));
                assert!(self.model.is_held || self.model.line.front() != Some(&number), "was its turn");
                self.clients[index].sleeps = true;
            }
            Err(error) => {
                assert_eq!(error, TakeError::Lost);
                assert!(!self.model.line.contains(&number), "lost a session that goes on");
                self.clients.remove(index);
                self.lost += 1;
            }
        }
    }

    fn drop_any(&mut self) {
        if self.clients.is_empty() {
            return;
        }
        let index = self.below(self.clients.len());
        let client = self.clients.remove(index);
        let number = client.number;
        let had_turn = !self.model.is_held && self.model.line.front() == Some(&number);
        drop(client);
        self.model.line.retain(|&other| other != number);
        if had_turn {
            self.hand_over();
        }
    }

    fn expire(&mut self) {
        let ends = self.model.is_open && !self.model.is_held && self.now >= self.model.expires_at;
        assert_eq!(self.sessions.expire(self.now), usize::from(ends));
        self.notice_expiry();
    }

    fn shut_down(&mut self) {
        self.sessions.shutdown();
        if self.model.is_open {
            self.end();
        }
    }

    /// Applies a noticed expiry to the model.
    fn notice_expiry(&mut self) {
        if !self.model.is_open || self.now < self.model.expires_at {
            return;
        }
        if self.model.is_held {
            self.turn_away();
        } else {
            self.end();
            self.expired += 1;
        }
    }

    fn end(&mut self) {
        self.model.is_open = false;
        self.model.ended += 1;
        if std::mem::take(&mut self.model.is_held) {
            self.orphans.extend(self.held.take());
        }
        self.turn_away();
    }

    fn turn_away(&mut self) {
        for number in std::mem::take(&mut self.model.line) {
            self.expect_wake(number);
        }
    }

    fn hand_over(&mut self) {
        if let Some(&number) = self.model.line.front() {
            self.expect_wake(number);
        }
    }

    fn expect_wake(&mut self, number: usize) {
        let client = self.clients.iter_mut().find(|client| client.number == number).unwrap();
        // After it was woken, it is not woken again until it is polled.
        if std::mem::take(&mut client.sleeps) {
            client.expected_wakes += 1;
        }
    }

    fn check(&self) {
        for client in &self.clients {
            assert_eq!(client.wakes.count(), client.expected_wakes, "wakes of {}", client.number);
        }
        assert_eq!(self.sessions.len(), usize::from(self.model.is_open));
        let dropped = self.model.ended - self.orphans.len();
        assert_eq!(self.drops.count(), dropped, "values that were dropped");
    }

    /// Serves all waiting tickets, and polls only those that were woken.
    fn settle(&mut self) {
        self.give_back();
        while let Some(index) = self.clients.iter().position(|client| !client.sleeps) {
            self.poll(index);
            self.give_back();
            self.check();
        }
        assert!(self.clients.is_empty(), "a ticket was forgotten: {:?}", self.model);
    }
}

#[test]
fn calls_agree_with_the_model_in_any_order() {
    let (mut served, mut lost, mut expired) = (0, 0, 0);
    for seed in 0..SEEDS {
        let mut run = Run::new(seed);
        (0..STEPS).for_each(|_| run.step());
        run.settle();
        let ended = run.model.ended + usize::from(run.model.is_open);
        served += run.served;
        lost += run.lost;
        expired += run.expired;
        let drops = run.drops.clone();
        drop(run);
        assert_eq!(drops.count(), ended, "seed {seed}");
    }
    let reached = (served, lost, expired);
    assert!(
        served > 1000 && lost > 1000 && expired > 100,
        "the steps should reach all of these: {reached:?}"
    );
}
