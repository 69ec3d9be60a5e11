//! How long the published keys of a sign-in provider are good, and when the provider is asked for them.
//!
//! A key that was withdrawn stops being accepted, one that is new is found, and neither tokens that nobody
//! signed nor a provider that is away can make us ask all the time. Times are in milliseconds since the
//! epoch.

/// From this age on the set is asked for anew while it is still used, so that nobody waits for it.
const RENEWAL_MS: i64 = 9 * 60_000 + 30_000;
/// A set of this age is not used any more while the provider answers: a withdrawn key is refused by then.
pub const MAX_AGE_MS: i64 = 10 * 60_000;
/// While the provider is away, the last set is used for so long: a token is good for an hour, so there is
/// hardly one left by then that could have been signed with it.
pub const MAX_STALE_MS: i64 = 60 * 60_000;
/// For how long the provider may think. Whoever has not heard of an answer after the longer time has died.
pub const PATIENCE_MS: i64 = 5_000;
const DEAD_MS: i64 = PATIENCE_MS + 500;
/// Pauses after an answer: while there is nothing that could be used; …
const PAUSE_EMPTY_MS: i64 = 1_000;
/// … when a key is not in the set, because it may have been published since; …
const PAUSE_UNKNOWN_MS: i64 = 2_000;
/// … when there is a set to go on with and the provider failed to give a newer one.
const PAUSE_STALE_MS: i64 = 10_000;

/// What to do about a token that names a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Verify it with the key of the set.
    Use,
    /// Ask the provider for the set, then look again.
    Ask,
    /// Somebody is asking: look again in a moment.
    Wait,
    /// There is no such key.
    Refuse,
    /// The provider is away and nobody can tell: later.
    Later,
}

/// What is known of the set of keys, without the keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freshness {
    /// When the provider was asked for the set at hand.
    fetched: Option<i64>,
    /// Since when somebody is asking.
    asking: Option<i64>,
    /// When the last answer came, or was given up on.
    ended: Option<i64>,
    /// The last answer was none.
    failed: bool,
}

impl Freshness {
    /// Nothing is known.
    pub const NONE: Self = Self {
        fetched: None,
        asking: None,
        ended: None,
        failed: false,
    };

    /// What to do about a token whose key is in the set at hand, or not (`known`).
    #[must_use]
    pub fn next(&self, known: bool, now: i64) -> Next {
        let usable = within(self.fetched, MAX_STALE_MS, now);
        let pause = match (usable, known) {
            (false, _) => PAUSE_EMPTY_MS,
            (true, true) if self.failed => PAUSE_STALE_MS,
            (true, _) => PAUSE_UNKNOWN_MS,
        };
        let asking = within(self.asking, DEAD_MS, now);
        let pausing = within(self.ended, pause, now);
        // Somebody sees to a newer set, or just tried.
        let seen_to = asking || pausing;
        let good_for = match (seen_to, self.failed) {
            (false, _) => RENEWAL_MS,
            (true, false) => MAX_AGE_MS,
            (true, true) => MAX_STALE_MS,
        };
        if known && within(self.fetched, good_for, now) {
            Next::Use
        } else if asking {
            Next::Wait
        } else if !pausing {
            Next::Ask
        } else if usable && !self.failed {
            Next::Refuse
        } else {
            Next::Later
        }
    }

    /// Somebody asks the provider.
    pub fn ask(&mut self, now: i64) {
        self.asking = Some(now);
    }

    /// The provider answered what was asked at `asked`, with a set or not.
    pub fn answer(&mut self, asked: i64, got: bool, now: i64) {
        // Somebody else may ask by now, because this answer was given up on.
        if self.asking == Some(asked) {
            self.asking = None;
        }
        self.ended = Some(now);
        self.failed = !got;
        if got {
            self.fetched = Some(asked);
        }
    }
}

