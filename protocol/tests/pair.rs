//! x
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod common;
use common::driver::*;
use common::scenarios;
#[test]
fn dump() {
    for (name, script) in scenarios::all() {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| converse(script)));
        match result {
            Ok(c) => {
                println!("=== {name} hooks={} idle={}", c.cancel_hooks, c.idle);
                for t in &c.turns {
                    println!("   > ");
                    for l in lines(&t.told) {
                        println!("      {:.220}", l);
                    }
                }
            }
            Err(_) => println!("=== {name} PANICKED"),
        }
    }
}
