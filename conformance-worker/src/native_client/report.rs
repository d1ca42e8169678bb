//! The outcome of each case.

use std::error::Error;
use std::fmt::Debug;

/// The result of a case. The error says why it failed.
pub type Outcome = Result<(), Box<dyn Error>>;

/// Prints a line for each case.
#[derive(Debug, Default)]
pub struct Report {
    failures: usize,
}

impl Report {
    pub fn add(&mut self, case: &str, outcome: Outcome) {
        match outcome {
            Ok(()) => println!("passed {case}"),
            Err(error) => {
                self.failures += 1;
                println!("failed {case} {}", error.to_string().replace('\n', " "));
            }
        }
    }

    pub fn skip(&self, case: &str, reason: &str) {
        println!("skipped {case} {reason}");
    }

    pub fn is_clean(&self) -> bool {
        self.failures == 0
    }
}

/// Fails unless both are the same.
pub fn expect<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: expected {expected:?}, got {found:?}").into())
}
