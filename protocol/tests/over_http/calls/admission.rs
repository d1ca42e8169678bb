//! Admission: which calls proceed, what it asks about a call, and the effect of the answers.

use super::support::*;
use crate::ask::{Tokens, call_of, init, turn, unary as http_unary};
use crate::common::batches::*;
use crate::common::driver::{Command, Rest};
use crate::common::scenarios::{send, stream, tick, unary, values, versioned};
use crate::common::service::VERSIONED;
use crate::serve::{Server, serve};
use arrow_array::RecordBatch;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_protocol::effect::{
    Answer, Answers, Completion, EffectId, Failure, FailureReason, Question, Request,
};
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::service::{CallContext, Service, Stop};
use vgi_rpc_protocol::wire::error::RpcError;

type Decide = fn(&CallContext, &Answers) -> Result<(), Stop>;

/// Returns a service that admits each call with this function, and a journal of the admissions.
fn admitting(decide: Decide) -> (Arc<Service>, Journal) {
    let noted = Journal::default();
    let (service, journal) = service(|builder| {
        let noted = noted.clone();
        builder.admit(move |call, answers| {
            noted.note(format!("admit {}", call.method()));
            decide(call, answers)
        })
    });
    drop(journal);
    (service, noted)
}

fn over_http(service: &Arc<Service>) -> Server {
    serve(service.clone(), |builder| builder)
}

fn echo() -> RecordBatch {
    row([("value", text("x"))])
}

fn count() -> RecordBatch {
    row([("count", int(2))])
}

/// Returns a unary call and a stream on both carriers, each about to be admitted.
fn calls(service: &Arc<Service>) -> Vec<(&'static str, Box<dyn Asking>)> {
    let wire = |command| {
        let mut wire = Wire::new(service);
        wire.send(command);
        Box::new(wire)
    };
    let server = over_http(service);
    vec![
        ("unary on bytes", wire(unary("echo", echo()))),
        ("stream on bytes", wire(stream("count", count()))),
        ("unary over HTTP", Box::new(Visit::begin(&server, http_unary("echo", echo())))),
        ("stream over HTTP", Box::new(Visit::begin(&server, init("count", count())))),
    ]
}

/// Plays each call to its end, and checks its outcome.
#[track_caller]
fn each(decide: Decide, play: impl Fn(&mut dyn Asking), expected: &str) {
    let (service, _) = admitting(decide);
    for (what, mut call) in calls(&service) {
        play(&mut *call);
        assert_eq!(call.outcome(), expected, "{what}");
        assert_eq!(call.late(), [], "{what}");
    }
}

fn policy(_: &CallContext, answers: &Answers) -> Result<(), Stop> {
    let answer = answers.ask("policy", || Question::new("may I?").shared_as("policy"))??;
    verdict(answer)
}

fn verdict(answer: &Answer) -> Result<(), Stop> {
    match answer.value::<bool>() {
        Some(true) => Ok(()),
        Some(false) => Err(RpcError::permission_error("the policy says no").into()),
        None => Err(RpcError::runtime_error("no verdict").into()),
    }
}

#[test]
fn a_call_that_may_go_on_goes_on() {
    each(|_, _| Ok(()), |_| {}, "ok");
}

#[test]
fn a_call_that_may_not_is_answered_with_the_error_on_every_carrier() {
    let refuse: Decide = |_, _| Err(RpcError::permission_error("not you").into());
    each(refuse, |_| {}, "Unknown PermissionError: not you");
    let (service, _) = service(|builder| builder.admit(refuse));
    let server = over_http(&service);
    for request in [http_unary("echo", echo()), init("count", count())] {
        let answered = server.send(request);
        assert_eq!((answered.status, answered.is_marked()), (200, true));
        assert_eq!((answered.cursor(), answered.call_token()), (None, None));
    }
}

