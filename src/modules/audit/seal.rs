//! Seals what was added to the audit log, tenant by tenant, so that nobody can change it unnoticed.
//!
//! A seal is written to PostgreSQL first and told to the tenant's object then. A job that dies in
//! between leaves the object one seal behind, which the next run makes good. Two jobs at once come to
//! the same next seal, and the constraints of `audit_seals` let one of them in.

use super::queries::{CANONICAL, horizon, of_tenant};
use super::verify::keys;
use crate::config::Config;
use crate::db::sql;
use crate::error::{Code, Error, Result};
use crate::log;
use crate::platform::clock;
use crate::run::Run;
use celaest_domain::audit::{COLUMNS, Head, Keys, RowHash, row_hash, seal};
use celaest_durable::seal_head::{self, Step};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// Rows in a seal, and their size at which it ends earlier, in bytes.
const SEAL_ROWS: u32 = 1_000;
const SEAL_BYTES: u32 = 2_000_000;
/// Tenants looked up at a time.
const TENANTS: u32 = 200;
/// Seals of one tenant in one run; a longer backlog is left to the next.
const SEALS: usize = 500;

/// What waits for a seal.
#[derive(Deserialize)]
struct Unsealed {
    last: Option<Head>,
    rows: Vec<[Option<String>; COLUMNS.len()]>,
}

/// A seal that the object may not know.
#[derive(Deserialize)]
struct Made {
    previous_digest: Option<String>,
    last_sequence: i64,
    digest: String,
}

/// One run, for all tenants.
struct Sealer<'a> {
    run: &'a Run,
    keys: Keys,
}

/// Seals everything up to now; returns how many rows.
pub async fn seal_all(run: &Run) -> Result<u64> {
    let config = Config::get(&run.env).map_err(Error::internal)?;
    let sealer = Sealer {
        run,
        keys: keys(config)?,
    };
    let mut rows = 0;
    let mut outcome = sealer.tenant(None, &mut rows).await;
    let mut after: Option<Uuid> = None;
    loop {
        let tenants = sealer.tenants(after).await?;
        for tenant in &tenants {
            if let Err(error) = sealer.tenant(Some(*tenant), &mut rows).await {
                // Where PostgreSQL is away, nobody else need be tried.
                sealer.tenants(Some(*tenant)).await?;
                outcome = Err(error);
            }
        }
        after = tenants.last().copied();
        if tenants.len() < TENANTS as usize {
            return outcome.map(|()| rows);
        }
    }
}

