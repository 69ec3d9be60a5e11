//! Identifiers made inside an object.
//!
//! One draw of 128 random bits when the object starts feeds a generator, so an
//! identifier costs no call out of wasm and the rules stay deterministic under
//! test. The identifiers are unique, not secret.

use uuid::Uuid;

/// A source of identifiers (two splitmix64 streams).
#[derive(Debug, Clone)]
pub struct Ids {
    streams: [u64; 2],
}

impl Ids {
    /// Starts from 128 random bits.
    pub fn new(seed: [u8; 16]) -> Self {
        let seed = u128::from_le_bytes(seed);
        Self {
            streams: [seed as u64, (seed >> 64) as u64],
        }
    }

    fn bits(&mut self) -> u128 {
        let [low, high] = self.streams.each_mut().map(splitmix64);
        u128::from(high) << 64 | u128::from(low)
    }

    /// A number that no earlier one equals, but for chance.
    pub fn token(&mut self) -> u64 {
        self.bits() as u64
    }

    /// A random UUID (version 4).
    pub fn v4(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.bits().to_le_bytes()).into_uuid()
    }

    /// A UUID ordered by time (version 7).
    pub fn v7(&mut self, now_ms: i64) -> Uuid {
        let mut random = [0; 10];
        random.copy_from_slice(&self.bits().to_le_bytes()[..10]);
        let ms = u64::try_from(now_ms).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid()
    }
}

fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_distinct_and_marked() {
        let mut ids = Ids::new([7; 16]);
        let made: std::collections::HashSet<_> = (0..1_000)
            .flat_map(|_| [ids.v4(), ids.v7(1_790_000_000_000)])
            .collect();
        assert_eq!(made.len(), 2_000);
        assert_eq!(ids.v4().get_version_num(), 4);
        let stamped = ids.v7(1_790_000_000_123);
        assert_eq!(stamped.get_version_num(), 7);
        assert_eq!(stamped.get_timestamp().unwrap().to_unix().0, 1_790_000_000);
    }
}
