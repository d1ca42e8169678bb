//! Distinguished names as text: RFC 2253 and RFC 4514.

use super::text::hex_digit;

/// Returns the common name in a distinguished name, if there is exactly one. Separators after a backslash or within quotes are
/// text.
pub(crate) fn common_name(name: &str) -> Option<String> {
    let mut names = attributes(name)?.into_iter().filter(|(kind, _)| is_common_name(kind));
    let (Some((_, only)), None) = (names.next(), names.next()) else { return None };
    Some(only).filter(|name| !name.is_empty())
}

fn is_common_name(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("CN") || kind == "2.5.4.3"
}

/// Returns every attribute with its kind and value; `None` if the text is not a distinguished name.
fn attributes(name: &str) -> Option<Vec<(String, String)>> {
    let mut attributes = Vec::new();
    let mut rest = name.trim_start_matches(' ');
    while !rest.is_empty() {
        let (kind, behind) = rest.split_once('=')?;
        let kind = kind.trim_matches(' ');
        let is_kind =
            !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
        let (value, behind) = value(behind.trim_start_matches(' '))?;
        if !is_kind {
            return None;
        }
        attributes.push((kind.to_owned(), value));
        match behind {
            // A separator must be followed by an attribute.
            Some(behind) if behind.trim_matches(' ').is_empty() => return None,
            Some(behind) => rest = behind,
            None => break,
        }
    }
    Some(attributes)
}

/// Reads a value, and returns it with the text after the separator that ends it.
fn value(text: &str) -> Option<(String, Option<&str>)> {
    let is_quoted = text.starts_with('"');
    let mut bytes = Vec::new();
    // The end of the value without trailing spaces.
    let mut kept = 0;
    let mut index = usize::from(is_quoted);
    let source = text.as_bytes();
    loop {
        match (source.get(index), is_quoted) {
            (None, true) => return None,
            (None, false) => break,
            (Some(b'"'), true) => {
                index += 1;
                kept = bytes.len();
                while source.get(index) == Some(&b' ') {
                    index += 1;
                }
                if !matches!(source.get(index), None | Some(b',' | b'+' | b';')) {
                    return None;
                }
                break;
            }
            (Some(b',' | b'+' | b';'), false) => break,
            (Some(b'"'), false) => return None,
            (Some(b'\\'), _) => {
                let next = *source.get(index + 1)?;
                match (hex_digit(next), source.get(index + 2).copied().and_then(hex_digit)) {
                    (Some(high), Some(low)) => {
                        bytes.push(high << 4 | low);
                        index += 3;
                    }
                    (Some(_), None) => return None,
                    (None, _) => {
                        bytes.push(next);
                        index += 2;
                    }
                }
                kept = bytes.len();
            }
            (Some(byte), _) => {
                bytes.push(*byte);
                index += 1;
                if *byte != b' ' {
                    kept = bytes.len();
                }
            }
        }
    }
    bytes.truncate(kept);
    let behind = source.get(index).map(|_| text.get(index + 1..)).and_then(|behind| behind);
    Some((String::from_utf8(bytes).ok()?, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_name_is_the_only_one() {
        let cases = [
            ("CN=ann", Some("ann")),
            ("O=Acme,cn = ann b ,C=US", Some("ann b")),
            ("CN=a+OU=b", Some("a")),
            ("2.5.4.3=a;O=b", Some("a")),
            ("O=x\\,CN=admin,CN=bob", Some("bob")),
            ("O=\"x,CN=admin\",CN=bob", Some("bob")),
            ("O=x\\\\,CN=bob", Some("bob")),
            ("CN=a\\,b\\\"c\\20\\ ", Some("a,b\"c  ")),
            ("CN=\\C3\\A9", Some("é")),
            ("CN=\"a, b\" ,O=c", Some("a, b")),
            ("CN=a=b", Some("a=b")),
            ("CN=a,CN=b", None),
            ("CN=", None),
            ("O=a", None),
            ("", None),
            ("CN", None),
            ("CN=a,", None),
            ("CN=a,b", None),
            ("CN=a\\", None),
            ("CN=a\\4", None),
            ("CN=\"a", None),
            ("CN=\"a\"b", None),
            ("CN=a\"b", None),
            ("CN=\\FF", None),
            ("=a,CN=b", None),
            ("C N=a", None),
            // OpenSSL's one-line form has unknown separators.
            ("/C=US/CN=ann", None),
        ];
        for (name, expected) in cases {
            assert_eq!(common_name(name).as_deref(), expected, "{name}");
        }
    }
}
