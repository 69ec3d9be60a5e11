//! `POST /api/releases/{id}/upload`

use super::model::{Release, Upload, UploadLink};
use super::queries::{self, COLUMNS, Facts, RELEASE, mine};
use crate::db::{Raw, Set};
use crate::error::{Code, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::params::Id;
use crate::http::permit::{Permit, ReleasesWrite};
use crate::http::reply::Data;
use celaest_domain::market::release::Status;
use uuid::Uuid;

/// Gives a draft a place for its file, and a link to send it there. Each call is another place, so nothing that
/// was sent before is written over.
pub async fn upload(
    permit: Permit<ReleasesWrite>,
    Id(id): Id,
    Body(file): Body<Upload>,
) -> Outcome<Data<UploadLink>> {
    let facts = queries::peek(permit.begin(), id).await?;
    check_draft(&facts)?;
    let path = format!("{id}/{}/{}", Uuid::new_v4(), file.file_name);
    let config = permit.call.config;
    let object = queries::object(config, facts.organization_id, facts.product_id, &path);
    let link = UploadLink {
        url: object.upload_link().await?,
        storage_path: path,
    };
    // No row is held while the storage is asked.
    let mut tx = permit.begin_last();
    let before = queries::lock(&mut tx, id).await?;
    check_draft(&before.facts)?;
    let set = Set::new()
        .to("storage_path = {}", &link.storage_path)
        .to("file_name = {}", file.file_name)
        .to("file_size_bytes = {}::bigint", file.file_size_bytes)
        .to("checksum_sha256 = {}", file.checksum_sha256);
    let query = mine(&tx).id(id).set(set, COLUMNS);
    let after: Raw<Release> = tx.one(query, Code::ReleaseNotFound).await?;
    tx.record_change(&RELEASE, "release.updated", &before.row, &after);
    permit.commit(tx, Data::of(&link)).await
}

fn check_draft(facts: &Facts) -> Result<()> {
    match facts.status {
        Status::Draft => Ok(()),
        _ => Err(Code::ReleasePublished.into()),
    }
}
