//! Connections that carry Arrow streams and nothing else: pipes and sockets.

use super::arrow_streams::{Stream, Streams};
use super::edits::Edits;
use super::timeline::Timeline;

/// Finds what is secret on a connection.
///
/// The values of identity's calls are withheld, requests and responses. A unary call has one stream of output; a call with a
/// stream of input has one or two, of which the bytes do not say which. So the output of such a call is one of a few streams
/// if there were calls with input before it, and all of these are withheld.
pub(super) fn find(requests: &[u8], responses: &[u8], timeline: &Timeline) -> (Edits, Edits) {
    let (input, output) = (Streams::read(requests), Streams::read(responses));
    let (mut of_requests, mut of_responses) = (Edits::default(), Edits::default());
    for (edits, streams, bytes) in
        [(&mut of_requests, &input, requests), (&mut of_responses, &output, responses)]
    {
        streams.secrets.iter().for_each(|range| edits.secret(range.clone()));
        edits.withhold(streams.understood..bytes.len());
    }
    let mut calls = Calls::default();
    for stream in &input.streams {
        calls.count(stream);
        let Some(answers) = calls.secret_answers() else { continue };
        withhold(&mut of_requests, stream);
        // What was sent before the request came does not answer it.
        let sent = timeline.responses_before(stream.range.start);
        let answers = output.streams.get(answers.start..).unwrap_or_default().iter().take(answers.len());
        answers
            .filter(|answer| answer.range.end > sent)
            .for_each(|answer| withhold(&mut of_responses, answer));
    }
    // What was not understood may be a request of the identity protocol.
    if input.understood < requests.len() {
        let sent = timeline.responses_before(input.understood);
        of_responses.withhold(sent..responses.len());
    }
    (of_requests, of_responses)
}

/// Withholds all values of a stream. Its framing stays.
fn withhold(edits: &mut Edits, stream: &Stream) {
    stream.bodies.iter().for_each(|body| edits.withhold(body.clone()));
    stream.texts.iter().for_each(|text| edits.secret(text.clone()));
}

/// The calls up to a stream of input.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    calls: usize,
    /// Calls before the last that have a stream of input.
    with_input: usize,
    /// The last has a stream of input.
    has_input: bool,
    /// The last is secret.
    is_secret: bool,
}

impl Calls {
    fn count(&mut self, stream: &Stream) {
        if stream.is_request || self.calls == 0 {
            self.calls += 1;
            self.with_input += usize::from(self.has_input);
            self.has_input = false;
            self.is_secret = stream.is_secret;
        } else {
            self.has_input = true;
        }
    }

    /// The streams of output of which some answer the last call, if it is secret.
    fn secret_answers(self) -> Option<std::ops::Range<usize>> {
        let first = self.calls.checked_sub(1).filter(|_| self.is_secret)?;
        Some(first..first + self.with_input + 1 + usize::from(self.has_input))
    }
}
