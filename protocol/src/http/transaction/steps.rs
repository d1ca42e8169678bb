//! From stage to stage: what a transaction does by itself when it is polled.

use super::admit::{Admitted, Target};
use super::answer::{Answer, Body};
use super::calling::Calling;
use super::machine::{Arrived, Stage, Transaction};
use super::upload;
use crate::effect::EffectId;
use crate::http::auth::Found;
use crate::http::reply::Reply;
use crate::http::session::{CallSession, Resumed, Waiting, not_resumed};
use crate::http::sticky::TakeError;
use http::StatusCode;
use std::task::Waker;
use std::time::Duration;

impl Transaction {
    /// Says who sends the request and what it is for. False while that waits for an effect.
    pub(super) fn authenticate(
        &mut self,
        mut found: Found,
        mut asked: Option<(EffectId, Box<str>)>,
        waker: &Waker,
    ) -> bool {
        let mut may_ask = true;
        if let Some((id, key)) = asked.take() {
            let Some(completed) = self.effects.take(id) else {
                self.stage = Stage::Authenticating { found, asked: Some((id, key)) };
                return false;
            };
            may_ask = found.answers.insert(key, completed.into_answer());
        }
        let Some(visit) = &mut self.visit else { return true };
        match self.endpoint.admit(visit, &found, may_ask) {
            Admitted::Reply(reply) => self.reply(reply),
            Admitted::Ask(ask) => {
                let asked = Some((self.effects.ask(&ask), ask.key));
                self.stage = Stage::Authenticating { found, asked };
            }
            Admitted::Target(target) => self.take_session(target, waker),
        }
        true
    }

    /// Takes hold of the sticky session that the request names, if it does. That comes before the body is read, since
    /// those who wait for a session would hold their bodies meanwhile.
    pub(super) fn take_session(&mut self, target: Target, waker: &Waker) {
        let Some(visit) = &self.visit else { return };
        if let Target::UploadUrls = target {
            self.stage = Stage::Body(target, None);
            return;
        }
        match self.endpoint.resume_session(visit, waker) {
            Ok(Resumed::Without) => self.stage = Stage::Body(target, None),
            Ok(Resumed::Session(session)) => self.stage = Stage::Body(target, Some(session)),
            Ok(Resumed::Wait(waiting)) => self.stage = Stage::Waiting(target, waiting),
            Err(error) => self.lose_session(&target, error),
        }
    }

    /// False while the session is another call's.
    pub(super) fn wait_for_session(
        &mut self,
        target: Target,
        mut waiting: Box<Waiting>,
        waker: &Waker,
    ) -> bool {
        let now = self.visit.as_ref().map_or(Duration::ZERO, |visit| visit.now);
        match waiting.poll(now, waker) {
            Ok(None) => {
                self.stage = Stage::Waiting(target, waiting);
                return false;
            }
            Ok(Some(held)) => self.stage = Stage::Body(target, Some(waiting.resumed(held))),
            Err(error) => self.lose_session(&target, error),
        }
        true
    }

    /// The session cannot be had. To a teardown one that is not there looks like one that was ended.
    pub(super) fn lose_session(&mut self, target: &Target, error: TakeError) {
        let Some(visit) = &self.visit else { return };
        let reply = match (target, error) {
            (Target::EndSession, TakeError::Busy { .. }) => Reply::empty(StatusCode::SERVICE_UNAVAILABLE),
            (Target::EndSession, _) => Reply::empty(StatusCode::OK),
            (_, error) => self.endpoint.failure(visit, &not_resumed(error)),
        };
        self.reply(reply);
    }

    pub(super) fn take_body(&mut self, target: Target, session: Option<Box<CallSession>>, body: Body) {
        let Some(mut visit) = self.visit.take() else { return };
        let body = match body {
            Body::Whole(body) if body.len() as u64 <= self.endpoint.max_body_bytes() => Ok(body),
            Body::Whole(_) | Body::TooLarge => Err(self.endpoint.too_large(&visit)),
            Body::OverBudget(error) => Err(self.endpoint.over_budget(&visit, error)),
        };
        match (body, target) {
            (Err(reply), _) => {
                self.visit = Some(visit);
                self.reply(reply);
            }
            (Ok(body), Target::Method(method, part)) => {
                visit.request_bytes = body.len() as u64;
                let calling = Calling::new(self.endpoint.clone(), visit, method, part, session, body);
                self.stage = Stage::Ready(Box::new(calling));
            }
            (Ok(body), Target::UploadUrls | Target::EndSession) => {
                match upload::requested(&self.endpoint, &visit, body) {
                    Ok(count) => self.stage = Stage::Vending(upload::ask(&mut self.effects, count)),
                    Err((status, error)) => {
                        let reply = self.endpoint.refusal(&visit, status, &error);
                        self.visit = Some(visit);
                        return self.reply(reply);
                    }
                }
                self.visit = Some(visit);
            }
        }
    }

    /// False while the URLs are being made.
    pub(super) fn vend(&mut self, id: EffectId) -> bool {
        let Some(completed) = self.effects.take(id) else {
            self.stage = Stage::Vending(id);
            return false;
        };
        if let Some(visit) = &self.visit {
            let reply = upload::answer(&self.endpoint, visit, completed.completion);
            self.reply(reply);
        }
        true
    }

    pub(super) fn reply(&mut self, reply: Reply) {
        let Some(visit) = &self.visit else { return };
        let (response, memory) = self.endpoint.finish(visit, reply);
        self.stage = Stage::Answered(Box::new(Answer { response, memory, record: None }.into()));
    }

    pub(super) fn arrive(&mut self, arrived: Arrived) {
        match arrived {
            arrived if matches!(self.stage, Stage::Running) => self.arrived.push(arrived),
            Arrived::Completed(id, completion) => self.effects.complete(id, completion),
            Arrived::Data(id, data) => {
                let account = match (&self.visit, &self.stage) {
                    (Some(visit), _) => &visit.account,
                    (None, Stage::Parked(calling)) => calling.account(),
                    (None, _) => return,
                };
                self.effects.receive(id, data, account);
            }
        }
    }
}
