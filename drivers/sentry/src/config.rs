//! Settings of the data that is sent to Sentry.

use serde_json::{Map, Value};
use std::fmt;
use vgi_rpc_protocol::redaction::names_credential;
use vgi_rpc_protocol::wire::code::Code;

/// Parameters by name.
pub(crate) type Redactor = dyn Fn(Map<String, Value>) -> Map<String, Value> + Send + Sync;

/// What is sent. The documentation of each setting has its default.
pub struct SentryConfig {
    pub(crate) capture_errors: bool,
    pub(crate) performance: bool,
    pub(crate) trust_callers: bool,
    pub(crate) request_context: bool,
    pub(crate) transaction_name: bool,
    pub(crate) op_name: String,
    pub(crate) ignored_codes: Vec<Code>,
    pub(crate) ignored_types: Vec<String>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) claim_tags: Vec<(String, String)>,
    pub(crate) user_claims: Vec<(String, String)>,
    pub(crate) record_params: bool,
    pub(crate) tag_params: Vec<String>,
    redactor: Option<Box<Redactor>>,
}

impl Default for SentryConfig {
    fn default() -> Self {
        let reported = [Code::Unknown, Code::Internal, Code::DataLoss];
        let user_claims = [("username", "preferred_username"), ("email", "email"), ("name", "name")];
        Self {
            capture_errors: true,
            performance: false,
            trust_callers: false,
            request_context: true,
            transaction_name: true,
            op_name: "rpc.server".into(),
            ignored_codes: Code::ALL.into_iter().filter(|code| !reported.contains(code)).collect(),
            ignored_types: Vec::new(),
            tags: Vec::new(),
            claim_tags: Vec::new(),
            user_claims: user_claims.map(|(field, claim)| (field.into(), claim.into())).into(),
            record_params: false,
            tag_params: Vec::new(),
            redactor: None,
        }
    }
}

impl fmt::Debug for SentryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentryConfig")
            .field("capture_errors", &self.capture_errors)
            .field("performance", &self.performance)
            .field("ignored_codes", &self.ignored_codes)
            .field("ignored_types", &self.ignored_types)
            .field("record_params", &self.record_params)
            .field("tag_params", &self.tag_params)
            .finish_non_exhaustive()
    }
}

impl SentryConfig {
    /// Returns the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether failed calls are reported. Default true.
    pub fn enable_error_capture(mut self, enable: bool) -> Self {
        self.capture_errors = enable;
        self
    }

    /// Sets whether each call is a span. Default false: spans count toward Sentry's quota, and duplicate those of OpenTelemetry.
    pub fn enable_performance(mut self, enable: bool) -> Self {
        self.performance = enable;
        self
    }

    /// Sets whether the caller's header `sentry-trace` decides if a call's span is sampled. Default false: the application's
    /// sample rate decides, so callers can neither force nor suppress sampling. Spans continue a caller's trace in both cases.
    pub fn trust_callers(mut self, trust: bool) -> Self {
        self.trust_callers = trust;
        self
    }

    /// Sets whether the context `rpc`, the user, and the tags of authentication and claims are sent. Default true.
    pub fn record_request_context(mut self, record: bool) -> Self {
        self.request_context = record;
        self
    }

    /// Sets whether the transaction of an event is `rpc METHOD`. Default true.
    pub fn set_transaction_name(mut self, set: bool) -> Self {
        self.transaction_name = set;
        self
    }

    /// Sets the operation of spans. Default `rpc.server`.
    pub fn op_name(mut self, name: impl Into<String>) -> Self {
        self.op_name = name.into();
        self
    }

    /// Sets the codes of errors that are not reported. Default: all but `UNKNOWN`, `INTERNAL` and `DATA_LOSS`.
    pub fn ignored_error_codes(mut self, codes: impl IntoIterator<Item = Code>) -> Self {
        self.ignored_codes = codes.into_iter().collect();
        self
    }

    /// Adds a type of errors that are not reported whatever their code is, such as `ValueError`. Default: none.
    pub fn ignore_error_type(mut self, error_type: impl Into<String>) -> Self {
        self.ignored_types.push(error_type.into());
        self
    }

    /// Adds a tag to everything that is sent.
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((name.into(), value.into()));
        self
    }

    /// Sends a claim of the caller as a tag, if it is a string, a number or a boolean. Default: no claims are sent.
    pub fn claim_tag(mut self, claim: impl Into<String>, tag: impl Into<String>) -> Self {
        self.claim_tags.push((claim.into(), tag.into()));
        self
    }

    /// Sets which claim a field of the user comes from: `username`, `email`, `name`, or another field of the application. Claims
    /// that are not strings are omitted.
    pub fn user_claim(mut self, field: impl Into<String>, claim: impl Into<String>) -> Self {
        let field = field.into();
        self.user_claims.retain(|(known, _)| *known != field);
        self.user_claims.push((field, claim.into()));
        self
    }

    /// Sets whether the parameters of calls are sent, as data `rpc.param.NAME` of spans. Default false, because they may contain
    /// confidential data. Spans exist only with [`enable_performance`](Self::enable_performance), or if the application creates
    /// them around the calls. Events do not have this data: see [`tag_param`](Self::tag_param).
    ///
    /// Strings, numbers, booleans and lists of these are sent, up to 1024 bytes of each, for the first 64 parameters that the
    /// method declares. Other values, and columns of the request that the method does not declare, are omitted. The
    /// [redactor](Self::redactor) is called first.
    pub fn record_params(mut self, record: bool) -> Self {
        self.record_params = record;
        self
    }

    /// Adds a parameter that is sent as the tag `rpc.param.NAME`, up to 200 characters, if it is a string, a number or a boolean
    /// and the [redactor](Self::redactor) does not remove it. Use tags for parameters with few distinct values.
    pub fn tag_param(mut self, name: impl Into<String>) -> Self {
        self.tag_params.push(name.into());
        self
    }

    /// Sets a function that changes or removes parameters before they are sent.
    ///
    /// With and without it, parameters whose name contains `password`, `token`, `secret`, `key` or `authorization`, in upper or
    /// lower case, are omitted. They are not passed to the function, and are not sent if it adds them. Values are not inspected:
    /// remove those that may be secret or personal.
    pub fn redactor(
        mut self,
        redact: impl Fn(Map<String, Value>) -> Map<String, Value> + Send + Sync + 'static,
    ) -> Self {
        self.redactor = Some(Box::new(redact));
        self
    }

    /// Returns the parameters that may be sent.
    pub(crate) fn redact(&self, parameters: Map<String, Value>) -> Map<String, Value> {
        let parameters = without_credentials(parameters);
        match &self.redactor {
            Some(redact) => without_credentials(redact(parameters)),
            None => parameters,
        }
    }

    /// Whether any setting uses parameters. The ids of VGI do not count.
    pub(crate) fn wants_params(&self) -> bool {
        self.record_params || !self.tag_params.is_empty()
    }
}

fn without_credentials(mut parameters: Map<String, Value>) -> Map<String, Value> {
    parameters.retain(|name, _| !names_credential(name));
    parameters
}
