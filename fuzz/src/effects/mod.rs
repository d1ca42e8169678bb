//! Effects in any order: a driver with one responder and several transactions of one endpoint, which share sticky
//! sessions and an authenticator that uses effects. The input selects each step: feed, poll, run or lose work, complete
//! effects with anything in any order and repeatedly, let time pass, drop machines.
//!
//! No machine waits for an event that cannot happen, each one responds once when driven to its end, and after all are
//! dropped no memory, session or call is left.

mod byte_stream;
mod effects_out;
mod requests;
mod service;
mod transactions;

use crate::support::panics;
use crate::support::service::states_alive;
use arbitrary::{Result, Unstructured};
use byte_stream::Line;
use service::Tally;
use std::time::Duration;
use transactions::Transactions;
use vgi_rpc_protocol::memory::Budget;

/// Most operations of one input.
const OPERATIONS: usize = 300;
/// Bytes that all machines together may use, beyond what each may always use.
const BUDGET: usize = 150_000;

/// Executes the operations in `data`.
pub fn run(data: &[u8]) {
    panics::watch();
    panics::take_others();
    service::reset();
    let budget = Budget::new(BUDGET);
    let mut u = Unstructured::new(data);
    let service = service::new();
    let mut transactions = Transactions::new(&service, &budget);
    let mut line = Line::new(&service, &budget);
    for _ in 0..OPERATIONS {
        if u.is_empty() || operate(&mut u, &mut transactions, &mut line).is_err() {
            break;
        }
    }
    line.finish();
    transactions.finish();
    assert_eq!(budget.used(), 0, "all memory is released");
    assert_eq!(states_alive(), 0, "every state of a stream is dropped");
    let Tally { started, ended, sessions } = service::tally();
    assert_eq!(started, ended, "every call that starts ends");
    assert_eq!(sessions, 0, "every state of a session is dropped");
    assert_eq!(panics::take_others(), 0, "no guard hides a panic of this project");
}

fn operate(u: &mut Unstructured<'_>, transactions: &mut Transactions, line: &mut Line) -> Result<()> {
    match u.int_in_range(0..=15)? {
        0..=9 => transactions.operate(u),
        10..=14 => line.operate(u),
        _ => {
            let seconds = [1, 5, 200, 400][u.choose_index(4)?];
            transactions.let_time_pass(Duration::from_secs(seconds));
            Ok(())
        }
    }
}
