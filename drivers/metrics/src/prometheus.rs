//! Formats the page for Prometheus, in its text format, version 0.0.4.

use crate::snapshot::{MethodCalls, Snapshot};
use std::fmt::{self, Display, Write};

/// The content type of the page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Snapshot {
    /// Formats the numbers for Prometheus: a page of [`CONTENT_TYPE`].
    pub fn prometheus(&self) -> String {
        let mut page = Page(String::new());
        // Writing to a string cannot fail.
        let _ = self.write(&mut page);
        page.0
    }

    fn write(&self, page: &mut Page) -> fmt::Result {
        self.write_calls(page)?;
        self.write_servers(page)?;
        let effects = ("performer", &self.effects[..]);
        page.by_name("effects_waiting", "gauge", "Effects that wait for a thread.", effects, |it| {
            it.waiting
        })?;
        page.by_name("effects_running", "gauge", "Effects that are being performed.", effects, |it| {
            it.running
        })?;
        let refusals = ("reason", &self.refusals[..]);
        page.by_name("refusals_total", "counter", "Refusals, by reason.", refusals, |count| *count)?;
        let budgets: Vec<_> = self.budgets.iter().map(|budget| (budget.name.clone(), budget)).collect();
        let budgets = ("budget", &budgets[..]);
        let help = "Limit of the bytes that clients use in the process.";
        page.by_name("memory_budget_bytes", "gauge", help, budgets, |it| it.limit)?;
        let help = "Bytes that clients use in the process.";
        page.by_name("memory_used_bytes", "gauge", help, budgets, |it| it.used)?;
        let help = "How often memory was refused.";
        page.by_name("memory_refusals_total", "counter", help, budgets, |it| it.refusals)?;
        if let Some(log) = &self.access_log {
            let help = "Records of the access log, by result.";
            page.family("access_log_records_total", "counter", help)?;
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
        let users = ("user", &self.shared_memory[..]);
        page.by_name("shm_segments", "gauge", "Segments of shared memory in use.", users, |it| it.in_use)?;
        let help = "Segments of shared memory that were attached.";
        page.by_name("shm_segments_attached_total", "counter", help, users, |it| it.attached)?;
        let help = "Segments of shared memory that were refused.";
        page.by_name("shm_segments_refused_total", "counter", help, users, |it| it.refused)?;
        let help = "Batches read from shared memory.";
        page.by_name("shm_batches_read_total", "counter", help, users, |it| it.read)?;
        let help = "Batches written to shared memory.";
        page.by_name("shm_batches_written_total", "counter", help, users, |it| it.written)?;
        let help = "Batches sent inline because their segment had no room.";
        page.by_name("shm_batches_without_room_total", "counter", help, users, |it| it.no_room)
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
        let servers = ("server", &self.servers[..]);
        page.by_name("connections", "gauge", "Connections that are open.", servers, |it| it.open)?;
        let help = "Connections that were accepted.";
        page.by_name("connections_accepted_total", "counter", help, servers, |it| it.accepted)?;
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
        page.family("accepts_delayed_total", "counter", "How often a connection had to wait, by reason.")?;
        for (name, server) in &self.servers {
            for (reason, count) in [("full", server.full), ("system", server.accepts_failed)] {
                page.sample("accepts_delayed_total", &[("server", name), ("reason", reason)], count)?;
            }
        }
        let help = "Connections that wait for a thread.";
        page.by_name("jobs_waiting", "gauge", help, servers, |it| it.jobs_waiting)?;
        page.by_name("jobs_running", "gauge", "Threads that run handlers.", servers, |it| it.jobs_running)?;
        page.by_name("threads", "gauge", "Threads that serve connections.", servers, |it| it.threads)
    }
}

/// The page while it is written.
struct Page(String);

impl Page {
    /// Writes the header of a family.
    fn family(&mut self, name: &str, kind: &str, help: &str) -> fmt::Result {
        writeln!(self.0, "# HELP vgi_rpc_{name} {help}\n# TYPE vgi_rpc_{name} {kind}")
    }

    /// Writes a family with one sample for each name, which is the value of the label.
    fn by_name<T, V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        (label, numbers): (&str, &[(String, T)]),
        value: impl Fn(&T) -> V,
    ) -> fmt::Result {
        self.family(name, kind, help)?;
        numbers.iter().try_for_each(|(named, number)| self.sample(name, &[(label, named)], value(number)))
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

/// Formats the value of a label, with escapes.
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
