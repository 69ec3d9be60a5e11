//! May an outgoing request go to this URL?
//!
//! Addresses and names that lead inside (this machine, its network, the
//! machine's metadata service) are refused, in whatever way they are written.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Longest URL, in bytes: what the database keeps.
pub const MAX_URL: usize = 500;

/// Why a URL is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Longer than it may be.
    TooLong,
    /// Not an absolute URL with a host.
    Malformed,
    /// Not `https`.
    Scheme,
    /// With a user name or password in it.
    Credentials,
    /// Leads inside.
    Inside,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the URL is too long",
            Self::Malformed => "not a URL",
            Self::Scheme => "the URL does not begin with https://",
            Self::Credentials => "the URL contains a user name or password",
            Self::Inside => "the address is not a public one",
        })
    }
}

impl std::error::Error for Refusal {}

/// Reads a URL that requests may go to. `allow_private` is for local
/// development: it allows `http` and every host.
///
/// # Errors
/// The first reason to refuse it.
pub fn check(url: &str, allow_private: bool) -> Result<Url, Refusal> {
    check_up_to(url, MAX_URL, allow_private)
}

/// [`check`] for URLs that may have another length, in bytes.
///
/// # Errors
/// The first reason to refuse it.
pub fn check_up_to(url: &str, most: usize, allow_private: bool) -> Result<Url, Refusal> {
    if url.len() > most {
        return Err(Refusal::TooLong);
    }
    // The parser would drop or correct these silently.
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    if url.chars().any(odd) {
        return Err(Refusal::Malformed);
    }
    let url = Url::parse(url).map_err(|_| Refusal::Malformed)?;
    match url.scheme() {
        "https" => {}
        "http" if allow_private => {}
        _ => return Err(Refusal::Scheme),
    }
    if url.as_str().len() > most {
        return Err(Refusal::TooLong);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::Credentials);
    }
    let inside = match url.host().ok_or(Refusal::Malformed)? {
        Host::Domain(name) => is_inside_name(name),
        Host::Ipv4(ip) => is_inside_v4(ip),
        Host::Ipv6(ip) => is_inside_v6(ip),
    };
    if inside && !allow_private {
        return Err(Refusal::Inside);
    }
    Ok(url)
}

/// The last labels of names that only mean something inside a network.
const INSIDE_SUFFIXES: [&str; 17] = [
    "alt",
    "arpa",
    "cluster",
    "consul",
    "i2p",
    "onion",
    "svc",
    "test",
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "private",
    "corp",
    "lan",
    "home",
];

