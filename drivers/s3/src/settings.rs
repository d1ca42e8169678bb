//! The settings of a bucket, with their defaults and validation.

use crate::bucket::Bucket;
use crate::clock::Clock;
use crate::credentials::{Cache, Chain, Environment, ProvideCredentials, profile_region};
use crate::error::S3SettingsError;
use crate::fault::is_region;
use crate::multipart::Division;
use crate::operation::Client;
use crate::parts::{MAX_PART_BYTES, MIN_PART_BYTES};
use crate::storage::{S3Storage, Settings};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use url::Url;
use vgi_rpc_external::{Backoff, FetcherOptions, HttpFetcher, ObjectNames};

/// The longest validity of a signed URL.
const MAX_EXPIRY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The settings of an [`S3Storage`]. Made by [`S3Storage::builder`].
pub struct S3Builder {
    bucket: String,
    names: ObjectNames,
    region: Option<String>,
    endpoint: Option<String>,
    path_style: Option<bool>,
    credentials: Option<Box<dyn ProvideCredentials>>,
    environment: Environment,
    expiry: Duration,
    time_limit: Duration,
    multipart_from: u64,
    part_bytes: u64,
    parallel_parts: usize,
    store_again_after: Duration,
    backoff: Backoff,
    clock: Clock,
    fetcher: Option<HttpFetcher>,
}

// These are here because the storage does not depend on its builder.
impl S3Storage {
    /// Creates a storage whose region, endpoint and credentials come from the environment.
    ///
    /// # Errors
    /// If the name or a variable is invalid, or there is no region.
    pub fn new(bucket: impl Into<String>) -> Result<Self, S3SettingsError> {
        Self::builder(bucket).build()
    }

    /// Returns the settings of a bucket, with defaults.
    pub fn builder(bucket: impl Into<String>) -> S3Builder {
        S3Builder::new(bucket.into())
    }

    /// Returns the settings of a bucket and a prefix, `s3://BUCKET/PREFIX`. The prefix is a folder, even without a slash at its
    /// end. Default `vgi-rpc/`.
    ///
    /// # Errors
    /// If this is not such a URL.
    pub fn from_url(url: &str) -> Result<S3Builder, S3SettingsError> {
        S3Builder::from_url(url)
    }
}

impl S3Builder {
    fn new(bucket: String) -> Self {
        Self {
            bucket,
            names: ObjectNames::default(),
            region: None,
            endpoint: None,
            path_style: None,
            credentials: None,
            environment: Environment::of_process(),
            expiry: Duration::from_secs(3600),
            time_limit: Duration::from_secs(60),
            multipart_from: 16 << 20,
            part_bytes: 8 << 20,
            parallel_parts: 4,
            store_again_after: Duration::from_secs(12 * 3600),
            backoff: Backoff::default(),
            clock: Clock::default(),
            fetcher: None,
        }
    }

