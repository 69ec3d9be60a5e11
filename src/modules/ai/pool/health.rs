//! The job that tries keys: those that rest or failed, and those that nobody used for a while.

use super::import;
use super::probe::{self, Tried};
use crate::db::{Rows, Set};
use crate::error::Result;
use crate::log;
use crate::run::Run;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::json;
use uuid::Uuid;

/// Keys that one run tries.
const MOST: u32 = 60;
/// Keys that are tried at a time.
const TOGETHER: usize = 6;

/// What is due. A key that was refused as such is tried again in case its provider was wrong; one without
/// money or quota is not, because a list of models proves nothing of that.
const DUE: &str = "k.is_active AND (k.expires_at IS NULL OR k.expires_at > now()) AND (
    (k.state = 'cooling' AND coalesce(k.last_health_check, '-infinity') < now() - interval '4 minutes')
    OR (k.state = 'disabled' AND k.state_reason = 'invalid_key'
      AND coalesce(k.last_health_check, '-infinity') < now() - interval '1 hour')
    OR (k.state = 'active'
      AND coalesce(greatest(k.last_used_at, k.last_health_check), '-infinity') < now() - interval '1 hour'))";

/// Imports the keys that are new in the worker's variables, and tries those that are due.
///
/// # Errors
/// When the database fails or there is no key to decrypt with; the rest is left to the next run.
pub async fn check(run: &Run) -> Result<u64> {
    import::import(run).await?;
    let due = Rows::of("ai_api_pool", "k").only(format!(
        "k.id IN (SELECT k.id FROM ai_api_pool k WHERE {DUE} ORDER BY k.last_health_check NULLS FIRST LIMIT {MOST})"
    ));
    let due: Vec<Tried> = run.begin().only_rows(probe::read(due)).await?;
    let tried = stream::iter(&due).map(|key| async move {
        match probe::try_it(run, key, None).await {
            Ok(_) => Some(key.id),
            Err(error) => {
                log::warn(&run.name, "a key was not tried", &error);
                None
            }
        }
    });
    let tried: Vec<Uuid> = tried
        .buffer_unordered(TOGETHER)
        .filter_map(|id| async move { id })
        .collect()
        .await;
    let these = Rows::of("ai_api_pool", "k").when(
        "k.id IN (SELECT value::uuid FROM jsonb_array_elements_text({}::jsonb))",
        Some(json!(tried)),
    );
    let set = Set::new().fixed("last_health_check = now()");
    run.begin().only_execute(these.set(set, "k.id")).await?;
    Ok(tried.len() as u64)
}
