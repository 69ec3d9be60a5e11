//! `GET /api/auth/me`

use super::model::Me;
use crate::error::{Error, Result};
use crate::http::permit::{AccountRead, OwnProfile, Permit};
use crate::http::reply::Data;
use celaest_domain::access::Permission;
use celaest_domain::json;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

/// What the caller's object keeps of a [`Me`].
#[derive(Deserialize)]
struct Kept<'a> {
    #[serde(borrow)]
    profile: &'a RawValue,
    #[serde(borrow)]
    organization: &'a RawValue,
}

/// Says who the caller is, where they belong and what they may do. What the profile says of the last sign-in
/// can be as old as what the caller's object knows: five minutes.
pub async fn me(OwnProfile(profile): OwnProfile, access: Permit<AccountRead>) -> Result<Data<Me>> {
    let Kept {
        profile,
        organization,
    } = json::read(profile.get()).map_err(Error::internal)?;
    let permissions = access.principal.permissions.iter();
    let permissions: Vec<_> = permissions.map(Permission::as_str).collect();
    let permissions = json!(permissions);
    Ok(Data::text(format!(
        r#"{{"profile":{profile},"organization":{organization},"permissions":{permissions}}}"#
    )))
}
