//! Addresses of one license within 300 seconds, and what was recorded of them.

use celaest_domain::address::AddressKey;
use celaest_domain::license::WINDOW_SECONDS;
use serde::{Deserialize, Serialize};

const WINDOW_MS: i64 = WINDOW_SECONDS * 1_000;
const DAY_MS: i64 = 24 * 3_600 * 1_000;
/// Addresses remembered at a time. Far beyond the gravest severity; without a
/// bound a leaked unlimited key would make quadratically many pairs.
const MAX_ADDRESSES: usize = 32;
/// Records a license makes in 24 hours at most, for the same reason.
pub const MAX_RECORDS_PER_DAY: u32 = 1_000;
/// Age at which the saved copy of the window is renewed.
const SAVE_EVERY_MS: i64 = 30_000;

/// The recent addresses of a license.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Window {
    /// Address and when it was last seen.
    seen: Vec<(AddressKey, i64)>,
    /// Pair and when it was recorded.
    pairs: Vec<(AddressKey, AddressKey, i64)>,
    /// When records were made, and how many, in the last 24 hours.
    records: Vec<(i64, u32)>,
    #[serde(skip)]
    saved_at: i64,
    #[serde(skip)]
    unsaved: bool,
}

/// What one sighting brought.
#[derive(Debug, PartialEq)]
pub struct Sighting {
    /// Distinct addresses in the window, this one included.
    pub addresses: usize,
    /// The addresses with which a collision is to be recorded.
    pub others: Vec<AddressKey>,
}

impl Window {
    /// Notes `key` at `now`, and which pairs with it are due for a record.
    pub fn see(&mut self, key: AddressKey, now: i64) -> Sighting {
        let recent = |at: i64| now.saturating_sub(at) < WINDOW_MS;
        self.seen.retain(|(_, at)| recent(*at));
        self.pairs.retain(|(_, _, at)| recent(*at));
        match self.seen.iter_mut().find(|(seen, _)| *seen == key) {
            Some((_, at)) => *at = now,
            None => {
                if self.seen.len() >= MAX_ADDRESSES {
                    let oldest = (0..self.seen.len()).min_by_key(|place| self.seen[*place].1);
                    self.seen.swap_remove(oldest.unwrap_or(0));
                }
                self.seen.push((key, now));
                // A new address is worth saving with the next flush.
                self.saved_at = 0;
            }
        }
        self.unsaved = true;
        let mut others = Vec::new();
        if self.seen.len() > 1 {
            let mut left = MAX_RECORDS_PER_DAY.saturating_sub(self.recorded(now));
            for (other, _) in &self.seen {
                let pair = (key.min(*other), key.max(*other));
                let known = self.pairs.iter().any(|(a, b, _)| (*a, *b) == pair);
                if *other != key && !known && left > 0 {
                    self.pairs.push((pair.0, pair.1, now));
                    others.push(*other);
                    left -= 1;
                }
            }
            if !others.is_empty() {
                self.records.push((now, others.len() as u32));
            }
        }
        Sighting {
            addresses: self.seen.len(),
            others,
        }
    }

    /// Records made in the 24 hours before `now`.
    pub fn recorded(&mut self, now: i64) -> u32 {
        self.records
            .retain(|(at, _)| now.saturating_sub(*at) < DAY_MS);
        self.records.iter().map(|(_, count)| count).sum()
    }

    /// Starts the count of records anew.
    pub fn reset_count(&mut self) {
        self.records.clear();
        self.unsaved = true;
    }

    /// Whether the window should be saved with the next background write. Not
    /// with each validation: what is lost with a crash is a few seconds.
    pub fn is_due(&self, now: i64) -> bool {
        self.unsaved && now.saturating_sub(self.saved_at) >= SAVE_EVERY_MS
    }

    /// The text to save.
    pub fn save(&mut self, now: i64) -> String {
        (self.saved_at, self.unsaved) = (now, false);
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn key(n: u8) -> AddressKey {
        AddressKey::parse(&format!("192.0.2.{n}")).unwrap()
    }

    #[test]
    fn a_pair_is_recorded_once_per_window() {
        let mut window = Window::default();
        assert_eq!(
            window.see(key(1), 0),
            Sighting {
                addresses: 1,
                others: vec![]
            }
        );
        assert_eq!(
            window.see(key(2), 1_000),
            Sighting {
                addresses: 2,
                others: vec![key(1)]
            }
        );
        assert_eq!(window.see(key(1), 2_000).others, vec![]);
        assert_eq!(window.see(key(2), 300_999).others, vec![]);
        assert_eq!(window.see(key(1), 301_000).others, vec![key(2)]);
        assert_eq!(window.recorded(301_000), 2);
        // Five quiet minutes: alone again.
        assert_eq!(window.see(key(1), 601_000).addresses, 1);
    }

    #[test]
    fn the_saved_window_goes_on() {
        let mut window = Window::default();
        window.see(key(1), 1_000);
        assert!(window.is_due(1_000_000));
        let text = window.save(1_000_000);
        assert!(!window.is_due(2_000_000));
        let mut restored: Window = serde_json::from_str(&text).unwrap();
        assert_eq!(restored.see(key(2), 200_000).others, vec![key(1)]);
    }

    #[test]
    fn an_attack_stays_bounded() {
        let mut window = Window::default();
        for n in 0..20_000_i64 {
            let network = 0x2001_0db8_0000_0000 + n as u64;
            let sighting = window.see(AddressKey::V6(network), n * 10);
            assert!(sighting.addresses <= MAX_ADDRESSES);
        }
        assert_eq!(window.recorded(200_000), MAX_RECORDS_PER_DAY);
        assert!(window.pairs.len() <= MAX_RECORDS_PER_DAY as usize);
    }

    proptest! {
        #[test]
        fn once_per_pair_and_window(events in proptest::collection::vec((0..6_u8, 0..200_000_i64), 1..150)) {
            let mut window = Window::default();
            let mut last: HashMap<(AddressKey, AddressKey), i64> = HashMap::new();
            let mut seen: HashMap<AddressKey, i64> = HashMap::new();
            let mut now = 0;
            for (n, step) in events {
                now += step;
                let sighting = window.see(key(n), now);
                seen.insert(key(n), now);
                let recent: Vec<_> = seen.iter().filter(|(_, at)| now - **at < WINDOW_MS).map(|(k, _)| *k).collect();
                prop_assert_eq!(sighting.addresses, recent.len());
                for other in recent.into_iter().filter(|other| *other != key(n)) {
                    let pair = (other.min(key(n)), other.max(key(n)));
                    let due = last.get(&pair).is_none_or(|at| now - at >= WINDOW_MS);
                    prop_assert_eq!(sighting.others.contains(&other), due);
                    if due { last.insert(pair, now); }
                }
            }
        }
    }
}