#[test]
fn the_connection_of_a_refused_call_stays_usable() {
    let (service, _) = admitting(|call, _| match call.method() {
        "increment" => Ok(()),
        _ => Err(RpcError::permission_error("no").into()),
    });
    let mut wire = Wire::new(&service);
    assert_eq!(wire.play(stream("count", count())), ["failed PermissionError: no", "finished"]);
    assert_eq!(wire.play(unary("echo", echo())), ["failed PermissionError: no", "finished"]);
    assert_eq!(wire.play(unary("increment", no_columns(1))), ["failed RuntimeError: no session", "finished"]);
    assert!(wire.server.is_idle());
}

#[test]
fn a_question_is_the_applications_own_and_its_answer_decides() {
    for (verdict, expected) in [(true, "ok"), (false, "Unknown PermissionError: the policy says no")] {
        let play = |call: &mut dyn Asking| {
            let effect = call.asked();
            let Request::Question(question) = &effect.request else { panic!("{effect:?}") };
            assert_eq!(question.payload::<&str>(), Some(&"may I?"));
            assert_eq!(question.payload::<String>(), None);
            assert_eq!(effect.shared_key.as_deref(), Some("&str policy"));
            assert_eq!(effect.time_limit, Duration::from_secs(30));
            call.done(effect.id, Completion::value(verdict));
        };
        each(policy, play, expected);
    }
}

#[test]
fn a_question_says_how_long_it_may_take_and_is_shared_only_if_it_says_so() {
    let decide: Decide = |_, answers| {
        let question = || Question::new(7).time_limit(Duration::from_millis(5));
        answers.ask("policy", question)??;
        Ok(())
    };
    let play = |call: &mut dyn Asking| {
        let effect = call.asked();
        assert_eq!((effect.time_limit, effect.shared_key), (Duration::from_millis(5), None));
        call.done(effect.id, Completion::Done);
    };
    each(decide, play, "ok");
}

#[test]
fn several_questions_are_asked_one_after_the_other() {
    let decide: Decide = |_, answers| {
        for key in ["one", "two", "three"] {
            let answer = answers.ask(key, || Question::new(key))??;
            if answer.value::<String>().map(String::as_str) != Some(key) {
                return Err(RpcError::value_error(format!("another answer came for {key}")).into());
            }
        }
        Ok(())
    };
    let play = |call: &mut dyn Asking| {
        let mut ids = Vec::new();
        for key in ["one", "two", "three"] {
            let effect = call.asked();
            let Request::Question(question) = effect.request else { panic!() };
            assert_eq!(question.payload::<&str>(), Some(&key));
            assert!(!ids.contains(&effect.id), "ids are not used again");
            ids.push(effect.id);
            call.done(effect.id, Completion::value(key.to_owned()));
        }
    };
    each(decide, play, "ok");
}

#[test]
fn the_data_of_an_answer_comes_in_its_pieces() {
    let decide: Decide = |_, answers| {
        let answer = answers.ask("data", || Question::new(()))??;
        let whole = answer.data().concat();
        if whole == b"in three pieces" && answer.data().len() == 3 {
            return Ok(());
        }
        Err(RpcError::value_error(format!("got {:?}", Bytes::from(whole))).into())
    };
    let play = |call: &mut dyn Asking| {
        let id = call.asked().id;
        for piece in ["in ", "three ", "pieces"] {
            call.data(id, piece.as_bytes());
        }
        call.done(id, Completion::Done);
        call.data(id, b"too late");
    };
    each(decide, play, "ok");
}

#[test]
fn a_failure_is_an_error_of_its_class() {
    for (reason, code) in [
        (FailureReason::TimedOut, "DeadlineExceeded"),
        (FailureReason::Unavailable, "Unavailable"),
        (FailureReason::OverBudget, "ResourceExhausted"),
        (FailureReason::Failed, "Unknown"),
    ] {
        let play = |call: &mut dyn Asking| {
            let id = call.asked().id;
            call.done(id, Failure::new(reason, "no answer").into());
        };
        each(policy, play, &format!("{code} RuntimeError: no answer"));
    }
}

