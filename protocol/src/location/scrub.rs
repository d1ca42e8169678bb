//! Removes a URL's secrets from foreign texts: an application's check or an HTTP client may repeat the URL in its errors.
//! WIRE_PROTOCOL 12, "Fetch safety".

use super::url::Location;
use crate::OneLine;
use std::borrow::Cow;
use url::form_urlencoded;

/// The replacement for a secret.
const REDACTED: &str = "<redacted>";
/// The maximum size of the result in bytes.
const MAX_TEXT_BYTES: usize = 4 << 10;
/// Shorter parts of a query are too short to be secrets, and occur in too many words.
const SHORTEST_BYTES: usize = 3;
/// The maximum number of parts to search for. A signed URL has about ten.
const MAX_PARTS: usize = 256;

/// Returns the text in one line, with the URL as [`Location`] displays it, and its user, password, query, query values and
/// fragment replaced, whether they are percent-encoded in the text or not. At most 4 KiB are kept.
pub fn scrub(text: &str, location: &Location) -> String {
    let end = text.floor_char_boundary(MAX_TEXT_BYTES);
    let (kept, mark) = match text.get(..end) {
        Some(kept) if kept.len() < text.len() => (kept, "…"),
        _ => (text, ""),
    };
    let url = location.url();
    let mut scrubbed = kept.to_owned();
    for whole in [location.as_str(), url.as_str()] {
        scrubbed = scrubbed.replace(whole, &location.to_string());
    }
    let Some(parts) = secrets(location) else {
        return format!("{REDACTED} ({location})");
    };
    for part in parts {
        scrubbed = scrubbed.replace(&*part, REDACTED);
    }
    // If the text was cut, it may end with the start of a secret.
    let whole_until = if mark.is_empty() { scrubbed.len() } else { last_word(&scrubbed) };
    format!("{}{mark}", OneLine(scrubbed.get(..whole_until).unwrap_or_default()))
}

/// Returns the start of the last word.
fn last_word(text: &str) -> usize {
    text.rfind(char::is_whitespace).unwrap_or_default()
}

/// Returns the secrets, the longest first; `None` if there are too many to search for.
fn secrets(location: &Location) -> Option<Vec<Cow<'_, str>>> {
    let url = location.url();
    let (_, written) = location.as_str().split_once('?').unwrap_or_default();
    let whole = [Some(url.username()), url.password(), url.query(), url.fragment(), Some(written)];
    let mut parts: Vec<Cow<'_, str>> = Vec::new();
    for part in whole.into_iter().flatten() {
        parts.push(part.into());
        let raw = part.split(['&', '#']).filter_map(|pair| Some(pair.split_once('=')?.1));
        parts.extend(raw.take(MAX_PARTS).map(Cow::Borrowed));
        let decoded = form_urlencoded::parse(part.as_bytes()).flat_map(|(name, value)| {
            // A user or a fragment without `=` is parsed as a name.
            [if value.is_empty() { name } else { Cow::Borrowed("") }, value]
        });
        parts.extend(decoded.take(2 * MAX_PARTS));
    }
    parts.retain(|part| part.len() >= SHORTEST_BYTES);
    parts.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    parts.dedup();
    (parts.len() <= MAX_PARTS).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://user:p%40ss@h.example/key?sig=a%2Bsecret&expires=3600#fragment";

    #[test]
    fn secrets_are_replaced_however_they_are_written() {
        let location = Location::parse(URL).unwrap();
        let text = format!(
            "GET {URL} failed: a%2Bsecret, a+secret, p%40ss, p@ss, user, fragment, 3600,\nsig=a%2Bsecret&expires=3600; key"
        );
        let scrubbed = scrub(&text, &location);
        for secret in ["secret", "p%40ss", "p@ss", "user", "fragment", "3600"] {
            assert!(!scrubbed.contains(secret), "{secret}: {scrubbed}");
        }
        assert!(scrubbed.starts_with("GET https://h.example/key failed: <redacted>,"), "{scrubbed}");
        assert!(scrubbed.ends_with("; key") && !scrubbed.contains('\n'), "{scrubbed}");
    }

    #[test]
    fn a_long_text_is_cut_and_shows_no_start_of_a_secret() {
        let location = Location::parse(URL).unwrap();
        for len in MAX_TEXT_BYTES - 80..MAX_TEXT_BYTES {
            let scrubbed = scrub(&format!("{} {URL} and more", "x".repeat(len)), &location);
            assert!(!scrubbed.contains("p%40") && !scrubbed.contains("a%2B"), "{len}: {scrubbed}");
        }
    }

    #[test]
    fn a_url_of_too_many_parts_leaves_nothing_of_the_text() {
        let query: Vec<_> = (0..1000).map(|n| format!("n{n}=value{n}")).collect();
        let location = Location::parse(&format!("https://h.example/key?{}", query.join("&"))).unwrap();
        assert_eq!(scrub("value999", &location), "<redacted> (https://h.example/key)");
        assert_eq!(scrub("", &Location::parse("https://h.example/").unwrap()), "");
    }
}