    /// Parses the bucket and prefix of a URL, `s3://BUCKET` or `s3://BUCKET/PREFIX`. The prefix is a folder: a slash is added at
    /// its end. The default is that of [`ObjectNames`].
    fn from_url(text: &str) -> Result<Self, S3SettingsError> {
        let wrong = || S3SettingsError::Url;
        let rest = text.strip_prefix("s3://").ok_or_else(wrong)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        if bucket.is_empty() || rest.contains(['?', '#', '@', ':', '%']) {
            return Err(wrong());
        }
        let builder = Self::new(bucket.to_owned());
        if prefix.is_empty() {
            return Ok(builder);
        }
        Ok(builder.names(ObjectNames::random(format!("{prefix}/")).map_err(S3SettingsError::Prefix)?))
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

    /// Sets the region of the bucket. Default: `AWS_REGION`, `AWS_DEFAULT_REGION`, or that of the profile; otherwise `us-east-1`
    /// if an endpoint is set. If S3 names another region, that one is used from then on.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Sets the endpoint: an `https` URL, or an `http` URL in a trusted network. Default: `AWS_ENDPOINT_URL_S3`,
    /// `AWS_ENDPOINT_URL`, or AWS's endpoint for the region.
    ///
    /// Clients that fetch objects must be able to reach it, and must allow it:
    /// [`fetch_policy`](vgi_rpc_external::ObjectStorage::fetch_policy) does.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Sets whether the bucket is in the path of URLs instead of the host. Default: if an endpoint is set, or if the name of the
    /// bucket has a dot, which certificates do not match.
    pub fn path_style(mut self, in_path: bool) -> Self {
        self.path_style = Some(in_path);
        self
    }

    /// Sets the source of credentials. Default: [`Chain::standard`] of the environment.
    pub fn credentials(mut self, provider: impl ProvideCredentials) -> Self {
        self.credentials = Some(Box::new(provider));
        self
    }

    /// Sets the variables for the defaults of region, endpoint and credentials. Default: those of the process.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sets how long signed URLs are valid, 1 s to 7 days. Default one hour.
    ///
    /// A URL that is signed with temporary credentials stops working when they expire: if that is earlier, it is signed for that
    /// time. They are refreshed from 15 minutes before they expire.
    pub fn expiry(mut self, expiry: Duration) -> Self {
        self.expiry = expiry;
        self
    }

    /// Sets the time limit for storing an object, with all attempts. Default 60 s, like that of the effect.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sets the size, in bytes, from which objects are stored in parts. Default 16 MiB; at most 5 GiB.
    pub fn multipart_from(mut self, bytes: u64) -> Self {
        self.multipart_from = bytes;
        self
    }

    /// Sets the size of parts, 5 MiB to 5 GiB. Default 8 MiB. The parts of a very large object are larger, so that there are at
    /// most 10,000.
    pub fn part_bytes(mut self, bytes: u64) -> Self {
        self.part_bytes = bytes;
        self
    }

    /// Sets how many parts of an object are stored at a time, each on its own thread. At least 1; default 4. They share the
    /// memory of the object.
    pub fn parallel_parts(mut self, parts: usize) -> Self {
        self.parallel_parts = parts.max(1);
        self
    }

    /// Sets the age at which an existing object is stored again. Default 12 hours. Storing an object again restarts
    /// the time after which a lifecycle rule of the bucket removes it. This matters only for names
    /// [by content](ObjectNames::by_content).
    pub fn store_again_after(mut self, age: Duration) -> Self {
        self.store_again_after = age;
        self
    }

    /// Sets how requests are retried when S3 is too busy or cannot be reached.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets the clock: the time since the Unix epoch. Default: the system's.
    pub fn clock(mut self, now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
        self
    }

    /// Sets the fetcher that sends requests, to share its connections or its trusted certificates. Default: a new one.
    pub fn fetcher(mut self, fetcher: HttpFetcher) -> Self {
        self.fetcher = Some(fetcher);
        self
    }

    /// Creates the storage. Does not send requests or look for credentials.
    ///
    /// # Errors
    /// If a setting is invalid, or there is no region.
    pub fn build(self) -> Result<S3Storage, S3SettingsError> {
        self.check()?;
        let endpoint = self.endpoint.clone();
        let endpoint = endpoint
            .or_else(|| self.environment.get("AWS_ENDPOINT_URL_S3"))
            .or_else(|| self.environment.get("AWS_ENDPOINT_URL"));
        let endpoint = endpoint.map(|text| parse_endpoint(&text)).transpose()?;
        let region = self
            .region
            .or_else(|| self.environment.get("AWS_REGION"))
            .or_else(|| self.environment.get("AWS_DEFAULT_REGION"))
            .or_else(|| profile_region(&self.environment))
            .or_else(|| endpoint.as_ref().map(|_| "us-east-1".to_owned()))
            .ok_or(S3SettingsError::NoRegion)?;
        if !is_region(&region) {
            return Err(S3SettingsError::Region(region));
        }
        let path_style = self.path_style.unwrap_or(endpoint.is_some() || self.bucket.contains('.'));
        let bucket = Bucket::new(&self.bucket, &region, endpoint, path_style)?;
        let fetcher = match self.fetcher {
            Some(fetcher) => fetcher,
            None => HttpFetcher::new(FetcherOptions::default())
                .map_err(|error| S3SettingsError::Tls(error.to_string()))?,
        };
        let credentials = self.credentials.unwrap_or_else(|| Box::new(Chain::standard(&self.environment)));
        let client = Client {
            fetcher,
            credentials: Cache::new(credentials),
            clock: self.clock,
            backoff: self.backoff,
            bucket: Mutex::new(Arc::new(bucket)),
        };
        let division = Division { part_bytes: self.part_bytes, parallel: self.parallel_parts };
        Ok(S3Storage::with(
            client,
            Settings {
                names: self.names,
                expiry: self.expiry,
                time_limit: self.time_limit,
                multipart_from: self.multipart_from,
                division,
                store_again_after: self.store_again_after,
            },
        ))
    }

    fn check(&self) -> Result<(), S3SettingsError> {
        if !is_bucket(&self.bucket) {
            return Err(S3SettingsError::Bucket(self.bucket.clone()));
        }
        if self.expiry < Duration::from_secs(1) || self.expiry > MAX_EXPIRY {
            return Err(S3SettingsError::Expiry(self.expiry));
        }
        if !(MIN_PART_BYTES..=MAX_PART_BYTES).contains(&self.part_bytes) {
            return Err(S3SettingsError::PartBytes(self.part_bytes));
        }
        if self.multipart_from > MAX_PART_BYTES {
            return Err(S3SettingsError::MultipartFrom(self.multipart_from));
        }
        Ok(())
    }
}

/// Whether a text can be a bucket's name. Old names may have characters that AWS no longer allows.
fn is_bucket(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        && name.bytes().any(|byte| byte != b'.')
}

fn parse_endpoint(text: &str) -> Result<Url, S3SettingsError> {
    let url = Url::parse(text).map_err(|_| S3SettingsError::Endpoint)?;
    let is_valid = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if is_valid { Ok(url) } else { Err(S3SettingsError::Endpoint) }
}

impl fmt::Debug for S3Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Builder")
            .field("bucket", &self.bucket)
            .field("names", &self.names)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nowhere(builder: S3Builder) -> S3Builder {
        builder.environment(Environment::from_pairs::<&str, &str>([]))
    }

