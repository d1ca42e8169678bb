//! The note on the 401s of a service that authenticates by headers of a reverse proxy (`unauthorized-spec.md` 5).

/// The text of the note, created once from the service's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyNote {
    hint: String,
}

impl ProxyNote {
    /// Creates a note with the headers that a proxy must set: those of the authenticator
    /// ([`proxy_headers`](crate::http::auth::Authenticator::proxy_headers)) and those that the operator adds. Repeated names,
    /// ignoring case, are shown once. `None` if there are no headers.
    pub fn new<T: AsRef<str>>(headers: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut names: Vec<String> = Vec::new();
        for header in headers {
            let name = header.as_ref();
            if !name.is_empty() && !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name.to_owned());
            }
        }
        let noun = match names.len() {
            0 => return None,
            1 => "header",
            _ => "headers",
        };
        let hint = format!(
            "This service can be reached only through its reverse proxy, which must set the {noun} {}. If \
             requests are refused, look at the proxy first: a proxy that does not set the {noun}, or a request \
             that went around it, is at least as likely a cause as a bad credential.",
            names.join(", ")
        );
        Some(Self { hint })
    }

    /// Returns the text, which is the envelope's `proxy_hint`.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_each_header_once() {
        let hint = ProxyNote::new(["VGI-Proxy-Proof", "X-Cert", "vgi-proxy-proof"]).unwrap().hint;
        assert!(hint.contains("the headers VGI-Proxy-Proof, X-Cert. If"), "{hint}");
        assert!(ProxyNote::new(["X-Cert"]).unwrap().hint.contains("the header X-Cert."));
    }

    #[test]
    fn there_is_no_note_without_a_header() {
        assert_eq!(ProxyNote::new(Vec::<String>::new()), None);
        assert_eq!(ProxyNote::new([""]), None);
    }
}
