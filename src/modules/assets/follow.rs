//! `GET /api/downloads/{id}`
//!
//! The link of a download, for whoever has it. It is decided once more whether it leads anywhere: a link whose asset
//! was taken back, whose release was, or whose person could not ask for it any more does not.

use super::download::{File, Owned, decide, stored};
use crate::db::sql;
use crate::error::{Code, Result};
use crate::http::params::{Browser, Id};
use crate::http::reply::Elsewhere;
use crate::platform::clock;
use chrono::{DateTime, Utc};
use serde::Deserialize;

#[derive(Deserialize)]
struct Known {
    until: DateTime<Utc>,
    owned: Owned,
    file: File,
}

/// Leads to the file, with a link of the storage's own that is good for as long as this one.
pub async fn follow(Browser(call): Browser, Id(link): Id) -> Result<Elsewhere> {
    let query = sql("SELECT coalesce(download_by_link($1::uuid), 'null')::text").bind(link);
    let known: Option<Known> = call.begin_open().only_value(query).await?;
    let Known { until, owned, file } = known.ok_or(Code::DownloadNotFound)?;
    decide(&owned, &file, true)?;
    // Whole seconds are left, or the storage would be asked for none.
    let left = (until - clock::now()).num_seconds().max(1);
    let seconds = u32::try_from(left).unwrap_or(u32::MAX);
    let url = stored(call.config, &file, seconds).await?;
    Ok(Elsewhere(url))
}
