//! The current tokens, and one renewal for all calls that wait.

use super::error::LoginError;
use super::tokens::Tokens;
use crate::http::auth::Reason;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long before its end a token is renewed: as long as a call may take to reach the server.
const LEEWAY: Duration = Duration::from_secs(45);

/// How a token is renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Renewal {
    /// By the refresh token of these.
    Refresh(Tokens),
    /// By a person who signs in.
    Login,
}

/// What a call does next.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Send this bearer token.
    Use(Zeroizing<String>),
    /// Send no credential: the server says where to sign in.
    Anonymous,
    /// Renew the token, and say what came of it with [`TokenHolder::renewed`]. All other calls wait for this one.
    Renew(Renewal),
    /// Another call renews the token. Wait until [`TokenHolder::outcome`] of this number is there.
    Wait(u64),
    /// A new token would be refused as well.
    GiveUp,
}

impl std::fmt::Debug for Step {
    /// Leaves the token out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Use(_) => f.write_str("Use"),
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Renew(renewal) => f.debug_tuple("Renew").field(renewal).finish(),
            Self::Wait(number) => f.debug_tuple("Wait").field(number).finish(),
            Self::GiveUp => f.write_str("GiveUp"),
        }
    }
}

/// The tokens of a client, whatever number of calls uses them.
#[derive(Debug, Default)]
pub struct TokenHolder {
    tokens: Option<Tokens>,
    /// The bearer was made by a refresh, and not by a login.
    is_refreshed: bool,
    renewal: Option<Under>,
    /// Renewals so far.
    count: u64,
    last: Option<(u64, Result<(), LoginError>)>,
}

/// A renewal that is under way.
#[derive(Debug)]
struct Under {
    is_refresh: bool,
    /// A person may be asked.
    may_login: bool,
}

impl TokenHolder {
    /// A holder of these tokens, or of none.
    pub fn new(tokens: Option<Tokens>) -> Self {
        Self { tokens, ..Self::default() }
    }

    /// The current tokens, valid or not.
    pub const fn tokens(&self) -> Option<&Tokens> {
        self.tokens.as_ref()
    }

    /// What came of the renewal of this number, or of one after it; `None` while it is under way.
    pub fn outcome(&self, number: u64) -> Option<&Result<(), LoginError>> {
        self.last.as_ref().filter(|(last, _)| *last >= number).map(|(_, outcome)| outcome)
    }

    /// A call wants a credential. A token that is about to expire is renewed if no person is needed for it.
    pub fn request(&mut self, now: Duration) -> Step {
        let Some(tokens) = &self.tokens else {
            return if self.renewal.is_some() { Step::Wait(self.count) } else { Step::Anonymous };
        };
        if tokens.is_valid_at(now.saturating_add(LEEWAY))
            || (self.renewal.is_some() && tokens.is_valid_at(now))
        {
            return Step::Use(Zeroizing::new(tokens.bearer().to_owned()));
        }
        match (&self.renewal, tokens.can_be_refreshed()) {
            (Some(_), _) => Step::Wait(self.count),
            (None, true) => self.begin(Renewal::Refresh(tokens.clone()), false),
            // Its last seconds are used: they may be enough.
            (None, false) if tokens.is_valid_at(now) => Step::Use(Zeroizing::new(tokens.bearer().to_owned())),
            (None, false) => Step::Anonymous,
        }
    }

    /// A call was refused for this reason with this bearer token, or with none. It never returns [`Step::Anonymous`].
    pub fn refused(&mut self, sent: Option<&str>, reason: Reason, now: Duration) -> Step {
        if matches!(reason, Reason::InsufficientScope | Reason::ProxyRequired) {
            return Step::GiveUp;
        }
        if self.renewal.is_some() {
            return Step::Wait(self.count);
        }
        match &self.tokens {
            // Another call has renewed it in the meantime.
            Some(tokens) if sent != Some(tokens.bearer()) && tokens.is_valid_at(now) => {
                Step::Use(Zeroizing::new(tokens.bearer().to_owned()))
            }
            // What is refused as invalid right after a refresh is not made valid by another one.
            Some(tokens)
                if tokens.can_be_refreshed()
                    && !(self.is_refreshed && reason == Reason::InvalidCredential) =>
            {
                self.begin(Renewal::Refresh(tokens.clone()), true)
            }
            _ => self.begin(Renewal::Login, true),
        }
    }

    /// What came of a renewal. Returns [`Renewal::Login`] if a person has to sign in for the calls that wait.
    pub fn renewed(&mut self, result: Result<Tokens, LoginError>) -> Option<Renewal> {
        let renewal = self.renewal.take()?;
        let outcome = match result {
            Ok(tokens) => {
                self.tokens = Some(tokens);
                self.is_refreshed = renewal.is_refresh;
                Ok(())
            }
            // The tokens stay: the next call tries again.
            Err(error) if !renewal.is_refresh || error.is_temporary() => Err(error),
            // The refresh token is no longer good.
            Err(_) => {
                self.tokens = None;
                if renewal.may_login {
                    self.renewal = Some(Under { is_refresh: false, may_login: true });
                    return Some(Renewal::Login);
                }
                Ok(())
            }
        };
        self.last = Some((self.count, outcome));
        None
    }

    /// Forgets the tokens. A renewal that is under way goes on.
    pub fn forget(&mut self) {
        self.tokens = None;
    }

    fn begin(&mut self, renewal: Renewal, may_login: bool) -> Step {
        self.count += 1;
        self.renewal = Some(Under { is_refresh: matches!(renewal, Renewal::Refresh(_)), may_login });
        Step::Renew(renewal)
    }

    /// A person is to sign in now, whatever tokens there are.
    pub fn login(&mut self) -> Step {
        match self.renewal {
            Some(_) => Step::Wait(self.count),
            None => self.begin(Renewal::Login, true),
        }
    }
}
