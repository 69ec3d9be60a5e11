//! IP addresses as licenses count them.
//!
//! A customer's IPv6 connection changes its lower 64 bits at will, so IPv6
//! counts by /64. IPv4 written as IPv6 (`::ffff:1.2.3.4`) is IPv4.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest text of an address (an IPv6 with an IPv4 tail) plus a prefix length.
const MAX_TEXT: usize = 49;

/// One address; displays as its canonical text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(IpAddr);

impl Address {
    /// Reads an IPv4 or IPv6 address: no port, zone, prefix or blanks.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        text.parse::<IpAddr>().ok().map(Self::from)
    }

    /// What the address counts as.
    #[must_use]
    pub fn key(&self) -> AddressKey {
        match self.0 {
            IpAddr::V4(ip) => AddressKey::V4(ip),
            IpAddr::V6(ip) => AddressKey::V6((u128::from(ip) >> 64) as u64),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self(ip.to_canonical())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What occupies one slot of a license: an IPv4 address or an IPv6 /64.
///
/// Displays as `1.2.3.4` or `2001:db8:1:2::/64`, which is also its JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressKey {
    /// A single IPv4 address.
    V4(Ipv4Addr),
    /// The upper 64 bits of an IPv6 address.
    V6(u64),
}

impl AddressKey {
    /// Reads a stored key: an address, with or without its prefix length, as
    /// Postgres prints `inet`. Anything is reduced to what it counts as.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let address = match text.split_once('/') {
            Some((address, length)) => {
                length.parse::<u8>().ok()?;
                address
            }
            None => text,
        };
        Address::parse(address).map(|address| address.key())
    }
}

impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(ip) => ip.fmt(f),
            Self::V6(network) => {
                write!(f, "{}/64", Ipv6Addr::from(u128::from(*network) << 64))
            }
        }
    }
}

impl Serialize for AddressKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AddressKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an IP address"))
    }
}

/// A network such as `10.0.0.0/8`; a bare address is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    bits: u128,
    length: u8,
    v4: bool,
}

impl Cidr {
    /// Reads a network. Host bits may be set; they are ignored.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let ip = address.parse::<IpAddr>().ok()?;
        let width = if ip.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(digits) if digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse::<u8>().ok()?
            }
            Some(_) => return None,
            None => width,
        };
        if length > width {
            return None;
        }
        // A mapped network (::ffff:10.0.0.0/104) is the IPv4 network it maps.
        let (ip, length) = match ip.to_canonical() {
            canonical @ IpAddr::V4(_) if ip.is_ipv6() && length >= 96 => (canonical, length - 96),
            _ => (ip, length),
        };
        let (bits, v4) = bits_of(ip);
        Some(Self { bits, length, v4 })
    }

    /// Whether `address` lies in this network. Families never match each other.
    #[must_use]
    pub fn contains(&self, address: &Address) -> bool {
        let (bits, v4) = bits_of(address.0);
        let width = if self.v4 { 32 } else { 128 };
        let shift = width - u32::from(self.length);
        v4 == self.v4
            && bits.checked_shr(shift).unwrap_or(0) == self.bits.checked_shr(shift).unwrap_or(0)
    }
}

fn bits_of(ip: IpAddr) -> (u128, bool) {
    match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)), true),
        IpAddr::V6(ip) => (u128::from(ip), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(text: &str) -> String {
        Address::parse(text).unwrap().key().to_string()
    }

    #[test]
    fn addresses_count_as_their_key() {
        assert_eq!(key("203.0.113.7"), "203.0.113.7");
        assert_eq!(key("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(key("::1"), "::/64");
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            " 1.2.3.4",
            "1.2.3",
            "1.2.3.256",
            "01.2.3.4",
            "1.2.3.4:80",
            "fe80::1%eth0",
            "1.2.3.4/32",
            "localhost",
            "0x7f.1",
            ":::",
            "1.2.3.4\0",
        ] {
            assert!(Address::parse(text).is_none(), "{text:?}");
        }
        for text in [
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "/8",
            "10.0.0.0/8/8",
        ] {
            assert!(Cidr::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn stored_text_is_read_back() {
        for (stored, shown) in [
            ("1.2.3.4/32", "1.2.3.4"),
            ("1.2.3.4", "1.2.3.4"),
            ("2001:db8::/64", "2001:db8::/64"),
            ("2001:db8::9/128", "2001:db8::/64"),
        ] {
            assert_eq!(AddressKey::parse(stored).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn networks_contain_their_own_family() {
        let inside = |net: &str, ip: &str| {
            Cidr::parse(net)
                .unwrap()
                .contains(&Address::parse(ip).unwrap())
        };
        assert!(inside("10.0.0.0/8", "10.255.0.1"));
        assert!(!inside("10.0.0.0/8", "11.0.0.1"));
        assert!(inside("0.0.0.0/0", "1.2.3.4"));
        assert!(!inside("0.0.0.0/0", "::1"));
        assert!(inside("::/0", "2001:db8::1"));
        assert!(inside("192.0.2.1", "192.0.2.1"));
        assert!(inside("::ffff:10.0.0.0/104", "10.1.1.1"));
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".*") {
            let _ = (Address::parse(&text), AddressKey::parse(&text), Cidr::parse(&text));
        }

        #[test]
        fn ipv6_counts_by_its_upper_half(upper: u64, a: u64, b: u64) {
            // Mapped addresses are IPv4.
            prop_assume!(upper != 0);
            let at = |lower: u64| {
                Address::from(IpAddr::V6(Ipv6Addr::from(u128::from(upper) << 64 | u128::from(lower))))
            };
            prop_assert_eq!(at(a).key(), at(b).key());
            let text = at(a).key().to_string();
            prop_assert_eq!(AddressKey::parse(&text), Some(at(b).key()));
            prop_assert!(Cidr::parse(&text).unwrap().contains(&at(b)));
        }

        #[test]
        fn a_network_is_its_first_bits(net: u32, ip: u32, length in 0_u8..=32) {
            let cidr = Cidr::parse(&format!("{}/{length}", Ipv4Addr::from(net))).unwrap();
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            let address = Address::from(IpAddr::V4(Ipv4Addr::from(ip)));
            prop_assert_eq!(cidr.contains(&address), net & mask == ip & mask);
        }
    }
}
