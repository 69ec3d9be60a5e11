//! `GET /api/ai/pool/stats`

use super::lending::name_of;
use super::model::KeyState;
use crate::db::Rows;
use crate::error::{Error, Result};
use crate::http::params::Query;
use crate::http::permit::{AiKeysRead, Permit};
use crate::http::reply::Data;
use crate::http::types::Ident;
use celaest_domain::ai::provider::Provider;
use celaest_durable::key_pool::{self, KeyShown, Series, Shown, State, Tally, Verdict};
use chrono::{DateTime, SecondsFormat};
use futures_util::future::try_join_all;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Whose pools.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "AiPoolStatsFilters")]
pub struct Filters {
    /// Only for super_admin: those of an organization. Default the platform's; for everybody else the own
    /// organization's.
    pub organization_id: Option<Ident>,
    /// Only this provider's.
    pub provider: Option<Provider>,
}

/// What was called in a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "AiCalls")]
pub struct Calls {
    /// Attempts that came to an end.
    pub requests: u64,
    /// Of these, those that failed for another reason than the question itself.
    pub errors: u64,
    /// Their share, 0 to 1; null when there were no requests.
    pub error_rate: Option<f64>,
    /// All failures, by whose fault they were.
    pub failures: Failures,
    /// Half of the attempts took at most so many milliseconds; up to a tenth too much.
    pub latency_p50_ms: Option<u64>,
    /// The same of 95 of 100.
    pub latency_p95_ms: Option<u64>,
    /// Tokens of the questions.
    pub tokens_input: u64,
    /// Tokens of the answers.
    pub tokens_output: u64,
    /// What it cost in dollars, as far as it is known.
    pub cost_usd: f64,
    /// Answers whose cost is unknown, and not in it.
    pub unpriced: u64,
}

/// Attempts that were not answered, by whose fault that was.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "AiFailures")]
pub struct Failures {
    /// The question's.
    pub caller: u64,
    /// The key's.
    pub key: u64,
    /// There was no capacity.
    pub capacity: u64,
    /// The provider's.
    pub fault: u64,
    /// The model's.
    pub model: u64,
    /// Nobody knows: whoever asked was gone before the end.
    pub unknown: u64,
}

/// The last hour and the last day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "AiCallsLately")]
pub struct Lately {
    /// In the last hour, within five minutes.
    pub hour: Calls,
    /// In the last day, within an hour.
    pub day: Calls,
}

/// What the pools did.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "AiPoolStats")]
pub struct PoolStats {
    /// All together.
    pub total: Lately,
    /// By provider.
    pub providers: Vec<OfProvider>,
    /// By model.
    pub models: Vec<OfModel>,
    /// By key, as it is right now.
    pub keys: Vec<OfKey>,
}

/// What one provider's pool did.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "AiPoolOfProvider")]
pub struct OfProvider {
    /// Whose.
    pub provider: Provider,
    /// Keys that may be used right now.
    pub keys_active: u64,
    /// Keys that rest.
    pub keys_cooling: u64,
    /// Keys that are disabled or taken out of use.
    pub keys_disabled: u64,
    /// What was called.
    pub calls: Lately,
}

/// What was called of one model.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "AiPoolOfModel")]
pub struct OfModel {
    /// Whose.
    pub provider: Provider,
    /// The provider's name for it; `*` for what is not told apart.
    pub model: String,
    /// What was called.
    pub calls: Lately,
}

/// What one key did, and how it is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "AiPoolOfKey")]
pub struct OfKey {
    /// Which one.
    pub id: Uuid,
    /// Whose models it opens.
    pub provider: Provider,
    /// What people call it.
    pub key_name: String,
    /// Its last four characters.
    pub key_hint: Option<String>,
    /// Whether it may be used at all.
    pub is_active: bool,
    /// Whether it may be used right now.
    pub state: KeyState,
    /// Why not.
    pub reason: Option<String>,
    /// Since when.
    pub since: Option<String>,
    /// Until when it rests.
    pub until: Option<String>,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// Attempts on their way.
    pub in_flight: u32,
    /// Requests of the last minute, together with keys that share its limits; 0 for keys without limits.
    pub requests_last_minute: u32,
    /// The same in tokens.
    pub tokens_last_minute: u64,
    /// The same of the last day.
    pub requests_last_day: u32,
    /// Attempts since it was made.
    pub usage_count: u64,
    /// Tokens since it was made.
    pub tokens_used: u64,
    /// What was called with it.
    pub calls: Lately,
}

/// A key, as one statement finds it.
#[derive(Debug, Deserialize)]
struct Row {
    id: Uuid,
    provider: Provider,
    key_name: String,
    key_hint: Option<String>,
    is_active: bool,
    usage_count: u64,
    tokens_used: u64,
}

/// Asks the pools that have keys what they did and how their keys are right now.
pub async fn stats(
    permit: Permit<AiKeysRead>,
    Query(f): Query<Filters>,
) -> Result<Data<PoolStats>> {
    let owner = permit.reach(f.organization_id.map(|id| id.0))?;
    let rows = Rows::of("ai_api_pool", "k")
        .when("k.organization_id = {}::uuid", owner)
        .when(
            "k.provider = {}::text::ai_provider",
            f.provider.map(Provider::as_str),
        );
    let rows = match owner {
        Some(_) => rows,
        None => rows.only("k.organization_id IS NULL"),
    };
    let query = rows.read(
        "k.id, k.provider, k.key_name, k.key_hint, k.is_active, k.usage_count, k.tokens_used",
    );
    let mut keys: Vec<Row> = permit.begin().only_rows(query).await?;
    keys.sort_by(|one, other| {
        (one.provider, &one.key_name).cmp(&(other.provider, &other.key_name))
    });
    let mut providers: Vec<Provider> = keys.iter().map(|key| key.provider).collect();
    providers.dedup();
    let call = &permit.call;
    let asked = providers.iter().map(|provider| async move {
        call.count_object_call();
        let shown = key_pool::shown(call.env(), &name_of(*provider, owner)).await;
        shown.map(|shown| (*provider, shown))
    });
    let shown = try_join_all(asked).await.map_err(Error::unavailable)?;
    Ok(Data::of(&together(&keys, &shown)))
}

