//! The pending effects of one simulated connection's driver: it completes them at once or late, with data in any pieces and in
//! one or several steps, more than once, or never.

use super::admission::{Asked, Fate};
use super::draws::Draws;
use super::link::Time;
use super::sharing::Sharing;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use vgi_rpc_protocol::effect::{Completion, EffectEvent, EffectId, Request};
use vgi_rpc_protocol::service::Responder;
use vgi_rpc_protocol::shm::SharedMemory;
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::RpcError;

/// How long the driver waits for an effect that is never completed.
const PATIENCE: Time = 50_000;

/// A driver's pending effects.
#[derive(Default)]
pub struct InHand {
    out: Vec<Out>,
    /// The last effect that was completed or withdrawn.
    over: Option<EffectId>,
}

struct Out {
    id: EffectId,
    wanted: Wanted,
    /// Data still to be passed to the server.
    pieces: VecDeque<Bytes>,
    due: Time,
}

/// What completes an effect.
enum Wanted {
    Answer(Asked),
    Segment(Arc<dyn SharedMemory>),
}

impl Wanted {
    /// Returns the question if it is never answered.
    fn overdue(&self) -> Option<Asked> {
        match self {
            Self::Answer(asked) if asked.fate == Fate::Overdue => Some(*asked),
            _ => None,
        }
    }
}

/// What a driver did with an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Performed {
    /// Nothing was due.
    Nothing,
    /// The rest follows at this time.
    Partly(Time),
    Completed,
    /// The call was abandoned.
    Overdue,
}

impl InHand {
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Accepts the effects that a server requests. Adds their due times. Returns the number of withdrawn effects.
    pub fn take_up(
        &mut self,
        server: &mut Responder,
        now: Time,
        draws: &mut Draws,
        due: &mut Vec<Time>,
        sharing: Option<&Sharing>,
    ) -> Result<usize, String> {
        let mut withdrawn = 0;
        while let Some(event) = server.poll_effect() {
            match event {
                EffectEvent::Requested(effect) => {
                    let wanted = match (&effect.request, sharing) {
                        (Request::Question(question), _) => {
                            Wanted::Answer(*question.payload::<Asked>().ok_or("an unknown question")?)
                        }
                        (Request::AttachSegment(_), Some(sharing)) => Wanted::Segment(sharing.memory()),
                        _ => return Err(format!("unexpected effect {effect:?}")),
                    };
                    let delay = match wanted.overdue() {
                        Some(_) => PATIENCE,
                        None => draws.pick(&[0, 0, 30, 2500, 9000]),
                    };
                    let pieces = match &wanted {
                        Wanted::Answer(asked) => cut(asked.data().into(), draws),
                        Wanted::Segment(_) => VecDeque::new(),
                    };
                    self.out.push(Out { id: effect.id, wanted, pieces, due: now + delay });
                    due.push(now + delay);
                }
                EffectEvent::Withdrawn(id) => {
                    if !self.out.iter().any(|out| out.id == id) {
                        return Err(format!("{id:?} is withdrawn, but is not pending"));
                    }
                    self.out.retain(|out| out.id != id);
                    self.over = Some(id);
                    withdrawn += 1;
                }
            }
        }
        Ok(withdrawn)
    }

    /// Performs the next due step.
    pub fn perform(
        &mut self,
        server: &mut Responder,
        now: Time,
        draws: &mut Draws,
    ) -> Result<Performed, String> {
        self.repeat(server, draws);
        let Some(index) = self.out.iter().position(|out| out.due <= now) else {
            return Ok(Performed::Nothing);
        };
        let out = &mut self.out[index];
        if let Some(asked) = out.wanted.overdue() {
            let error = RpcError::status(Code::DeadlineExceeded, asked.reason());
            server.abandon(error).map_err(|error| format!("a waiting call cannot be abandoned: {error}"))?;
            return Ok(Performed::Overdue);
        }
        while let Some(piece) = out.pieces.pop_front() {
            server.receive_effect_data(out.id, piece);
            if draws.once_in(3) {
                out.due = now + draws.pick(&[0, 40, 2000]);
                return Ok(Performed::Partly(out.due));
            }
        }
        let out = self.out.swap_remove(index);
        server.complete_effect(out.id, out.completion());
        self.over = Some(out.id);
        self.repeat(server, draws);
        Ok(Performed::Completed)
    }

    /// Completes an effect again, with a different value, which must change nothing.
    fn repeat(&self, server: &mut Responder, draws: &mut Draws) {
        if let Some(id) = self.over
            && draws.once_in(2)
        {
            server.receive_effect_data(id, Bytes::from_static(b"too late"));
            server.complete_effect(id, Completion::value("too late"));
        }
    }

    /// Drops all effects, because the server is gone.
    pub fn clear(&mut self) {
        self.out.clear();
    }
}

/// Faults that no driver may cause.
impl InHand {
    /// Returns the completion of a pending effect.
    pub fn any_completion(&self) -> Option<Completion> {
        self.out.first().map(Out::completion)
    }

    /// Returns the id of a pending effect.
    pub fn any(&self) -> Option<EffectId> {
        self.out.first().map(|out| out.id)
    }

    /// Drops an effect that is due for completion. Returns false if there is none.
    pub fn lose_completion(&mut self, now: Time) -> bool {
        let before = self.out.len();
        self.out.retain(|out| out.due > now || out.wanted.overdue().is_some());
        self.out.len() < before
    }

    /// Drops a piece of data. Returns false if there is none.
    pub fn lose_data(&mut self) -> bool {
        self.out.iter_mut().any(|out| out.pieces.pop_front().is_some())
    }
}

impl Out {
    fn completion(&self) -> Completion {
        match &self.wanted {
            Wanted::Answer(asked) if asked.fate == Fate::Failed => asked.failure().into(),
            Wanted::Answer(asked) => Completion::value(*asked),
            Wanted::Segment(memory) => Completion::Attached(memory.clone()),
        }
    }
}

/// Cuts data into pieces of any size.
fn cut(mut data: Bytes, draws: &mut Draws) -> VecDeque<Bytes> {
    let mut pieces = VecDeque::new();
    while !data.is_empty() {
        pieces.push_back(data.split_to(1 + draws.below(data.len())));
    }
    pieces
}