#[test]
fn a_function_may_go_on_without_an_answer() {
    let decide: Decide = |_, answers| match answers.ask("policy", || Question::new(()))? {
        Ok(_) => Err(RpcError::runtime_error("an answer came").into()),
        Err(failure) => {
            assert_eq!(failure.reason, FailureReason::TimedOut);
            Ok(())
        }
    };
    let play = |call: &mut dyn Asking| {
        let id = call.asked().id;
        call.done(id, Failure::new(FailureReason::TimedOut, "").into());
    };
    each(decide, play, "ok");
}

#[test]
fn the_first_completion_counts_and_those_of_other_ids_and_after_the_call_do_nothing() {
    let other: EffectId =
        vgi_rpc_protocol::effect::Effect::new(99, Request::UploadUrls(1), Duration::ZERO, None).id;
    let (service, _) = admitting(policy);
    for (what, mut call) in calls(&service) {
        let id = call.asked().id;
        call.done(other, Completion::value(false));
        call.data(other, b"data");
        call.done(id, Completion::value(true));
        call.done(id, Completion::value(false));
        assert_eq!(call.outcome(), "ok", "{what}");
        call.done(id, Completion::value(false));
        call.data(id, b"data");
        call.done(other, Completion::value(false));
        assert_eq!(call.late(), [], "{what}");
    }
    // The connection's next call gets another id; completing the old id does not affect it.
    let mut wire = Wire::new(&service);
    wire.send(unary("echo", echo()));
    let first = wire.asked().id;
    wire.done(first, Completion::value(true));
    assert_eq!(wire.outcome(), "ok");
    wire.send(unary("echo", echo()));
    let second = wire.asked().id;
    assert_ne!(first, second);
    wire.done(first, Completion::value(true));
    assert_eq!(wire.rest(), Rest::Waiting);
    wire.done(second, Completion::value(true));
    assert_eq!(wire.outcome(), "ok");
}

/// Maximum number of questions of one call.
const MOST: usize = 32;

fn ask_so_many(answers: &Answers, count: usize) -> Result<(), Stop> {
    for number in 0..count {
        answers.ask(&number.to_string(), || Question::new(number))??;
    }
    Ok(())
}

#[test]
fn as_many_questions_as_allowed_may_be_asked_and_no_more() {
    let answer_all = |call: &mut dyn Asking| {
        for _ in 0..MOST {
            let id = call.asked().id;
            call.done(id, Completion::Done);
        }
    };
    each(|_, answers| ask_so_many(answers, MOST), answer_all, "ok");
    let too_many = "Unknown RuntimeError: admission asks more questions than one call may";
    each(|_, answers| ask_so_many(answers, MOST + 1), answer_all, too_many);
    // An admission that asks a new question each time it runs.
    let endless: Decide = |_, answers| ask_so_many(answers, usize::MAX);
    each(endless, answer_all, too_many);
}

#[test]
fn a_panic_refuses_the_call() {
    let decide: Decide = |_, _| std::panic::panic_any("on purpose, in admission");
    each(decide, |_| {}, "Unknown Panic: the handler panicked: on purpose, in admission");
}

#[test]
fn a_panic_after_an_answer_refuses_the_call() {
    let decide: Decide = |_, answers| {
        answers.ask("policy", || Question::new(()))??;
        std::panic::panic_any("on purpose, in admission")
    };
    let play = |call: &mut dyn Asking| {
        let id = call.asked().id;
        call.done(id, Completion::Done);
    };
    each(decide, play, "Unknown Panic: the handler panicked: on purpose, in admission");
}

#[test]
fn a_stream_is_asked_about_once_on_bytes() {
    let (service, admitted) = admitting(|_, _| Ok(()));
    let mut wire = Wire::new(&service);
    wire.play(stream("count", row([("count", int(3))])));
    wire.play(tick());
    wire.play(tick());
    wire.play(Command::Cancel);
    assert_eq!(admitted.take(), ["admit count"]);
    wire.play(stream("double", no_columns(1)));
    wire.play(send(values([1.0])));
    wire.play(send(values([2.0])));
    wire.play(Command::Close);
    assert_eq!(admitted.take(), ["admit double"]);
}

