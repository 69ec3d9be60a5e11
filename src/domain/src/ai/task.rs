//! Tasks that are done later: what follows a failure, and what may be done with one.

use serde::{Deserialize, Serialize};

/// How often a task is tried again by itself.
pub const MAX_RETRIES: u32 = 3;
/// The pauses before these, in seconds.
const PAUSES_S: [u64; MAX_RETRIES as usize] = [5, 30, 120];
/// The longest that a provider's own wish makes a task wait, in seconds.
const MOST_WAIT_S: u64 = 3_600;
/// How long a task waits that found no room, in seconds: at least, where nobody says, at most.
const NO_ROOM_S: (u64, u64, u64) = (1, 2, 300);
/// The longest that the rest of a license's tasks wait with one that found no room, in seconds.
const MOST_HOLD_S: u64 = 5;

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiTaskStatus"))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It waits for its turn.
    Pending,
    /// A model is asked.
    Processing,
    /// It failed, and is tried again by itself.
    Retrying,
    /// It has its answer.
    Completed,
    /// It failed for good.
    Failed,
    /// Nobody wants its answer any more.
    Cancelled,
}

impl Status {
    /// The text in the column.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Retrying => "retrying",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Whether somebody may have it done again.
    #[must_use]
    pub fn may_retry(self) -> bool {
        matches!(self, Self::Failed | Self::Cancelled)
    }
}

/// A failed attempt, as what follows is decided by it.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    /// Attempts so far, this one included.
    pub attempts: u32,
    /// Whether asking again may end better.
    pub retryable: bool,
    /// Whether a provider was asked at all.
    pub reached: bool,
    /// How long to wait before that, in milliseconds, where somebody said so.
    pub retry_after_ms: Option<i64>,
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It failed for good.
    Fail,
    /// It is tried again.
    Again {
        /// After so many seconds.
        wait_s: u64,
    },
    /// Nobody was asked, because there was no room: this was no attempt.
    Later {
        /// It comes again after so many seconds.
        wait_s: u64,
        /// Nor is there room for the license's other tasks, for so many seconds.
        hold_s: u64,
    },
}

/// What follows. `chance` is anything from 0 to 1000: so that what failed together does not come back together.
#[must_use]
pub fn after(failure: Failure, chance: u64) -> Next {
    let asked_s = failure
        .retry_after_ms
        .map(|ms| u64::try_from(ms).unwrap_or(0).div_ceil(1_000));
    if !failure.retryable {
        return Next::Fail;
    }
    if !failure.reached {
        let (least, usual, most) = NO_ROOM_S;
        let wait_s = asked_s.unwrap_or(usual).clamp(least, most);
        return Next::Later {
            wait_s: wait_s + wait_s * chance.min(1_000) / 4_000,
            hold_s: wait_s.min(MOST_HOLD_S),
        };
    }
    let place = failure.attempts.saturating_sub(1) as usize;
    match PAUSES_S.get(place) {
        None => Next::Fail,
        Some(pause) => {
            let pause = pause + pause * chance.min(1_000) / 4_000;
            let asked_s = asked_s.unwrap_or(0).min(MOST_WAIT_S);
            Next::Again {
                wait_s: pause.max(asked_s),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FAULT: Failure = Failure {
        attempts: 1,
        retryable: true,
        reached: true,
        retry_after_ms: None,
    };

    #[test]
    fn three_times_with_growing_pauses() {
        let waits: Vec<Next> = (1..=5)
            .map(|attempts| after(Failure { attempts, ..FAULT }, 0))
            .collect();
        let again = |wait_s| Next::Again { wait_s };
        assert_eq!(
            waits,
            [again(5), again(30), again(120), Next::Fail, Next::Fail]
        );
        let hopeless = Failure {
            retryable: false,
            ..FAULT
        };
        assert_eq!(after(hopeless, 0), Next::Fail);
    }

    #[test]
    fn whoever_says_how_long_is_heard() {
        let told = |ms| Failure {
            retry_after_ms: Some(ms),
            ..FAULT
        };
        assert_eq!(after(told(61_001), 0), Next::Again { wait_s: 62 });
        assert_eq!(after(told(1), 0), Next::Again { wait_s: 5 });
        assert_eq!(after(told(i64::MAX), 0), Next::Again { wait_s: 3_600 });
        assert_eq!(after(told(-5), 0), Next::Again { wait_s: 5 });
    }

    #[test]
    fn no_room_is_no_attempt() {
        let full = |retry_after_ms| Failure {
            attempts: 40,
            reached: false,
            retry_after_ms,
            ..FAULT
        };
        let later = |wait_s, hold_s| Next::Later { wait_s, hold_s };
        assert_eq!(after(full(None), 0), later(2, 2));
        assert_eq!(after(full(Some(1_000)), 1_000), later(1, 1));
        assert_eq!(after(full(Some(40_000)), 1_000), later(50, 5));
        assert_eq!(after(full(Some(9_000_000)), 0), later(300, 5));
    }

    #[test]
    fn what_is_final() {
        for status in [Status::Pending, Status::Processing, Status::Retrying] {
            assert!(!status.is_final() && !status.may_retry(), "{status:?}");
        }
        assert!(Status::Completed.is_final() && !Status::Completed.may_retry());
        assert!(Status::Failed.may_retry() && Status::Cancelled.may_retry());
    }

    proptest! {
        #[test]
        fn nothing_waits_for_ever(
            attempts in 0..9_u32, reached: bool, retryable: bool, ms in proptest::option::of(any::<i64>()), chance: u64,
        ) {
            let next = after(Failure { attempts, retryable, reached, retry_after_ms: ms }, chance);
            match next {
                Next::Fail => prop_assert!(!retryable || attempts > MAX_RETRIES),
                Next::Again { wait_s } => prop_assert!((5..=3_600).contains(&wait_s)),
                Next::Later { wait_s, hold_s } => prop_assert!((1..=375).contains(&wait_s) && hold_s <= wait_s),
            }
        }
    }
}
