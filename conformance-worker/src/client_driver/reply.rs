//! Replies, as JSON: the two failure channels, and logs. CLIENT_DRIVER_PROTOCOL 2 and 3.

use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_stdio::CallError;

/// A reply without its logs.
#[derive(Debug)]
pub struct Reply(Map<String, Value>);

impl Reply {
    /// Returns a reply that the instruction was executed.
    pub fn ok() -> Self {
        Self(Map::from_iter([("ok".to_owned(), true.into()), ("error".to_owned(), Value::Null)]))
    }

    /// Returns a reply that the instruction was not executed.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self(Map::from_iter([("ok".to_owned(), false.into()), ("error".to_owned(), reason.into().into())]))
    }

    /// Returns a reply that the instruction was executed, and the server or the client reported an error.
    pub fn failed(error: &CallError) -> Self {
        Self::ok().with("error", error_object(error))
    }

    /// Sets a field.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Adds the logs received since the last reply.
    pub fn finish(self, logs: Vec<LogMessage>) -> Value {
        Value::Object(self.with("logs", logs.into_iter().map(log_object).collect::<Vec<_>>()).0)
    }
}

fn error_object(error: &CallError) -> Value {
    match error {
        CallError::Rpc(error) => json!({
            "error_type": error.error_type(),
            "error_message": error.message(),
            "traceback": error.traceback(),
            "error_code": error.code_name(),
            "error_kind": error.kind().unwrap_or_default(),
            "error_details": error.details_json(),
        }),
        error => json!({
            "error_type": own_type(error),
            "error_message": error.to_string(),
            "traceback": "",
            "error_code": "",
            "error_kind": "",
            "error_details": [],
        }),
    }
}

/// Returns the name of an error raised by the client itself.
fn own_type(error: &CallError) -> &'static str {
    match error {
        CallError::Transport(_) => "TransportError",
        CallError::Connection(_) => "ConnectionError",
        CallError::Unusable { .. } => "Unusable",
        CallError::WrongKind(_) => "WrongKind",
        CallError::Command(_) => "CommandError",
        CallError::Pointer => "Pointer",
        _ => "CallError",
    }
}

fn log_object(log: LogMessage) -> Value {
    json!({"level": log.level.as_str(), "message": log.message, "extra": log.extra})
}

/// Logs that wait for the next reply. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct SharedLogs(Arc<Mutex<Vec<LogMessage>>>);

impl SharedLogs {
    pub fn push(&self, log: LogMessage) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(log);
    }

    /// Takes the pending logs: each is delivered once.
    pub fn take(&self) -> Vec<LogMessage> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vgi_rpc_protocol::ipc::Metadata;
    use vgi_rpc_protocol::wire::error::RpcError;

    #[test]
    fn an_error_is_relayed_as_the_client_decoded_it() {
        let details =
            r#"[{"@type":"vgi_rpc.RetryInfo","retry_delay_seconds":7},{"@type":"x.Unknown","a":[1]}]"#;
        let extra = r#"{"exception_type":"ReportError","traceback":"Traceback ..."}"#;
        let entries = [
            ("vgi_rpc.log_level", "EXCEPTION"),
            ("vgi_rpc.log_message", "not now"),
            ("vgi_rpc.log_extra", extra),
            ("vgi_rpc.error_code", "UNAVAILABLE"),
            ("vgi_rpc.error_kind", "rebuilding"),
            ("vgi_rpc.error_details", details),
        ];
        let received = RpcError::from_metadata(&entries.into_iter().collect::<Metadata>());
        let reply = Reply::failed(&received.into()).finish(Vec::new());
        let error = &reply["error"];
        assert_eq!(reply["ok"], true);
        assert_eq!(
            (&error["error_type"], &error["error_message"]),
            (&"ReportError".into(), &"not now".into())
        );
        assert_eq!(error["traceback"], "Traceback ...");
        assert_eq!(
            (&error["error_code"], &error["error_kind"]),
            (&"UNAVAILABLE".into(), &"rebuilding".into())
        );
        assert_eq!(error["error_details"], serde_json::from_str::<Value>(details).unwrap());
    }

    #[test]
    fn what_the_server_did_not_send_is_empty() {
        let received = RpcError::from_metadata(&[("vgi_rpc.log_level", "EXCEPTION")].into_iter().collect());
        let reply = Reply::failed(&received.into()).finish(Vec::new());
        for name in ["error_code", "error_kind", "traceback"] {
            assert_eq!(reply["error"][name], "", "{name}");
        }
        assert_eq!(reply["error"]["error_details"], json!([]));
    }

    #[test]
    fn the_two_failure_channels_are_apart() {
        let refused = Reply::refused("no connection").finish(Vec::new());
        assert_eq!(refused, json!({"ok": false, "error": "no connection", "logs": []}));
        let failed = Reply::failed(&CallError::Pointer).finish(Vec::new());
        assert_eq!((&failed["ok"], &failed["error"]["error_type"]), (&true.into(), &"Pointer".into()));
    }

    #[test]
    fn a_log_is_delivered_once() {
        let logs = SharedLogs::default();
        logs.push(LogMessage::info("rows").with("count", "7"));
        let reply = Reply::ok().finish(logs.take());
        assert_eq!(reply["logs"], json!([{"level": "INFO", "message": "rows", "extra": {"count": "7"}}]));
        assert_eq!(Reply::ok().finish(logs.take())["logs"], json!([]));
    }
}
