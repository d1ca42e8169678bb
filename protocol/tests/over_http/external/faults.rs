//! Faults of external objects: each fails its call with an error, and no data of the object reaches the application.

use super::bytes::Wire;
use super::store::*;
use crate::common::driver::lines;
use crate::common::scenarios::{self, echo};
use crate::common::service::service_with;
use ::bytes::Bytes;
use vgi_rpc_protocol::content_coding::Coding;
use vgi_rpc_protocol::effect::FailureReason;
use vgi_rpc_protocol::external::Externalisation;

fn truncated(bytes: Bytes) -> Bytes {
    bytes.slice(..bytes.len() - 9)
}

fn lengthened(bytes: Bytes) -> Bytes {
    [&bytes[..], &bytes[..]].concat().into()
}

fn flipped(bytes: Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    bytes.into()
}

fn emptied(_: Bytes) -> Bytes {
    Bytes::new()
}

#[test]
fn a_damaged_object_gives_no_log_and_no_batch() {
    let codings = [None].into_iter().chain(Coding::ALL.iter().copied().map(Some));
    for coding in codings {
        for damage in [truncated, lengthened, flipped, emptied] {
            let store = Store::default();
            let service = service_with(externalising(Externalisation { coding, ..always() }));
            let mut wire = Wire::new(&service, store.clone());
            let script = scenarios::producer_with_logs();
            wire.play(&script[0]);
            store.damage(damage);
            let told = lines(&wire.play(&script[1]));
            let failures = told.iter().filter(|line| line.starts_with("failed ")).count();
            assert_eq!(failures, 1, "{told:?}");
            assert!(
                told.iter().all(|line| !line.starts_with("output") && !line.contains("before")),
                "{told:?}"
            );
            assert!(told.iter().all(|line| !line.contains(SECRET)), "{told:?}");
            store.damage(|bytes| bytes);
            assert_eq!(seen(&wire.play(&echo("alive"))).1, ["output result=alive", "finished"]);
        }
    }
}

#[test]
fn a_fetch_that_fails_is_the_error_of_its_call() {
    let store = Store::default();
    let mut wire = Wire::new(&service_with(externalising(always())), store.clone());
    wire.play(&echo("x"));
    for reason in [FailureReason::TimedOut, FailureReason::Unavailable, FailureReason::Refused] {
        // The server stores the object, and the client's fetch fails.
        let told = {
            let (before, store) = (store.objects(), store.clone());
            store.damage(|_| panic!("on purpose, not fetched"));
            store.fail_next(reason, "first the store");
            let told = lines(&wire.play(&echo("x")));
            assert_eq!(store.objects(), before);
            store.damage(|bytes| bytes);
            told
        };
        assert_eq!(told, ["failed RuntimeError: first the store", "finished"]);
    }
    assert_eq!(seen(&wire.play(&echo("alive"))).1, ["output result=alive", "finished"]);
}
