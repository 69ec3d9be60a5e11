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
    let key = LicenseKey::parse(&license.key).map_err(|_| Error::internal("a key that is none"))?;
    let who = &ask.who;
    let config = host.config()?;
    let patience_ms = i64::from(ask.deadline_ms) + GRACE_MS;
    let meta = ask.meta(call);
    let mut known = Known::Nothing;
    for _ in 0..ATTEMPTS {
        let reserve = ReserveCall {
            call: meta.clone(),
            license_id: license.id,
            organization_id: who.organization,
            owner_id: who.owner,
            cost_micro,
            key_budget_micro: who.key.and_then(|key| key.budget_micro),
            patience_ms: match streams {
                true => patience_ms + super::stream::MOST_MS,
                false => patience_ms,
            },
            snapshot_ttl_s: config.snapshot_ttl_seconds,
            supply: known.supply(),
        };
        host.count_object_call();
        let answer = license::reserve_call(host.env(), &key, &reserve).await;
        match answer.map_err(Error::unavailable)? {
            CallAnswer::Granted {
                organization_id,
                left,
            } => {
                return Ok(Granted {
                    id: license.id,
                    key,
                    organization: organization_id,
                    left,
                });
            }
            CallAnswer::Refused(verdict) => return Err(refused(&verdict)),
            CallAnswer::Full {
                limit,
                most,
                used,
                resets_at,
            } => return Err(full(limit, most, used, resets_at)),
            CallAnswer::Repeated => return Err(Code::CallRepeated.into()),
            CallAnswer::Missing => return Err(Code::LicenseNotFound.into()),
            CallAnswer::Unavailable => {
                return Err(Error::unavailable("no snapshot of the license"));
            }
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
            retry_after: Some(1),
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
