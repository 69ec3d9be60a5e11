//! Something owned, and a link to its file.

use crate::http::types::Ident;
use crate::modules::releases::model::is_version;
use celaest_domain::market::asset::Status;
use celaest_domain::market::product;
use celaest_domain::market::release::Channel;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Something that somebody owns.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Asset {
    /// Identifier.
    pub id: Uuid,
    /// The owner's organization.
    pub organization_id: Uuid,
    /// The owner.
    pub user_id: Uuid,
    /// The product.
    pub product_id: Uuid,
    /// Its name.
    pub product_name: String,
    /// Its name in links.
    pub product_slug: String,
    /// What became of it.
    pub product_status: product::Status,
    /// Its picture in lists.
    pub product_image_url: Option<String>,
    /// The license that goes with it.
    pub license_id: Option<Uuid>,
    /// What became of the license.
    pub license_status: Option<String>,
    /// The order that it was bought with.
    pub order_id: Option<Uuid>,
    /// What became of it: `expired` as soon as its time is over.
    pub status: Status,
    /// Why it is not active.
    pub status_reason: Option<String>,
    /// When it was bought.
    pub acquired_at: String,
    /// When it ends by itself; its license may end before.
    pub expires_at: Option<String>,
    /// Downloads that belong to it; null is no limit.
    pub download_limit: Option<u32>,
    /// Downloads so far.
    pub download_count: u32,
    /// The version of the latest stable release.
    pub latest_version: Option<String>,
    /// When it was handed over to its owner by another one.
    pub transferred_at: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// Which release of something owned is downloaded. Default the latest stable one.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "DownloadQuery")]
pub struct Which {
    /// This release.
    pub release_id: Option<Ident>,
    /// The release with this version.
    #[garde(custom(is_version))]
    pub version: Option<String>,
    /// The latest of this channel.
    #[serde(default)]
    pub channel: Channel,
}

/// A link to a file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Download {
    /// Get the file here. Whoever has the link gets it, so it is not for others.
    pub url: String,
    /// When the link ends.
    pub expires_at: String,
    /// The release.
    pub release_id: Uuid,
    /// Its version.
    pub version: String,
    /// What to save the file as.
    pub file_name: String,
    /// Its size.
    pub file_size_bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub checksum_sha256: String,
    /// Its signature, by the vendor's own key.
    pub signature: Option<String>,
    /// Downloads that are left; null is no limit.
    pub downloads_left: Option<u32>,
}

/// Body of `POST /api/my/assets/{id}/transfer`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "AssetTransfer")]
pub struct Transfer {
    /// Who owns it from now on, of the same organization.
    pub user_id: Ident,
}
