//! The settings of a bucket, with their validation.

use crate::credentials::Credentials;
use crate::error::GcsSettingsError;
use crate::storage::{GcsStorage, Now, Settings};
use crate::v4::{Endpoint, MAX_LIFETIME};
use std::env;
use std::fmt;
use std::time::Duration;
use vgi_rpc_external::{Backoff, FetcherOptions, HttpFetcher, ObjectNames, unix_time};

/// The address of an emulator, as in Google's own clients: a URL, or the host and port of an HTTP server.
const EMULATOR: &str = "STORAGE_EMULATOR_HOST";

/// The settings of a [`GcsStorage`]. Made by [`GcsStorage::builder`].
pub struct GcsBuilder {
    bucket: String,
    names: ObjectNames,
    endpoint: Option<String>,
    credentials: Option<Credentials>,
    expiry: Duration,
    time_limit: Duration,
    store_again_after: Duration,
    backoff: Backoff,
    clock: Box<Now>,
    fetcher: Option<HttpFetcher>,
}

impl GcsStorage {
    /// Creates a storage whose credentials come from the environment.
    ///
    /// # Errors
    /// If the name is invalid, or there are no credentials.
    pub fn new(bucket: impl Into<String>) -> Result<Self, GcsSettingsError> {
        Self::builder(bucket).build()
    }

    /// Returns the settings of a bucket, with defaults.
    pub fn builder(bucket: impl Into<String>) -> GcsBuilder {
        GcsBuilder::new(bucket.into())
    }

    /// Returns the settings of a bucket and a prefix, `gs://BUCKET/PREFIX`. The prefix is a folder, even without a slash at its
    /// end. Default `vgi-rpc/`.
    ///
    /// # Errors
    /// If this is not such a URL.
    pub fn from_url(url: &str) -> Result<GcsBuilder, GcsSettingsError> {
        GcsBuilder::from_url(url)
    }
}

impl GcsBuilder {
    pub(crate) fn new(bucket: String) -> Self {
        Self {
            bucket,
            names: ObjectNames::default(),
            endpoint: None,
            credentials: None,
            expiry: Duration::from_secs(3600),
            time_limit: Duration::from_secs(60),
            store_again_after: Duration::from_secs(12 * 3600),
            backoff: Backoff::default(),
            clock: Box::new(unix_time),
            fetcher: None,
        }
    }

    pub(crate) fn from_url(text: &str) -> Result<Self, GcsSettingsError> {
        let rest = text.strip_prefix("gs://").ok_or(GcsSettingsError::Url)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() || prefix.starts_with('/') || rest.contains(['?', '#', '@', ':', '%']) {
            return Err(GcsSettingsError::Url);
        }
        let builder = Self::new(bucket.to_owned());
        if prefix.is_empty() {
            return Ok(builder);
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        Ok(builder.names(ObjectNames::random(format!("{prefix}/")).map_err(GcsSettingsError::Prefix)?))
    }

    /// Sets how objects are named. Default: random names below `vgi-rpc/`.
    pub fn names(mut self, names: ObjectNames) -> Self {
        self.names = names;
        self
    }

    /// Returns the current prefix of names.
    pub fn prefix(&self) -> &str {
        self.names.prefix()
    }

    /// Sets the endpoint, such as `http://127.0.0.1:9023`: an `https` URL, or an `http` URL in a trusted network. Default: the
    /// emulator in the variable `STORAGE_EMULATOR_HOST`, or the endpoint of the credentials' universe, which is usually
    /// `https://storage.googleapis.com`.
    ///
    /// Clients that fetch objects must be able to reach it, and must allow it:
    /// [`fetch_policy`](vgi_rpc_external::ObjectStorage::fetch_policy) does.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Sets the signing key. Default: [`Credentials::from_env`].
    pub fn credentials(mut self, credentials: impl Into<Credentials>) -> Self {
        self.credentials = Some(credentials.into());
        self
    }

    /// Sets how long the URLs for clients are valid, 1 s to 7 days. Default one hour. Fractions of a second are dropped.
    pub fn expiry(mut self, expiry: Duration) -> Self {
        self.expiry = expiry;
        self
    }

    /// Sets the time limit for storing an object, with all attempts. Default 60 s, like that of the effect.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sets the age at which an existing object is stored again. Default 12 hours. Storing an object again restarts the time
    /// after which a lifecycle rule of the bucket removes it. This matters only for names [by content](ObjectNames::by_content).
    pub fn store_again_after(mut self, age: Duration) -> Self {
        self.store_again_after = age;
        self
    }

    /// Sets how requests are retried when the server is too busy or cannot be reached.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets the clock: the time since the Unix epoch. Default: the system's.
    pub fn clock(mut self, now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.clock = Box::new(now);
        self
    }

    /// Sets the fetcher that sends requests, to share its connections or its trusted certificates. Default: a new one.
    pub fn fetcher(mut self, fetcher: HttpFetcher) -> Self {
        self.fetcher = Some(fetcher);
        self
    }

    /// Creates the storage. Sends no request; reads a key file unless credentials are set.
    ///
    /// # Errors
    /// If a setting is invalid, or there are no credentials.
    pub fn build(self) -> Result<GcsStorage, GcsSettingsError> {
        let emulator = env::var(EMULATOR).ok().filter(|value| !value.is_empty()).map(emulator);
        self.build_with(emulator)
    }

    fn build_with(self, emulator: Option<String>) -> Result<GcsStorage, GcsSettingsError> {
        if !is_bucket(&self.bucket) {
            return Err(GcsSettingsError::Bucket(self.bucket));
        }
        if self.expiry < Duration::from_secs(1) || self.expiry > MAX_LIFETIME {
            return Err(GcsSettingsError::Expiry(self.expiry));
        }
        let endpoint = self.endpoint.or(emulator).map(|text| Endpoint::parse(&text));
        let endpoint = endpoint.transpose().map_err(GcsSettingsError::Endpoint)?;
        let credentials = match self.credentials {
            Some(credentials) => credentials,
            None => Credentials::from_env().map_err(GcsSettingsError::Credentials)?,
        };
        let fetcher = match self.fetcher {
            Some(fetcher) => fetcher,
            None => HttpFetcher::new(FetcherOptions::default()).map_err(GcsSettingsError::Tls)?,
        };
        let settings = Settings {
            bucket: self.bucket,
            names: self.names,
            endpoint: endpoint.unwrap_or_else(|| credentials.endpoint()),
            // Servers use whole seconds.
            expiry: Duration::from_secs(self.expiry.as_secs()),
            time_limit: self.time_limit,
            store_again_after: self.store_again_after,
            backoff: self.backoff,
            clock: self.clock,
            fetcher,
        };
        Ok(GcsStorage::new_with(settings, credentials))
    }
}

fn emulator(value: String) -> String {
    if value.contains("://") { value } else { format!("http://{value}") }
}

/// Whether a text can be a bucket's name. The server has further rules.
fn is_bucket(name: &str) -> bool {
    let is_end =
        |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    (3..=222).contains(&name.len())
        && name.bytes().all(|byte| is_end(Some(byte)) || b".-_".contains(&byte))
        && is_end(name.bytes().next())
        && is_end(name.bytes().last())
}

impl fmt::Debug for GcsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GcsBuilder")
            .field("bucket", &self.bucket)
            .field("names", &self.names)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::HmacKey;

