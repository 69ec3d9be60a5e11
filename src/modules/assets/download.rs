//! `GET /api/my/assets/{id}/download` and `GET /api/releases/{id}/download`
//!
//! A link is of one asset, for one person, and is counted when it is given, under the lock of the asset's row. One
//! that is good still is given again without being counted again. Where it leads is in `follow.rs`.

use super::model::{Download, Which};
use super::queries::mine;
use crate::config::Config;
use crate::db::{Rows, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::params::{Id, Query};
use crate::http::permit::{Access, AssetsRead, Permit};
use crate::http::reply::Data;
use crate::modules::releases::queries as releases;
use crate::platform::clock;
use celaest_domain::access::Permission;
use celaest_domain::market::asset::{Facts, License, Refusal};
use celaest_domain::market::release::{Channel, Status};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// Something owned, as the rule looks at it.
#[derive(Debug, Deserialize)]
pub struct Owned {
    id: Uuid,
    organization_id: Uuid,
    product_id: Uuid,
    #[serde(flatten)]
    facts: Facts,
    status_reason: Option<String>,
}

const OWNED: &str = "a.id, a.organization_id, a.product_id, a.status, a.expires_at, a.status_reason, a.download_limit,
    a.download_count, CASE WHEN a.license_id IS NOT NULL THEN json_build_object(
      'status', coalesce(l.status::text, 'unknown'), 'expires_at', l.expires_at, 'trial_ends_at', l.trial_ends_at)
    END AS license";

/// Whether something owned may be used, as [`Facts::usable`] says.
const USABLE: &str = "(a.status = 'active' AND coalesce(a.expires_at > now(), true)
    AND (a.license_id IS NULL OR coalesce(l.status IN ('active', 'trial') AND coalesce(l.expires_at > now(), true)
      AND (l.status = 'active' OR coalesce(l.trial_ends_at > now(), true)), false)))";

/// A release with what is needed to get its file.
#[derive(Debug, Deserialize)]
pub struct File {
    id: Uuid,
    #[serde(flatten)]
    pub release: releases::Facts,
    pub file_name: Option<String>,
    signature: Option<String>,
    yanked_reason: Option<String>,
    replaced_by: Option<Uuid>,
}

const FILE: &str =
    "r.id, r.product_id, r.organization_id, r.version, r.status, r.storage_path, r.file_name,
    r.file_size_bytes, r.checksum_sha256, r.signature, r.yanked_reason, r.replaced_by";

/// Gives a link to the file of something owned.
pub async fn of_asset(
    permit: Permit<AssetsRead>,
    Id(id): Id,
    Query(which): Query<Which>,
) -> Result<Data<Download>> {
    let mut tx = permit.begin();
    let owned: Owned = tx
        .one(mine(&tx).id(id).read(OWNED), Code::AssetNotFound)
        .await?;
    let file = file(&mut tx, &owned, &which).await?;
    fetch(&permit, tx, owned, file).await
}

/// Gives a link to the file of a release: to those who own its product, and to those who sell it.
pub async fn of_release(permit: Permit<AssetsRead>, Id(id): Id) -> Result<Data<Download>> {
    let mut tx = permit.begin();
    let own = releases::mine(&tx).id(id).read(FILE);
    let sells = permit.principal.permissions.has(Permission::ProductsRead);
    let own: Option<File> = if sells { tx.row(own).await? } else { None };
    if let Some(file) = own {
        check_file(&file)?;
        let seconds = permit.call.config.download_link_seconds;
        let until = clock::now() + TimeDelta::seconds(i64::from(seconds));
        let url = stored(permit.call.config, &file, seconds).await?;
        return Ok(Data::of(&shown(file, url, until, None)));
    }
    // Of several one that is good: where the link of before is good still, one's own, and then what is good for most.
    let query = mine(&tx)
        .when(
            "a.product_id = (SELECT r.product_id FROM catalogue_releases r WHERE r.release_id = {}::uuid)",
            Some(id),
        )
        .read(OWNED);
    let place = query.places();
    let query = query
        .bind(id)
        .bind(permit.principal.user_id)
        .wrapped(|rows| {
            format!(
                "{rows} ORDER BY {USABLE} DESC, EXISTS (SELECT 1 FROM asset_downloads d
                   WHERE d.asset_id = a.id AND d.organization_id = a.organization_id AND d.release_id = ${}::uuid
                     AND d.user_id = ${}::uuid AND d.link_expires_at > now()) DESC,
                 coalesce(a.download_count < a.download_limit, true) DESC,
                 a.status, a.user_id <> coalesce(app_user_id(), a.user_id),
                 a.download_limit - a.download_count DESC NULLS FIRST, a.id LIMIT 1",
                place + 1,
                place + 2
            )
        });
    let owned: Owned = tx.one(query, Code::ReleaseNotFound).await?;
    let which = Which {
        release_id: Some(crate::http::types::Ident(id)),
        version: None,
        channel: Channel::Stable,
    };
    let file = file(&mut tx, &owned, &which).await?;
    fetch(&permit, tx, owned, file).await
}

