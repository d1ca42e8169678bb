//! A bucket's location, and signed URLs of its objects.

use crate::credentials::Credentials;
use crate::error::S3SettingsError;
use http::Method;
use jiff::Timestamp;
use rusty_s3::actions::{
    AbortMultipartUpload, CompleteMultipartUpload, CreateMultipartUpload, GetObject, HeadObject, PutObject,
    UploadPart,
};
use rusty_s3::{S3Action, UrlStyle};
use std::time::Duration;
use url::Url;
use vgi_rpc_protocol::external::{Location, UrlPolicy};

/// An action on an object.
#[derive(Clone, Copy)]
pub(crate) enum Action<'a> {
    Get,
    Head,
    Put,
    CreateMultipart,
    UploadPart { upload_id: &'a str, number: u16 },
    CompleteMultipart { upload_id: &'a str },
    AbortMultipart { upload_id: &'a str },
}

impl Action<'_> {
    /// Returns its name in S3's API.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GetObject",
            Self::Head => "HeadObject",
            Self::Put => "PutObject",
            Self::CreateMultipart => "CreateMultipartUpload",
            Self::UploadPart { .. } => "UploadPart",
            Self::CompleteMultipart { .. } => "CompleteMultipartUpload",
            Self::AbortMultipart { .. } => "AbortMultipartUpload",
        }
    }

    pub(crate) const fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Head => Method::HEAD,
            Self::Put | Self::UploadPart { .. } => Method::PUT,
            Self::CreateMultipart | Self::CompleteMultipart { .. } => Method::POST,
            Self::AbortMultipart { .. } => Method::DELETE,
        }
    }
}

/// A bucket in a region.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    /// Set by the operator; otherwise the region's endpoint is used.
    endpoint: Option<Url>,
    path_style: bool,
    bucket: rusty_s3::Bucket,
}

impl Bucket {
    /// Creates a bucket at an endpoint, or at that of its region.
    pub(crate) fn new(
        name: &str,
        region: &str,
        endpoint: Option<Url>,
        path_style: bool,
    ) -> Result<Self, S3SettingsError> {
        let url = match &endpoint {
            Some(url) => url.clone(),
            None => Url::parse(&region_endpoint(region))
                .map_err(|_| S3SettingsError::Region(region.to_owned()))?,
        };
        let style = if path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let bucket = rusty_s3::Bucket::new(url, style, name.to_owned(), region.to_owned())
            .map_err(|_| S3SettingsError::Endpoint)?;
        Ok(Self { endpoint, path_style, bucket })
    }

    pub(crate) fn name(&self) -> &str {
        self.bucket.name()
    }

    pub(crate) fn region(&self) -> &str {
        self.bucket.region()
    }

    /// Returns the same bucket in another region.
    pub(crate) fn in_region(&self, region: &str) -> Result<Self, S3SettingsError> {
        Self::new(self.name(), region, self.endpoint.clone(), self.path_style)
    }

    /// Signs the URL of an action on an object. The URL is valid for `expiry` from this time on, which is since the Unix epoch.
    pub(crate) fn sign(
        &self,
        action: Action<'_>,
        object: &str,
        credentials: &Credentials,
        now: Duration,
        expiry: Duration,
    ) -> Option<Location> {
        let (key, secret) = (&credentials.access_key_id, credentials.secret_access_key.reveal());
        let signer = match &credentials.session_token {
            Some(token) => rusty_s3::Credentials::new_with_token(key, secret, token.reveal()),
            None => rusty_s3::Credentials::new(key, secret),
        };
        let now = Timestamp::from_second(i64::try_from(now.as_secs()).ok()?).ok()?;
        let (bucket, signer) = (&self.bucket, Some(&signer));
        let url = match action {
            Action::Get => GetObject::new(bucket, signer, object).sign_with_time(expiry, &now),
            Action::Head => HeadObject::new(bucket, signer, object).sign_with_time(expiry, &now),
            Action::Put => PutObject::new(bucket, signer, object).sign_with_time(expiry, &now),
            Action::CreateMultipart => {
                CreateMultipartUpload::new(bucket, signer, object).sign_with_time(expiry, &now)
            }
            Action::UploadPart { upload_id, number } => {
                UploadPart::new(bucket, signer, object, number, upload_id).sign_with_time(expiry, &now)
            }
            Action::CompleteMultipart { upload_id } => {
                let etags = std::iter::empty::<&str>();
                CompleteMultipartUpload::new(bucket, signer, object, upload_id, etags)
                    .sign_with_time(expiry, &now)
            }
            Action::AbortMultipart { upload_id } => {
                AbortMultipartUpload::new(bucket, signer, object, upload_id).sign_with_time(expiry, &now)
            }
        };
        Location::parse(url.as_str()).ok()
    }

