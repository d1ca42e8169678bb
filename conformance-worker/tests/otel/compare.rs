//! The differences between two lists of spans, and the intended ones among them.

use crate::receiver::{Point, Received};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt;

/// An intended difference.
pub struct Intended {
    /// What differs, and why.
    about: &'static str,
    holds: fn(&Difference) -> bool,
}

/// One difference.
pub struct Difference {
    scenario: String,
    span: String,
    /// Whether the span's call has failed.
    failed: bool,
    /// An attribute, or a part of the span.
    what: String,
    reference: Value,
    ours: Value,
}

impl fmt::Debug for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, span, what, reference, ours, .. } = self;
        write!(f, "{scenario}: {what} of {span:?}: the reference {reference}, ours {ours}")
    }
}

const ESCAPED: Intended = Intended {
    about: "exception.escaped: OpenTelemetry has deprecated it",
    holds: |difference| difference.what == "exception.escaped" && difference.ours.is_null(),
};

const QUALIFIED: Intended = Intended {
    about: "exception.type: the reference puts Python's module before the type, which is no part of the error on the wire",
    holds: |difference| {
        let names = (difference.reference.as_str(), difference.ours.as_str());
        matches!(names, (Some(theirs), Some(ours)) if theirs.ends_with(&format!(".{ours}")))
            && difference.what == "exception.type"
    },
};

const REFUSED: Intended = Intended {
    about: "a call that was resolved to a method and refused then, for its parameters or its version, has a span and is counted: the \
            reference refuses it before it calls its hook",
    holds: |difference| {
        difference.what == "a span"
            && difference.reference.is_null()
            && REFUSED_CALLS.contains(&difference.scenario.as_str())
    },
};

const ERRORS_AND_LOGS: Intended = Intended {
    about: "output_batches and output_bytes: the reference counts the batches of errors and logs among the outputs; we count data, as \
            in our access log",
    holds: |difference| {
        let more = difference.reference.as_u64() > difference.ours.as_u64();
        let counted = ["rpc.vgi_rpc.output_batches", "rpc.vgi_rpc.output_bytes"];
        more && counted.contains(&difference.what.as_str())
            && (difference.failed
                || difference.scenario.contains("log")
                || difference.scenario.contains("cancel"))
    },
};

const WRAPPED: Intended = Intended {
    about: "a stream over HTTP that cannot be opened: the reference names the type of a wrapper of its own; we name that of the error, as \
            both do on byte streams and on the wire",
    holds: |difference| {
        let wrapper = difference.reference.as_str().is_some_and(|theirs| theirs.ends_with("_RpcHttpError"));
        wrapper && ["rpc.vgi_rpc.error_type", "exception.type"].contains(&difference.what.as_str())
    },
};

const CURSORS: Intended = Intended {
    about: "output_batches of streams over HTTP: the reference counts the batch without rows that carries the cursor",
    holds: |difference| {
        let one_more = difference.reference.as_u64() == difference.ours.as_u64().map(|ours| ours + 1);
        one_more && difference.what == "rpc.vgi_rpc.output_batches" && !difference.failed
    },
};

const NESTED_STREAMS: Intended = Intended {
    about: "output_bytes: records within a column are Arrow streams, whose padding is each implementation's own",
    holds: |difference| {
        let [theirs, ours] =
            [&difference.reference, &difference.ours].map(|bytes| bytes.as_u64().unwrap_or_default());
        (1..=64).contains(&ours.saturating_sub(theirs))
            && difference.what == "rpc.vgi_rpc.output_bytes"
            && NESTING_CALLS.contains(&difference.scenario.as_str())
    },
};

const TEXTS: Intended = Intended {
    about: "the message of an error that the implementation itself raises",
    holds: |difference| {
        let is_text = ["message", "exception.message"].contains(&difference.what.as_str());
        is_text && OWN_ERRORS.contains(&difference.scenario.as_str())
    },
};

const FETCHED_WITHIN: Intended = Intended {
    about: "the parent of a fetch: the reference fetches a request before its hook is called, and so outside of the call's span",
    holds: |difference| {
        difference.span == "vgi_rpc.external/fetch"
            && difference.what == "parent"
            && difference.reference == ""
            && difference.ours == "vgi_rpc/echo_string"
    },
};

