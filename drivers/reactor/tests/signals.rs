//! A signal ends a server, if it is to. The only test of its process.

mod lines;
mod running;

use running::{Running, options};
use signal_hook::consts::SIGTERM;
use signal_hook::low_level::raise;
use vgi_rpc_reactor::Ended;

#[test]
fn a_signal_ends_a_server() {
    let mut options = options(|_| {});
    options.end_on_signals = true;
    let running = Running::new(options);
    assert_eq!(running.connect().ask("echo served"), "served\n");
    raise(SIGTERM).unwrap();
    assert_eq!(running.join(), Ended::Signal);
}
