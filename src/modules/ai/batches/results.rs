//! `GET /api/ai/batches/{id}/results`
//!
//! A file of any size in constant memory: the tasks are read in their order, a page at a time, each in a transaction
//! of its own.

use super::queries;
use crate::db::facts::Actor;
use crate::db::{Database, Scope, sql};
use crate::error::{Error, Result};
use crate::http::params::Id;
use crate::http::permit::{AiRead, Permit};
use crate::http::reply::{Lines, Streamed};
use crate::identity::files::Place;
use crate::modules::ai::tasks::queries::RESULT;
use futures_util::stream::try_unfold;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

/// Tasks of a page, and its size in bytes at which it ends earlier.
const PAGE_ROWS: u32 = 500;
const PAGE_BYTES: u32 = 1_000_000;

/// What one page gives: where it ends, and its lines.
#[derive(Deserialize)]
struct Page {
    last: Option<(String, Uuid)>,
    rows: Vec<Box<RawValue>>,
}

/// A file on its way.
struct File {
    place: Place,
    database: Database,
    scope: Scope,
    actor: Actor,
    batch: Uuid,
    after: Option<(String, Uuid)>,
}

/// What came of the tasks of a batch, in their order, one JSON object a line. Tasks that have not ended are among
/// them as they are.
pub async fn results(permit: Permit<AiRead>, Id(id): Id) -> Result<Streamed<Lines>> {
    let place = Place::take(permit.scope().organization())?;
    let mut tx = permit.begin();
    queries::find(&mut tx, id).await?;
    tx.commit().await?;
    let file = File {
        place,
        database: permit.call.another_database(),
        scope: permit.scope(),
        actor: permit.principal.actor(&permit.call),
        batch: id,
        after: None,
    };
    let pieces = try_unfold(Some(file), |file| async move {
        let Some(mut file) = file else {
            return Ok(None);
        };
        let page = file.page().await?;
        let mut piece = Vec::new();
        for row in &page.rows {
            piece.extend_from_slice(row.get().as_bytes());
            piece.push(b'\n');
        }
        file.after = page.last;
        let next = match file.after {
            Some(_) => Some(file),
            None => {
                file.database.close();
                None
            }
        };
        Ok::<_, Error>(Some((piece, next)))
    });
    let name = format!("batch-{id}.jsonl");
    Ok(Streamed::new(Streamed::JSON_LINES, name, pieces))
}

impl File {
    async fn page(&self) -> Result<Page> {
        self.place.keep();
        let (at, id) = match &self.after {
            Some((at, id)) => (Some(at.as_str()), Some(*id)),
            None => (None, None),
        };
        self.database
            .begin(self.scope, self.actor.clone())
            .only_value(
                sql(format!(
                    "WITH page AS (
                       SELECT t.* FROM processed_tasks t
                       WHERE t.batch_id = $1::uuid AND ($2::uuid IS NULL OR t.organization_id = $2::uuid)
                         AND ($3::uuid IS NULL OR t.user_id = $3::uuid)
                         AND ($4 IS NULL OR (t.created_at, t.id) > ($4::timestamptz, $5::uuid))
                       ORDER BY t.created_at, t.id LIMIT $6::bigint
                     ), line AS (
                       SELECT t.created_at, t.id, l.text,
                         sum(octet_length(l.text)) OVER (ORDER BY t.created_at, t.id ROWS UNBOUNDED PRECEDING) AS bytes,
                         row_number() OVER (ORDER BY t.created_at, t.id) AS place
                       FROM page t CROSS JOIN LATERAL (SELECT row_to_json(r)::text AS text FROM (SELECT {RESULT}) r) l
                     ), kept AS (SELECT * FROM line WHERE place = 1 OR bytes <= $7::bigint)
                     SELECT json_build_object(
                       'last', (SELECT json_build_array(created_at, id) FROM kept
                                ORDER BY created_at DESC, id DESC LIMIT 1),
                       'rows', (SELECT coalesce(json_agg(text::json ORDER BY created_at, id), '[]') FROM kept))::text"
                ))
                .bind(self.batch)
                .bind(self.scope.organization())
                .bind(self.scope.owner())
                .bind(at)
                .bind(id)
                .bind(PAGE_ROWS)
                .bind(PAGE_BYTES),
            )
            .await
    }
}
