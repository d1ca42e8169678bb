//! Adds hooks to a client, and calls them.

use crate::channel::Channel;
use crate::client::Client;
use crate::hooks::{ClientHook, Listening};
use std::sync::Arc;
use vgi_rpc_protocol::client::Call;

impl Client {
    /// Adds a hook that is called for every call from the next one on. It can be called repeatedly.
    pub fn hook(mut self, hook: impl ClientHook) -> Self {
        self.add_hook(Arc::new(hook));
        self
    }

    /// Like [`Self::hook`], for a client that is in use, such as that of a sticky session.
    pub fn add_hook(&mut self, hook: Arc<dyn ClientHook>) {
        self.hooks.push(hook);
    }

    /// Notifies the hooks that a call begins. They may add to its metadata.
    pub(crate) fn listen(&mut self, call: &mut Call<'_>) {
        if !self.hooks.is_empty() {
            self.listening = Listening::start(&self.hooks, call);
        }
    }

    /// Runs part of the current call.
    pub(crate) fn within_call<T>(&mut self, run: impl FnOnce(&mut dyn Channel) -> T) -> T {
        let Self { channel, listening, .. } = self;
        listening.within(|| run(&mut **channel))
    }
}