/// The release of something owned that is wanted. Owners see published releases of whoever sells it.
async fn file(tx: &mut Tx, owned: &Owned, which: &Which) -> Result<File> {
    let of = |condition: &str, value: Option<String>| {
        Rows::of("product_releases", "r")
            .when("r.product_id = {}::uuid", Some(owned.product_id))
            .when(
                "EXISTS (SELECT 1 FROM customer_assets a WHERE a.product_id = r.product_id AND a.organization_id = {}::uuid)",
                Some(owned.organization_id),
            )
            .only("r.status <> 'draft' AND r.deleted_at IS NULL")
            .when(condition, value)
    };
    if let Some(id) = which.release_id {
        let rows = of("r.id = {}::uuid", Some(id.0.to_string()));
        return tx.one(rows.read(FILE), Code::ReleaseNotFound).await;
    }
    if let Some(version) = &which.version {
        let rows = of("r.version_order = version_order({})", Some(version.clone()));
        return tx.one(rows.read(FILE), Code::ReleaseNotFound).await;
    }
    let statuses: Vec<_> = which
        .channel
        .offers()
        .iter()
        .map(|one| one.as_str())
        .collect();
    let rows = of(
        "r.status::text = ANY (string_to_array({}, ' '))",
        Some(statuses.join(" ")),
    );
    tx.one(releases::latest(rows.read(FILE)), Code::NoRelease)
        .await
}

/// A link that was given for a download, and until when it is good.
#[derive(Debug, Deserialize)]
struct Link {
    link: Uuid,
    until: DateTime<Utc>,
}

/// Decides, looks whether the file is there, decides again and gives a link that is counted, or the one that was.
async fn fetch(access: &Access, mut tx: Tx, owned: Owned, file: File) -> Result<Data<Download>> {
    let user = access.principal.user_id;
    let known = given(&mut tx, &owned, &file, user).await?;
    decide(&owned, &file, known.is_some())?;
    drop(tx);
    // Whoever only asks whether there is something does not download it.
    if access.call.head.method() == "HEAD" {
        return Ok(Data::of(&shown(file, String::new(), clock::now(), None)));
    }
    if let Some(link) = known {
        return Ok(linked(access, &owned, file, &link));
    }
    let config = access.call.config;
    let seconds = config.download_link_seconds;
    // What is not there is not counted. No row is held while the storage is asked.
    stored(config, &file, seconds).await?;
    let mut tx = access.begin();
    let query = mine(&tx).id(owned.id).lock(OWNED);
    let mut owned: Owned = tx.one(query, Code::AssetNotFound).await?;
    let known = given(&mut tx, &owned, &file, user).await?;
    decide(&owned, &file, known.is_some())?;
    let link = match known {
        Some(known) => known,
        None => {
            owned.facts.download_count += 1;
            let link = Link {
                link: Uuid::new_v4(),
                until: clock::now() + TimeDelta::seconds(i64::from(seconds)),
            };
            note(access, &mut tx, (&owned, &file), &link);
            link
        }
    };
    access.commit_aside(tx).await?;
    Ok(linked(access, &owned, file, &link))
}

fn linked(access: &Access, owned: &Owned, file: File, link: &Link) -> Data<Download> {
    let Facts {
        download_limit,
        download_count,
        ..
    } = owned.facts;
    let left = download_limit.map(|limit| limit.saturating_sub(download_count));
    let url = format!("{}/api/downloads/{}", access.call.head.base(), link.link);
    Data::of(&shown(file, url, link.until, left))
}

