//! Parses headers of version 2. The format is specified in haproxy's `proxy-protocol.txt`, section 2.2; the field for Iroh in
//! `transport-identity-spec.md`, "Iroh bridge forwarding".

use crate::checksum::crc32c;
use crate::header_error::{HeaderError, IrohError};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use vgi_rpc_reactor::ProxiedClient;

/// The first bytes of a header.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The first bytes of a header of version 1.
const VERSION_1: &[u8; 6] = b"PROXY ";
/// Signature, version and command, family and transport, length of the rest.
pub(crate) const FIXED_BYTES: usize = 16;

/// The commands.
const LOCAL: u8 = 0;
const PROXY: u8 = 1;

/// Families and transports.
const UNSPECIFIED: u8 = 0x00;
const TCP_IPV4: u8 = 0x11;
const TCP_IPV6: u8 = 0x21;

/// Types of fields.
const CRC32C: u8 = 0x03;
const IROH_ENDPOINT: u8 = 0xe0;

/// The size of a field's type and length.
const FIELD_HEAD: usize = 3;

/// The version of the field for Iroh.
const IROH_VERSION: u8 = 1;

/// Which headers are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// The maximum size of a header, in bytes. Default 4096: addresses need at most 52 bytes, and the fields that proxies add,
    /// for example a TLS client's certificate name, some hundreds.
    pub max_bytes: usize,
    /// Whether an Iroh bridge is accepted: a header without addresses that has the client's endpoint id in its field 0xe0.
    /// Otherwise this field is ignored, like all others. Default false.
    pub iroh: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { max_bytes: 4096, iroh: false }
    }
}

/// How much of a header has been received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// At least this number of bytes is missing, and all of them belong to the header.
    NeedMore(usize),
    /// The header is complete.
    Header {
        /// The client that it names.
        client: ProxiedClient,
        /// The header's length in bytes. The client's own bytes follow.
        length: usize,
    },
}

/// Parses the header at the beginning of `bytes`, which may be incomplete.
///
/// A wrong byte is detected as soon as it is in `bytes`. The result for a header does not depend on the bytes after it, or on
/// how it was split.
///
/// # Errors
/// If the bytes are not, or cannot become, a header that the rules accept.
pub fn parse(bytes: &[u8], rules: &Rules) -> Result<Progress, HeaderError> {
    if let Some(missing) = check_signature(bytes)? {
        return Ok(Progress::NeedMore(missing));
    }
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_BYTES>() else {
        return Ok(Progress::NeedMore(FIXED_BYTES - bytes.len()));
    };
    let [.., version_and_command, family, high, low] = *fixed;
    match (version_and_command >> 4, version_and_command & 0x0f) {
        (2, PROXY) => {}
        (2, LOCAL) => return Err(HeaderError::Local),
        (2, command) => return Err(HeaderError::Command(command)),
        (version, _) => return Err(HeaderError::Version(version)),
    }
    let address_bytes = match family {
        TCP_IPV4 => 2 * (4 + 2),
        TCP_IPV6 => 2 * (16 + 2),
        UNSPECIFIED if rules.iroh => 0,
        family => return Err(HeaderError::Family(family)),
    };
    let rest_length = usize::from(u16::from_be_bytes([high, low]));
    let length = FIXED_BYTES + rest_length;
    if length > rules.max_bytes {
        return Err(HeaderError::TooLong { length, limit: rules.max_bytes });
    }
    if rest_length < address_bytes {
        return Err(HeaderError::Addresses { expected: address_bytes, length: rest_length });
    }
    let Some(rest) = rest.get(..rest_length) else {
        return Ok(Progress::NeedMore(rest_length - rest.len()));
    };
    let (addresses, fields) = rest.split_at(address_bytes);
    let fields = read_fields(fields)?;
    if let Some((sum, position)) = fields.checksum {
        check_sum(fixed, rest, sum, address_bytes + position)?;
    }
    let client = match (addresses_of(addresses), fields.iroh.filter(|_| rules.iroh)) {
        (Some(_), Some(_)) => return Err(IrohError::Addresses.into()),
        (Some((source, destination)), None) => ProxiedClient::Tcp { source, destination },
        (None, Some(field)) => ProxiedClient::Iroh { endpoint: field? },
        (None, None) => return Err(IrohError::Missing.into()),
    };
    Ok(Progress::Header { client, length })
}

