//! `POST /api/my/assets/{id}/transfer`

use super::model::{Asset, Transfer};
use super::queries::{self, ASSET, COLUMNS, mine};
use crate::db::{Raw, Set, sql};
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{AssetsWrite, Permit};
use crate::http::reply::Data;
use crate::modules::licenses;
use celaest_domain::json;
use celaest_domain::market::asset::Status;
use serde::Deserialize;
use uuid::Uuid;

#[derive(Deserialize)]
struct With {
    license_id: Option<Uuid>,
}

#[derive(Deserialize)]
struct Owned {
    organization_id: Uuid,
    status: Status,
    status_reason: Option<String>,
}

/// Hands something owned over to somebody else of the organization, with its license.
pub async fn transfer(
    permit: Permit<AssetsWrite>,
    Id(id): Id,
    Once(key, Body(to)): Once<Body<Transfer>>,
) -> Outcome<Data<Asset>> {
    let mut tx = permit.begin_once(key).await?;
    // The license first, as whoever takes both back holds them.
    let query = mine(&tx).id(id).read("a.license_id");
    let With { license_id } = tx.one(query, Code::AssetNotFound).await?;
    let license = match license_id {
        Some(id) => Some((id, licenses::queries::lock(&mut tx, id).await?)),
        None => None,
    };
    let before = queries::lock(&mut tx, id).await?;
    let owned: Owned = json::read(before.text()).map_err(Error::internal)?;
    if owned.status == Status::Revoked {
        let details = serde_json::json!({ "reason": owned.status_reason });
        return Err(Error::new(Code::AssetRevoked).with_details(details).into());
    }
    let known: bool = tx
        .value(
            sql(
                "SELECT to_json(EXISTS (SELECT 1 FROM users_profile u WHERE u.id = $1::uuid
                   AND u.organization_id = $2::uuid AND u.deleted_at IS NULL))::text",
            )
            .bind(to.user_id)
            .bind(owned.organization_id),
        )
        .await?;
    if !known {
        return Err(Error::field("user_id", "does not exist").into());
    }
    let set = Set::new().to("user_id = {}::uuid", to.user_id).along(
        "transferred_at = {}::timestamptz",
        crate::platform::clock::now(),
    );
    let query = mine(&tx).id(id).set(set, "a.id");
    let moved: Option<serde_json::Value> = tx.row(query).await?;
    if moved.is_some()
        && let Some((license, before)) = license
    {
        let set = Set::new().to("owner_id = {}::uuid", to.user_id);
        let after = licenses::queries::set(&mut tx, license, set).await?;
        tx.record_change(
            &licenses::queries::LICENSE,
            "license.updated",
            &before.row,
            &after,
        );
        licenses::notices::tell(&mut tx, &before.key);
    }
    let query = mine(&tx).id(id).read(COLUMNS);
    let after: Raw<Asset> = tx.one(query, Code::AssetNotFound).await?;
    tx.record_change(&ASSET, "asset.transferred", &before, &after);
    permit.commit(tx, Data::raw(&after)).await
}
