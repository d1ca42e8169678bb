//! The endpoint's cache of streams: an optimisation that changes no response.

use crate::ask::*;
use crate::common::batches::*;
use crate::serve::*;
use std::time::Duration;

#[test]
fn a_stream_goes_on_at_another_endpoint_that_has_the_key() {
    let workers = [1, 2, 3].map(|_| serve_main(|builder| builder.token_keys(keys(1, []))));
    let opened = workers[0].send(init_scale(3.0));
    let mut tokens = Tokens::of(&opened);
    for at in 0..9 {
        let answered = workers[at % workers.len()].send(turn("scale", value(at as f64), &tokens));
        assert_eq!(answered.told(), [format!("data {:.1}", at as f64 * 3.0)], "turn {at}");
        tokens.follow(&answered);
    }
}

#[test]
fn with_and_without_a_cache_the_answers_are_alike() {
    let told = |calls: usize| {
        let server = serve_main(|builder| builder.cached_calls(calls));
        let first = server.send(init("count_with_header", row([("count", int(3))])));
        let mut tokens = Tokens::of(&first);
        let mut told = vec![first.told()];
        for _ in 0..2 {
            let answered = server.send(tick("count_with_header", &tokens));
            tokens.follow(&answered);
            told.push(answered.told());
        }
        told.push(server.send(tick("count_with_header", &tokens)).told());
        told
    };
    assert_eq!(told(0), told(4096));
    assert_eq!(told(0)[2], ["data 2", "token"]);
}

#[test]
fn a_warm_cache_stands_in_for_the_call_token_and_a_cold_one_does_not() {
    let server = serve_main(|builder| builder.cached_calls(1));
    let tokens = Tokens::of(&server.send(init_count(9)));
    let bare = Tokens { call: None, ..tokens.clone() };
    assert_eq!(server.send(tick("count", &bare)).status, 200);
    // Another stream takes the only slot.
    server.send(init_count(9));
    assert_eq!(server.send(tick("count", &bare)).status, 400);
    assert_eq!(server.send(tick("count", &tokens)).status, 200);
    assert_eq!(server.send(tick("count", &bare)).status, 200, "a call restored from its token is cached");
}

#[test]
fn a_warm_cache_does_not_look_at_the_call_token() {
    let server = main();
    let tokens = Tokens::of(&server.send(init_count(9)));
    let forged = Tokens { call: Some("forged".into()), ..tokens };
    assert_eq!(server.send(tick("count", &forged)).status, 200, "the cursor alone identifies the call");
}

#[test]
fn a_cached_call_grows_as_old_as_its_token() {
    let server = serve_main(|builder| builder.token_lifetime(Some(Duration::from_secs(60))));
    let first = server.send(init_count(9));
    let mut tokens = Tokens::of(&first);
    tokens.follow(&server.after(Duration::from_secs(50)).send(tick("count", &tokens)));
    // The cursor is 20 s old, the call 70 s.
    assert_eq!(server.after(Duration::from_secs(70)).send(tick("count", &tokens)).status, 400);
}
