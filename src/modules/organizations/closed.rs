//! What follows from the end of an organization.

use crate::db::facts::Message;
use crate::db::sql;
use crate::error::Result;
use crate::modules::licenses::edge;
use crate::run::Run;

/// Makes the edge forget the licenses of an organization that was closed.
///
/// # Errors
/// When the database or an object cannot be reached; the message comes again then.
pub async fn told(run: &Run, message: &Message) -> Result<()> {
    if message.topic != "organization.deleted" {
        return Ok(());
    }
    let query = sql(
        "SELECT coalesce(json_agg(license_key), '[]')::text FROM licenses WHERE organization_id = $1::uuid",
    );
    let keys: Vec<String> = run
        .begin()
        .only_value(query.bind(message.organization_id))
        .await?;
    for key in &keys {
        edge::forget_from(&run.env, key).await?;
    }
    Ok(())
}
