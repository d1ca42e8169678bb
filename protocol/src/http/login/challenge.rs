//! Parses `WWW-Authenticate`. RFC 9110, section 11.6.1; RFC 9728, section 5.1.

use super::checks::is_client_text;
use super::error::LoginError;

/// The maximum size of the header, in bytes.
const MAX_HEADER: usize = 16 << 10;

/// The `Bearer` challenge of a 401.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Challenge {
    /// The URL of the resource's metadata.
    pub resource_metadata: Option<String>,
    /// The client to sign in as.
    pub client_id: Option<String>,
    /// The client to sign in as by a device code, if it is a different one.
    pub device_code_client_id: Option<String>,
    /// Whether the server accepts the ID token instead of the access token.
    pub id_token_as_bearer: bool,
    /// The scopes that the request needs. RFC 6750, section 3.
    pub scope: Option<String>,
}

impl Challenge {
    /// Parses the value of the header, which may join several challenges with commas. Returns `None` if there is no `Bearer`
    /// challenge. If there are several, returns the first one with the URL of the metadata.
    ///
    /// # Errors
    /// If it is not a list of challenges, or a parameter is repeated or unusable. A `client_secret` in it is ignored.
    pub fn parse(header: &str) -> Result<Option<Self>, LoginError> {
        if header.len() > MAX_HEADER {
            return Err(expected("a WWW-Authenticate header of at most 16384 bytes"));
        }
        let mut reader = Reader { rest: header };
        let mut found: Option<Self> = None;
        loop {
            reader.skip_separators();
            if reader.rest.is_empty() {
                return Ok(found);
            }
            let scheme =
                reader.token().ok_or_else(|| expected("the name of a scheme in WWW-Authenticate"))?;
            let parameters = reader.parameters()?;
            if !scheme.eq_ignore_ascii_case("Bearer") {
                continue;
            }
            let challenge = Self::of(parameters)?;
            if found.as_ref().is_none_or(|known| {
                known.resource_metadata.is_none() && challenge.resource_metadata.is_some()
            }) {
                found = Some(challenge);
            }
        }
    }

    fn of(parameters: Vec<(String, String)>) -> Result<Self, LoginError> {
        let mut seen: Vec<String> = Vec::new();
        let mut challenge = Self::default();
        for (name, value) in parameters {
            let name = name.to_ascii_lowercase();
            if seen.contains(&name) {
                return Err(expected("each parameter of a challenge once"));
            }
            match name.as_str() {
                "resource_metadata" => challenge.resource_metadata = Some(value),
                "client_id" => challenge.client_id = Some(client(value)?),
                "device_code_client_id" => challenge.device_code_client_id = Some(client(value)?),
                "use_id_token_as_bearer" => challenge.id_token_as_bearer = value == "true",
                "scope" => challenge.scope = Some(value),
                _ => {}
            }
            seen.push(name);
        }
        Ok(challenge)
    }
}

fn client(id: String) -> Result<String, LoginError> {
    if is_client_text(&id) { Ok(id) } else { Err(expected("a client id of printable ASCII")) }
}

const fn expected(expected: &'static str) -> LoginError {
    LoginError::Challenge { expected }
}

