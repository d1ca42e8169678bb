//! Tests of which headers are accepted, and which are refused.

use super::*;

/// Returns a header with this version and command, family and transport, and bytes after the fixed part.
fn header(version_and_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.extend([version_and_command, family]);
    header.extend((rest.len() as u16).to_be_bytes());
    header.extend(rest);
    header
}

/// 192.0.2.10:4242 to 198.51.100.20:9400.
const IPV4: [u8; 12] = [192, 0, 2, 10, 198, 51, 100, 20, 0x10, 0x92, 0x24, 0xb8];

fn tcp(source: &str, destination: &str) -> ProxiedClient {
    ProxiedClient::Tcp { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

fn tcp_ipv4(fields: &[u8]) -> Vec<u8> {
    header(0x21, TCP_IPV4, &[&IPV4[..], fields].concat())
}

fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &(value.len() as u16).to_be_bytes(), value].concat()
}

/// Parses a header whole, in every split, and with bytes after it, and checks that all results agree.
fn read_with(bytes: &[u8], rules: &Rules) -> Result<ProxiedClient, HeaderError> {
    let whole = parse(bytes, rules);
    let followed = parse(&[bytes, b"PROXY TCP4"].concat(), rules);
    // Bytes after an incomplete header become part of it.
    if !matches!(whole, Ok(Progress::NeedMore(_))) {
        assert_eq!(followed, whole);
    }
    for end in 0..bytes.len() {
        match parse(&bytes[..end], rules) {
            Ok(Progress::NeedMore(missing)) => assert!(missing > 0 && missing <= bytes.len().max(16) - end),
            Ok(Progress::Header { length, .. }) => panic!("{length} bytes of header in {end}"),
            Err(error) => assert_eq!(Err(error), whole, "after {end} bytes"),
        }
    }
    match whole? {
        Progress::Header { client, length } => {
            assert_eq!(length, bytes.len());
            Ok(client)
        }
        Progress::NeedMore(missing) => panic!("{missing} bytes are missing"),
    }
}

fn read(bytes: &[u8]) -> Result<ProxiedClient, HeaderError> {
    read_with(bytes, &Rules::default())
}

fn iroh() -> Rules {
    Rules { iroh: true, ..Rules::default() }
}

#[test]
fn addresses_of_both_families_are_read() {
    assert_eq!(read(&tcp_ipv4(&[])), Ok(tcp("192.0.2.10:4242", "198.51.100.20:9400")));
    let v6 = |source: &str, destination: &str| {
        let ip = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
        let rest = [&ip(source)[..], &ip(destination), &[0x10, 0x92, 0x24, 0xb8]].concat();
        read(&header(0x21, TCP_IPV6, &rest))
    };
    assert_eq!(v6("2001:db8::10", "2001:db8::20"), Ok(tcp("[2001:db8::10]:4242", "[2001:db8::20]:9400")));
    let mapped = v6("::ffff:192.0.2.10", "::ffff:198.51.100.20");
    assert_eq!(mapped, Ok(tcp("192.0.2.10:4242", "198.51.100.20:9400")), "as IPv4");
}

#[test]
fn fields_of_unknown_types_are_passed_over() {
    let client = tcp("192.0.2.10:4242", "198.51.100.20:9400");
    let fields = [field(0x02, b"example.org"), field(0xee, b""), field(IROH_ENDPOINT, b"?")].concat();
    assert_eq!(read(&tcp_ipv4(&fields)), Ok(client));
    assert_eq!(read(&tcp_ipv4(&field(0x20, &[0; 4000]))), Ok(client));
}

#[test]
fn other_beginnings_are_refused_at_their_first_wrong_byte() {
    assert_eq!(read(b"PROXY TCP4 192.0.2.10 198.51.100.20 4242 9400\r\n"), Err(HeaderError::Version1));
    assert_eq!(parse(b"PROXY", &Rules::default()), Ok(Progress::NeedMore(1)));
    assert_eq!(parse(b"", &Rules::default()), Ok(Progress::NeedMore(16)));
    for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01\x02\0\x01\0", b"PROXx ", b"\r\n\r\n\0\r\nQUIT\r"]
    {
        assert_eq!(read(bytes), Err(HeaderError::Signature), "{bytes:?}");
    }
    // Arrow's continuation marker, with which every client of byte streams begins.
    assert_eq!(parse(&[0xff], &Rules::default()), Err(HeaderError::Signature));
}

#[test]
fn only_forwarded_tcp_is_accepted() {
    let refused =
        |version_and_command, family| read(&header(version_and_command, family, &IPV4)).unwrap_err();
    assert_eq!(refused(0x20, TCP_IPV4), HeaderError::Local);
    assert_eq!(refused(0x22, TCP_IPV4), HeaderError::Command(2));
    assert_eq!(refused(0x2f, TCP_IPV4), HeaderError::Command(15));
    assert_eq!(refused(0x11, TCP_IPV4), HeaderError::Version(1));
    assert_eq!(refused(0x31, TCP_IPV4), HeaderError::Version(3));
    for family in (0..=u8::MAX).filter(|family| ![TCP_IPV4, TCP_IPV6].contains(family)) {
        assert_eq!(refused(0x21, family), HeaderError::Family(family));
    }
    assert!(HeaderError::Family(0x12).to_string().ends_with("got 0x12"));
}

