//! Echoes that also log.

use super::types::Utf8;
use vgi_rpc_protocol::service::{Method, MethodSpec};
use vgi_rpc_protocol::wire::log::{Level, LogMessage};

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    use Level::{Debug, Error, Info, Trace, Warn};
    vec![
        echo("echo_with_info_log", |value| vec![log(Info, value)]),
        echo("echo_with_multi_logs", |value| [Debug, Info, Warn].map(|level| log(level, value)).into()),
        echo("echo_with_log_extras", |value| {
            vec![log(Info, value).with("source", "conformance").with("detail", value)]
        }),
        echo("echo_with_all_log_levels", |value| {
            [Trace, Debug, Info, Warn, Error].map(|level| log(level, value)).into()
        }),
    ]
}

/// Returns its argument, after these logs about it.
fn echo(method: &str, logs: fn(&str) -> Vec<LogMessage>) -> MethodSpec {
    Method::new(method).param("value", Utf8).returns(Utf8).unary(move |args, context| {
        for message in logs(args.get("value")?) {
            context.log(message);
        }
        args.column("value").cloned()
    })
}

fn log(level: Level, value: &str) -> LogMessage {
    LogMessage::new(level, format!("{}: {value}", level.as_str().to_lowercase()))
}
