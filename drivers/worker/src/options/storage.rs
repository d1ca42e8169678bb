//! The flags of external storage.

use crate::storage::{Effects, StorageSettings, StorageUrl};
use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use std::error::Error;
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
    /// Region, endpoint and credentials come from the environment, as for the tools of the bucket's provider: for s3://, from
    /// AWS_REGION, AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID, AWS_PROFILE and the other variables of AWS; for gs://, from
    /// GS_ACCESS_KEY_ID and GS_SECRET_ACCESS_KEY, or GOOGLE_APPLICATION_CREDENTIALS, and STORAGE_EMULATOR_HOST.
    #[arg(long, value_name = "SCHEME://BUCKET[/PREFIX]", env = "VGI_RPC_STORAGE", value_parser = StorageUrl::parse)]
    pub(crate) storage: Option<StorageUrl>,

    /// Store outputs of at least this size
    #[arg(
        long,
        value_name = "BYTES",
        env = "VGI_RPC_STORAGE_THRESHOLD",
        default_value_t = const { NonZeroU64::new(1 << 20).unwrap() }
    )]
    storage_threshold: NonZeroU64,

    /// Compress what is stored
    #[arg(long, value_name = "CODING", env = "VGI_RPC_STORAGE_COMPRESSION", value_enum, default_value_t = Compression::None)]
    storage_compression: Compression,

    /// Let the URLs of objects be used for this long
    #[arg(long, value_name = "SECONDS", env = "VGI_RPC_STORAGE_URL_EXPIRY", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    storage_url_expiry: u64,

    /// Name objects by their content, so that equal outputs are stored once
    #[arg(long, env = "VGI_RPC_STORAGE_BY_CONTENT", value_parser = BoolishValueParser::new())]
    storage_by_content: bool,
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
    /// How outputs are stored.
    pub(crate) fn externalisation(&self) -> Externalisation {
        let coding = match self.storage_compression {
            Compression::None => None,
            #[cfg(feature = "zstd")]
            Compression::Zstd => Some(Coding::Zstd),
            Compression::Gzip => Some(Coding::Gzip),
        };
        Externalisation { threshold: self.storage_threshold.get(), coding, ..Externalisation::default() }
    }

    /// What performs the effects that concern storage, if the flags name a store.
    ///
    /// # Errors
    /// As for [`StorageUrl::effects`].
    pub(crate) fn effects(&self) -> Result<Option<Effects>, Box<dyn Error + Send + Sync>> {
        let settings = StorageSettings {
            url_expiry: Duration::from_secs(self.storage_url_expiry),
            by_content: self.storage_by_content,
        };
        self.storage.as_ref().map(|url| url.effects(&settings)).transpose()
    }
}
