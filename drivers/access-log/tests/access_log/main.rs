//! A log in files and FIFOs, moved aside by size and time, and written in the background.

mod common;

#[cfg(unix)]
mod fifo;
mod file;
mod periods;
