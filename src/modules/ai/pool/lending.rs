//! Keys are lent for one attempt: reserved before the call, settled after it.

use super::keys;
use crate::config::Secret;
use crate::error::{Error, Result};
use crate::log;
use crate::modules::ai::host::Host;
use crate::platform::clock;
use crate::platform::company::{Company, WAIT_MS};
use celaest_domain::ai::chat::Usage;
use celaest_domain::ai::failure::{Class, Failure};
use celaest_domain::ai::provider::Provider;
use celaest_durable::key_pool::{self, Lease, Supply, Verdict};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;
use worker::Delay;

/// A pool can change while it is being read; each time it is read again, soon with a pause.
const ATTEMPTS: u32 = 12;
/// Attempts without a pause before them.
const AT_ONCE: u32 = 3;
/// What each pause is longer than the one before it.
const PAUSE: Duration = Duration::from_millis(20);
/// So long in milliseconds nobody asks a pool that had no keys.
const EMPTY_MS: i64 = 30_000;
/// Empty pools that an isolate remembers.
const MOST_EMPTY: usize = 4_096;
/// Keys that do not open are passed over, so many of them.
const MOST_SHUT: usize = 5;

thread_local! {
    /// Pools without any key, by name, and until when that is believed.
    static EMPTY: RefCell<HashMap<String, i64>> = RefCell::default();
    /// What became of keys that were good, by pool, on its way there.
    static GOOD: RefCell<HashMap<String, Company<key_pool::Settle<'static>>>> = RefCell::default();
}

/// What a key is wanted for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Whose.
    pub provider: Provider,
    /// On whose behalf: its own keys come first, then the platform's.
    pub organization: Option<Uuid>,
    /// The model that is called, by the provider's name for it.
    pub model: &'a str,
    /// Tokens that the attempt is going to use, as far as anybody can say.
    pub tokens: u64,
    /// Keys that failed this request already.
    pub tried: &'a [Uuid],
}

/// What a pool had.
#[derive(Debug)]
pub enum Reserved {
    /// A key, to be settled.
    Key(Box<Lent>),
    /// All keys that could be used rest.
    Cooling {
        /// When the first comes back, in Unix milliseconds.
        until_ms: i64,
        /// Why it rests.
        reason: String,
    },
    /// There is no key, or none that did not fail already.
    Empty,
}

/// A key, lent for one attempt.
#[derive(Debug, Clone)]
pub struct Lent {
    /// Which one.
    pub key_id: Uuid,
    /// The key itself.
    pub secret: Secret,
    /// Where its provider's API is, without a slash at the end.
    pub base_url: String,
    /// It is the organization's own, not the platform's.
    pub own: bool,
    pool: String,
    lease: Lease,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome<'a> {
    /// How it failed; nothing for one that was answered.
    pub failure: Option<&'a Failure>,
    /// It was given up before anybody knew: whoever asked is gone.
    pub given_up: bool,
    /// Tokens, where the provider said so.
    pub usage: Option<Usage>,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
    /// What it cost, in millionths of a dollar, where it is known.
    pub cost_micros: Option<u64>,
}

/// The name of a pool's object: keys of a provider, of an organization or of the platform.
pub fn name_of(provider: Provider, owner: Option<Uuid>) -> String {
    match owner {
        None => format!("{provider}:platform"),
        Some(organization) => format!("{provider}:{organization}"),
    }
}

/// A key for one attempt: of the organization's own if there is one to be had, else of the platform's. Each
/// pool that has keys is one object call, and a statement only when its object does not know them.
///
/// # Errors
/// 503 when an object or PostgreSQL is away.
pub async fn reserve(host: &impl Host, wanted: &Wanted<'_>) -> Result<Reserved> {
    let own = wanted.organization.map(Some);
    let mut rests: Option<(i64, String)> = None;
    for owner in own.into_iter().chain([None]) {
        match of_pool(host, wanted, owner).await? {
            Reserved::Cooling { until_ms, reason }
                if rests.as_ref().is_none_or(|(first, _)| until_ms < *first) =>
            {
                rests = Some((until_ms, reason));
            }
            Reserved::Cooling { .. } | Reserved::Empty => {}
            lent => return Ok(lent),
        }
    }
    Ok(
        rests.map_or(Reserved::Empty, |(until_ms, reason)| Reserved::Cooling {
            until_ms,
            reason,
        }),
    )
}

async fn of_pool(host: &impl Host, wanted: &Wanted<'_>, owner: Option<Uuid>) -> Result<Reserved> {
    let pool = name_of(wanted.provider, owner);
    if is_empty(&pool) {
        return Ok(Reserved::Empty);
    }
    let mut shut: Vec<Uuid> = Vec::new();
    for _ in 0..MOST_SHUT {
        let tried = match shut.as_slice() {
            [] => Cow::Borrowed(wanted.tried),
            shut => [wanted.tried, shut].concat().into(),
        };
        let given = match ask(host, wanted, owner, &pool, tried).await? {
            key_pool::Reserved::Key(given) => given,
            key_pool::Reserved::Cooling { until_ms, reason } => {
                return Ok(Reserved::Cooling { until_ms, reason });
            }
            key_pool::Reserved::Empty { keys } => {
                if keys == 0 {
                    note_empty(pool);
                }
                return Ok(Reserved::Empty);
            }
            key_pool::Reserved::Need { .. } => {
                return Err(Error::unavailable("the pool keeps changing"));
            }
        };
        let config = host.config()?;
        let key_id = given.lease.key_id;
        match keys::opened(config, key_id, &given.sealed, given.key_version) {
            Ok(secret) => {
                return Ok(Reserved::Key(Box::new(Lent {
                    key_id,
                    secret,
                    base_url: config.ai_base_url(wanted.provider).to_owned(),
                    own: owner.is_some(),
                    pool,
                    lease: given.lease,
                })));
            }
            // Without any key of encryption nothing opens; that is no fault of this one.
            Err(error) if config.encryption_key.is_none() => return Err(error),
            Err(error) => {
                log::error(host.name(), "the key of a provider does not open", &error);
                let outcome = Outcome {
                    failure: Some(&unreadable()),
                    ..Outcome::default()
                };
                settle_in(host, &pool, &given.lease, &outcome).await?;
                shut.push(key_id);
            }
        }
    }
    Ok(Reserved::Empty)
}

