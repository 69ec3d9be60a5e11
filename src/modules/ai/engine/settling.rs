//! The ends of calls on their way to their licenses' objects. While one message to an object is under way, what comes
//! meanwhile waits for its reply and leaves as the next: who comes alone waits for nobody, and of many few are sent.

use crate::error::Error;
use crate::log;
use crate::modules::ai::host::Host;
use crate::platform::clock;
use celaest_domain::license_key::LicenseKey;
use celaest_durable::license::{self, SettleCall};
use std::cell::RefCell;
use std::collections::HashMap;

/// After so many milliseconds whoever sends counts as gone, and the next one sends.
const LATE_MS: i64 = 1_000;
/// Messages that one sends for others.
const MOST_FOR_OTHERS: usize = 20;

thread_local! {
    static ON_THEIR_WAY: RefCell<HashMap<LicenseKey, Lane>> = RefCell::default();
}

/// Ends for one license.
#[derive(Debug, Default)]
struct Lane {
    waiting: Vec<SettleCall>,
    /// Until when somebody else sends, in Unix milliseconds.
    busy_until: i64,
}

impl Lane {
    /// One comes; what it is to send, if it is.
    fn come(&mut self, one: SettleCall, now: i64) -> Option<Vec<SettleCall>> {
        self.waiting.push(one);
        (now >= self.busy_until).then(|| self.leave(now))
    }

    fn leave(&mut self, now: i64) -> Vec<SettleCall> {
        self.busy_until = now + LATE_MS;
        std::mem::take(&mut self.waiting)
    }
}

/// Tells a license's object of a call's end, alone and at once.
pub(super) async fn now(host: &impl Host, key: &LicenseKey, told: &[SettleCall]) {
    if let Err(error) = license::settle_calls(host.env(), key, told).await {
        let error = Error::unavailable(error);
        log::warn(
            host.name(),
            "a license was not told of a call's end",
            &error,
        );
    }
}

/// Tells a license's object of a call's end, together with others where there are many.
pub(super) async fn along(host: &impl Host, key: &LicenseKey, told: SettleCall) {
    let mut mine = ON_THEIR_WAY.with_borrow_mut(|lanes| {
        let lane = lanes.entry(key.clone()).or_default();
        lane.come(told, clock::now_ms())
    });
    for left in (0..MOST_FOR_OTHERS).rev() {
        let Some(some) = mine.take() else {
            return;
        };
        now(host, key, &some).await;
        mine = ON_THEIR_WAY.with_borrow_mut(|lanes| {
            let more = lanes.get_mut(key)?.leave(clock::now_ms());
            // Whoever comes when this one goes on no longer begins anew.
            if more.is_empty() || left == 0 {
                lanes.remove(key);
            }
            (!more.is_empty()).then_some(more)
        });
    }
    if let Some(last) = mine {
        now(host, key, &last).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use celaest_durable::license::Settle;
    use uuid::Uuid;

    #[test]
    fn who_comes_meanwhile_waits_unless_the_sender_is_gone() {
        let told = |n| SettleCall {
            id: Uuid::from_u128(n),
            settle: Settle::GivenBack,
        };
        let mut lane = Lane::default();
        let ids = |some: Option<Vec<SettleCall>>| {
            some.map(|some| some.iter().map(|one| one.id.as_u128()).collect::<Vec<_>>())
        };
        assert_eq!(ids(lane.come(told(1), 5_000)), Some(vec![1]));
        assert_eq!(ids(lane.come(told(2), 5_500)), None);
        assert_eq!(ids(Some(lane.leave(5_600))), Some(vec![2]));
        assert_eq!(ids(lane.come(told(3), 6_599)), None);
        assert_eq!(ids(lane.come(told(4), 6_600)), Some(vec![3, 4]));
    }
}
