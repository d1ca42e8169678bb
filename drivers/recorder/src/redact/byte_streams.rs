//! Finds secrets on connections that carry only Arrow streams: pipes and sockets.

use super::arrow_streams::{Stream, Streams};
use super::edits::Edits;
use super::timeline::Timeline;

/// Finds the secrets of a connection.
///
/// In calls of the identity protocol, the values of requests and responses are withheld. The bytes do not show which output
/// stream answers which input stream: a call with an input stream has one or two output streams, and an invalid request may be
/// answered by an error. But an input stream is answered by at most one output stream, which follows it. So all output streams
/// that ended after the request was received are withheld, up to the number of input streams.
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
        // An input stream belongs to the preceding call.
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
    // Bytes that were not understood may be a request of the identity protocol.
    if input.understood < requests.len() {
        let sent = timeline.responses_before(input.understood);
        of_responses.withhold(sent..responses.len());
    }
    (of_requests, of_responses)
}

/// Withholds all values of a stream, but not its framing.
fn withhold(edits: &mut Edits, stream: &Stream) {
    stream.bodies.iter().for_each(|body| edits.withhold(body.clone()));
    stream.texts.iter().for_each(|text| edits.secret(text.clone()));
}
