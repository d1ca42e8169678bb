//! Our server's connection in place of the reference's server.

use super::*;

/// One stream of a response.
struct ResponseStream {
    schema: EncodedSchema,
    batches: VecDeque<(RecordBatch, Metadata)>,
}

fn response_streams(response: &Bytes) -> VecDeque<ResponseStream> {
    let mut streams = VecDeque::new();
    let mut open = None;
    for item in items_of(response, &Limits::default()).unwrap() {
        match item {
            Item::Schema(schema) => {
                let schema = EncodedSchema::new(schema.schema().clone()).unwrap();
                open = Some(ResponseStream { schema, batches: VecDeque::new() });
            }
            Item::Batch(batch, metadata) => open.as_mut().unwrap().batches.push_back((batch, metadata)),
            Item::EndOfStream => streams.extend(open.take()),
        }
    }
    streams
}

impl ResponseStream {
    /// Sends the next logs. Returns the batch after them.
    fn next(&mut self, connection: &mut server::Connection) -> Option<(RecordBatch, Metadata)> {
        loop {
            let (batch, metadata) = self.batches.pop_front()?;
            if classify(batch.num_rows(), Some(&metadata)) != BatchKind::Log {
                return Some((batch, metadata));
            }
            connection.log(&log(&metadata));
        }
    }
}

/// Returns a log without what the connection adds to it.
fn log(metadata: &Metadata) -> LogMessage {
    let mut log = LogMessage::from_metadata(metadata).unwrap();
    log.extra.remove("server_id");
    log.extra.remove("request_id");
    log
}

fn is_error(batch: &RecordBatch, metadata: &Metadata) -> bool {
    classify(batch.num_rows(), Some(metadata)) == BatchKind::Error
}

/// A server's connection that answers the reference's client like the reference.
struct Server<'a> {
    scenario: &'a Scenario,
    connection: server::Connection,
    answers: VecDeque<ResponseStream>,
    open: Option<ResponseStream>,
    seen: Vec<Seen>,
    sent: Vec<u8>,
}

impl<'a> Server<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let config = server::Config {
            server_id: "golden-server".into(),
            request_ids: IdSource::seeded(0),
            ..config(Limits::default())
        };
        Self {
            scenario,
            connection: server::Connection::new(config),
            answers: response_streams(&scenario.response),
            open: None,
            seen: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Answers all pending events.
    fn answer(&mut self) {
        loop {
            match self.connection.poll_event().unwrap() {
                Next::Event(event) => self.event(event),
                Next::NeedInput => break,
                other => panic!("{}: {other:?}", self.scenario.name),
            }
        }
        drain(self.connection.poll_transmit(), usize::MAX, &mut self.sent);
    }

    fn event(&mut self, event: Event) {
        let connection = &mut self.connection;
        match &event {
            Event::Request(request) => {
                let mut answer = self.answers.pop_front().expect("the reference answered");
                match self.scenario.call_kind(request.method()) {
                    CallKind::Unary => {
                        let (batch, metadata) = answer.next(connection).unwrap();
                        if is_error(&batch, &metadata) {
                            let error = RpcError::from_metadata(&metadata);
                            connection.refuse(&answer.schema, &error, InputStream::None).unwrap();
                        } else {
                            connection.respond(&answer.schema, &batch, &metadata).unwrap();
                        }
                    }
                    CallKind::Stream { header } => {
                        let first = answer.batches.front();
                        let refused = first.is_some_and(|(batch, metadata)| is_error(batch, metadata));
                        let empty = answer.schema.schema().fields().is_empty();
                        if refused && empty && self.open.is_none() {
                            let (_, metadata) = answer.next(connection).unwrap();
                            let error = RpcError::from_metadata(&metadata);
                            connection.refuse(&answer.schema, &error, InputStream::Possible).unwrap();
                        } else {
                            if header {
                                let (batch, _) = answer.next(connection).unwrap();
                                connection.send_header(&answer.schema, &batch, &Metadata::new()).unwrap();
                                answer = self.answers.pop_front().unwrap();
                            }
                            connection.open_stream(&answer.schema).unwrap();
                            self.open = Some(answer);
                        }
                    }
                }
            }
            Event::Input(..) => match self.open.as_mut().unwrap().next(connection) {
                Some((batch, metadata)) if is_error(&batch, &metadata) => {
                    connection.fail(&RpcError::from_metadata(&metadata)).unwrap();
                    self.open = None;
                }
                Some((batch, metadata)) => connection.emit(&batch, &metadata).unwrap(),
                None => {
                    connection.finish().unwrap();
                    self.open = None;
                }
            },
            Event::Cancelled | Event::InputEnded => {
                connection.finish().unwrap();
                self.open = None;
            }
            Event::Refused(_) => {
                // What the connection itself refuses, the reference has also refused.
                self.answers.pop_front().expect("the reference answered");
            }
        }
        self.seen.push(event.into());
    }
}

/// Plays the server's part, chunk by chunk.
fn play_server(scenario: &Scenario) -> Server<'_> {
    let mut server = Server::new(scenario);
    let (mut heard, mut said) = (Vec::new(), 0);
    for (by_client, bytes) in &scenario.chunks {
        if *by_client {
            server.connection.receive(bytes.clone());
            server.answer();
        } else {
            // We have sent everything that the reference had sent by now: neither side waits for the other.
            heard.extend_from_slice(bytes);
            said += said_by(&heard, &server.sent, said, scenario);
        }
    }
    server
}

