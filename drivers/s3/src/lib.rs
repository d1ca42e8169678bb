//! The external objects of vgi-rpc in S3, or in a store that speaks its protocol. WIRE_PROTOCOL 12.
//!
//! [`S3Storage`] performs the effects of a server that concern storage: it puts large outputs into a bucket, and gives clients
//! URLs to upload to. Beside an [`HttpFetcher`](vgi_rpc_external::HttpFetcher), which fetches what clients have uploaded, that is
//! all that a server needs:
//!
//! ```no_run
//! use vgi_rpc_external::{HttpFetcher, HttpOptions, StorageEffects};
//! use vgi_rpc_protocol::effect::Request;
//! use vgi_rpc_s3::S3Storage;
//!
//! // Region and credentials are those of the environment.
//! let storage = S3Storage::new("my-bucket")?;
//! let fetcher = HttpFetcher::new(HttpOptions::default())?;
//! // For `Performer::new`, which the server takes as its effects.
//! let effects = StorageEffects { storage, fetcher };
//! # let _: Box<dyn std::fmt::Debug> = Box::new(effects);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each setting has a default, and is set by [`S3Storage::builder`]:
//!
//! ```
//! use std::time::Duration;
//! use vgi_rpc_external::ObjectNames;
//! use vgi_rpc_s3::{Credentials, S3Storage, Secret};
//!
//! let storage = S3Storage::builder("my-bucket")
//!     .endpoint("https://minio.example:9000")
//!     .names(ObjectNames::by_content("results/")?)
//!     .credentials(Credentials::new("access-key-id", Secret::new("secret-access-key")))
//!     .expiry(Duration::from_secs(600))
//!     .build()?;
//! assert_eq!(storage.to_string(), "s3://my-bucket/results/");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`PresignedS3Storage`] holds no credentials: it stores objects at URLs that a function of the application's has signed.
//!
//! # Credentials
//!
//! By default they come from the first of these that is set up: environment variables; a web identity; a profile of the shared
//! files; the container's service; the instance's service. [`Chain`] makes another order, and [`ProvideCredentials`] is
//! implemented for what has its own. They are refreshed from 15 minutes before they expire on, by one thread, while the others
//! use those that are there; and once for an operation that S3 refuses because of them, so that a file or a variable may be
//! changed while the process runs.
//!
//! A signed URL does not outlive temporary credentials: S3 refuses it once the token that it was signed with has expired. So it
//! is signed for what is left of them, if that is less than [`expiry`](S3Builder::expiry), and what is told of its expiry is
//! that time. For URLs that are to hold for longer than the session of a role, which is an hour by default, make its sessions
//! longer or use keys that do not expire.
//!
//! Keys and tokens are in no error, no log and no `Debug`, and the keys that this crate holds are wiped when they are dropped.
//! What the system, TLS and the libraries below have copied on the way is not, nor are URLs, each of which has the token in it.
//!
//! # Permissions
//!
//! | to | the policy of the identity allows |
//! | --- | --- |
//! | store, and sign URLs | `s3:PutObject` and `s3:GetObject` on `arn:aws:s3:::BUCKET/PREFIX*` |
//! | remove the parts of an upload that failed | `s3:AbortMultipartUpload` on the same |
//! | store equal batches once, with fewer requests | `s3:ListBucket` on `arn:aws:s3:::BUCKET`, so that S3 says of an object that it is not there; without it, it says that access is denied, and the object is stored |
//!
//! Whoever has a signed URL acts with these permissions on that one object until the URL expires. Clients need none. A bucket
//! whose objects are encrypted with a key of KMS also takes `kms:GenerateDataKey` and `kms:Decrypt` for that key.
//!
//! # How objects expire
//!
//! Nothing here deletes objects. A rule of the bucket does, for the prefix: it removes objects a day or more after they were
//! stored, and the parts of uploads that were never completed, such as those of a process that was killed.
//!
//! ```json
//! {"Rules": [{
//!   "ID": "vgi-rpc", "Status": "Enabled", "Filter": {"Prefix": "vgi-rpc/"},
//!   "Expiration": {"Days": 1},
//!   "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}
//! }]}
//! ```
//!
//! An object must live for as long as the URLs to it: with an expiry of more than a day, the rule needs more days. Where objects
//! are named [by content](vgi_rpc_external::ObjectNames::by_content), one that was stored long ago is stored again, so that its
//! days begin anew: see [`S3Builder::store_again_after`], which must be less than the days of the rule minus the expiry of URLs.
//! In a bucket with versions, a rule for noncurrent versions removes what these replace.
//!
//! # What goes wrong
//!
//! Each attempt is signed anew. 500, 503 and `SlowDown` are tried again after a growing random pause, or the one that
//! `Retry-After` asks for ([`Backoff`](vgi_rpc_external::Backoff)), within the time limit. A wrong clock is set by the `Date` of the answer, a wrong region
//! is replaced by the one that S3 names, and refused credentials are asked for anew: each once for an operation, and then it is
//! an error ([`S3ErrorKind`]). The corrections hold for later operations.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `storage` | the bucket as a store of objects |
// | `settings` | its builder |
// | `credentials` | where keys come from, and how they are kept fresh |
// | `bucket` | where the bucket is, and URLs that are signed |
// | `operation` | one operation: attempts, and what is corrected between them |
// | `multipart`, `parts` | an object in several parts |
// | `fault` | what S3 says of an error |
// | `clock` | the time, corrected |
// | `error` | why an operation failed, and settings that are invalid |

mod bucket;
mod clock;
pub mod credentials;
mod error;
mod fault;
mod multipart;
mod operation;
mod parts;
mod settings;
mod storage;

pub use credentials::{Chain, Credentials, CredentialsError, Environment, ProvideCredentials, Secret};
pub use error::{S3Error, S3ErrorKind, S3SettingsError};
pub use settings::S3Builder;
pub use storage::S3Storage;
pub use vgi_rpc_external::PresignedStorage as PresignedS3Storage;
pub use vgi_rpc_external::{Presign, PresignedError, PresignedUrls, Purpose};
