//! A hash with the same value in every process and build, for what leaves the
//! process and comes back, such as tokens.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// SipHash-1-3 with a key of zeros, integers little-endian.
///
/// The standard library's own hasher computes the same values today, on the
/// machines that the gateway is built for, but may change with the compiler.
#[derive(Clone, Default)]
pub struct Digest(SipHasher13);

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    fn write_u16(&mut self, number: u16) {
        self.write(&number.to_le_bytes());
    }

    fn write_u32(&mut self, number: u32) {
        self.write(&number.to_le_bytes());
    }

    fn write_u64(&mut self, number: u64) {
        self.write(&number.to_le_bytes());
    }

    fn write_u128(&mut self, number: u128) {
        self.write(&number.to_le_bytes());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hash as _;

    use super::*;

    #[test]
    fn values_never_change() {
        let of = |write: fn(&mut Digest)| {
            let mut digest = Digest::default();
            write(&mut digest);
            digest.finish()
        };
        assert_eq!(of(|_| ()), 0xd1fb_a762_150c_532c);
        assert_eq!(
            of(|digest| ("FR", 5_u32, true, ["a", "b"].as_slice(), Some(7_u64)).hash(digest)),
            0x2c5f_6a88_b6cb_4459
        );
        assert_eq!(
            of(|digest| digest.write_u32(0x6162_6364)),
            of(|digest| digest.write(b"dcba"))
        );
        assert_eq!(of(|digest| 1_usize.hash(digest)), of(|digest| 1_u64.hash(digest)));
    }
}
