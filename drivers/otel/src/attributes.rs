//! The attributes of a call's span, and the labels of its metrics.

use crate::names;
use crate::shared::Shared;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanRef, Status};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use vgi_rpc_protocol::peer_identity::PeerEvidence;
use vgi_rpc_protocol::service::{CallContext, CallStatistics, MethodKind, Traffic};
use vgi_rpc_protocol::wire::code::Code;

/// The maximum size of a value that a caller chooses.
const MAX_VALUE_BYTES: usize = 1024;

/// Returns the labels of a server's metrics, except the status.
pub(crate) fn labels(call: &CallContext, kind: MethodKind) -> Vec<KeyValue> {
    let mut labels = of_method(call.protocol(), call.method(), method_type(kind));
    let domain = &call.auth().domain;
    if !domain.is_empty() {
        labels.push(KeyValue::new(names::AUTH_DOMAIN, cut(domain)));
    }
    labels.extend(of_evidence(call.peer_evidence()));
    labels
}

/// Returns the attributes that are known when a call begins.
pub(crate) fn at_start(shared: &Shared, call: &CallContext, kind: MethodKind) -> Vec<KeyValue> {
    let mut attributes = of_method(call.protocol(), call.method(), method_type(kind));
    let mut put = |name: &'static str, value: String| attributes.push(KeyValue::new(name, value));
    put(names::SERVER_ID, call.server_id().to_owned());
    let auth = call.auth();
    if !auth.principal.is_empty() {
        put(names::AUTH_PRINCIPAL, cut(&auth.principal));
    }
    if !auth.domain.is_empty() {
        put(names::AUTH_DOMAIN, cut(&auth.domain));
    }
    put(names::AUTH_AUTHENTICATED, auth.authenticated.to_string());
    let peer = call.peer();
    if let Some(address) = &peer.remote_address {
        put(names::CLIENT_ADDRESS, ip_of(address));
    }
    if let Some(agent) = peer.headers.as_ref().and_then(|headers| headers.user_agent.as_ref()) {
        put(names::USER_AGENT, agent.clone());
    }
    for (claim, attribute) in &shared.claims {
        let value = auth.claims.get(claim);
        let value = value.filter(|value| value.is_string() || value.is_number() || value.is_boolean());
        if let Some(value) = value {
            let text = value.as_str().map_or_else(|| cut(&value.to_string()), cut);
            attributes.push(KeyValue::new(attribute.clone(), text));
        }
    }
    attributes.extend(of_evidence(call.peer_evidence()));
    attributes.extend(shared.attributes.iter().cloned());
    attributes
}

/// Returns the attributes of a call's statistics.
pub(crate) fn of_statistics(statistics: &CallStatistics) -> [KeyValue; 6] {
    let CallStatistics { input, output } = statistics;
    let count = |name: &'static str, count: fn(&Traffic) -> u64, traffic| {
        KeyValue::new(name, i64::try_from(count(traffic)).unwrap_or(i64::MAX))
    };
    [
        count(names::INPUT_BATCHES, |traffic| traffic.batches, input),
        count(names::OUTPUT_BATCHES, |traffic| traffic.batches, output),
        count(names::INPUT_ROWS, |traffic| traffic.rows, input),
        count(names::OUTPUT_ROWS, |traffic| traffic.rows, output),
        count(names::INPUT_BYTES, |traffic| traffic.bytes, input),
        count(names::OUTPUT_BYTES, |traffic| traffic.bytes, output),
    ]
}

/// Returns the attributes of a method.
pub(crate) fn of_method(protocol: &str, method: &str, method_type: &'static str) -> Vec<KeyValue> {
    vec![
        KeyValue::new(names::SYSTEM, names::SYSTEM_VALUE),
        KeyValue::new(names::SERVICE, protocol.to_owned()),
        KeyValue::new(names::METHOD, method.to_owned()),
        KeyValue::new(names::METHOD_TYPE, method_type),
    ]
}

/// Adds an error to a span as an event.
pub(crate) fn add_exception(span: &SpanRef<'_>, error_type: &str, message: &str, stacktrace: &str) {
    let mut attributes = vec![
        KeyValue::new(names::EXCEPTION_TYPE, error_type.to_owned()),
        KeyValue::new(names::EXCEPTION_MESSAGE, message.to_owned()),
    ];
    if !stacktrace.is_empty() {
        attributes.push(KeyValue::new(names::EXCEPTION_STACKTRACE, stacktrace.to_owned()));
    }
    span.add_event(names::EXCEPTION, attributes);
}

/// Returns the status of a server's span for a failed call: an error only if the server is at fault.
pub(crate) fn server_status(code: Code, message: &str) -> Status {
    match code {
        Code::Unknown
        | Code::DeadlineExceeded
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Status::error(message.to_owned()),
        Code::Cancelled
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unauthenticated => Status::Unset,
    }
}

const fn method_type(kind: MethodKind) -> &'static str {
    match kind {
        MethodKind::Unary => "unary",
        MethodKind::Stream(_) => "stream",
    }
}

fn of_evidence(evidence: &PeerEvidence) -> Vec<KeyValue> {
    let mut statuses = BTreeSet::new();
    let mut sources = BTreeSet::new();
    for (provider, result) in evidence.results() {
        statuses.insert(format!("{provider}:{}", result.status().as_str()));
        for identity in result.identities() {
            let (source, assurance) = (&identity.source, identity.assurance.as_str());
            sources.insert(format!("{}:{source}:{assurance}", identity.provider));
        }
    }
    let said = |name, values: BTreeSet<String>| {
        let text = Vec::from_iter(values).join(",");
        (!text.is_empty()).then(|| KeyValue::new(name, text))
    };
    [said(names::PEER_STATUS, statuses), said(names::PEER_SOURCES, sources)].into_iter().flatten().collect()
}

/// Returns an address without its port.
fn ip_of(address: &str) -> String {
    address.parse::<SocketAddr>().map_or_else(|_| cut(address), |address| address.ip().to_string())
}

fn cut(text: &str) -> String {
    let end = (0..=text.len().min(MAX_VALUE_BYTES)).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_at_fault_for_six_codes() {
        let at_fault = Code::ALL.into_iter().filter(|code| server_status(*code, "x") != Status::Unset);
        let names: Vec<_> = at_fault.map(Code::as_str).collect();
        let expected =
            ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];
        assert_eq!(names, expected);
    }

    #[test]
    fn addresses_have_no_port_and_values_an_end() {
        assert_eq!(ip_of("192.0.2.1:80"), "192.0.2.1");
        assert_eq!(ip_of("[2001:db8::1]:80"), "2001:db8::1");
        assert_eq!(ip_of("somewhere"), "somewhere");
        let long = "é".repeat(MAX_VALUE_BYTES);
        assert_eq!(cut(&long).len(), MAX_VALUE_BYTES);
        assert_eq!(cut(&format!("x{long}")).len(), MAX_VALUE_BYTES - 1);
    }
}
