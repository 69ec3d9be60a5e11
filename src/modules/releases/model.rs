//! A release, as its vendor and as everybody sees it.

use crate::http::checks::{self, Given};
use crate::http::types::{Ident, Patch, not_null};
use celaest_domain::market::notes::MAX_NOTES;
use celaest_domain::market::release::{self, Channel, NoVersion, Status};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The largest file, in bytes: what JSON numbers hold exactly.
const MAX_FILE: u64 = 9_007_199_254_740_991;
/// The longest signature, in characters.
const MAX_SIGNATURE: usize = 2000;

/// A release as its vendor sees it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Release {
    /// Identifier.
    pub id: Uuid,
    /// The product.
    pub product_id: Uuid,
    /// The vendor.
    pub organization_id: Uuid,
    /// Its version (semver.org).
    pub version: String,
    /// What became of it.
    pub status: Status,
    /// It in a line.
    pub title: Option<String>,
    /// What changed, in Markdown.
    pub release_notes: Option<String>,
    /// Where its file is in the product's folder of the storage.
    pub storage_path: Option<String>,
    /// What the file is saved as.
    pub file_name: Option<String>,
    /// Size of the file.
    pub file_size_bytes: Option<u64>,
    /// SHA-256 of the file, hexadecimal.
    pub checksum_sha256: Option<String>,
    /// Signature of the file, by the vendor's own key.
    pub signature: Option<String>,
    /// Whether everybody has to install it.
    pub is_critical: bool,
    /// The oldest version that can update to it directly.
    pub min_version: Option<String>,
    /// Downloads.
    pub download_count: u64,
    /// Anything worth keeping with it; nobody else sees it.
    pub metadata: Map<String, Value>,
    /// When it was taken back.
    pub yanked_at: Option<String>,
    /// Why.
    pub yanked_reason: Option<String>,
    /// The release to take instead.
    pub replaced_by: Option<Uuid>,
    /// When it was published.
    pub published_at: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// A release as everybody sees it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PublicRelease {
    /// Identifier.
    pub id: Uuid,
    /// The product.
    pub product_id: Uuid,
    /// Its version (semver.org).
    pub version: String,
    /// What became of it.
    pub status: Status,
    /// It in a line.
    pub title: Option<String>,
    /// What its file is saved as.
    pub file_name: Option<String>,
    /// Size of the file.
    pub file_size_bytes: Option<u64>,
    /// SHA-256 of the file, hexadecimal.
    pub checksum_sha256: Option<String>,
    /// Signature of the file, by the vendor's own key.
    pub signature: Option<String>,
    /// Whether everybody has to install it.
    pub is_critical: bool,
    /// The oldest version that can update to it directly.
    pub min_version: Option<String>,
    /// When it was taken back: it is not offered any more.
    pub yanked_at: Option<String>,
    /// Why.
    pub yanked_reason: Option<String>,
    /// The release to take instead.
    pub replaced_by: Option<Uuid>,
    /// When it was published.
    pub published_at: String,
}

/// Body of `POST /api/products/{id}/releases`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewRelease {
    /// Its version (semver.org), up to 50 characters: `2.1.0-beta.1`.
    #[garde(custom(is_version))]
    pub version: String,
    /// `draft`, `alpha`, `beta` or `stable`. Default `draft`.
    #[serde(default)]
    pub status: Option<Status>,
    /// It in a line.
    #[serde(default)]
    #[garde(custom(checks::line::<200>))]
    pub title: Option<String>,
    /// What changed, in Markdown.
    #[serde(default)]
    #[garde(custom(checks::text::<MAX_NOTES>))]
    pub release_notes: Option<String>,
    /// Where its file is in the product's folder of the storage: names joined by `/`.
    #[serde(default)]
    #[garde(custom(is_path))]
    pub storage_path: Option<String>,
    /// What the file is saved as. Default the last name of the path.
    #[serde(default)]
    #[garde(custom(is_file_name))]
    pub file_name: Option<String>,
    /// Size of the file.
    #[serde(default)]
    #[garde(inner(range(max = MAX_FILE)))]
    pub file_size_bytes: Option<u64>,
    /// SHA-256 of the file, hexadecimal.
    #[serde(default)]
    #[garde(custom(is_checksum))]
    pub checksum_sha256: Option<String>,
    /// Signature of the file, by the vendor's own key.
    #[serde(default)]
    #[garde(custom(checks::text::<MAX_SIGNATURE>))]
    pub signature: Option<String>,
    /// Whether everybody has to install it. Default false.
    #[serde(default)]
    pub is_critical: bool,
    /// The oldest version that can update to it directly. Default any.
    #[serde(default)]
    #[garde(custom(is_version))]
    pub min_version: Option<String>,
    /// Anything worth keeping with it; nobody else sees it.
    #[serde(default)]
    #[garde(custom(checks::small_object))]
    pub metadata: Map<String, Value>,
}

