//! The flags of external storage. FIXTURES 2.2.

use clap::{Args, ValueEnum};
use vgi_rpc_protocol::content_coding::Coding;
use vgi_rpc_protocol::external::{Externalisation, FetchOptions, ObjectLimits, UrlPolicy};

/// Where large batches are stored, and which objects are fetched.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "External storage, on every transport")]
pub struct StorageOptions {
    /// Store large batches at this URL, resolve pointers, and vend upload URLs
    #[arg(long, value_name = "URL")]
    pub fake_storage: Option<String>,

    /// Store batches of at least this many bytes
    #[arg(long, value_name = "BYTES", default_value_t = 4096, value_parser = bytes)]
    pub externalize_threshold: u64,

    /// Compress what is stored
    #[arg(long, value_enum, default_value_t = Compression::None)]
    compression: Compression,

    /// Fetch objects of at most this many bytes, as they are stored
    #[arg(long, value_name = "BYTES", default_value_t = ObjectLimits::default().max_fetch_bytes, value_parser = bytes)]
    max_fetch_bytes: u64,

    /// Fetch objects of at most this many bytes after decompression [default: 16 times the other limit]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    max_decompressed_fetch_bytes: Option<u64>,

    /// Fetch from the host 127.0.0.1 only, and not by its name
    #[arg(long)]
    reject_localhost_redirects: bool,
}

fn bytes(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "expected a number of bytes without a unit".to_owned())
}

/// How stored objects are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Compression {
    /// Not at all.
    None,
    /// With zstd.
    Zstd,
}

impl StorageOptions {
    /// Returns how outputs are stored, in addition to the flags of every worker.
    pub fn externalisation(&self, worker: Externalisation) -> Externalisation {
        let coding = match self.compression {
            Compression::None => None,
            Compression::Zstd => Some(Coding::Zstd),
        };
        Externalisation { threshold: self.externalize_threshold, coding, ..worker }
    }

    /// Returns how pointers are resolved. The store is on this machine.
    pub fn fetch_options(&self) -> FetchOptions {
        let mut policy = UrlPolicy::https_or_http_loopback();
        if self.reject_localhost_redirects {
            policy = policy.with_check(|url| match url.host_str() {
                Some("127.0.0.1") => Ok(()),
                _ => Err("its host is not 127.0.0.1".to_owned()),
            });
        }
        let max_fetch_bytes = self.max_fetch_bytes;
        let max_decompressed_bytes =
            self.max_decompressed_fetch_bytes.unwrap_or_else(|| max_fetch_bytes.saturating_mul(16));
        FetchOptions {
            object_limits: ObjectLimits { max_fetch_bytes, max_decompressed_bytes },
            policy,
            ..FetchOptions::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use clap::Parser;
    use vgi_rpc_protocol::content_coding::Coding;
    use vgi_rpc_protocol::external::{Externalisation, Location};

    fn parse(flags: &[&str]) -> super::StorageOptions {
        Options::try_parse_from([&["worker"], flags].concat()).unwrap().storage
    }

    #[test]
    fn the_flags_are_settings_of_the_core() {
        let cap = Externalisation { max_externalized_response_bytes: Some(7), ..Externalisation::default() };
        let default = Externalisation { threshold: 4096, ..cap };
        assert_eq!(parse(&[]).externalisation(cap), default);
        let flags = parse(&["--externalize-threshold", "1", "--compression", "zstd"]);
        let set = Externalisation { threshold: 1, coding: Some(Coding::Zstd), ..cap };
        assert_eq!(flags.externalisation(cap), set);
        let object_limits = |flags: &[&str]| {
            let object_limits = parse(flags).fetch_options().object_limits;
            (object_limits.max_fetch_bytes, object_limits.max_decompressed_bytes)
        };
        assert_eq!(object_limits(&[]), (256 << 20, 4096 << 20));
        assert_eq!(object_limits(&["--max-fetch-bytes", "10"]), (10, 160));
        assert_eq!(
            object_limits(&["--max-fetch-bytes", "10", "--max-decompressed-fetch-bytes", "20"]),
            (10, 20)
        );
    }

    #[test]
    fn a_number_that_is_not_one_is_refused_with_what_was_expected() {
        for (flag, says) in [
            ("--externalize-threshold=4K", "expected a number of bytes without a unit"),
            ("--max-fetch-bytes=-1", "expected a number of bytes without a unit"),
            ("--max-decompressed-fetch-bytes=", "expected a number of bytes without a unit"),
            ("--proof-skew=1.5", "expected a whole number of seconds"),
        ] {
            let error = Options::try_parse_from(["worker", flag]).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn this_machine_by_its_name_can_be_refused() {
        let localhost = Location::parse("http://localhost:1/object").unwrap();
        let loopback = Location::parse("http://127.0.0.1:1/object").unwrap();
        assert!(parse(&[]).fetch_options().policy.check(&localhost).is_ok());
        let strict = parse(&["--reject-localhost-redirects"]).fetch_options().policy;
        assert!(strict.check(&localhost).is_err() && strict.check(&loopback).is_ok());
    }
}
