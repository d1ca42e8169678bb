//! The flags of the access log. Access-log specification, sections 5b to 5d.

use super::numbers;
use clap::error::ErrorKind;
use clap::{ArgMatches, Args};
use std::env;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use vgi_rpc_access_log::{Options, RotationPeriod, RotationPeriodError};
use vgi_rpc_protocol::access_log::SampleRate;

/// The environment variable of `--access-log`. An empty value counts as not set. Those of the other flags begin with it.
const VARIABLE: &str = "VGI_RPC_ACCESS_LOG";
/// An alternative name, which is used if the first is not set.
const OTHER_VARIABLE: &str = "VGI_ACCESS_LOG";
/// The maximum memory of queued records, in bytes.
const QUEUE_BYTES: usize = 16 << 20;

/// Whether there is an access log, and its options.
///
/// Each of these flags has a second environment variable, which begins with `VGI_ACCESS_LOG` and is its default.
#[derive(Clone, Debug, Args)]
#[group(skip)]
#[command(next_help_heading = "Access log")]
pub(crate) struct AccessLogFlags {
    /// Append a JSON line for each call to this file; {pid} and {server_id} are replaced [env: VGI_RPC_ACCESS_LOG]
    #[arg(long, value_name = "PATH")]
    access_log: Option<PathBuf>,

    /// Rotate the file when it reaches this size, 0 to never rotate
    #[arg(
        long,
        value_name = "BYTES",
        env = "VGI_RPC_ACCESS_LOG_MAX_BYTES",
        default_value = other("MAX_BYTES", "0"),
        value_parser = numbers::bytes
    )]
    access_log_max_bytes: u64,

    /// Rotate the file when this period is over, in UTC: S, M, H, D, midnight, or W0 (ends with Monday) to W6
    #[arg(
        long,
        value_name = "PERIOD",
        env = "VGI_RPC_ACCESS_LOG_WHEN",
        default_value = other("WHEN", ""),
        hide_default_value = true,
        value_parser = period
    )]
    access_log_when: Period,

    /// Keep this many rotated files
    #[arg(
        long,
        value_name = "N",
        env = "VGI_RPC_ACCESS_LOG_BACKUP_COUNT",
        default_value = other("BACKUP_COUNT", "5"),
        value_parser = numbers::count::<u32>
    )]
    access_log_backup_count: u32,

    /// Reduce records that are larger than this: first remove their claims, then all but the required fields
    #[arg(
        long,
        value_name = "BYTES",
        env = "VGI_RPC_ACCESS_LOG_MAX_RECORD_BYTES",
        default_value = other("MAX_RECORD_BYTES", "1048576"),
        value_parser = numbers::positive_bytes::<NonZeroUsize>
    )]
    access_log_max_record_bytes: NonZeroUsize,

    /// Log this fraction of the calls that succeed, from 0.0 to 1.0, and all that fail
    #[arg(
        long,
        value_name = "RATE",
        env = "VGI_RPC_ACCESS_LOG_SAMPLE",
        default_value = other("SAMPLE", "1.0"),
        allow_negative_numbers = true
    )]
    access_log_sample: SampleRate,

    /// Write regular files in a thread too, so that no call waits for the disk; a crash loses queued records
    #[arg(long)]
    access_log_async: bool,

    /// Queue up to this many records when a thread writes them
    #[arg(
        long,
        value_name = "N",
        env = "VGI_RPC_ACCESS_LOG_QUEUE_SIZE",
        default_value = other("QUEUE_SIZE", "10000"),
        value_parser = numbers::positive_count::<NonZeroUsize>
    )]
    access_log_queue_size: NonZeroUsize,
}

/// An optional period.
#[derive(Clone, Copy, Debug)]
struct Period(Option<RotationPeriod>);

fn period(text: &str) -> Result<Period, RotationPeriodError> {
    Ok(Period(if text.is_empty() { None } else { Some(text.parse()?) }))
}

/// Returns the default of a flag: the environment variable of its alternative name, unless that is empty or not set.
fn other(name: &str, default: &'static str) -> &'static str {
    match env::var(format!("{OTHER_VARIABLE}_{name}")) {
        // Leaked once for each command line.
        Ok(value) if !value.is_empty() => value.leak(),
        _ => default,
    }
}

/// Whether one of the two variables of this name is set to true.
fn is_on(name: &str) -> bool {
    let is_yes = |text: String| matches!(text.to_ascii_lowercase().as_str(), "1" | "true" | "yes");
    let variable = |start| env::var(format!("{start}_{name}")).ok().filter(|text| !text.is_empty());
    variable(VARIABLE).or_else(|| variable(OTHER_VARIABLE)).is_some_and(is_yes)
}

impl AccessLogFlags {
    /// Returns the options of the access log, if there is one.
    pub(crate) fn options(&self, server_id: &str) -> Option<Options> {
        let path = self.access_log.clone().or_else(path_of_environment)?;
        let options = Options::new(replace_placeholders(path, server_id));
        let kept = self.access_log_backup_count;
        let options = match self.access_log_when.0 {
            Some(period) => options.rotate_every(period, kept),
            None => options.rotate(self.access_log_max_bytes, kept),
        };
        let options = options
            .max_record_bytes(self.access_log_max_record_bytes.get())
            .sample(self.access_log_sample)
            .background(self.access_log_async || is_on("ASYNC"))
            .queue(self.access_log_queue_size.get(), QUEUE_BYTES);
        Some(options)
    }

    /// Refuses rotation both by size and by time, if there is a log.
    pub(crate) fn check(&self) -> Result<(), clap::Error> {
        let has_log = self.access_log.is_some() || path_of_environment().is_some();
        if !has_log || self.access_log_max_bytes == 0 || self.access_log_when.0.is_none() {
            return Ok(());
        }
        let message = "the argument '--access-log-max-bytes' cannot be used with '--access-log-when'";
        Err(clap::Error::raw(ErrorKind::ArgumentConflict, message))
    }

    /// Whether a flag or a variable names a log.
    pub(crate) fn is_log_named(matches: &ArgMatches) -> bool {
        matches.contains_id("access_log") || path_of_environment().is_some()
    }
}

/// Returns the path of the log in the environment.
fn path_of_environment() -> Option<PathBuf> {
    let variable = |name| env::var_os(name).filter(|path: &OsString| !path.is_empty()).map(PathBuf::from);
    variable(VARIABLE).or_else(|| variable(OTHER_VARIABLE))
}

/// Replaces `{pid}` and `{server_id}`. A path that is not UTF-8 is left unchanged.
fn replace_placeholders(path: PathBuf, server_id: &str) -> PathBuf {
    match path.to_str() {
        Some(text) => {
            let pid = std::process::id().to_string();
            // The id is replaced last: it may contain a placeholder's name.
            text.replace("{pid}", &pid).replace("{server_id}", server_id).into()
        }
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced() {
        let path = replace_placeholders("logs/{server_id}-{pid}-{server_id}.jsonl".into(), "a{pid}b");
        let expected = format!("logs/a{{pid}}b-{}-a{{pid}}b.jsonl", std::process::id());
        assert_eq!(path, PathBuf::from(expected));
    }
}
