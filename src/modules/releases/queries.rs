//! The SQL of releases: vendors' own, and the copy of published ones that everybody reads
//! (`migrations/V052__releases.sql`).

use super::model::Release;
use crate::config::Config;
use crate::db::facts::{Subject, without};
use crate::db::{Query, Raw, Rows, Tx};
use crate::error::{Code, Error, Result};
use crate::platform::storage;
use celaest_domain::json;
use celaest_domain::market::release::{Channel, Status, Version, parse};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// The columns of [`Release`], from alias `r`.
pub const COLUMNS: &str = "r.id, r.product_id, r.organization_id, r.version, r.status, r.title, r.release_notes,
    r.storage_path, r.file_name, r.file_size_bytes, r.checksum_sha256, r.signature, r.is_critical, r.min_version,
    r.download_count, r.metadata, r.yanked_at, r.yanked_reason, r.replaced_by, r.published_at, r.created_at,
    r.updated_at";

/// The columns of [`super::model::PublicRelease`], from alias `r`.
pub const PUBLIC: &str = "r.release_id AS id, r.product_id, r.version, r.status, r.title, r.file_name,
    r.file_size_bytes, r.checksum_sha256, r.signature, r.is_critical, r.min_version, r.yanked_at, r.yanked_reason,
    r.replaced_by, r.published_at";

/// What the log and the outside learn of a release: the outside not where its file is.
pub const RELEASE: Subject = Subject {
    kind: "release",
    tenant: "organization_id",
    secret: &[],
    told: Some(|release| json!({ "release": without(release, &["metadata", "storage_path"]) })),
};

/// The caller's own releases.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("product_releases", "r")
        .when("r.organization_id = {}::uuid", tx.scope().organization())
        .only("r.deleted_at IS NULL")
}

/// The releases that everybody sees.
pub fn public() -> Rows {
    Rows::of("catalogue_releases", "r").known_by("release_id")
}

/// Those of a product that a channel offers.
pub fn offered(product: Uuid, channel: Channel) -> Rows {
    let statuses: Vec<_> = channel
        .offers()
        .iter()
        .map(|status| format!("'{}'", status.as_str()))
        .collect();
    public()
        .when("r.product_id = {}::uuid", Some(product))
        .only(format!("r.status IN ({})", statuses.join(", ")))
}

/// The same statement for the latest of its releases alone.
pub fn latest(query: Query) -> Query {
    query.wrapped(|rows| format!("{rows} ORDER BY r.version_order DESC LIMIT 1"))
}

/// The fields of a release that rules look at.
#[derive(Debug, Clone, Deserialize)]
pub struct Facts {
    /// The product.
    pub product_id: Uuid,
    /// The vendor.
    pub organization_id: Uuid,
    /// Its version.
    pub version: String,
    /// What became of it.
    pub status: Status,
    /// Where its file is.
    pub storage_path: Option<String>,
    /// Size of the file.
    pub file_size_bytes: Option<u64>,
    /// SHA-256 of the file.
    pub checksum_sha256: Option<String>,
    /// The oldest version that can update to it directly.
    pub min_version: Option<String>,
}

impl Facts {
    /// Whether there is something to download, and everything that is said of it.
    pub fn has_file(&self) -> bool {
        self.storage_path.is_some()
            && self.file_size_bytes.is_some()
            && self.checksum_sha256.is_some()
    }

    /// Checks that some older version can be updated to this one, or the version itself be installed.
    ///
    /// # Errors
    /// 422 naming the field.
    pub fn check_minimum(&self, version: &Version) -> Result<()> {
        let least = self.min_version.as_deref().and_then(parse);
        match least.is_some_and(|least| least.cmp_precedence(version).is_gt()) {
            false => Ok(()),
            true => Err(Error::field("min_version", "is above the version itself")),
        }
    }
}

/// A release whose row is held.
pub struct Locked {
    /// The row.
    pub row: Raw<Release>,
    /// What rules look at.
    pub facts: Facts,
}

/// Reads what rules look at of one release.
///
/// # Errors
/// 404 when it is not there or not the caller's.
pub async fn peek(tx: Tx, id: Uuid) -> Result<Facts> {
    let query = mine(&tx).id(id).read(COLUMNS);
    tx.only_one(query, Code::ReleaseNotFound).await
}

/// Reads one release and holds its row until the transaction ends.
///
/// # Errors
/// 404 when it is not there or not the caller's.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    let query = mine(tx).id(id).lock(COLUMNS);
    let row: Raw<Release> = tx.one(query, Code::ReleaseNotFound).await?;
    let facts = json::read(row.text()).map_err(Error::internal)?;
    Ok(Locked { row, facts })
}

/// A statement whose refusals are the caller's mistakes.
pub fn named(query: Query) -> Query {
    query
        .on("product_releases_order_key", Code::VersionTaken)
        .on("product_releases_product_version_key", Code::VersionTaken)
}

/// Where a file of a product is in the storage: in a folder that is named by its vendor and itself, so that
/// no path leads into another's.
pub fn object(config: &'static Config, vendor: Uuid, product: Uuid, path: &str) -> storage::Object {
    storage::Object::new(config, &format!("{vendor}/{product}/{path}"))
}
