//! The effects of one machine: those to be yielded, and those that are pending.

use super::answers::{Answer, Ask};
use super::failure::{Failure, FailureReason};
use super::listeners::EffectListeners;
use super::request::{Completion, Effect, EffectEvent, EffectId, Request};
use crate::memory::{Account, Reservation};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// The effects of one machine. An empty table does not allocate.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    made: u64,
    out: Vec<Out>,
    completed: Vec<Completed>,
    events: VecDeque<EffectEvent>,
}

/// An effect that was yielded and not completed.
#[derive(Debug)]
struct Out {
    id: EffectId,
    data: Vec<Bytes>,
    memory: Option<Reservation>,
    over_budget: bool,
}

/// A completed effect, with the data that was received before.
#[derive(Debug)]
pub(crate) struct Completed {
    pub(crate) id: EffectId,
    pub(crate) completion: Completion,
    pub(crate) data: Vec<Bytes>,
    /// For the data.
    memory: Option<Reservation>,
}

impl Completed {
    /// Converts the completion to the answer of a question.
    pub(crate) fn into_answer(self) -> Result<Answer, Failure> {
        let Self { completion, data, memory, .. } = self;
        match completion {
            Completion::Value(value) => Ok(Answer { value: Some(value), data, memory }),
            Completion::Failed(failure) => Err(failure),
            Completion::Done
            | Completion::UploadUrls(_)
            | Completion::Resolved(_)
            | Completion::Stored(_)
            | Completion::Attached(_) => Ok(Answer { value: None, data, memory }),
        }
    }
}

impl Effects {
    /// Requests a question.
    pub(crate) fn ask(&mut self, ask: &Ask) -> EffectId {
        self.ask_within(ask, EffectListeners::default())
    }

    /// Requests a question for a call.
    pub(crate) fn ask_within(&mut self, ask: &Ask, listeners: EffectListeners) -> EffectId {
        let question = &ask.question;
        let request = Request::Question(question.clone());
        self.begin(request, question.time_limit, question.shared_key.clone(), listeners)
    }

    /// Requests an effect.
    pub(crate) fn request(
        &mut self,
        request: Request,
        time_limit: Duration,
        shared_key: Option<Arc<str>>,
    ) -> EffectId {
        self.begin(request, time_limit, shared_key, EffectListeners::default())
    }

    /// Requests an effect for a call.
    pub(crate) fn request_within(
        &mut self,
        request: Request,
        time_limit: Duration,
        listeners: EffectListeners,
    ) -> EffectId {
        self.begin(request, time_limit, None, listeners)
    }

    fn begin(
        &mut self,
        request: Request,
        time_limit: Duration,
        shared_key: Option<Arc<str>>,
        listeners: EffectListeners,
    ) -> EffectId {
        let id = EffectId(self.made);
        self.made += 1;
        self.out.push(Out { id, data: Vec::new(), memory: None, over_budget: false });
        let effect = Effect { id, request, time_limit, shared_key, listeners };
        self.events.push_back(EffectEvent::Requested(effect));
        id
    }

    /// Receives a piece of an effect's data. If the account has no room for it, the effect fails.
    pub(crate) fn receive(&mut self, id: EffectId, data: Bytes, account: &Account) {
        let Some(out) = self.out.iter_mut().find(|out| out.id == id) else { return };
        let memory = out.memory.get_or_insert_with(|| account.empty());
        let bytes = memory.bytes().saturating_add(data.len());
        if !out.over_budget && memory.resize(bytes).is_ok() {
            out.data.push(data);
        } else {
            out.over_budget = true;
            out.data = Vec::new();
            out.memory = None;
        }
    }

    /// Receives a completion. Does nothing if the effect is not pending.
    pub(crate) fn complete(&mut self, id: EffectId, completion: Completion) {
        let Some(index) = self.out.iter().position(|out| out.id == id) else { return };
        let Out { data, memory, over_budget, .. } = self.out.swap_remove(index);
        let completion = if over_budget {
            let text = "the data of an effect takes more memory than the budget has left";
            Failure::new(FailureReason::OverBudget, text).into()
        } else {
            completion
        };
        self.completed.push(Completed { id, completion, data, memory });
    }

