//! Questions that contain a function which answers them.

use super::answers::Question;
use super::request::{Completion, Request};

/// The function that answers its own question.
struct OwnAnswer(Box<dyn Fn() -> Completion + Send + Sync>);

impl Question {
    /// Creates a question with a function that answers it. The driver calls the function on a thread that may block, and does not
    /// ask the application: see [`Request::own_answer`].
    pub fn answered_by(answer: impl Fn() -> Completion + Send + Sync + 'static) -> Self {
        Self::new(OwnAnswer(Box::new(answer)))
    }
}

impl Request {
    /// Returns the completion of a [question with its own answer](Question::answered_by); `None` for every other request. It may
    /// block.
    ///
    /// Call this before performing the request in any other way. `vgi-rpc-effects` does so before it calls the application.
    pub fn own_answer(&self) -> Option<Completion> {
        match self {
            Self::Question(question) => question.payload::<OwnAnswer>().map(|answer| (answer.0)()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_may_bring_its_answer() {
        let request = Request::Question(Question::answered_by(|| Completion::value(7)));
        let Some(Completion::Value(value)) = request.own_answer() else { panic!("it brings its answer") };
        assert_eq!(value.downcast_ref(), Some(&7));
        assert!(Request::Question(Question::new(7)).own_answer().is_none());
        assert!(Request::UploadUrls(1).own_answer().is_none());
    }
}
