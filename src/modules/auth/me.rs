//! `GET /api/auth/me`

use super::model::Me;
use crate::error::{Code, Error, Result};
use crate::http::params::NoQuery;
use crate::http::permit::SignedIn;
use crate::http::reply::{Data, Raw};
use crate::modules::users::queries::{COLUMNS, MINE, MORE_COLUMNS, mine};
use celaest_domain::access::Permission;
use serde_json::json;

/// Says who the caller is, where they belong and what they may do.
pub async fn me(access: SignedIn, _: NoQuery) -> Result<Data<Me>> {
    let permissions: Vec<_> = access
        .principal
        .permissions
        .iter()
        .map(Permission::as_str)
        .collect();
    let tx = access.begin();
    let query = mine(
        &tx,
        format!(
            "SELECT (SELECT row_to_json(p) FROM (SELECT {COLUMNS}, {MORE_COLUMNS}) p) AS profile,
               CASE WHEN o.id IS NOT NULL THEN
                 json_build_object('id', o.id, 'name', o.name, 'slug', o.slug, 'settings', o.settings) END AS organization,
               $4::json AS permissions
             FROM users_profile u LEFT JOIN organizations o ON o.id = u.organization_id
             WHERE {MINE} AND u.id = $3::uuid"
        ),
    )
    .bind(access.principal.user_id)
    .bind(json!(permissions));
    let me: Option<Raw<Me>> = tx.only_row(query).await?;
    me.map(|me| Data::raw(&me))
        .ok_or_else(|| Error::new(Code::UserNotFound))
}