    fn error(builder: Result<S3Builder, S3SettingsError>) -> S3SettingsError {
        builder.and_then(S3Builder::build).expect_err("a setting is invalid")
    }

    #[test]
    fn a_url_names_a_bucket_and_a_folder() {
        for (url, prefix) in [
            ("s3://my.bucket", "vgi-rpc/"),
            ("s3://my.bucket/", "vgi-rpc/"),
            ("s3://my.bucket/a", "a/"),
            ("s3://my.bucket/a/b/", "a/b/"),
        ] {
            assert_eq!(S3Builder::from_url(url).unwrap().prefix(), prefix, "{url}");
        }
        for url in [
            "my.bucket",
            "gs://bucket",
            "s3://",
            "s3:///a",
            "s3://user@bucket",
            "s3://bucket/a?b",
            "s3://bucket:80/",
        ] {
            assert_eq!(error(S3Builder::from_url(url)), S3SettingsError::Url, "{url}");
        }
        assert!(matches!(error(S3Builder::from_url("s3://bucket/a//b")), S3SettingsError::Prefix(_)));
        assert!(matches!(error(S3Builder::from_url("s3://b")), S3SettingsError::Bucket(_)));
    }

    #[test]
    fn the_region_comes_from_the_builder_the_environment_or_the_profile() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, "[default]\nregion = eu-west-1\n[profile other]\nregion = eu-west-2\n")
            .unwrap();
        let file = file.to_str().unwrap().to_owned();
        let region = |builder: S3Builder, variables: &[(&str, &str)]| {
            let environment = Environment::from_pairs(variables.iter().copied());
            builder.environment(environment).build().map(|storage| storage.region())
        };
        let bucket = || S3Builder::new("bucket".to_owned());
        assert_eq!(region(bucket(), &[]), Err(S3SettingsError::NoRegion));
        let set = bucket().region("ap-south-1");
        assert_eq!(region(set, &[("AWS_REGION", "x")]).unwrap(), "ap-south-1");
        let all = [
            ("AWS_CONFIG_FILE", &*file),
            ("AWS_PROFILE", "other"),
            ("AWS_DEFAULT_REGION", "y"),
            ("AWS_REGION", "x"),
        ];
        assert_eq!(region(bucket(), &all).unwrap(), "x");
        assert_eq!(region(bucket(), &all[..3]).unwrap(), "y");
        assert_eq!(region(bucket(), &all[..2]).unwrap(), "eu-west-2");
        assert_eq!(region(bucket(), &all[..1]).unwrap(), "eu-west-1");
        assert_eq!(region(bucket().endpoint("http://minio:9000"), &[]).unwrap(), "us-east-1");
        assert_eq!(region(bucket(), &[("AWS_ENDPOINT_URL", "http://minio:9000")]).unwrap(), "us-east-1");
    }

    #[test]
    fn invalid_settings_are_refused() {
        let bucket = || nowhere(S3Builder::new("bucket".to_owned())).region("eu-west-1");
        assert!(bucket().build().is_ok());
        let day = Duration::from_secs(24 * 3600);
        assert_eq!(error(Ok(bucket().expiry(8 * day))), S3SettingsError::Expiry(8 * day));
        assert_eq!(error(Ok(bucket().expiry(Duration::ZERO))), S3SettingsError::Expiry(Duration::ZERO));
        assert_eq!(error(Ok(bucket().part_bytes(1 << 20))), S3SettingsError::PartBytes(1 << 20));
        assert_eq!(error(Ok(bucket().multipart_from(6 << 30))), S3SettingsError::MultipartFrom(6 << 30));
        assert_eq!(error(Ok(bucket().region("eu.west"))), S3SettingsError::Region("eu.west".to_owned()));
        for endpoint in ["minio", "ftp://minio", "http://user:s3cr3t@minio/", "http://minio/?x=s3cr3t"] {
            let error = error(Ok(bucket().endpoint(endpoint)));
            assert_eq!(error, S3SettingsError::Endpoint);
            assert!(!format!("{error} {error:?}").contains("s3cr3t"));
        }
        // An IP address has no subdomains.
        assert_eq!(
            error(Ok(bucket().endpoint("http://127.0.0.1:9000").path_style(false))),
            S3SettingsError::Endpoint
        );
    }
}