impl Sealer<'_> {
    /// The next organizations that have something to seal.
    async fn tenants(&self, after: Option<Uuid>) -> Result<Vec<Uuid>> {
        let query = sql(
            // Row by row: whoever has something new is found by its last seal, and not by reading the log.
            "SELECT coalesce(json_agg(id), '[]')::text FROM (
               SELECT o.id FROM organizations o, LATERAL (
                 SELECT coalesce(max(s.last_sequence), 0) AS last FROM audit_seals s WHERE s.organization_id = o.id
               ) AS sealed, LATERAL (
                 SELECT a.sequence FROM audit_logs a WHERE a.organization_id = o.id AND a.sequence > sealed.last
                 ORDER BY a.sequence LIMIT 1
               ) AS fresh
               WHERE $1 IS NULL OR o.id > $1::uuid
               ORDER BY o.id LIMIT $2::bigint) AS due",
        );
        let query = query.bind(after).bind(TENANTS);
        self.run.begin().only_value(query).await
    }

    /// Seals one tenant's rows. Whatever is wrong with one, its object included, does not keep the others from theirs.
    ///
    /// # Errors
    /// When PostgreSQL is away, or took too long for this tenant.
    async fn tenant(&self, tenant: Option<Uuid>, rows: &mut u64) -> Result<()> {
        match self.seals(tenant).await {
            Err(error) if error.code != Code::Unavailable => {
                let subject = tenant.map_or_else(|| "none".to_owned(), |id| id.to_string());
                let run = format!("{} {subject}", self.run.name);
                log::error(&run, "the audit log of a tenant was not sealed", &error);
                Ok(())
            }
            outcome => outcome.map(|sealed| *rows += sealed),
        }
    }

    async fn seals(&self, tenant: Option<Uuid>) -> Result<u64> {
        let mut sealed = 0;
        let horizon: Option<i64> = self.run.begin().only_value(horizon(tenant)).await?;
        let Some(horizon) = horizon else {
            // Somebody who writes to this log does not end: the next run seals it.
            return Err(Error::internal(
                "a transaction has been writing to it for too long",
            ));
        };
        // Before PostgreSQL: what the object knows must be there.
        let known = seal_head::read(&self.run.env, tenant).await;
        let mut head = known.map_err(Error::internal)?.head;
        for _ in 0..SEALS {
            let unsealed = self.unsealed(tenant, horizon).await?;
            if unsealed.rows.is_empty() {
                break;
            }
            if head != unsealed.last && !self.catch_up(tenant, &mut head, &unsealed).await? {
                break;
            }
            let hashed: Option<Vec<RowHash>> = unsealed.rows.iter().map(row_hash).collect();
            let rows = hashed.ok_or_else(|| Error::internal("a row of the audit log has no id"))?;
            let Some(step) = self.write(tenant, unsealed.last.as_ref(), &rows).await? else {
                // Another job was faster: it goes on.
                break;
            };
            head = self.tell(tenant, &step).await?;
            sealed += rows.len() as u64;
            if head.as_ref() != Some(&step.next) {
                break;
            }
        }
        Ok(sealed)
    }

    /// The next rows without a seal.
    async fn unsealed(&self, tenant: Option<Uuid>, horizon: i64) -> Result<Unsealed> {
        let mine = of_tenant(tenant);
        let query = format!(
            "WITH last AS (
               SELECT last_sequence, digest FROM audit_seals WHERE {mine} ORDER BY last_sequence DESC LIMIT 1
             ), page AS MATERIALIZED (
               SELECT a.sequence, {CANONICAL} AS line FROM audit_logs a
               WHERE a.{mine} AND a.sequence <= $2::bigint
                 AND a.sequence > (SELECT coalesce(max(last_sequence), 0) FROM last)
               ORDER BY a.sequence LIMIT $3::bigint
             ), sized AS (
               SELECT sequence, line, sum(octet_length(line::text)) OVER (ORDER BY sequence) AS bytes,
                 row_number() OVER (ORDER BY sequence) AS place
               FROM page)
             SELECT json_build_object('last', (SELECT row_to_json(last) FROM last),
               'rows', (SELECT coalesce(json_agg(line ORDER BY place), '[]') FROM sized
                 WHERE place = 1 OR bytes <= $4::bigint))::text"
        );
        let query = sql(query)
            .bind(tenant)
            .bind(horizon)
            .bind(SEAL_ROWS)
            .bind(SEAL_BYTES);
        self.run.begin().only_value(query).await
    }

    /// Tells the object of seals that a job wrote and then died. `false` when another job is at work.
    async fn catch_up(
        &self,
        tenant: Option<Uuid>,
        head: &mut Option<Head>,
        unsealed: &Unsealed,
    ) -> Result<bool> {
        let end = |head: &Option<Head>| head.as_ref().map_or(0, |head| head.last_sequence);
        let Some(last) = &unsealed.last else {
            return Err(self.broken(0));
        };
        if last.last_sequence <= end(head) {
            return Err(self.broken(last.last_sequence));
        }
        let mine = of_tenant(tenant);
        // An object that knows nothing takes the newest.
        let from = head
            .as_ref()
            .map_or(last.last_sequence - 1, |head| head.last_sequence);
        let query = format!(
            "SELECT previous_digest, last_sequence, digest FROM audit_seals
             WHERE {mine} AND last_sequence > $2::bigint ORDER BY last_sequence LIMIT 1000"
        );
        let made: Vec<Made> = self
            .run
            .begin()
            .only_rows(sql(query).bind(tenant).bind(from))
            .await?;
        for seal in made {
            let step = Step {
                previous_digest: seal.previous_digest,
                next: Head {
                    last_sequence: seal.last_sequence,
                    digest: seal.digest,
                },
            };
            *head = self.tell(tenant, &step).await?;
            if end(head) < step.next.last_sequence {
                return Err(self.broken(step.next.last_sequence));
            }
        }
        Ok(head.as_ref() == Some(last))
    }

    fn broken(&self, sequence: i64) -> Error {
        Error::internal(format!(
            "the seals up to {sequence} are not those that were made: verify the log"
        ))
    }

    /// Writes the next seal; `None` when there is one already.
    async fn write(
        &self,
        tenant: Option<Uuid>,
        last: Option<&Head>,
        rows: &[RowHash],
    ) -> Result<Option<Step>> {
        let made = seal(tenant, last, rows, clock::now(), &self.keys)
            .ok_or_else(|| Error::internal("nothing to seal"))?;
        let query = sql(
            "INSERT INTO audit_seals SELECT * FROM jsonb_populate_record(NULL::audit_seals, $1::jsonb)
             ON CONFLICT DO NOTHING RETURNING id",
        )
        .bind(json!(made));
        let written: Option<serde_json::Value> = self.run.begin().only_row(query).await?;
        Ok(written.map(|_| Step {
            previous_digest: made.previous_digest.clone(),
            next: made.head(),
        }))
    }

    async fn tell(&self, tenant: Option<Uuid>, step: &Step) -> Result<Option<Head>> {
        seal_head::advance(&self.run.env, tenant, step)
            .await
            .map_err(Error::internal)
    }
}
