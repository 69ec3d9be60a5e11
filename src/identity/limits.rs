//! How often somebody may call.

use crate::call::Call;
use crate::error::{Code, Error, Result};
use crate::platform::clock;
use crate::settings;
use celaest_domain::address::Address;
use celaest_durable::caller::{self, Decision, LocalLimiter};
use std::cell::RefCell;
use std::collections::HashMap;
use std::thread::LocalKey;

/// The length of a rate-limit window, in seconds.
const WINDOW_S: u32 = 60;

/// Addresses that are counted at the same time in one isolate; the oldest make room.
const MAX_ADDRESSES: usize = 10_000;

/// How often an address may ask for the readiness in a window, however low the limit of callers is.
const LEAST_READINESS: u32 = 60;

thread_local! {
    /// Validations per address in this isolate. Memory only, and so approximate across isolates: the
    /// exact limit is the license's own, in its object, and a second object call per validation would
    /// cost more than it protects.
    static ADDRESSES: RefCell<LocalLimiter> = RefCell::new(LocalLimiter::new(MAX_ADDRESSES));
    /// Looks at the catalogue per address in this isolate.
    static BROWSING: RefCell<LocalLimiter> = RefCell::new(LocalLimiter::new(MAX_ADDRESSES));
    /// Questions for the readiness per address in this isolate.
    static READINESS: RefCell<LocalLimiter> = RefCell::new(LocalLimiter::new(MAX_ADDRESSES));
    /// Those over a limit, as far as this isolate has seen: addresses that failed to sign in too often, and
    /// callers.
    static OVER: RefCell<Over> = RefCell::default();
}

/// Counts a request of somebody who need not prove who they are: the address pays, in an object of its own.
///
/// # Errors
/// 429 when the address is over its limit; 503 when the object does not answer.
pub async fn count_address(call: &Call) -> Result<()> {
    let limit = settings::rate_limit_per_min(call);
    let name = format!("ip:{}", address(&call.ip));
    apply(call, count(call, &name, limit).await?)
}

/// Counts a failed sign-in of the connection's address, exactly; of one that is known to be over the limit
/// no object is asked.
///
/// # Errors
/// As [`count_address`].
pub async fn count_failure(call: &Call) -> Result<()> {
    may_try(call)?;
    let limit = settings::rate_limit_per_min(call);
    let name = failing(call);
    let decision = count(call, &name, limit).await?;
    if decision.remaining == 0 {
        note_over(name, decision);
    }
    apply(call, decision)
}

/// Stops an address that failed to sign in too often before anybody is looked up for it, whether what it
/// says now is right or wrong. Those whom their object knows need not be looked up, so guessing does not
/// lock out neighbours who share the address.
///
/// # Errors
/// 429 while the address is over its limit.
pub fn may_try(call: &Call) -> Result<()> {
    known_over(&failing(call)).map_or(Ok(()), |decision| apply(call, decision))
}

/// The object that counts the failed sign-ins of the connection's address.
fn failing(call: &Call) -> String {
    format!("failed:{}", address(&call.ip))
}

/// Remembers that `name` is over its limit.
pub fn note_over(name: String, decision: Decision) {
    OVER.with_borrow_mut(|over| over.add(name, decision, clock::now_ms()));
}

/// The limit that `name` is known to be over.
pub fn known_over(name: &str) -> Option<Decision> {
    OVER.with_borrow(|over| over.decision(name, clock::now_ms()))
}

/// What an address counts as: of IPv6 its /64, because one connection has all of it.
fn address(ip: &str) -> String {
    Address::parse(ip).map_or_else(|| ip.to_owned(), |address| address.key().to_string())
}

/// Names over their limit: the limit, and when its window ends. An isolate learns of one by a refusal of its
/// own.
#[derive(Default)]
struct Over(HashMap<String, (u32, i64)>);

impl Over {
    fn add(&mut self, name: String, decision: Decision, now_ms: i64) {
        if self.0.len() >= MAX_ADDRESSES {
            self.0.retain(|_, (_, ends_ms)| *ends_ms > now_ms);
        }
        // Of more, each is still refused by its object.
        if self.0.len() < MAX_ADDRESSES {
            let ends_ms = now_ms + i64::from(decision.reset_s) * 1000;
            self.0.insert(name, (decision.limit, ends_ms));
        }
    }

