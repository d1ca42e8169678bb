//! Captures of connections, and their redaction: every file is a capture or is refused, a capture is rewritten unchanged,
//! and redaction keeps the length of any bytes.
//!
//! An input is a capture, or the bytes of a connection: a byte for transport and role, two for the number of received
//! bytes, then the received and the sent bytes.

use std::time::Duration;
use vgi_rpc_protocol::service::TransportKind;
use vgi_rpc_recorder::{Capture, Direction, Header, MAGIC, Record, Role, What};

const KEY: [u8; 32] = [7; 32];

/// Reads a capture or makes one, redacts it, shows it, and generates tests from it.
pub fn run(data: &[u8]) {
    let capture = match data.starts_with(MAGIC) {
        true => match Capture::parse(data) {
            Ok(capture) => capture,
            Err(error) => return assert!(!error.to_string().is_empty()),
        },
        false => match conversation(data) {
            Some(capture) => capture,
            None => return,
        },
    };
    expect_to_last(&capture);
    let lengths = |capture: &Capture| {
        [Direction::Received, Direction::Sent].map(|direction| capture.bytes(direction).len())
    };
    let redacted = capture.clone().redact(KEY);
    assert_eq!(lengths(&redacted), lengths(&capture), "no byte more or less");
    assert_eq!(redacted.records.len(), capture.records.len());
    expect_to_last(&redacted);
    // Differences are marked.
    for direction in [Direction::Received, Direction::Sent] {
        let (before, after) = (capture.bytes(direction), redacted.bytes(direction));
        let mut marked = redacted.placeholders_of(direction).peekable();
        for (at, (one, other)) in before.iter().zip(&after).enumerate() {
            while marked.next_if(|(range, _)| range.end <= at).is_some() {}
            let is_marked = marked.peek().is_some_and(|(range, _)| range.contains(&at));
            assert!(one == other || is_marked, "{direction:?} {at}");
        }
    }
    assert!(redacted.transcript().to_string().ends_with('\n'));
    let _ = redacted.golden();
    for target in ["server_session", "client_connection", "http1_server", "http1_client"] {
        let _ = redacted.seed(target);
    }
}

/// Asserts that a capture can be written and read unchanged.
fn expect_to_last(capture: &Capture) {
    let again = Capture::parse(&capture.encode());
    assert_eq!(again.as_ref(), Ok(capture));
}

fn conversation(data: &[u8]) -> Option<Capture> {
    let (plan, said) = data.split_first_chunk::<3>()?;
    let [plan, low, high] = *plan;
    let (received, sent) = said.split_at_checked(u16::from_le_bytes([low, high]).into())?;
    let transport = match plan & 3 {
        0 => TransportKind::Pipe,
        1 => TransportKind::Unix,
        2 => TransportKind::Tcp,
        _ => TransportKind::Http,
    };
    let role = if plan & 4 == 0 { Role::Server } else { Role::Client };
    let header = Header {
        transport,
        role,
        max_bytes: 1 << 20,
        dropped: 0,
        began: Duration::ZERO,
        seed: 1,
        server_id: "fuzz".into(),
    };
    // In pieces, with a redraw in between.
    let middle = received.len() / 2;
    let whats = [
        What::Received(received.get(..middle)?.to_vec()),
        What::Entropy(vec![1; 24]),
        What::Received(received.get(middle..)?.to_vec()),
        What::Clock(Duration::from_secs(1)),
        What::Sent(sent.to_vec()),
        What::Entropy(vec![2; 8]),
        What::Closed,
    ];
    let records = whats.into_iter().map(|what| Record { elapsed: Duration::ZERO, what }).collect();
    Some(Capture { header, records, placeholders: Vec::new(), is_capped: plan & 8 != 0 })
}
