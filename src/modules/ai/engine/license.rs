//! Which license a call uses, and what its object says of it.

use super::{Ask, Who};
use crate::db::facts::Actor;
use crate::db::{Scope, sql};
use crate::error::{Code, Error, Result};
use crate::identity;
use crate::modules::ai::host::Host;
use crate::modules::licenses::edge::Known;
use crate::modules::licenses::queries;
use crate::platform::clock;
use celaest_domain::license_key::LicenseKey;
use celaest_durable::license::{self, CallAnswer, Left, Limit, ReserveCall};
use serde_json::json;
use std::cell::RefCell;
use std::collections::HashMap;
use uuid::Uuid;

/// A license can change while it is being read; each time it is read again.
const ATTEMPTS: usize = 8;
/// Licenses whose keys an isolate remembers: beyond that it forgets all.
const MOST_REMEMBERED: usize = 10_000;
/// A budget that is used up with nothing used of it.
const NO_MONEY: i64 = -1;
/// How much longer than the call itself its end may take to be told, in milliseconds.
const GRACE_MS: i64 = 10_000;

thread_local! {
    /// Where the objects of licenses are, by their ids. Neither ever changes, and the object looks whether it is
    /// the right one.
    static KEYS: RefCell<HashMap<Uuid, License>> = RefCell::default();
}

pub use crate::identity::License;

/// A call that was let in.
#[derive(Debug, Clone)]
pub(super) struct Granted {
    /// The license.
    pub id: Uuid,
    /// Its object.
    pub key: LicenseKey,
    /// Its vendor.
    pub organization: Uuid,
    /// What remains.
    pub left: Left,
    /// A limit is near: somebody may wait for what the call gives back.
    pub near: bool,
}

/// The license that is named, or the default one: the first of those in force that the caller may use.
///
/// # Errors
/// 404 for one that is not the caller's, 403 when there is none.
pub async fn of(host: &impl Host, who: &Who, named: Option<Uuid>) -> Result<License> {
    match named {
        Some(id) => {
            let known = KEYS.with_borrow(|keys| keys.get(&id).cloned());
            match known {
                // Whose it is, its object knows.
                Some(license) => Ok(license),
                None => look(host, who, Some(id))
                    .await?
                    .ok_or_else(|| Code::LicenseNotFound.into()),
            }
        }
        None => match &who.license {
            Some(license) => Ok(license.clone()),
            None => default(host, who).await,
        },
    }
}

async fn default(host: &impl Host, who: &Who) -> Result<License> {
    let found = look(host, who, None).await?;
    found.ok_or_else(|| Code::LicenseRequired.into())
}

async fn look(host: &impl Host, who: &Who, named: Option<Uuid>) -> Result<Option<License>> {
    let query = match named {
        Some(id) => sql("SELECT l.id, l.license_key AS key FROM licenses l
             WHERE l.id = $1::uuid AND ($2 IS NULL OR l.organization_id = $2::uuid)
               AND ($3 IS NULL OR l.owner_id = $3::uuid)")
        .bind(id),
        None => sql(format!(
            "SELECT l.id, l.license_key AS key FROM licenses l
             WHERE l.id = {} AND $1 IS NULL",
            identity::license_of("$2::uuid", "$3::uuid")
        ))
        .bind(None::<Uuid>),
    };
    let tx = host.database().begin(Scope::System, Actor::default());
    let found: Option<License> = tx
        .only_row(query.bind(who.organization).bind(who.owner))
        .await?;
    if let Some(license) = &found {
        KEYS.with_borrow_mut(|keys| {
            if keys.len() >= MOST_REMEMBERED {
                keys.clear();
            }
            keys.insert(license.id, license.clone());
        });
    }
    Ok(found)
}

/// Reserves room for the call. Of a caller who named no license, and whose default one is no longer in force,
/// the next one is asked.
///
/// # Errors
/// Why the license does not let it in.
pub(super) async fn reserve(
    host: &impl Host,
    ask: &Ask,
    call: Uuid,
    license: License,
    cost_micro: i64,
    streams: bool,
) -> Result<Granted> {
    let refused = match reserve_in(host, ask, call, &license, cost_micro, streams).await {
        Err(error) if ask.license.is_none() && is_passing(error.code) => error,
        outcome => return outcome,
    };
    match default(host, &ask.who).await {
        Ok(next) if next != license => {
            reserve_in(host, ask, call, &next, cost_micro, streams).await
        }
        _ => Err(refused),
    }
}

fn is_passing(code: Code) -> bool {
    matches!(
        code,
        Code::LicenseExpired | Code::LicenseInactive | Code::LicenseNotFound
    )
}

async fn reserve_in(
    host: &impl Host,
    ask: &Ask,
    call: Uuid,
    license: &License,
    cost_micro: i64,
    streams: bool,
) -> Result<Granted> {
    let key = parsed(license)?;
    let mut reserve = asked(host, ask, call, license.id, cost_micro)?;
    if streams {
        reserve.patience_ms += super::stream::MOST_MS;
    }
    let (organization, left, near) = granted(knock(host, &key, reserve).await?)?;
    Ok(Granted {
        id: license.id,
        key,
        organization,
        left,
        near,
    })
}

/// Whether the license would let a task in now, as it lets calls in, but for how many there are at a time: those wait.
///
/// # Errors
/// Why not.
pub async fn admits(host: &impl Host, ask: &Ask, license: &License, cost_micro: i64) -> Result<()> {
    let budget_micro = ask.who.key.and_then(|key| key.budget_micro);
    let reserve = ReserveCall {
        // Nobody fits into it, and it is looked at last: the object says what is used, and reserves nothing.
        key_budget_micro: Some(NO_MONEY),
        ..asked(host, ask, Uuid::new_v4(), license.id, cost_micro)?
    };
    match knock(host, &parsed(license)?, reserve).await? {
        CallAnswer::Full {
            limit: Limit::KeyBudget,
            used,
            resets_at,
            ..
        } => match budget_micro {
            Some(most) if used.saturating_add(cost_micro.max(1)) > most => {
                Err(full(Limit::KeyBudget, most, used, resets_at))
            }
            _ => Ok(()),
        },
        answer => granted(answer).map(drop),
    }
}

/// The refusal of a license that lets nothing in at all.
pub fn closed() -> Error {
    full(Limit::Concurrency, 0, 0, 0)
}

fn parsed(license: &License) -> Result<LicenseKey> {
    LicenseKey::parse(&license.key).map_err(|_| Error::internal("a key that is none"))
}

/// What the license's object is asked.
fn asked(
    host: &impl Host,
    ask: &Ask,
    call: Uuid,
    license_id: Uuid,
    cost_micro: i64,
) -> Result<ReserveCall<'static>> {
    let who = &ask.who;
    Ok(ReserveCall {
        call: ask.meta(call),
        license_id,
        organization_id: who.organization,
        owner_id: who.owner,
        cost_micro,
        key_budget_micro: who.key.and_then(|key| key.budget_micro),
        patience_ms: i64::from(ask.deadline_ms) + GRACE_MS,
        snapshot_ttl_s: host.config()?.snapshot_ttl_seconds,
        supply: None,
    })
}

