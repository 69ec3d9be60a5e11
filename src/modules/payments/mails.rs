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

/// Sends somebody an e-mail once `tx` is committed. Somebody who is gone gets none.
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
            sql("SELECT email, locale, display_name FROM users_profile
                 WHERE id = $1::uuid AND organization_id = $2::uuid AND deleted_at IS NULL")
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