/// `name` is lower case: the URL parser made it so.
fn is_inside_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    // A single label is completed by the resolver's search list, and an empty one is no name.
    !name.contains('.')
        || name.split('.').any(str::is_empty)
        || INSIDE_SUFFIXES.iter().any(|suffix| {
            name.strip_suffix(suffix)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
}

/// The IPv4 networks of the special-purpose registry that are not public.
const INSIDE_V4: [([u8; 4], u32); 17] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    // The metadata service of a cloud that has it on a public address.
    ([168, 63, 129, 16], 32),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

fn is_inside_v4(ip: Ipv4Addr) -> bool {
    let ip = u32::from(ip);
    INSIDE_V4
        .iter()
        .any(|(network, length)| (ip ^ u32::from_be_bytes(*network)) >> (32 - length) == 0)
}

fn is_inside_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match s {
        // Compatible (with :: and ::1), mapped, translated, NAT64.
        [0, 0, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_inside_v4(v4(high, low)),
        // Teredo: its server, and the client behind it with every bit turned.
        [0x2001, 0, high, low, _, _, last_high, last_low] => {
            is_inside_v4(v4(high, low)) || is_inside_v4(v4(!last_high, !last_low))
        }
        // 6to4.
        [0x2002, high, low, ..] => is_inside_v4(v4(high, low)),
        // Protocol assignments (benchmark, ORCHID and others), documentation.
        [0x2001, second, ..] => second < 0x200 || second == 0xdb8,
        [0x3fff, second, ..] => second < 0x1000,
        // Global unicast is 2000::/3. Everything else is not: unique local,
        // link-local, site-local, multicast, the local NAT64 prefix, unassigned.
        [first, ..] => first >> 13 != 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn public_addresses_are_allowed() {
        for url in [
            "https://example.com/hooks?a=b#c",
            "https://EXAMPLE.com.:8443/",
            "https://1.1.1.1/",
            "https://172.15.0.1/",
            "https://172.32.0.1/",
            "https://100.63.255.255/",
            "https://100.128.0.1/",
            "https://198.17.0.1/",
            "https://[2606:4700::1111]/",
            "https://[::ffff:1.1.1.1]/",
            "https://[64:ff9b::1.1.1.1]/",
            "https://[2002:101:101::1]/",
            "https://localhost.example.com/",
            "https://mylocal.example/",
            "https://notinternal.com/",
            "https://svc.example.com/",
            "https://bücher.example/",
        ] {
            assert!(check(url, false).is_ok(), "{url}");
        }
    }

    #[test]
    fn inside_addresses_are_refused_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0x7f.1",
            "127.0.0.1.",
            "１２７.0.0.1",
            "0",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "0251.0376.0251.0376",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "[::]",
            "[::1]",
            "[::127.0.0.1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::ffff:a9fe:a9fe]",
            "[::ffff:0:127.0.0.1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[febf::1]",
            "[fec0::1]",
            "[ff02::1]",
            "[2001:db8::1]",
            "[3fff::1]",
            "[2001:2::1]",
            "[2001:10::1]",
            "[2001:20::1]",
            "[100::1]",
            "[2002:7f00:1::1]",
            "[2002:a9fe:a9fe::1]",
            "[2002:c0a8:101::]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b:1::1.1.1.1]",
            "[2001:0:7f00:1::fefe:fefe]",
            "[2001:0:101:101::80ff:fffe]",
            "[4000::1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "a.localhost.",
            "printer.local",
            "metadata.google.internal",
            "metadata.google.internal.",
            "METADATA.google.internal",
            "metadata",
            "intranet",
            "x.lan",
            "router.home.arpa",
            "localhost.localdomain",
            "loc%61lhost",
            "ⓛocalhost",
            "example..",
            "x.corp",
            "core.default.svc",
            "core.default.svc.",
            "core.default.svc.cluster.local",
            "vault.service.consul",
            "abc.onion",
            "example..com",
            ".example.com",
            "1.0.0.127.in-addr.arpa",
        ] {
            let refused = check(&format!("https://{host}/x"), false);
            assert!(refused.is_err(), "{host}: {refused:?}");
            let allowed = check(&format!("http://{host}/x"), true);
            assert!(
                allowed.is_ok() || host.contains("..") || host.starts_with('.'),
                "{host}: {allowed:?}"
            );
        }
    }

    #[test]
    fn everything_else_has_its_reason() {
        let long = format!("https://example.com/{}", "a".repeat(MAX_URL));
        for (url, reason) in [
            ("http://example.com/", Refusal::Scheme),
            ("ftp://example.com/", Refusal::Scheme),
            ("file:///etc/passwd", Refusal::Scheme),
            ("javascript:alert(1)", Refusal::Scheme),
            ("https://user@example.com/", Refusal::Credentials),
            ("https://user:word@example.com/", Refusal::Credentials),
            ("https://:word@example.com/", Refusal::Credentials),
            ("example.com", Refusal::Malformed),
            ("https://", Refusal::Malformed),
            ("", Refusal::Malformed),
            ("https://example.com/ x", Refusal::Malformed),
            ("https://exam\tple.com/", Refusal::Malformed),
            ("https:\\\\example.com", Refusal::Malformed),
            ("https://[::1", Refusal::Malformed),
            ("https://1.2.3.256/", Refusal::Malformed),
            ("https://example.com:99999/", Refusal::Malformed),
            (&long, Refusal::TooLong),
        ] {
            assert_eq!(check(url, false), Err(reason), "{url}");
        }
        assert!(check("http://127.0.0.1:9000/x", true).is_ok());
        assert_eq!(check("ftp://example.com/", true), Err(Refusal::Scheme));
        assert_eq!(
            check("http://a:b@localhost/", true),
            Err(Refusal::Credentials)
        );
        // Characters that grow when they are escaped.
        let grows = format!("https://example.com/{}", "é".repeat(200));
        assert_eq!(check(&grows, false), Err(Refusal::TooLong));
    }

    proptest! {
        #[test]
        fn no_input_panics(url in ".*", rest in "[ -~]{0,40}") {
            let _ = (check(&url, false), check(&format!("https://{rest}"), true));
        }

        /// However an IPv4 address is written, the answer is the same.
        #[test]
        fn spelling_changes_nothing(bits: u32) {
            let ip = Ipv4Addr::from(bits);
            let [a, b, c, d] = ip.octets();
            let expected = check(&format!("https://{ip}/"), false).is_err();
            let (high, low) = (bits >> 16, bits & 0xffff);
            for host in [
                format!("{bits}"), format!("0x{bits:x}"), format!("{a:#o}.{b}.{c}.{d}").replace("0o", "0"),
                format!("{a}.{b}.{}", low), format!("{a}.{}", bits & 0xff_ffff), format!("{ip}."),
                format!("[::{high:x}:{low:x}]"), format!("[::ffff:{ip}]"), format!("[64:ff9b::{ip}]"),
                format!("[2002:{high:x}:{low:x}::1]"),
                format!("[2001:0:101:101::{:x}:{:x}]", !high & 0xffff, !low & 0xffff),
            ] {
                prop_assert_eq!(check(&format!("https://{host}/"), false).is_err(), expected, "{}", host);
            }
        }

        /// The library's own opinion is a lower bound.
        #[test]
        fn inside_by_the_standard_library_is_inside(bits: u32, upper: u128) {
            let ip = Ipv4Addr::from(bits);
            let inside = ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_broadcast()
                || ip.is_documentation() || ip.is_multicast() || ip.is_unspecified();
            prop_assert!(!inside || is_inside_v4(ip));
            let ip = Ipv6Addr::from(upper);
            let inside = ip.is_loopback() || ip.is_multicast() || ip.is_unspecified()
                || ip.is_unique_local() || ip.is_unicast_link_local();
            prop_assert!(!inside || is_inside_v6(ip));
        }
    }
}
