//! Which tokens open, and for whom. WIRE_PROTOCOL 10, "State token binary format" and "Resolution order".

use crate::ask::*;
use crate::common::batches::*;
use crate::serve::*;
use arrow_schema::DataType;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use vgi_rpc_protocol::http::auth::{AuthContext, bearer_static};
use vgi_rpc_protocol::service::{Method, MethodSpec, Producer, Protocol, Service, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;

/// Returns a protocol of this name and version, whose two methods have the same surface.
fn protocol(name: &str, version: &str) -> Protocol {
    Protocol::new(name).version(version).methods([count("one"), count("two")])
}

fn count(name: &str) -> MethodSpec {
    let output = schema([("n", DataType::Int64)]);
    Method::new(name).output(output).producer(|_, _| Ok(Stream::new(Count(0))))
}

#[derive(Serialize, Deserialize)]
struct Count(i64);

impl Producer for Count {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        self.0 += 1;
        turn.emit_columns(vec![int(self.0)])
    }
}

const A: &str = "test.A.v1";
const B: &str = "test.B.v1";

/// Returns a server of the protocols A and B with this key, for the callers ann and bob. It has no cache.
fn server(version: &str, key: u8) -> Server {
    let service = Service::builder("server-1").protocol(protocol(A, version)).protocol(protocol(B, version));
    serve(service.build().unwrap(), |builder| {
        builder.cached_calls(0).token_keys(keys(key, [])).authenticate(bearer_static([
            ("of ann", AuthContext::new("test", "ann")),
            ("of bob", AuthContext::new("test", "bob")),
            ("of the other ann", AuthContext::new("elsewhere", "ann")),
        ]))
    })
}

/// Opens ann's stream of `one` in A.
fn open(server: &Server) -> Tokens {
    let mut metadata = routing(A, "one");
    metadata.push("vgi_rpc.protocol_version", "1.0.0");
    let body = crate::common::streams::stream_of(&[(no_columns(1), metadata)]);
    let request = post(&format!("/vgi/{A}/one/init"), body).with("authorization", "Bearer of ann");
    Tokens::of(&server.send(request))
}

/// Takes a turn in this caller's name.
fn go_on(server: &Server, method: (&str, &str), who: &str, tokens: &Tokens) -> Answered {
    let request = turn_of(method, no_columns(0), tokens, &[]);
    server.send(request.with("authorization", &format!("Bearer {who}")))
}

/// Returns the parts of a turn's refusal that a client can distinguish, without the request's id.
#[track_caller]
fn refusal(answered: &Answered) -> (String, String) {
    assert_eq!((answered.status, answered.is_marked()), (400, false), "{:?}", answered.told());
    assert_eq!((answered.cursor(), answered.call_token()), (None, None));
    let error = answered.error();
    (error.error_type().to_owned(), error.message().to_owned())
}

/// Returns the refusal of a token that was never minted.
fn forgery(server: &Server) -> (String, String) {
    let tokens = Tokens { cursor: Some(BASE64_STANDARD.encode([5; 80])), ..open(server) };
    refusal(&go_on(server, (A, "one"), "of ann", &tokens))
}

#[test]
fn a_stream_goes_on_for_whom_it_was_opened() {
    let server = server("1.0.0", 1);
    let answered = go_on(&server, (A, "one"), "of ann", &open(&server));
    assert_eq!((answered.status, answered.told()), (200, vec!["data 2".into(), "token".into()]));
}

#[test]
fn a_token_serves_no_other_caller() {
    let server = server("1.0.0", 1);
    let tokens = open(&server);
    for other in ["of bob", "of the other ann"] {
        assert_eq!(refusal(&go_on(&server, (A, "one"), other, &tokens)), forgery(&server), "{other}");
    }
}

#[test]
fn a_token_serves_no_other_method_or_protocol() {
    let server = server("1.0.0", 1);
    let tokens = open(&server);
    for other in [(A, "two"), (B, "one"), (B, "two")] {
        assert_eq!(refusal(&go_on(&server, other, "of ann", &tokens)), forgery(&server), "{other:?}");
    }
}