#[test]
fn a_stream_is_asked_about_when_it_is_opened_over_http_and_not_at_its_turns() {
    let (service, admitted) = admitting(|_, _| Ok(()));
    let server = over_http(&service);
    let opened = server.send(init("count", row([("count", int(3))])));
    let tokens = Tokens::of(&opened);
    assert_eq!(admitted.take(), ["admit count"], "once, though it took a turn as well");
    assert_eq!(server.send(turn("count", no_columns(0), &tokens)).told(), ["data 1", "token"]);
    assert_eq!(admitted.take(), Vec::<String>::new());
    let opened = server.send(init("double", no_columns(1)));
    assert_eq!(admitted.take(), ["admit double"]);
    server.send(turn("double", values([1.0]), &Tokens::of(&opened)));
    server.send(crate::ask::cancel("double", &Tokens::of(&opened)));
    assert_eq!(admitted.take(), Vec::<String>::new());
}

#[test]
fn the_version_comes_before_admission_and_the_parameters_after() {
    let (service, admitted) = admitting(|_, _| Err(RpcError::permission_error("no").into()));
    let mut wire = Wire::new(&service);
    let old = versioned(Some("0.9.0"), unary("echo", echo()));
    assert!(wire.play(old)[0].starts_with("failed ProtocolVersionError"));
    let server = over_http(&service);
    let answered = server.send(call_of(VERSIONED, "echo", "", echo()));
    assert_eq!((answered.status, answered.error().error_type()), (400, "ProtocolVersionError"));
    assert_eq!(admitted.take(), Vec::<String>::new());

    let wrong = || row([("other", text("x"))]);
    assert_eq!(wire.play(unary("echo", wrong())), ["failed PermissionError: no", "finished"]);
    let answered = server.send(http_unary("echo", wrong()));
    assert_eq!((answered.status, answered.error().error_type()), (200, "PermissionError"));
    assert_eq!(admitted.take(), ["admit echo", "admit echo"]);

    let (service, admitted) = admitting(|_, _| Ok(()));
    assert!(Wire::new(&service).play(unary("echo", wrong()))[0].starts_with("failed TypeError"));
    assert_eq!(over_http(&service).send(http_unary("echo", wrong())).status, 400);
    assert_eq!(admitted.take(), ["admit echo", "admit echo"]);
}

#[test]
fn what_was_not_resolved_to_a_method_is_not_asked_about() {
    let (service, admitted) = admitting(|_, _| Ok(()));
    assert!(Wire::new(&service).play(unary("nothing", no_columns(1)))[0].starts_with("failed MethodNot"));
    assert_eq!(over_http(&service).send(http_unary("nothing", no_columns(1))).status, 404);
    assert_eq!(admitted.take(), Vec::<String>::new());
}

#[test]
fn data_beyond_the_budget_is_a_failure_and_what_is_held_is_given_back() {
    const PIECE: &[u8] = &[0; 1 << 20];
    let (service, _) = admitting(|_, answers| {
        answers.ask("data", || Question::new(()))??;
        Ok(())
    });
    let expected =
        "ResourceExhausted RuntimeError: the data of an effect takes more memory than the budget has left";
    let server = over_http(&service);
    let budget = Budget::new(8 << 20);
    let mut wire = Wire::with_account(&service, budget.account());
    wire.send(unary("echo", echo()));
    let visit = Visit::with_account(&server, http_unary("echo", echo()), budget.account());
    for call in [&mut wire as &mut dyn Asking, &mut { visit }] {
        let id = call.asked().id;
        for _ in 0..20 {
            call.data(id, PIECE);
        }
        assert!(budget.used() < 2 << 20, "unneeded input is not kept");
        call.done(id, Completion::Done);
        assert_eq!(call.outcome(), expected);
    }
    // Data that fits is kept until the call has been decided.
    wire.send(unary("echo", echo()));
    let id = wire.asked().id;
    (0..4).for_each(|_| wire.data(id, PIECE));
    assert!(budget.used() >= 3 << 20, "{}", budget.used());
    wire.done(id, Completion::Done);
    assert_eq!(wire.outcome(), "ok");
    drop(wire);
    assert_eq!(budget.used(), 0);
}
