//! A driver of several transactions at once.

use super::effects_out::EffectsOut;
use super::requests::{self, StreamTokens, Tokens};
use super::service;
use crate::support::http_service::NOW;
use crate::support::observed::batches_written;
use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;
use vgi_rpc_protocol::http::headers::{ARROW_STREAM, REQUEST_ID, SESSION};
use vgi_rpc_protocol::http::{RecordedResponse, RequestOrigin, Body, RequestWorkResult, Endpoint, RequestStep, Transaction, RequestWork};
use vgi_rpc_protocol::memory::{Account, Budget};
use vgi_rpc_protocol::service::Service;
use vgi_rpc_protocol::wire::keys;

/// Transactions at a time.
const AT_ONCE: usize = 5;

/// More rounds than all effects of all consecutive transactions require.
const MOST_ROUNDS: usize = 2000;

/// The transactions of one endpoint, and what ended ones have left.
pub struct Transactions {
    endpoint: Arc<Endpoint>,
    budget: Budget,
    now: Duration,
    begun: usize,
    running: Vec<Running>,
    /// Work of transactions that were dropped or have abandoned it.
    orphans: Vec<RequestWork>,
    /// Accounts of dropped transactions.
    accounts: Vec<Account>,
    tokens: Tokens,
}

/// One transaction, as its driver knows it.
struct Running {
    id: String,
    transaction: Transaction,
    account: Account,
    stream: Option<&'static str>,
    body: Bytes,
    /// The body was provided since it was last needed.
    has_body: bool,
    work: Option<RequestWork>,
    done: Option<RequestWorkResult>,
    effects: EffectsOut,
    woken: Arc<Woken>,
    /// An event has arrived since the last poll.
    is_due: bool,
    has_lost_work: bool,
    has_answered: bool,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Transactions {
    pub fn new(service: &Arc<Service>, budget: &Budget) -> Self {
        Self {
            endpoint: service::endpoint(service),
            budget: budget.clone(),
            now: NOW,
            begun: 0,
            running: Vec::new(),
            orphans: Vec::new(),
            accounts: Vec::new(),
            tokens: Tokens::default(),
        }
    }

    pub fn let_time_pass(&mut self, time: Duration) {
        self.now += time;
        self.endpoint.expire_sessions(self.now);
    }

    pub fn operate(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let operation = u.int_in_range(0..=31)?;
        if operation <= 4 || self.running.is_empty() {
            return self.begin(u);
        }
        let index = u.choose_index(self.running.len())?;
        match operation {
            5..=12 => self.poll(index),
            13..=15 => self.running[index].receive_body(u)?,
            16..=18 => self.running[index].run_work(self.now),
            19..=21 => self.running[index].complete(),
            22 => self.lose_work(index, u.arbitrary()?),
            23..=26 => {
                let running = &mut self.running[index];
                running.effects.complete_any(&mut running.transaction, u)?;
                running.is_due = true;
            }
            27 => {
                let running = &mut self.running[index];
                running.effects.repeat(&mut running.transaction, u)?;
            }
            28 => self.drop(index, u.arbitrary()?),
            29 => self.run_orphan(u.arbitrary()?),
            30 => self.endpoint.set_draining(u.ratio(1, 4)?),
            _ => self.now += Duration::from_secs(1),
        }
        Ok(())
    }

    fn begin(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if self.running.len() == AT_ONCE {
            // A transaction that has responded makes room, if there is one.
            let over = self.running.iter().position(|running| running.has_answered);
            let index = over.map_or_else(|| u.choose_index(AT_ONCE), Ok)?;
            self.drop(index, true);
        }
        let id = format!("t{}", self.begun);
        self.begun += 1;
        let requests::Described { request, stream } = requests::draw(u, &id, &self.tokens)?;
        let (head, body) = request.into_parts();
        let account = self.budget.account();
        let remote_address = Some("192.0.2.7:4711".into());
        let arrival = RequestOrigin {
            now: self.now,
            remote_address,
            account: account.clone(),
            ..RequestOrigin::default()
        };
        self.running.push(Running {
            id,
            transaction: self.endpoint.begin(head, arrival),
            account,
            stream,
            body,
            has_body: false,
            work: None,
            done: None,
            effects: EffectsOut::default(),
            woken: Arc::default(),
            is_due: true,
            has_lost_work: false,
            has_answered: false,
        });
        Ok(())
    }

    fn poll(&mut self, index: usize) {
        let answer = self.running[index].poll(self.now);
        if let Some(answer) = answer {
            self.answered(index, answer);
        }
    }

    fn answered(&mut self, index: usize, answer: RecordedResponse) {
        let running = &mut self.running[index];
        assert!(!running.has_answered, "a request is answered once");
        running.has_answered = true;
        assert!(running.effects.is_empty(), "the effects of an answered request are withdrawn");
        let (started, ended) = service::call(&running.id);
        assert!(started <= 1 && started == ended || running.has_lost_work, "{started} starts, {ended} ends");
        assert!(answer.record.is_some() || started == 0 || running.has_lost_work, "a call has a record");
        let (head, body) = answer.response.into_parts();
        let documented = [200, 204, 400, 401, 404, 405, 413, 415, 500, 503];
        assert!(documented.contains(&head.status.as_u16()), "{} is not documented", head.status);
        // Even a request whose work was lost has exactly one such header.
        let ids = head.headers.get_all(REQUEST_ID).iter().count();
        assert!(ids == 1 || running.has_lost_work, "{:?}", head.headers);
        if let Some(token) = head.headers.get(SESSION) {
            keep(&mut self.tokens.sessions, token.clone());
        }
        if head.headers.get(CONTENT_TYPE).is_some_and(|value| value == ARROW_STREAM) {
            let batches = batches_written(body.concat(), false);
            let token = |key: &str| {
                batches.iter().find_map(|(_, metadata)| metadata.get(key)).map(<[u8]>::to_vec)
            };
            if let (Some(method), Some(cursor), Some(call)) =
                (running.stream, token(keys::STREAM_STATE), token(keys::CALL_STATE))
            {
                keep(&mut self.tokens.streams, StreamTokens { method, cursor, call });
            }
        }
    }

    /// Loses pending work: it is dropped, or runs later without delivering its result.
    fn lose_work(&mut self, index: usize, is_dropped: bool) {
        let running = &mut self.running[index];
        running.has_lost_work |= running.work.is_some() || running.done.take().is_some();
        if let Some(work) = running.work.take()
            && !is_dropped
        {
            self.orphans.push(work);
        }
        running.transaction.lose_work();
        running.is_due = true;
    }

    fn drop(&mut self, index: usize, with_work: bool) {
        let running = self.running.swap_remove(index);
        self.accounts.push(running.account);
        if let Some(work) = running.work
            && !with_work
        {
            self.orphans.push(work);
        }
        if let Some(mut done) = running.done {
            done.take_record(self.now);
        }
    }

    fn run_orphan(&mut self, is_dropped: bool) {
        let Some(work) = self.orphans.pop() else { return };
        if !is_dropped {
            let now = self.now;
            drop(work.run(&|| now));
        }
    }

    /// Drives every transaction to its end, and checks the final state.
    pub fn finish(mut self) {
        for round in 0.. {
            assert!(round < MOST_ROUNDS, "it does not terminate: {:?}", self.running.last().map(|r| &r.transaction));
            let mut has_moved = !self.orphans.is_empty();
            self.run_orphan(false);
            for index in 0..self.running.len() {
                if self.running[index].has_answered {
                    continue;
                }
                has_moved |= self.running[index].go_on(self.now);
                if self.running[index].may_poll() {
                    has_moved = true;
                    self.poll(index);
                }
            }
            if !has_moved {
                break;
            }
        }
        for running in &mut self.running {
            assert!(running.has_answered, "{:?} waits for an event that cannot happen", running.transaction);
            assert!(running.poll(self.now).is_none(), "a request is answered once");
        }
        self.accounts.extend(self.running.drain(..).map(|running| running.account));
        let held: usize = self.accounts.iter().map(Account::held).sum();
        assert_eq!(held, 0, "the memory of every request is released");
        let alive = service::tally().sessions;
        assert_eq!(self.endpoint.session_count(), alive, "the number of sessions is right");
        assert!(alive <= service::MAX_SESSIONS);
        self.let_time_pass(Duration::from_secs(1000));
        assert_eq!(self.endpoint.session_count(), 0, "every session expires");
    }
}

impl Running {
    fn poll(&mut self, now: Duration) -> Option<RecordedResponse> {
        self.is_due = false;
        self.woken.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(self.woken.clone());
        let next = self.transaction.poll(now, &waker);
        self.effects.take_up(|| self.transaction.poll_effect());
        match next {
            RequestStep::NeedBody => self.has_body = false,
            RequestStep::Work(work) => {
                let is_first = self.work.is_none() && self.done.is_none();
                assert!(is_first && !self.has_answered, "one piece of work is pending at a time");
                self.work = Some(work);
            }
            RequestStep::Waiting => {
                // Queued requests are checked at the end: then only a wake-up resumes them.
                let is_queued = format!("{:?}", self.transaction).contains("waiting for the session");
                let is_out = self.work.is_some() || self.done.is_some() || !self.effects.is_empty();
                assert!(is_queued || is_out, "{:?} waits for nothing", self.transaction);
            }
            RequestStep::Answer(answer) => return Some(answer),
            RequestStep::Over => assert!(self.has_answered, "a request ends once it is answered"),
        }
        None
    }

