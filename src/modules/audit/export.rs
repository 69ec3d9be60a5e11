//! `GET /api/audit-logs/export`
//!
//! A file of any size in constant memory: pages are read by the sequence of their rows, each in a
//! transaction of its own, up to an end that is fixed before the first. What is written while the file
//! is made comes after that end.

use super::filters::Filters;
use super::model::header;
use super::queries::{COLUMNS, KEYS, columns, horizon};
use crate::db::facts::{Actor, Fact};
use crate::db::{Database, Scope, sql};
use crate::error::{Code, Error, Result};
use crate::http::params::Query;
use crate::http::permit::{AuditExport, Permit};
use crate::http::reply::Streamed;
use crate::identity::files::Place;
use crate::modules::organizations::queries::named;
use crate::platform::clock;
use celaest_domain::csv::push_record;
use celaest_domain::json;
use futures_util::stream::{Stream, try_unfold};
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// Rows looked at at a time, and the size of what is found at which a page ends earlier, in bytes.
const PAGE_ROWS: u32 = 1_000;
const PAGE_BYTES: u32 = 2_000_000;

/// The kind of file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "AuditExportFormat")]
pub enum Format {
    /// Comma-separated values with a header; text that a spreadsheet would take for a formula begins
    /// with an apostrophe.
    #[default]
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// What an export has besides the filters.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "AuditExport")]
pub struct File {
    /// The kind of file.
    #[serde(default)]
    pub format: Format,
}

/// What one page gives: where it ends, and its rows as the file has them.
#[derive(Deserialize)]
struct Page {
    last: Option<i64>,
    rows: Box<RawValue>,
}

/// A file on its way.
struct Export {
    place: Place,
    database: Database,
    scope: Scope,
    actor: Actor,
    organization: Option<Uuid>,
    filters: Filters<File>,
    /// Everything up to here was sent; `None` before the header.
    after: Option<i64>,
    horizon: i64,
}

/// Exports the audit log, oldest first.
pub async fn export(
    permit: Permit<AuditExport>,
    Query(filters): Query<Filters<File>>,
) -> Result<Streamed> {
    let organization = permit.reach(filters.organization_id)?;
    let place = Place::take(permit.scope().organization())?;
    let mut tx = permit.begin();
    if let (Scope::System, Some(id)) = (permit.scope(), organization) {
        tx.one::<IgnoredAny>(named(id), Code::OrganizationNotFound)
            .await?;
    }
    // Whoever writes to the logs of others holds up nobody's file but that of all.
    let end = match organization {
        Some(_) => horizon(organization),
        None => sql("SELECT to_json(audit_horizon())::text"),
    };
    let end: Option<i64> = tx.value(end).await?;
    let horizon = end.ok_or_else(|| Error::unavailable("somebody is writing to the log"))?;
    let (extension, content_type) = match filters.more.format {
        Format::Csv => ("csv", Streamed::CSV),
        Format::Jsonl => ("jsonl", Streamed::JSON_LINES),
    };
    let name = format!(
        "audit-logs-{}.{extension}",
        clock::now().format("%Y%m%d-%H%M%S")
    );
    // Whoever asks what a file would be has taken nothing away.
    if permit.call.head.method() == "HEAD" {
        return Ok(Streamed::new(
            content_type,
            name,
            futures_util::stream::empty(),
        ));
    }
    tx.record(Fact::export(
        organization,
        "audit.exported",
        "audit_export",
        &filters,
    ));
    permit.commit_aside(tx).await?;
    let export = Export {
        place,
        database: permit.call.another_database(),
        scope: permit.scope(),
        actor: permit.principal.actor(&permit.call),
        organization,
        filters,
        after: None,
        horizon,
    };
    Ok(Streamed::new(content_type, name, export.pieces()))
}

impl Export {
    fn pieces(self) -> impl Stream<Item = Result<Vec<u8>>> {
        try_unfold(Some(self), |export| async {
            let Some(mut export) = export else {
                return Ok(None);
            };
            let mut piece = String::new();
            if export.after.is_none() && export.filters.more.format == Format::Csv {
                push_record(&mut piece, header().map(Some));
            }
            let page = export.page().await?;
            export.write(&mut piece, &page)?;
            let rest = match page.last {
                Some(last) if last < export.horizon => {
                    export.after = Some(last);
                    Some(export)
                }
                _ => {
                    export.database.close();
                    None
                }
            };
            Ok(Some((piece.into_bytes(), rest)))
        })
    }

    /// The next rows after `self.after`.
    async fn page(&self) -> Result<Page> {
        self.place.keep();
        let tx = self.database.begin(self.scope, self.actor.clone());
        let (columns, row) = match self.filters.more.format {
            Format::Jsonl => (columns(), "row_to_json(shown)".to_owned()),
            Format::Csv => (columns(), texts()),
        };
        let next = self
            .filters
            .rows(&tx, self.organization)
            .when("a.sequence > {}::bigint", Some(self.after.unwrap_or(0)))
            .when("a.sequence <= {}::bigint", Some(self.horizon));
        let query = next.stretch("a.sequence", PAGE_ROWS).wrapped(|chosen| {
            format!(
                "WITH {chosen}, shown AS (
                   SELECT {columns} FROM chosen a {KEYS}
                 ), made AS MATERIALIZED (
                   SELECT sequence, {row} AS line FROM shown
                 ), sized AS (
                   SELECT sequence, line, sum(octet_length(line::text)) OVER (ORDER BY sequence) AS bytes,
                     row_number() OVER (ORDER BY sequence) AS place
                   FROM made
                 ), page AS (SELECT sequence, line FROM sized WHERE place = 1 OR bytes <= {PAGE_BYTES})
                 SELECT json_build_object(
                   'last', CASE WHEN (SELECT count(*) FROM page) < (SELECT count(*) FROM made)
                     THEN (SELECT max(sequence) FROM page) ELSE (SELECT max(sequence) FROM looked) END,
                   'rows', (SELECT coalesce(json_agg(line ORDER BY sequence), '[]') FROM page))::text"
            )
        });
        tx.only_value(query).await
    }

    fn write(&self, piece: &mut String, page: &Page) -> Result<()> {
        let rows = page.rows.get();
        piece.reserve(rows.len());
        match self.filters.more.format {
            Format::Csv => {
                let rows: Vec<Vec<Option<String>>> = json::read(rows).map_err(Error::internal)?;
                for row in &rows {
                    push_record(piece, row.iter().map(Option::as_deref));
                }
            }
            Format::Jsonl => {
                let rows: Vec<&RawValue> = json::read(rows).map_err(Error::internal)?;
                for row in rows {
                    piece.push_str(row.get());
                    piece.push('\n');
                }
            }
        }
        Ok(())
    }
}

/// The fields of a row as one array of texts. Times are written as in JSON.
fn texts() -> String {
    let fields = COLUMNS.map(|(name, _)| match name {
        "created_at" => "to_json(created_at) #>> '{}'".to_owned(),
        name => format!("{name}::text"),
    });
    format!("json_build_array({})", fields.join(", "))
}
