//! The current tokens, and one renewal for all waiting calls.

use super::error::LoginError;
use super::tokens::Tokens;
use crate::http::auth::Reason;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long before its expiry a token is renewed: as long as a call may take to reach the server. A token with less than twice
/// this lifetime is renewed after half of it.
const LEEWAY: Duration = Duration::from_secs(45);
/// The pause before another login after one has failed or its token was refused.
const LOGIN_PAUSE: Duration = Duration::from_secs(30);
/// The pause before another refresh of a still valid token after one has failed.
const REFRESH_PAUSE: Duration = Duration::from_secs(5);

/// How a token is renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Renewal {
    /// With the refresh token of these tokens.
    Refresh(Tokens),
    /// By a login of the user.
    Login,
}

/// What a call does next.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Send this bearer token.
    Use(Zeroizing<String>),
    /// Send no credential: the server will respond with where to sign in.
    Anonymous,
    /// Renew the token and report the result with [`TokenHolder::renewed`]. All other calls wait for this one.
    Renew(Renewal),
    /// Another call renews the token. Wait until [`TokenHolder::outcome`] returns the outcome of this number.
    Wait(u64),
    /// A new token would be refused as well.
    GiveUp,
}

impl std::fmt::Debug for Step {
    /// Omits the token.
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

/// The tokens of a client, shared by its concurrent calls.
#[derive(Debug)]
pub struct TokenHolder {
    tokens: Option<Tokens>,
    /// How long before its expiry the bearer is renewed.
    leeway: Duration,
    /// Whether the bearer comes from a refresh, not from a login.
    is_refreshed: bool,
    /// When the user last signed in, if the tokens come from that login.
    logged_in_at: Option<Duration>,
    /// No login is started before this time, except by [`login`](Self::login).
    next_login: Duration,
    /// A token that is still valid is not renewed before this time.
    next_refresh: Duration,
    renewal: Option<Under>,
    /// The number of renewals so far.
    count: u64,
    last: Option<(u64, Result<(), LoginError>)>,
}

/// A renewal in progress.
#[derive(Debug)]
struct Under {
    is_refresh: bool,
    /// Whether a login may be started.
    may_login: bool,
    /// Whether a login must follow, whatever the result of the refresh.
    must_login: bool,
    /// Whether the tokens were forgotten after it began, so that its result is dropped.
    is_stale: bool,
}

impl Default for TokenHolder {
    fn default() -> Self {
        Self::new(None)
    }
}

impl TokenHolder {
    /// Creates a holder of these tokens, or of none.
    pub const fn new(tokens: Option<Tokens>) -> Self {
        Self {
            tokens,
            leeway: LEEWAY,
            is_refreshed: false,
            logged_in_at: None,
            next_login: Duration::ZERO,
            next_refresh: Duration::ZERO,
            renewal: None,
            count: 0,
            last: None,
        }
    }

    /// Returns the current tokens, even if they have expired.
    pub const fn tokens(&self) -> Option<&Tokens> {
        self.tokens.as_ref()
    }

    /// Returns the current bearer if it is still valid at this time. After a failed renewal, calls continue to use it.
    pub fn valid_bearer(&self, now: Duration) -> Option<Zeroizing<String>> {
        let tokens = self.tokens.as_ref().filter(|tokens| tokens.is_valid_at(now))?;
        Some(Zeroizing::new(tokens.bearer().to_owned()))
    }

    /// Returns the outcome of the renewal with this number or of a later one; `None` while it is in progress.
    pub fn outcome(&self, number: u64) -> Option<&Result<(), LoginError>> {
        self.last.as_ref().filter(|(last, _)| *last >= number).map(|(_, outcome)| outcome)
    }

    /// Returns the credential for a call. A token that is about to expire is renewed if this needs no login.
    pub fn request(&mut self, now: Duration) -> Step {
        let Some(tokens) = &self.tokens else {
            return if self.renewal.is_some() { Step::Wait(self.count) } else { Step::Anonymous };
        };
        let is_renewed_later = self.renewal.is_some() || now < self.next_refresh;
        if tokens.is_valid_at(now.saturating_add(self.leeway))
            || (is_renewed_later && tokens.is_valid_at(now))
        {
            return Step::Use(Zeroizing::new(tokens.bearer().to_owned()));
        }
        match (&self.renewal, tokens.can_be_refreshed()) {
            (Some(_), _) => Step::Wait(self.count),
            (None, true) => self.begin(Renewal::Refresh(tokens.clone()), false),
            // The token is used in its last seconds, which may be enough.
            (None, false) if tokens.is_valid_at(now) => Step::Use(Zeroizing::new(tokens.bearer().to_owned())),
            (None, false) => Step::Anonymous,
        }
    }

