//! `GET /api/auth/me`

use super::model::{Home, Me};
use crate::db::Raw;
use crate::error::{Code, Result};
use crate::http::permit::{AccountRead, Permit};
use crate::http::reply::Data;
use crate::modules::users::model::Profile;
use crate::modules::users::queries::{COLUMNS, MORE_COLUMNS, mine};
use celaest_domain::access::Permission;
use serde::Deserialize;
use serde_json::json;

/// What the database knows of the caller.
#[derive(Deserialize)]
struct Known {
    profile: Raw<Profile>,
    organization: Option<Raw<Home>>,
}

/// Says who the caller is, where they belong and what they may do.
pub async fn me(access: Permit<AccountRead>) -> Result<Data<Me>> {
    let principal = &access.principal;
    let tx = access.begin();
    let query = mine(&tx)
        .id(principal.user_id)
        .joined("LEFT JOIN organizations o ON o.id = u.organization_id")
        .read(&format!(
            "(SELECT row_to_json(p) FROM (SELECT {COLUMNS}, {MORE_COLUMNS}) p) AS profile,
             CASE WHEN o.id IS NOT NULL THEN
               json_build_object('id', o.id, 'name', o.name, 'slug', o.slug, 'settings', o.settings) END AS organization"
        ));
    let known: Known = tx.only_one(query, Code::UserNotFound).await?;
    let permissions: Vec<_> = principal
        .permissions
        .iter()
        .map(Permission::as_str)
        .collect();
    let me = json!({
        "profile": known.profile, "organization": known.organization, "permissions": permissions,
    });
    Ok(Data::text(me.to_string()))
}
