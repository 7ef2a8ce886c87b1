//! Addresses of peers, one by one or as a range.

use std::net::IpAddr;

use super::reader::Reader;

/// Addresses with a common beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    base: IpAddr,
    bits: u32,
}

impl AddressRange {
    /// Reads a list of them; what is none is a problem.
    pub(super) fn list(reader: &mut Reader, key: &str) -> Vec<Self> {
        let mut ranges = Vec::new();
        for text in reader.list(key) {
            match Self::parse(&text) {
                Some(range) => ranges.push(range),
                None => reader.problem(
                    key,
                    format!("{text:?} is neither an address nor a range such as 192.0.2.0/24"),
                ),
            }
        }
        ranges
    }

    /// Reads `192.0.2.7`, `192.0.2.0/24` or `2001:db8::/32`.
    pub fn parse(text: &str) -> Option<Self> {
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let base: IpAddr = base.trim().parse().ok()?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self { base, bits })
    }

    /// Whether the address is one of them. An IPv4 address that came over an
    /// IPv6 socket is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let differs = base.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= self.bits
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let differs = base.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_the_addresses_with_its_beginning() {
        for (range, address, within) in [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
        ] {
            let range = AddressRange::parse(range).unwrap();
            assert_eq!(
                range.contains(address.parse().unwrap()),
                within,
                "{range:?} {address}"
            );
        }
        for text in ["", "here", "192.0.2.0/33", "192.0.2.0/x", "2001:db8::/129"] {
            assert_eq!(AddressRange::parse(text), None, "{text}");
        }
    }
}
