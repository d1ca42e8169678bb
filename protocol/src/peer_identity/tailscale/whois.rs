//! WhoIs of Tailscale's LocalAPI: the question to the local daemon, and its response. `tailscale-identity.md`, "LocalAPI WhoIs".

use super::TAILSCALE;
use crate::effect::{Ask, FailureReason, Question};
use crate::peer_identity::evidence::ProviderResult;
use crate::peer_identity::identity::{Assurance, PeerIdentity, Stability, Subject, SubjectKind};
use crate::peer_identity::json::{self, Bounds, JsonError, JsonObject};
use crate::peer_identity::provider::PeerQuery;
use crate::peer_identity::status::ProviderStatus;
use crate::peer_identity::text::percent_encode;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use serde_json::{Map, Value};
use std::time::Duration;

/// The time limit for the daemon, including connecting.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// The maximum size of a response's body in bytes.
const MAX_BODY: usize = 65_536;
/// The limits for a response as a whole. The parts that become evidence have their own.
const BOUNDS: Bounds = Bounds { bytes: MAX_BODY, depth: 64, values: MAX_BODY };

/// The question to a driver: who has an address, by a `GET` of [`target`](Self::target) at the LocalAPI of this host's Tailscale
/// daemon. The driver completes it with a [`WhoIsResponse`], whatever the status.
///
/// The driver knows the daemon's address and password. It does not follow redirects. Its failures:
///
/// | what went wrong | reason |
/// | --- | --- |
/// | the daemon is not running, or does not respond | [`Unavailable`](FailureReason::Unavailable) |
/// | it takes longer than the effect's time limit, 5 s | [`TimedOut`](FailureReason::TimedOut) |
/// | the response is not HTTP, or its body is too long | [`Refused`](FailureReason::Refused) |
///
/// Nothing is cached, and questions are not shared: the same address may belong to another peer a moment later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WhoIs {
    /// The path and query of the request. Values from a peer are percent-encoded.
    pub target: String,
    /// The maximum size of the response's body in bytes. A longer one is a failure.
    pub max_bytes: usize,
}

impl WhoIs {
    /// The value of the header `Host`, by which the daemon tells its clients from pages in a browser.
    pub const HOST: &'static str = "local-tailscaled.sock";

    /// Creates a question with this path and query.
    pub fn new(target: impl Into<String>) -> Self {
        Self { target: target.into(), max_bytes: MAX_BODY }
    }
}

/// The daemon's response.
#[derive(Clone, PartialEq, Eq)]
pub struct WhoIsResponse {
    /// The status.
    pub status: u16,
    /// The value of `Content-Type`, if it occurs once.
    pub content_type: Option<String>,
    /// The body, without transfer coding.
    pub body: Bytes,
}

impl std::fmt::Debug for WhoIsResponse {
    /// Omits the body, which contains an identity.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WhoIsResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The target of the capabilities.
enum Target<'a> {
    Node,
    Service(&'a str),
    Destination(IpAddr),
}

/// Asks for the owner of a peer's address.
pub(crate) fn look_up(issuer: &str, query: &PeerQuery<'_>) -> Result<ProviderResult, Ask> {
    let Some(source) = query.best_source() else {
        return Ok(ProviderResult::without(ProviderStatus::NotApplicable));
    };
    let Some((question, target)) = question(source, query) else {
        return Ok(ProviderResult::without(ProviderStatus::Invalid));
    };
    let answer = query.ask("vgi_rpc.tailscale.whois", || Question::new(question).time_limit(TIME_LIMIT))?;
    let response = match answer {
        Ok(answer) => answer.value::<WhoIsResponse>(),
        Err(failure) => {
            let status = match failure.reason {
                FailureReason::Refused | FailureReason::Failed => ProviderStatus::Invalid,
                _ => ProviderStatus::Unavailable,
            };
            return Ok(ProviderResult::without(status));
        }
    };
    Ok(match response {
        Some(response) => read(response, issuer, query, &target),
        None => ProviderResult::without(ProviderStatus::Invalid),
    })
}

/// Returns the question about a source; `None` if the source cannot be looked up.
fn question<'a>(source: &str, query: &PeerQuery<'a>) -> Option<(WhoIs, Target<'a>)> {
    let is_endpoint = source.parse::<SocketAddr>().is_ok() || source.parse::<IpAddr>().is_ok();
    if !is_endpoint {
        return None;
    }
    let mut path = format!("/localapi/v0/whois?addr={}&proto=tcp", percent_encode(source));
    let target = if let Some(name) = query.service_name {
        if !super::is_service_name(name) {
            return None;
        }
        path.push_str(&format!("&svc_name={}", percent_encode(name)));
        Target::Service(name)
    } else if let Some(destination) = query.destination {
        let address = destination.parse::<SocketAddr>().map(|address| address.ip());
        let address = address.or_else(|_| destination.parse()).ok()?;
        path.push_str(&format!("&dst_ip={}", percent_encode(&address.to_string())));
        Target::Destination(address)
    } else {
        Target::Node
    };
    Some((WhoIs::new(path), target))
}

