//! A hostile proxy: any number of bytes of a PROXY protocol header gives the same result, no header is longer than
//! allowed, and the result matches its content.
//!
//! The first byte of an input selects which headers are accepted, and the prefix of the rest: nothing, or the beginning
//! of a header with a matching length.

use std::net::{IpAddr, SocketAddr};
use vgi_rpc_proxy_protocol::{HeaderError, Progress, Rules, parse};
use vgi_rpc_reactor::ProxiedClient;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Parses a header from every prefix of the bytes.
pub fn run(data: &[u8]) {
    let Some((plan, rest)) = data.split_first() else { return };
    let mut rules = Rules::default();
    rules.iroh = plan & 1 != 0;
    rules.max_bytes = if plan & 2 != 0 { 60 } else { 4096 };
    let family = match plan >> 2 & 3 {
        0 => None,
        1 => Some(0x11),
        2 => Some(0x21),
        _ => Some(0),
    };
    let bytes = match (family, u16::try_from(rest.len())) {
        (Some(family), Ok(length)) => {
            [&SIGNATURE[..], &[0x21, family], &length.to_be_bytes(), rest].concat()
        }
        _ => rest.to_vec(),
    };
    let whole = parse(&bytes, &rules);
    check(&bytes, whole, &rules);
    // Only the ends of longer inputs are used.
    let ends = (0..bytes.len().min(256)).chain(bytes.len().saturating_sub(16)..bytes.len());
    for end in ends {
        let part = parse(&bytes[..end], &rules);
        if let Ok(Progress::NeedMore(missing)) = part {
            assert!(missing > 0 && end + missing <= rules.max_bytes.max(16), "{missing} after {end}");
        } else {
            assert_eq!(part, whole, "after {end} bytes");
        }
    }
    let _ = parse(&[&bytes[..], b"more"].concat(), &rules);
}

/// Compares the result with the bytes, and with a header that is written from it.
fn check(bytes: &[u8], read: Result<Progress, HeaderError>, rules: &Rules) {
    match read {
        Ok(Progress::Header { client, length }) => {
            assert!((16..=rules.max_bytes).contains(&length) && length <= bytes.len());
            assert!(bytes.starts_with(SIGNATURE) && bytes[12] == 0x21);
            assert_eq!(usize::from(u16::from_be_bytes([bytes[14], bytes[15]])), length - 16);
            let written = write(client);
            let mut plain = Rules::default();
            plain.iroh = rules.iroh;
            let again = Progress::Header { client, length: written.len() };
            assert_eq!(parse(&written, &plain), Ok(again));
            assert_eq!(parse(&[&bytes[..length], b"more"].concat(), rules), read, "for any following bytes");
        }
        Ok(Progress::NeedMore(_)) => {}
        Err(error) => {
            assert!(!error.to_string().contains(char::is_control));
            let mut longer = bytes.to_vec();
            longer.push(0);
            assert_eq!(parse(&longer, rules), read, "no more bytes make it right");
        }
    }
}

/// Returns a header for this client.
fn write(client: ProxiedClient) -> Vec<u8> {
    let (family, rest) = match client {
        ProxiedClient::Tcp { source, destination } => tcp(source, destination),
        ProxiedClient::Iroh { endpoint } => (0, [&[0xe0, 0, 33, 1][..], &endpoint].concat()),
        other => panic!("{other:?}"),
    };
    let length = u16::try_from(rest.len()).expect("it is short").to_be_bytes();
    [&SIGNATURE[..], &[0x21, family], &length, &rest].concat()
}

fn tcp(source: SocketAddr, destination: SocketAddr) -> (u8, Vec<u8>) {
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (0x11, [&from.octets()[..], &to.octets(), &ports].concat()),
        (from, to) => {
            let wide = |address| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            };
            (0x21, [&wide(from)[..], &wide(to), &ports].concat())
        }
    }
}
