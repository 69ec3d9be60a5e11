//! `POST /api/auth/verify`

use super::model::{CredentialKind, Nothing, Verified};
use crate::error::{Error, Result};
use crate::http::body::Body;
use crate::http::permit::SignedIn;
use crate::http::reply::Data;
use crate::modules::users::api_keys::queries::of;
use crate::modules::users::model::UserRole;
use celaest_domain::access::Permission;
use chrono::{DateTime, SecondsFormat};
use serde_json::json;

/// Says what the caller's credential is worth.
pub async fn verify(access: SignedIn, Body(Nothing {}): Body<Nothing>) -> Result<Data<Verified>> {
    let principal = &access.principal;
    let expires_at = match (&principal.token, principal.api_key_id) {
        (Some(token), _) => DateTime::from_timestamp(token.expires_s, 0)
            .map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
        (None, Some(key)) => {
            let tx = access.begin();
            let this = of(&tx, principal.user_id).id(key);
            tx.only_value(this.read("to_json(k.expires_at)::text"))
                .await?
        }
        (None, None) => None,
    };
    let role: UserRole =
        serde_json::from_value(json!(principal.role.as_str())).map_err(Error::internal)?;
    Ok(Data::of(&Verified {
        user_id: principal.user_id,
        organization_id: principal.organization_id,
        role,
        permissions: principal
            .permissions
            .iter()
            .map(Permission::as_str)
            .collect(),
        kind: if principal.api_key_id.is_some() {
            CredentialKind::ApiKey
        } else {
            CredentialKind::Token
        },
        session_id: principal.token.as_ref().map(|token| token.session),
        api_key_id: principal.api_key_id,
        expires_at,
    }))
}
