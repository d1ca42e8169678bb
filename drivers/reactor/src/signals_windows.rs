//! SIGTERM and SIGINT end a server. On Windows the poll cannot wait for signals, so a thread checks for them.

use crate::locks::lock;
use crate::machine::Acceptor;
use crate::shared::Shared;
use signal_hook::SigId;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::unregister;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How often the thread checks for signals.
const LOOK: Duration = Duration::from_millis(100);

/// The registration of the two signals. Dropping it removes their handlers.
#[derive(Debug)]
pub(crate) struct Signals {
    ids: Vec<SigId>,
}

impl Signals {
    pub(crate) fn watch<A: Acceptor>(shared: &Arc<Shared<A>>) -> io::Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        let mut signals = Self { ids: Vec::new() };
        for signal in [SIGTERM, SIGINT] {
            signals.ids.push(signal_hook::flag::register(signal, came.clone())?);
        }
        let server = Arc::downgrade(shared);
        thread::Builder::new().name("vgi-rpc-signals".into()).spawn(move || {
            while let Some(server) = server.upgrade() {
                let mut state = lock(&server.state);
                if came.swap(false, Ordering::Relaxed) {
                    server.end_by_signal(&mut state);
                }
                if state.ended.is_some() {
                    break;
                }
                drop(state);
                drop(server);
                thread::sleep(LOOK);
            }
        })?;
        Ok(signals)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.ids.iter().for_each(|id| {
            unregister(*id);
        });
    }
}
