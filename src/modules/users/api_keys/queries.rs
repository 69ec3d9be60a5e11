//! The SQL of API keys.

use crate::db::facts::Subject;
use crate::db::{Raw, Rows, Set, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::change::Change;
use crate::http::permit::Access;
use crate::http::reply::Created;
use crate::identity::api_key;
use crate::identity::callers::Whom;
use crate::modules::users::model::{ApiKey, ApiKeyShown};
use crate::settings;
use celaest_domain::json;
use celaest_domain::membership::{Key, Term, has_room};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The columns of [`ApiKey`], from alias `k`.
pub const COLUMNS: &str =
    "k.id, k.user_id, k.organization_id, k.name, k.key_prefix, k.scopes, k.rate_limit_rpm,
    k.max_ai_cost_usd_per_month, k.usage_count, k.last_used_at, k.expires_at,
    (k.is_active AND (k.expires_at IS NULL OR k.expires_at > now())) AS is_active,
    k.replaced_by, k.made_with, k.created_by, k.created_at, k.updated_at";

/// A key that works.
pub const WORKS: &str = "k.is_active AND (k.expires_at IS NULL OR k.expires_at > now())";

/// What the log and the outside learn of a key.
pub const API_KEY: Subject = Subject {
    kind: "api_key",
    tenant: "organization_id",
    secret: &[],
    told: Some(|key| json!({ "api_key": public(key) })),
};

/// Keys in the caller's reach. A deleted one is nobody's.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("user_api_keys", "k")
        .when("k.organization_id = {}::uuid", tx.scope().organization())
        .only("k.revoked_at IS NULL")
}

/// A person's keys.
pub fn of(tx: &Tx, person: Uuid) -> Rows {
    mine(tx).when("k.user_id = {}::uuid", Some(person))
}

/// What a key is made with, and what one in its place is made with again.
#[derive(Deserialize)]
pub struct Terms {
    /// The organization it works in.
    pub organization_id: Uuid,
    /// What it is for.
    pub name: String,
    /// What it narrows its owner's permissions to.
    pub scopes: Vec<String>,
    /// Requests a minute.
    pub rate_limit_rpm: Option<u32>,
    /// Until when it works.
    pub expires_at: Option<DateTime<Utc>>,
    /// The key that it is made with.
    pub made_with: Option<Uuid>,
    /// What it may spend on AI calls in a month, in dollars.
    pub max_ai_cost_usd_per_month: Option<f64>,
    /// The key whose spending it goes on with.
    #[serde(default)]
    pub spends_with: Option<Uuid>,
}

impl Terms {
    /// For how long and how often it works, and what it may spend; `usual` is how often a person may call.
    pub fn term(&self, usual: u32) -> Term {
        let budget = self.max_ai_cost_usd_per_month;
        term(self.expires_at, self.rate_limit_rpm, budget, usual)
    }
}

fn term(
    ends: Option<DateTime<Utc>>,
    per_minute: Option<u32>,
    budget_usd: Option<f64>,
    usual: u32,
) -> Term {
    Term {
        ends_ms: ends.map(|at| at.timestamp_millis()),
        per_minute: per_minute.unwrap_or(usual),
        budget_micro: budget_usd.map(|usd| (usd * 1e6).round() as i64),
    }
}

/// The key that had a budget first.
#[derive(Deserialize)]
struct Account {
    id: Uuid,
}

/// The key that the caller uses.
#[derive(Deserialize)]
pub struct Used {
    /// Which one.
    pub id: Uuid,
    /// Until when it works.
    pub expires_at: Option<DateTime<Utc>>,
    /// Requests a minute.
    pub rate_limit_rpm: Option<u32>,
    /// What it may spend on AI calls in a month, in dollars.
    pub max_ai_cost_usd_per_month: Option<f64>,
}

impl Used {
    /// For how long and how often it works, and what it may spend.
    pub fn term(&self, usual: u32) -> Term {
        let budget = self.max_ai_cost_usd_per_month;
        term(self.expires_at, self.rate_limit_rpm, budget, usual)
    }
}

/// The key that the caller uses, if any. Held, so that nothing is made with a key that ends meanwhile.
///
/// # Errors
/// 401 when it ended a moment ago.
pub async fn used(tx: &mut Tx, access: &Access) -> Result<Option<Used>> {
    let Some(id) = access.principal.api_key_id else {
        return Ok(None);
    };
    let query = mine(tx)
        .id(id)
        .only(WORKS)
        .lock("k.id, k.expires_at, k.rate_limit_rpm, k.max_ai_cost_usd_per_month");
    tx.one(query, Code::InvalidApiKey).await.map(Some)
}

/// What rules look at of a key.
#[derive(Deserialize)]
pub struct Parts {
    id: Uuid,
    /// What it was made with.
    #[serde(flatten)]
    pub terms: Terms,
    is_active: bool,
    replaced_by: Option<Uuid>,
}

impl Parts {
    /// The parts of a row.
    ///
    /// # Errors
    /// When they are not what they must be.
    pub fn of(row: &Raw<ApiKey>) -> Result<Self> {
        json::read(row.text()).map_err(Error::internal)
    }

