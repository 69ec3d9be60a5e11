//! Licenses that change together: those of an organization that is closed, of a plan or a product that is changed.

use super::notices;
use crate::db::facts::Message;
use crate::db::{Tx, sql};
use crate::error::{Error, Result};
use crate::http::change::Change;
use crate::run::Run;
use celaest_domain::json;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// The topic of outbox rows that tell the objects of some, and then of the next.
const TOPIC: &str = "licenses.changed";
/// Objects told before an answer leaves, and by one message.
const STEP: usize = 200;

/// Which licenses.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// Those of an organization.
    Organization(Uuid),
    /// Those on a plan.
    Plan(Uuid),
    /// Those for a product.
    Product(Uuid),
}

/// What an outbox row says.
#[derive(Serialize, Deserialize)]
struct Step {
    whose: Whose,
    /// The last license that was told.
    after: Option<Uuid>,
}

#[derive(Deserialize)]
struct Told {
    id: Uuid,
    license_key: String,
}

/// Makes the edge forget licenses that changed in `tx`, once that is committed: so many of them before the
/// answer, the others by the outbox, which repeats the first ones too.
///
/// # Errors
/// When the database fails.
pub async fn changed(tx: &mut Change, whose: Whose) -> Result<()> {
    tx.tell(TOPIC, json!(Step { whose, after: None }));
    let licenses = next(tx, whose, None).await?;
    for license in &licenses {
        notices::tell(tx, &license.license_key);
    }
    Ok(())
}

/// [`changed`] for licenses of which some are other tenants', whom `tx` does not see: all by the outbox.
pub fn change_behind(tx: &mut Tx, whose: Whose) {
    tx.tell(TOPIC, json!(Step { whose, after: None }));
}

async fn next(tx: &mut Tx, whose: Whose, after: Option<Uuid>) -> Result<Vec<Told>> {
    let (organization, plan, product) = match whose {
        Whose::Organization(id) => (Some(id), None, None),
        Whose::Plan(id) => (None, Some(id), None),
        Whose::Product(id) => (None, None, Some(id)),
    };
    tx.rows(
        sql("SELECT l.id, l.license_key FROM licenses l
             WHERE (l.organization_id = $1::uuid OR l.plan_id = $2::uuid OR l.product_id = $3::uuid)
               AND ($4::uuid IS NULL OR l.id > $4::uuid)
             ORDER BY l.id LIMIT $5::bigint")
        .bind(organization)
        .bind(plan)
        .bind(product)
        .bind(after)
        .bind(STEP),
    )
    .await
}

/// Makes the edge forget some more of them.
///
/// # Errors
/// When the database or an object cannot be reached; the message comes again then.
pub async fn told(run: &Run, message: &Message) -> Result<()> {
    if message.topic != TOPIC {
        return Ok(());
    }
    let Step { whose, after } =
        json::read(&message.payload.to_string()).map_err(Error::internal)?;
    let mut tx = run.begin();
    let licenses = next(&mut tx, whose, after).await?;
    let last = licenses.get(STEP - 1).map(|license| license.id);
    let keys: Vec<_> = licenses
        .into_iter()
        .map(|license| license.license_key)
        .collect();
    notices::forget_all(&run.env, &keys).await?;
    // Whoever comes with the same message again must not go on a second time: each step would double all that follow.
    let dealt = sql(
        "UPDATE outbox_messages SET processed_at = now() WHERE id = $1::uuid AND processed_at IS NULL RETURNING id",
    );
    let is_first = tx.row::<Value>(dealt.bind(message.id)).await?.is_some();
    if let Some(after) = last.filter(|_| is_first) {
        let after = Some(after);
        tx.tell(TOPIC, json!(Step { whose, after }));
    }
    run.commit(tx).await
}
