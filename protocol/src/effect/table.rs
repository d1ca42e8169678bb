//! The effects of one machine: those that are to be yielded, and those that are out.

use super::answers::{Answer, Ask};
use super::failure::{Failure, FailureReason};
use super::request::{Completion, Effect, EffectEvent, EffectId, Request};
use crate::memory::{Account, Reservation};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Most bytes that are kept of a content coding's name. Those that are known are shorter.
const MAX_CODING_BYTES: usize = 256;

/// The effects of one machine. Empty it takes no memory of the heap.
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
    /// The content coding that the attempt names which has begun, if that was not taken yet.
    attempt: Option<Attempt>,
    data: Vec<Bytes>,
    memory: Option<Reservation>,
    over_budget: bool,
}

/// An attempt to perform an effect whose data comes in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// The content coding of the data, as the response names it.
    pub(crate) content_encoding: Option<Box<str>>,
}

/// What has arrived of an effect since it was taken last.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// An attempt has begun: what came before it counts for nothing.
    pub(crate) attempt: Option<Attempt>,
    /// Pieces of the data, in order.
    pub(crate) data: Vec<Bytes>,
    /// For the data.
    _memory: Option<Reservation>,
}

/// An effect that was completed, with the data that came before.
#[derive(Debug)]
pub(crate) struct Completed {
    pub(crate) id: EffectId,
    pub(crate) completion: Completion,
    /// An attempt that has begun since what had arrived was taken last.
    pub(crate) attempt: Option<Attempt>,
    pub(crate) data: Vec<Bytes>,
    /// For the data.
    memory: Option<Reservation>,
}

impl Completed {
    /// What was completed, as the answer to a question.
    pub(crate) fn into_answer(self) -> Result<Answer, Failure> {
        let Self { completion, data, memory, .. } = self;
        match completion {
            Completion::Value(value) => Ok(Answer { value: Some(value), data, memory }),
            Completion::Failed(failure) => Err(failure),
            Completion::Done | Completion::UploadUrls(_) | Completion::Stored(_) => {
                Ok(Answer { value: None, data, memory })
            }
        }
    }
}

impl Effects {
    /// Has a question asked.
    pub(crate) fn ask(&mut self, ask: &Ask) -> EffectId {
        let question = &ask.question;
        let shared_key = question.shared_key.clone();
        self.request(Request::Question(question.clone()), question.time_limit, shared_key)
    }

    /// Has an effect performed.
    pub(crate) fn request(
        &mut self,
        request: Request,
        time_limit: Duration,
        shared_key: Option<Arc<str>>,
    ) -> EffectId {
        let id = EffectId(self.made);
        self.made += 1;
        self.out.push(Out { id, attempt: None, data: Vec::new(), memory: None, over_budget: false });
        self.events.push_back(EffectEvent::Requested(Effect { id, request, time_limit, shared_key }));
        id
    }

    /// Takes a piece of an effect's data in. What the account has no room for makes the effect fail.
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

    /// Says that an attempt begins: the data that came before counts for nothing.
    pub(crate) fn begin_attempt(&mut self, id: EffectId, content_encoding: Option<&str>) {
        let Some(out) = self.out.iter_mut().find(|out| out.id == id) else { return };
        let kept = content_encoding.and_then(|name| name.get(..name.floor_char_boundary(MAX_CODING_BYTES)));
        out.attempt = Some(Attempt { content_encoding: kept.map(Into::into) });
        out.data = Vec::new();
        out.memory = None;
        out.over_budget = false;
    }

    /// Takes out what has arrived of an effect that is still out, so that it does not wait for the rest; `None` if the effect
    /// is not out, or has been given more than the budget has room for.
    pub(crate) fn take_arrived(&mut self, id: EffectId) -> Option<Arrived> {
        let out = self.out.iter_mut().find(|out| out.id == id && !out.over_budget)?;
        let (attempt, data) = (out.attempt.take(), std::mem::take(&mut out.data));
        Some(Arrived { attempt, data, _memory: out.memory.take() })
    }

