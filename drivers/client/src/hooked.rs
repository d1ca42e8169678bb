//! Adds hooks to a client, and calls them.

use crate::channel::Channel;
use crate::client::Client;
use crate::hooks::{ClientHook, Listening};
use std::sync::Arc;
use vgi_rpc_protocol::client::Call;

impl Client {
    /// Adds a hook that is called for every call from the next one on. Each call of this adds one.
    pub fn hook(mut self, hook: impl ClientHook) -> Self {
        self.add_hook(Arc::new(hook));
        self
    }

    /// Does the same as [`Self::hook`] to a client that is in use, such as that of a sticky session.
    pub fn add_hook(&mut self, hook: Arc<dyn ClientHook>) {
        self.hooks.push(hook);
    }

    /// Tells that a call begins. Listeners may add to its metadata.
    pub(crate) fn listen(&mut self, call: &mut Call<'_>) {
        if !self.hooks.is_empty() {
            self.listening = Listening::start(&self.hooks, call);
        }
    }

    /// Does something of the call that is under way.
    pub(crate) fn within_call<T>(&mut self, run: impl FnOnce(&mut dyn Channel) -> T) -> T {
        let Self { channel, listening, .. } = self;
        listening.within(|| run(&mut **channel))
    }
}
