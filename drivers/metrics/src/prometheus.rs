//! The page for Prometheus, in its text format, version 0.0.4.

use crate::snapshot::{MethodCalls, Snapshot};
use std::fmt::{self, Display, Write};
use vgi_rpc_protocol::shm::Counts;

/// The content type of the page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Snapshot {
    /// The numbers as Prometheus reads them: a page of [`CONTENT_TYPE`].
    pub fn prometheus(&self) -> String {
        let mut page = Page(String::new());
        // Writing to a text does not fail.
        let _ = self.write(&mut page);
        page.0
    }

    fn write(&self, page: &mut Page) -> fmt::Result {
        self.write_calls(page)?;
        self.write_servers(page)?;
        page.family("effects_waiting", "gauge", "Effects that wait for a thread.")?;
        for (name, effects) in &self.effects {
            page.sample("effects_waiting", &[("performer", name)], effects.waiting)?;
        }
        page.family("effects_running", "gauge", "Effects that are being performed.")?;
        for (name, effects) in &self.effects {
            page.sample("effects_running", &[("performer", name)], effects.running)?;
        }
        page.family("refusals_total", "counter", "What was refused, by reason.")?;
        for (reason, count) in &self.refusals {
            page.sample("refusals_total", &[("reason", reason)], count)?;
        }
        page.family("memory_budget_bytes", "gauge", "Bytes that clients can make the process hold.")?;
        for budget in &self.budgets {
            page.sample("memory_budget_bytes", &[("budget", &budget.name)], budget.limit)?;
        }
        page.family("memory_used_bytes", "gauge", "Bytes that clients make the process hold.")?;
        for budget in &self.budgets {
            page.sample("memory_used_bytes", &[("budget", &budget.name)], budget.used)?;
        }
        page.family("memory_refusals_total", "counter", "Times that memory was refused.")?;
        for budget in &self.budgets {
            page.sample("memory_refusals_total", &[("budget", &budget.name)], budget.refusals)?;
        }
        if let Some(log) = &self.access_log {
            page.family(
                "access_log_records_total",
                "counter",
                "Records of the access log, by what became of them.",
            )?;
            for (result, count) in
                [("written", log.written), ("dropped", log.dropped), ("left_out", log.left_out)]
            {
                page.sample("access_log_records_total", &[("result", result)], count)?;
            }
            page.family("access_log_queued", "gauge", "Records of the access log that wait to be written.")?;
            page.sample("access_log_queued", &[], log.queued)?;
        }
        if let Some(sessions) = self.sessions {
            page.family("sessions", "gauge", "Sticky sessions that are open.")?;
            page.sample("sessions", &[], sessions)?;
        }
        if !self.shared_memory.is_empty() {
            self.write_shared_memory(page)?;
        }
        Ok(())
    }

    fn write_shared_memory(&self, page: &mut Page) -> fmt::Result {
        let mut family = |name: &str, kind: &str, help: &str, of: fn(&Counts) -> u64| {
            page.family(name, kind, help)?;
            self.shared_memory
                .iter()
                .try_for_each(|(user, counts)| page.sample(name, &[("user", user)], of(counts)))
        };
        family("shm_segments", "gauge", "Segments of shared memory in use.", |counts| counts.in_use)?;
        family(
            "shm_segments_attached_total",
            "counter",
            "Segments of shared memory that were attached.",
            |counts| counts.attached,
        )?;
        family(
            "shm_segments_refused_total",
            "counter",
            "Segments of shared memory that were refused.",
            |counts| counts.refused,
        )?;
        family("shm_batches_read_total", "counter", "Batches read from shared memory.", |counts| {
            counts.read
        })?;
        family("shm_batches_written_total", "counter", "Batches written to shared memory.", |counts| {
            counts.written
        })?;
        family(
            "shm_batches_without_room_total",
            "counter",
            "Batches sent as they are because their segment had no room.",
            |counts| counts.no_room,
        )
    }

    fn write_calls(&self, page: &mut Page) -> fmt::Result {
        fn of(calls: &MethodCalls) -> [(&'static str, &str); 2] {
            [("protocol", &calls.protocol), ("method", &calls.method)]
        }
        page.family("calls_total", "counter", "Calls that have ended, by method and code.")?;
        for calls in &self.calls {
            let [protocol, method] = of(calls);
            page.sample("calls_total", &[protocol, method, ("code", "OK")], calls.ok)?;
            for (code, count) in &calls.failed {
                page.sample("calls_total", &[protocol, method, ("code", code.as_str())], count)?;
            }
        }
        page.family("calls_in_flight", "gauge", "Calls that have not ended, by method.")?;
        for calls in &self.calls {
            page.sample("calls_in_flight", &of(calls), calls.in_flight)?;
        }
        page.family("call_duration_seconds", "histogram", "How long calls took, by method.")?;
        for calls in &self.calls {
            let [protocol, method] = of(calls);
            let bounds = calls.durations.cumulative();
            for (bound, count) in bounds {
                let bound = bound.as_secs_f64().to_string();
                page.sample("call_duration_seconds_bucket", &[protocol, method, ("le", &bound)], count)?;
            }
            let count = calls.durations.count();
            page.sample("call_duration_seconds_bucket", &[protocol, method, ("le", "+Inf")], count)?;
            page.sample("call_duration_seconds_sum", &[protocol, method], calls.durations.sum.as_secs_f64())?;
            page.sample("call_duration_seconds_count", &[protocol, method], count)?;
        }
        Ok(())
    }

    fn write_servers(&self, page: &mut Page) -> fmt::Result {
        page.family("connections", "gauge", "Connections that are open.")?;
        for (name, server) in &self.servers {
            page.sample("connections", &[("server", name)], server.open)?;
        }
        page.family("connections_accepted_total", "counter", "Connections that were accepted.")?;
        for (name, server) in &self.servers {
            page.sample("connections_accepted_total", &[("server", name)], server.accepted)?;
        }
        page.family("connections_closed_total", "counter", "Connections that the server closed, by reason.")?;
        for (name, server) in &self.servers {
            for (reason, count) in [
                ("gave_way", server.gave_way),
                ("timed_out", server.timed_out),
                ("memory", server.closed_for_memory),
            ] {
                page.sample("connections_closed_total", &[("server", name), ("reason", reason)], count)?;
            }
        }
        page.family("accepts_delayed_total", "counter", "Times that a connection had to wait, by reason.")?;
        for (name, server) in &self.servers {
            for (reason, count) in [("full", server.full), ("system", server.accepts_failed)] {
                page.sample("accepts_delayed_total", &[("server", name), ("reason", reason)], count)?;
            }
        }
        page.family("jobs_waiting", "gauge", "Connections that wait for a thread.")?;
        for (name, server) in &self.servers {
            page.sample("jobs_waiting", &[("server", name)], server.jobs_waiting)?;
        }
        page.family("jobs_running", "gauge", "Threads that run handlers.")?;
        for (name, server) in &self.servers {
            page.sample("jobs_running", &[("server", name)], server.jobs_running)?;
        }
        page.family("threads", "gauge", "Threads that serve connections.")?;
        for (name, server) in &self.servers {
            page.sample("threads", &[("server", name)], server.threads)?;
        }
        Ok(())
    }
}

/// The page in the making.
struct Page(String);

impl Page {
    /// Begins the samples of a name.
    fn family(&mut self, name: &str, kind: &str, help: &str) -> fmt::Result {
        writeln!(self.0, "# HELP vgi_rpc_{name} {help}\n# TYPE vgi_rpc_{name} {kind}")
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) -> fmt::Result {
        write!(self.0, "vgi_rpc_{name}")?;
        for (index, (label, value)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            write!(self.0, "{label}=\"{}\"", Escaped(value))?;
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        writeln!(self.0, " {value}")
    }
}

/// The value of a label.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            letter => f.write_char(letter),
        })
    }
}
