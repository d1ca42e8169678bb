//! One method: its signature, built step by step, and its handler.

use crate::description::{Idempotency, MethodInfo, MethodKind, StreamKind};
use crate::ipc::EncodedSchema;
use crate::service::context::{CallContext, Declaration, Shared};
#[cfg(feature = "http")]
use crate::service::handler::Restore;
use crate::service::handler::{
    Answer, Args, Exchange, IntoAnswer, Overrides, Producer, Saved, State, Stream, StreamState, exchange,
    producer,
};
use crate::wire::error::RpcError;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;

type UnaryHandler = dyn Fn(&Args, &mut CallContext, &SchemaRef) -> Result<Answer, RpcError> + Send + Sync;
type StreamHandler =
    dyn Fn(&Args, &mut CallContext) -> Result<(Box<dyn StreamState>, Overrides), RpcError> + Send + Sync;

pub(crate) enum Handler {
    Unary(Box<UnaryHandler>),
    Stream {
        open: Box<StreamHandler>,
        #[cfg(feature = "http")]
        restore: Box<Restore>,
    },
}

/// A method with its handler, ready to be hosted.
pub struct Method {
    pub(crate) declaration: Arc<Declaration>,
    pub(crate) handler: Handler,
}

impl Method {
    /// Begins the declaration of a method. Complete it with [`MethodBuilder::unary`], [`MethodBuilder::producer`],
    /// [`MethodBuilder::exchange`], [`MethodBuilder::stream`], [`MethodBuilder::producer_with`] or
    /// [`MethodBuilder::exchange_with`].
    #[expect(clippy::new_ret_no_self, reason = "reads as what it begins")]
    pub fn new(name: impl Into<String>) -> MethodBuilder {
        MethodBuilder {
            name: name.into(),
            params: Vec::new(),
            defaults: Vec::new(),
            result: None,
            header: None,
            input: None,
            output: None,
            doc: String::new(),
            idempotency: Idempotency::Unknown,
            deprecated: None,
            problem: None,
        }
    }

    /// Returns the name of the protocol that owns the method.
    pub fn protocol(&self) -> &str {
        &self.declaration.protocol
    }

    /// Returns the method as clients see it.
    pub fn info(&self) -> &MethodInfo {
        &self.declaration.info
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Method")
            .field("protocol", &self.declaration.protocol)
            .field("info", &self.declaration.info)
            .finish_non_exhaustive()
    }
}

/// Builds a method's declaration.
#[derive(Clone, Debug)]
pub struct MethodBuilder {
    name: String,
    pub(super) params: Vec<Field>,
    pub(super) defaults: Vec<(String, ArrayRef)>,
    result: Option<Field>,
    header: Option<SchemaRef>,
    input: Option<SchemaRef>,
    output: Option<SchemaRef>,
    doc: String,
    idempotency: Idempotency,
    deprecated: Option<String>,
    /// Why the method cannot be hosted.
    pub(super) problem: Option<String>,
}

/// A declared method that is not part of a protocol yet.
pub struct MethodSpec {
    builder: MethodBuilder,
    kind: MethodKind,
    handler: Handler,
}

impl fmt::Debug for MethodSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodSpec").field("declaration", &self.builder).finish_non_exhaustive()
    }
}

impl MethodBuilder {
    /// Adds a required parameter.
    pub fn param(self, name: &str, data_type: DataType) -> Self {
        self.param_field(Field::new(name, data_type, false))
    }

    /// Adds a parameter that may be null.
    pub fn optional(self, name: &str, data_type: DataType) -> Self {
        self.param_field(Field::new(name, data_type, true))
    }

    /// Adds a required parameter with the default that typed clients apply: a column of one value.
    ///
    /// The server does not apply the default: a request without the parameter's column is refused. A typed client applies the
    /// default of its own declaration of the method when its caller omits the parameter: WIRE_PROTOCOL 5, "Default values".
    /// Reflection does not carry defaults, and they are not part of the protocol's hash: WIRE_PROTOCOL 14. The server's
    /// description page shows them, and a program in the same process reads them from [`MethodInfo::defaults`].
    pub fn param_with_default(mut self, name: &str, default: ArrayRef) -> Self {
        let data_type = default.data_type().clone();
        self.defaults.push((name.into(), default));
        self.param(name, data_type)
    }

    /// Adds a parameter as an Arrow field.
    pub fn param_field(mut self, field: Field) -> Self {
        self.params.push(field);
        self
    }

    /// Declares a return value that is never null. A method without a return value is void.
    pub fn returns(self, data_type: DataType) -> Self {
        self.returns_field(Field::new("result", data_type, false))
    }

    /// Declares a return value that may be null.
    pub fn returns_optional(self, data_type: DataType) -> Self {
        self.returns_field(Field::new("result", data_type, true))
    }

