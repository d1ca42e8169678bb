//! From a path to what it names. WIRE_PROTOCOL 10, "Endpoints".

/// What a path names. The names are as they came, unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// `*`, which is the server in general: RFC 9110, section 9.3.7.
    Server,
    /// The prefix itself.
    Landing,
    Describe,
    Health,
    Session,
    UploadUrl,
    /// A method of the server itself, which belongs to no protocol.
    Reserved(&'a str),
    Method {
        protocol: &'a str,
        method: &'a str,
        part: Part,
    },
    /// Nothing here.
    Unknown,
}

/// Which request of a call a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Unary,
    Init,
    Exchange,
}

impl<'a> Route<'a> {
    /// `prefix` is empty or begins with a slash and does not end with one.
    pub(crate) fn of(prefix: &str, path: &'a str) -> Self {
        if path == "*" {
            return Self::Server;
        }
        let Some(rest) = path.strip_prefix(prefix) else { return Self::Unknown };
        let rest = match rest.strip_prefix('/') {
            Some(rest) => rest,
            None if rest.is_empty() => return Self::Landing,
            None => return Self::Unknown,
        };
        let mut segments = rest.split('/');
        let segments = (segments.next(), segments.next(), segments.next(), segments.next());
        match segments {
            (Some(""), None, ..) => Self::Landing,
            (Some("health"), None, ..) => Self::Health,
            (Some("describe"), None, ..) => Self::Describe,
            (Some("__session__"), None, ..) => Self::Session,
            (Some("__upload_url__"), Some("init"), None, _) => Self::UploadUrl,
            (Some(name), None, ..) if name.starts_with("__") && name.ends_with("__") => Self::Reserved(name),
            // An empty protocol is a wrong name of one.
            (Some(protocol), Some(method), None, _) if !method.is_empty() => {
                Self::Method { protocol, method, part: Part::Unary }
            }
            (Some(protocol), Some(method), Some("init"), None) => {
                Self::Method { protocol, method, part: Part::Init }
            }
            (Some(protocol), Some(method), Some("exchange"), None) => {
                Self::Method { protocol, method, part: Part::Exchange }
            }
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_what_the_specification_lists() {
        let method = |part| Route::Method { protocol: "a.B", method: "m", part };
        for prefix in ["", "/vgi"] {
            let cases = [
                ("", Route::Landing),
                ("/", Route::Landing),
                ("/health", Route::Health),
                ("/describe", Route::Describe),
                ("/__session__", Route::Session),
                ("/__upload_url__/init", Route::UploadUrl),
                ("/__describe__", Route::Reserved("__describe__")),
                ("/a.B/m", method(Part::Unary)),
                ("/a.B/m/init", method(Part::Init)),
                ("/a.B/m/exchange", method(Part::Exchange)),
                ("//m", Route::Method { protocol: "", method: "m", part: Part::Unary }),
                ("/a.B", Route::Unknown),
                ("/a.B/", Route::Unknown),
                ("/a.B/m/other", Route::Unknown),
                ("/a.B/m/init/", Route::Unknown),
                ("/health/", Route::Unknown),
            ];
            for (path, expected) in cases {
                assert_eq!(Route::of(prefix, &format!("{prefix}{path}")), expected, "{prefix}{path}");
            }
        }
        for prefix in ["", "/vgi"] {
            assert_eq!(Route::of(prefix, "*"), Route::Server);
        }
        assert_eq!(Route::of("/vgi", "/vgix/health"), Route::Unknown);
        assert_eq!(Route::of("/vgi", "/health"), Route::Unknown);
    }
}