    /// Returns the body of the request that completes an upload of these parts, in this order.
    pub(crate) fn complete_body(&self, etags: &[String]) -> String {
        let etags = etags.iter().map(String::as_str);
        CompleteMultipartUpload::new(&self.bucket, None, "", "", etags).body()
    }

    /// Returns which URLs may be fetched: if the operator has set an endpoint, only those of the bucket, at any address;
    /// otherwise any public URL.
    pub(crate) fn fetch_policy(&self) -> UrlPolicy {
        if self.endpoint.is_none() {
            return UrlPolicy::https_public();
        }
        let base = self.bucket.base_url().clone();
        UrlPolicy::unrestricted().with_check(move |url| {
            let is_same = url.scheme() == base.scheme()
                && url.host() == base.host()
                && url.port_or_known_default() == base.port_or_known_default()
                && url.path().starts_with(base.path())
                && url.username().is_empty()
                && url.password().is_none();
            if is_same { Ok(()) } else { Err("it is not in the bucket at its endpoint".to_owned()) }
        })
    }
}

fn region_endpoint(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://s3.{region}.amazonaws.com{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Secret;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn signed(bucket: &Bucket, token: Option<&str>) -> Location {
        let mut credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", Secret::new(SECRET));
        credentials.session_token = token.map(Secret::new);
        let now = Duration::from_secs(1_369_353_600);
        bucket.sign(Action::Get, "test.txt", &credentials, now, Duration::from_secs(86_400)).unwrap()
    }

    /// The example in AWS's documentation of query-string authentication.
    #[test]
    fn urls_are_signed_as_aws_says() {
        let endpoint = Url::parse("https://s3.amazonaws.com").unwrap();
        let bucket = Bucket::new("examplebucket", "us-east-1", Some(endpoint), false).unwrap();
        let url = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
                   &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
                   &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
                   &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert_eq!(signed(&bucket, None).as_str(), url);
        let with_token = signed(&bucket, Some("s3cr3t/token"));
        assert!(with_token.as_str().contains("&X-Amz-Security-Token=s3cr3t%2Ftoken&"));
        assert!(!format!("{with_token:?} {with_token}").contains("s3cr3t"));
    }

    #[test]
    fn a_bucket_has_the_endpoint_of_its_region() {
        let bucket = Bucket::new("examplebucket", "eu-west-1", None, false).unwrap();
        assert!(
            signed(&bucket, None)
                .as_str()
                .starts_with("https://examplebucket.s3.eu-west-1.amazonaws.com/test.txt?")
        );
        let moved = bucket.in_region("cn-north-1").unwrap();
        let url = signed(&moved, None);
        assert!(url.as_str().starts_with("https://examplebucket.s3.cn-north-1.amazonaws.com.cn/test.txt?"));
        assert!(url.as_str().contains("%2Fcn-north-1%2F"));
        let path = Bucket::new("example.bucket", "eu-west-1", None, true).unwrap();
        assert!(
            signed(&path, None)
                .as_str()
                .starts_with("https://s3.eu-west-1.amazonaws.com/example.bucket/test.txt?")
        );
        assert!(path.fetch_policy().check(&signed(&path, None)).is_ok());
    }

    #[test]
    fn what_is_at_the_endpoint_of_the_operator_may_be_fetched_and_nothing_else() {
        let endpoint = Url::parse("http://minio.internal:9000").unwrap();
        let bucket = Bucket::new("bucket", "us-east-1", Some(endpoint), true).unwrap();
        let policy = bucket.fetch_policy();
        assert!(policy.check(&signed(&bucket, None)).is_ok());
        for other in [
            "http://minio.internal/",
            "https://minio.internal:9000/",
            "http://169.254.169.254:9000/",
            "https://h.example/",
            "http://minio.internal:9000/",
            "http://minio.internal:9000/other/test.txt",
            "http://minio.internal:9000/bucket2/test.txt",
            "http://minio.internal:9000/bucket/../other/test.txt",
            "http://minio.internal:9000/bucket/%2e%2e/other/test.txt",
            "http://user@minio.internal:9000/bucket/test.txt",
            "http://:password@minio.internal:9000/bucket/test.txt",
        ] {
            assert!(policy.check(&Location::parse(other).unwrap()).is_err(), "{other}");
        }
        // Below a path of the endpoint, and in its subdomain.
        for (endpoint, in_path) in
            [("http://minio.internal:9000/s3/", true), ("http://minio.internal", false)]
        {
            let endpoint = Url::parse(endpoint).unwrap();
            let bucket = Bucket::new("bucket", "us-east-1", Some(endpoint), in_path).unwrap();
            assert!(bucket.fetch_policy().check(&signed(&bucket, None)).is_ok());
        }
    }
}