#[test]
fn a_header_that_is_too_long_is_refused_before_the_rest_comes() {
    let header = tcp_ipv4(&field(0x20, &[0; 4096 - 28 - 3]));
    assert!(header.len() == 4096 && read(&header).is_ok());
    let longer = tcp_ipv4(&field(0x20, &[0; 4096 - 28 - 2]));
    let error = HeaderError::TooLong { length: 4097, limit: 4096 };
    assert_eq!(parse(&longer[..16], &Rules::default()), Err(error));
    let limit = |max_bytes| read_with(&header, &Rules { max_bytes, ..Rules::default() });
    assert_eq!(limit(4095), Err(HeaderError::TooLong { length: 4096, limit: 4095 }));
}

#[test]
fn addresses_and_fields_must_be_whole() {
    let short = |family, length: usize| read(&header(0x21, family, &[0; 36][..length])).unwrap_err();
    assert_eq!(short(TCP_IPV4, 11), HeaderError::Addresses { expected: 12, length: 11 });
    assert_eq!(short(TCP_IPV4, 0), HeaderError::Addresses { expected: 12, length: 0 });
    assert_eq!(short(TCP_IPV6, 35), HeaderError::Addresses { expected: 36, length: 35 });
    assert_eq!(read(&tcp_ipv4(&[0xee])), Err(HeaderError::FieldHead(1)));
    assert_eq!(read(&tcp_ipv4(&[0xee, 0])), Err(HeaderError::FieldHead(2)));
    let error = HeaderError::FieldValue { kind: 0xee, expected: 4, length: 1 };
    assert_eq!(read(&tcp_ipv4(&[0xee, 0, 4, 1])), Err(error));
    let after_another = [field(4, &[0; 5]), vec![0xee, 0xff, 0xff]].concat();
    let error = HeaderError::FieldValue { kind: 0xee, expected: 0xffff, length: 0 };
    assert_eq!(read(&tcp_ipv4(&after_another)), Err(error));
}

/// Returns a header with this checksum, or its own, between two other fields.
fn with_checksum(sum: Option<u32>) -> Vec<u8> {
    let fields = |sum: u32| [field(4, &[0; 5]), field(CRC32C, &sum.to_be_bytes()), field(1, b"h2")].concat();
    let own = crc32c(tcp_ipv4(&fields(0)).into_iter());
    tcp_ipv4(&fields(sum.unwrap_or(own)))
}

#[test]
fn a_checksum_that_is_there_must_match() {
    let right = with_checksum(None);
    assert!(read(&right).is_ok());
    assert_eq!(read(&with_checksum(Some(0))), Err(HeaderError::Checksum));
    // One bit in an address, and one in the last field.
    for index in [FIXED_BYTES + 3, right.len() - 1] {
        let mut damaged = right.clone();
        damaged[index] ^= 1;
        assert_eq!(read(&damaged), Err(HeaderError::Checksum), "byte {index}");
    }
    assert_eq!(read(&tcp_ipv4(&field(CRC32C, &[0; 3]))), Err(HeaderError::Checksum));
    // The second checksum matches.
    let two = |sum: u32| tcp_ipv4(&[field(CRC32C, &[1; 4]), field(CRC32C, &sum.to_be_bytes())].concat());
    let second = crc32c(two(0).into_iter());
    assert_eq!(read(&two(second)), Err(HeaderError::Checksum));
    let twice = [&right[28..], &field(CRC32C, &[0; 4])].concat();
    assert_eq!(read(&tcp_ipv4(&twice)), Err(HeaderError::Checksum));
}

/// The cases of `transport_identity_vectors.json`, "iroh_proxy_v2".
#[test]
fn bridges_for_iroh_are_accepted_where_they_are_turned_on() {
    let endpoint: [u8; 32] = std::array::from_fn(|index| index as u8);
    let identity = field(IROH_ENDPOINT, &[&[1], &endpoint[..]].concat());
    let bridge = |fields: &[u8]| read_with(&header(0x21, UNSPECIFIED, fields), &iroh());
    assert_eq!(bridge(&identity), Ok(ProxiedClient::Iroh { endpoint }));
    let beside_others = [field(0xee, &[7]), identity.clone()].concat();
    assert_eq!(bridge(&beside_others), Ok(ProxiedClient::Iroh { endpoint }));

    assert_eq!(bridge(&[]), Err(IrohError::Missing.into()));
    assert_eq!(bridge(&[&identity[..], &identity].concat()), Err(IrohError::Duplicate.into()));
    let version_2 = field(IROH_ENDPOINT, &[&[2], &endpoint[..]].concat());
    assert_eq!(bridge(&version_2), Err(IrohError::Version(2).into()));
    let short = field(IROH_ENDPOINT, &[1, 0, 1, 2, 3]);
    assert_eq!(bridge(&short), Err(IrohError::Length(5).into()));
    assert_eq!(bridge(&field(IROH_ENDPOINT, &[])), Err(IrohError::Length(0).into()));
    let beside_addresses = tcp_ipv4(&identity);
    assert_eq!(read_with(&beside_addresses, &iroh()), Err(IrohError::Addresses.into()));

    // Without the setting, such a header is refused, and the field is ignored.
    let error = HeaderError::Family(UNSPECIFIED);
    assert_eq!(read(&header(0x21, UNSPECIFIED, &identity)), Err(error));
    assert_eq!(read(&beside_addresses), Ok(tcp("192.0.2.10:4242", "198.51.100.20:9400")));
    // With the setting, addresses are still accepted.
    assert!(read_with(&tcp_ipv4(&[]), &iroh()).is_ok());
    assert_eq!(read_with(&header(0x20, UNSPECIFIED, &identity), &iroh()), Err(HeaderError::Local));
}