    fn may_poll(&self) -> bool {
        self.is_due || self.woken.0.load(Ordering::Relaxed)
    }

    fn receive_body(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let body = match u.int_in_range(0..=9)? {
            0 => Body::TooLarge,
            1 => match self.account.reserve(usize::MAX / 4) {
                Err(error) => Body::OverBudget(error),
                Ok(_) => Body::TooLarge,
            },
            _ => Body::Whole(self.body.clone()),
        };
        // A second one is refused.
        let _ = self.transaction.receive_body(body);
        self.is_due = true;
        Ok(())
    }

    fn run_work(&mut self, now: Duration) {
        if let Some(work) = self.work.take() {
            self.done = Some(work.run(&|| now));
        }
    }

    fn complete(&mut self) {
        if let Some(done) = self.done.take() {
            // Refused if the client has disconnected.
            let _ = self.transaction.complete(done);
            self.is_due = true;
        }
    }

    /// Advances without a poll. Returns false if there is nothing to do.
    fn go_on(&mut self, now: Duration) -> bool {
        let is_out = self.work.is_some() || self.done.is_some() || !self.effects.is_empty();
        self.run_work(now);
        self.complete();
        self.effects.complete_all(&mut self.transaction);
        let body = std::mem::replace(&mut self.has_body, true);
        if !body {
            let _ = self.transaction.receive_body(Body::Whole(self.body.clone()));
        }
        self.is_due |= is_out || !body;
        is_out || !body
    }
}

/// Replaces an older token by this one.
fn keep<T>(tokens: &mut Vec<T>, token: T) {
    if tokens.len() == 4 {
        tokens.remove(0);
    }
    tokens.push(token);
}
