//! Resolves a request's routing keys to a method: the three refusals of WIRE_PROTOCOL 3.1 and the version gate of 13.

use super::refusals::{list, not_implemented, not_specified, not_supported};
use super::service::Service;
use crate::description::Spelled;
use crate::ipc::Metadata;
use crate::service::declare::{Hosted, Method};
use crate::wire::detail::{PreconditionFailure, PreconditionViolation};
use crate::wire::error::{RpcError, kind};
use crate::wire::keys;
use crate::wire::request::Request;
use crate::wire::text::Limit;
use std::cmp::Ordering;
use std::sync::Arc;

/// The target of a request.
pub(crate) enum Target<'a> {
    /// A hosted method and its protocol.
    Method(&'a Hosted, Arc<Method>),
    /// The built-in method that reports transport capabilities. WIRE_PROTOCOL 15.
    TransportOptions,
}

/// Finds the method that a request names.
pub(crate) fn resolve<'a>(service: &'a Service, request: &Request) -> Result<Target<'a>, RpcError> {
    let method = request.metadata.get(keys::METHOD).unwrap_or_default();
    if method.starts_with(b"__") && method.ends_with(b"__") {
        return built_in(request.method());
    }
    let Some(name) = request.protocol() else {
        return Err(not_specified(format!(
            "expected {:?} to name the protocol that the call is for, got no such key; hosted here: {}",
            keys::PROTOCOL,
            list(service.protocols.iter().map(|hosted| hosted.info.name.as_str()))
        )));
    };
    // Hosted names are valid UTF-8, so this is checked only for names that are not hosted.
    if let Some(hosted) = service.hosted(name)
        && let Some(method) = hosted.method(method)
    {
        return Ok(Target::Method(hosted, method.clone()));
    }
    let Ok(name) = std::str::from_utf8(name) else {
        return Err(not_specified(format!("expected {:?} to be valid UTF-8", keys::PROTOCOL)));
    };
    find(service, name, request.method()).map(|(hosted, method)| Target::Method(hosted, method))
}

/// Finds a method by the names of its protocol and itself.
pub(crate) fn find<'a>(
    service: &'a Service,
    name: &str,
    method: &str,
) -> Result<(&'a Hosted, Arc<Method>), RpcError> {
    let hosted = service.hosted(name).ok_or_else(|| {
        not_supported(name, service.protocols.iter().map(|hosted| hosted.info.name.as_str()))
    })?;
    let found = hosted.method(method).ok_or_else(|| {
        let shown = Limit::bytes(128).shown(method);
        not_implemented(format!(
            "protocol {name:?} has no method {shown:?}; it has: {}",
            list(hosted.methods().map(|method| method.info().name.as_str()))
        ))
    })?;
    Ok((hosted, found.clone()))
}

/// Resolves methods of the server itself, which belong to no protocol and need no routing key.
pub(crate) fn built_in(method: &str) -> Result<Target<'static>, RpcError> {
    match method {
        keys::TRANSPORT_OPTIONS_METHOD => Ok(Target::TransportOptions),
        keys::RETIRED_DESCRIBE_METHOD => Err(not_implemented(format!(
            "{method:?} was retired: call list_protocols of the protocol \"{name}\" for what is hosted here, then \
             its describe for one protocol's methods",
            name = crate::reflection::PROTOCOL_NAME
        ))),
        _ => Err(not_implemented("this server has no such reserved method".into())),
    }
}

/// Refuses a caller whose declared version is not compatible with the hosted protocol's.
pub(crate) fn gate_version(hosted: &Hosted, request: &Metadata) -> Result<(), RpcError> {
    let (Some(server), false) = (hosted.info.version, hosted.version_exempt) else { return Ok(()) };
    let client = request.get(keys::PROTOCOL_VERSION);
    if client == Some(hosted.version_text.as_bytes()) {
        return Ok(());
    }
    let refuse = |client: &str, advice: String| {
        let protocol = &hosted.info.name;
        let violation = PreconditionViolation {
            violation_type: "protocol_version".into(),
            subject: protocol.clone(),
            description: advice.clone(),
        };
        let text =
            format!("protocol {protocol:?}: client version {client}, server version {server}: {advice}");
        Err(RpcError::of_kind(kind::PROTOCOL_VERSION_MISMATCH, "ProtocolVersionError", text)
            .with_detail(PreconditionFailure { violations: vec![violation] }))
    };
    let Some(client) = client else {
        return refuse("not declared", format!("the client must send {:?}", keys::PROTOCOL_VERSION));
    };
    let canonical = "the client must send a canonical version MAJOR.MINOR.PATCH";
    let Ok(client) = std::str::from_utf8(client) else { return refuse("not UTF-8", canonical.into()) };
    let shown = Limit::bytes(64).format(format_args!("{}", client.escape_debug()));
    let Some(spelled) = Spelled::parse(client) else { return refuse(&shown, canonical.into()) };
    match spelled.compare_surface(server) {
        Ordering::Equal => Ok(()),
        Ordering::Less => {
            refuse(&shown, format!("the client is too old, upgrade it to one that speaks {server}"))
        }
        Ordering::Greater => {
            refuse(&shown, format!("the server is too old, upgrade it to one that speaks {shown}"))
        }
    }
}
