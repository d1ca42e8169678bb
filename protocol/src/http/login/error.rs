//! Why a client has no token.

use crate::OneLine;
use thiserror::Error;

/// A login that did not give a token. No variant has a token, a code or a secret in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The server's `WWW-Authenticate` is not a list of challenges, or does not say where to sign in.
    #[error("the server does not say where to sign in: expected {expected}")]
    Challenge {
        /// What was expected of it.
        expected: &'static str,
    },
    /// A document is not what its specification says.
    #[error("{document}: expected {expected}, got {}", OneLine(got))]
    Metadata {
        /// Which document.
        document: &'static str,
        /// What was expected.
        expected: &'static str,
        /// What came in its place; at most 200 characters, and no secret.
        got: String,
    },
    /// The metadata are those of another resource. RFC 9728, section 3.3.
    #[error("expected the metadata of {}, got those of {}", OneLine(expected), OneLine(got))]
    Resource {
        /// The URL that was called.
        expected: String,
        /// The resource that the metadata name.
        got: String,
    },
    /// The metadata or a redirect are those of another authorization server. RFC 8414, section 3.3; RFC 9207.
    #[error("expected the authorization server {}, got {}", OneLine(expected), OneLine(got))]
    Issuer {
        /// The issuer that was asked.
        expected: String,
        /// The issuer that answered.
        got: String,
    },
    /// Neither the settings nor the server name the client to sign in as.
    #[error("expected a client id in the settings or in the server's metadata, got none")]
    NoClientId,
    /// The authorization server does not support any of the client's ways to sign in.
    #[error("the authorization server {} does not offer {flow}", OneLine(issuer))]
    NoFlow {
        /// The authorization server.
        issuer: String,
        /// The way to sign in.
        flow: &'static str,
    },
    /// The person, or the authorization server on their behalf, has refused.
    #[error("the login was refused by the person or by a policy")]
    Denied,
    /// It took longer than the authorization server, or the settings, allow.
    #[error("the login took too long")]
    Expired,
    /// The authorization server has refused a form or a login with a code. RFC 6749, sections 4.1.2.1 and 5.2.
    #[error("the authorization server refused: {code}{}", Described(description))]
    Refused {
        /// The code of the error; printable ASCII of at most 64 characters.
        code: String,
        /// The server's text; at most 200 characters. Empty if it repeats something secret.
        description: String,
    },
    /// The answer to a form is not what its specification says.
    #[error("expected {expected} from the authorization server, got another answer (status {status})")]
    Answer {
        /// What was expected.
        expected: &'static str,
        /// The status of the answer.
        status: u16,
    },
    /// The id token is not one for this login. OpenID Connect Core 1.0, section 3.1.3.7.
    #[error("expected an id token {expected}, got another")]
    IdToken {
        /// What was expected of it.
        expected: &'static str,
    },
    /// The request got no response. Another attempt may succeed.
    #[error("no response: {}", OneLine(_0))]
    Unavailable(String),
    /// A person has to sign in, and the application has no way to ask them.
    #[error("a person has to sign in, and the settings have neither a browser nor a device code for that")]
    NotInteractive,
    /// A command that comes at the wrong time: the driver's mistake.
    #[error("{command} was called {when}")]
    Misuse {
        /// The command.
        command: &'static str,
        /// When it was called.
        when: &'static str,
    },
    /// The tokens were forgotten while the person signed in.
    #[error("the login was cancelled because its tokens were forgotten in the meantime")]
    SignedOut,
    /// What a store has kept cannot be used.
    #[error("the stored login cannot be used: expected {expected}")]
    Saved {
        /// What was expected of it.
        expected: &'static str,
    },
}

impl LoginError {
    /// Whether a refresh that ended so shows that the refresh token is of no use any more. After any other failure it may still be good.
    /// RFC 6749, section 5.2.
    pub fn ends_refresh_token(&self) -> bool {
        const CODES: [&str; 3] = ["invalid_grant", "invalid_client", "unauthorized_client"];
        matches!(self, Self::Refused { code, .. } if CODES.contains(&code.as_str()))
    }

    /// Whether the same attempt may succeed later, with nothing changed.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
            || matches!(self, Self::Answer { status, .. } if *status >= 500 || *status == 429)
    }
}

/// A text behind a code, if there is one.
struct Described<'a>(&'a String);

impl std::fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.as_str() {
            "" => Ok(()),
            text => write!(f, " ({})", OneLine(text)),
        }
    }
}
