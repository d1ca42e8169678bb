//! Sticky sessions: opened, used, closed, and lost.

use crate::calls::{PROTOCOL, call_number, number, params};
use crate::producers;
use crate::report::{Outcome, Report, expect};
use std::time::Duration;
use vgi_rpc_connect::{CallError, Remote};
use vgi_rpc_http::client::{HttpClient, HttpOptions, Session};

type Case = fn(&HttpClient, &Remote) -> Outcome;

const CASES: [(&str, Case); 5] = [
    ("sessions_are_advertised", advertised),
    ("opened_used_and_closed", opened_used_and_closed),
    ("streams_belong_to_it", streams),
    ("dropping_it_ends_it", dropped),
    ("left_open_and_resumed", resumed),
];
/// The header that every request of a session must repeat.
const ECHOED: (&str, &str) = ("x-vgi-worker-affinity", "client-worker");

pub fn run(url: &str, report: &mut Report) {
    match HttpOptions::default().build(url) {
        Ok(http) => {
            CASES.iter().for_each(|(name, case)| report.add(name, case(&http, &Remote::new(PROTOCOL))))
        }
        Err(error) => report.add("connect", Err(error.into())),
    }
}

fn advertised(http: &HttpClient, _: &Remote) -> Outcome {
    let capabilities = http.capabilities()?;
    let sticky = capabilities.sticky.as_ref().ok_or("no sticky sessions")?;
    expect("time to live", sticky.default_ttl, Some(Duration::from_secs(60)))?;
    expect("echoed headers", sticky.echo_headers.iter().map(|name| name.as_str()).collect(), vec![ECHOED.0])
}

fn open(session: &mut Session, service: &Remote, initial: i64) -> Outcome {
    let opened =
        call_number(session, service, "open_client_session", &params([("initial", number(initial))])?)?;
    expect("opened at", opened, initial)?;
    expect("open", session.is_open(), true)?;
    let state = session.state();
    let echoed = state.echoed().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    expect("echoed", echoed.collect(), vec![(ECHOED.0, ECHOED.1.as_bytes())])
}

fn increment(session: &mut Session, service: &Remote, by: i64, expected: i64) -> Outcome {
    let value = call_number(session, service, "increment_client_session", &params([("by", number(by))])?)?;
    expect("value", value, expected)
}

/// Makes a call in a session that the server no longer has: it must fail with a typed error of the server.
fn expect_lost(session: &mut Session, service: &Remote) -> Outcome {
    let method = service.method("increment_client_session");
    match session.unary(&method, &params([("by", number(1))])?) {
        Err(CallError::Rpc(error)) => expect("error", error.error_type(), "SessionLostError"),
        other => Err(format!("expected SessionLostError, got {other:?}").into()),
    }
}

fn opened_used_and_closed(http: &HttpClient, service: &Remote) -> Outcome {
    let mut session = http.session();
    open(&mut session, service, 10)?;
    let saved = session.state();
    increment(&mut session, service, 5, 15)?;
    increment(&mut session, service, -2, 13)?;
    expect("closed at", call_number(&mut session, service, "close_client_session", &params([])?)?, 13)?;
    expect("open", session.is_open(), false)?;
    expect("token", session.state().token(), None)?;
    session.close()?;
    expect_lost(&mut http.resume(saved), service)
}

fn streams(http: &HttpClient, service: &Remote) -> Outcome {
    let mut session = http.session();
    open(&mut session, service, 1)?;
    for (_, case) in producers::CASES {
        case(&mut session, service)?;
    }
    increment(&mut session, service, 1, 2)?;
    Ok(session.close()?)
}

fn dropped(http: &HttpClient, service: &Remote) -> Outcome {
    for close in [drop, |session: Session| session.close().unwrap_or_default()] {
        let mut session = http.session();
        open(&mut session, service, 1)?;
        let saved = session.state();
        close(session);
        expect_lost(&mut http.resume(saved), service)?;
    }
    Ok(())
}

fn resumed(http: &HttpClient, service: &Remote) -> Outcome {
    let mut session = http.session();
    open(&mut session, service, 1)?;
    let left = session.leave_open();
    let mut session = http.resume(left);
    increment(&mut session, service, 1, 2)?;
    Ok(session.close()?)
}
