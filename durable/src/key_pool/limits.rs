//! How much a group of keys did lately: windows that slide, so that no stretch of a minute or a day ever has
//! more than its limit.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// What keys may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests a minute.
    pub rpm: Option<u32>,
    /// Tokens a minute.
    pub tpm: Option<u32>,
    /// Requests a day.
    pub rpd: Option<u32>,
}

impl Limits {
    /// Whether there is any.
    pub fn any(self) -> bool {
        self.rpm.is_some() || self.tpm.is_some() || self.rpd.is_some()
    }
}

/// A piece of a window: its number, requests, tokens.
type Piece = (i64, u32, u64);

/// A window that slides by pieces of `LENGTH` milliseconds and is `MANY` of them long. A piece counts until
/// its last moment is a whole window ago, so it may forget up to a piece too late, and never too early.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window<const LENGTH: i64, const MANY: i64>(VecDeque<Piece>);

/// The last minute.
pub type Minute = Window<5_000, 12>;
/// The last day.
pub type Day = Window<3_600_000, 24>;

impl<const LENGTH: i64, const MANY: i64> Window<LENGTH, MANY> {
    fn forget(&mut self, now: i64) {
        let first = now.div_euclid(LENGTH) - MANY;
        while self.0.front().is_some_and(|(piece, ..)| *piece < first) {
            self.0.pop_front();
        }
    }

    /// Requests and tokens in the window.
    pub fn sum(&self, now: i64) -> (u32, u64) {
        let first = now.div_euclid(LENGTH) - MANY;
        let pieces = self.0.iter().filter(|(piece, ..)| *piece >= first);
        pieces.fold((0, 0), |(requests, tokens), (_, more, of)| {
            (requests + more, tokens + of)
        })
    }

    /// When another request of so many tokens fits in: `now`, or later.
    pub fn opens(&self, most: Option<u32>, most_tokens: Option<u32>, tokens: u64, now: i64) -> i64 {
        let (mut requests, mut used) = self.sum(now);
        let fits = |requests: u32, used: u64| {
            most.is_none_or(|most| requests < most)
                // One that is larger than the limit is for the provider to judge.
                && most_tokens.is_none_or(|most| used == 0 || used + tokens <= u64::from(most))
        };
        let first = now.div_euclid(LENGTH) - MANY;
        let mut pieces = self.0.iter().filter(|(piece, ..)| *piece >= first);
        let mut opens = now;
        while !fits(requests, used) {
            let Some((piece, less, of)) = pieces.next() else {
                break;
            };
            requests -= less;
            used -= of;
            opens = (piece + MANY + 1) * LENGTH;
        }
        opens
    }

    /// Counts one request.
    pub fn count(&mut self, tokens: u64, now: i64) {
        self.forget(now);
        let piece = now.div_euclid(LENGTH);
        match self.0.back_mut() {
            // A clock that went back counts in the newest piece.
            Some((newest, requests, of)) if *newest >= piece => {
                *requests += 1;
                *of += tokens;
            }
            _ => self.0.push_back((piece, 1, tokens)),
        }
    }

    /// A request that was counted at `at` used another number of tokens than was thought.
    pub fn correct(&mut self, at: i64, thought: u64, used: u64) {
        let piece = at.div_euclid(LENGTH);
        let mut pieces = self.0.iter_mut();
        if let Some((_, _, tokens)) = pieces.find(|(known, ..)| *known >= piece) {
            *tokens = tokens.saturating_sub(thought) + used;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_window_opens_again_when_its_pieces_are_gone() {
        let mut minute = Minute::default();
        for at in [0, 1, 20_000] {
            assert_eq!(minute.opens(Some(3), None, 0, at), at);
            minute.count(10, at);
        }
        assert_eq!(minute.opens(Some(3), None, 0, 20_001), 65_000);
        assert_eq!(minute.opens(Some(1), None, 0, 20_001), 85_000);
        assert_eq!(minute.opens(None, Some(30), 1, 20_001), 65_000);
        assert_eq!(minute.opens(None, Some(31), 1, 20_001), 20_001);
        assert_eq!(minute.sum(65_000), (1, 10));
        minute.correct(20_000, 10, 25);
        assert_eq!(minute.sum(65_000), (1, 25));
        assert_eq!(Minute::default().opens(None, Some(5), 100, 7), 7);
    }

    proptest! {
        /// No stretch of a minute ever has more than the limit, and what is refused passes when it was said to.
        #[test]
        fn never_more_than_the_limit(limit in 1..20_u32, steps in proptest::collection::vec(0..9_000_i64, 1..300)) {
            let (mut minute, mut passed, mut now) = (Minute::default(), Vec::new(), 0);
            for step in steps {
                now += step;
                let opens = minute.opens(Some(limit), None, 0, now);
                prop_assert!(opens >= now && opens <= now + 65_000);
                if opens == now {
                    minute.count(0, now);
                    passed.push(now);
                } else {
                    prop_assert_eq!(minute.opens(Some(limit), None, 0, opens), opens);
                }
                let lately = passed.iter().filter(|at| **at > now - 60_000).count();
                prop_assert!(lately <= limit as usize);
                prop_assert!(minute.0.len() <= 13);
            }
        }
    }
}
