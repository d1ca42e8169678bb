//! Calls over HTTP that are asked about before they go on.

use crate::ask::{call_of, echo};
use crate::common::batches::no_columns;
use crate::common::service::MAIN;
use crate::serve::{Server, serve};
use arrow_schema::DataType;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use vgi_rpc_protocol::effect::{Completion, Failure, FailureReason, Question, Request};
use vgi_rpc_protocol::service::{Method, Protocol, Service};
use vgi_rpc_protocol::wire::error::RpcError;

/// A server whose admission asks two questions, of which the second depends on the first.
fn server() -> Server {
    let methods = [
        Method::new("echo")
            .param("value", DataType::Utf8)
            .returns(DataType::Utf8)
            .unary(|args, _| Ok::<_, RpcError>(args.get::<&str>("value")?.to_owned())),
        Method::new("nothing").unary(|_, _| Ok(())),
    ];
    let service = Service::builder("admission000").protocol(Protocol::new(MAIN).methods(methods)).admit(
        |call, answers| {
            let first = answers.ask("first", || Question::new(call.method().to_owned()))??;
            let next = first.value::<&str>().copied().unwrap_or_default().to_owned();
            let second = answers.ask("second", || Question::new(next))??;
            match second.value() {
                Some(true) => Ok(()),
                _ => Err(RpcError::permission_error("not allowed").into()),
            }
        },
    );
    serve(service.build().unwrap(), |builder| builder)
}

#[test]
fn a_call_goes_on_after_each_answer() {
    let (mut server, asked) = (server(), Arc::new(AtomicUsize::new(0)));
    let count = asked.clone();
    server.perform = Arc::new(move |effect| {
        count.fetch_add(1, Ordering::Relaxed);
        let Request::Question(question) = &effect.request else { panic!("{effect:?}") };
        match question.payload::<String>().map(String::as_str) {
            Some("echo") => Completion::value("who calls echo"),
            Some("nothing") => Failure::new(FailureReason::Unavailable, "the policy is not there").into(),
            Some("who calls echo") => Completion::value(true),
            other => panic!("{other:?}"),
        }
    });
    let answered = server.send(echo("admitted"));
    assert_eq!((answered.status, answered.headers.get("x-vgi-rpc-error")), (200, None));
    assert_eq!(asked.load(Ordering::Relaxed), 2);

    let error = server.send(call_of(MAIN, "nothing", "", no_columns(1))).error();
    assert!(error.message().ends_with("the policy is not there"), "{error:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}
