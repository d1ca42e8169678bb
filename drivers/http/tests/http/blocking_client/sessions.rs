//! Sticky sessions over this crate's own server.

use super::serving::*;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use vgi_rpc_http::client::{CallError, Client, SessionState};
use vgi_rpc_protocol::http::Sticky;

fn call(client: &mut Client, method: &str, value: i64) -> Result<i64, CallError> {
    let answer = client.unary(&remote().method(method), &int("value", value))?;
    Ok(answer.column(0).as_primitive::<Int64Type>().value(0))
}

fn kind(error: &CallError) -> String {
    match error {
        CallError::Rpc(error) => error.error_type().to_owned(),
        error => panic!("{error}"),
    }
}

#[test]
fn a_session_lives_from_its_opening_to_its_close() {
    let server = serve(|builder| builder.sticky(Sticky::default()));
    let http = server.client();
    assert!(call(&mut http.client(), "open", 1).is_err(), "a client without a session opens none");
    let mut session = http.session();
    assert_eq!(call(&mut session, "open", 10).unwrap(), 10);
    assert!(session.is_open());
    assert_eq!(call(&mut session, "add", 5).unwrap(), 15);
    assert_eq!(call(&mut session, "add", -2).unwrap(), 13);
    let saved = session.state();
    session.close().unwrap();
    assert_eq!(server.endpoint.session_count(), 0);
    let mut session = http.resume(saved);
    assert_eq!(kind(&call(&mut session, "add", 1).unwrap_err()), "SessionLostError");
}

#[test]
fn a_session_ends_with_a_call_or_when_it_is_dropped_or_not_at_all() {
    let server = serve(|builder| builder.sticky(Sticky::default()));
    let http = server.client();
    let mut session = http.session();
    call(&mut session, "open", 1).unwrap();
    assert_eq!(call(&mut session, "shut", 0).unwrap(), 1);
    assert!(!session.is_open() && server.endpoint.session_count() == 0);
    call(&mut session, "open", 1).unwrap();
    assert_eq!(server.endpoint.session_count(), 1);
    drop(session);
    assert_eq!(server.endpoint.session_count(), 0);

    let mut session = http.session();
    call(&mut session, "open", 1).unwrap();
    let left = session.leave_open();
    assert_eq!(server.endpoint.session_count(), 1);
    // Another process needs only its token.
    let left = SessionState::from_token(left.token().unwrap()).unwrap();
    let mut session = http.resume(left);
    assert_eq!(call(&mut session, "add", 1).unwrap(), 2);
    drop(session);
    // Nothing to close: no request is sent.
    http.session().close().unwrap();
}

#[test]
fn sessions_are_independent_of_one_another_however_they_are_nested() {
    let server = serve(|builder| builder.sticky(Sticky::default()));
    let http = server.client();
    let mut outer = http.session();
    call(&mut outer, "open", 10).unwrap();
    {
        let mut inner = http.session();
        call(&mut inner, "open", 20).unwrap();
        assert_eq!(server.endpoint.session_count(), 2);
        // The same session twice: both use one value.
        let mut same = http.resume(outer.state());
        assert_eq!(call(&mut same, "add", 1).unwrap(), 11);
        let _ = same.leave_open();
        assert_eq!(call(&mut inner, "add", 1).unwrap(), 21);
    }
    assert_eq!(server.endpoint.session_count(), 1);
    assert_eq!(call(&mut outer, "add", 1).unwrap(), 12);
    assert!(call(&mut http.client(), "add", 1).is_err(), "other clients have no session");
    drop(outer);
    assert_eq!(server.endpoint.session_count(), 0);
}