const FETCHED_ROWS: Intended = Intended {
    about: "input_rows and input_bytes of a request that was fetched: the reference counts the pointer; we count what it points to",
    holds: |difference| {
        let counted = ["rpc.vgi_rpc.input_rows", "rpc.vgi_rpc.input_bytes"];
        difference.scenario == "a request that is fetched"
            && counted.contains(&difference.what.as_str())
            && difference.reference.as_u64() < difference.ours.as_u64()
    },
};

const COMPRESSED: Intended = Intended {
    about: "upload_bytes of what is stored with a coding: compressors differ by a few bytes",
    holds: |difference| {
        let sizes = (difference.reference.as_u64(), difference.ours.as_u64());
        difference.scenario == "an output that is stored with a coding"
            && difference.what == "upload_bytes"
            && matches!(sizes, (Some(theirs), Some(ours)) if theirs.abs_diff(ours) <= 16)
    },
};

const TRANSFER_ERROR: Intended = Intended {
    about: "exception.type of a transfer: the reference always says RuntimeError; we say what has failed",
    holds: |difference| {
        difference.span == "vgi_rpc.external/fetch"
            && difference.what == "exception.type"
            && difference.reference == "RuntimeError"
    },
};

/// Calls whose outputs contain records.
const NESTING_CALLS: [&str; 11] = [
    "echo_bounding_box",
    "echo_container_wide_types",
    "echo_optional_point",
    "echo_point",
    "echo_wide_types",
    "exchange_with_rich_header",
    "pack_nested_containers",
    "produce_dynamic_schema",
    "produce_with_rich_header",
    "reflection_describe_secondary",
    "reflection_list_protocols",
];

/// Calls that fail with an implementation-specific error.
const OWN_ERRORS: [&str; 4] = [
    "a request whose object is gone",
    "exchange_cast_impossible",
    "open_counter_without_session",
    "reflection_describe_unknown",
];

/// Calls that we refuse after they were resolved.
const REFUSED_CALLS: [&str; 11] = [
    "a request whose object is gone",
    "missing_protocol_version",
    "protocol_version_mismatch",
    "missing_field",
    "extra_field",
    "wrong_name",
    "wrong_order",
    "wrong_type",
    "wrong_nullability",
    "zero_rows",
    "two_rows",
];

/// The series that count them.
pub const REFUSED_BY_OURS: [&str; 1] = [
    r#""rpc.method":"add_floats","rpc.service":"ConformanceService","rpc.system":"vgi_rpc","rpc.vgi_rpc.method_type":"unary","status":"error""#,
];

/// Intended differences on byte streams.
pub const ON_BYTES: [Intended; 6] = [ESCAPED, QUALIFIED, REFUSED, ERRORS_AND_LOGS, NESTED_STREAMS, TEXTS];
/// Intended differences of calls whose batches are in an object store.
pub const OF_TRANSFERS: [Intended; 7] =
    [ESCAPED, REFUSED, TEXTS, FETCHED_WITHIN, FETCHED_ROWS, COMPRESSED, TRANSFER_ERROR];
/// Intended differences over HTTP.
pub const OVER_HTTP: [Intended; 7] =
    [ESCAPED, QUALIFIED, REFUSED, ERRORS_AND_LOGS, WRAPPED, CURSORS, NESTED_STREAMS];

/// Collects the differences.
#[derive(Default)]
pub struct Comparison {
    found: Vec<Difference>,
    spans: usize,
}

impl Comparison {
    /// Compares the spans of one scenario.
    pub fn spans(&mut self, scenario: &str, reference: &Value, ours: &[Received]) {
        let reference = reference.as_array().unwrap();
        for index in 0..reference.len().max(ours.len()) {
            self.spans += 1;
            let theirs = reference.get(index).map(Value::as_object).map(Option::unwrap);
            match (theirs, ours.get(index)) {
                (Some(theirs), Some(ours)) => self.span(scenario, theirs, &span_of(ours)),
                (theirs, ours) => {
                    let reference = theirs.map_or(Value::Null, |span| span.clone().into());
                    let ours = ours.map_or(Value::Null, |span| span_of(span).into());
                    self.differs(scenario, ("", false), "a span", &reference, &ours);
                }
            }
        }
    }

