//! The transitions between stages when a transaction is polled.

use super::admit::{Admitted, Target};
use super::call::Calling;
use super::machine::{Arrived, Stage, Transaction};
use super::response::{Body, RecordedResponse};
use super::upload;
use crate::effect::EffectId;
#[cfg(feature = "oauth-pkce")]
use crate::effect::Request as EffectRequest;
use crate::http::auth::Found;
#[cfg(feature = "oauth-pkce")]
use crate::http::oauth::form_too_large;
use crate::http::response_draft::ResponseDraft;
use crate::http::session::{CallSession, Resumed, Waiting, not_resumed};
#[cfg(feature = "oauth-pkce")]
use crate::http::slots::Slot;
use crate::http::sticky::TakeError;
use http::StatusCode;
use std::task::Waker;
use std::time::Duration;

impl Transaction {
    /// Authenticates the request and determines its target. Returns false while this waits for an effect.
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
        let Some(request) = &mut self.request else { return true };
        match self.endpoint.admit(request, &found, may_ask) {
            Admitted::Draft(draft) => self.answer(draft),
            Admitted::Ask(ask) => {
                let asked = Some((self.effects.ask(&ask), ask.key));
                self.stage = Stage::Authenticating { found, asked };
            }
            Admitted::Target(target) => self.take_session(target, waker),
        }
        true
    }

    /// Takes the sticky session that the request names, if any. This happens before the body is read; otherwise waiting
    /// requests would keep their bodies in memory.
    pub(super) fn take_session(&mut self, target: Target, waker: &Waker) {
        let Some(request) = &self.request else { return };
        if !target.may_have_session() {
            self.stage = Stage::Body(target, None);
            return;
        }
        match self.endpoint.resume_session(request, waker) {
            Ok(Resumed::Without) => self.stage = Stage::Body(target, None),
            Ok(Resumed::Session(session)) => self.stage = Stage::Body(target, Some(session)),
            Ok(Resumed::Wait(waiting)) => self.stage = Stage::Waiting(target, waiting),
            Err(error) => self.lose_session(&target, error),
        }
    }

    /// Waits for the session. Returns false while another call uses it.
    pub(super) fn wait_for_session(
        &mut self,
        target: Target,
        mut waiting: Box<Waiting>,
        waker: &Waker,
    ) -> bool {
        let now = self.request.as_ref().map_or(Duration::ZERO, |request| request.now);
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

    /// Handles a session that is not available. For a teardown, a missing session counts as ended.
    pub(super) fn lose_session(&mut self, target: &Target, error: TakeError) {
        let Some(request) = &self.request else { return };
        let draft = match (target, error) {
            (Target::EndSession, TakeError::Busy { .. }) => {
                ResponseDraft::empty(StatusCode::SERVICE_UNAVAILABLE)
            }
            (Target::EndSession, _) => ResponseDraft::empty(StatusCode::OK),
            (_, error) => self.endpoint.failure(request, &not_resumed(error)),
        };
        self.answer(draft);
    }

    pub(super) fn take_body(&mut self, target: Target, session: Option<Box<CallSession>>, body: Body) {
        let Some(mut request) = self.request.take() else { return };
        let body = match body {
            Body::Whole(body) if body.len() as u64 <= self.endpoint.max_body_bytes() => Ok(body),
            #[cfg(feature = "oauth-pkce")]
            Body::TooLarge if matches!(target, Target::ExchangeCode(_)) => {
                Err(self.endpoint.exposed(&request, form_too_large()))
            }
            Body::Whole(_) | Body::TooLarge => Err(self.endpoint.too_large(&request)),
            Body::OverBudget(error) => Err(self.endpoint.over_budget(&request, error)),
        };
        match (body, target) {
            (Err(draft), _) => {
                self.request = Some(request);
                self.answer(draft);
            }
            (Ok(body), Target::Method(method, part)) => {
                request.request_bytes = body.len() as u64;
                let calling = Calling::new(self.endpoint.clone(), request, method, part, session, body);
                self.stage = Stage::Ready(Box::new(calling));
            }
            #[cfg(feature = "oauth-pkce")]
            (Ok(body), Target::ExchangeCode(urls)) => {
                let question = match &self.endpoint.login {
                    Some(login) => login.exchange_of(&urls, &request.head.headers, &body),
                    None => Err(Box::new(ResponseDraft::empty(StatusCode::NOT_FOUND))),
                };
                match question {
                    Ok((question, slot)) => {
                        let time_limit = question.time_limit_of();
                        let id = self.effects.request(EffectRequest::Question(question), time_limit, None);
                        self.stage = Stage::Exchanging(id, slot);
                        self.request = Some(request);
                    }
                    Err(draft) => {
                        let draft = self.endpoint.exposed(&request, *draft);
                        self.request = Some(request);
                        self.answer(draft);
                    }
                }
            }
            (Ok(body), Target::UploadUrls | Target::EndSession) => {
                match upload::requested(&self.endpoint, &request, body) {
                    Ok(count) => self.stage = Stage::Vending(upload::ask(&mut self.effects, count)),
                    Err((status, error)) => {
                        let draft = self.endpoint.refusal(&request, status, &error);
                        self.request = Some(request);
                        return self.answer(draft);
                    }
                }
                self.request = Some(request);
            }
        }
    }

    /// Vends upload URLs. Returns false while they are being created.
    pub(super) fn vend(&mut self, id: EffectId) -> bool {
        let Some(completed) = self.effects.take(id) else {
            self.stage = Stage::Vending(id);
            return false;
        };
        if let Some(request) = &self.request {
            let draft = upload::answer(&self.endpoint, request, completed.completion);
            self.answer(draft);
        }
        true
    }

    /// Exchanges a code. Returns false while it waits for the authorization server.
    #[cfg(feature = "oauth-pkce")]
    pub(super) fn exchange(&mut self, id: EffectId, slot: Slot) -> bool {
        let Some(completed) = self.effects.take(id) else {
            self.stage = Stage::Exchanging(id, slot);
            return false;
        };
        if let Some(request) = &self.request {
            let draft = self.endpoint.exchanged(request, &completed.completion);
            self.answer(draft);
        }
        true
    }

    pub(super) fn answer(&mut self, draft: ResponseDraft) {
        let Some(request) = &self.request else { return };
        let (response, memory) = self.endpoint.finish(request, draft);
        self.stage = Stage::Answered(Box::new(RecordedResponse { response, memory, record: None }.into()));
    }

    pub(super) fn arrive(&mut self, arrived: Arrived) {
        match arrived {
            arrived if matches!(self.stage, Stage::Running) => self.arrived.push(arrived),
            Arrived::Completed(id, completion) => self.effects.complete(id, completion),
            Arrived::Data(id, data) => {
                let account = match (&self.request, &self.stage) {
                    (Some(request), _) => &request.account,
                    (None, Stage::Parked(calling)) => calling.account(),
                    (None, _) => return,
                };
                self.effects.receive(id, data, account);
            }
        }
    }
}
