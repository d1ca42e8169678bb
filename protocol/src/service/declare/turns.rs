//! Streams whose turns are taken by a function that is separate from their state. The function may capture what a state cannot
//! contain, such as the application's own objects.

use super::method::{MethodBuilder, MethodSpec};
use crate::description::StreamKind;
use crate::service::context::CallContext;
use crate::service::handler::{Args, Exchange, Producer, Saved, Stream, Turn, exchange, producer};
use crate::wire::error::RpcError;
use arrow_array::RecordBatch;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// A state with the function that takes its turns. Only the state is saved.
struct WithTurns<S, F> {
    state: S,
    take: Arc<F>,
}

impl<S: Serialize, F> Serialize for WithTurns<S, F> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        self.state.serialize(serializer)
    }
}

impl<S, F> Producer for WithTurns<S, F>
where
    S: Send + 'static,
    F: Fn(&mut S, &mut Turn) -> Result<(), RpcError> + Send + Sync + 'static,
{
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        (self.take)(&mut self.state, turn)
    }
}

impl<S, F> Exchange for WithTurns<S, F>
where
    S: Send + 'static,
    F: Fn(&mut S, &RecordBatch, &mut Turn) -> Result<(), RpcError> + Send + Sync + 'static,
{
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        (self.take)(&mut self.state, input, turn)
    }
}

/// Streams whose turns are taken by a function.
impl MethodBuilder {
    /// Completes a method that opens a stream on which only the server sends data. The function takes its turns as
    /// [`Producer::produce`] describes.
    ///
    /// ```
    /// use std::ops::Range;
    /// use std::sync::Arc;
    /// use vgi_rpc_protocol::arrow::array::Int64Array;
    /// use vgi_rpc_protocol::arrow::schema::{DataType, Field, Schema};
    /// use vgi_rpc_protocol::service::{Method, Stream, Turn};
    ///
    /// let numbers = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    /// let count = Method::new("count").param("end", DataType::Int64).output(numbers).producer_with(
    ///     |args, _| Ok(Stream::new(0..args.get::<i64>("end")?)),
    ///     |left: &mut Range<i64>, turn: &mut Turn| match left.next() {
    ///         Some(n) => turn.emit_columns(vec![Arc::new(Int64Array::from(vec![n]))]),
    ///         None => turn.finish(),
    ///     },
    /// );
    /// # let _ = count;
    /// ```
    pub fn producer_with<S: Serialize + DeserializeOwned + Send + 'static>(
        self,
        open: impl Fn(&Args, &mut CallContext) -> Result<Stream<S>, RpcError> + Send + Sync + 'static,
        take_turn: impl Fn(&mut S, &mut Turn) -> Result<(), RpcError> + Send + Sync + 'static,
    ) -> MethodSpec {
        let take = Arc::new(take_turn);
        let with_turns = move |state| producer(WithTurns { state, take: take.clone() });
        let restored = with_turns.clone();
        let restore = move |saved: Saved<'_>, _: &mut CallContext| Ok(restored(saved.state()?));
        self.open_stream(StreamKind::Producer, open, with_turns, restore)
    }

    /// Completes a method that opens a stream on which each batch is answered with one. The function takes its turns as
    /// [`Exchange::exchange`] describes.
    pub fn exchange_with<S: Serialize + DeserializeOwned + Send + 'static>(
        self,
        open: impl Fn(&Args, &mut CallContext) -> Result<Stream<S>, RpcError> + Send + Sync + 'static,
        take_turn: impl Fn(&mut S, &RecordBatch, &mut Turn) -> Result<(), RpcError> + Send + Sync + 'static,
    ) -> MethodSpec {
        let take = Arc::new(take_turn);
        let with_turns = move |state| exchange(WithTurns { state, take: take.clone() });
        let restored = with_turns.clone();
        let restore = move |saved: Saved<'_>, _: &mut CallContext| Ok(restored(saved.state()?));
        self.open_stream(StreamKind::Exchange, open, with_turns, restore)
    }
}
