//! `PATCH /api/releases/{id}`

use super::model::{Release, ReleaseChanges};
use super::queries::{self, COLUMNS, Facts, RELEASE, mine};
use crate::db::{Raw, Set, Tx};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, ReleasesWrite};
use crate::http::reply::Data;
use celaest_domain::market::release::{Status, parse};
use serde_json::json;
use uuid::Uuid;

/// Changes a release, publishes it, or takes it back.
pub async fn update(
    permit: Permit<ReleasesWrite>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<ReleaseChanges>>,
) -> Outcome<Data<Release>> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let now = &before.facts;
    check_published(now, &wanted)?;
    let after = planned(now, &wanted);
    let version = parse(&after.version).ok_or_else(|| Error::internal("a version is none"))?;
    now.status
        .become_of(after.status, &version, after.has_file())
        .map_err(Error::from)?;
    if wanted.version.is_present() || wanted.min_version.is_present() {
        after.check_minimum(&version)?;
    }
    let yanks = after.status == Status::Yanked;
    if !yanks && (wanted.yanked_reason.is_present() || wanted.replaced_by.is_present()) {
        return Err(Error::field("status", "must be yanked for a reason or a replacement").into());
    }
    if let Some(other) = wanted.replaced_by.value() {
        check_replacement(&mut tx, now, id, other.0).await?;
    }
    let status = wanted.status.value().map(|status| status.as_str());
    let set = Set::new()
        .patch("version = {}", &wanted.version)
        .when("status = {}::release_status", status)
        .patch("title = {}", &wanted.title)
        .patch("release_notes = {}", &wanted.release_notes)
        .patch("storage_path = {}", &wanted.storage_path)
        .patch("file_name = {}", &wanted.file_name)
        .patch("file_size_bytes = {}::bigint", &wanted.file_size_bytes)
        .patch("checksum_sha256 = {}", &wanted.checksum_sha256)
        .patch("signature = {}", &wanted.signature)
        .patch("is_critical = {}::boolean", &wanted.is_critical)
        .patch("min_version = {}", &wanted.min_version)
        .patch("yanked_reason = {}", &wanted.yanked_reason)
        .patch("replaced_by = {}::uuid", &wanted.replaced_by)
        .patch_json("metadata = coalesce({}::jsonb, '{}')", &wanted.metadata);
    let set = match yanks && now.status != Status::Yanked {
        true => set.fixed("yanked_at = now()"),
        false => set,
    };
    let query = queries::named(mine(&tx).id(id).set(set, COLUMNS));
    let row: Raw<Release> = tx.one(query, Code::ReleaseNotFound).await?;
    let event = match (now.status, after.status) {
        (before, after) if before == after => "release.updated",
        (_, Status::Yanked) => "release.yanked",
        (_, Status::Deprecated) => "release.deprecated",
        _ => "release.published",
    };
    tx.record_change(&RELEASE, event, &before.row, &row);
    permit.commit(tx, Data::raw(&row)).await
}

/// What people have by its version and checksum stays what they have.
fn check_published(now: &Facts, wanted: &ReleaseChanges) -> Result<()> {
    if now.status == Status::Draft {
        return Ok(());
    }
    let fixed = [
        ("version", wanted.version.is_present()),
        ("storage_path", wanted.storage_path.is_present()),
        ("file_name", wanted.file_name.is_present()),
        ("file_size_bytes", wanted.file_size_bytes.is_present()),
        ("checksum_sha256", wanted.checksum_sha256.is_present()),
        ("signature", wanted.signature.is_present()),
    ];
    let touched: Vec<_> = fixed
        .iter()
        .filter(|(_, present)| *present)
        .map(|(name, _)| *name)
        .collect();
    match touched.is_empty() {
        true => Ok(()),
        false => {
            Err(Error::new(Code::ReleasePublished).with_details(json!({ "unchangeable": touched })))
        }
    }
}

/// What rules look at, after the change.
fn planned(now: &Facts, wanted: &ReleaseChanges) -> Facts {
    let now = now.clone();
    Facts {
        version: wanted.version.over(now.version),
        status: wanted.status.over(now.status),
        storage_path: wanted.storage_path.or(now.storage_path, Clone::clone),
        file_size_bytes: wanted.file_size_bytes.or(now.file_size_bytes, |size| *size),
        checksum_sha256: wanted.checksum_sha256.or(now.checksum_sha256, Clone::clone),
        min_version: wanted.min_version.or(now.min_version, Clone::clone),
        product_id: now.product_id,
        organization_id: now.organization_id,
    }
}

/// Checks that a release can be taken instead: another one of the product that can be downloaded.
async fn check_replacement(tx: &mut Tx, now: &Facts, id: Uuid, other: Uuid) -> Result<()> {
    let query = mine(tx)
        .id(other)
        .when("r.product_id = {}::uuid", Some(now.product_id))
        .when("r.id <> {}::uuid", Some(id))
        .only("r.status NOT IN ('draft', 'yanked')")
        .read("r.id");
    let found: Option<serde_json::Value> = tx.row(query).await?;
    let found = found.map(|_| ());
    found.ok_or_else(|| Error::field("replaced_by", "is no published release of the product"))
}
