//! `POST /api/licenses/{id}/bind-ip` and `DELETE …/unbind-ip`
//!
//! Slots are given out by the license's object, because validations take them there. Binding by hand
//! reserves a slot in the object first, writes the row with its audit row, and then lets the object read
//! it. The reservation ends with the change, whatever becomes of it; a worker that dies in between leaves
//! one that lapses, or a row that the object finds.

use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::{Id, Query};
use crate::http::permit::{LicensesWrite, Permit};
use crate::http::reply::{Created, NoContent};
use crate::modules::licenses::model::{Binding, NewBinding, Unbinding};
use crate::modules::licenses::{notices, queries, slots};
use serde_json::Value;

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
    let change = notices::tell(&mut tx, &license.key);
    slots::reserve(&permit.call, &mut tx, &license.key, change, &address).await?;
    let binding = queries::insert_binding(&mut tx, &license, &address, &new).await?;
    tx.record(license.beside("license.ip_bound", &Value::Null, &binding.tree()));
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
    slots::mirror(&permit.call, &mut tx, &license).await?;
    let binding = queries::release_binding(&mut tx, &license, &address).await?;
    tx.record(license.beside("license.ip_unbound", &binding.tree(), &Value::Null));
    notices::tell(&mut tx, &license.key);
    permit.commit(tx, NoContent::done()).await
}
