//! Who somebody is at the gateway.

use crate::db::sql;
use crate::error::Result;
use crate::http::permit::Access;
use crate::modules::payments::stripe::Stripe;
use serde::Deserialize;
use uuid::Uuid;

#[derive(Deserialize)]
struct Known {
    customer: Option<String>,
    email: String,
}

/// Who the buyer is at Stripe; a new customer where they are none. None for somebody who is gone. Nothing is held
/// while Stripe is asked.
///
/// # Errors
/// 409 when Stripe is not configured, 503 when it does not answer.
pub async fn of(access: &Access, organization: Uuid, user: Uuid) -> Result<Option<String>> {
    let mut tx = access.begin();
    let known: Option<Known> = tx
        .row(
            sql("SELECT u.email, (SELECT c.customer_id FROM gateway_customers c JOIN payment_gateways g ON g.id = c.gateway_id
                   WHERE c.user_id = u.id AND c.organization_id = $1::uuid AND g.code = 'stripe') AS customer
                 FROM users_profile u WHERE u.id = $2::uuid AND u.organization_id = $1::uuid AND u.deleted_at IS NULL")
            .bind(organization)
            .bind(user),
        )
        .await?;
    access.commit_aside(tx).await?;
    let Some(known) = known else { return Ok(None) };
    if known.customer.is_some() {
        return Ok(known.customer);
    }
    let customer = Stripe::of(access.call.config)?
        .customer(user, organization, &known.email)
        .await?;
    let mut tx = access.begin();
    tx.execute(
        sql(
            "INSERT INTO gateway_customers (organization_id, user_id, gateway_id, customer_id)
             SELECT $1::uuid, $2::uuid, g.id, $3 FROM payment_gateways g WHERE g.code = 'stripe'
             ON CONFLICT DO NOTHING",
        )
        .bind(organization)
        .bind(user)
        .bind(&customer),
    )
    .await?;
    access.commit_aside(tx).await?;
    Ok(Some(customer))
}
