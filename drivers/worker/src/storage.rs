//! Opens the store of the flag `--storage`. A new kind of store is a variant of [`StorageUrl`], and an arm of its methods.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_external::{FetcherOptions, HttpFetcher, ObjectStorage, StorageEffects};

/// The performer of effects for a store.
pub(crate) type Effects = StorageEffects<Arc<dyn ObjectStorage>>;

/// The settings of a store with flags of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StorageSettings {
    /// How long URLs are valid.
    pub(crate) url_expiry: Duration,
    /// Whether equal objects have the same name.
    pub(crate) by_content: bool,
}

/// The URL of a bucket and a prefix, by its scheme.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum StorageUrl {
    /// `gs://BUCKET[/PREFIX]`.
    #[cfg(feature = "gcs")]
    Gcs(String),
    /// `s3://BUCKET[/PREFIX]`.
    #[cfg(feature = "s3")]
    S3(String),
}

impl StorageUrl {
    /// Parses the value of the flag.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, _) = text.split_once("://").unwrap_or_default();
        match scheme {
            #[cfg(feature = "gcs")]
            "gs" => match vgi_rpc_gcs::GcsStorage::from_url(text) {
                Ok(_) => Ok(Self::Gcs(text.to_owned())),
                Err(error) => Err(error.to_string()),
            },
            #[cfg(feature = "s3")]
            "s3" => match vgi_rpc_s3::S3Storage::from_url(text) {
                Ok(_) => Ok(Self::S3(text.to_owned())),
                Err(error) => Err(error.to_string()),
            },
            _ => Err(format!("expected a URL that begins with {}", SCHEMES.join(" or "))),
        }
    }

    /// Returns the performer of effects for the store. No request is sent.
    ///
    /// # Errors
    /// If a setting of the store is missing in the environment, or invalid.
    pub(crate) fn effects(
        &self,
        settings: &StorageSettings,
    ) -> Result<Effects, Box<dyn Error + Send + Sync>> {
        let storage = self.open(settings)?;
        Ok(StorageEffects { storage, fetcher: HttpFetcher::new(FetcherOptions::default())? })
    }

    fn open(
        &self,
        settings: &StorageSettings,
    ) -> Result<Arc<dyn ObjectStorage>, Box<dyn Error + Send + Sync>> {
        // Matches a value rather than a reference, because without any store the enum is empty.
        match *self {
            #[cfg(feature = "gcs")]
            Self::Gcs(ref url) => {
                let mut builder = vgi_rpc_gcs::GcsStorage::from_url(url)?.expiry(settings.url_expiry);
                if settings.by_content {
                    let names = vgi_rpc_external::ObjectNames::by_content(builder.prefix())?;
                    builder = builder.names(names);
                }
                Ok(Arc::new(builder.build()?))
            }
            #[cfg(feature = "s3")]
            Self::S3(ref url) => {
                let mut builder = vgi_rpc_s3::S3Storage::from_url(url)?.expiry(settings.url_expiry);
                if settings.by_content {
                    let names = vgi_rpc_external::ObjectNames::by_content(builder.prefix())?;
                    builder = builder.names(names);
                }
                Ok(Arc::new(builder.build()?))
            }
        }
    }
}

/// The schemes of store URLs.
const SCHEMES: &[&str] = &[
    #[cfg(feature = "gcs")]
    "gs://",
    #[cfg(feature = "s3")]
    "s3://",
];

impl fmt::Debug for StorageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            #[cfg(feature = "gcs")]
            Self::Gcs(ref url) => f.write_str(url),
            #[cfg(feature = "s3")]
            Self::S3(ref url) => f.write_str(url),
        }
    }
}

#[cfg(all(test, feature = "gcs", feature = "s3"))]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_says_which_store_it_is() {
        for url in ["gs://bucket", "gs://bucket/a/prefix", "s3://bucket", "s3://bucket/a/prefix/"] {
            assert_eq!(format!("{:?}", StorageUrl::parse(url).unwrap()), url);
        }
        for url in ["", "bucket", "gs:/bucket", "az://bucket", "GS://bucket"] {
            let error = StorageUrl::parse(url).unwrap_err();
            assert_eq!(error, "expected a URL that begins with gs:// or s3://", "{url}");
        }
        let error = StorageUrl::parse("gs://id:s3cr3t@bucket").unwrap_err();
        assert!(error.starts_with("expected gs://BUCKET") && !error.contains("s3cr3t"), "{error}");
    }
}
