//! Connections that carry Arrow streams and nothing else: pipes and sockets.

use super::arrow_streams::{Stream, Streams};
use super::edits::Edits;
use super::timeline::Timeline;

/// Finds what is secret on a connection.
///
/// The values of identity's calls are withheld, requests and responses. The bytes do not say which stream of output answers
/// which stream of input: a call with a stream of input has one stream of output or two, and what is no request may be answered
/// by an error. But no stream of input is answered by more than one stream of output, and none before it has come. So all output
/// is withheld that ended after the request came, up to as many streams as there are of input.
pub(super) fn find(requests: &[u8], responses: &[u8], timeline: &Timeline) -> (Edits, Edits) {
    let (input, output) = (Streams::read(requests), Streams::read(responses));
    let (mut of_requests, mut of_responses) = (Edits::default(), Edits::default());
    for (edits, streams, bytes) in
        [(&mut of_requests, &input, requests), (&mut of_responses, &output, responses)]
    {
        streams.secrets.iter().for_each(|range| edits.secret(range.clone()));
        edits.withhold(streams.understood..bytes.len());
    }
    let (mut is_secret, mut withheld) = (false, 0);
    for (index, stream) in input.streams.iter().enumerate() {
        // A stream of input belongs to the call before it.
        is_secret = stream.is_secret || (is_secret && !stream.is_request);
        if !is_secret {
            continue;
        }
        withhold(&mut of_requests, stream);
        let sent = timeline.responses_before(stream.range.start);
        let first = output.streams.partition_point(|answer| answer.range.end <= sent).max(withheld);
        let answers = output
            .streams
            .get(first..=index)
            .unwrap_or_else(|| output.streams.get(first..).unwrap_or_default());
        answers.iter().for_each(|answer| withhold(&mut of_responses, answer));
        withheld = first + answers.len();
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
