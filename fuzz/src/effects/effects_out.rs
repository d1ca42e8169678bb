//! The pending effects of one machine, as its driver sees them.

use super::service::Asked;
use crate::support::http_service::NOW;
use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use vgi_rpc_protocol::effect::{
    Completion, Effect, EffectEvent, EffectId, Failure, FailureReason, Request, UploadUrl,
};
use vgi_rpc_protocol::http::Transaction;
use vgi_rpc_protocol::service::Responder;

/// A machine whose effects are completed.
pub trait Machine {
    fn receive(&mut self, id: EffectId, data: Bytes);
    fn complete(&mut self, id: EffectId, completion: Completion);
}

macro_rules! machines {
    ($($machine:ty),*) => {$(
        impl Machine for $machine {
            fn receive(&mut self, id: EffectId, data: Bytes) {
                self.receive_effect_data(id, data);
            }
            fn complete(&mut self, id: EffectId, completion: Completion) {
                self.complete_effect(id, completion);
            }
        }
    )*};
}

machines!(Transaction, Responder);

/// Pending effects, and the ids of those that have ended.
#[derive(Default)]
pub struct EffectsOut {
    out: Vec<Effect>,
    over: Vec<EffectId>,
}

impl EffectsOut {
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Processes a machine's requests and withdrawals.
    pub fn take_up(&mut self, mut poll: impl FnMut() -> Option<EffectEvent>) {
        while let Some(event) = poll() {
            match event {
                EffectEvent::Requested(effect) => {
                    let is_new = self.out.iter().all(|out| out.id != effect.id) && !self.over.contains(&effect.id);
                    assert!(is_new, "an id names one effect");
                    self.out.push(effect);
                }
                EffectEvent::Withdrawn(id) => {
                    // It may have been completed before this was processed.
                    let is_over = self.over.contains(&id);
                    assert!(is_over || self.out.iter().any(|out| out.id == id), "the effect was pending");
                    self.out.retain(|out| out.id != id);
                    self.over.push(id);
                }
            }
        }
    }

    /// Sends data to one of the effects, and usually completes it.
    pub fn complete_any(&mut self, machine: &mut impl Machine, u: &mut Unstructured<'_>) -> Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let index = u.choose_index(self.out.len())?;
        let id = self.out[index].id;
        for _ in 0..u.int_in_range(0..=3_usize)?.saturating_sub(1) {
            machine.receive(id, data(u)?);
        }
        if u.ratio(7, 8)? {
            let effect = self.out.swap_remove(index);
            machine.complete(id, draw(u, &effect)?);
            self.over.push(id);
        }
        Ok(())
    }

    /// Completes an effect that has ended, which has no effect.
    pub fn repeat(&mut self, machine: &mut impl Machine, u: &mut Unstructured<'_>) -> Result<()> {
        if let Some(id) = self.over.last() {
            machine.receive(*id, data(u)?);
            machine.complete(*id, Completion::value("again"));
        }
        Ok(())
    }

    /// Completes all effects correctly.
    pub fn complete_all(&mut self, machine: &mut impl Machine) {
        for effect in self.out.drain(..) {
            machine.complete(effect.id, right(&effect));
            self.over.push(effect.id);
        }
    }
}

fn data(u: &mut Unstructured<'_>) -> Result<Bytes> {
    let len = [0, 3, 1000, 70_000, 250_000][u.choose_index(5)?];
    Ok(vec![7; len].into())
}

fn right(effect: &Effect) -> Completion {
    match &effect.request {
        Request::Question(question) => {
            Completion::value(question.payload::<Asked>().expect("a question of the service's own").clone())
        }
        Request::UploadUrls(count) => Completion::UploadUrls(vec![url(); *count]),
        other => panic!("unexpected effect {other:?}"),
    }
}

fn url() -> UploadUrl {
    let (upload_url, download_url) = ("https://u.example/1".into(), "https://d.example/1".into());
    UploadUrl { upload_url, download_url, expires_at: NOW }
}

/// Returns a completion for an effect, usually the right one.
fn draw(u: &mut Unstructured<'_>, effect: &Effect) -> Result<Completion> {
    use FailureReason::{Failed, OverBudget, TimedOut, Unavailable};
    Ok(match u.int_in_range(0..=11)? {
        0 => Completion::Done,
        1 => Completion::value(7_u8),
        2 => Completion::UploadUrls(vec![url(); u.int_in_range(0..=3)?]),
        3 | 4 => Failure::new(*u.choose(&[Failed, OverBudget, TimedOut, Unavailable])?, "as drawn").into(),
        _ => right(effect),
    })
}
