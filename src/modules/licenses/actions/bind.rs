//! `POST /api/licenses/{id}/bind-ip` and `DELETE …/unbind-ip`
//!
//! Slots are given out by the license's object, because validations take them there. Binding by hand
//! reserves a slot in the object first, writes the row with its audit row, and then lets the object read
//! it. A worker that dies in between leaves a reservation that lapses, or a row that the object finds.

use crate::db::facts::{Action, Fact, changes};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::idempotency::Once;
use crate::http::params::{Id, Query};
use crate::http::permit::{LicensesWrite, Permit};
use crate::http::reply::{Created, NoContent};
use crate::modules::licenses::edge;
use crate::modules::licenses::model::{Binding, NewBinding, Unbinding};
use crate::modules::licenses::queries;
use celaest_domain::address::Address;
use serde_json::Value;
use uuid::Uuid;

/// Binds an address.
pub async fn bind(
    permit: Permit<LicensesWrite>,
    Id(id): Id,
    Once(idempotency, Body(new)): Once<Body<NewBinding>>,
) -> Result<Created<Binding>> {
    let address = address(&new.ip_address)?;
    let mut tx = permit.begin();
    let caller = permit.caller();
    if let Some(stored) = idempotency.claim(&mut tx, caller).await? {
        return Ok(stored);
    }
    let license = queries::lock_alive(&mut tx, id).await?.facts;
    let binding_id = Uuid::new_v4();
    edge::reserve(&permit.call, &mut tx, &license, binding_id, &address).await?;
    let (machine, host) = (new.machine_id.as_deref(), new.hostname.as_deref());
    let binding = queries::insert_binding(
        &mut tx,
        &license,
        binding_id,
        &address.key().to_string(),
        machine,
        host,
    )
    .await?;
    tx.record(Fact {
        id: Uuid::new_v4(),
        organization_id: Some(license.organization_id),
        action: Action::Create,
        event: "license.ip_bound",
        resource_type: "license",
        resource_id: id,
        changes: changes(&Value::Null, &binding.tree()),
        payload: Some(edge::notice(&license)),
    });
    let reply = Created::raw(&binding);
    idempotency.settle(&mut tx, caller, &reply);
    permit.commit(tx).await?;
    edge::forget(&permit.call, &license.license_key).await?;
    Ok(reply)
}

/// Frees the slot of an address.
pub async fn unbind(
    permit: Permit<LicensesWrite>,
    Id(id): Id,
    Query(wanted): Query<Unbinding>,
) -> Result<NoContent> {
    let address = address(&wanted.ip_address)?;
    let mut tx = permit.begin();
    let license = queries::lock(&mut tx, id).await?.facts;
    // A slot that a validation took a moment ago may not have arrived here yet.
    edge::mirror(&permit.call, &mut tx, &license).await?;
    let binding = queries::release_binding(&mut tx, &license, &address.key().to_string())
        .await?
        .ok_or_else(|| Error::new(Code::IpNotBound))?;
    tx.record(Fact {
        id: Uuid::new_v4(),
        organization_id: Some(license.organization_id),
        action: Action::Delete,
        event: "license.ip_unbound",
        resource_type: "license",
        resource_id: id,
        changes: changes(&binding.tree(), &Value::Null),
        payload: Some(edge::notice(&license)),
    });
    permit.commit(tx).await?;
    edge::forget(&permit.call, &license.license_key).await?;
    Ok(NoContent)
}

fn address(text: &str) -> Result<Address> {
    Address::parse(text).ok_or_else(|| Error::field("ip_address", "is not an IP address"))
}