/// Body of `PATCH /api/releases/{id}`. Left out: stays; null: cleared. Version and file stay once it is published.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct ReleaseChanges {
    /// Its version.
    #[garde(custom(not_null), custom(is_version))]
    #[schemars(with = "String")]
    pub version: Patch<String>,
    /// What becomes of it.
    #[garde(custom(not_null))]
    #[schemars(with = "Status")]
    pub status: Patch<Status>,
    /// It in a line.
    #[garde(custom(checks::line::<200>))]
    pub title: Patch<String>,
    /// What changed, in Markdown.
    #[garde(custom(checks::text::<MAX_NOTES>))]
    pub release_notes: Patch<String>,
    /// Where its file is in the product's folder of the storage.
    #[garde(custom(is_path))]
    pub storage_path: Patch<String>,
    /// What the file is saved as.
    #[garde(custom(is_file_name))]
    pub file_name: Patch<String>,
    /// Size of the file.
    #[garde(custom(is_size))]
    pub file_size_bytes: Patch<u64>,
    /// SHA-256 of the file, hexadecimal.
    #[garde(custom(is_checksum))]
    pub checksum_sha256: Patch<String>,
    /// Signature of the file, by the vendor's own key.
    #[garde(custom(checks::text::<MAX_SIGNATURE>))]
    pub signature: Patch<String>,
    /// Whether everybody has to install it.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub is_critical: Patch<bool>,
    /// The oldest version that can update to it directly.
    #[garde(custom(is_version))]
    pub min_version: Patch<String>,
    /// Why it is taken back, for status `yanked`.
    #[garde(custom(checks::line::<500>))]
    pub yanked_reason: Patch<String>,
    /// The release of the same product to take instead, for status `yanked`.
    pub replaced_by: Patch<Ident>,
    /// Anything worth keeping with it.
    #[garde(custom(checks::small_object))]
    pub metadata: Patch<Map<String, Value>>,
}

/// What a program that looks for updates is told.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Latest {
    /// The latest release of the channel.
    pub release: PublicRelease,
    /// The channel that was asked for.
    pub channel: Channel,
    /// The version that was said to be there.
    pub current: Option<String>,
    /// Whether the release is newer than that; null when nothing was said to be there.
    pub is_newer: Option<bool>,
    /// Whether it has to be installed: a release in between is critical, or what is there was taken back.
    pub is_required: Option<bool>,
    /// Whether what is there was taken back.
    pub is_yanked: Option<bool>,
    /// What to install next, when the release cannot be installed over what is there directly.
    pub next: Option<PublicRelease>,
}

/// What changed in one release.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ChangelogEntry {
    /// The release.
    pub id: Uuid,
    /// Its version.
    pub version: String,
    /// What became of it.
    pub status: Status,
    /// It in a line.
    pub title: Option<String>,
    /// Whether everybody has to install it.
    pub is_critical: bool,
    /// When it was published.
    pub published_at: String,
    /// What changed, in Markdown, as the vendor wrote it.
    pub markdown: Option<String>,
    /// The same as HTML that is safe to show.
    pub html: Option<String>,
}

/// What changed up to a release.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Changelog {
    /// The product.
    pub product_id: Uuid,
    /// The version that it goes back to, itself left out; null for the release alone.
    pub from: Option<String>,
    /// The version that it goes up to.
    pub to: String,
    /// The releases, the latest first.
    pub entries: Vec<ChangelogEntry>,
    /// There are more: go on with the last entry's release.
    pub has_more: bool,
}

/// Where a file can be sent to.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct UploadLink {
    /// Send the file here with PUT, once, within two hours.
    pub url: String,
    /// The release's `storage_path`.
    pub storage_path: String,
}

/// Body of `POST /api/releases/{id}/upload`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "ReleaseUpload")]
pub struct Upload {
    /// What the file is saved as.
    #[garde(custom(is_file_name))]
    pub file_name: String,
    /// Its size.
    #[garde(range(max = MAX_FILE))]
    pub file_size_bytes: u64,
    /// Its SHA-256, hexadecimal.
    #[garde(custom(is_checksum))]
    pub checksum_sha256: String,
}

/// A version.
pub fn is_version(value: &impl Given<str>, _: &()) -> garde::Result {
    let Some(Err(why)) = value.given().map(release::read) else {
        return Ok(());
    };
    Err(garde::Error::new(match why {
        NoVersion::Form => "is not a semantic version such as 2.1.0 or 2.1.0-beta.1".to_owned(),
        NoVersion::Large => format!("has a number above {}", release::MAX_NUMBER),
        NoVersion::Long => format!("is longer than {} characters", release::MAX_VERSION),
    }))
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+ ()".contains(c);
    (1..=200).contains(&name.len())
        && name.chars().all(plain)
        && !name.starts_with(['.', ' '])
        && !name.ends_with(' ')
}

fn is_path(value: &impl Given<str>, _: &()) -> garde::Result {
    checks::check(
        value,
        |text| text.len() <= 300 && text.split('/').all(is_name),
        "must be names of plain letters, digits and . _ - + joined by /",
    )
}

fn is_file_name(value: &impl Given<str>, _: &()) -> garde::Result {
    let problem = "must be 1 to 200 plain letters, digits and . _ - +";
    checks::check(value, is_name, problem)
}

fn is_checksum(value: &impl Given<str>, _: &()) -> garde::Result {
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    checks::check(
        value,
        |text| text.len() == 64 && text.bytes().all(is_digit),
        "must be 64 hexadecimal digits, the letters small",
    )
}

fn is_size(value: &Patch<u64>, _: &()) -> garde::Result {
    checks::check(value, |size| *size <= MAX_FILE, "is too large for a file")
}
