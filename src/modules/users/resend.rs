//! `POST /api/users/{id}/resend-invitation`

use super::invitation::Token;
use super::model::{User, UserStatus};
use super::queries::{self, COLUMNS};
use crate::db::Set;
use crate::error::Code;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, UsersWrite};
use crate::http::reply::Data;
use crate::modules::organizations::queries::mine;
use celaest_domain::membership::Wish;
use serde::Deserialize;

#[derive(Deserialize)]
struct Home {
    name: String,
}

/// Sends an invitation again: with a new token, good for as long as the first; the old one is useless.
pub async fn resend(
    permit: Permit<UsersWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<Data<User>> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    before.facts.allow(&permit, Wish::Edit)?;
    let (UserStatus::Invited, Some(organization)) =
        (before.facts.status, before.facts.organization_id)
    else {
        return Err(Code::AlreadyActive.into());
    };
    let home = mine(&tx).id(organization).read("o.name");
    let home: Home = tx.one(home, Code::UserNotFound).await?;
    let token = Token::draw()?;
    let set = token.kept(Set::new().fixed("invited_at = now()"));
    let after = queries::set::<User>(&mut tx, id, set, COLUMNS).await?;
    let user = after.tree();
    token.post(&permit, &mut tx, &user, &home.name).await?;
    queries::record(&mut tx, "user.invited", &before, &user);
    permit.commit(tx, Data::raw(&after)).await
}
