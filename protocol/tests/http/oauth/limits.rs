//! The limit of concurrent code exchanges.

use super::*;
use std::task::Waker;
use vgi_rpc_protocol::effect::{EffectEvent, EffectId};
use vgi_rpc_protocol::http::{Body, RequestOrigin, RequestStep, Transaction};

/// Runs a request until its form is sent to the authorization server, or to its response.
fn exchanging(server: &Server, request: Request<Bytes>) -> Result<(Transaction, EffectId), Box<Answered>> {
    let (head, body) = request.into_parts();
    let origin = RequestOrigin { now: server.now, ..RequestOrigin::default() };
    let mut transaction = server.endpoint.begin(head, origin);
    loop {
        match transaction.poll(server.now, Waker::noop()) {
            RequestStep::NeedBody => transaction.receive_body(Body::Whole(body.clone())).unwrap(),
            RequestStep::Work(work) => transaction.complete(work.run(&|| server.now)).unwrap(),
            RequestStep::Waiting => {
                while let Some(event) = transaction.poll_effect() {
                    let EffectEvent::Requested(effect) = event else { continue };
                    if let EffectRequest::Question(question) = &effect.request
                        && question.payload::<PostForm>().is_some()
                    {
                        return Ok((transaction, effect.id));
                    }
                    transaction.complete_effect(effect.id, (server.perform)(&effect));
                }
            }
            RequestStep::Answer(answer) => return Err(Answered::new(answer, false).into()),
            RequestStep::Over => panic!("a request is answered once"),
        }
    }
}

#[test]
fn a_flood_of_codes_is_not_passed_on() {
    let (server, provider) = serving(login().return_page(PAGE));
    let away = sent_away(&server, &provider, "/vgi");
    let form = "grant_type=authorization_code&code=1&code_verifier=a&redirect_uri=https://app.example/page";
    for (limit, request) in [(32, away.back(&[])), (8, exchange(form))] {
        let begin = || exchanging(&server, request.clone());
        let mut out: Vec<_> = (0..limit).map(|_| begin().unwrap()).collect();
        for _ in 0..3 {
            let busy = begin().unwrap_err();
            assert_eq!((busy.status, busy.header("retry-after")), (503, Some("1")));
            assert_eq!(busy.header("cache-control"), Some("no-store"));
            // The cookie of the login stays, so the page can be reloaded.
            assert!(cookies(&busy).is_empty());
        }
        // A slot becomes free when a browser disconnects, and when the authorization server answers.
        drop(out.pop());
        out.push(begin().unwrap());
        assert!(begin().is_err());
        let (mut answered, id) = out.pop().unwrap();
        answered.complete_effect(id, Completion::value(answer(400, &json!({"error": "invalid_grant"}))));
        assert!(matches!(answered.poll(server.now, Waker::noop()), RequestStep::Answer(_)));
        out.push(begin().unwrap());
        assert!(begin().is_err());
    }
    // The two kinds have separate slots, and all are free again.
    assert_eq!(server.send(away.back(&[])).status, 302);
}
