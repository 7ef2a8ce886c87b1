//! Every identifier of a SIM, computed from its number in the stock.
//!
//! Nothing is stored: a SIM that was never touched can be found by any of its
//! identifiers. The same seed gives the same ids to the subscriptions that the
//! stock has from the start on; those that are added have ids of this start only.

use uuid::Uuid;

/// Prefix of the MSISDNs; ten digits follow.
const MSISDN_PREFIX: &str = "88247";
/// Prefix of the ICCIDs; eleven digits and a check digit follow.
const ICCID_PREFIX: &str = "8988247";

/// A SIM's place in the stock, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SimNumber(pub(crate) u32);

impl SimNumber {
    /// Fifteen digits, without `+`.
    pub(crate) fn msisdn(self) -> String {
        format!("{MSISDN_PREFIX}{:010}", self.0)
    }

    /// Nineteen digits, the last a Luhn check digit.
    pub(crate) fn iccid(self) -> String {
        let body = format!("{ICCID_PREFIX}{:011}", self.0);
        let check = luhn(&body);
        format!("{body}{check}")
    }

    /// Fifteen digits.
    pub(crate) fn imsi(self) -> String {
        format!("90128{:010}", self.0)
    }

    /// The eUICC that the SIM's profile is put on: 32 digits, which modulo 97 give 1.
    pub(crate) fn eid(self) -> String {
        let body = 890_490_320_000_000_000_000_000_000_000_u128 + u128::from(self.0) * 7_919;
        let check = 98 - (body * 100) % 97;
        format!("{body}{check:02}")
    }

    /// The SIM that an MSISDN in digits belongs to, if the stock were endless.
    pub(crate) fn of_msisdn(msisdn: &str) -> Option<Self> {
        let rest = msisdn
            .strip_prefix(MSISDN_PREFIX)
            .filter(|rest| rest.len() == 10)?;
        digits(rest).map(Self).filter(|number| number.0 > 0)
    }

    /// The SIM that an ICCID belongs to, if the stock were endless. The check digit must be right.
    pub(crate) fn of_iccid(iccid: &str) -> Option<Self> {
        let rest = iccid.strip_prefix(ICCID_PREFIX).filter(|rest| rest.len() == 12)?;
        let number = Self(digits(rest.get(..11)?)?);
        (number.0 > 0 && number.iccid() == iccid).then_some(number)
    }
}

fn digits(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// The digit that makes `body` pass the Luhn check when it is appended.
fn luhn(body: &str) -> u32 {
    let sum: u32 = body
        .bytes()
        .rev()
        .map(|byte| u32::from(byte.wrapping_sub(b'0')))
        .enumerate()
        .map(|(position, digit)| match digit * 2 {
            doubled if position % 2 == 0 => doubled / 10 + doubled % 10,
            _ => digit,
        })
        .sum();
    (10 - sum % 10) % 10
}

/// Makes subscription ids that look random and tell, with the seed, which SIM they belong to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SubscriptionIds {
    seed: u64,
}

impl SubscriptionIds {
    const SEQUENCE_BITS: u32 = 28;
    /// Bits of the low half that a UUID leaves free.
    const FREE: u64 = (1 << 62) - 1;

    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The id of a SIM's `sequence`th subscription.
    pub(crate) fn id(self, number: SimNumber, sequence: u32) -> Uuid {
        let payload = (u64::from(number.0) << Self::SEQUENCE_BITS)
            | (u64::from(sequence) & ((1 << Self::SEQUENCE_BITS) - 1));
        // Version 4 and the usual variant, as far as anyone can see.
        let high = (mix(self.seed ^ mix(payload)) & !0xf000) | 0x4000;
        let low = ((payload ^ mix(high ^ self.seed)) & Self::FREE) | (1 << 63);
        Uuid::from_u64_pair(high, low)
    }

    /// The SIM of an id that [`SubscriptionIds::id`] made with this seed.
    pub(crate) fn sim(self, id: Uuid) -> Option<SimNumber> {
        let (high, low) = id.as_u64_pair();
        let payload = (low ^ mix(high ^ self.seed)) & Self::FREE;
        let number = SimNumber(u32::try_from(payload >> Self::SEQUENCE_BITS).ok()?);
        let sequence = u32::try_from(payload & ((1 << Self::SEQUENCE_BITS) - 1)).ok()?;
        (self.id(number, sequence) == id).then_some(number)
    }
}

/// The finaliser of SplitMix64: every bit of the result depends on every bit of the input.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Whether a text has the form of an MSISDN.
pub(crate) fn is_msisdn(text: &str) -> bool {
    (6..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text has the form of an ICCID.
pub(crate) fn is_sim_serial(text: &str) -> bool {
    (13..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_sim_has_the_identifiers_that_documentation_names() {
        let first = SimNumber(1);
        assert_eq!(first.msisdn(), "882470000000001");
        assert_eq!(first.iccid(), "8988247000000000019");
        assert_eq!(first.eid().len(), 32);
    }

    #[test]
    fn the_check_digit_is_the_known_one() {
        // The example of ISO/IEC 7812.
        assert_eq!(luhn("7992739871"), 3);
    }

    #[test]
    fn foreign_identifiers_belong_to_nobody() {
        for iccid in [
            "8988247000000000011",
            "898824700000000001",
            "8933200000000000010",
            "8988247000000000000",
        ] {
            assert_eq!(SimNumber::of_iccid(iccid), None, "{iccid}");
        }
        for msisdn in [
            "882470000000000",
            "88247000000001",
            "+82470000000001",
            "33612345678",
        ] {
            assert_eq!(SimNumber::of_msisdn(msisdn), None, "{msisdn}");
        }
    }

    proptest! {
        #[test]
        fn identifiers_lead_back_to_the_sim(number in 1_u32.., sequence in 0_u32..1 << 28, seed: u64) {
            let sim = SimNumber(number);
            prop_assert_eq!(SimNumber::of_iccid(&sim.iccid()), Some(sim));
            prop_assert_eq!(SimNumber::of_msisdn(&sim.msisdn()), Some(sim));
            prop_assert_eq!(sim.eid().parse::<u128>().unwrap() % 97, 1);
            let ids = SubscriptionIds::new(seed);
            let id = ids.id(sim, sequence);
            prop_assert_eq!(id.get_version_num(), 4);
            prop_assert_eq!(ids.sim(id), Some(sim));
            prop_assert_eq!(SubscriptionIds::new(!seed).sim(id), None);
        }
    }
}