/// The unread rest of the header.
#[derive(Clone, Copy)]
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn skip_separators(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
    }

    fn take(&mut self, letter: char) -> bool {
        let rest = self.rest.strip_prefix(letter);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Reads the longest run of characters of this kind; `None` if there is none.
    fn run(&mut self, is_part: impl Fn(u8) -> bool) -> Option<&'a str> {
        let end = self.rest.bytes().position(|byte| !is_part(byte)).unwrap_or(self.rest.len());
        // Only ASCII bytes match, so the end is a character boundary.
        let (run, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!run.is_empty()).then_some(run)
    }

    fn token(&mut self) -> Option<&'a str> {
        self.run(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    }

    /// Reads what follows the name of a scheme: parameters, a token68, or nothing.
    fn parameters(&mut self) -> Result<Vec<(String, String)>, LoginError> {
        let mut parameters = Vec::new();
        if !self.rest.starts_with([' ', '\t']) {
            return if self.rest.is_empty() || self.rest.starts_with(',') {
                Ok(parameters)
            } else {
                Err(expected("a space after the name of a scheme"))
            };
        }
        self.skip_space();
        loop {
            let mut ahead = *self;
            if !parameters.is_empty() {
                ahead.skip_separators();
            }
            match ahead.parameter()? {
                Some(parameter) => parameters.push(parameter),
                None if parameters.is_empty() => {
                    // A token68, as in `Negotiate`; or the next challenge.
                    self.run(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
                    break;
                }
                None => break,
            }
            *self = ahead;
            self.skip_space();
            if !self.rest.starts_with(',') {
                break;
            }
        }
        self.skip_space();
        match self.rest.is_empty() || self.rest.starts_with(',') {
            true => Ok(parameters),
            false => Err(expected("a comma between the parts of WWW-Authenticate")),
        }
    }

    /// Reads a name, an equals sign and a value. `None` if something else follows.
    fn parameter(&mut self) -> Result<Option<(String, String)>, LoginError> {
        let Some(name) = self.token() else { return Ok(None) };
        self.skip_space();
        if !self.take('=') {
            return Ok(None);
        }
        self.skip_space();
        if self.take('"') {
            let value = self.quoted().ok_or_else(|| expected("a quoted string with an end"))?;
            return Ok(Some((name.to_owned(), value)));
        }
        Ok(self.token().map(|value| (name.to_owned(), value.to_owned())))
    }

    /// Reads the rest of a quoted string.
    fn quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        let mut letters = self.rest.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.rest = self.rest.get(at + 1..)?;
                    return Some(value);
                }
                '\\' => value.push(letters.next()?.1),
                letter => value.push(letter),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(header: &str) -> Option<String> {
        Challenge::parse(header).unwrap().and_then(|challenge| challenge.resource_metadata)
    }

    #[test]
    fn what_our_servers_and_the_references_send() {
        let header = "Bearer resource_metadata=\"https://a.example/.well-known/oauth-protected-resource/vgi\", \
                      client_id=\"a\", client_secret=\"s\", use_id_token_as_bearer=\"true\", device_code_client_id=\"b\", \
                      device_code_client_secret=\"t\"";
        let challenge = Challenge::parse(header).unwrap().unwrap();
        assert_eq!(
            challenge,
            Challenge {
                resource_metadata: Some("https://a.example/.well-known/oauth-protected-resource/vgi".into()),
                client_id: Some("a".into()),
                device_code_client_id: Some("b".into()),
                id_token_as_bearer: true,
                scope: None,
            }
        );
    }

    #[test]
    fn lists_of_challenges_are_taken_apart() {
        let url = Some("https://a.example".to_owned());
        for header in [
            "bearer resource_metadata=\"https://a.example\"",
            "Basic realm=\"x, Bearer resource_metadata=evil\", Bearer resource_metadata=\"https://a.example\"",
            "Negotiate, Bearer resource_metadata=\"https://a.example\"",
            "Negotiate YWJj==, Bearer   realm=a ,resource_metadata = \"https://a.example\" ",
            "Bearer realm=\"a\", Bearer resource_metadata=\"https://a.example\", Basic realm=\"b\"",
            ", ,Bearer , Bearer scope=\"a b\",, RESOURCE_METADATA=\"https://a.e\\xample\"",
        ] {
            assert_eq!(metadata(header), url, "{header}");
        }
        assert_eq!(Challenge::parse("Bearer scope=\"a b\"").unwrap().unwrap().scope.as_deref(), Some("a b"));
        for header in ["", ", ,", "Basic realm=\"Bearer\"", "Bearerx resource_metadata=a"] {
            assert_eq!(Challenge::parse(header), Ok(None), "{header}");
        }
        assert_eq!(Challenge::parse("Bearer"), Ok(Some(Challenge::default())));
        // The whole name must match.
        assert_eq!(Challenge::parse("Bearer device_code_client_id=b").unwrap().unwrap().client_id, None);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for header in [
            "Bearer resource_metadata=\"https://a.example",
            "Bearer a=\"b\" c=\"d\"",
            "Bearer a=\"b\"; c=d",
            "Bearer a=b, A=c",
            "Bearer client_id=\"\"",
            "Bearer client_id=\"a\u{1}\"",
            "=",
            "Bearer\u{e9}",
            "Bearer \u{e9}=a",
            "Bearer a=\"b\\",
            &"a,".repeat(10_000),
        ] {
            assert!(Challenge::parse(header).is_err(), "{header:.50}");
        }
    }
}