/// Whom it let in, what remains, and whether a limit is near.
fn granted(answer: CallAnswer) -> Result<(Uuid, Left, bool)> {
    match answer {
        CallAnswer::Granted {
            organization_id,
            left,
            near,
        } => Ok((organization_id, left, near)),
        CallAnswer::Refused(verdict) => Err(refused(&verdict)),
        CallAnswer::Full {
            limit,
            most,
            used,
            resets_at,
        } => Err(full(limit, most, used, resets_at)),
        CallAnswer::Repeated => Err(Code::CallRepeated.into()),
        CallAnswer::Missing => Err(Code::LicenseNotFound.into()),
        CallAnswer::Unavailable => Err(Error::unavailable("no snapshot of the license")),
        CallAnswer::NeedSnapshot(_) => Err(Error::unavailable("the license keeps changing")),
    }
}

/// Asks the object, and PostgreSQL for what it does not know.
async fn knock(
    host: &impl Host,
    key: &LicenseKey,
    reserve: ReserveCall<'static>,
) -> Result<CallAnswer> {
    let mut known = Known::Nothing;
    for _ in 0..ATTEMPTS {
        host.count_object_call();
        let answer = match known.supply() {
            None => license::reserve_call(host.env(), key, &reserve).await,
            supply => {
                let supplied = ReserveCall {
                    supply,
                    ..reserve.clone()
                };
                license::reserve_call(host.env(), key, &supplied).await
            }
        };
        match answer.map_err(Error::unavailable)? {
            CallAnswer::NeedSnapshot(wanted) => {
                // The pool may be reading on the other connection.
                let database = host.database().beside();
                let tx = database.begin(Scope::System, Actor::default());
                let query = queries::snapshots([(key.as_str(), &wanted)]);
                let found: Result<queries::Snapshots> = tx.only_value(query).await;
                database.close();
                known = match found {
                    Ok(found) => Known::of(&wanted, found.get(key.as_str()).cloned()),
                    Err(_) => Known::Unavailable,
                };
            }
            answer => return Ok(answer),
        }
    }
    Err(Error::unavailable("the license keeps changing"))
}

fn refused(verdict: &str) -> Error {
    let code = match verdict {
        "EXPIRED" | "TRIAL_EXPIRED" => Code::LicenseExpired,
        _ => Code::LicenseInactive,
    };
    Error::new(code).with_details(json!({ "status": verdict }))
}

fn full(limit: Limit, most: i64, used: i64, resets_at: i64) -> Error {
    if limit == Limit::Concurrency {
        let details = json!({ "limit": "max_concurrent_tasks", "most": most, "used": used });
        return Error {
            // None at a time is none until somebody changes the license.
            retry_after: Some(if most > 0 { 1 } else { 3_600 }),
            ..Error::new(Code::ConcurrencyLimit).with_details(details)
        };
    }
    let (name, most, left) = match limit {
        Limit::Requests => (
            "max_ai_requests_per_month",
            json!(most),
            json!((most - used).max(0)),
        ),
        Limit::KeyBudget => (
            "api_key.max_ai_cost_usd_per_month",
            usd(most),
            usd(most - used),
        ),
        _ => ("max_ai_cost_usd_per_month", usd(most), usd(most - used)),
    };
    let seconds = (resets_at - clock::now_ms() + 999) / 1_000;
    let resets_at = chrono::DateTime::from_timestamp_millis(resets_at).unwrap_or_default();
    Error {
        retry_after: u32::try_from(seconds.max(1)).ok(),
        ..Error::new(Code::QuotaExceeded).with_details(
            json!({ "limit": name, "most": most, "left": left, "resets_at": resets_at }),
        )
    }
}

fn usd(micro: i64) -> serde_json::Value {
    json!(micro.max(0) as f64 / 1e6)
}
