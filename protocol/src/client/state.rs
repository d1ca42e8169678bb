//! The states of a call, and its transitions when something is received from the server.

/// The state of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No call is in progress.
    Idle,
    /// The result of a unary call is due.
    Result,
    /// The result was received, and the rest of its stream is due.
    ResultCame,
    /// The header of a stream is due.
    Header(Input),
    /// The header was received, and the rest of its stream is due.
    HeaderCame(Input),
    /// The outputs of a stream are due.
    Outputs(Input),
    /// The call has failed or was cancelled. The rest of its response is skipped.
    PassOver {
        /// Whether this is the stream of the header. That of the outputs follows.
        header: bool,
        /// Whether the content of this stream is complete, so that the end of the connection may end it.
        whole: bool,
    },
    /// The failure was reported to the caller, and the end of the call must still be reported.
    Failed,
}

/// The input of a stream that still accepts batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Nothing was sent.
    Unopened,
    /// This many inputs were sent and not answered.
    Open(usize),
}

/// Something received from the server, except logs, which do not change the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// The schema without columns.
    EmptySchema,
    /// Any batch that is not an error.
    Batch,
    /// The server reports that the call has failed.
    Error,
    /// Something that is not acceptable here. The server does not know this, and continues.
    Unacceptable,
    /// The stream has ended.
    End,
}

/// The report to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    Nothing,
    Output,
    Header,
    /// The server's error, or the error for something unacceptable.
    Failure,
    /// The stream ended before its content was received.
    Missing(&'static str),
    Finished,
}

impl State {
    /// Returns the next state and the report to the caller.
    pub(super) const fn after(self, arrival: Received) -> (Self, Report) {
        use Received::{Batch, EmptySchema, End, Error, Unacceptable};
        use State::{Failed, Header, HeaderCame, Idle, Outputs, PassOver, Result, ResultCame};
        match (self, arrival) {
            (Result, Batch) => (ResultCame, Report::Output),
            (Result, End) => (Failed, Report::Missing("a result")),
            (ResultCame, End) => (Idle, Report::Finished),

            // Where a header is due, errors are sent on the empty schema, and no stream of outputs follows.
            (Header(input), EmptySchema) => (Outputs(input), Report::Nothing),
            (Header(input), Batch) => (HeaderCame(input), Report::Header),
            (Header(_), End) => (Failed, Report::Missing("a header")),
            (HeaderCame(input), End) => (Outputs(input), Report::Nothing),

            (Outputs(input), Batch) => (Outputs(input.answered()), Report::Output),
            (Outputs(_), End) => (Idle, Report::Finished),

            (Result | ResultCame | Outputs(_), Unacceptable) => {
                (PassOver { header: false, whole: true }, Report::Failure)
            }
            (Header(_) | HeaderCame(_), Unacceptable) => {
                (PassOver { header: true, whole: true }, Report::Failure)
            }
            (Result | ResultCame | Header(_) | HeaderCame(_) | Outputs(_), Error) => {
                (PassOver { header: false, whole: true }, Report::Failure)
            }

            (PassOver { header: true, whole }, EmptySchema) => {
                (PassOver { header: false, whole }, Report::Nothing)
            }
            (PassOver { header: true, .. }, Batch) => {
                (PassOver { header: true, whole: true }, Report::Nothing)
            }
            (PassOver { header: true, whole: true }, End) => {
                (PassOver { header: false, whole: false }, Report::Nothing)
            }
            (PassOver { .. }, Error | Unacceptable) => {
                (PassOver { header: false, whole: true }, Report::Nothing)
            }
            (PassOver { .. }, End) => (Idle, Report::Finished),

            (state, _) => (state, Report::Nothing),
        }
    }

    /// Returns whether the next batch is for the caller.
    pub(super) const fn waits_for_batch(self) -> bool {
        matches!(self, Self::Result | Self::Header(_) | Self::Outputs(_))
    }

