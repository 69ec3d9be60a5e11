//! Tells people that their card is about to expire, once a card.

use crate::db::sql;
use crate::error::Result;
use crate::modules::payments::mails;
use crate::run::Run;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// Cards a run.
const STEP: u32 = 200;

#[derive(Deserialize)]
struct Expiring {
    organization_id: Uuid,
    user_id: Uuid,
    card_brand: Option<String>,
    card_last4: Option<String>,
    expires: String,
}

/// Warns of default cards that expire this month or the next; returns of how many.
pub async fn warn(run: &Run) -> Result<u64> {
    let mut tx = run.begin();
    let expiring: Vec<Expiring> = tx
        .rows(
            sql("UPDATE payment_methods m SET expiry_warned_at = now()
                 FROM (SELECT id FROM payment_methods
                       WHERE deleted_at IS NULL AND expiry_warned_at IS NULL AND is_default AND card_exp_year IS NOT NULL
                         AND make_date(card_exp_year, card_exp_month, 1) <= date_trunc('month', now()) + interval '1 month'
                       ORDER BY card_exp_year, card_exp_month LIMIT $1::bigint FOR NO KEY UPDATE SKIP LOCKED) due
                 WHERE m.id = due.id
                 RETURNING m.organization_id, m.user_id, m.card_brand, m.card_last4,
                   lpad(m.card_exp_month::text, 2, '0') || '/' || m.card_exp_year AS expires")
            .bind(STEP),
        )
        .await?;
    for one in &expiring {
        let data =
            json!({ "brand": one.card_brand, "last4": one.card_last4, "expires": one.expires });
        mails::post(
            &mut tx,
            one.organization_id,
            one.user_id,
            "card_expiring",
            data,
        )
        .await?;
    }
    run.commit(tx).await?;
    Ok(expiring.len() as u64)
}
