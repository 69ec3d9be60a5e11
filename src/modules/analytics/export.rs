//! `GET /api/analytics/export`
//!
//! The same reports as files. Each is a table that ends somewhere (1,000 points, 10,000 things of a kind), so one is
//! made at a time; an archive is sent report by report.

use super::question::{Asked, Question, backward};
use super::read::{View, fits};
use super::report::{Form, Report, header};
use super::reports;
use crate::db::facts::{Actor, Fact};
use crate::db::{Database, Scope};
use crate::error::{Code, Error, Result};
use crate::http::params::Query;
use crate::http::permit::{AnalyticsOwn, Permit};
use crate::http::reply::{Archives, Streamed};
use crate::identity::files::Place;
use crate::modules::organizations::queries::named;
use crate::platform::clock;
use celaest_domain::csv::push_record;
use celaest_domain::json;
use celaest_domain::zip::Zip;
use chrono::{DateTime, Utc};
use futures_util::stream::{Stream, try_unfold};
use garde::Validate;
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "AnalyticsExportFormat", rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values with a header; text that a spreadsheet would take for a formula begins with an apostrophe.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Every report of the period as CSV, in one ZIP.
    Zip,
}

/// Which file, and what is asked.
#[derive(Debug, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "AnalyticsExport")]
pub struct File {
    /// Which report, as `report` of its answer names it; `format=zip` has all of them and takes none.
    pub report: Option<String>,
    /// The kind of file; `csv` unless said.
    #[schemars(with = "Option<Format>")]
    pub format: Option<String>,
    /// What is asked.
    #[serde(flatten)]
    #[garde(dive)]
    pub question: Question,
}

impl File {
    fn format(&self) -> Result<Format> {
        Ok(match self.format.as_deref() {
            None | Some("csv") => Format::Csv,
            Some("jsonl") => Format::Jsonl,
            Some("zip") => Format::Zip,
            Some(_) => return Err(Error::field("format", "must be one of: csv, jsonl, zip")),
        })
    }

    /// The reports that the file has.
    fn reports(&self, format: Format, view: &View) -> Result<Vec<&'static Report>> {
        let all = reports::ALL.iter().copied();
        let name = match (format, self.report.as_deref()) {
            (Format::Zip, None) => {
                return Ok(all.filter(|report| view.allows(report).is_ok()).collect());
            }
            (Format::Zip, Some(_)) => {
                return Err(Error::field(
                    "report",
                    "is not possible with format=zip, which has all of them",
                ));
            }
            (_, None) => return Err(Error::field("report", "is required")),
            (_, Some(name)) => name,
        };
        let Some(report) = all.clone().find(|report| report.name == name) else {
            let names: Vec<_> = all.map(|report| report.name).collect();
            let problem = format!("must be one of: {}", names.join(", "));
            return Err(Error::field("report", &problem));
        };
        view.allows(report)?;
        Ok(vec![report])
    }
}

/// A file on its way.
struct Export {
    place: Place,
    database: Database,
    actor: Actor,
    view: View,
    asked: Asked,
    format: Format,
    reports: std::vec::IntoIter<&'static Report>,
    zip: Option<Zip>,
    at: DateTime<Utc>,
}

/// Sends a report, or all of them, as a file.
pub async fn export(
    permit: Permit<AnalyticsOwn>,
    Query(file): Query<File>,
) -> Result<Streamed<Archives>> {
    let format = file.format()?;
    let asked = file.question.clone().read()?;
    let view = View::of(&permit, &asked)?;
    let reports = file.reports(format, &view)?;
    for report in &reports {
        // What narrows some reports and others not would make an archive of both kinds.
        fits(report, &asked, view.whose)?;
    }
    // That it was taken away is written to its log.
    if let (Scope::System, Some(id)) = (permit.scope(), view.whose.organization) {
        let tx = permit.begin();
        tx.only_one::<IgnoredAny>(named(id), Code::OrganizationNotFound)
            .await?;
    }
    let now = clock::now();
    let (extension, content_type) = match format {
        Format::Csv => ("csv", Streamed::CSV),
        Format::Jsonl => ("jsonl", Streamed::JSON_LINES),
        Format::Zip => ("zip", Streamed::ZIP),
    };
    let stem = match reports.as_slice() {
        [one] => one.name,
        _ => "reports",
    };
    let name = format!(
        "analytics-{stem}-{}.{extension}",
        now.format("%Y%m%d-%H%M%S")
    );
    // Whoever asks what a file would be has taken nothing away.
    if permit.call.head.method() == "HEAD" {
        let nothing = futures_util::stream::empty();
        return Ok(Streamed::new(content_type, name, nothing));
    }
    let mut export = Export {
        place: Place::take(permit.scope().organization())?,
        database: permit.call.another_database(),
        actor: permit.principal.actor(&permit.call),
        view,
        asked,
        format,
        reports: reports.into_iter(),
        zip: (format == Format::Zip).then(Zip::default),
        at: now,
    };
    // What is wrong with the question is known with its first answer, and nothing was taken away then.
    let first = export.next().await?;
    let mut tx = permit.begin();
    let organization = export.view.whose.organization;
    tx.record(Fact::export(
        organization,
        "analytics.exported",
        "analytics_export",
        &file,
    ));
    permit.commit_aside(tx).await?;
    Ok(Streamed::new(content_type, name, export.pieces(first)))
}

impl Export {
    fn pieces(self, first: Option<Vec<u8>>) -> impl Stream<Item = Result<Vec<u8>>> {
        try_unfold((self, first), |(mut export, ready)| async {
            let piece = match ready {
                Some(piece) => Some(piece),
                None => export.next().await?,
            };
            Ok(piece.map(|piece| (piece, (export, None))))
        })
    }

    /// The next piece of the file.
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        self.place.keep();
        let Some(report) = self.reports.next() else {
            self.database.close();
            return Ok(self.zip.take().map(Zip::end));
        };
        let table = self.table(report).await?.into_bytes();
        let name = format!("{}.csv", report.name);
        Ok(Some(match &mut self.zip {
            Some(zip) => zip.file(&name, &table, self.at),
            None => table,
        }))
    }

    /// A report as text.
    async fn table(&self, report: &'static Report) -> Result<String> {
        let form = match self.format {
            Format::Jsonl => Form::Objects,
            _ => Form::Texts,
        };
        let whose = self.view.whose;
        let statement = report.statement(&self.asked, whose, form);
        let tx = self.database.begin(self.view.scope, self.actor.clone());
        let rows: Option<Box<RawValue>> = tx.only_value(statement).await?;
        let rows = rows.ok_or_else(backward)?;
        let mut text = String::new();
        if form == Form::Objects {
            let rows: Vec<&RawValue> = json::read(rows.get()).map_err(Error::internal)?;
            for row in rows {
                text.push_str(row.get());
                text.push('\n');
            }
            return Ok(text);
        }
        let metric = self.asked.question.metric.as_deref();
        let measures = report.shown(metric, whose.person.is_some());
        push_record(&mut text, header(measures).into_iter().map(Some));
        let rows: Vec<Vec<Option<String>>> = json::read(rows.get()).map_err(Error::internal)?;
        for row in &rows {
            push_record(&mut text, row.iter().map(Option::as_deref));
        }
        Ok(text)
    }
}
