//! Retries failed calls.

use crate::client::Client;
use crate::error::CallError;
use crate::method::Method;
use crate::retry_policy::{Chance, chance};
use std::hash::{BuildHasher, RandomState};
use std::thread;

impl Client {
    /// Makes a call with `attempt`, and retries it according to the policy.
    pub(crate) fn with_retries<T>(
        &mut self,
        method: &Method<'_>,
        mut attempt: impl FnMut(&mut Self) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let mut made = 1;
        loop {
            let error = match attempt(self) {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            let Some(policy) = self.retries else { return Err(error) };
            let (chance, asked) = chance(&error, self.channel.retry_after());
            let random = RandomState::new().hash_one(made);
            let Some(delay) = policy.delay(made, asked, random) else { return Err(error) };
            let again = match chance {
                Chance::None => false,
                Chance::Always => true,
                Chance::IfIdempotent => self.is_idempotent(method),
            };
            if !again {
                return Err(error);
            }
            thread::sleep(delay);
            made += 1;
        }
    }

    /// Whether repeating a call has the effect of one. If the caller has not declared it, the server is queried once.
    fn is_idempotent(&mut self, method: &Method<'_>) -> bool {
        if let Some(idempotent) = method.idempotent {
            return idempotent;
        }
        let protocol = &method.remote.protocol;
        let asked = self.described.contains_key(protocol) || self.learn_methods(protocol).is_ok();
        asked && self.described.get(protocol).is_some_and(|known| known.is_idempotent(method.name))
    }
}