/// Asks the pool's object, and PostgreSQL when that does not know.
async fn ask(
    host: &impl Host,
    wanted: &Wanted<'_>,
    owner: Option<Uuid>,
    pool: &str,
    tried: Cow<'_, [Uuid]>,
) -> Result<key_pool::Reserved> {
    let max_age_s = host.config()?.snapshot_ttl_seconds;
    let mut found: Option<(u64, Box<RawValue>)> = None;
    for attempt in 0..ATTEMPTS {
        if let Some(pauses) = attempt.checked_sub(AT_ONCE).filter(|pauses| *pauses > 0) {
            Delay::from(PAUSE * pauses).await;
        }
        let ask = key_pool::Reserve {
            model: wanted.model.into(),
            tokens: wanted.tokens,
            tried: Cow::Borrowed(&tried),
            max_age_s,
            supply: found.as_ref().map(|(token, data)| Supply {
                token: *token,
                data,
            }),
        };
        host.count_object_call();
        let answer = key_pool::reserve(host.env(), pool, &ask).await;
        match answer.map_err(Error::unavailable)? {
            key_pool::Reserved::Need { token } => {
                found = Some((token, keys::read(host, wanted.provider, owner).await?));
            }
            answer => return Ok(answer),
        }
    }
    Err(Error::unavailable("the pool keeps changing"))
}

/// Says what became of a key that was lent. Settling twice is settling once. That it was good is said together with
/// others, a moment later: nobody waits for it.
///
/// # Errors
/// 503 when the object cannot be reached; the lease ends by itself then.
pub async fn settle(host: &impl Host, lent: &Lent, outcome: &Outcome<'_>) -> Result<()> {
    if outcome.failure.is_some() || outcome.given_up {
        return settle_in(host, &lent.pool, &lent.lease, outcome).await;
    }
    let (pool, now) = (lent.pool.clone(), clock::now_ms());
    let is_first = GOOD.with_borrow_mut(|pools| {
        let waiting = pools.entry(pool.clone()).or_default();
        waiting.join(settlement(&lent.lease, outcome), now)
    });
    if !is_first {
        return Ok(());
    }
    host.count_object_call();
    let (env, name) = (host.env().clone(), host.name().to_owned());
    host.background()(Box::pin(async move {
        Delay::from(Duration::from_millis(WAIT_MS)).await;
        let waiting = GOOD.with_borrow_mut(|pools| pools.remove(&pool));
        let good = waiting.unwrap_or_default().leave();
        if let Err(error) = key_pool::settle(&env, &pool, &good).await {
            log::warn(
                &name,
                "keys were not given back",
                &Error::unavailable(error),
            );
        }
    }));
    Ok(())
}

/// [`settle`] for a lease of the pool of that name.
///
/// # Errors
/// As [`settle`].
pub async fn settle_in(
    host: &impl Host,
    pool: &str,
    lease: &Lease,
    outcome: &Outcome<'_>,
) -> Result<()> {
    host.count_object_call();
    let settled = key_pool::settle(host.env(), pool, &[settlement(lease, outcome)]).await;
    settled.map_err(Error::unavailable)
}

fn settlement(lease: &Lease, outcome: &Outcome<'_>) -> key_pool::Settle<'static> {
    let failure = outcome.failure;
    let verdict = match failure.map(|failure| failure.class) {
        None if outcome.given_up => Verdict::Unknown,
        None => Verdict::Good,
        Some(Class::Caller) => Verdict::Caller,
        Some(Class::Key) => Verdict::Key,
        Some(Class::Capacity) => Verdict::Capacity,
        Some(Class::Fault) => Verdict::Fault,
        Some(Class::Model) => Verdict::Model,
    };
    key_pool::Settle {
        lease: lease.clone(),
        verdict,
        code: failure.map_or("", |failure| failure.code).into(),
        until_ms: failure.and_then(|failure| failure.until_ms),
        disables: failure.is_some_and(|failure| failure.disables),
        input: outcome.usage.map(|usage| usage.input),
        output: outcome.usage.map(|usage| usage.output),
        latency_ms: outcome.latency_ms,
        cost_micros: outcome.cost_micros,
    }
}

/// What becomes of a key that does not open.
pub fn unreadable() -> Failure {
    Failure {
        disables: true,
        ..Failure::new(Class::Key, "key_unreadable")
    }
}

fn is_empty(pool: &str) -> bool {
    let now = clock::now_ms();
    EMPTY.with_borrow(|known| known.get(pool).is_some_and(|until| *until > now))
}

fn note_empty(pool: String) {
    let now = clock::now_ms();
    EMPTY.with_borrow_mut(|known| {
        if known.len() >= MOST_EMPTY {
            known.retain(|_, until| *until > now);
        }
        if known.len() >= MOST_EMPTY {
            known.clear();
        }
        known.insert(pool, now + EMPTY_MS);
    });
}

/// A pool has keys again, as far as this isolate knows.
pub fn forget_empty(pool: &str) {
    EMPTY.with_borrow_mut(|known| known.remove(pool));
}