/// Reads the daemon's response about the peer.
fn read(
    response: &WhoIsResponse,
    issuer: &str,
    query: &PeerQuery<'_>,
    target: &Target<'_>,
) -> ProviderResult {
    let status = match response.status {
        200 if is_json(response.content_type.as_deref()) => {
            return match identity(&response.body, issuer, query, target) {
                Ok(identity) => ProviderResult::available(identity),
                Err(_) => ProviderResult::without(ProviderStatus::Invalid),
            };
        }
        401 | 403 => ProviderStatus::PermissionDenied,
        404 => ProviderStatus::NoMatch,
        500..=599 => ProviderStatus::Unavailable,
        _ => ProviderStatus::Invalid,
    };
    ProviderResult::without(status)
}

fn is_json(content_type: Option<&str>) -> bool {
    let essence = content_type.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// A response in a form that the daemon does not send.
struct Unexpected;

impl From<JsonError> for Unexpected {
    fn from(_: JsonError) -> Self {
        Self
    }
}

fn identity(
    body: &[u8],
    issuer: &str,
    query: &PeerQuery<'_>,
    target: &Target<'_>,
) -> Result<PeerIdentity, Unexpected> {
    let Value::Object(mut response) = json::parse(body, BOUNDS)? else { return Err(Unexpected) };
    let Some(Value::Object(node)) = response.remove("Node") else { return Err(Unexpected) };
    let capabilities = match response.remove("CapMap") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(capabilities)) => capabilities,
        Some(_) => return Err(Unexpected),
    };
    if !capabilities.values().all(Value::is_array) {
        return Err(Unexpected);
    }
    let tags = tags(&node)?;
    let (node_id, name) = (optional_text(&node, "StableID")?, optional_text(&node, "Name")?);
    let mut attributes = Map::from_iter([
        ("node_id".to_owned(), node_id.into()),
        ("node_name".to_owned(), name.into()),
        ("tags".to_owned(), tags.clone().into()),
        ("capability_target".to_owned(), target.attribute()),
    ]);
    // A tagged node has no owner: the profile in the response is not the caller.
    let (kind, key) = if tags.is_empty() {
        let Some(Value::Object(profile)) = response.get("UserProfile") else { return Err(Unexpected) };
        let id = profile.get("ID").and_then(Value::as_u64).filter(|id| *id > 0).ok_or(Unexpected)?;
        attributes.insert("user_id".to_owned(), id.to_string().into());
        for (field, attribute) in [("LoginName", "user_login"), ("DisplayName", "user_display_name")] {
            if let Some(text) = optional_text(profile, field)?.filter(|text| !text.is_empty()) {
                attributes.insert(attribute.to_owned(), text.into());
            }
        }
        (SubjectKind::User, format!("user:{id}"))
    } else {
        let id = node_id.filter(|id| !id.is_empty()).ok_or(Unexpected)?;
        (SubjectKind::TaggedNode, format!("node:{id}"))
    };
    let identity = PeerIdentity::new(TAILSCALE, "localapi", Assurance::LocalDaemon, issuer, query.transport);
    Ok(identity
        .with_subject(Subject::verified(kind, key, Stability::Stable))
        .with_attributes(JsonObject::new(attributes)?)
        .with_verified_capabilities(JsonObject::new(capabilities)?)
        .with_addresses(query.best_source(), None))
}

fn tags(node: &Map<String, Value>) -> Result<Vec<&str>, Unexpected> {
    match node.get("Tags") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(tags)) => tags
            .iter()
            .map(|tag| tag.as_str().filter(|tag| tag.starts_with("tag:")).ok_or(Unexpected))
            .collect(),
        Some(_) => Err(Unexpected),
    }
}

fn optional_text<'a>(object: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Unexpected> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Unexpected),
    }
}

impl Target<'_> {
    fn attribute(&self) -> Value {
        match self {
            Self::Node => serde_json::json!({ "kind": "node" }),
            Self::Service(name) => serde_json::json!({ "kind": "service", "value": name }),
            Self::Destination(address) => {
                serde_json::json!({ "kind": "destination_ip", "value": address.to_string() })
            }
        }
    }
}
