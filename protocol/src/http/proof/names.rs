//! Grammars of key ids, proxy ids and origin ids.

/// `[A-Za-z0-9_-]{1,64}`
pub(super) fn is_key_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && is_url_safe(text, text.len())
}

/// `[A-Za-z0-9._:/-]{1,255}`
pub(super) fn is_identifier(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte))
}

pub(super) fn is_url_safe(text: &str, length: usize) -> bool {
    text.len() == length
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