    /// Declares the return value as an Arrow field. On the wire its name is always `result`.
    pub fn returns_field(mut self, field: Field) -> Self {
        self.result = Some(field.with_name("result"));
        self
    }

    /// Declares that the stream begins with a header of one row.
    pub fn header(mut self, schema: SchemaRef) -> Self {
        self.header = Some(schema);
        self
    }

    /// Declares an exchange's input schema. A handler may choose another for one call.
    pub fn input(mut self, schema: SchemaRef) -> Self {
        self.input = Some(schema);
        self
    }

    /// Declares a stream's output schema. A handler may choose another for one call.
    pub fn output(mut self, schema: SchemaRef) -> Self {
        self.output = Some(schema);
        self
    }

    /// Documents what the method does.
    pub fn doc(mut self, text: &str) -> Self {
        self.doc = text.into();
        self
    }

    /// Declares whether a call may be repeated.
    pub fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = idempotency;
        self
    }

    /// Marks the method as deprecated and says what to migrate to.
    pub fn deprecated(mut self, migrate_to: &str) -> Self {
        self.deprecated = Some(migrate_to.into());
        self
    }

    /// Completes a unary method. If the handler's return type does not fit the declared result, building the service fails.
    pub fn unary<A: IntoAnswer>(
        self,
        handler: impl Fn(&Args, &mut CallContext) -> Result<A, RpcError> + Send + Sync + 'static,
    ) -> MethodSpec {
        let problem = A::problem(self.result.as_ref());
        let handler = move |args: &Args, context: &mut CallContext, schema: &SchemaRef| {
            handler(args, context)?.into_answer(schema)
        };
        let builder = Self { problem: self.problem.or(problem), ..self };
        MethodSpec { builder, kind: MethodKind::Unary, handler: Handler::Unary(Box::new(handler)) }
    }

    /// Completes a method that opens a stream on which only the server sends data.
    pub fn producer<S: Producer + Serialize + DeserializeOwned>(
        self,
        open: impl Fn(&Args, &mut CallContext) -> Result<Stream<S>, RpcError> + Send + Sync + 'static,
    ) -> MethodSpec {
        let restore = |saved: Saved<'_>, _: &mut CallContext| Ok(producer(saved.state::<S>()?));
        self.open_stream(StreamKind::Producer, open, producer, restore)
    }

    /// Completes a producer whose states cannot be saved.
    pub(crate) fn unresumable_producer<S: Producer>(
        self,
        open: impl Fn(&Args, &mut CallContext) -> Result<Stream<S>, RpcError> + Send + Sync + 'static,
    ) -> MethodSpec {
        let restore =
            |_: Saved<'_>, _: &mut CallContext| Err(RpcError::runtime_error("the stream was not saved"));
        self.open_stream(StreamKind::Producer, open, |state| State::unresumable_producer(state).0, restore)
    }

    /// Completes a method that opens a stream on which each batch is answered with one.
    pub fn exchange<S: Exchange + Serialize + DeserializeOwned>(
        self,
        open: impl Fn(&Args, &mut CallContext) -> Result<Stream<S>, RpcError> + Send + Sync + 'static,
    ) -> MethodSpec {
        let restore = |saved: Saved<'_>, _: &mut CallContext| Ok(exchange(saved.state::<S>()?));
        self.open_stream(StreamKind::Exchange, open, exchange, restore)
    }

    /// Completes a method whose handler decides for each call whether it opens a producer or an exchange, and whose state is
    /// restored by `restore` over HTTP. Reflection reports the kind as unknown. WIRE_PROTOCOL 14, `stream_kind`.
    ///
    /// Over HTTP the state is saved after each turn, and `restore` is called before the next one. It can access the caller and
    /// the value that the protocol shares. If it fails, the turn fails with its error. On byte streams the state stays in memory,
    /// and `restore` is never called.
    ///
    /// ```
    /// use arrow_array::RecordBatch;
    /// use arrow_schema::{DataType, Field, Schema};
    /// use serde::{Deserialize, Serialize};
    /// use std::sync::Arc;
    /// use vgi_rpc_protocol::service::{Exchange, Method, Producer, Saved, State, Stream, Turn};
    /// use vgi_rpc_protocol::wire::error::RpcError;
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Scan {
    ///     rows_left: u64,
    /// }
    ///
    /// impl Producer for Scan {
    ///     fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
    ///         turn.finish()
    ///     }
    /// }
    ///
    /// /// The text is the same in every turn, so it is sent as the call's state, and not in this one.
    /// #[derive(Serialize)]
    /// struct Filter {
    ///     batches: u64,
    ///     #[serde(skip)]
    ///     text: String,
    /// }
    ///
    /// impl Exchange for Filter {
    ///     fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
    ///         self.batches += 1;
    ///         turn.emit(input.clone())
    ///     }
    /// }
    ///
    /// let rows = Arc::new(Schema::new(vec![Field::new("name", DataType::Utf8, false)]));
    /// let input = rows.clone();
    /// let init = Method::new("init").param("filter", DataType::Utf8).output(rows).stream(
    ///     move |args, _| match args.get::<&str>("filter")? {
    ///         "" => Ok(Stream::new(State::producer(Scan { rows_left: 10 }))),
    ///         text => {
    ///             let state = State::exchange(Filter { batches: 0, text: text.into() });
    ///             Stream::new(state).with_input(input.clone()).with_call_state(&text)
    ///         }
    ///     },
    ///     |saved: Saved<'_>, _| {
    ///         if saved.is_producer() {
    ///             return Ok(State::producer(saved.state::<Scan>()?));
    ///         }
    ///         #[derive(Deserialize)]
    ///         struct Turns {
    ///             batches: u64,
    ///         }
    ///         let Turns { batches } = saved.state()?;
    ///         Ok(State::exchange(Filter { batches, text: saved.call_state()? }))
    ///     },
    /// );
    /// # let _ = init;
    /// ```
    pub fn stream(
        self,
        open: impl Fn(&Args, &mut CallContext) -> Result<Stream<State>, RpcError> + Send + Sync + 'static,
        restore: impl Fn(Saved<'_>, &mut CallContext) -> Result<State, RpcError> + Send + Sync + 'static,
    ) -> MethodSpec {
        let restore = move |saved: Saved<'_>, context: &mut CallContext| Ok(restore(saved, context)?.0);
        self.open_stream(StreamKind::Unknown, open, |State(state)| state, restore)
    }

    pub(super) fn open_stream<S>(
        self,
        kind: StreamKind,
        open: impl Fn(&Args, &mut CallContext) -> Result<Stream<S>, RpcError> + Send + Sync + 'static,
        erase: impl Fn(S) -> Box<dyn StreamState> + Send + Sync + 'static,
        restore: impl Fn(Saved<'_>, &mut CallContext) -> Result<Box<dyn StreamState>, RpcError>
        + Send
        + Sync
        + 'static,
    ) -> MethodSpec {
        let open = move |args: &Args, context: &mut CallContext| {
            let Stream { state, overrides } = open(args, context)?;
            Ok((erase(state), overrides))
        };
        // Byte streams keep their states in memory.
        #[cfg(not(feature = "http"))]
        drop(restore);
        let handler = Handler::Stream {
            open: Box::new(open),
            #[cfg(feature = "http")]
            restore: Box::new(restore),
        };
        MethodSpec { builder: self, kind: MethodKind::Stream(kind), handler }
    }
}

impl MethodSpec {
    pub(crate) fn name(&self) -> &str {
        &self.builder.name
    }

    /// Completes the method as part of a protocol, with its schemas encoded.
    pub(crate) fn host(self, protocol: &Arc<str>, shared: Option<Shared>) -> Result<Method, ArrowError> {
        let Self { builder, kind, handler } = self;
        let encode = |schema: &SchemaRef| EncodedSchema::new(schema.clone());
        if let Some(problem) = builder.problem {
            return Err(ArrowError::SchemaError(problem));
        }
        let mut names = std::collections::HashSet::new();
        if let Some(twice) = builder.params.iter().find(|field| !names.insert(field.name())) {
            return Err(ArrowError::SchemaError(format!("two parameters are named {:?}", twice.name())));
        }
        let unary = kind == MethodKind::Unary;
        let misplaced = if unary {
            builder.header.is_some() || builder.input.is_some() || builder.output.is_some()
        } else {
            builder.result.is_some()
        };
        if misplaced {
            let text = "a unary method has a result; a stream has a header, an input and an output schema";
            return Err(ArrowError::SchemaError(text.into()));
        }
        let params = Arc::new(Schema::new(builder.params));
        encode(&params)?;
        let result = builder.result.map(|field| Arc::new(Schema::new(vec![field])));
        let defaults = if builder.defaults.is_empty() {
            None
        } else {
            Some(RecordBatch::try_from_iter(builder.defaults)?)
        };
        let declaration = Declaration {
            result: result.as_ref().map_or_else(|| Ok(EncodedSchema::empty()), encode)?,
            header: builder.header.as_ref().map(encode).transpose()?,
            input: builder.input.as_ref().map(encode).transpose()?,
            output: builder.output.as_ref().map(encode).transpose()?,
            protocol: protocol.clone(),
            shared,
            info: MethodInfo {
                name: builder.name,
                kind,
                params,
                result,
                header: builder.header,
                input: builder.input,
                output: builder.output,
                defaults,
                doc: builder.doc,
                idempotency: builder.idempotency,
                deprecated: builder.deprecated,
            },
        };
        Ok(Method { declaration: Arc::new(declaration), handler })
    }
}
