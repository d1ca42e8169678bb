//! The errors of a login.

use crate::OneLine;
use thiserror::Error;

/// Why a login failed. No variant contains a token, a code or a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The server's `WWW-Authenticate` is not a list of challenges, or does not say where to sign in.
    #[error("the server does not say where to sign in: expected {expected}")]
    Challenge {
        /// What was expected of it.
        expected: &'static str,
    },
    /// A document does not follow its specification.
    #[error("{document}: expected {expected}, got {}", OneLine(got))]
    Metadata {
        /// Which document.
        document: &'static str,
        /// What was expected.
        expected: &'static str,
        /// What was received instead; at most 200 characters, and no secret.
        got: String,
    },
    /// The metadata belongs to another resource. RFC 9728, section 3.3.
    #[error("expected the metadata of {}, got those of {}", OneLine(expected), OneLine(got))]
    Resource {
        /// The URL that was called.
        expected: String,
        /// The resource that the metadata name.
        got: String,
    },
    /// The metadata or a redirect belongs to another authorization server. RFC 8414, section 3.3; RFC 9207.
    #[error("expected the authorization server {}, got {}", OneLine(expected), OneLine(got))]
    Issuer {
        /// The expected issuer.
        expected: String,
        /// The issuer that responded.
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
    /// The user, or the authorization server by a policy, has refused.
    #[error("the login was refused by the user or by a policy")]
    Denied,
    /// It took longer than the authorization server, or the settings, allow.
    #[error("the login took too long")]
    Expired,
    /// The authorization server has refused a form or a login with an error code. RFC 6749, sections 4.1.2.1 and 5.2.
    #[error("the authorization server refused: {code}{}", Described(description))]
    Refused {
        /// The error code; printable ASCII of at most 64 characters.
        code: String,
        /// The server's text; at most 200 characters. Empty if it repeats something secret.
        description: String,
    },
    /// The response to a form does not follow its specification.
    #[error("expected {expected} from the authorization server, got another response (status {status})")]
    Answer {
        /// What was expected.
        expected: &'static str,
        /// The status of the response.
        status: u16,
    },
    /// The ID token is not for this login. OpenID Connect Core 1.0, section 3.1.3.7.
    #[error("expected an id token {expected}, got another")]
    IdToken {
        /// What was expected of it.
        expected: &'static str,
    },
    /// The request got no response. Another attempt may succeed.
    #[error("no response: {}", OneLine(_0))]
    Unavailable(String),
    /// The user has to sign in, and the application has no way to ask them.
    #[error("the user has to sign in, but the settings have neither a browser nor a device code for that")]
    NotInteractive,
    /// A command was called at the wrong time: an error in the driver.
    #[error("{command} was called {when}")]
    Misuse {
        /// The command.
        command: &'static str,
        /// When it was called.
        when: &'static str,
    },
    /// The tokens were forgotten while the user signed in.
    #[error("the login was cancelled because its tokens were forgotten")]
    SignedOut,
    /// The stored login cannot be used.
    #[error("the stored login cannot be used: expected {expected}")]
    Saved {
        /// What was expected of it.
        expected: &'static str,
    },
}

impl LoginError {
    /// Whether this error of a refresh shows that the refresh token is no longer valid. After any other error it may still be
    /// valid. RFC 6749, section 5.2.
    pub fn ends_refresh_token(&self) -> bool {
        const CODES: [&str; 3] = ["invalid_grant", "invalid_client", "unauthorized_client"];
        matches!(self, Self::Refused { code, .. } if CODES.contains(&code.as_str()))
    }

    /// Whether the same attempt may succeed later without changes.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
            || matches!(self, Self::Answer { status, .. } if *status >= 500 || *status == 429)
    }
}

/// The description after an error code, if there is one.
struct Described<'a>(&'a String);

impl std::fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.as_str() {
            "" => Ok(()),
            text => write!(f, " ({})", OneLine(text)),
        }
    }
}