    fn bucket(name: &str) -> GcsBuilder {
        GcsBuilder::new(name.to_owned()).credentials(HmacKey::new("GOOG1", "s3cr3t").unwrap())
    }

    fn build(builder: GcsBuilder) -> Result<GcsStorage, GcsSettingsError> {
        builder.build_with(None)
    }

    #[test]
    fn a_url_names_a_bucket_and_a_folder() {
        for (url, prefix) in [
            ("gs://my.bucket", "vgi-rpc/"),
            ("gs://my.bucket/", "vgi-rpc/"),
            ("gs://my.bucket/a", "a/"),
            ("gs://my.bucket/a b/ü/", "a b/ü/"),
        ] {
            assert_eq!(GcsBuilder::from_url(url).unwrap().prefix(), prefix, "{url}");
        }
        for url in [
            "my.bucket",
            "s3://bucket",
            "gs://",
            "gs:///a",
            "gs://id:s3cr3t@bucket",
            "gs://bucket/a?s3cr3t",
            "gs://bucket:80/",
            "gs://bucket//",
        ] {
            let error = GcsBuilder::from_url(url).unwrap_err();
            assert!(matches!(error, GcsSettingsError::Url), "{url}: {error}");
            assert!(!format!("{error} {error:?}").contains("s3cr3t"));
        }
        for url in ["gs://bucket/a//b", "gs://bucket/a//", "gs://bucket/../b"] {
            assert!(matches!(GcsBuilder::from_url(url).unwrap_err(), GcsSettingsError::Prefix(_)), "{url}");
        }
    }

    #[test]
    fn invalid_settings_are_refused() {
        assert!(build(bucket("my-bucket_1.example")).is_ok());
        let long = "a".repeat(223);
        for name in ["", "ab", "-ab", "ab.", "aBc", "a/b", "a b", "b%20c", "..", "...", "bückt", &long] {
            assert!(matches!(build(bucket(name)), Err(GcsSettingsError::Bucket(_))), "{name}");
        }
        let day = Duration::from_secs(24 * 3600);
        for (expiry, is_valid) in [
            (Duration::ZERO, false),
            (Duration::from_millis(999), false),
            (Duration::from_secs(1), true),
            (7 * day, true),
            (7 * day + Duration::from_nanos(1), false),
            (Duration::MAX, false),
        ] {
            assert_eq!(build(bucket("bucket").expiry(expiry)).is_ok(), is_valid, "{expiry:?}");
        }
        for endpoint in
            ["", "gcs", "ftp://gcs", "http://user:s3cr3t@gcs/", "http://gcs/?x=s3cr3t", "http://gcs/storage"]
        {
            let error = build(bucket("bucket").endpoint(endpoint)).unwrap_err();
            assert!(matches!(error, GcsSettingsError::Endpoint(_)), "{endpoint}");
            assert!(!format!("{error} {error:?}").contains("s3cr3t"));
        }
    }

    #[test]
    fn the_builder_says_where_the_server_is_or_else_the_environment() {
        let policy = |builder: GcsBuilder, variable: Option<&str>| {
            let storage = builder.build_with(variable.map(|value| emulator(value.to_owned()))).unwrap();
            storage.endpoint().to_string()
        };
        assert_eq!(policy(bucket("bucket"), None), "https://storage.googleapis.com");
        assert_eq!(policy(bucket("bucket"), Some("localhost:9023")), "http://localhost:9023");
        assert_eq!(policy(bucket("bucket"), Some("https://gcs.example")), "https://gcs.example");
        assert_eq!(policy(bucket("bucket").endpoint("http://gcs:1"), Some("localhost:2")), "http://gcs:1");
    }
}
