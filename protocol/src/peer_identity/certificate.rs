//! Reads the identity in X.509 certificates. Nothing here verifies a chain.

use super::text::{hex, percent_decode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::fmt::{self, Write};
use std::time::Duration;
use thiserror::Error;
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::ext::pkix::name::DirectoryString;

/// The maximum size of a certificate in bytes, as DER or as text in a header.
pub const MAX_CERTIFICATE_BYTES: usize = 16_384;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// A certificate that was verified elsewhere.
///
/// `Debug` shows none of it.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    pub(super) parsed: x509_cert::Certificate,
}

/// Why a [`Certificate`] could not be read. No part of the input is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// It exceeds the maximum size.
    #[error("expected a certificate of at most {MAX_CERTIFICATE_BYTES} bytes")]
    TooLong,
    /// A percent sign does not begin an escape.
    #[error("expected a percent-encoded certificate")]
    Encoding,
    /// The text is not PEM, or has several certificates.
    #[error("expected one certificate as PEM")]
    Pem,
    /// The content is not a certificate.
    #[error("expected a certificate of X.509, got other data")]
    Invalid,
}

/// The hash of a fingerprint. SHA-1 is not supported: two certificates with the same one can be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FingerprintHash {
    /// SHA-256: 64 hex digits.
    Sha256,
    /// SHA-384: 96 hex digits.
    Sha384,
    /// SHA-512: 128 hex digits.
    Sha512,
}

impl FingerprintHash {
    /// Returns the number of hex digits of a fingerprint.
    pub const fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }
}

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// If it is too long or not a certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::TooLong);
        }
        let parsed = x509_cert::Certificate::from_der(der).map_err(|_| CertificateError::Invalid)?;
        Ok(Self { der: der.to_vec(), parsed })
    }

    /// Reads one certificate in PEM, surrounded only by white space.
    ///
    /// # Errors
    /// If it is too long, or not exactly one certificate.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        if text.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::TooLong);
        }
        let body = text.trim_ascii().strip_prefix(BEGIN).and_then(|text| text.strip_suffix(END));
        let body: String =
            body.ok_or(CertificateError::Pem)?.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        Self::from_der(&STANDARD.decode(body).map_err(|_| CertificateError::Pem)?)
    }

    /// Reads the value of a header: percent-encoded PEM.
    ///
    /// # Errors
    /// If it is too long, or not exactly one certificate.
    pub fn from_header(value: &str) -> Result<Self, CertificateError> {
        if value.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::TooLong);
        }
        Self::from_pem(&percent_decode(value).map_err(|_| CertificateError::Encoding)?)
    }

    /// Returns the certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Returns the subject in the form of RFC 4514.
    pub fn subject(&self) -> String {
        let mut text = String::new();
        // A value that cannot be formatted ends the text.
        let _ = write!(text, "{}", self.parsed.tbs_certificate().subject());
        text
    }

    /// Returns the subject's common name, if it has exactly one.
    pub fn common_name(&self) -> Option<String> {
        let mut names =
            self.parsed.tbs_certificate().subject().iter().filter(|attribute| attribute.oid == COMMON_NAME);
        let (Some(only), None) = (names.next(), names.next()) else { return None };
        let text = only.value.decode_as::<DirectoryString>().ok()?;
        Some(text.value().into_owned()).filter(|text| !text.is_empty())
    }

    /// Returns the serial number, in hex without leading zeros.
    pub fn serial(&self) -> String {
        let digits = hex(self.parsed.tbs_certificate().serial_number().as_bytes());
        match digits.trim_start_matches('0') {
            "" => "0".to_owned(),
            digits => digits.to_owned(),
        }
    }

    /// Returns the start of its validity, since the Unix epoch.
    pub fn not_before(&self) -> Duration {
        self.parsed.tbs_certificate().validity().not_before.to_unix_duration()
    }

    /// Returns the end of its validity, since the Unix epoch. It is still valid in that second.
    pub fn not_after(&self) -> Duration {
        self.parsed.tbs_certificate().validity().not_after.to_unix_duration()
    }

    /// Returns whether it is valid at this time since the Unix epoch.
    pub fn is_valid_at(&self, now: Duration) -> bool {
        now >= self.not_before() && now.as_secs() <= self.not_after().as_secs()
    }

    /// Returns the digest of the certificate, in lower-case hex.
    pub fn fingerprint(&self, hash: FingerprintHash) -> String {
        match hash {
            FingerprintHash::Sha256 => hex(&Sha256::digest(&self.der)),
            FingerprintHash::Sha384 => hex(&Sha384::digest(&self.der)),
            FingerprintHash::Sha512 => hex(&Sha512::digest(&self.der)),
        }
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}
