//! Changes that were announced and of which nothing was heard since. While there are any, what an object
//! reads of PostgreSQL is good for the one who read it, and kept for nobody.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// By then an announced change is committed or never will be: four times what the longest statement of a
/// transaction may take.
const ANNOUNCED_MS: i64 = 60_000;
/// Changes under way at a time that are told apart; of more, the latest end counts.
const MOST: usize = 40;

/// The changes under way, as they are stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Announced(Vec<Change>);

/// A change that is about to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Change {
    change: Uuid,
    /// Until when it may still be committed, in Unix milliseconds.
    until: i64,
}

impl Announced {
    /// `change` is coming.
    pub fn add(&mut self, change: Uuid, now: i64) {
        let until = now + ANNOUNCED_MS;
        self.end(Some(change), now);
        if self.0.len() >= MOST {
            // Which of them end no longer matters.
            self.0.clear();
            let change = Uuid::nil();
            self.0.push(Change { change, until });
        }
        self.0.push(Change { change, until });
    }

    /// `change` was committed or called off, if one is named; what cannot come any more goes too.
    pub fn end(&mut self, change: Option<Uuid>, now: i64) {
        self.0
            .retain(|known| known.until > now && Some(known.change) != change);
    }

    /// Whether a change may be committed by now.
    pub fn is_changing(&self, now: i64) -> bool {
        self.0.iter().any(|known| known.until > now)
    }

    /// Whether no change is waited for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nth(n: usize) -> Uuid {
        Uuid::from_u128(n as u128 + 1)
    }

    #[test]
    fn a_change_is_waited_for_until_its_end_or_a_minute() {
        let mut announced = Announced::default();
        announced.add(nth(1), 0);
        announced.add(nth(2), 10);
        announced.end(Some(nth(1)), 20);
        assert!(announced.is_changing(60_009) && !announced.is_changing(60_010));
        announced.end(None, 60_010);
        assert!(announced.is_empty());
    }

    #[test]
    fn of_too_many_the_latest_end_counts() {
        let mut announced = Announced::default();
        for n in 0..=MOST {
            announced.add(nth(n), n as i64);
        }
        assert_eq!(announced.0.len(), 2);
        for n in 0..=MOST {
            announced.end(Some(nth(n)), MOST as i64);
        }
        assert!(announced.is_changing(60_000 + MOST as i64 - 1));
        assert!(!announced.is_changing(60_000 + MOST as i64));
    }
}
