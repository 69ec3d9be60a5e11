//! Keeps partitions ahead of the calendar and throws away what has served its purpose, in small steps:
//! each is a transaction of its own and locks few rows for a short time.

use crate::db::{Query, sql};
use crate::error::Result;
use crate::log;
use crate::run::Run;
use serde::Deserialize;

/// How many months ahead partitions exist.
const MONTHS_AHEAD: u32 = 3;
/// Rows deleted in a step: found by an index, deleted by their places.
const STEP: u32 = 5_000;
/// Steps that one thing may take in one run: the rest is left to the next.
const STEPS: usize = 500;

/// What the outbox and the keys of repeated requests are kept for: a week of events can be replayed.
const SWEPT: [&str; 3] = [
    "DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
       SELECT ctid FROM idempotency_keys WHERE expires_at < now() LIMIT $1::bigint)) RETURNING 1",
    "DELETE FROM outbox_messages WHERE ctid = ANY (ARRAY(
       SELECT ctid FROM outbox_messages WHERE processed_at < now() - interval '8 days' LIMIT $1::bigint)) RETURNING 1",
    "DELETE FROM license_key_spending WHERE ctid = ANY (ARRAY(
       SELECT ctid FROM license_key_spending WHERE period_start < now() - interval '2 years' LIMIT $1::bigint)) RETURNING 1",
];

/// Rows that go after their days, in tables without partitions. A sign-in that was ended stays: it is what
/// refuses its tokens.
const AGED: &[(&str, &str)] = &[
    (
        "user_sessions",
        "DELETE FROM user_sessions WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM user_sessions WHERE ended_at IS NULL AND last_seen_at < now() - make_interval(days => $2::int)
           LIMIT $1::bigint)) RETURNING 1",
    ),
    (
        "payment_events",
        "DELETE FROM payment_events WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM payment_events WHERE processed_at IS NOT NULL AND received_at < now() - make_interval(days => $2::int)
           LIMIT $1::bigint)) RETURNING 1",
    ),
    // What a coupon's limits still look at stays.
    (
        "coupon_redemptions",
        "DELETE FROM coupon_redemptions WHERE ctid = ANY (ARRAY(
           SELECT r.ctid FROM coupon_redemptions r JOIN coupons c ON c.id = r.coupon_id
           WHERE r.created_at < now() - make_interval(days => $2::int)
             AND (r.released_at IS NOT NULL OR c.deleted_at IS NOT NULL
               OR c.valid_until < now() - make_interval(days => $2::int))
           LIMIT $1::bigint)) RETURNING 1",
    ),
    (
        "system_events",
        "DELETE FROM system_events WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM system_events WHERE created_at < now() - make_interval(days => $2::int)
           LIMIT $1::bigint)) RETURNING 1",
    ),
    // Once their tasks have gone.
    (
        "task_batches",
        "DELETE FROM task_batches WHERE ctid = ANY (ARRAY(
           SELECT b.ctid FROM task_batches b
           WHERE b.created_at < now() - make_interval(days => $2::int) AND b.completed_at IS NOT NULL
             AND NOT EXISTS (SELECT FROM processed_tasks t WHERE t.batch_id = b.id)
           LIMIT $1::bigint)) RETURNING 1",
    ),
    // Those of closed periods stay.
    (
        "license_usage_log",
        "DELETE FROM license_usage_log WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM license_usage_log
           WHERE call_id IS NOT NULL AND created_at < now() - make_interval(days => $2::int)
           LIMIT $1::bigint)) RETURNING 1",
    ),
];

/// How long rows of a table are kept.
#[derive(Deserialize)]
struct Retention {
    table_name: String,
    days: i32,
    /// It is partitioned by month.
    grows: bool,
}