    fn decision(&self, name: &str, now_ms: i64) -> Option<Decision> {
        let (limit, ends_ms) = *self.0.get(name)?;
        let left_s = u32::try_from((ends_ms - now_ms + 999).div_euclid(1000)).ok()?;
        (left_s > 0).then_some(Decision {
            allowed: false,
            limit,
            remaining: 0,
            reset_s: left_s,
        })
    }
}

async fn count(call: &Call, name: &str, limit: u32) -> Result<Decision> {
    call.count_object_call();
    caller::count(call.env(), name, limit)
        .await
        .map_err(Error::unavailable)
}

/// Counts the connection's address in this isolate's memory.
fn count_here(
    call: &Call,
    addresses: &'static LocalKey<RefCell<LocalLimiter>>,
    limit: u32,
) -> Result<()> {
    let address = address(&call.ip);
    let decision = addresses
        .with_borrow_mut(|addresses| addresses.check(&address, limit, WINDOW_S, call.started_ms));
    apply(call, decision)
}

/// Counts a validation from the connection's address.
///
/// # Errors
/// 429 when the address is over its limit.
pub fn count_validation(call: &Call) -> Result<()> {
    let limit = call.config.validate_limit_per_ip;
    count_here(call, &ADDRESSES, limit)
}

/// Counts a look at what everybody may see, from the connection's address, in memory: of the open routes these are
/// the ones that ask PostgreSQL something.
///
/// # Errors
/// 429 when the address is over its limit.
pub fn count_browsing(call: &Call) -> Result<()> {
    let limit = call.config.browse_limit_per_ip;
    count_here(call, &BROWSING, limit)
}

/// Counts a question for the readiness from the connection's address, in memory: asking may cost no more
/// than the answer. Platforms ask every few seconds.
///
/// # Errors
/// 429 when the address is over its limit.
pub fn count_readiness(call: &Call) -> Result<()> {
    let limit = call.config.rate_limit_per_min.max(LEAST_READINESS);
    count_here(call, &READINESS, limit)
}

/// Whether a Durable Object answers.
///
/// # Errors
/// When it does not.
pub async fn ping(call: &Call) -> Result<()> {
    count(call, "health", u32::MAX).await.map(|_| ())
}

/// Shows the limit in the response's headers and stops a caller that is over it.
///
/// # Errors
/// 429 with `Retry-After`.
pub fn apply(call: &Call, decision: Decision) -> Result<()> {
    call.set_quota(decision);
    if decision.allowed {
        return Ok(());
    }
    Err(Error {
        retry_after: Some(decision.reset_s.max(1)),
        ..Error::new(Code::RateLimited)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_counts_once_whichever_of_its_addresses_it_uses() {
        assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff::9"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
    }

    #[test]
    fn an_address_is_over_its_limit_until_the_window_ends() {
        let last = Decision {
            allowed: true,
            limit: 100,
            remaining: 0,
            reset_s: 30,
        };
        let mut over = Over::default();
        over.add("192.0.2.1".into(), last, 1_000);
        let reset = |now| over.decision("192.0.2.1", now).map(|known| known.reset_s);
        assert_eq!(reset(1_000), Some(30));
        assert_eq!(reset(30_500), Some(1));
        assert_eq!(reset(31_000), None);
        assert_eq!(reset(90_000), None);
        assert!(over.decision("192.0.2.2", 1_000).is_none());
    }

    #[test]
    fn only_so_many_addresses_are_remembered() {
        let refused = |reset_s| Decision {
            allowed: false,
            limit: 1,
            remaining: 0,
            reset_s,
        };
        let mut over = Over::default();
        for index in 0..MAX_ADDRESSES {
            over.add(
                index.to_string(),
                refused(if index == 0 { 1 } else { 60 }),
                0,
            );
        }
        over.add("one more".into(), refused(60), 0);
        assert!(over.decision("one more", 0).is_none());
        over.add("one later".into(), refused(60), 2_000);
        assert!(over.decision("one later", 2_000).is_some());
        assert_eq!(over.0.len(), MAX_ADDRESSES);
    }
}