/// Writes a download down, with the transaction.
fn note(access: &Access, tx: &mut Tx, (owned, file): (&Owned, &File), link: &Link) {
    tx.finally(
        sql("INSERT INTO asset_downloads
               (asset_id, organization_id, release_id, user_id, ip_address, user_agent, link_expires_at, link)
             VALUES ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::inet, $6, $7::timestamptz, $8::uuid)")
        .bind(owned.id)
        .bind(owned.organization_id)
        .bind(file.id)
        .bind(access.principal.user_id)
        .bind(&access.call.ip)
        .bind(access.call.user_agent.as_deref())
        .bind(link.until)
        .bind(link.link),
    );
    tx.finally(
        sql("UPDATE customer_assets a SET download_count = $1::integer
             WHERE a.id = $2::uuid AND a.organization_id = $3::uuid")
        .bind(owned.facts.download_count)
        .bind(owned.id)
        .bind(owned.organization_id),
    );
}

/// The link that the person was given for this and that is good still.
async fn given(tx: &mut Tx, owned: &Owned, file: &File, user: Uuid) -> Result<Option<Link>> {
    tx.row(
        sql("SELECT d.link, d.link_expires_at AS until FROM asset_downloads d
             WHERE d.asset_id = $1::uuid AND d.organization_id = $2::uuid AND d.release_id = $3::uuid
               AND d.user_id = $4::uuid AND d.link_expires_at > now()
             ORDER BY d.link_expires_at DESC LIMIT 1")
        .bind(owned.id)
        .bind(owned.organization_id)
        .bind(file.id)
        .bind(user),
    )
    .await
}

/// Whether a release of something owned may be downloaded; `again` for what was counted already.
///
/// # Errors
/// Why not, with what helps to go on.
pub fn decide(owned: &Owned, file: &File, again: bool) -> Result<()> {
    let facts = &owned.facts;
    let (status, has_file) = (file.release.status, file.release.has_file());
    facts
        .downloadable(status, has_file, again, clock::now())
        .map_err(|refusal| explained(refusal, owned, file))
}

/// Why not, with what helps to go on.
fn explained(refusal: Refusal, owned: &Owned, file: &File) -> Error {
    let error = Error::from(refusal);
    let details = match refusal {
        Refusal::Expired => json!({ "expired_at": owned.facts.expires_at }),
        Refusal::Suspended | Refusal::Revoked => json!({ "reason": owned.status_reason }),
        Refusal::License => licensed(owned.facts.license.as_ref()),
        Refusal::Limit => json!({ "limit": owned.facts.download_limit }),
        Refusal::Yanked => yanked(file),
        Refusal::NoFile => return error,
    };
    error.with_details(details)
}

fn licensed(license: Option<&License>) -> Value {
    let license = license.map(|license| (license.status.as_str(), license.expires_at));
    let (status, expires_at) = license.unzip();
    json!({ "license_status": status, "expired_at": expires_at.flatten() })
}

fn yanked(file: &File) -> Value {
    json!({ "reason": file.yanked_reason, "replacement": file.replaced_by })
}

/// What vendors themselves are refused.
fn check_file(file: &File) -> Result<()> {
    if file.release.status == Status::Yanked {
        return Err(Error::new(Code::ReleaseYanked).with_details(yanked(file)));
    }
    match file.release.has_file() {
        true => Ok(()),
        false => Err(Code::ReleaseWithoutFile.into()),
    }
}

/// The storage's own link to the file, good for so many seconds.
///
/// # Errors
/// 409 when the file is not there; 503 when the storage does not answer.
pub async fn stored(config: &'static Config, file: &File, seconds: u32) -> Result<String> {
    let release = &file.release;
    let path = release.storage_path.as_deref().unwrap_or_default();
    let object = releases::object(config, release.organization_id, release.product_id, path);
    let name = file.file_name.as_deref().unwrap_or("download");
    let url = object.download_link(seconds, name).await?;
    url.ok_or_else(|| Code::ReleaseWithoutFile.into())
}

fn shown(file: File, url: String, until: DateTime<Utc>, left: Option<u32>) -> Download {
    let release = file.release;
    Download {
        url,
        expires_at: until.to_rfc3339_opts(SecondsFormat::Secs, true),
        release_id: file.id,
        version: release.version,
        file_name: file.file_name.unwrap_or_else(|| "download".into()),
        file_size_bytes: release.file_size_bytes.unwrap_or_default(),
        checksum_sha256: release.checksum_sha256.unwrap_or_default(),
        signature: file.signature,
        downloads_left: left,
    }
}
