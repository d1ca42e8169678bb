//! A public key, and the algorithms that it is used with. RFC 7517, 7518 and 8037.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;

/// A signature algorithm. Algorithms with a shared secret are deliberately missing: a public key could be used as the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            // The old name, and the name of RFC 9864.
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }
}

/// A public key.
pub(super) struct Key {
    pub(super) id: Option<String>,
    /// The only algorithm that it may be used with, if the key names one.
    algorithm: Option<Algorithm>,
    material: Material,
}

enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// The members of a JSON Web Key that are used.
#[derive(Deserialize)]
pub(super) struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Key {
    /// Returns the key if it verifies signatures of a supported algorithm.
    pub(super) fn new(jwk: Jwk) -> Option<Self> {
        let verifies = jwk.r#use.as_deref().is_none_or(|usage| usage == "sig")
            && jwk.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|each| each == "verify"));
        if !verifies {
            return None;
        }
        let algorithm = match &jwk.alg {
            Some(name) => Some(Algorithm::parse(name)?),
            None => None,
        };
        let material = Material::new(&jwk)?;
        Some(Self { id: jwk.kid, algorithm, material })
    }

    /// Whether the key may be used with this algorithm.
    pub(super) fn is_of(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// Verifies the signature over these bytes. False if the key is not of the algorithm's type.
    pub(super) fn verify(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        self.is_of(algorithm) && self.material.verify(algorithm, signed, signature)
    }
}

impl Material {
    fn new(jwk: &Jwk) -> Option<Self> {
        let decode = |part: &Option<String>| URL_SAFE_NO_PAD.decode(part.as_ref()?).ok();
        match (&*jwk.kty, jwk.crv.as_deref()) {
            ("RSA", _) => {
                // Leading zeros are accepted and removed, because the verifier does not expect them.
                let number = |part| {
                    let number = decode(part)?;
                    let zeros = number.iter().take_while(|byte| **byte == 0).count();
                    number.get(zeros..).map(<[u8]>::to_vec)
                };
                Some(Self::Rsa { n: number(&jwk.n)?, e: number(&jwk.e)? })
            }
            ("EC", Some("P-256")) => point(decode(&jwk.x)?, decode(&jwk.y)?, 32).map(Self::P256),
            ("EC", Some("P-384")) => point(decode(&jwk.x)?, decode(&jwk.y)?, 48).map(Self::P384),
            ("OKP", Some("Ed25519")) => decode(&jwk.x).filter(|key| key.len() == 32).map(Self::Ed25519),
            _ => None,
        }
    }

    fn verify(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        let rsa = |parameters: &RsaParameters| match self {
            Self::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(parameters, signed, signature).is_ok()
            }
            _ => false,
        };
        let plain = |parameters: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(parameters, key).verify(signed, signature).is_ok()
        };
        match (algorithm, self) {
            (Algorithm::Rs256, _) => rsa(&RSA_PKCS1_2048_8192_SHA256),
            (Algorithm::Rs384, _) => rsa(&RSA_PKCS1_2048_8192_SHA384),
            (Algorithm::Rs512, _) => rsa(&RSA_PKCS1_2048_8192_SHA512),
            (Algorithm::Ps256, _) => rsa(&RSA_PSS_2048_8192_SHA256),
            (Algorithm::Ps384, _) => rsa(&RSA_PSS_2048_8192_SHA384),
            (Algorithm::Ps512, _) => rsa(&RSA_PSS_2048_8192_SHA512),
            (Algorithm::Es256, Self::P256(key)) => plain(&ECDSA_P256_SHA256_FIXED, key),
            (Algorithm::Es384, Self::P384(key)) => plain(&ECDSA_P384_SHA384_FIXED, key),
            (Algorithm::EdDsa, Self::Ed25519(key)) => plain(&ED25519, key),
            _ => false,
        }
    }
}

/// Encodes a point of a curve in the uncompressed form. SEC 1, section 2.3.3.
fn point(x: Vec<u8>, y: Vec<u8>, length: usize) -> Option<Vec<u8>> {
    (x.len() == length && y.len() == length).then(|| [&[4], &*x, &*y].concat())
}
