//! Parses S3's error responses: the code of the error, the region of the bucket, the time.

use http::StatusCode;
use http::header::DATE;
use std::time::Duration;
use vgi_rpc_external::{HttpResponse, date, retry_after};

/// The maximum length of an error code.
const MAX_CODE_BYTES: usize = 64;

/// An error response.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    /// The code of the error. The response to `HEAD` has none.
    pub(crate) code: Option<String>,
    /// The region of the bucket, if the response names it.
    pub(crate) region: Option<String>,
    /// The server's time, since the Unix epoch.
    pub(crate) date: Option<Duration>,
    /// How long to wait before the next attempt.
    pub(crate) retry_after: Option<Duration>,
}

impl Fault {
    /// Parses an error. Its message is discarded: that of a wrong signature repeats the signed text.
    pub(crate) fn read(response: &HttpResponse) -> Self {
        let text = String::from_utf8_lossy(&response.body);
        let header = response.headers.get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
        let region = header.map(ToOwned::to_owned).or_else(|| element(&text, "Region"));
        Self {
            status: response.status,
            code: code(&text),
            region: region.filter(|region| is_region(region)),
            date: date(&response.headers, DATE),
            retry_after: retry_after(&response.headers),
        }
    }

    /// Whether the code is one of these.
    pub(crate) fn is(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }

    /// Whether the server is temporarily busy or unavailable.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self.status.as_u16(), 429 | 500..=599)
            || self.is(&["SlowDown", "InternalError", "RequestTimeout", "OperationAborted"])
    }

    /// Whether the credentials were refused, but newer ones may be accepted.
    pub(crate) fn is_of_credentials(&self) -> bool {
        let codes = ["ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "TokenRefreshRequired"];
        // The response to HEAD has no code. Its 403 means that the object does not exist or may not be read.
        self.is(&codes) || self.code.is_none() && matches!(self.status.as_u16(), 400 | 401)
    }
}

/// Returns the error code in a response of AWS.
pub(crate) fn code(text: &str) -> Option<String> {
    let is_code = |code: &String| {
        (1..=MAX_CODE_BYTES).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    text.contains("<Error").then(|| element(text, "Code")).flatten().filter(is_code)
}

/// Whether a text may be the name of a region. It becomes part of a host name.
pub(crate) fn is_region(text: &str) -> bool {
    (1..=MAX_CODE_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Returns the text of the first element of this name that has no child elements. AWS's responses are flat, so they need no more
/// of XML.
pub(crate) fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (content, _) = rest.split_once(&format!("</{name}>"))?;
    if content.contains('<') {
        return None;
    }
    let mut value = content.trim().to_owned();
    for (entity, letter) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&apos;", "'"), ("&amp;", "&")]
    {
        value = value.replace(entity, letter);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_a_code_and_a_region() {
        let text = "<?xml version=\"1.0\"?>\n<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region \
                    'x' is wrong</Message><Region>eu-west-1</Region></Error>";
        assert_eq!(code(text).as_deref(), Some("AuthorizationHeaderMalformed"));
        assert_eq!(element(text, "Region").as_deref(), Some("eu-west-1"));
        let sts = "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>ExpiredTokenException</Code></Error></ErrorResponse>";
        assert_eq!(code(sts).as_deref(), Some("ExpiredTokenException"));
        for wrong in [
            "",
            "<Code>X</Code>",
            "<Error><Code>",
            "<Error><Code></Code>",
            "<Error><Code>a b</Code>",
            "<Error><Code><x/></Code>",
        ] {
            assert_eq!(code(wrong), None, "{wrong}");
        }
        assert_eq!(element("<a>&quot;&amp;lt;&quot; </a>", "a").as_deref(), Some("\"&lt;\""));
    }

    #[test]
    fn only_names_of_regions_become_part_of_a_host() {
        assert!(is_region("us-gov-west-1") && is_region("garage"));
        for wrong in ["", "eu-west-1.evil.example", "a/b", "EU", "a b", &"x".repeat(65)] {
            assert!(!is_region(wrong), "{wrong}");
        }
    }
}
