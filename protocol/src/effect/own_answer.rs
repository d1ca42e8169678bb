//! Questions that bring the function which answers them.

use super::answers::Question;
use super::request::{Completion, Request};

/// The function of a question that brings its answer.
struct OwnAnswer(Box<dyn Fn() -> Completion + Send + Sync>);

impl Question {
    /// A question that brings the function which answers it. Whoever performs effects calls it on a thread that may block, and
    /// asks the application nothing: see [`Request::own_answer`].
    pub fn answered_by(answer: impl Fn() -> Completion + Send + Sync + 'static) -> Self {
        Self::new(OwnAnswer(Box::new(answer)))
    }
}

impl Request {
    /// The completion of a [question that brings its answer](Question::answered_by); `None` for every other request. It may
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
