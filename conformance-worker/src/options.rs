//! The command line: the flags of every worker, and those that only the suite needs. FIXTURES 2.2.

mod http;
mod identity;
mod storage;

use clap::{Parser, ValueEnum};
pub use http::{HttpOptions, ProofMode};
pub use identity::{HostedIdentity, IdentityOptions};
use std::path::PathBuf;
pub use storage::StorageOptions;
use vgi_rpc_worker::WorkerOptions;

/// Hosts ConformanceService and conformance.Secondary.v1 for the conformance suite of vgi-rpc.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Options {
    #[command(flatten)]
    pub worker: WorkerOptions,

    #[command(flatten)]
    pub http: HttpOptions,

    #[command(flatten)]
    pub storage: StorageOptions,

    #[command(flatten)]
    pub identity: IdentityOptions,

    /// Export spans and metrics over OTLP, to where the environment variable OTEL_EXPORTER_OTLP_ENDPOINT says
    #[cfg(feature = "otel")]
    #[arg(long)]
    pub otel: bool,

    /// Host a protocol that reports its calls' transport, and nothing else
    #[arg(long, conflicts_with = "hosted_order")]
    transport_kind_probe: bool,

    /// Host a protocol whose one stream method decides its kind for each call, and nothing else
    #[arg(long, conflicts_with_all = ["hosted_order", "transport_kind_probe"])]
    stream_kinds: bool,

    /// Fail the first start-up of the service, and succeed at the next
    #[arg(long)]
    pub fail_serve_start_once: bool,

    /// Append what was done with shared memory to this file, at the end of the process
    #[arg(long, value_name = "PATH")]
    pub shm_counts: Option<PathBuf>,

    /// Which protocols to host, and in which order
    #[arg(long, value_enum, default_value_t = HostedOrder::Conformance)]
    hosted_order: HostedOrder,
}

/// Sets of protocols whose registration order differs from a sorted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HostedOrder {
    /// ConformanceService, conformance.Secondary.v1
    Conformance,
    /// zeta.Primary.v1, conformance.Secondary.v1, alpha.Extra.v1
    Reverse,
}

/// The hosted protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosted {
    /// The protocols of the conformance suite.
    Conformance(HostedOrder),
    /// The transport-kind probe.
    TransportKindProbe,
    /// One stream method that decides its kind for each call.
    StreamKinds,
}

impl Options {
    /// Returns what to host.
    pub fn hosted(&self) -> Hosted {
        if self.transport_kind_probe {
            Hosted::TransportKindProbe
        } else if self.stream_kinds {
            Hosted::StreamKinds
        } else {
            Hosted::Conformance(self.hosted_order)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["worker"], flags].concat())
    }

    #[test]
    fn what_is_hosted_can_be_chosen_once() {
        assert_eq!(parse(&[]).unwrap().hosted(), Hosted::Conformance(HostedOrder::Conformance));
        let reverse = parse(&["--hosted-order", "reverse"]).unwrap();
        assert_eq!(reverse.hosted(), Hosted::Conformance(HostedOrder::Reverse));
        assert_eq!(parse(&["--transport-kind-probe"]).unwrap().hosted(), Hosted::TransportKindProbe);
        assert!(parse(&["--transport-kind-probe", "--hosted-order", "reverse"]).is_err());
    }

    #[test]
    fn identity_is_for_http_alone() {
        use HostedIdentity::{Both, Grants, IntrospectOnly, Off};
        for (name, hosted) in
            [("both", Both), ("introspect-only", IntrospectOnly), ("grants", Grants), ("off", Off)]
        {
            assert_eq!(parse(&["--http", "--identity", name]).unwrap().identity.identity, hosted);
        }
        assert!(!parse(&[]).unwrap().identity.is_hosted());
        assert!(parse(&["--identity", "both"]).is_err(), "only HTTP authenticates callers");
        assert!(parse(&["--http", "--grant-key", "AA"]).is_err(), "keys are for grants");
    }

    #[test]
    fn flags_of_the_suite_stand_beside_any_transport() {
        for transport in [&["--pipe"][..], &["--tcp", "0"], &["--http", "--port", "0", "--describe"]] {
            let flags = [transport, &["--fake-storage", "http://127.0.0.1:1", "--no-sticky"]].concat();
            let options = parse(&flags).unwrap();
            assert!(options.http.no_sticky && options.storage.fake_storage.is_some(), "{transport:?}");
        }
    }
}
