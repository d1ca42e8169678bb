//! The questions before a simulated call runs: none, one or two, each of which the driver answers, fails or never completes.
//!
//! A request's metadata says what to ask about it, and a question says how to complete it, so that the caller knows the
//! expected outcome.

use super::draws::Draws;
use super::listener::note_violation;
use std::fmt::Write as _;
use vgi_rpc_protocol::effect::{Answers, Failure, FailureReason, Question};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::{CallContext, Stop};

/// Metadata key of a call's number.
const CALL: &str = "simulation.call";
/// Metadata key of a call's questions: one digit for each.
const QUESTIONS: &str = "simulation.questions";

/// How a question ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Answered,
    /// The answer has data, in pieces.
    AnsweredWithData,
    Failed,
    /// It is never completed, and the driver abandons the call.
    Overdue,
}

impl Fate {
    const ALL: [Self; 4] = [Self::Answered, Self::AnsweredWithData, Self::Failed, Self::Overdue];

    fn refuses(self) -> bool {
        matches!(self, Self::Failed | Self::Overdue)
    }
}

/// The questions about one call, in this order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Admission([Option<Fate>; 2]);

impl Admission {
    pub fn draw(draws: &mut Draws) -> Self {
        use Fate::{Answered, AnsweredWithData, Failed, Overdue};
        let mut fate =
            || draws.pick(&[Answered, Answered, AnsweredWithData, AnsweredWithData, Failed, Overdue]);
        let (first, second) = (fate(), fate());
        match draws.below(4) {
            0 | 1 => Self::default(),
            2 => Self([Some(first), None]),
            _ => Self([Some(first), Some(second)]),
        }
    }

    /// Returns the metadata of a request with these questions.
    pub fn metadata(self, call: i64) -> Metadata {
        let mut metadata = Metadata::new();
        metadata.push(CALL, call.to_string().as_bytes());
        let digits: String = self.0.iter().flatten().map(|fate| char::from(b'0' + *fate as u8)).collect();
        if !digits.is_empty() {
            metadata.push(QUESTIONS, digits.as_bytes());
        }
        metadata
    }

    /// Returns the first question that refuses the call, with its place.
    fn refusing(self) -> Option<(usize, Fate)> {
        let asked = self.0.into_iter().flatten().enumerate();
        asked.into_iter().find(|(_, fate)| fate.refuses())
    }

    /// Returns the type of the error with which the call fails.
    pub fn refusal(self) -> Option<&'static str> {
        self.refusing().map(|(_, fate)| if fate == Fate::Failed { "RuntimeError" } else { "StatusError" })
    }

    /// Returns the text of that error.
    pub fn reason(self, call: i64) -> Option<String> {
        self.refusing().map(|(place, fate)| Asked { call, place, fate }.reason())
    }
}

/// A question to the driver, whose answer is the question itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub call: i64,
    pub place: usize,
    pub fate: Fate,
}

impl Asked {
    /// Returns the reason why this question's call is refused.
    pub fn reason(&self) -> String {
        let Self { call, place, fate } = self;
        format!("question {place} of call {call} is {fate:?}")
    }

    pub fn failure(&self) -> Failure {
        Failure::new(FailureReason::Unavailable, self.reason())
    }

    /// Returns the data of the answer.
    pub fn data(&self) -> Vec<u8> {
        let mut text = String::new();
        if self.fate == Fate::AnsweredWithData {
            for n in 0..=self.call % 4 {
                let _ = write!(text, "{}.{}.{n};", self.call, self.place);
            }
        }
        text.into()
    }
}

/// Returns the number of a context's call.
pub fn call_number(context: &CallContext) -> i64 {
    let text = context.metadata().get(CALL).and_then(|text| std::str::from_utf8(text).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(-1)
}

/// The service's admission step. Checks that each answer matches its question.
pub fn admit(context: &CallContext, answers: &Answers) -> Result<(), Stop> {
    let Some(digits) = context.metadata().get(QUESTIONS) else { return Ok(()) };
    let call = call_number(context);
    for (place, digit) in digits.iter().enumerate() {
        let fate = Fate::ALL[usize::from(digit & 3)];
        let asked = Asked { call, place, fate };
        let key = ["first", "second"][place.min(1)];
        match answers.ask(key, || Question::new(asked))? {
            Ok(answer) => {
                let right = !fate.refuses() && answer.value() == Some(&asked);
                if !right || answer.data().concat() != asked.data() {
                    note_violation(|| format!("{asked:?} is answered with {answer:?}"));
                }
            }
            Err(failure) => {
                if fate != Fate::Failed || failure.message != asked.reason() {
                    note_violation(|| format!("{asked:?} fails with {failure:?}"));
                }
                return Err(failure.into());
            }
        }
    }
    Ok(())
}
