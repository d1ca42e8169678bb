//! Encodes and decodes the content of a grant: little-endian numbers, and texts prefixed with their length. IDENTITY_V2_SPEC 9.1.

/// More than fits in a token. Encoding stops there.
const MAX_BYTES: usize = 4096;

/// The content of a sealed grant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrantClaims {
    /// The principal that the grant speaks for: the caller who requested it.
    pub principal: String,
    /// The scopes, in the order of the request.
    pub scopes: Vec<String>,
    /// The purpose that was requested.
    pub purpose: String,
    /// The grant's id in audit trails.
    pub grant_id: String,
    /// When it was sealed, in seconds since the Unix epoch.
    pub issued_at: i64,
    /// When it expires, in seconds since the Unix epoch.
    pub expires_at: i64,
}

impl GrantClaims {
    /// Returns the bytes to seal, or `None` if they do not fit in a token.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.issued_at.to_le_bytes());
        bytes.extend_from_slice(&self.expires_at.to_le_bytes());
        for text in [&self.grant_id, &self.principal, &self.purpose] {
            push_text(&mut bytes, text)?;
        }
        bytes.extend_from_slice(&u16::try_from(self.scopes.len()).ok()?.to_le_bytes());
        for scope in &self.scopes {
            push_text(&mut bytes, scope)?;
        }
        Some(bytes)
    }

    /// Decodes exactly the output of [`encode`](Self::encode).
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let issued_at = i64::from_le_bytes(take(bytes)?);
        let expires_at = i64::from_le_bytes(take(bytes)?);
        let (grant_id, principal, purpose) = (take_text(bytes)?, take_text(bytes)?, take_text(bytes)?);
        let count = u16::from_le_bytes(take(bytes)?);
        let scopes = (0..count).map(|_| take_text(bytes)).collect::<Option<_>>()?;
        bytes.is_empty().then_some(Self { principal, scopes, purpose, grant_id, issued_at, expires_at })
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) -> Option<()> {
    let length = u16::try_from(text.len()).ok()?;
    if bytes.len().saturating_add(text.len()) > MAX_BYTES {
        return None;
    }
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    Some(())
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let length = u16::from_le_bytes(take(bytes)?);
    let (text, rest) = bytes.split_at_checked(length.into())?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}
