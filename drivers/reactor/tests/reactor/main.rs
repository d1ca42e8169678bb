//! The event loop with a protocol of lines: its limits, timeouts, waits and jobs.
#![cfg_attr(not(unix), allow(unused_imports, reason = "some tests are for Unix"))]

mod lines;
mod running;

mod full;
mod machine;
mod waiting;
mod working;