/// Creates partitions and throws away what is past its time; returns how many rows went. What fails for one
/// table fails for no other.
pub async fn clean(run: &Run) -> Result<u64> {
    let mut outcome = ahead(run).await;
    let mut gone = 0;
    for statement in SWEPT {
        outcome = outcome.and(repeated(run, statement, None, &mut gone).await);
    }
    // Nothing to do while facts are being added up: then the next run does.
    let quarters = || sql("SELECT to_json(analytics_prune($1::int))::text").bind(STEP);
    outcome = outcome.and(pruned(run, quarters, &mut gone).await);
    let retentions: Vec<Retention> = run
        .begin()
        .only_rows(sql(
            "SELECT r.table_name, g.name IS NOT NULL AS grows, coalesce((
               SELECT (c.value #>> '{}')::int FROM system_config c
               WHERE c.key = r.setting AND c.value #>> '{}' ~ '^[1-9][0-9]{0,3}$'), r.days) AS days
             FROM retentions r LEFT JOIN growing_tables() AS g(name) ON g.name = r.table_name
             ORDER BY r.table_name",
        ))
        .await?;
    for Retention {
        table_name,
        days,
        grows,
    } in retentions
    {
        let done = match AGED.iter().find(|(name, _)| *name == table_name) {
            Some((_, statement)) => repeated(run, statement, Some(days), &mut gone).await,
            None if grows => {
                let months = || {
                    let query = sql("SELECT to_json(prune_growing($1, $2::int, $3::int))::text");
                    query.bind(&table_name).bind(days).bind(STEP)
                };
                pruned(run, months, &mut gone).await
            }
            None => Ok(()),
        };
        if let Err(error) = &done {
            log::error(
                &run.name,
                &format!("{table_name} was not cleaned up"),
                error,
            );
        }
        outcome = outcome.and(done);
    }
    outcome.map(|()| gone)
}

/// Makes the partitions of each table in a transaction of its own.
async fn ahead(run: &Run) -> Result<()> {
    let tables: Vec<String> = run
        .begin()
        .only_value(sql(
            "SELECT coalesce(json_agg(name), '[]')::text FROM growing_tables() AS g(name)",
        ))
        .await?;
    let mut outcome = Ok(());
    for table in tables {
        let query = sql("SELECT ensure_partitions_of($1, $2::int)::text");
        let made = run
            .begin()
            .only_execute(query.bind(table).bind(MONTHS_AHEAD));
        outcome = outcome.and(made.await);
    }
    outcome
}

async fn repeated(run: &Run, statement: &str, days: Option<i32>, gone: &mut u64) -> Result<()> {
    for _ in 0..STEPS {
        let query = sql(format!(
            "WITH gone AS ({statement}) SELECT to_json(count(*))::text FROM gone"
        ));
        let query = query.bind(STEP);
        let query = match days {
            Some(days) => query.bind(days),
            None => query,
        };
        let deleted: u64 = run.begin().only_value(query).await?;
        *gone += deleted;
        if deleted < u64::from(STEP) {
            break;
        }
    }
    Ok(())
}

async fn pruned(run: &Run, step: impl Fn() -> Query, gone: &mut u64) -> Result<()> {
    for _ in 0..STEPS {
        let deleted: u64 = run.begin().only_value(step()).await?;
        *gone += deleted;
        if deleted < u64::from(STEP) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use celaest_domain::settings::Key;

    #[test]
    fn what_the_table_says_is_what_the_settings_say() {
        let migration = concat!(
            include_str!("../../migrations/V030__growing_tables.sql"),
            include_str!("../../migrations/V060__selling.sql"),
            include_str!("../../migrations/V061__downloads.sql"),
        );
        let kept = Key::ALL.map(|key| (key.as_str(), key.default_value()));
        let mut count = 0;
        for (name, days) in kept
            .iter()
            .filter(|(name, _)| name.ends_with("retention_days"))
        {
            assert!(migration.contains(&format!("'{name}', {days})")), "{name}");
            count += 1;
        }
        assert!(count >= 5, "{count}");
    }
}