    /// Reports that a call was refused for this reason with this bearer token, or with none. Never returns [`Step::Anonymous`].
    pub fn refused(&mut self, sent: Option<&str>, reason: Reason, now: Duration) -> Step {
        if matches!(reason, Reason::InsufficientScope | Reason::ProxyRequired) {
            return Step::GiveUp;
        }
        if let Some(renewal) = &mut self.renewal {
            // This call would start a login if it renewed the token itself.
            renewal.may_login = true;
            return Step::Wait(self.count);
        }
        match &self.tokens {
            // Another call has renewed the token since.
            Some(tokens) if sent != Some(tokens.bearer()) && tokens.is_valid_at(now) => {
                Step::Use(Zeroizing::new(tokens.bearer().to_owned()))
            }
            // If a token is refused as invalid right after a refresh, another refresh does not help.
            Some(tokens)
                if tokens.can_be_refreshed()
                    && !(self.is_refreshed && reason == Reason::InvalidCredential) =>
            {
                self.begin(Renewal::Refresh(tokens.clone()), true)
            }
            Some(tokens) if tokens.is_valid_at(now) && self.would_repeat(reason, now) => Step::GiveUp,
            _ if now < self.next_login => Step::GiveUp,
            _ => self.begin(Renewal::Login, true),
        }
    }

    /// Whether another login would most likely return a refused token again, because the server does not accept the token of
    /// the recent login.
    fn would_repeat(&self, reason: Reason, now: Duration) -> bool {
        self.logged_in_at
            .is_some_and(|time| reason != Reason::ExpiredCredential || now < time.saturating_add(LOGIN_PAUSE))
    }

    /// Whether the current renewal began before the tokens were forgotten, so that [`renewed`](Self::renewed) drops its result.
    /// Also true if no renewal is in progress.
    pub fn is_stale(&self) -> bool {
        self.renewal.as_ref().is_none_or(|renewal| renewal.is_stale)
    }

    /// Reports the result of a renewal. Returns [`Renewal::Login`] if the user has to sign in for the waiting calls.
    pub fn renewed(&mut self, result: Result<Tokens, LoginError>, now: Duration) -> Option<Renewal> {
        let Under { is_refresh, may_login, must_login, is_stale } = self.renewal.take()?;
        let outcome = match result {
            _ if is_stale => {
                if must_login || (may_login && now >= self.next_login) {
                    return Some(self.go_on_with_login());
                }
                // A call continues without a token; an explicit login fails.
                if is_refresh { Ok(()) } else { Err(LoginError::SignedOut) }
            }
            Ok(tokens) => {
                let life = tokens.expires_at().map(|end| end.saturating_sub(now));
                self.leeway = life.map_or(LEEWAY, |life| LEEWAY.min(life / 2));
                self.tokens = Some(tokens);
                self.is_refreshed = is_refresh;
                if !is_refresh {
                    self.logged_in_at = Some(now);
                }
                Ok(())
            }
            Err(error) if !is_refresh => {
                self.next_login = now.saturating_add(LOGIN_PAUSE);
                Err(error)
            }
            // The tokens stay: a later call tries again.
            Err(error) if !error.ends_refresh_token() => {
                self.next_refresh = now.saturating_add(REFRESH_PAUSE);
                Err(error)
            }
            // The refresh token is no longer valid.
            Err(_) => {
                self.tokens = None;
                if may_login && now >= self.next_login {
                    return Some(self.go_on_with_login());
                }
                Ok(())
            }
        };
        if must_login && is_refresh {
            return Some(self.go_on_with_login());
        }
        self.last = Some((self.count, outcome));
        None
    }

    /// Forgets the tokens. The result of a renewal in progress is dropped.
    pub fn forget(&mut self) {
        self.tokens = None;
        self.logged_in_at = None;
        if let Some(renewal) = &mut self.renewal {
            // A caller that still wants a login must request it again.
            *renewal =
                Under { is_refresh: renewal.is_refresh, may_login: false, must_login: false, is_stale: true };
        }
    }

    fn begin(&mut self, renewal: Renewal, may_login: bool) -> Step {
        self.count += 1;
        let is_refresh = matches!(renewal, Renewal::Refresh(_));
        self.renewal = Some(Under { is_refresh, may_login, must_login: false, is_stale: false });
        Step::Renew(renewal)
    }

    /// Continues the ended renewal as a login, for all waiting calls.
    fn go_on_with_login(&mut self) -> Renewal {
        self.renewal = Some(Under { is_refresh: false, may_login: true, must_login: false, is_stale: false });
        Renewal::Login
    }

    /// Starts a login, whatever the current tokens.
    pub fn login(&mut self) -> Step {
        match &mut self.renewal {
            Some(renewal) => {
                renewal.must_login = renewal.is_refresh || renewal.is_stale;
                Step::Wait(self.count)
            }
            None => self.begin(Renewal::Login, true),
        }
    }
}