#[test]
fn a_token_serves_no_other_surface_of_its_protocol() {
    let tokens = open(&server("1.0.0", 1));
    let wider = Service::builder("server-1").protocol(protocol(A, "1.0.0").method(count("three")));
    let wider = serve(wider.build().unwrap(), |builder| {
        let ann = bearer_static([("of ann", AuthContext::new("test", "ann"))]);
        builder.token_keys(keys(1, [])).authenticate(ann)
    });
    assert_eq!(refusal(&go_on(&wider, (A, "one"), "of ann", &tokens)), forgery(&server("1.0.0", 1)));
    let same = server("1.0.0", 1);
    assert_eq!(go_on(&same, (A, "one"), "of ann", &tokens).status, 200, "they share the key");
}

#[test]
fn a_token_serves_no_other_version_of_its_protocol() {
    let tokens = open(&server("1.0.0", 1));
    let newer = server("1.1.0", 1);
    assert_eq!(refusal(&go_on(&newer, (A, "one"), "of ann", &tokens)), forgery(&server("1.0.0", 1)));
}

#[test]
fn a_token_serves_under_its_key_alone() {
    let tokens = open(&server("1.0.0", 1));
    let other = server("1.0.0", 2);
    assert_eq!(refusal(&go_on(&other, (A, "one"), "of ann", &tokens)), forgery(&other));
    // An endpoint without keys draws its own. In these tests all draw the same, so the other one is given a key.
    let (one, another) = (crate::serve::main(), serve_main(|builder| builder.token_keys(keys(2, []))));
    let tokens = Tokens::of(&one.send(init_count(3)));
    assert_eq!(one.send(tick("count", &tokens)).status, 200);
    refusal(&another.send(tick("count", &tokens)));
}

#[test]
fn a_token_with_any_part_changed_does_not_open() {
    let server = server("1.0.0", 1);
    let tokens = open(&server);
    let forged = forgery(&server);
    let changed = |token: &Option<String>, at: usize, mask: u8| {
        let mut bytes = BASE64_STANDARD.decode(token.as_deref().unwrap()).unwrap();
        bytes[at] ^= mask;
        Some(BASE64_STANDARD.encode(bytes))
    };
    let length = |token: &Option<String>| BASE64_STANDARD.decode(token.as_deref().unwrap()).unwrap().len();
    for at in 0..length(&tokens.cursor) {
        let tokens = Tokens { cursor: changed(&tokens.cursor, at, 1), ..tokens.clone() };
        assert_eq!(
            refusal(&go_on(&server, (A, "one"), "of ann", &tokens)),
            forged,
            "byte {at} of the cursor"
        );
    }
    for at in 0..length(&tokens.call) {
        let tokens = Tokens { call: changed(&tokens.call, at, 0x80), ..tokens.clone() };
        assert_eq!(refusal(&go_on(&server, (A, "one"), "of ann", &tokens)), forged, "byte {at} of the other");
    }
}

#[test]
fn a_token_that_is_cut_short_or_no_base64_does_not_open() {
    let server = server("1.0.0", 1);
    let tokens = open(&server);
    let forged = forgery(&server);
    let cursor = tokens.cursor.clone().unwrap();
    let texts =
        ["", "=", "\u{fffd}", &cursor[..cursor.len() / 2], &cursor[4..], &format!("{cursor}AAAA"), " "];
    for text in texts {
        let cursor = Tokens { cursor: Some(text.to_owned()), ..tokens.clone() };
        assert_eq!(refusal(&go_on(&server, (A, "one"), "of ann", &cursor)), forged, "{text:?}");
        let call = Tokens { call: Some(text.to_owned()), ..tokens.clone() };
        assert_eq!(refusal(&go_on(&server, (A, "one"), "of ann", &call)), forged, "{text:?}");
    }
}

#[test]
fn a_token_does_not_open_in_the_place_of_the_other() {
    let server = server("1.0.0", 1);
    let Tokens { cursor, call } = open(&server);
    let forged = forgery(&server);
    for tokens in [
        Tokens { cursor: call.clone(), call: cursor.clone() },
        Tokens { cursor: call.clone(), call: call.clone() },
        Tokens { cursor: cursor.clone(), call: cursor.clone() },
    ] {
        assert_eq!(refusal(&go_on(&server, (A, "one"), "of ann", &tokens)), forged);
    }
}