    fn span(&mut self, scenario: &str, reference: &Map<String, Value>, ours: &Map<String, Value>) {
        let name = ours["name"].as_str().unwrap().to_owned();
        let failed = !ours["events"].as_array().unwrap().is_empty();
        let about = (name.as_str(), failed);
        for part in ["scope", "name", "kind", "parent", "trace_of_parent", "status", "message"] {
            self.differs(scenario, about, part, &reference[part], &ours[part]);
        }
        self.attributes(scenario, about, &reference["attributes"], &ours["attributes"]);
        let [theirs, own] = [reference, ours].map(|span| span["events"].as_array().unwrap());
        self.differs(scenario, about, "events", &theirs.len().into(), &own.len().into());
        for (theirs, own) in theirs.iter().zip(own) {
            self.differs(scenario, about, "event", &theirs["name"], &own["name"]);
            self.attributes(scenario, about, &theirs["attributes"], &own["attributes"]);
        }
    }

    fn attributes(&mut self, scenario: &str, about: (&str, bool), reference: &Value, ours: &Value) {
        let [reference, ours] = [reference, ours].map(|attributes| attributes.as_object().unwrap());
        let names: BTreeSet<&String> = reference.keys().chain(ours.keys()).collect();
        for name in names {
            let [reference, ours] =
                [reference, ours].map(|attributes| attributes.get(name).unwrap_or(&Value::Null));
            self.differs(scenario, about, name, reference, ours);
        }
    }

    fn differs(
        &mut self,
        scenario: &str,
        (span, failed): (&str, bool),
        what: &str,
        reference: &Value,
        ours: &Value,
    ) {
        if reference != ours {
            let (scenario, span, what) = (scenario.to_owned(), span.to_owned(), what.to_owned());
            let (reference, ours) = (reference.clone(), ours.clone());
            self.found.push(Difference { scenario, span, failed, what, reference, ours });
        }
    }

    /// Fails unless all differences are intended, all intended differences exist, and more spans than this were compared.
    pub fn assert_equal(self, least: usize, intended: &[Intended]) {
        assert!(self.spans > least, "{} spans were compared", self.spans);
        let other: Vec<_> = self
            .found
            .iter()
            .filter(|found| !intended.iter().any(|intended| (intended.holds)(found)))
            .collect();
        assert!(other.is_empty(), "{} differences: {other:#?}", other.len());
        for intended in intended {
            assert!(self.found.iter().any(intended.holds), "no longer differs: {}", intended.about);
        }
    }
}

/// Converts one of our spans to the form of the capture.
fn span_of(span: &Received) -> Map<String, Value> {
    let events: Vec<_> = span
        .events
        .iter()
        .map(|(name, attributes)| {
            let mut attributes = attributes.clone();
            // The capture omits it, since it contains implementation-specific source locations.
            attributes.remove("exception.stacktrace");
            json!({ "name": name, "attributes": attributes })
        })
        .collect();
    let trace_of_parent = if span.parent.is_empty() { "" } else { &span.trace };
    let span = json!({
        "scope": span.scope,
        "name": span.name,
        "kind": span.kind,
        "parent": span.parent,
        "trace_of_parent": trace_of_parent,
        "status": span.status,
        "message": span.message,
        "attributes": span.attributes,
        "events": events,
    });
    span.as_object().unwrap().clone()
}

/// Converts one of our points: what it is, and its count.
pub fn point(point: &Point) -> (String, Value) {
    let Point { scope, name, unit, description, kind, count, attributes, .. } = point;
    let about = json!([scope, name, unit, description, kind, attributes]);
    (about.to_string(), (*count).into())
}

/// Converts a point of the capture likewise.
pub fn reference_point(point: &Value) -> (String, Value) {
    let parts = ["scope", "name", "unit", "description", "kind", "attributes"];
    let about: Value = parts.map(|part| point[part].clone()).to_vec().into();
    (about.to_string(), point["count"].clone())
}