    /// The key as rules see it.
    pub fn key(&self, access: &Access, usual: u32) -> Key<'_> {
        Key {
            scopes: &self.terms.scopes,
            term: self.terms.term(usual),
            is_callers: access.principal.api_key_id == Some(self.id),
            is_active: self.is_active,
            is_replaced: self.replaced_by.is_some(),
        }
    }
}

/// Refuses another working key to a person who has as many as one may have.
///
/// # Errors
/// 409 when there is no room for `more`.
pub async fn check_room(tx: &mut Tx, person: Uuid, more: i64) -> Result<()> {
    // Replaced ones too, as long as they work.
    let there: i64 = tx.value(of(tx, person).only(WORKS).count()).await?;
    let most = settings::settings().api_keys_per_user();
    match has_room(most.into(), there + more - 1) {
        true => Ok(()),
        false => Err(Code::ApiKeyLimitReached.into()),
    }
}

/// Ends the keys whose `column` is `id`, which are held, and all that were made with them, or came in the
/// place of one that was; their owners' objects forget. Returns what they were.
///
/// # Errors
/// When the database fails.
pub async fn end_with(
    access: &Access,
    tx: &mut Change,
    column: &str,
    id: Uuid,
) -> Result<Vec<Raw<ApiKey>>> {
    let mut family: Vec<Raw<ApiKey>> = Vec::new();
    loop {
        let query = sql(format!(
            "WITH RECURSIVE family AS (
               -- What came in the place of one of these itself goes on.
               SELECT k.id, NULL::uuid AS heir FROM user_api_keys k WHERE {column} = $1::uuid AND k.revoked_at IS NULL
               UNION SELECT c.id, c.replaced_by FROM user_api_keys c JOIN family f ON c.made_with = f.id OR c.id = f.heir)
             SELECT {COLUMNS} FROM user_api_keys k
             WHERE k.id IN (SELECT id FROM family) AND k.revoked_at IS NULL
               AND ($2::uuid IS NULL OR k.organization_id = $2::uuid)
             ORDER BY k.id FOR NO KEY UPDATE OF k"
        ));
        let query = query.bind(id).bind(tx.scope().organization());
        let found = tx.rows(query).await?;
        // While one was waited for, another may have been made with it.
        if found.len() == family.len() {
            break;
        }
        family = found;
    }
    let rows: Vec<Value> = family.iter().map(Raw::tree).collect();
    let ids: Vec<&Value> = rows.iter().map(|key| &key["id"]).collect();
    let these = mine(tx).when(
        "k.id IN (SELECT value::uuid FROM jsonb_array_elements_text({}::jsonb))",
        Some(json!(ids)),
    );
    let set = Set::new().fixed("is_active = false, revoked_at = now()");
    tx.finally(these.set(set, "k.id"));
    let owners: BTreeSet<Uuid> = rows
        .iter()
        .filter_map(|key| Uuid::try_parse(key["user_id"].as_str()?).ok())
        .collect();
    for owner in owners {
        access.forget_callers(tx, Whom::Person(owner)).await?;
    }
    Ok(family)
}

/// Makes a person's key; the second is the key itself.
///
/// # Errors
/// When the platform has no random numbers, or the database refuses.
pub async fn insert(
    tx: &mut Tx,
    access: &Access,
    person: Uuid,
    terms: &Terms,
) -> Result<(Raw<ApiKey>, String)> {
    let account = match terms.spends_with {
        None => None,
        Some(id) => {
            let query = mine(tx).id(id).read("coalesce(k.ai_account, k.id) AS id");
            let Account { id } = tx.one(query, Code::Internal).await?;
            Some(id)
        }
    };
    let drawn = api_key::draw(access.call.config.api_key_pepper.newest())?;
    let set = Set::new()
        .to("user_id = {}::uuid", person)
        .to("organization_id = {}::uuid", terms.organization_id)
        .to("name = {}", &terms.name)
        .to("key_hash = {}", &drawn.hash)
        .to("key_prefix = {}", &drawn.prefix)
        .to(
            "scopes = ARRAY(SELECT jsonb_array_elements_text({}::jsonb))",
            json!(terms.scopes),
        )
        .to("rate_limit_rpm = {}::integer", terms.rate_limit_rpm)
        .to("expires_at = {}::timestamptz", terms.expires_at)
        .to("made_with = {}::uuid", terms.made_with)
        .to(
            "max_ai_cost_usd_per_month = {}::numeric",
            terms.max_ai_cost_usd_per_month.map(|usd| json!(usd)),
        )
        .to("ai_account = {}::uuid", account)
        .to("created_by = {}::uuid", access.principal.user_id);
    let query = set.insert("user_api_keys", "k", COLUMNS);
    Ok((tx.one(query, Code::Internal).await?, drawn.key))
}

/// The stored row with the key, for its only showing.
pub fn shown(row: &Raw<ApiKey>, key: &str) -> Created<ApiKeyShown> {
    let mut shown = row.tree();
    shown["key"] = json!(key);
    Created::text(shown.to_string())
}

/// What the outside learns of a key.
pub fn public(row: &Value) -> Value {
    const SHOWN: [&str; 8] = [
        "id",
        "user_id",
        "organization_id",
        "name",
        "key_prefix",
        "scopes",
        "rate_limit_rpm",
        "expires_at",
    ];
    let fields: Map<_, _> = SHOWN
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), row.get(*name)?.clone())))
        .collect();
    Value::Object(fields)
}
