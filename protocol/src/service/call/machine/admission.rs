//! Admission, which may ask a question of the outside world before the handler runs.

use super::{Call, State, Step};
use crate::effect::Effects;
use crate::service::call::carrier::{Blame, Carrier};
use crate::service::call::waiting::Admitting;
use crate::service::handler::guard;
use crate::service::hosting::Stop;

impl Call {
    /// Asks admission whether the call may proceed. Returns `None` once that is decided.
    pub(super) fn admit(
        &mut self,
        mut admitting: Box<Admitting>,
        carrier: &mut impl Carrier,
        effects: &mut Effects,
    ) -> Option<Step> {
        let mut may_ask = true;
        if let Some((id, key)) = admitting.asked.take() {
            let Some(completed) = effects.take(id) else {
                admitting.asked = Some((id, key));
                self.state = State::Admitting(admitting);
                return Some(Step::Waiting);
            };
            may_ask = admitting.answers.insert(key, completed.into_answer());
        }
        let Admitting { work, answers, .. } = &*admitting;
        let decided = match &self.service.admission {
            Some(admission) => {
                guard(|| Ok(admission(&work.context, answers))).unwrap_or_else(|e| Err(e.into()))
            }
            None => Ok(()),
        };
        match decided {
            Ok(()) => {
                if let Some(work) = self.begin_call(admitting.work) {
                    self.state = State::Ready(work);
                }
            }
            Err(Stop::Ask(ask)) if may_ask => {
                let id = effects.ask_within(&ask, self.scope.listeners());
                admitting.asked = Some((id, ask.key));
                self.state = State::Admitting(admitting);
                return Some(Step::Waiting);
            }
            Err(stop) => {
                self.take_session(admitting.work.context);
                self.refuse(Blame::Handler, stop.into_error(), carrier);
            }
        }
        None
    }
}