    /// Withdraws one effect: its completion would not be used.
    pub(crate) fn withdraw_one(&mut self, id: EffectId) {
        self.completed.retain(|completed| completed.id != id);
        if let Some(index) = self.out.iter().position(|out| out.id == id) {
            self.out.swap_remove(index);
            self.take_back(id);
        }
    }

    /// Takes a completion in. Does nothing when the effect is not out.
    pub(crate) fn complete(&mut self, id: EffectId, completion: Completion) {
        let Some(index) = self.out.iter().position(|out| out.id == id) else { return };
        let Out { attempt, data, memory, over_budget, .. } = self.out.swap_remove(index);
        let completion = if over_budget {
            let text = "the data of an effect takes more memory than the budget has left";
            Failure::new(FailureReason::OverBudget, text).into()
        } else {
            completion
        };
        self.completed.push(Completed { id, completion, attempt, data, memory });
    }

    /// Takes the completion of an effect out, if it is there.
    pub(crate) fn take(&mut self, id: EffectId) -> Option<Completed> {
        let index = self.completed.iter().position(|completed| completed.id == id)?;
        Some(self.completed.swap_remove(index))
    }

    /// Whether something was completed that was not taken out.
    #[cfg(feature = "http")]
    pub(crate) fn has_completed(&self) -> bool {
        !self.completed.is_empty()
    }

    /// Withdraws what is out, and forgets what was completed: the call that wanted it has ended.
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

    /// Takes a request back: before it was yielded without a trace, and otherwise by an event.
    fn take_back(&mut self, id: EffectId) {
        let was_yielded = !self.events.iter().any(|event| event.id() == id);
        self.events.retain(|event| event.id() != id);
        if was_yielded {
            self.events.push_back(EffectEvent::Withdrawn(id));
        }
    }

    /// What the driver is to do next.
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
    fn an_attempt_that_begins_anew_forgets_the_one_before() {
        let budget = Budget::new(1000);
        let account = budget.account();
        let mut effects = Effects::default();
        let id = asked(&mut effects, "a");
        effects.begin_attempt(id, Some("zstd"));
        effects.receive(id, Bytes::from_static(b"ab"), &account);
        let arrived = effects.take_arrived(id).unwrap();
        assert_eq!(arrived.attempt.as_ref().unwrap().content_encoding.as_deref(), Some("zstd"));
        assert_eq!((&arrived.data[..], account.held()), (&[Bytes::from_static(b"ab")][..], 2));
        drop(arrived);
        effects.receive(id, Bytes::from_static(b"c"), &account);
        effects.begin_attempt(id, None);
        effects.receive(id, vec![0; Budget::FLOOR_BYTES + 2000].into(), &account);
        assert!(effects.take_arrived(id).is_none(), "more than the budget has room for");
        effects.begin_attempt(id, None);
        effects.receive(id, Bytes::from_static(b"d"), &account);
        let arrived = effects.take_arrived(id).map(|arrived| (arrived.attempt, arrived.data));
        assert_eq!(arrived, Some((Some(Attempt::default()), vec![Bytes::from_static(b"d")])));
        assert!(effects.take_arrived(id).unwrap().attempt.is_none());
        effects.complete(id, Completion::Done);
        assert!(effects.take_arrived(id).is_none());
        assert!(effects.take(id).is_some());
        assert_eq!(account.held(), 0);
    }

    #[test]
    fn one_effect_is_withdrawn_and_the_others_stay() {
        let mut effects = Effects::default();
        let (first, second) = (asked(&mut effects, "a"), asked(&mut effects, "b"));
        assert_eq!(requested(&mut effects), [first, second]);
        let never_seen = asked(&mut effects, "c");
        effects.withdraw_one(first);
        effects.withdraw_one(never_seen);
        effects.withdraw_one(first);
        assert!(matches!(effects.poll(), Some(EffectEvent::Withdrawn(id)) if id == first));
        assert!(effects.poll().is_none());
        effects.begin_attempt(first, None);
        effects.complete(first, Completion::Done);
        effects.complete(second, Completion::Done);
        assert!(effects.take(first).is_none() && effects.take(second).is_some());
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