    /// Takes the completion of an effect, if it has completed.
    pub(crate) fn take(&mut self, id: EffectId) -> Option<Completed> {
        let index = self.completed.iter().position(|completed| completed.id == id)?;
        Some(self.completed.swap_remove(index))
    }

    /// Returns whether there is a completion that was not taken.
    #[cfg(feature = "http")]
    pub(crate) fn has_completed(&self) -> bool {
        !self.completed.is_empty()
    }

    /// Withdraws all pending effects and drops all completions, since their call has ended.
    #[inline]
    pub(crate) fn withdraw_all(&mut self) {
        if !self.out.is_empty() || !self.completed.is_empty() {
            self.withdraw();
        }
    }

    fn withdraw(&mut self) {
        self.completed.clear();
        for Out { id, .. } in std::mem::take(&mut self.out) {
            self.take_back(id);
        }
    }

    /// Removes a request that was not yielded yet, or withdraws it by an event.
    fn take_back(&mut self, id: EffectId) {
        let was_yielded = !self.events.iter().any(|event| event.id() == id);
        self.events.retain(|event| event.id() != id);
        if was_yielded {
            self.events.push_back(EffectEvent::Withdrawn(id));
        }
    }

    /// Returns what the driver should do next.
    pub(crate) fn poll(&mut self) -> Option<EffectEvent> {
        self.events.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Question;
    use crate::memory::Budget;

    fn asked(effects: &mut Effects, key: &str) -> EffectId {
        effects.ask(&Ask { key: key.into(), question: Question::new(1) })
    }

    fn requested(effects: &mut Effects) -> Vec<EffectId> {
        std::iter::from_fn(|| effects.poll())
            .map(|event| match event {
                EffectEvent::Requested(effect) => effect.id,
                EffectEvent::Withdrawn(id) => panic!("{id:?} was withdrawn"),
            })
            .collect()
    }

    #[test]
    fn effects_are_completed_in_any_order_and_once() {
        let mut effects = Effects::default();
        let (first, second) = (asked(&mut effects, "a"), asked(&mut effects, "b"));
        assert_eq!(requested(&mut effects), [first, second]);
        effects.complete(second, Completion::value(2));
        effects.complete(second, Completion::value(3));
        assert!(effects.take(first).is_none());
        let answer = effects.take(second).unwrap().into_answer().unwrap();
        assert_eq!(answer.value(), Some(&2));
        effects.complete(second, Completion::value(4));
        assert!(effects.take(second).is_none(), "an effect is completed once");
    }

    #[test]
    fn what_was_yielded_is_withdrawn_and_what_was_not_is_never_seen() {
        let mut effects = Effects::default();
        let yielded = asked(&mut effects, "a");
        assert_eq!(requested(&mut effects), [yielded]);
        asked(&mut effects, "b");
        effects.withdraw_all();
        assert!(matches!(effects.poll(), Some(EffectEvent::Withdrawn(id)) if id == yielded));
        assert!(effects.poll().is_none());
        effects.complete(yielded, Completion::Done);
        assert!(effects.take(yielded).is_none());
    }

    #[test]
    fn data_is_counted_and_beyond_the_budget_fails_the_effect() {
        let budget = Budget::new(1000);
        let account = budget.account();
        let mut effects = Effects::default();
        let (small, large) = (asked(&mut effects, "a"), asked(&mut effects, "b"));
        for piece in ["ab", "c"] {
            effects.receive(small, Bytes::from_static(piece.as_bytes()), &account);
        }
        effects.receive(large, vec![0; Budget::FLOOR_BYTES + 2000].into(), &account);
        effects.complete(small, Completion::Done);
        effects.complete(large, Completion::Done);
        let completed = effects.take(small).unwrap();
        assert_eq!(account.held(), 3);
        assert_eq!(completed.into_answer().unwrap().data(), ["ab", "c"]);
        let failure = effects.take(large).unwrap().into_answer().unwrap_err();
        assert_eq!(failure.reason, FailureReason::OverBudget);
        assert_eq!(account.held(), 0);
    }
}
