//! Lists, maps and enumerations: their echoes, and a record packed from them.

use super::echo::echo;
use super::record_types::{NestedContainers, Point, Status};
use super::types::*;
use std::collections::BTreeMap;
use vgi_rpc_protocol::service::MethodSpec;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{Record, service};

/// The methods of this theme that inspect their arguments.
#[service(name = "ConformanceService")]
pub trait Containers {
    fn echo_enum(&self, status: Status) -> Status {
        status
    }

    fn echo_status_list(&self, statuses: Vec<Status>) -> Vec<Status> {
        statuses
    }

    /// Packs the arguments into a record together with derived values: the distinct statuses, the first status and point,
    /// a batch.
    fn pack_nested_containers(
        &self,
        statuses: Vec<Status>,
        points: Vec<Point>,
        status_by_name: BTreeMap<String, Status>,
    ) -> Result<NestedContainers, RpcError> {
        Ok(NestedContainers {
            frozen_statuses: statuses.iter().copied().collect(),
            tagged_status: statuses.first().copied(),
            tagged_point: points.first().cloned(),
            tagged_batch: Some(Sample::rows_to_batch(&[1, 2].map(|value| Sample { value: Some(value) }))?),
            statuses,
            points,
            status_by_name,
        })
    }
}

/// A row of the packed batch.
#[derive(Record)]
struct Sample {
    value: Option<i64>,
}

struct Worker;

impl Containers for Worker {}

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    let mut methods = ContainersProtocol::methods(Worker);
    methods.extend([
        echo("echo_list", "values", list(Utf8)),
        echo("echo_dict", "mapping", map(Int64)),
        echo("echo_nested_list", "matrix", list(list(Int64))),
    ]);
    methods
}