/// Whether `then` is less than `span` ago. A clock that was set back makes nothing last longer.
fn within(then: Option<i64>, span: i64, now: i64) -> bool {
    then.is_some_and(|then| (0..span).contains(&now.saturating_sub(then)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: i64 = 60_000;

    fn fetched_at(at: i64) -> Freshness {
        let mut keys = Freshness::NONE;
        keys.ask(at);
        keys.answer(at, true, at);
        keys
    }

    #[test]
    fn the_first_asks_and_the_others_wait_for_it() {
        let mut keys = Freshness::NONE;
        assert_eq!(keys.next(false, 0), Next::Ask);
        keys.ask(0);
        assert_eq!(keys.next(false, 100), Next::Wait);
        keys.answer(0, true, 200);
        assert_eq!(keys.next(true, 200), Next::Use);
        assert_eq!(keys.next(false, 200), Next::Refuse);
    }

    #[test]
    fn one_that_died_while_asking_is_succeeded() {
        let mut keys = Freshness::NONE;
        keys.ask(0);
        assert_eq!(keys.next(false, DEAD_MS - 1), Next::Wait);
        assert_eq!(keys.next(false, DEAD_MS), Next::Ask);
        keys.ask(DEAD_MS);
        // It was only slow, and its answer is as good as any; the other one is still waited for.
        keys.answer(0, false, DEAD_MS + 1);
        assert_eq!(keys.next(false, DEAD_MS + 2), Next::Wait);
    }

    #[test]
    fn a_provider_that_is_away_is_asked_every_second_while_there_is_nothing_to_use() {
        let mut keys = Freshness::NONE;
        keys.ask(0);
        keys.answer(0, false, 5000);
        assert_eq!(keys.next(false, 5000), Next::Later);
        assert_eq!(keys.next(false, 5999), Next::Later);
        assert_eq!(keys.next(false, 6000), Next::Ask);
    }

    #[test]
    fn a_set_is_renewed_before_it_is_too_old() {
        let mut keys = fetched_at(0);
        assert_eq!(keys.next(true, RENEWAL_MS - 1), Next::Use);
        assert_eq!(keys.next(true, RENEWAL_MS), Next::Ask);
        keys.ask(RENEWAL_MS);
        assert_eq!(keys.next(true, RENEWAL_MS + 100), Next::Use);
        keys.answer(RENEWAL_MS, true, RENEWAL_MS + 200);
        // The key was withdrawn.
        assert_eq!(keys.next(false, RENEWAL_MS + 200), Next::Refuse);
        // After a long silence nothing old is used while somebody asks.
        let mut keys = fetched_at(0);
        keys.ask(MAX_AGE_MS);
        assert_eq!(keys.next(true, MAX_AGE_MS), Next::Wait);
    }

    #[test]
    fn the_last_set_helps_out_for_an_hour() {
        let mut keys = fetched_at(0);
        let away = 20 * MINUTE;
        keys.ask(away);
        keys.answer(away, false, away + 5000);
        assert_eq!(keys.next(true, away + 5000), Next::Use);
        assert_eq!(keys.next(true, away + 5000 + PAUSE_STALE_MS), Next::Ask);
        // Another one asks already.
        keys.ask(away + 5000 + PAUSE_STALE_MS);
        assert_eq!(keys.next(true, away + 5001 + PAUSE_STALE_MS), Next::Use);
        // Whether a key that is not in it was published since, nobody can tell.
        keys.answer(away + 5000 + PAUSE_STALE_MS, false, away + 20_000);
        assert_eq!(keys.next(false, away + 20_000), Next::Later);
        let late = MAX_STALE_MS;
        keys.ask(late - 5000);
        keys.answer(late - 5000, false, late);
        assert_eq!(keys.next(true, late), Next::Later);
    }

    #[test]
    fn a_new_key_is_found_two_seconds_after_the_last_look() {
        let keys = fetched_at(0);
        assert_eq!(keys.next(false, PAUSE_UNKNOWN_MS - 1), Next::Refuse);
        assert_eq!(keys.next(false, PAUSE_UNKNOWN_MS), Next::Ask);
    }

    /// One request after a while, and if it asks, when it gets its answer.
    #[derive(Debug, Clone)]
    struct Request {
        after: i64,
        known: bool,
        takes: i64,
        got: bool,
        dies: bool,
    }

    fn request() -> impl Strategy<Value = Request> {
        let after = prop_oneof![0..300i64, 0..20_000i64, 0..2 * MAX_STALE_MS];
        (
            after,
            any::<bool>(),
            0..=PATIENCE_MS,
            any::<bool>(),
            any::<bool>(),
        )
            .prop_map(|(after, known, takes, got, dies)| Request {
                after,
                known,
                takes,
                got,
                dies,
            })
    }

    proptest! {
        /// Whatever comes in whatever order: one asks at a time and with pauses, nothing is used that is
        /// too old, and somebody who waits does so for a living one.
        #[test]
        fn promises(requests in proptest::collection::vec(request(), 1..200)) {
            let mut keys = Freshness::NONE;
            let (mut now, mut last_ask) = (0, None::<i64>);
            let (mut set, mut failed_since_set) = (None::<i64>, false);
            let mut pending: Vec<(i64, i64, bool)> = Vec::new();
            for request in requests {
                now += request.after;
                pending.sort_by_key(|&(ends, ..)| ends);
                while let Some(&(ends, asked, got)) = pending.first().filter(|&&(ends, ..)| ends <= now) {
                    keys.answer(asked, got, ends);
                    if got { set = Some(asked); }
                    failed_since_set = !got;
                    pending.remove(0);
                }
                let known = request.known && set.is_some();
                let age = set.map(|at| now - at);
                match keys.next(known, now) {
                    Next::Use => {
                        prop_assert!(known);
                        let bound = if failed_since_set { MAX_STALE_MS } else { MAX_AGE_MS };
                        prop_assert!(age.unwrap() < bound);
                    }
                    Next::Ask => {
                        prop_assert!(pending.iter().all(|&(_, asked, _)| now - asked >= DEAD_MS));
                        if let Some(last) = last_ask {
                            prop_assert!(now - last >= PAUSE_EMPTY_MS);
                            if age.is_some_and(|age| age < MAX_STALE_MS) {
                                prop_assert!(now - last >= PAUSE_UNKNOWN_MS);
                            }
                        }
                        last_ask = Some(now);
                        keys.ask(now);
                        if !request.dies {
                            pending.push((now + request.takes, now, request.got));
                        }
                    }
                    Next::Wait => prop_assert!(last_ask.is_some_and(|last| now - last < DEAD_MS)),
                    Next::Refuse => prop_assert!(!known && age.is_some_and(|age| age < MAX_STALE_MS)),
                    Next::Later => prop_assert!(set.is_none() || failed_since_set || age.unwrap() >= MAX_STALE_MS),
                }
            }
        }
    }
}
