//! When keys are loaded: rotation, outages, made-up ids, and age.

use super::*;

/// Returns how often a token at this time causes keys to be requested, and the result.
fn at(jwt: &Jwt, time: u64, number: u8, documents: &Documents) -> (usize, Result<AuthContext, AuthError>) {
    let token = token(number, &claims_with(json!({"exp": time + 60})));
    let (result, asked) = judge(jwt, &token, time, documents);
    (asked.len(), result)
}

#[test]
fn keys_are_asked_for_once_and_again_when_they_are_old() {
    let jwt = jwt([issuer()]).unwrap();
    let keys = |_: &str| Ok(published(&[1]));
    let times = [(0, 1), (1, 0), (599, 0), (600, 1), (601, 0), (1199, 0), (1200, 1)];
    for (after, asked) in times {
        let (count, result) = at(&jwt, NOW + after, 1, &keys);
        assert!(result.is_ok() && count == asked, "{after} s: asked {count} times, {result:?}");
    }
}

#[test]
fn a_new_key_is_accepted_at_once_and_a_removed_one_no_longer() {
    let jwt = jwt([issuer()]).unwrap();
    assert!(at(&jwt, NOW, 1, &|_| Ok(published(&[1]))).1.is_ok());
    let rotated = |_: &str| Ok(published(&[2]));
    let (asked, result) = at(&jwt, NOW + 5, 2, &rotated);
    assert_eq!((asked, result.unwrap().principal.as_str()), (1, "ann"));
    // That load has shown that the old key was removed.
    let (asked, result) = at(&jwt, NOW + 20, 1, &rotated);
    assert_eq!((asked, refusal(result).1), (1, "the issuer has no such key"));
}

