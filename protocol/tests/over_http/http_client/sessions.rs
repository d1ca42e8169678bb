//! Sticky sessions: opting in, keeping, closing. WIRE_PROTOCOL 17.

use super::pair::*;
use crate::common::batches::*;
use arrow_schema::DataType;
use std::sync::Arc;
use vgi_rpc_protocol::http::client::Session;
use vgi_rpc_protocol::http::{Endpoint, Sticky};
use vgi_rpc_protocol::service::{Method, Protocol, Service};
use vgi_rpc_protocol::wire::error::RpcError;

fn counting() -> Arc<Endpoint> {
    let protocol = Protocol::new("test.Main.v1")
        .method(Method::new("open").param("value", DataType::Int64).returns(DataType::Int64).unary(
            |args, context| {
                let value: i64 = args.get("value")?;
                context.open_session(value, None)?;
                Ok(value)
            },
        ))
        .method(Method::new("add").param("value", DataType::Int64).returns(DataType::Int64).unary(
            |args, context| {
                let by: i64 = args.get("value")?;
                let value = context.session::<i64>().ok_or_else(|| RpcError::runtime_error("no session"))?;
                *value += by;
                Ok(*value)
            },
        ))
        .method(
            Method::new("shut")
                .param("value", DataType::Int64)
                .returns(DataType::Int64)
                .unary(|_, context| Ok(i64::from(context.close_session()))),
        );
    let service = Arc::new(Service::builder("server-1").protocol(protocol).build().unwrap());
    let mut sticky = Sticky::default();
    sticky.echo_headers = vec![("X-Worker".into(), "w-7".into())];
    Endpoint::builder(service, |bytes| bytes.fill(3)).prefix("/vgi").sticky(sticky).build().unwrap()
}

fn value(value: i64) -> arrow_array::RecordBatch {
    row([("value", int(value))])
}

#[test]
fn a_session_is_opened_used_and_closed() {
    let endpoint = counting();
    let mut pair = Pair::new(unlimited(), vec![endpoint.clone()]);
    let told = pair.call("open", UNARY, &value(10));
    assert!(told[0].contains("VGI-Session-Accept"), "{told:?}");
    pair.caller = pair.caller.another().with_session(Session::new());
    assert_eq!(pair.call("open", UNARY, &value(10)), ["output 10", "finished"]);
    assert!(pair.caller.session().unwrap().is_open() && endpoint.session_count() == 1);
    assert_eq!(pair.call("add", UNARY, &value(5)), ["output 15", "finished"]);
    assert_eq!(pair.last().request("x-worker"), Some("w-7"));
    assert_eq!(pair.call("add", UNARY, &value(-2)), ["output 13", "finished"]);
    assert!(pair.last().response("vgi-session").is_none());
    let saved = pair.caller.session().unwrap().clone();
    assert_eq!(pair.call("shut", UNARY, &value(0)), ["output 1", "finished"]);
    assert!(!pair.caller.session().unwrap().is_open() && endpoint.session_count() == 0);
    pair.call("add", UNARY, &value(1));
    assert_eq!((pair.last().request("x-worker"), pair.last().request("vgi-session")), (None, None));

    pair.caller = pair.caller.another().with_session(saved);
    let told = pair.call("add", UNARY, &value(1));
    assert!(told[0].starts_with("failed SessionLostError"), "{told:?}");
}

#[test]
fn a_session_can_be_ended_without_a_call() {
    let endpoint = counting();
    let mut pair = Pair::new(unlimited(), vec![endpoint.clone()]);
    pair.caller = pair.caller.another().with_session(Session::new());
    pair.caller.end_session().unwrap();
    assert!(pair.caller.poll_request().is_none(), "none is open");
    pair.call("open", UNARY, &value(1));
    let saved = pair.caller.session().unwrap().clone();
    pair.caller.end_session().unwrap();
    pair.go().unwrap();
    let sent = pair.last();
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("DELETE", "/vgi/__session__"));
    assert_eq!((sent.status.as_u16(), sent.request("x-worker")), (204, Some("w-7")));
    assert!(!pair.caller.session().unwrap().is_open() && endpoint.session_count() == 0);
    // Again: the session no longer exists, which is not an error.
    pair.caller = pair.caller.another().with_session(saved);
    pair.caller.end_session().unwrap();
    pair.go().unwrap();
    assert_eq!(pair.last().status, 200);
    assert!(pair.caller.is_idle());
}