#[test]
fn tokens_of_two_streams_do_not_go_together() {
    let server = server("1.0.0", 1);
    let (one, other) = (open(&server), open(&server));
    let mixed = Tokens { call: other.call, ..one };
    assert_eq!(refusal(&go_on(&server, (A, "one"), "of ann", &mixed)), forgery(&server));
}

#[test]
fn both_tokens_must_come() {
    let server = server("1.0.0", 1);
    let tokens = open(&server);
    let none = Tokens { cursor: None, ..tokens.clone() };
    assert!(refusal(&go_on(&server, (A, "one"), "of ann", &none)).1.contains("state token"));
    let none = Tokens { call: None, ..tokens };
    assert!(refusal(&go_on(&server, (A, "one"), "of ann", &none)).1.contains("call token"));
}

#[test]
fn a_token_grows_old() {
    let server = serve_main(|builder| builder.token_lifetime(Some(Duration::from_secs(60))));
    let mut tokens = Tokens::of(&server.send(init_count(9)));
    let late = server.after(Duration::from_secs(60));
    let answered = late.send(tick("count", &tokens));
    assert_eq!(answered.status, 200, "it has not expired");
    let too_late = server.after(Duration::from_secs(61));
    let (_, text) = refusal(&too_late.send(tick("count", &tokens)));
    assert!(text.contains("expired"), "{text}");
    let init = server.after(Duration::from_secs(55)).send(init_count(9));
    tokens = Tokens::of(&init);
    assert_eq!(too_late.send(tick("count", &tokens)).status, 200, "another stream is young");
}

#[test]
fn tokens_live_for_ever_if_that_is_set() {
    let server = serve_main(|builder| builder.token_lifetime(None));
    let tokens = Tokens::of(&server.send(init_count(9)));
    let years = server.after(Duration::from_secs(10 * 365 * 24 * 3600));
    assert_eq!(years.send(tick("count", &tokens)).told(), ["data 1", "token"]);
}

#[test]
fn a_cancel_is_refused_like_a_turn() {
    let server = serve_main(|builder| builder.token_keys(keys(1, [])));
    let other = serve_main(|builder| builder.token_keys(keys(2, [])));
    let tokens = Tokens::of(&server.send(init_count(9)));
    crate::common::service::take_cancel_hooks();
    refusal(&other.send(cancel("count", &tokens)));
    refusal(&server.send(cancel("count", &Tokens { cursor: None, ..tokens })));
    assert_eq!(crate::common::service::take_cancel_hooks(), 0);
}

#[test]
fn an_old_key_opens_and_a_new_one_mints() {
    let old = serve_main(|builder| builder.token_keys(keys(1, [])));
    let both = serve_main(|builder| builder.token_keys(keys(2, [1])));
    let new = serve_main(|builder| builder.token_keys(keys(2, [])));
    let mut tokens = Tokens::of(&old.send(init_count(9)));
    refusal(&new.send(tick("count", &tokens)));
    let answered = both.send(tick("count", &tokens));
    tokens.follow(&answered);
    refusal(&old.send(tick("count", &tokens)));
    // The cursor is now sealed with the new key; the call token is still the original one.
    refusal(&new.send(tick("count", &tokens)));
    assert_eq!(both.send(tick("count", &tokens)).told(), ["data 2", "token"]);
    let fresh = Tokens::of(&both.send(init_count(9)));
    assert_eq!(new.send(tick("count", &fresh)).status, 200);
    refusal(&old.send(tick("count", &fresh)));
}

#[test]
fn a_token_tells_nothing_of_what_is_in_it() {
    let server = main();
    let answered = server.send(init_until("count_until", 77, "a secret manner"));
    let tokens = Tokens::of(&answered);
    for token in [tokens.cursor.unwrap(), tokens.call.unwrap()] {
        let bytes = BASE64_STANDARD.decode(&token).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"secret"), "it is sealed");
    }
}
