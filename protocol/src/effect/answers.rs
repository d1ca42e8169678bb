//! Asking a question in the middle of a function that cannot wait.
//!
//! A function that decides something from what is in memory is a callback. When it needs more, it returns what it needs
//! as an error, and the machine calls it again from its beginning once the answer is there. So such a function must not
//! do anything twice that may be done only once.

use super::failure::Failure;
use super::value::Value;
use crate::memory::Reservation;
use bytes::Bytes;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The most questions that one step of a call may ask: a step that asks a new one each time would never end.
const MAX_QUESTIONS: usize = 32;
/// How long an answer may take unless the question says otherwise.
const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(30);

/// What an application asks the outside world. What is in it is between the application's function and its driver.
#[derive(Clone)]
pub struct Question {
    payload: Value,
    /// The payload's type, for the key.
    type_name: &'static str,
    pub(super) time_limit: Duration,
    pub(super) shared_key: Option<Arc<str>>,
}

impl Question {
    /// A question that must be answered within 30 s.
    pub fn new<T: Any + Send + Sync>(payload: T) -> Self {
        let type_name = std::any::type_name::<T>();
        Self { payload: Value::new(payload), type_name, time_limit: DEFAULT_TIME_LIMIT, shared_key: None }
    }

    /// Sets how long the answer may take.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Says that all questions of this key and of the same type of payload have the same answer, whoever asks them: the driver may
    /// ask once for all that wait at the same time.
    ///
    /// The key holds for everything that shares a driver's threads: other calls, callers, steps and services. An answer that
    /// depends on the caller needs the caller in its key, or one caller gets another's.
    pub fn shared_as(mut self, key: impl AsRef<str>) -> Self {
        // The text may be a caller's: it must not lead to what somebody else asks.
        self.shared_key = Some(format!("{} {}", self.type_name, key.as_ref()).into());
        self
    }

    /// How long the answer may take.
    #[cfg(feature = "oauth-pkce")]
    pub(crate) fn time_limit_of(&self) -> Duration {
        self.time_limit
    }

    /// What is asked, if it is a `T`.
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

    /// The data that the driver gave, in its pieces.
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

/// A question that must be answered before a function can go on. The function returns it as its error.
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

/// The answers that have come to the questions of one step of a call.
#[derive(Debug, Default)]
pub struct Answers(Vec<(Box<str>, Result<Answer, Failure>)>);

impl Answers {
    /// No answers.
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
    /// The question, if it has no answer yet. Return it as the error of the function, and it will be asked.
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

    /// Whether the question of this key has an answer, or failed.
    #[cfg(feature = "jwt")]
    pub(crate) fn contains(&self, key: &str) -> bool {
        self.0.iter().any(|(asked, _)| **asked == *key)
    }

    /// Adds an answer. False when the step has asked as much as it may.
    pub(crate) fn insert(&mut self, key: Box<str>, answer: Result<Answer, Failure>) -> bool {
        self.0.push((key, answer));
        self.0.len() < MAX_QUESTIONS
    }
}