#[test]
fn made_up_ids_cause_one_load_in_five_seconds_and_do_not_keep_good_tokens_out() {
    let jwt = jwt([issuer()]).unwrap();
    let keys = |_: &str| Ok(published(&[1]));
    assert_eq!(at(&jwt, NOW, 1, &keys).0, 1);
    let mut asked = 0;
    for second in 0..60 {
        for number in 10..20 {
            let (count, result) = at(&jwt, NOW + second, number, &keys);
            asked += count;
            match result {
                Err(AuthError::Refused(_)) => assert_eq!(count, 1, "refused once the keys were looked at"),
                // The id may or may not be made up.
                Err(AuthError::Unavailable { retry_after, .. }) => assert!((1..=5).contains(&retry_after)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(at(&jwt, NOW + second, 1, &keys).0, 0);
    }
    assert_eq!(asked, 11);
}

#[test]
fn an_outage_is_no_refusal_and_old_keys_are_used_for_an_hour() {
    let jwt = jwt([issuer()]).unwrap();
    let unavailable =
        |result: Result<AuthContext, AuthError>| matches!(result, Err(AuthError::Unavailable { .. }));
    let (asked, result) = at(&jwt, NOW, 1, &down);
    assert!(asked == 1 && unavailable(result));
    let (asked, result) = at(&jwt, NOW + 4, 1, &down);
    assert!(asked == 0 && unavailable(result), "not asked for again within 5 s");
    let loaded = NOW + 5;
    assert!(at(&jwt, loaded, 1, &|_| Ok(published(&[1]))).1.is_ok());
    // A failed refresh keeps the current keys.
    let (asked, result) = at(&jwt, loaded + 3000, 1, &down);
    assert!(asked == 1 && result.is_ok());
    assert!(unavailable(at(&jwt, loaded + 3010, 2, &down).1), "an unknown key may be a new one");
    assert!(at(&jwt, loaded + 3599, 1, &down).1.is_ok());
    let (asked, result) = at(&jwt, loaded + 3604, 1, &down);
    assert!(asked == 1 && unavailable(result), "too old");
    assert!(at(&jwt, loaded + 3609, 1, &|_| Ok(published(&[1]))).1.is_ok());
}

#[test]
fn calls_that_come_while_keys_are_loaded_wait_for_the_same_load() {
    let jwt = jwt([issuer()]).unwrap();
    let parts = head(&[("authorization", &format!("Bearer {}", token(1, &claims())))]);
    let ask = |at: u64| match jwt.authenticate(&AuthRequest::new(&parts, None, Duration::from_secs(at))) {
        Err(AuthError::Ask(ask)) => format!("{} {:?}", ask.key, ask.question),
        other => panic!("{other:?}"),
    };
    assert_eq!(ask(NOW), ask(NOW + 19), "the driver tells them by the key that they share");
    // A load that no request completed is abandoned.
    assert_eq!(ask(NOW), ask(NOW + 20));
}

#[test]
fn a_stale_set_is_refreshed_by_one_call_while_others_go_on() {
    let jwt = jwt([issuer()]).unwrap();
    assert!(at(&jwt, NOW, 1, &|_| Ok(published(&[1]))).1.is_ok());
    let token = token(1, &claims_with(json!({"exp": NOW + 10_000})));
    let parts = head(&[("authorization", &format!("Bearer {token}"))]);
    let request = AuthRequest::new(&parts, None, Duration::from_secs(NOW + 700));
    assert!(matches!(jwt.authenticate(&request), Err(AuthError::Ask(_))));
    assert!(jwt.authenticate(&request).is_ok(), "the second does not wait");
    // Nor after the first was abandoned and another has begun.
    let request = AuthRequest::new(&parts, None, Duration::from_secs(NOW + 720));
    assert!(matches!(jwt.authenticate(&request), Err(AuthError::Ask(_))));
    assert!(jwt.authenticate(&request).is_ok());
}

#[test]
fn a_clock_that_is_set_back_keeps_nobody_out() {
    let jwt = jwt([issuer()]).unwrap();
    let keys = |_: &str| Ok(published(&[1]));
    assert!(at(&jwt, NOW, 1, &keys).1.is_ok());
    let (asked, result) = at(&jwt, NOW - 1000, 1, &keys);
    assert!(asked == 1 && result.is_ok());
}

#[test]
fn the_keys_are_found_by_discovery_below_the_issuer() {
    let at_discovery = |provider: Value, keys: Value| {
        let discovered = jwt([JwtIssuer::new(ISSUER, ["tables"])]).unwrap();
        let documents = move |url: &str| {
            Ok(if url.ends_with("/.well-known/openid-configuration") {
                provider.clone()
            } else {
                keys.clone()
            })
        };
        judge(&discovered, &token(1, &claims()), NOW, &documents)
    };
    let provider = json!({"issuer": ISSUER, "jwks_uri": "https://keys.example/set"});
    let (result, asked) = at_discovery(provider, published(&[1]));
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(asked, ["https://login.example/.well-known/openid-configuration", "https://keys.example/set"]);
    for provider in [
        json!({"issuer": "https://evil.example", "jwks_uri": "https://keys.example/set"}),
        json!({"issuer": ISSUER}),
        json!({"issuer": ISSUER, "jwks_uri": "http://keys.example/set"}),
        json!("other"),
    ] {
        let (result, asked) = at_discovery(provider, published(&[1]));
        assert!(matches!(result, Err(AuthError::Unavailable { .. })), "{result:?}");
        assert_eq!(asked.len(), 1);
    }
}

#[test]
fn a_server_without_a_driver_for_documents_says_so() {
    let jwt = jwt([issuer()]).unwrap();
    let unsupported = |_: &str| Err(Failure::unsupported());
    assert!(matches!(at(&jwt, NOW, 1, &unsupported).1, Err(AuthError::Failed(_))));
}

#[test]
fn a_clock_that_is_behind_by_a_little_asks_for_nothing() {
    let jwt = jwt([issuer()]).unwrap();
    assert!(at(&jwt, NOW, 1, &|_| Ok(published(&[1]))).1.is_ok());
    // Like the clock reading of a thread that started first and continues later.
    let (asked, result) = at(&jwt, NOW - 1, 1, &down);
    assert!(asked == 0 && result.is_ok(), "{result:?}");
}

#[test]
fn a_new_key_of_an_old_id_is_accepted_at_once() {
    let jwt = jwt([issuer()]).unwrap();
    let with_old_id = |number: u8| {
        let mut keys = published(&[number]);
        keys["keys"][0]["kid"] = json!("one");
        keys
    };
    let token = |number: u8, time: u64| {
        let claims = claims_with(json!({"exp": time + 60}));
        sign(number, &json!({"alg": "EdDSA", "kid": "one"}), &claims)
    };
    let (result, _) = judge(&jwt, &token(1, NOW), NOW, &move |_| Ok(with_old_id(1)));
    assert!(result.is_ok());
    let rotated = move |_: &str| Ok(with_old_id(2));
    let (result, asked) = judge(&jwt, &token(2, NOW + 5), NOW + 5, &rotated);
    assert!(result.is_ok() && asked.len() == 1, "{result:?}");
    // A token that no key signed is refused, and the keys are not requested again within 5 s.
    for (second, loads) in [(6, 0), (9, 0), (10, 1), (11, 0)] {
        let (result, asked) = judge(&jwt, &token(3, NOW + second), NOW + second, &rotated);
        assert_eq!(refusal(result).1, "the signature does not match the key");
        assert_eq!(asked.len(), loads, "{second} s");
    }
}

#[test]
fn the_ages_of_keys_are_held_to_bounds() {
    let day = 24 * 60 * 60;
    let forever = jwt([issuer().key_ages(Duration::MAX, Duration::MAX)]).unwrap();
    assert!(at(&forever, NOW, 1, &|_| Ok(published(&[1]))).1.is_ok());
    assert_eq!(at(&forever, NOW + day - 1, 1, &down).0, 0);
    assert!(matches!(at(&forever, NOW + day, 1, &down).1, Err(AuthError::Unavailable { .. })));
    let never = jwt([issuer().key_ages(Duration::ZERO, Duration::ZERO)]).unwrap();
    assert!(at(&never, NOW, 1, &|_| Ok(published(&[1]))).1.is_ok());
    assert_eq!(at(&never, NOW + 9, 1, &down).0, 0);
}

/// A request that another part of its authenticator delays after its keys were received.
struct Kept {
    parts: http::request::Parts,
    found: Found,
}

impl Kept {
    fn new(number: u8) -> Self {
        let claims = claims_with(json!({"exp": NOW + 10_000}));
        let parts = head(&[("authorization", &format!("Bearer {}", token(number, &claims)))]);
        Self { parts, found: Found::default() }
    }

    fn run(&self, jwt: &Jwt, at: u64) -> Result<AuthContext, AuthError> {
        let request = AuthRequest::new(&self.parts, None, Duration::from_secs(at));
        jwt.authenticate(&request.with_found(&self.found))
    }

    fn answer(&mut self, jwt: &Jwt, at: u64, answer: Result<Value, Failure>) {
        let Err(AuthError::Ask(ask)) = self.run(jwt, at) else { panic!("it asks for keys") };
        let answer = answer.map(|json| Answer::of_data(json.to_string().as_bytes()));
        assert!(self.found.answers.insert(ask.key, answer));
    }
}

#[test]
fn an_old_answer_replaces_no_newer_keys() {
    let jwt = jwt([issuer()]).unwrap();
    let mut kept = Kept::new(1);
    kept.answer(&jwt, NOW, Ok(published(&[1])));
    assert!(kept.run(&jwt, NOW + 1).is_ok());
    // The issuer has since removed that key.
    assert!(at(&jwt, NOW + 30, 2, &|_| Ok(published(&[2]))).1.is_ok());
    // The answer to this request is still valid for it, but for no other request.
    assert!(kept.run(&jwt, NOW + 31).is_ok());
    assert_eq!(refusal(at(&jwt, NOW + 40, 1, &|_| Ok(published(&[2]))).1).1, "the issuer has no such key");
}

#[test]
fn keys_are_as_old_as_the_question_for_them() {
    let jwt = jwt([issuer()]).unwrap();
    let mut kept = Kept::new(1);
    kept.answer(&jwt, NOW, Ok(published(&[1])));
    for after in [3, 300, 590] {
        assert!(kept.run(&jwt, NOW + after).is_ok());
    }
    assert_eq!(at(&jwt, NOW + 599, 1, &|_| Ok(published(&[1]))).0, 0);
    assert_eq!(at(&jwt, NOW + 600, 1, &|_| Ok(published(&[1]))).0, 1);
}

#[test]
fn an_old_failure_puts_off_no_load() {
    let jwt = jwt([issuer()]).unwrap();
    let mut kept = Kept::new(1);
    kept.answer(&jwt, NOW, down(""));
    for after in [1, 4] {
        assert!(matches!(kept.run(&jwt, NOW + after), Err(AuthError::Unavailable { retry_after: 5, .. })));
    }
    assert!(at(&jwt, NOW + 6, 1, &|_| Ok(published(&[1]))).1.is_ok());
}

#[test]
fn those_who_wait_for_one_load_have_the_same_keys() {
    let jwt = jwt([issuer()]).unwrap();
    let mut waiting: Vec<_> = (0..3).map(|_| Kept::new(1)).collect();
    for (second, request) in waiting.iter_mut().enumerate() {
        request.answer(&jwt, NOW + second as u64, Ok(published(&[1])));
    }
    assert!(waiting.iter().all(|request| request.run(&jwt, NOW + 4).is_ok()));
    let issuer = &jwt.issuers[0];
    let keys = issuer.cache.loaded_since(Duration::from_secs(NOW + 2), None).unwrap();
    // The two references are the cache's and this one: nothing was parsed again.
    assert_eq!(Arc::strong_count(&keys), 2);
    assert_eq!(at(&jwt, NOW + 600, 1, &|_| Ok(published(&[1]))).0, 1, "as old as the first question");
}

#[test]
fn what_the_driver_refuses_is_a_mistake_of_the_server() {
    let jwt = jwt([issuer()]).unwrap();
    let refused = |_: &str| Err(Failure::new(FailureReason::Refused, "no such addresses"));
    assert!(matches!(at(&jwt, NOW, 1, &refused).1, Err(AuthError::Failed(_))));
}
