//! The fetch effect of a pointer, as a driver completes it: in pieces, in several attempts, late or not at all.

use super::*;
use crate::effect::{Completion, EffectEvent, EffectId, Effects, Failure, FailureReason, Request};
use crate::external::fetching::Fetching;
use crate::memory::Budget;
use crate::wire::code::Code;

const ELAPSED: Duration = Duration::from_millis(7);

/// A pointer to an object of 1,000 rows whose fetch was requested.
struct Case {
    effects: Effects,
    fetching: Fetching,
    id: EffectId,
    object: Bytes,
    account: Account,
}

fn case(budget: &Budget) -> Case {
    let (object, account, mut effects) = (object(1_000), budget.account(), Effects::default());
    let resolution = resolution(pointer(Some(&object)), &account, Caps::default());
    let mut fetching = Fetching::new(resolution, &mut effects, Duration::from_secs(60));
    assert!(fetching.poll(&mut effects, ELAPSED).is_none(), "nothing has come");
    let Some(EffectEvent::Requested(effect)) = effects.poll() else { panic!("an effect") };
    let Request::Fetch(fetch) = &effect.request else { panic!("{effect:?}") };
    assert_eq!((fetch.location.as_str(), fetch.max_bytes), (URL, Caps::default().max_fetch_bytes));
    assert!(!format!("{effect:?}").contains("s3cr3t"));
    Case { effects, fetching, id: effect.id, object, account }
}

impl Case {
    /// Gives pieces, each of which is read at once. The error, if there is one.
    fn give(&mut self, bytes: &Bytes) -> Result<(), crate::wire::error::RpcError> {
        for piece in bytes.chunks(1_000) {
            self.effects.receive(self.id, Bytes::copy_from_slice(piece), &self.account);
            match self.fetching.poll(&mut self.effects, ELAPSED) {
                None => {}
                Some(Err(error)) => return Err(error),
                Some(Ok(_)) => panic!("resolved before its end"),
            }
        }
        Ok(())
    }
}

#[test]
fn an_object_is_read_as_it_arrives_and_another_attempt_begins_anew() {
    let budget = Budget::new(16 << 20);
    let mut case = case(&budget);
    let half = case.object.slice(..case.object.len() / 2);
    case.effects.begin_attempt(case.id, None);
    case.give(&half).unwrap();
    case.effects.begin_attempt(case.id, Some("gzip"));
    let stored = coded(Coding::Gzip, &case.object).into();
    case.give(&stored).unwrap();
    case.effects.complete(case.id, Completion::Done);
    let resolved = case.fetching.poll(&mut case.effects, ELAPSED).unwrap().unwrap();
    assert_eq!((resolved.batch, resolved.logs.len()), (batch(1_000), 2));
    assert_eq!(resolved.metadata.get_str(keys::LOCATION_FETCH_MS), Some("7.0"));
    assert!(case.effects.poll().is_none(), "nothing is withdrawn");
}

#[test]
fn what_was_not_read_before_the_completion_is_read_after_it() {
    let mut case = case(&Budget::new(16 << 20));
    case.effects.begin_attempt(case.id, None);
    case.effects.receive(case.id, case.object.clone(), &case.account);
    case.effects.complete(case.id, Completion::Done);
    let resolved = case.fetching.poll(&mut case.effects, ELAPSED).unwrap().unwrap();
    assert_eq!(resolved.batch, batch(1_000));
}

#[test]
fn an_object_that_is_refused_has_its_effect_withdrawn() {
    let budget = Budget::new(16 << 20);
    let mut case = case(&budget);
    case.effects.begin_attempt(case.id, Some("br"));
    let error = case.give(&Bytes::from_static(b"x")).unwrap_err();
    assert!(error.message().contains("unknown content coding"), "{error}");
    assert!(matches!(case.effects.poll(), Some(EffectEvent::Withdrawn(id)) if id == case.id));
    case.effects.complete(case.id, Completion::Done);
    assert!(case.fetching.poll(&mut case.effects, ELAPSED).is_none());
    assert_eq!(case.account.held(), 0);
}

#[test]
fn completions_that_are_no_object_are_errors() {
    let complete = |completion| {
        let mut case = case(&Budget::new(16 << 20));
        case.effects.complete(case.id, completion);
        case.fetching.poll(&mut case.effects, ELAPSED).unwrap().unwrap_err()
    };
    let error = complete(Failure::new(FailureReason::Unavailable, "no route").into());
    assert_eq!((error.message(), error.code()), ("no route", Code::Unavailable));
    let error = complete(Completion::Done);
    assert!(error.message().contains("no attempt"), "{error}");
    complete(Completion::value(1));
    complete(Completion::Stored(Location::parse(URL).unwrap()));
}

#[test]
fn more_than_the_budget_has_room_for_is_an_error_when_it_completes() {
    let budget = Budget::new(1 << 20);
    let mut case = case(&budget);
    case.effects.begin_attempt(case.id, None);
    case.effects.receive(case.id, vec![0; 4 << 20].into(), &case.account);
    assert!(case.fetching.poll(&mut case.effects, ELAPSED).is_none());
    case.effects.complete(case.id, Completion::Done);
    let error = case.fetching.poll(&mut case.effects, ELAPSED).unwrap().unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert_eq!(case.account.held(), 0);
}
