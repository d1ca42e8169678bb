//! Quotas of sessions per caller, and the count of each caller's open sessions.

use super::slot::Slot;
use crate::http::token::TokenOwner;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::collections::BTreeMap;

/// The default maximum number of open sessions of one authenticated principal: a sixteenth of
/// [`DEFAULT_MAX_SESSIONS`](super::DEFAULT_MAX_SESSIONS), so that no single caller can use all of them. A gateway that calls
/// for many users as one principal needs more.
pub const DEFAULT_MAX_PER_PRINCIPAL: usize = 256;

/// The prefix length of an IPv6 network. One host can use any address of its network.
const IPV6_NETWORK_BITS: u32 = 64;

/// The account that a new session counts against, and its limit of open sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    pub(super) account: Box<str>,
    pub(super) limit: usize,
}

impl Quota {
    /// Returns the quota of an authenticated principal; `None` for an anonymous caller.
    pub fn of_principal(identity: &TokenOwner, limit: usize) -> Option<Self> {
        let key = identity.principal_key()?;
        Some(Self { account: format!("principal {key}").into(), limit })
    }

    /// Returns the quota of an address, given as `IP:PORT`. The port is ignored, and only the first 64 bits of an IPv6 address
    /// count. An address in another format is used unchanged.
    pub fn of_address(address: &str, limit: usize) -> Self {
        let account = match address.parse::<SocketAddr>() {
            Ok(address) => format!("address {}", network(address.ip())),
            Err(_) => format!("address {address:?}"),
        };
        Self { account: account.into(), limit }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let host_bits = u128::BITS - IPV6_NETWORK_BITS;
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> host_bits << host_bits))
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// The number of open sessions of each account.
#[derive(Debug, Default)]
pub(super) struct Accounts(BTreeMap<Box<str>, usize>);

impl Accounts {
    /// Returns the limit if the account has reached it.
    pub(super) fn reached(&self, quota: Option<&Quota>) -> Option<usize> {
        let quota = quota?;
        let open = self.0.get(&quota.account).copied().unwrap_or_default();
        (open >= quota.limit).then_some(quota.limit)
    }

    pub(super) fn add(&mut self, slot: &Slot) {
        if let Some(account) = &slot.account {
            *self.0.entry(account.clone()).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, slot: &Slot) {
        let Some(account) = &slot.account else { return };
        if let Some(open) = self.0.get_mut(account) {
            *open -= 1;
            if *open == 0 {
                self.0.remove(account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_one_account_whatever_its_port() {
        let account = |address: &str| Quota::of_address(address, 1).account;
        assert_eq!(account("192.0.2.7:1"), account("192.0.2.7:65535"));
        assert_eq!(account("192.0.2.7:1"), account("[::ffff:192.0.2.7]:1"));
        assert_ne!(account("192.0.2.7:1"), account("192.0.2.8:1"));
        assert_eq!(account("[2001:db8::1]:1"), account("[2001:db8:0:0:ffff::2]:9"));
        assert_ne!(account("[2001:db8::1]:1"), account("[2001:db8:0:1::1]:1"));
        assert_ne!(account("a socket"), account("another"));
    }

    #[test]
    fn principals_of_different_domains_and_addresses_are_different_accounts() {
        let ann = TokenOwner::principal("corp", "ann");
        let account = |identity: &TokenOwner| Quota::of_principal(identity, 1).map(|quota| quota.account);
        assert_eq!(account(&TokenOwner::anonymous()), None);
        assert_eq!(account(&ann), account(&ann.clone().with_peer_evidence("another machine")));
        assert_ne!(account(&ann), account(&TokenOwner::principal("other", "ann")));
        assert_ne!(account(&TokenOwner::principal("ab", "c")), account(&TokenOwner::principal("a", "bc")));
        let named_like_an_address = TokenOwner::principal("", "192.0.2.7");
        assert_ne!(account(&named_like_an_address), Some(Quota::of_address("192.0.2.7:1", 1).account));
    }
}
