//! The flags of external storage.

use super::numbers;
use crate::storage::{Effects, StorageSettings, StorageUrl};
use clap::builder::{BoolishValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, Args, Command, ValueEnum};
use std::error::Error;
use std::ffi::OsStr;
use std::num::NonZeroU64;
use std::time::Duration;
use vgi_rpc_protocol::content_coding::Coding;
use vgi_rpc_protocol::external::Externalisation;

/// Where large batches are stored.
#[derive(Clone, Debug, Args)]
#[group(skip)]
#[command(next_help_heading = "External storage")]
pub(crate) struct StorageFlags {
    /// Store large outputs in this bucket, fetch what clients have stored there, and over HTTP give them URLs to upload to
    ///
    /// Region, endpoint and credentials come from the environment. For s3:// these are AWS_REGION or AWS_DEFAULT_REGION;
    /// AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL; AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and
    /// AWS_CREDENTIAL_EXPIRATION; AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN; region, keys or web identity of AWS_PROFILE in the
    /// shared files; and the credentials services of containers and of EC2. For gs:// they are GS_ACCESS_KEY_ID and
    /// GS_SECRET_ACCESS_KEY, or GOOGLE_APPLICATION_CREDENTIALS with a service account's key, and STORAGE_EMULATOR_HOST.
    #[arg(
        long,
        value_name = "SCHEME://BUCKET[/PREFIX]",
        env = "VGI_RPC_STORAGE",
        hide_env_values = true,
        value_parser = StorageParser
    )]
    storage: Option<StorageValue>,

    /// Store outputs of at least this size
    #[arg(
        long,
        value_name = "BYTES",
        env = "VGI_RPC_STORAGE_THRESHOLD",
        default_value_t = const { NonZeroU64::new(1 << 20).unwrap() },
        value_parser = numbers::positive_bytes::<NonZeroU64>
    )]
    storage_threshold: NonZeroU64,

    /// Compress what is stored
    #[arg(long, value_name = "CODING", env = "VGI_RPC_STORAGE_COMPRESSION", value_enum, default_value_t = Compression::None)]
    storage_compression: Compression,

    /// Let the URLs of objects be used for this long
    #[arg(long, value_name = "SECONDS", env = "VGI_RPC_STORAGE_URL_EXPIRY", default_value_t = 3600, value_parser = url_expiry)]
    storage_url_expiry: u64,

    /// Name objects by their content, so that equal outputs are stored only once
    #[arg(long, env = "VGI_RPC_STORAGE_BY_CONTENT", value_parser = BoolishValueParser::new())]
    storage_by_content: bool,
}

fn url_expiry(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=604_800).contains(seconds));
    seconds.ok_or_else(|| "expected a whole number of seconds, from 1 to 604800".to_owned())
}

/// The value of `--storage`. The variable's value may be empty, which counts as not set.
#[derive(Clone, Debug)]
pub(crate) struct StorageValue(Option<StorageUrl>);

impl StorageValue {
    /// Returns the store's URL, if the value has one.
    pub(crate) const fn url(&self) -> Option<&StorageUrl> {
        self.0.as_ref()
    }
}

/// Parses the value of `--storage`. Unlike clap's own errors, these do not repeat the value, which may contain credentials by
/// mistake.
#[derive(Clone, Copy)]
struct StorageParser;

impl TypedValueParser for StorageParser {
    type Value = StorageValue;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<StorageValue, clap::Error> {
        self.parse_ref_(command, arg, value, ValueSource::CommandLine)
    }

    fn parse_ref_(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &OsStr,
        source: ValueSource,
    ) -> Result<StorageValue, clap::Error> {
        if source == ValueSource::EnvVariable && value.is_empty() {
            return Ok(StorageValue(None));
        }
        // Text that is not UTF-8 has no valid scheme either.
        let url = StorageUrl::parse(value.to_str().unwrap_or_default());
        url.map(|url| StorageValue(Some(url))).map_err(|problem| {
            let message = format!("invalid value for '--storage' or VGI_RPC_STORAGE: {problem}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

/// How stored objects are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Compression {
    /// Not at all
    None,
    /// With zstd
    #[cfg(feature = "zstd")]
    Zstd,
    /// With gzip, which some other implementations cannot read here
    Gzip,
}

impl StorageFlags {
    /// Returns the store's URL, if the flags set one.
    pub(crate) fn url(&self) -> Option<&StorageUrl> {
        self.storage.as_ref().and_then(StorageValue::url)
    }

    /// Returns how outputs are stored.
    pub(crate) fn externalisation(&self) -> Externalisation {
        let coding = match self.storage_compression {
            Compression::None => None,
            #[cfg(feature = "zstd")]
            Compression::Zstd => Some(Coding::Zstd),
            Compression::Gzip => Some(Coding::Gzip),
        };
        Externalisation { threshold: self.storage_threshold.get(), coding, ..Externalisation::default() }
    }

    /// Returns the performer of storage effects, if the flags name a store.
    ///
    /// # Errors
    /// See [`StorageUrl::effects`].
    pub(crate) fn effects(&self) -> Result<Option<Effects>, Box<dyn Error + Send + Sync>> {
        let settings = StorageSettings {
            url_expiry: Duration::from_secs(self.storage_url_expiry),
            by_content: self.storage_by_content,
        };
        self.url().map(|url| url.effects(&settings)).transpose()
    }
}
