//! `POST /api/products/{id}/releases`

use super::model::{NewRelease, Release};
use super::queries::{self, COLUMNS, Facts, RELEASE};
use crate::db::{Raw, Set};
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, ReleasesWrite};
use crate::http::reply::Created;
use crate::modules::products;
use celaest_domain::market::release::{Status, parse};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

#[derive(Deserialize)]
struct Vendor {
    organization_id: Uuid,
}

/// Makes a release of an own product, and publishes it if it is said to be more than a draft.
pub async fn create(
    permit: Permit<ReleasesWrite>,
    Id(product): Id,
    Once(key, Body(new)): Once<Body<NewRelease>>,
) -> Outcome<Created<Release>> {
    let mut tx = permit.begin_once(key).await?;
    let own = products::queries::mine(&tx).id(product);
    let vendor: Vendor = tx
        .one(own.read("p.organization_id"), Code::ProductNotFound)
        .await?;
    let facts = Facts {
        product_id: product,
        organization_id: vendor.organization_id,
        version: new.version,
        status: new.status.unwrap_or(Status::Draft),
        storage_path: new.storage_path,
        file_size_bytes: new.file_size_bytes,
        checksum_sha256: new.checksum_sha256,
        min_version: new.min_version,
    };
    let version = parse(&facts.version).ok_or_else(|| Error::internal("a version is none"))?;
    Status::Draft
        .become_of(facts.status, &version, facts.has_file())
        .map_err(Error::from)?;
    facts.check_minimum(&version)?;
    let last = facts
        .storage_path
        .as_deref()
        .and_then(|path| path.rsplit('/').next());
    let query = Set::new()
        .to("product_id = {}::uuid", product)
        .to("organization_id = {}::uuid", facts.organization_id)
        .to("version = {}", &facts.version)
        .to("status = {}::release_status", facts.status.as_str())
        .to("title = {}", new.title)
        .to("release_notes = {}", new.release_notes)
        .to("storage_path = {}", facts.storage_path.as_deref())
        .to("file_name = {}", new.file_name.as_deref().or(last))
        .to("file_size_bytes = {}::bigint", facts.file_size_bytes)
        .to("checksum_sha256 = {}", facts.checksum_sha256.as_deref())
        .to("signature = {}", new.signature)
        .to("is_critical = {}::boolean", new.is_critical)
        .to("min_version = {}", facts.min_version.as_deref())
        .to("metadata = {}::jsonb", json!(new.metadata))
        .insert("product_releases", "r", COLUMNS);
    let release: Raw<Release> = tx.one(queries::named(query), Code::Internal).await?;
    let event = match facts.status {
        Status::Draft => "release.created",
        _ => "release.published",
    };
    tx.record_new(&RELEASE, event, &release);
    permit.commit(tx, Created::raw(&release)).await
}
