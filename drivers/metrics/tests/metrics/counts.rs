//! The counters of a server in use.

use crate::server::{BUDGET, PROTOCOL, call, run, until};
use crate::text_format::parse;
use std::sync::{Arc, Barrier};
use std::task::Waker;
use std::time::Duration;
use vgi_rpc_effects::Performer;
use vgi_rpc_metrics::{MethodCalls, Metrics};
use vgi_rpc_protocol::effect::{Completion, Effect, EffectEvent, Question, Request};
use vgi_rpc_protocol::shm::Counters;
use vgi_rpc_protocol::wire::code::Code;

fn of(metrics: &Metrics, method: &str) -> Option<MethodCalls> {
    let snapshot = metrics.snapshot();
    snapshot.calls.into_iter().find(|calls| calls.protocol == PROTOCOL && calls.method == method)
}

#[test]
fn calls_connections_and_memory_are_counted() {
    let metrics = Metrics::new();
    let running = run(&metrics, |server| server);
    assert!(of(&metrics, "answer").is_none(), "nothing was called yet");
    let mut client = running.connect();
    for _ in 0..3 {
        assert_eq!(call(&mut client, "answer").unwrap(), 42);
    }
    for _ in 0..2 {
        call(&mut client, "fail").unwrap_err();
    }
    call(&mut client, "no_such_method").unwrap_err();

    let answer = of(&metrics, "answer").unwrap();
    assert_eq!((answer.ok, answer.in_flight, answer.failed), (3, 0, vec![]));
    assert_eq!(answer.durations.count(), 3);
    assert!(answer.durations.sum > Duration::ZERO && answer.durations.sum < Duration::from_secs(60));
    let fail = of(&metrics, "fail").unwrap();
    assert_eq!((fail.ok, fail.failed), (0, vec![(Code::Unknown, 2)]));
    assert!(of(&metrics, "no_such_method").is_none(), "a name that a client made up");

    let snapshot = metrics.snapshot();
    let (name, server) = &snapshot.servers[0];
    assert_eq!((name.as_str(), server.open, server.accepted), ("tcp", 1, 1));
    assert_eq!((server.gave_way, server.timed_out, server.full), (0, 0, 0));
    assert!(server.threads >= 1 && server.jobs_running == 0, "{server:?}");
    assert_eq!((snapshot.budgets[0].limit, snapshot.budgets[0].refusals), (BUDGET, 0));
    drop(client);
    until("the connection closes", || metrics.snapshot().servers[0].1.open == 0);
    running.drain();
    until("the server is gone", || metrics.snapshot().servers.is_empty());
    assert_eq!(of(&metrics, "answer").unwrap().ok, 3, "its work is not");
}

#[test]
fn what_others_count_is_on_the_page_too() {
    let folder = tempfile::tempdir().unwrap();
    let log = vgi_rpc_access_log::Options::new(folder.path().join("log")).open().unwrap();
    let metrics = Metrics::new();
    metrics.access_log(log.clone());
    metrics.sessions(|| 7);
    metrics.refusals("a \"reason\"\\\n", || 5);
    let running = run(&metrics, |server| server.access_log(log));
    let mut client = running.connect();
    call(&mut client, "answer").unwrap();
    // The client has also queried the method's kind.
    until("records are written", || metrics.snapshot().access_log.unwrap().written >= 2);
    let samples = parse(&metrics.snapshot().prometheus());
    let value = |name: &str, labels: &[(&str, &str)]| {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        *samples.get(&(name.to_owned(), labels)).unwrap_or_else(|| panic!("{name} in {samples:?}"))
    };
    assert_eq!(value("vgi_rpc_sessions", &[]), 7.0);
    assert_eq!(value("vgi_rpc_refusals_total", &[("reason", "a \"reason\"\\\n")]), 5.0);
    assert!(value("vgi_rpc_access_log_records_total", &[("result", "written")]) >= 2.0);
    assert_eq!(value("vgi_rpc_access_log_records_total", &[("result", "dropped")]), 0.0);
    assert_eq!(value("vgi_rpc_memory_budget_bytes", &[("budget", "requests")]), BUDGET as f64);
    assert_eq!(value("vgi_rpc_connections", &[("server", "tcp")]), 1.0);
    let method = [("protocol", PROTOCOL), ("method", "answer")];
    assert_eq!(value("vgi_rpc_calls_total", &[&method[..], &[("code", "OK")]].concat()), 1.0);
    assert_eq!(value("vgi_rpc_call_duration_seconds_bucket", &[&method[..], &[("le", "60")]].concat()), 1.0);
}

#[test]
fn segments_of_shared_memory_are_counted_by_their_users() {
    let metrics = Metrics::new();
    assert!(!metrics.snapshot().prometheus().contains("shm"), "no connection shares memory");
    let [server, client] = [Counters::default(), Counters::default()];
    metrics.shared_memory("unix", &server);
    metrics.shared_memory("client", &client);
    client.count_refused();
    let snapshot = metrics.snapshot();
    assert_eq!(snapshot.shared_memory[1], ("client".into(), client.counts()));
    let samples = parse(&snapshot.prometheus());
    let value = |name: &str, user: &str| {
        let labels = [("user".to_owned(), user.to_owned())].into_iter().collect();
        *samples.get(&(name.to_owned(), labels)).unwrap_or_else(|| panic!("{name} in {samples:?}"))
    };
    assert_eq!(value("vgi_rpc_shm_segments_refused_total", "client"), 1.0);
    for name in [
        "segments",
        "segments_attached_total",
        "segments_refused_total",
        "batches_read_total",
        "batches_written_total",
        "batches_without_room_total",
    ] {
        assert_eq!(value(&format!("vgi_rpc_shm_{name}"), "unix"), 0.0);
    }
}

/// The samples of the effect threads: how many effects wait, and how many are performed.
fn effects(metrics: &Metrics) -> Option<(f64, f64)> {
    let samples = parse(&metrics.snapshot().prometheus());
    let value = |name: &str| {
        let labels = [("performer".to_owned(), "questions".to_owned())].into();
        samples.get(&(name.to_owned(), labels)).copied()
    };
    Some((value("vgi_rpc_effects_waiting")?, value("vgi_rpc_effects_running")?))
}

#[test]
fn effects_that_wait_and_that_are_performed_are_counted() {
    let (begun, end) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (begins, ends) = (begun.clone(), end.clone());
    let performer = Performer::new(move |_: &Request| {
        begins.wait();
        ends.wait();
        Completion::value(())
    });
    let performer = performer.threads(1);
    let metrics = Metrics::new();
    metrics.effects("questions", &performer);
    metrics.effects("none", &Performer::none());
    assert_eq!(metrics.snapshot().effects.len(), 1, "a server without effects has no such samples");
    let mut inbox = performer.inbox(Waker::noop().clone());
    assert_eq!(effects(&metrics), Some((0.0, 0.0)));
    for id in 0..3 {
        let request = Request::Question(Question::new(()));
        inbox.handle(EffectEvent::Requested(Effect::new(id, request, Duration::from_secs(60), None)));
    }
    for waiting in [2, 1, 0] {
        begun.wait();
        let statistics = performer.watch().statistics().unwrap();
        assert_eq!((statistics.waiting, statistics.running), (waiting, 1));
        assert_eq!(effects(&metrics), Some((waiting as f64, 1.0)));
        end.wait();
    }
    until("all are performed", || effects(&metrics) == Some((0.0, 0.0)));
    drop((inbox, performer));
    assert_eq!(effects(&metrics), None, "no samples without threads");
}
