//! `POST /api/users/me/leave`

use super::{queries, remove};
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::permit::SignedIn;
use crate::http::reply::NoContent;
use crate::modules::auth::model::Nothing;

/// Leaves the organization: the caller's sign-ins and API keys end with it, and they can accept another
/// invitation. The last administrator stays, and nobody leaves by an API key.
pub async fn leave(access: SignedIn, Body(Nothing {}): Body<Nothing>) -> Outcome<NoContent> {
    if access.principal.token.is_none() {
        return Err(Code::Forbidden.into());
    }
    let mut tx = access.begin_last();
    let own = queries::lock_member(&mut tx, access.principal.user_id).await?;
    own.facts.member(&access)?.may_leave()?;
    remove::end(&access, &mut tx, own.facts.id).await?;
    access.commit(tx, NoContent::done()).await
}
