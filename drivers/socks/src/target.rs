//! The target of a connection.

use std::fmt;
use std::net::IpAddr;
use thiserror::Error;

/// The maximum number of bytes of a name, and of each part of it.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// A target that cannot be expressed in a request to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The host is neither an IP address nor a name.
    #[error(
        "expected an IP address, or a host name of letters, digits, '-' and '_' in parts of 1 to 63 characters and 253 in all; international names are written with xn--"
    )]
    Host,
    /// The port is zero.
    #[error("expected a port from 1 to 65535, got 0")]
    Port,
}

/// A host and a port. The proxy resolves the name of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    /// At most [`MAX_NAME`] bytes.
    Name(String),
}

impl Target {
    /// Creates a target, whose host is a name or an IP address without brackets.
    ///
    /// # Errors
    /// If the host is neither, or the port is zero.
    pub fn new(host: &str, port: u16) -> Result<Self, TargetError> {
        if port == 0 {
            return Err(TargetError::Port);
        }
        let host = match host.parse() {
            Ok(address) => Host::Address(address),
            Err(_) if is_name(host) => Host::Name(host.to_owned()),
            Err(_) => return Err(TargetError::Host),
        };
        Ok(Self { host, port })
    }

    /// Appends the address type, the address and the port. RFC 1928, section 5.
    pub(crate) fn write(&self, message: &mut Vec<u8>) {
        match &self.host {
            Host::Address(IpAddr::V4(address)) => {
                message.push(1);
                message.extend(address.octets());
            }
            Host::Name(name) => {
                // A name has at most this length.
                message.extend([3, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
                message.extend(name.bytes());
            }
            Host::Address(IpAddr::V6(address)) => {
                message.push(4);
                message.extend(address.octets());
            }
        }
        message.extend(self.port.to_be_bytes());
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            Host::Address(address) => write!(f, "{address}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= MAX_NAME && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(host: &str) -> Vec<u8> {
        let mut message = Vec::new();
        Target::new(host, 0x1234).unwrap().write(&mut message);
        message
    }

    #[test]
    fn targets_are_written_as_what_they_are() {
        assert_eq!(written("192.0.2.10"), [1, 192, 0, 2, 10, 0x12, 0x34]);
        assert_eq!(written("a.example"), *b"\x03\x09a.example\x12\x34");
        let v6 = written("2001:db8::1");
        assert_eq!((v6[0], v6.len(), &v6[17..]), (4, 19, &[0x12, 0x34][..]));
        assert_eq!(Target::new("2001:db8::1", 80).unwrap().to_string(), "[2001:db8::1]:80");
        assert_eq!(Target::new("a.example", 80).unwrap().to_string(), "a.example:80");
    }

    #[test]
    fn what_is_not_a_host_is_refused() {
        let long = "a".repeat(64);
        let many = "a.".repeat(126) + "ab";
        for host in [
            "",
            ".",
            "a..b",
            "a.",
            ".a",
            "a b",
            "a\0b",
            "a\r\nb",
            "-a",
            "a-",
            "caf\u{e9}",
            "[::1]",
            "a:1",
            "a/b",
            "u@a",
            &long,
            &many,
        ] {
            assert_eq!(Target::new(host, 1), Err(TargetError::Host), "{host:?}");
        }
        for host in
            ["a", "xn--caf-dma.example", "my_service", "127.1", &"a".repeat(63), &("a.".repeat(126) + "a")]
        {
            assert!(Target::new(host, 1).is_ok(), "{host:?}");
        }
        assert_eq!(Target::new("a", 0), Err(TargetError::Port));
    }
}
