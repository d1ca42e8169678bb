//! The protocols that the worker hosts. Reflection must list them in their order.

use crate::options::{Hosted, HostedIdentity, HostedOrder, Options};
use crate::storage::Storage;
use crate::{identity, secondary, service, stream_kinds, whoami};
use arrow_schema::DataType;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vgi_rpc_protocol::service::{Method, Protocol, Service, ServiceBuilder};
use vgi_rpc_protocol::wire::error::RpcError;

/// Builds the service for the command line. If there is a store, it stores large outputs and resolves pointers. `add` can
/// extend the builder.
pub fn service(
    options: &Options,
    store: Option<&Arc<Storage>>,
    add: impl FnOnce(ServiceBuilder) -> ServiceBuilder,
) -> Result<Service, Box<dyn Error>> {
    let mut protocols = match options.hosted() {
        Hosted::Conformance(HostedOrder::Conformance) => {
            let primary = service::protocol(store);
            let primary = if options.fail_serve_start_once { failing_once(primary) } else { primary };
            vec![primary, secondary::protocol()]
        }
        Hosted::Conformance(HostedOrder::Reverse) => {
            vec![ping("zeta.Primary.v1"), secondary::protocol(), ping("alpha.Extra.v1")]
        }
        Hosted::TransportKindProbe => vec![transport_kind_probe()],
        Hosted::StreamKinds => vec![stream_kinds::protocol()],
    };
    if options.identity.identity == HostedIdentity::Grants {
        protocols.push(whoami::protocol());
    }
    let mut builder = add(options.worker.service().server_version(env!("CARGO_PKG_VERSION")));
    if let Some(store) = store {
        builder =
            builder.fetch_external(options.storage.fetch_options()).externalise(store.externalisation());
    }
    let builder = protocols.into_iter().fold(builder, |builder, protocol| builder.protocol(protocol));
    Ok(match identity::identity(&options.identity)? {
        Some(identity) => identity.host(builder),
        None => builder,
    }
    .build()?)
}

/// A protocol whose start-up work fails once.
fn failing_once(protocol: Protocol) -> Protocol {
    let failed = AtomicBool::new(false);
    protocol.on_serve_start(move |_| match failed.swap(true, Ordering::Relaxed) {
        false => Err(RpcError::runtime_error("the first start-up fails, as --fail-serve-start-once asks")),
        true => Ok(()),
    })
}

/// A protocol of which only the name is used.
fn ping(name: &str) -> Protocol {
    Protocol::new(name).method(Method::new("ping").returns(DataType::Utf8).unary(|_, _| Ok("pong")))
}

/// Reports the transport of each call, as its handler sees it. It has no version, so that no client is refused.
fn transport_kind_probe() -> Protocol {
    let report = Method::new("report_transport_kind")
        .returns(DataType::Utf8)
        .unary(|_, context| Ok(context.transport().as_str()));
    Protocol::new("conformance.TransportKindProbe.v1").method(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn hosted(flags: &[&str]) -> Vec<(String, String)> {
        let options = Options::try_parse_from([&["worker"], flags].concat()).unwrap();
        let service = service(&options, None, |builder| builder).unwrap();
        service.protocols().map(|info| (info.name.clone(), info.hash.clone())).collect()
    }

    fn names(flags: &[&str]) -> Vec<String> {
        hosted(flags).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn the_conformance_protocols_have_the_surface_of_the_reference() {
        let hosted = hosted(&[]);
        let expected = [
            ("ConformanceService", "05479410c96f34410a2b10a4f6a49d59dcfd9d6d1d45ce9a9807d060a3bd6014"),
            ("conformance.Secondary.v1", "58557cf1611546ad22d1c379bc3ce1b04166082f78375e9fc959f0086347eab6"),
        ];
        for ((name, hash), (expected_name, expected_hash)) in hosted.iter().zip(expected) {
            assert_eq!((name.as_str(), hash.as_str()), (expected_name, expected_hash));
        }
    }

    #[test]
    fn identity_has_the_surface_of_the_reference_and_is_listed_last() {
        for (mode, hash) in [
            ("both", "145267755ff90d5c3313d79c7ff771306f2530626380d01cb0e57a951d0f9ec3"),
            ("introspect-only", "4039fbf6db3e64ae234e0be605b977477150ace892f10b6c691920eaf925e7ac"),
            ("grants", "145267755ff90d5c3313d79c7ff771306f2530626380d01cb0e57a951d0f9ec3"),
        ] {
            let hosted = hosted(&["--http", "--identity", mode]);
            let last: Vec<_> = hosted.iter().rev().take(2).map(|(name, _)| name.as_str()).collect();
            assert_eq!(last, ["vgi_rpc.Identity.v2", "vgi_rpc.Reflection.v1"], "{mode}");
            assert_eq!(hosted.last().unwrap().1, hash, "{mode}");
        }
        let grants = hosted(&["--http", "--identity", "grants"]);
        let whoami = grants.iter().find(|(name, _)| name == "conformance.Whoami.v1").unwrap();
        assert_eq!(whoami.1, "a280333ba72432020e162cab388a78355969a30aa74f0665ad9d2932d7a10b8f");
        assert!(!names(&["--http"]).contains(&"vgi_rpc.Identity.v2".to_owned()), "absent unless requested");
    }

    #[test]
    fn protocols_are_listed_in_the_order_of_registration() {
        assert_eq!(names(&[]), ["ConformanceService", "conformance.Secondary.v1", "vgi_rpc.Reflection.v1"]);
        assert_eq!(
            names(&["--hosted-order", "reverse"]),
            ["zeta.Primary.v1", "conformance.Secondary.v1", "alpha.Extra.v1", "vgi_rpc.Reflection.v1"]
        );
        assert_eq!(
            names(&["--transport-kind-probe"]),
            ["conformance.TransportKindProbe.v1", "vgi_rpc.Reflection.v1"]
        );
    }
}
