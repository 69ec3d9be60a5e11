//! A fixed window that opens with its first request.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// It may pass.
    pub allowed: bool,
    /// Requests per window.
    pub limit: u32,
    /// Requests left in this window.
    pub remaining: u32,
    /// Seconds until the next window, at least 1.
    pub reset_s: u32,
}

/// The state of one caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FixedWindow {
    started_ms: i64,
    count: u32,
}

impl FixedWindow {
    /// Counts one request at `now_ms`. Refused requests do not count.
    pub fn check(&mut self, limit: u32, window_s: u32, now_ms: i64) -> Decision {
        let length = i64::from(window_s.max(1)) * 1_000;
        if self.count == 0 || now_ms.saturating_sub(self.started_ms) >= length {
            *self = Self {
                started_ms: now_ms,
                count: 0,
            };
        }
        let allowed = self.count < limit;
        if allowed {
            self.count += 1;
        }
        // A clock that went back must not stretch the window.
        let elapsed = now_ms.saturating_sub(self.started_ms).max(0);
        let left_s = (length - elapsed + 999) / 1_000;
        Decision {
            allowed,
            limit,
            remaining: limit.saturating_sub(self.count),
            reset_s: u32::try_from(left_s.max(1)).unwrap_or(u32::MAX),
        }
    }
}

/// The same rule for many callers in the memory of one worker instance, in
/// bounded space: a first line of defence that costs no object call. Each
/// instance counts for itself.
#[derive(Debug)]
pub struct LocalLimiter {
    capacity: usize,
    callers: HashMap<String, (FixedWindow, i64)>,
}

impl LocalLimiter {
    /// Remembers at most `capacity` callers (at least one).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            callers: HashMap::new(),
        }
    }

    /// Counts one request of the caller `key` at `now_ms`.
    pub fn check(&mut self, key: &str, limit: u32, window_s: u32, now_ms: i64) -> Decision {
        if let Some((window, ends)) = self.callers.get_mut(key) {
            let decision = window.check(limit, window_s, now_ms);
            *ends = now_ms.saturating_add(i64::from(decision.reset_s) * 1_000);
            return decision;
        }
        if self.callers.len() >= self.capacity {
            self.make_room(now_ms);
        }
        let mut window = FixedWindow::default();
        let decision = window.check(limit, window_s, now_ms);
        let ends = now_ms.saturating_add(i64::from(decision.reset_s) * 1_000);
        self.callers.insert(key.to_owned(), (window, ends));
        decision
    }

    /// Forgets ended windows; if there are none, the oldest eighth, so that a
    /// flood of addresses does not pay for a scan with each request.
    fn make_room(&mut self, now_ms: i64) {
        self.callers.retain(|_, (_, ends)| *ends > now_ms);
        if self.callers.len() < self.capacity {
            return;
        }
        let mut started: Vec<i64> = self.callers.values().map(|(w, _)| w.started_ms).collect();
        let drop = (self.capacity / 8).max(1);
        let (_, newest_dropped, _) = started.select_nth_unstable(drop - 1);
        let newest_dropped = *newest_dropped;
        let mut left = drop;
        self.callers.retain(|_, (window, _)| {
            let keep = left == 0 || window.started_ms > newest_dropped;
            left -= usize::from(!keep);
            keep
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_window_opens_with_its_first_request() {
        let mut window = FixedWindow::default();
        let first = window.check(2, 60, 30_000);
        assert_eq!(
            first,
            Decision {
                allowed: true,
                limit: 2,
                remaining: 1,
                reset_s: 60
            }
        );
        assert!(window.check(2, 60, 89_000).allowed);
        let third = window.check(2, 60, 89_999);
        assert_eq!(
            third,
            Decision {
                allowed: false,
                limit: 2,
                remaining: 0,
                reset_s: 1
            }
        );
        assert!(window.check(2, 60, 90_000).allowed);
        assert!(!window.check(0, 60, 90_000).allowed);
    }

    #[test]
    fn of_150_exactly_100_pass() {
        let mut window = FixedWindow::default();
        let passed = (0..150)
            .filter(|i| window.check(100, 60, i * 3).allowed)
            .count();
        assert_eq!(passed, 100);
    }

    #[test]
    fn the_oldest_callers_make_room() {
        let mut limiter = LocalLimiter::new(8);
        for caller in 0..9 {
            assert!(limiter.check(&caller.to_string(), 1, 60, caller).allowed);
        }
        assert!(limiter.callers.len() <= 8);
        assert!(!limiter.check("8", 1, 60, 10).allowed);
        assert!(limiter.check("0", 1, 60, 11).allowed);
    }

    proptest! {
        /// Nothing passes beyond the limit in a window, and nothing below it is refused.
        #[test]
        fn exact(limit in 0..20_u32, steps in proptest::collection::vec(0..20_000_i64, 1..200)) {
            let (mut window, mut local) = (FixedWindow::default(), LocalLimiter::new(4));
            let (mut now, mut started, mut count) = (0, 0, 0);
            for step in steps {
                now += step;
                if count == 0 || now - started >= 60_000 {
                    (started, count) = (now, 0);
                }
                let decision = window.check(limit, 60, now);
                prop_assert_eq!(decision.allowed, count < limit);
                prop_assert_eq!(local.check("a", limit, 60, now), decision);
                count += u32::from(decision.allowed);
                prop_assert_eq!(decision.remaining, limit - count);
                prop_assert!((1..=60).contains(&decision.reset_s));
            }
        }

        #[test]
        fn bounded(callers in proptest::collection::vec(0..100_u8, 0..300), capacity in 0..20_usize) {
            let mut limiter = LocalLimiter::new(capacity);
            for (now, caller) in callers.iter().enumerate() {
                limiter.check(&caller.to_string(), 5, 1, now as i64 * 50);
                prop_assert!(limiter.callers.len() <= capacity.max(1));
            }
        }
    }
}
