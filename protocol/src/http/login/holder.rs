//! The current tokens, and one renewal for all calls that wait.

use super::error::LoginError;
use super::tokens::Tokens;
use crate::http::auth::Reason;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long before its end a token is renewed: as long as a call may take to reach the server. A token that lives less than twice
/// as long is renewed after half of its life.
const LEEWAY: Duration = Duration::from_secs(45);
/// How long no person is asked again after a login that has failed, or one whose token was refused.
const LOGIN_PAUSE: Duration = Duration::from_secs(30);
/// How long a token that is still valid is not renewed after a refresh that has failed.
const REFRESH_PAUSE: Duration = Duration::from_secs(5);

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
#[derive(Debug)]
pub struct TokenHolder {
    tokens: Option<Tokens>,
    /// How long before its end the bearer is renewed.
    leeway: Duration,
    /// The bearer was made by a refresh, and not by a login.
    is_refreshed: bool,
    /// When a person last signed in, if the tokens come from that.
    logged_in_at: Option<Duration>,
    /// No person is asked before this time, but by [`login`](Self::login).
    next_login: Duration,
    /// A token that is still valid is not renewed before this time.
    next_refresh: Duration,
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
    /// A person is to be asked, whatever the refresh gives.
    must_login: bool,
    /// The tokens were forgotten after it began: what it gives is dropped.
    is_stale: bool,
}

impl Default for TokenHolder {
    fn default() -> Self {
        Self::new(None)
    }
}

impl TokenHolder {
    /// A holder of these tokens, or of none.
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

    /// The current tokens, valid or not.
    pub const fn tokens(&self) -> Option<&Tokens> {
        self.tokens.as_ref()
    }

    /// The current bearer, if it is still valid at this time. After a renewal that has failed, calls go on with it.
    pub fn valid_bearer(&self, now: Duration) -> Option<Zeroizing<String>> {
        let tokens = self.tokens.as_ref().filter(|tokens| tokens.is_valid_at(now))?;
        Some(Zeroizing::new(tokens.bearer().to_owned()))
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
        let is_renewed_later = self.renewal.is_some() || now < self.next_refresh;
        if tokens.is_valid_at(now.saturating_add(self.leeway))
            || (is_renewed_later && tokens.is_valid_at(now))
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
        if let Some(renewal) = &mut self.renewal {
            // This call would ask a person if it renewed the token itself.
            renewal.may_login = true;
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
            Some(tokens) if tokens.is_valid_at(now) && self.would_repeat(reason, now) => Step::GiveUp,
            _ if now < self.next_login => Step::GiveUp,
            _ => self.begin(Renewal::Login, true),
        }
    }

    /// Whether another login would most likely give what was refused: the server does not take what this process has signed in for.
    fn would_repeat(&self, reason: Reason, now: Duration) -> bool {
        self.logged_in_at
            .is_some_and(|time| reason != Reason::ExpiredCredential || now < time.saturating_add(LOGIN_PAUSE))
    }

    /// Whether the renewal that is under way began before the tokens were forgotten, so that [`renewed`](Self::renewed) drops what
    /// it gives. True also if none is under way.
    pub fn is_stale(&self) -> bool {
        self.renewal.as_ref().is_none_or(|renewal| renewal.is_stale)
    }

    /// What came of a renewal. Returns [`Renewal::Login`] if a person has to sign in for the calls that wait.
    pub fn renewed(&mut self, result: Result<Tokens, LoginError>, now: Duration) -> Option<Renewal> {
        let Under { is_refresh, may_login, must_login, is_stale } = self.renewal.take()?;
        let outcome = match result {
            _ if is_stale => {
                if must_login || (may_login && now >= self.next_login) {
                    return Some(self.go_on_with_login());
                }
                // A call goes on without a token; a person who signs in is told.
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
            // The refresh token is no longer good.
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

    /// Forgets the tokens. What a renewal that is under way gives is dropped.
    pub fn forget(&mut self) {
        self.tokens = None;
        self.logged_in_at = None;
        if let Some(renewal) = &mut self.renewal {
            // Whoever wants a login after this says so again.
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

    /// The renewal that has ended goes on as a login, for all calls that wait.
    fn go_on_with_login(&mut self) -> Renewal {
        self.renewal = Some(Under { is_refresh: false, may_login: true, must_login: false, is_stale: false });
        Renewal::Login
    }

    /// A person is to sign in now, whatever tokens there are.
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
