//! The e-mails of selling.

use crate::db::facts::Mail;
use crate::db::{Tx, sql};
use crate::error::Result;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

#[derive(Deserialize)]
struct Reader {
    email: String,
    locale: String,
    display_name: Option<String>,
}

/// Sends somebody an e-mail once `tx` is committed; where they are gone, to the organization, whose purchase it is.
///
/// # Errors
/// When the database fails.
pub async fn post(
    tx: &mut Tx,
    organization: Uuid,
    user: Uuid,
    template: &str,
    mut data: Value,
) -> Result<()> {
    let reader: Option<Reader> = tx
        .row(
            sql("SELECT coalesce(u.email, o.email) AS email, coalesce(u.locale, 'es') AS locale, u.display_name
                 FROM organizations o
                 LEFT JOIN users_profile u ON u.id = $1::uuid AND u.organization_id = $2::uuid AND u.deleted_at IS NULL
                 WHERE o.id = $2::uuid AND coalesce(u.email, o.email) IS NOT NULL")
            .bind(user)
            .bind(organization),
        )
        .await?;
    if let Some(reader) = reader {
        if let Some(name) = reader.display_name {
            data["name"] = name.into();
        }
        tx.post(Mail {
            id: Uuid::new_v4(),
            organization_id: Some(organization),
            to: reader.email,
            locale: reader.locale,
            template: template.into(),
            data,
            link: None,
        });
    }
    Ok(())
}