    /// Returns the state after the caller has cancelled the call.
    pub(super) const fn given_up(self) -> Self {
        match self {
            Self::Header(_) => Self::PassOver { header: true, whole: false },
            Self::HeaderCame(_) => Self::PassOver { header: true, whole: true },
            Self::Outputs(_) => Self::PassOver { header: false, whole: false },
            state => state,
        }
    }

    /// Returns the input of the call's stream, if it still accepts batches.
    pub(super) const fn input(&self) -> Option<Input> {
        match self {
            Self::Header(input) | Self::HeaderCame(input) | Self::Outputs(input) => Some(*input),
            _ => None,
        }
    }

    /// Returns the same mutably.
    pub(super) const fn input_mut(&mut self) -> Option<&mut Input> {
        match self {
            Self::Header(input) | Self::HeaderCame(input) | Self::Outputs(input) => Some(input),
            _ => None,
        }
    }

    /// Returns whether the server sends nothing more before the caller does.
    pub(super) const fn waits_for_caller(&self) -> bool {
        matches!(self, Self::Outputs(Input::Unopened | Input::Open(0)))
    }

    /// Returns whether the content of the stream is complete, so that between two messages the end of the connection ends it.
    pub(super) const fn may_end_by_closing(&self) -> bool {
        matches!(self, Self::ResultCame | Self::HeaderCame(_) | Self::PassOver { whole: true, .. })
    }
}

impl Input {
    /// Counts an input that was sent.
    pub(super) const fn sent(&mut self) {
        *self = match *self {
            Self::Open(unanswered) => Self::Open(unanswered.saturating_add(1)),
            Self::Unopened => Self::Open(1),
        };
    }

    const fn answered(self) -> Self {
        match self {
            Self::Open(unanswered) => Self::Open(unanswered.saturating_sub(1)),
            Self::Unopened => Self::Unopened,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the caller is told of these arrivals, and the state after them.
    fn told(mut state: State, arrivals: &[Received]) -> (Vec<Report>, State) {
        let told = arrivals.iter().map(|arrival| {
            let (next, told) = state.after(*arrival);
            state = next;
            told
        });
        (told.filter(|told| *told != Report::Nothing).collect(), state)
    }

    #[test]
    fn every_call_ends_with_one_finish_whatever_comes_first() {
        use Received::{Batch, EmptySchema, End, Error, Unacceptable};
        let starts = [State::Result, State::Header(Input::Unopened), State::Outputs(Input::Open(2))];
        for start in starts.into_iter().flat_map(|state| [state, state.given_up()]) {
            for first in [EmptySchema, Batch, Error, Unacceptable, End] {
                for second in [EmptySchema, Batch, Error, Unacceptable, End] {
                    // Two streams at most are to end still.
                    let (told, state) = told(start, &[first, second, End, End]);
                    let finishes = told.iter().filter(|told| **told == Report::Finished).count();
                    let (ended, failed) = (state == State::Idle, state == State::Failed);
                    assert!(
                        ended && finishes == 1 || failed && finishes == 0,
                        "{start:?} {first:?} {second:?}: {told:?}"
                    );
                    assert!(
                        told.iter()
                            .filter(|told| matches!(told, Report::Failure | Report::Missing(_)))
                            .count()
                            <= 1
                    );
                }
            }
        }
    }

    #[test]
    fn nothing_but_the_end_is_told_of_a_call_that_was_given_up() {
        use Received::{Batch, EmptySchema, End, Error, Unacceptable};
        for start in [
            State::Header(Input::Unopened),
            State::HeaderCame(Input::Open(1)),
            State::Outputs(Input::Open(1)),
        ] {
            for first in [EmptySchema, Batch, Error, Unacceptable, End] {
                let (told, state) = told(start.given_up(), &[first, End, End]);
                assert_eq!((told, state), (vec![Report::Finished], State::Idle), "{start:?} {first:?}");
            }
        }
    }

    #[test]
    fn a_stream_waits_for_its_caller_when_all_inputs_are_answered() {
        let (_, state) = told(State::Outputs(Input::Open(2)), &[Received::Batch]);
        assert!(!state.waits_for_caller());
        let (_, state) = told(state, &[Received::Batch]);
        assert!(state.waits_for_caller());
    }
}
