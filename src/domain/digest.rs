//! A hash whose value is the same in every process, whatever built it: for
//! what leaves the process and comes back, such as tokens.

use std::hash::Hasher;

use ring::digest::{Context, SHA256};

/// The first 64 bits of a SHA-256. The standard library's own hasher may
/// change with the compiler.
#[derive(Clone)]
pub struct Digest(Context);

impl Default for Digest {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn write_u16(&mut self, number: u16) {
        self.write(&number.to_be_bytes());
    }

    fn write_u32(&mut self, number: u32) {
        self.write(&number.to_be_bytes());
    }

    fn write_u64(&mut self, number: u64) {
        self.write(&number.to_be_bytes());
    }

    fn write_u128(&mut self, number: u128) {
        self.write(&number.to_be_bytes());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finish();
        let first = digest.as_ref().first_chunk::<8>();
        first.map_or(0, |first| u64::from_be_bytes(*first))
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hash as _;

    use super::*;

    #[test]
    fn values_are_the_same_for_good() {
        let of = |write: fn(&mut Digest)| {
            let mut digest = Digest::default();
            write(&mut digest);
            digest.finish()
        };
        // As `printf abc | sha256sum` begins.
        assert_eq!(of(|digest| digest.write(b"abc")), 0xba78_16bf_8f01_cfea);
        assert_eq!(
            of(|digest| digest.write_u32(0x6162_6364)),
            of(|digest| digest.write(b"abcd"))
        );
        assert_eq!(of(|digest| 1_usize.hash(digest)), of(|digest| 1_u64.hash(digest)));
    }
}
