//! Echoes of records, each decoded and re-encoded.

use super::record_types::{
    AllTypes, BoundingBox, ContainerWideTypes, DeepNested, EmbeddedArrow, Point, WideTypes,
};
use super::text;
use vgi_rpc_protocol::service;
use vgi_rpc_protocol::service::MethodSpec;

/// The methods of this theme.
#[service(name = "ConformanceService")]
pub trait Records {
    fn echo_point(&self, point: Point) -> Point {
        point
    }
    fn echo_optional_point(&self, point: Option<Point>) -> Option<Point> {
        point
    }
    fn echo_bounding_box(&self, r#box: BoundingBox) -> BoundingBox {
        r#box
    }
    fn echo_all_types(&self, data: AllTypes) -> AllTypes {
        data
    }
    fn echo_wide_types(&self, data: WideTypes) -> WideTypes {
        data
    }
    fn echo_container_wide_types(&self, data: ContainerWideTypes) -> ContainerWideTypes {
        data
    }
    fn echo_deep_nested(&self, data: DeepNested) -> DeepNested {
        data
    }
    fn echo_embedded_arrow(&self, data: EmbeddedArrow) -> EmbeddedArrow {
        data
    }
    fn inspect_point(&self, point: Point) -> String {
        format!("Point({}, {})", text::float(point.x), text::float(point.y))
    }
}

struct Worker;

impl Records for Worker {}

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    RecordsProtocol::methods(Worker)
}