/// Checks that the batches of `theirs` after the first `from` equal those of `ours` in the same places. Returns their number.
fn said_by(theirs: &[u8], ours: &[u8], from: usize, scenario: &Scenario) -> usize {
    let (theirs, ours) = (open_batches(theirs), open_batches(ours));
    assert!(theirs.len() <= ours.len(), "{}: {} of {} batches", scenario.name, ours.len(), theirs.len());
    for (theirs, ours) in theirs.iter().zip(&ours).skip(from) {
        assert_same(theirs, ours, scenario);
    }
    theirs.len() - from
}

/// Returns all batches so far, of streams that may not have ended.
fn open_batches(bytes: &[u8]) -> Vec<(RecordBatch, Metadata)> {
    let mut reader = Reader::new(Limits::default());
    reader.receive(Bytes::copy_from_slice(bytes));
    let mut batches = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        if let Item::Batch(batch, metadata) = item {
            batches.push((batch, metadata));
        }
    }
    batches
}

fn assert_same(theirs: &(RecordBatch, Metadata), ours: &(RecordBatch, Metadata), scenario: &Scenario) {
    let name = &scenario.name;
    assert_eq!(theirs.0, ours.0, "{name}");
    match classify(theirs.0.num_rows(), Some(&theirs.1)) {
        BatchKind::Log => assert_eq!(log(&theirs.1), log(&ours.1), "{name}"),
        BatchKind::Error => {
            let (theirs, ours) = (RpcError::from_metadata(&theirs.1), RpcError::from_metadata(&ours.1));
            assert_eq!(theirs.error_type(), ours.error_type(), "{name}");
            let facts =
                |error: &RpcError| (error.code(), error.kind().map(str::to_owned), error.details_json());
            assert_eq!(facts(&theirs), facts(&ours), "{name}");
            assert!(!ours.traceback().is_empty(), "{name}");
        }
        _ => assert_eq!(theirs.1, ours.1, "{name}"),
    }
}

#[test]
fn our_server_hears_every_call_and_answers_as_the_reference_did() {
    for scenario in scenarios() {
        let name = &scenario.name;
        let mut server = play_server(&scenario);
        assert!(server.connection.is_idle(), "{name}: the connection is idle");
        assert!(server.answers.is_empty(), "{name}: every answer was used");
        server.connection.receive_eof();
        assert!(matches!(server.connection.poll_event(), Ok(Next::Closed)), "{name}");
        let (theirs, ours) = (&scenario.response, Bytes::from(server.sent));
        let schemas = |bytes: &Bytes| {
            let items = items_of(bytes, &Limits::default()).unwrap().into_iter();
            items
                .filter_map(|item| match item {
                    Item::Schema(schema) => Some(schema.schema().clone()),
                    _ => None,
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(schemas(theirs), schemas(&ours), "{name}");
        assert_eq!(batches_of(theirs).len(), batches_of(&ours).len(), "{name}");
    }
}

#[test]
fn our_server_sees_methods_rows_metadata_and_ends() {
    for scenario in scenarios() {
        let name = &scenario.name;
        let seen = play_server(&scenario).seen;
        let calls = calls(&scenario.request, &scenario);
        let begins = |seen: &Seen| matches!(seen, Seen::Request(..) | Seen::Refused(_));
        assert_eq!(seen.iter().filter(|seen| begins(seen)).count(), calls.len(), "{name}");
        let mut seen = seen.into_iter().peekable();
        for (request, input) in &calls {
            let opened = match seen.next().unwrap() {
                Seen::Request(row, metadata) => {
                    assert_eq!(metadata, *request, "{name}");
                    assert!(row.num_columns() == 0 || row.num_rows() == 1, "{name}");
                    let names: Vec<_> = scenario.method.split(", ").collect();
                    assert!(names.contains(&metadata.get_str(keys::METHOD).unwrap()), "{name}");
                    seen.peek().is_some_and(|next| !begins(next))
                }
                Seen::Refused(error) => {
                    let reference = scenario.error.as_ref().unwrap();
                    assert_eq!(error.error_type(), reference[0], "{name}");
                    false
                }
                other => panic!("{name}: {other:?}"),
            };
            if !opened {
                continue;
            }
            let mut ended = false;
            for (batch, metadata) in input {
                match seen.next_if(|seen| !begins(seen)) {
                    Some(Seen::Input(seen, with)) => assert_eq!((&seen, &with), (batch, metadata), "{name}"),
                    Some(Seen::Cancelled) => {
                        assert!(metadata.contains_key(keys::CANCEL), "{name}");
                        ended = true;
                    }
                    Some(other) => panic!("{name}: {other:?}"),
                    // The stream had ended; the rest was skipped.
                    None => ended = true,
                }
            }
            let next = seen.next_if(|seen| !begins(seen));
            assert!(next.is_none() || (!ended && next == Some(Seen::InputEnded)), "{name}: {next:?}");
        }
        assert_eq!(seen.next(), None, "{name}");
    }
}

#[test]
fn our_server_tells_cancels_from_ends() {
    let last = |name: &str| play_server(&scenario(name)).seen.pop().unwrap();
    for name in [
        "producer_cancel_before_tick",
        "producer_cancel_mid_stream",
        "exchange_cancel_before_turn",
        "exchange_cancel_mid_stream",
    ] {
        assert_eq!(last(name), Seen::Cancelled, "{name}");
    }
    for name in [
        "producer_close_before_tick",
        "producer_close_mid_stream",
        "exchange_close_before_turn",
        "exchange_close_mid_stream",
    ] {
        assert_eq!(last(name), Seen::InputEnded, "{name}");
    }
}
