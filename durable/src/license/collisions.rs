//! Addresses of one license within 300 seconds, and what was recorded of them.

use std::hash::{DefaultHasher, Hash, Hasher};

use celaest_domain::address::AddressKey;
use celaest_domain::json;
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
    /// Who was where, and when last.
    seen: Vec<Seen>,
    /// Pair and when it was recorded.
    pairs: Vec<(AddressKey, AddressKey, i64)>,
    /// When records were made, and how many, in the last 24 hours.
    records: Vec<(i64, u32)>,
    #[serde(skip)]
    saved_at: i64,
    #[serde(skip)]
    unsaved: bool,
}

/// A machine at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    key: AddressKey,
    /// A digest of the machine's identifier, if it told one.
    machine: Option<u64>,
    at: i64,
}

/// What one sighting brought.
#[derive(Debug, PartialEq)]
pub struct Sighting {
    /// Distinct addresses in the window that are not the same machine's, this
    /// one included.
    pub addresses: usize,
    /// The addresses with which a collision is to be recorded.
    pub others: Vec<AddressKey>,
}

/// A machine's identifier as the window keeps it.
#[must_use]
pub fn digest(machine: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    machine.hash(&mut hasher);
    hasher.finish()
}

impl Window {
    /// Notes `machine` at `key`, and which pairs with it are due for a record:
    /// at most `most`. One machine that changes its address is no collision.
    pub fn see(
        &mut self,
        key: AddressKey,
        machine: Option<u64>,
        now: i64,
        most: usize,
    ) -> Sighting {
        let recent = |at: i64| now.saturating_sub(at) < WINDOW_MS;
        self.seen.retain(|one| recent(one.at));
        self.pairs.retain(|(_, _, at)| recent(*at));
        let mut entries = self.seen.iter_mut();
        match entries.find(|one| one.key == key && one.machine == machine) {
            Some(one) => one.at = now,
            None => {
                if self.seen.len() >= MAX_ADDRESSES {
                    let oldest = (0..self.seen.len()).min_by_key(|place| self.seen[*place].at);
                    self.seen.swap_remove(oldest.unwrap_or(0));
                }
                self.seen.push(Seen {
                    key,
                    machine,
                    at: now,
                });
                // Worth saving soon.
                self.saved_at = 0;
            }
        }
        self.unsaved = true;
        let mut strangers: Vec<AddressKey> = Vec::new();
        for one in &self.seen {
            let same = machine.is_some() && one.machine == machine;
            if one.key != key && !same && !strangers.contains(&one.key) {
                strangers.push(one.key);
            }
        }
        let mut others = Vec::new();
        if !strangers.is_empty() {
            let left = MAX_RECORDS_PER_DAY.saturating_sub(self.recorded(now));
            let most = most.min(left as usize);
            for other in &strangers {
                let pair = (key.min(*other), key.max(*other));
                let known = self.pairs.iter().any(|(a, b, _)| (*a, *b) == pair);
                if !known && others.len() < most {
                    self.pairs.push((pair.0, pair.1, now));
                    others.push(*other);
                }
            }
            if !others.is_empty() {
                self.records.push((now, others.len() as u32));
            }
        }
        Sighting {
            addresses: strangers.len() + 1,
            others,
        }
    }

    /// Records made in the 24 hours before `now`.
    pub fn recorded(&mut self, now: i64) -> u32 {
        self.records
            .retain(|(at, _)| now.saturating_sub(*at) < DAY_MS);
        self.records.iter().map(|(_, count)| count).sum()
    }

    /// Takes up what was saved; what cannot be read is as if it was not there. It was saved when it last saw somebody,
    /// or later.
    pub fn restore(text: &str) -> Self {
        let mut window: Self = json::read(text).unwrap_or_default();
        let seen = window.seen.iter().map(|one| one.at);
        window.saved_at = seen.max().unwrap_or(0);
        window
    }

    /// Starts the count of records anew.
    pub fn reset_count(&mut self) {
        self.records.clear();
        self.unsaved = true;
    }

    /// Whether the window should be written behind. Not with each validation: what is lost with the memory is
    /// [`SAVE_EVERY_MS`] at most of when a known address was last there.
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

    const MANY: usize = 1_000;

    fn key(n: u8) -> AddressKey {
        AddressKey::parse(&format!("192.0.2.{n}")).unwrap()
    }

    #[test]
    fn a_pair_is_recorded_once_per_window() {
        let mut window = Window::default();
        assert_eq!(
            window.see(key(1), None, 0, MANY),
            Sighting {
                addresses: 1,
                others: vec![]
            }
        );
        assert_eq!(
            window.see(key(2), None, 1_000, MANY),
            Sighting {
                addresses: 2,
                others: vec![key(1)]
            }
        );
        assert_eq!(window.see(key(1), None, 2_000, MANY).others, vec![]);
        assert_eq!(window.see(key(2), None, 300_999, MANY).others, vec![]);
        assert_eq!(window.see(key(1), None, 301_000, MANY).others, vec![key(2)]);
        assert_eq!(window.recorded(301_000), 2);
        // Five quiet minutes: alone again.
        assert_eq!(window.see(key(1), None, 601_000, MANY).addresses, 1);
    }

    #[test]
    fn a_machine_does_not_collide_with_itself() {
        let mut window = Window::default();
        let (one, two) = (Some(digest("m-1")), Some(digest("m-2")));
        window.see(key(1), one, 0, MANY);
        let moved = window.see(key(2), one, 1_000, MANY);
        assert_eq!((moved.addresses, moved.others), (1, vec![]));
        // Another machine at its old address makes it a collision, whoever comes.
        assert_eq!(window.see(key(1), two, 2_000, MANY).others, vec![key(2)]);
        let back = window.see(key(2), one, 3_000, MANY);
        assert_eq!((back.addresses, back.others), (2, vec![]));
        // Without a name nobody is the same.
        assert_eq!(window.see(key(3), None, 4_000, MANY).addresses, 3);
        assert_eq!(window.see(key(4), None, 5_000, MANY).addresses, 4);
    }

    #[test]
    fn no_more_is_recorded_than_there_is_room_for() {
        let mut window = Window::default();
        for n in 1..5 {
            window.see(key(n), None, 0, 0);
        }
        assert_eq!(window.see(key(5), None, 1, 3).others.len(), 3);
    }

    #[test]
    fn the_saved_window_goes_on() {
        let mut window = Window::default();
        window.see(key(1), None, 1_000, MANY);
        assert!(window.is_due(1_000_000));
        let text = window.save(1_000_000);
        assert!(!window.is_due(2_000_000));
        let mut restored = Window::restore(&text);
        assert_eq!(
            restored.see(key(2), None, 200_000, MANY).others,
            vec![key(1)]
        );
        // An object that only slept does not write what it has just read.
        let mut restored = Window::restore(&text);
        restored.see(key(1), None, 1_000 + SAVE_EVERY_MS - 1, MANY);
        assert!(!restored.is_due(1_000 + SAVE_EVERY_MS - 1));
        assert!(restored.is_due(1_000 + SAVE_EVERY_MS));
        assert_eq!(Window::restore("nothing"), Window::default());
    }

    #[test]
    fn an_attack_stays_bounded() {
        let mut window = Window::default();
        for n in 0..20_000_i64 {
            let network = 0x2001_0db8_0000_0000 + n as u64;
            let sighting = window.see(AddressKey::V6(network), None, n * 10, MANY);
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
                let sighting = window.see(key(n), None, now, MANY);
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
