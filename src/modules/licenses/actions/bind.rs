//! `POST /api/licenses/{id}/bind-ip` and `DELETE …/unbind-ip`
//!
//! Slots are given out by the license's object, because validations take them there. Binding by hand
//! reserves a slot in the object first, writes the row with its audit row, and then lets the object read
//! it. A worker that dies in between leaves a reservation that lapses, or a row that the object finds.

use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::{Id, Query};
use crate::http::permit::{LicensesWrite, Permit};
use crate::http::reply::{Created, NoContent};
use crate::modules::licenses::edge;
use crate::modules::licenses::model::{Binding, NewBinding, Unbinding};
use crate::modules::licenses::queries;
use serde_json::Value;
use uuid::Uuid;

/// Binds an address.
pub async fn bind(
    permit: Permit<LicensesWrite>,
    Id(id): Id,
    Once(key, Body(new)): Once<Body<NewBinding>>,
) -> Outcome<Created<Binding>> {
    let address = queries::address(&new.ip_address)?;
    let mut tx = permit.begin_once(key).await?;
    let license = queries::lock(&mut tx, id).await?;
    license.life.alive()?;
    let binding_id = Uuid::new_v4();
    edge::reserve(&permit.call, &mut tx, &license.key, binding_id, &address).await?;
    let binding = queries::insert_binding(&mut tx, &license, binding_id, &address, &new).await?;
    tx.record(license.beside("license.ip_bound", &Value::Null, &binding.tree()));
    tx.after_commit(edge::forget(&permit.call, &license.key));
    permit.commit(tx, Created::raw(&binding)).await
}

/// Frees the slot of an address.
pub async fn unbind(
    permit: Permit<LicensesWrite>,
    Id(id): Id,
    Once(key, Query(wanted)): Once<Query<Unbinding>>,
) -> Outcome<NoContent> {
    let address = queries::address(&wanted.ip_address)?;
    let mut tx = permit.begin_once(key).await?;
    let license = queries::lock(&mut tx, id).await?;
    // A slot that a validation took a moment ago may not have arrived here yet.
    edge::mirror(&permit.call, &mut tx, &license).await?;
    let binding = queries::release_binding(&mut tx, &license, &address).await?;
    tx.record(license.beside("license.ip_unbound", &binding.tree(), &Value::Null));
    tx.after_commit(edge::forget(&permit.call, &license.key));
    permit.commit(tx, NoContent::done()).await
}
