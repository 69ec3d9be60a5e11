//! `GET /api/audit-logs/verify`

use super::model::Verification;
use super::queries::{CANONICAL, of_tenant};
use crate::db::{Scope, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::params::Query;
use crate::http::permit::{AuditRead, Permit};
use crate::http::reply::Data;
use celaest_domain::audit::{
    Break, COLUMNS, Head, Keys, RowHash, Seal, check_end, check_seal, row_hash,
};
use celaest_durable::seal_head;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

/// Seals verified in one call.
const STEP: u64 = 100;

/// Rows that wait for a seal are counted up to here.
const MOST_UNSEALED: u32 = 100_000;

/// Where to begin, and of whom.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "VerificationRange")]
pub struct Range {
    /// Only what comes after this sequence number, which an earlier call has verified.
    #[serde(default)]
    #[garde(range(min = 0))]
    pub after: i64,
    /// The organization. A super administrator who names none verifies what belongs to none.
    pub organization_id: Option<Uuid>,
}

/// The next seal with its rows, and what surrounds them.
#[derive(Deserialize)]
struct Stretch {
    previous: Option<Head>,
    seal: Option<Seal>,
    rows: Vec<[Option<String>; COLUMNS.len()]>,
    newest: Option<i64>,
}

/// What there is at the end of the log.
#[derive(Deserialize)]
struct End {
    known: Option<String>,
    unsealed: u64,
}

/// How far a call came.
#[derive(Default)]
struct Walk {
    seals: u64,
    rows: u64,
    last: Option<Head>,
    at_end: bool,
}

/// Verifies the log against its seals, up to 100 of them in a call.
pub async fn verify(
    permit: Permit<AuditRead>,
    Query(range): Query<Range>,
) -> Result<Data<Verification>> {
    // Whoever sees a part of the log only would find the rest removed.
    if matches!(permit.scope(), Scope::Tenant { owner: Some(_), .. }) {
        return Err(Code::Forbidden.into());
    }
    let organization = permit.reach(range.organization_id)?;
    let keys = keys(permit.call.config)?;
    // Before PostgreSQL: a seal is written there first, so what the object knows must be there.
    permit.call.count_object_call();
    let known = seal_head::read(permit.call.env(), organization)
        .await
        .map_err(Error::unavailable)?;
    let head = known.head;

    let mut tx = permit.begin();
    let mut walk = Walk::default();
    let mut found = walked(&mut tx, organization, range.after, &keys, &mut walk)
        .await?
        .err();
    let end = end(tx, organization, head.as_ref()).await?;
    if found.is_none() && walk.at_end {
        found = check_end(walk.last.as_ref(), head.as_ref(), end.known.as_deref()).err();
    }
    let verified_to = walk.last.as_ref().map(|head| head.last_sequence);
    let complete = walk.at_end && found.is_none();
    Ok(Data::of(&Verification {
        intact: found.is_none(),
        seals: walk.seals,
        rows: walk.rows,
        verified_to,
        complete,
        next: verified_to.filter(|_| found.is_none() && !complete),
        unsealed: end.unsealed,
        public_key: keys.public_key(),
        key_id: keys.key_id(),
        first_break: found.map(Into::into),
        acknowledged: known.restarts.into_iter().map(Into::into).collect(),
    }))
}

/// The keys that sign seals.
///
/// # Errors
/// When they are not configured, or malformed.
pub fn keys(config: &crate::config::Config) -> Result<Keys> {
    let seeds = config
        .audit_signing_key
        .as_ref()
        .ok_or_else(|| Error::unavailable("AUDIT_SIGNING_KEY is not set"))?;
    Keys::parse(seeds.expose())
        .map_err(|problem| Error::unavailable(format!("AUDIT_SIGNING_KEY is {problem}")))
}

/// Walks from seal to seal, until the first break, the end, or enough for one call.
async fn walked(
    tx: &mut Tx,
    organization: Option<Uuid>,
    after: i64,
    keys: &Keys,
    walk: &mut Walk,
) -> Result<std::result::Result<(), Break>> {
    while walk.seals < STEP {
        let from = walk.last.as_ref().map_or(after, |head| head.last_sequence);
        let stretch = stretch(tx, organization, from).await?;
        if walk.last.is_none() {
            walk.last = stretch.previous;
        }
        let Some(seal) = stretch.seal else {
            walk.at_end = true;
            break;
        };
        let hashed: Option<Vec<RowHash>> = stretch.rows.iter().map(row_hash).collect();
        let rows = hashed.ok_or_else(|| Error::internal("a row of the audit log has no id"))?;
        match check_seal(walk.last.as_ref(), &seal, &rows, stretch.newest, keys) {
            Ok(head) => walk.last = Some(head),
            Err(found) => return Ok(Err(found)),
        }
        walk.seals += 1;
        walk.rows += rows.len() as u64;
    }
    Ok(Ok(()))
}

/// The first seal that ends after `from`, with the rows of its stretch: one more than it counts says
/// enough.
async fn stretch(tx: &mut Tx, organization: Option<Uuid>, from: i64) -> Result<Stretch> {
    let mine = of_tenant(organization);
    let query = format!(
        "WITH previous AS (
           SELECT last_sequence, digest FROM audit_seals
           WHERE {mine} AND last_sequence <= $2::bigint ORDER BY last_sequence DESC LIMIT 1
         ), seal AS (
           SELECT * FROM audit_seals WHERE {mine} AND last_sequence > $2::bigint ORDER BY last_sequence LIMIT 1
         ), stretch AS (
           SELECT a.* FROM audit_logs a
           WHERE a.{mine} AND a.sequence <= (SELECT last_sequence FROM seal)
             AND a.sequence > (SELECT coalesce(max(last_sequence), -9223372036854775808) FROM previous)
           ORDER BY a.sequence, a.id LIMIT (SELECT least(greatest(row_count, 0), 1000) + 1 FROM seal))
         SELECT json_build_object(
           'previous', (SELECT row_to_json(previous) FROM previous),
           'seal', (SELECT row_to_json(seal) FROM seal),
           'rows', (SELECT coalesce(json_agg({CANONICAL} ORDER BY a.sequence, a.id), '[]') FROM stretch a),
           'newest', (SELECT a.sequence FROM audit_logs a WHERE a.{mine} ORDER BY a.sequence DESC LIMIT 1))::text"
    );
    tx.value(sql(query).bind(organization).bind(from)).await
}

/// What `head` is compared with, and the rows that wait for a seal.
async fn end(tx: Tx, organization: Option<Uuid>, head: Option<&Head>) -> Result<End> {
    let mine = of_tenant(organization);
    let query = format!(
        "SELECT json_build_object(
           'known', (SELECT digest FROM audit_seals WHERE {mine} AND last_sequence = $2::bigint),
           'unsealed', (SELECT count(*) FROM (
             SELECT FROM audit_logs a WHERE a.{mine} AND a.sequence > (
               SELECT coalesce(max(last_sequence), -9223372036854775808) FROM audit_seals WHERE {mine})
             LIMIT {MOST_UNSEALED}) AS waiting))::text"
    );
    let query = sql(query)
        .bind(organization)
        .bind(head.map(|head| head.last_sequence));
    tx.only_value(query).await
}