fn together(keys: &[Row], pools: &[(Provider, Shown)]) -> PoolStats {
    let all = || pools.iter().flat_map(|(_, shown)| &shown.series);
    let mut models: BTreeMap<(Provider, &str), Vec<&Series>> = BTreeMap::new();
    for (provider, shown) in pools {
        for series in &shown.series {
            let of_model = models.entry((*provider, &series.model)).or_default();
            of_model.push(series);
        }
    }
    let keys: Vec<OfKey> = keys
        .iter()
        .map(|key| {
            let pool = pools.iter().find(|(provider, _)| *provider == key.provider);
            let known = pool.and_then(|(_, shown)| shown.keys.iter().find(|one| one.id == key.id));
            of_key(key, known, all().filter(|series| series.key_id == key.id))
        })
        .collect();
    PoolStats {
        total: lately(all()),
        providers: pools
            .iter()
            .map(|(provider, shown)| {
                let mine = |wanted: KeyState| {
                    let mine = keys.iter().filter(|key| key.provider == *provider);
                    let state = |key: &OfKey| match key.is_active {
                        true => key.state,
                        false => KeyState::Disabled,
                    };
                    mine.filter(|key| state(key) == wanted).count() as u64
                };
                OfProvider {
                    provider: *provider,
                    keys_active: mine(KeyState::Active),
                    keys_cooling: mine(KeyState::Cooling),
                    keys_disabled: mine(KeyState::Disabled),
                    calls: lately(shown.series.iter()),
                }
            })
            .collect(),
        models: models
            .into_iter()
            .map(|((provider, model), series)| OfModel {
                provider,
                model: model.to_owned(),
                calls: lately(series.into_iter()),
            })
            .collect(),
        keys,
    }
}

fn of_key<'a>(
    key: &Row,
    known: Option<&KeyShown>,
    series: impl Iterator<Item = &'a Series> + Clone,
) -> OfKey {
    let (state, reason, since, until) = match known.map(|known| &known.state) {
        None | Some(State::Active) => (KeyState::Active, None, None, None),
        Some(State::Cooling {
            until_ms,
            reason,
            since_ms,
        }) => (
            KeyState::Cooling,
            Some(reason),
            Some(since_ms),
            Some(until_ms),
        ),
        Some(State::Disabled { reason, since_ms }) => {
            (KeyState::Disabled, Some(reason), Some(since_ms), None)
        }
    };
    let minute = known.map_or((0, 0), |known| known.minute);
    OfKey {
        id: key.id,
        provider: key.provider,
        key_name: key.key_name.clone(),
        key_hint: key.key_hint.clone(),
        is_active: key.is_active,
        state,
        reason: reason.cloned(),
        since: since.and_then(|ms| moment(*ms)),
        until: until.and_then(|ms| moment(*ms)),
        consecutive_failures: known.map_or(0, |known| known.consecutive_failures),
        in_flight: known.map_or(0, |known| known.in_flight),
        requests_last_minute: minute.0,
        tokens_last_minute: minute.1,
        requests_last_day: known.map_or(0, |known| known.day.0),
        usage_count: known.map_or(key.usage_count, |known| known.uses),
        tokens_used: known.map_or(key.tokens_used, |known| known.tokens),
        calls: lately(series),
    }
}

fn moment(ms: i64) -> Option<String> {
    let moment = DateTime::from_timestamp_millis(ms)?;
    Some(moment.to_rfc3339_opts(SecondsFormat::Millis, true))
}

fn lately<'a>(series: impl Iterator<Item = &'a Series> + Clone) -> Lately {
    let sum = |of: fn(&Series) -> &Tally| {
        let mut sum = Tally::default();
        series.clone().for_each(|series| sum.add(of(series)));
        calls(&sum)
    };
    Lately {
        hour: sum(|series| &series.hour),
        day: sum(|series| &series.day),
    }
}

fn calls(tally: &Tally) -> Calls {
    let failed = |verdict| tally.failures.get(&verdict).copied().unwrap_or_default();
    let errors = tally.errors();
    Calls {
        requests: tally.requests,
        errors,
        error_rate: (tally.requests > 0).then(|| errors as f64 / tally.requests as f64),
        failures: Failures {
            caller: failed(Verdict::Caller),
            key: failed(Verdict::Key),
            capacity: failed(Verdict::Capacity),
            fault: failed(Verdict::Fault),
            model: failed(Verdict::Model),
            unknown: failed(Verdict::Unknown),
        },
        latency_p50_ms: tally.latency.percentile(0.5),
        latency_p95_ms: tally.latency.percentile(0.95),
        tokens_input: tally.input,
        tokens_output: tally.output,
        cost_usd: tally.cost_micros as f64 / 1e6,
        unpriced: tally.unpriced,
    }
}
