//! Counts calls.

use crate::snapshot::{BOUNDS, Durations, MethodCalls};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use vgi_rpc_protocol::service::{CallContext, CallHook, CallRecord, CallScope};
use vgi_rpc_protocol::wire::code::Code;

/// Counts the calls of a service. Made by [`Metrics::hook`](crate::Metrics::hook).
#[derive(Clone, Debug)]
pub struct CallCounter(pub(crate) Arc<Calls>);

/// All called methods of the service, by protocol and name.
#[derive(Debug, Default)]
pub(crate) struct Calls(RwLock<HashMap<String, HashMap<String, Arc<Counts>>>>);

/// The calls of one method.
#[derive(Debug, Default)]
struct Counts {
    in_flight: AtomicU64,
    ok: AtomicU64,
    /// In the order of [`Code::ALL`].
    failed: [AtomicU64; Code::ALL.len()],
    /// The number of calls in each bucket: at most its bound and more than the previous one; the last bucket has the rest.
    durations: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Calls {
    fn of(&self, protocol: &str, method: &str) -> Arc<Counts> {
        // Nothing panics while the lock is held.
        let methods = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = methods.get(protocol).and_then(|methods| methods.get(method)) {
            return counts.clone();
        }
        drop(methods);
        let mut methods = self.0.write().unwrap_or_else(PoisonError::into_inner);
        methods.entry(protocol.to_owned()).or_default().entry(method.to_owned()).or_default().clone()
    }

    /// Returns the numbers of all methods, sorted by name.
    pub(crate) fn snapshot(&self) -> Vec<MethodCalls> {
        let protocols = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = protocols
            .iter()
            .flat_map(|(protocol, methods)| {
                methods.iter().map(move |(method, counts)| counts.snapshot(protocol, method))
            })
            .collect();
        drop(protocols);
        all.sort_unstable_by(|one, other| {
            (&one.protocol, &one.method).cmp(&(&other.protocol, &other.method))
        });
        all
    }
}

impl Counts {
    fn end(&self, record: &CallRecord) {
        let code = match &record.error {
            Some(error) => Some(error.code()),
            None => record.cancelled.then_some(Code::Cancelled),
        };
        let place = code.and_then(|code| Code::ALL.iter().position(|other| *other == code));
        let count = place.and_then(|place| self.failed.get(place)).unwrap_or(&self.ok);
        count.fetch_add(1, Ordering::Relaxed);
        let duration = record.ended.saturating_sub(record.started);
        let place = BOUNDS.iter().position(|bound| duration <= *bound).unwrap_or(BOUNDS.len());
        if let Some(bucket) = self.durations.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    fn snapshot(&self, protocol: &str, method: &str) -> MethodCalls {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut buckets = [0; BOUNDS.len() + 1];
        buckets.iter_mut().zip(&self.durations).for_each(|(bucket, count)| *bucket = read(count));
        let failed = Code::ALL.iter().zip(&self.failed).map(|(code, count)| (*code, read(count)));
        MethodCalls {
            protocol: protocol.to_owned(),
            method: method.to_owned(),
            in_flight: read(&self.in_flight),
            ok: read(&self.ok),
            failed: failed.filter(|(_, count)| *count > 0).collect(),
            durations: Durations { buckets, sum: Duration::from_nanos(read(&self.nanoseconds)) },
        }
    }
}

impl CallHook for CallCounter {
    fn on_start(&self, call: &CallContext) -> Option<Box<dyn CallScope>> {
        let counts = self.0.of(call.protocol(), call.method());
        counts.in_flight.fetch_add(1, Ordering::Relaxed);
        Some(Box::new(InFlight(counts)))
    }
}

/// Counts a call as in flight until it is dropped.
struct InFlight(Arc<Counts>);

impl CallScope for InFlight {
    fn end(&mut self, record: &CallRecord) {
        self.0.end(record);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
