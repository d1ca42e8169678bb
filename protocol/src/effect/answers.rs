//! Asks a question from a function that cannot block.
//!
//! A function that decides from data in memory is a callback. If it needs more, it returns a question as its error, and the
//! machine calls it again from its beginning once there is an answer. So such a function must not have side effects that may
//! happen only once.

use super::failure::Failure;
use super::value::Value;
use crate::memory::Reservation;
use bytes::Bytes;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The maximum number of questions of one step of a call: otherwise a step that always asks another one would never end.
const MAX_QUESTIONS: usize = 32;
/// The default time limit for an answer.
const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(30);

/// A question of the application to the outside world. Only the application's function and its driver interpret it.
#[derive(Clone)]
pub struct Question {
    payload: Value,
    /// The payload's type, for the key.
    type_name: &'static str,
    pub(super) time_limit: Duration,
    pub(super) shared_key: Option<Arc<str>>,
}

impl Question {
    /// Creates a question that must be answered within 30 s.
    pub fn new<T: Any + Send + Sync>(payload: T) -> Self {
        let type_name = std::any::type_name::<T>();
        Self { payload: Value::new(payload), type_name, time_limit: DEFAULT_TIME_LIMIT, shared_key: None }
    }

    /// Sets the time limit for the answer.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Declares that all questions with this key and type of payload have the same answer, whichever caller asks: the driver may
    /// ask once for all that are pending at the same time.
    ///
    /// The key is shared by everything on a driver's threads: other calls, callers, steps and services. If the answer depends on
    /// the caller, the key must contain the caller. Otherwise one caller may get another's answer.
    pub fn shared_as(mut self, key: impl AsRef<str>) -> Self {
        // The text may come from a caller. The type name keeps it from colliding with keys of other questions.
        self.shared_key = Some(format!("{} {}", self.type_name, key.as_ref()).into());
        self
    }

    /// Returns the time limit for the answer.
    #[cfg(feature = "oauth-pkce")]
    pub(crate) fn time_limit_of(&self) -> Duration {
        self.time_limit
    }

    /// Returns the payload, if it is a `T`.
    pub fn payload<T: Any>(&self) -> Option<&T> {
        self.payload.downcast_ref()
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("time_limit", &self.time_limit).finish_non_exhaustive()
    }
}

/// The answer to a question.
pub struct Answer {
    pub(super) value: Option<Value>,
    pub(super) data: Vec<Bytes>,
    /// For the data.
    pub(super) memory: Option<Reservation>,
}

impl Answer {
    /// Returns the value that the driver gave, or `None` if there is none or it is not a `T`.
    pub fn value<T: Any>(&self) -> Option<&T> {
        self.value.as_ref()?.downcast_ref()
    }

    /// Returns the data from the driver, in pieces.
    pub fn data(&self) -> &[Bytes] {
        &self.data
    }
}

#[cfg(all(test, feature = "jwt"))]
impl Answer {
    pub(crate) fn of_data(data: &[u8]) -> Self {
        Self { value: None, data: vec![Bytes::copy_from_slice(data)], memory: None }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.memory.as_ref().map_or(0, Reservation::bytes);
        f.debug_struct("Answer").field("data_bytes", &bytes).finish_non_exhaustive()
    }
}

/// A question that must be answered before a function can continue. The function returns it as its error.
#[derive(Clone, Debug)]
pub struct Ask {
    pub(crate) key: Box<str>,
    pub(crate) question: Question,
}

impl PartialEq for Ask {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.question.payload.is_same(&other.question.payload)
    }
}

impl Eq for Ask {}

/// The answers to the questions of one step of a call so far.
#[derive(Debug, Default)]
pub struct Answers(Vec<(Box<str>, Result<Answer, Failure>)>);

impl Answers {
    /// Creates an empty set of answers.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Returns the answer to the question with this key, or the reason why it failed. The key identifies a question within one
    /// step.
    ///
    /// The questions of a step are asked one at a time, because the function continues only when its question is answered. A
    /// step may ask at most 32.
    ///
    /// # Errors
    /// The question, if it has no answer yet. The function must return it as its error to have it asked.
    pub fn ask(
        &self,
        key: &str,
        question: impl FnOnce() -> Question,
    ) -> Result<Result<&Answer, &Failure>, Ask> {
        match self.0.iter().find(|(asked, _)| **asked == *key) {
            Some((_, answer)) => Ok(answer.as_ref()),
            None => Err(Ask { key: key.into(), question: question() }),
        }
    }

    /// Returns whether the question with this key was answered or has failed.
    #[cfg(feature = "jwt")]
    pub(crate) fn contains(&self, key: &str) -> bool {
        self.0.iter().any(|(asked, _)| **asked == *key)
    }

    /// Adds an answer. Returns false if the step has asked the maximum number of questions.
    pub(crate) fn insert(&mut self, key: Box<str>, answer: Result<Answer, Failure>) -> bool {
        self.0.push((key, answer));
        self.0.len() < MAX_QUESTIONS
    }
}