/// Refuses bytes with which no header begins. Returns how many bytes are missing to determine the version, if any.
fn check_signature(bytes: &[u8]) -> Result<Option<usize>, HeaderError> {
    let agree = |expected: &[u8]| bytes.iter().zip(expected).all(|(byte, expected)| byte == expected);
    if agree(SIGNATURE) {
        return Ok(None);
    }
    if !agree(VERSION_1) {
        return Err(HeaderError::Signature);
    }
    match VERSION_1.len().checked_sub(bytes.len()) {
        None | Some(0) => Err(HeaderError::Version1),
        missing => Ok(missing),
    }
}

/// The fields of a header that are used.
#[derive(Default)]
struct Fields {
    /// The checksum, and the offset of its value within the fields.
    checksum: Option<(u32, usize)>,
    /// The endpoint id of the field for Iroh, if there is one.
    iroh: Option<Result<[u8; 32], IrohError>>,
}

/// Parses all fields. Those of unknown types are ignored, but must be complete.
fn read_fields(fields: &[u8]) -> Result<Fields, HeaderError> {
    let mut found = Fields::default();
    let mut rest = fields;
    while !rest.is_empty() {
        let Some(([kind, high, low], after)) = rest.split_first_chunk::<FIELD_HEAD>() else {
            return Err(HeaderError::FieldHead(rest.len()));
        };
        let expected = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((value, after)) = after.split_at_checked(expected) else {
            return Err(HeaderError::FieldValue { kind: *kind, expected, length: after.len() });
        };
        match *kind {
            CRC32C => {
                let position = fields.len() - after.len() - value.len();
                let sum = <[u8; 4]>::try_from(value).map_err(|_| HeaderError::Checksum)?;
                if found.checksum.replace((u32::from_be_bytes(sum), position)).is_some() {
                    return Err(HeaderError::Checksum);
                }
            }
            IROH_ENDPOINT if found.iroh.is_some() => found.iroh = Some(Err(IrohError::Duplicate)),
            IROH_ENDPOINT => found.iroh = Some(iroh_endpoint(value)),
            _ => {}
        }
        rest = after;
    }
    Ok(found)
}

fn iroh_endpoint(value: &[u8]) -> Result<[u8; 32], IrohError> {
    let whole = <[u8; 33]>::try_from(value).map_err(|_| IrohError::Length(value.len()))?;
    match whole {
        [IROH_VERSION, endpoint @ ..] => Ok(endpoint),
        [version, ..] => Err(IrohError::Version(version)),
    }
}

/// Verifies the header's checksum, which counts as zeros in the computation.
fn check_sum(
    fixed: &[u8; FIXED_BYTES],
    rest: &[u8],
    expected: u32,
    position: usize,
) -> Result<(), HeaderError> {
    let value = position..position + 4;
    let rest = rest.iter().enumerate().map(|(index, byte)| if value.contains(&index) { 0 } else { *byte });
    match crc32c(fixed.iter().copied().chain(rest)) == expected {
        true => Ok(()),
        false => Err(HeaderError::Checksum),
    }
}

/// Returns the source and destination; `None` if bytes are missing.
fn addresses_of(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (source, destination, ports) = if let Some((source, rest)) = bytes.split_first_chunk::<16>() {
        let (destination, ports) = rest.split_first_chunk::<16>()?;
        // An IPv4-mapped IPv6 address is the same client as the IPv4 address.
        let ip = |bytes: &[u8; 16]| IpAddr::from(Ipv6Addr::from(*bytes)).to_canonical();
        (ip(source), ip(destination), ports)
    } else {
        let (source, rest) = bytes.split_first_chunk::<4>()?;
        let (destination, ports) = rest.split_first_chunk::<4>()?;
        let ip = |bytes: &[u8; 4]| IpAddr::from(Ipv4Addr::from(*bytes));
        (ip(source), ip(destination), ports)
    };
    let [a, b, c, d] = *ports.first_chunk::<4>()?;
    let port = |bytes| u16::from_be_bytes(bytes);
    Some((SocketAddr::new(source, port([a, b])), SocketAddr::new(destination, port([c, d]))))
}

#[cfg(test)]
mod tests;
