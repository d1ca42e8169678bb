//! The flags of the access log. Access-log specification, sections 5b to 5d.

use clap::Args;
use std::env;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use vgi_rpc_access_log::Options;
use vgi_rpc_protocol::access_log::DEFAULT_MAX_RECORD_BYTES;

/// The environment variable of `--access-log`. An empty one counts as not set.
const VARIABLE: &str = "VGI_RPC_ACCESS_LOG";
/// Another name of it, used if the first is not set.
const OTHER_VARIABLE: &str = "VGI_ACCESS_LOG";
/// The most memory that queued records may take, in bytes.
const QUEUE_BYTES: usize = 16 << 20;

/// Whether there is an access log, and how it is kept.
#[derive(Clone, Debug, Args)]
#[group(skip)]
#[command(next_help_heading = "Access log")]
pub(crate) struct AccessLogFlags {
    /// Append a JSON line for each call to this file; {pid} and {server_id} are replaced [env: VGI_RPC_ACCESS_LOG]
    #[arg(long, value_name = "PATH")]
    access_log: Option<PathBuf>,

    /// Rotate the file when it reaches this size, 0 to never rotate
    #[arg(long, value_name = "BYTES", env = "VGI_RPC_ACCESS_LOG_MAX_BYTES", default_value_t = 0)]
    access_log_max_bytes: u64,

    /// Keep this many rotated files
    #[arg(long, value_name = "N", env = "VGI_RPC_ACCESS_LOG_BACKUP_COUNT", default_value_t = 5)]
    access_log_backup_count: u32,

    /// Reduce records that are larger than this to their required fields
    #[arg(
        long,
        value_name = "BYTES",
        env = "VGI_RPC_ACCESS_LOG_MAX_RECORD_BYTES",
        default_value_t = NonZeroUsize::new(DEFAULT_MAX_RECORD_BYTES).unwrap_or(NonZeroUsize::MIN)
    )]
    access_log_max_record_bytes: NonZeroUsize,

    /// Queue up to this many records when the path is a FIFO or a device
    #[arg(
        long,
        value_name = "N",
        env = "VGI_RPC_ACCESS_LOG_QUEUE_SIZE",
        default_value_t = const { NonZeroUsize::new(10_000).unwrap() }
    )]
    access_log_queue_size: NonZeroUsize,
}

impl AccessLogFlags {
    /// Where and how to log calls, if anywhere.
    pub(crate) fn options(&self, server_id: &str) -> Option<Options> {
        let variable = |name| env::var_os(name).filter(|path: &OsString| !path.is_empty()).map(PathBuf::from);
        let path =
            self.access_log.clone().or_else(|| variable(VARIABLE)).or_else(|| variable(OTHER_VARIABLE))?;
        let options = Options::new(replace_placeholders(path, server_id))
            .rotate(self.access_log_max_bytes, self.access_log_backup_count)
            .max_record_bytes(self.access_log_max_record_bytes.get())
            .queue(self.access_log_queue_size.get(), QUEUE_BYTES);
        Some(options)
    }
}

/// Replaces `{pid}` and `{server_id}`. A path that is not text has none.
fn replace_placeholders(path: PathBuf, server_id: &str) -> PathBuf {
    match path.to_str() {
        Some(text) => {
            let pid = std::process::id().to_string();
            // The id comes last: it may have a placeholder's name in it.
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
