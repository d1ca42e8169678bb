//! A store of objects, and the results of the effects that store and fetch them.

use bytes::Bytes;
use std::time::Duration;
use vgi_rpc_protocol::effect::{Completion, Effect, Failure, FailureReason, Request};
use vgi_rpc_protocol::external::Location;

/// The stored objects, and the pending effects.
#[derive(Default)]
pub struct Elsewhere {
    objects: Vec<Bytes>,
    /// Effects of the server and the client.
    pub out: Vec<(bool, Effect)>,
}

/// The fault of an effect.
#[derive(Clone, Copy)]
pub enum Fault {
    /// It is performed.
    None,
    /// It fails.
    Failed,
    /// It is completed with a wrong completion.
    Nonsense,
    /// Only half of an object is returned.
    Cut,
    /// Different bytes are returned.
    Damaged,
    /// It is performed later.
    Late,
}

/// All faults.
pub const FAULTS: [Fault; 6] =
    [Fault::None, Fault::Failed, Fault::Nonsense, Fault::Cut, Fault::Damaged, Fault::Late];

impl Elsewhere {
    /// Performs an effect, with or without a fault.
    pub fn perform(&mut self, effect: &Effect, fault: Fault) -> Completion {
        match fault {
            Fault::Failed => return Failure::new(FailureReason::Failed, "as drawn").into(),
            Fault::Nonsense => return Completion::value(7_u8),
            _ => {}
        }
        match &effect.request {
            Request::Store(store) => {
                let url = format!("https://h.example/{}", self.objects.len());
                self.objects.push(store.object().segments.concat().into());
                Completion::Stored(Location::parse(&url).expect("a URL"))
            }
            Request::Fetch(fetch) => {
                let number = fetch
                    .location()
                    .as_str()
                    .rsplit('/')
                    .next()
                    .and_then(|number| number.parse::<usize>().ok());
                let object = number.and_then(|number| self.objects.get(number)).expect("it was stored");
                let mut bytes = object.to_vec();
                match fault {
                    Fault::Cut => bytes.truncate(bytes.len() / 2),
                    Fault::Damaged => bytes.iter_mut().step_by(50).for_each(|byte| *byte ^= 1),
                    _ => {}
                }
                let mut resolution = fetch.resolution();
                let fed = resolution.begin(None).and_then(|()| resolution.receive(bytes.into()));
                fed.and_then(|()| resolution.finish(Duration::ZERO)).into()
            }
            other => panic!("unexpected effect {other:?}"),
        }
    }
}
