//! The slots of a license, which its object gives out because validations take them there.

use super::edge::Known;
use super::model::Status;
use super::queries::{self, Locked};
use crate::call::Call;
use crate::db::Tx;
use crate::error::{Code, Error, Result};
use celaest_domain::address::Address;
use celaest_domain::license::Life;
use celaest_domain::license_key::LicenseKey;
use celaest_durable::license::{self, Pending, Reservation, ReserveRequest};
use serde_json::{Value, json};
use uuid::Uuid;

/// As in [`super::edge`].
const ATTEMPTS: usize = 8;

/// Holds a slot of a license for an address until the outcome of `change` is told, half a minute at most.
///
/// # Errors
/// 409 when the address has a slot or none is free.
pub async fn reserve(
    call: &Call,
    tx: &mut Tx,
    key: &str,
    change: Uuid,
    address: &Address,
) -> Result<()> {
    let key = LicenseKey::parse(key).map_err(|_| Error::new(Code::Conflict))?;
    let ip = address.to_string();
    let mut known = Known::Nothing;
    for _ in 0..ATTEMPTS {
        call.count_object_call();
        let request = ReserveRequest {
            change,
            ip: &ip,
            snapshot_ttl_s: call.config.snapshot_ttl_seconds,
            supply: known.supply(),
        };
        let answer = license::reserve(call.env(), &key, &request).await;
        match answer.map_err(Error::unavailable)? {
            Reservation::Held => return Ok(()),
            Reservation::AlreadyBound => return Err(Code::IpAlreadyBound.into()),
            Reservation::Full => return Err(Code::IpLimitReached.into()),
            Reservation::Missing => return Err(Code::LicenseNotFound.into()),
            Reservation::Unavailable => return Err(Code::Unavailable.into()),
            Reservation::NeedSnapshot(wanted) => {
                let mut found: queries::Snapshots = tx
                    .value(queries::snapshots([(key.as_str(), &wanted)]))
                    .await?;
                known = Known::of(&wanted, found.remove(key.as_str()));
            }
        }
    }
    Err(Error::unavailable("the license keeps changing"))
}

/// Writes bindings that the object has made and PostgreSQL may not have seen.
///
/// # Errors
/// When the object or the database fails.
pub async fn mirror(call: &Call, tx: &mut Tx, license: &Locked) -> Result<()> {
    let pending = pending(call, license).await?;
    if !pending.bindings.is_empty() {
        let bindings = json!(pending.bindings);
        let query = queries::mirror_bindings(license, &bindings, &call.request_id);
        tx.execute(query).await?;
    }
    Ok(())
}

/// The life of a license and its row, as they are at the edge: suspended where its object did so a moment ago and the
/// word of it is still on its way here. What is cancelled is so for good, whatever its object thought before.
///
/// # Errors
/// When the object cannot be reached.
pub async fn at_edge(call: &Call, license: &Locked) -> Result<(Life, Value)> {
    let (mut life, mut row) = (license.life, license.row.tree());
    let decided = matches!(life.status, Status::Suspended | Status::Cancelled);
    if !decided && pending(call, license).await?.suspended {
        life.status = Status::Suspended;
        row["status"] = Status::Suspended.as_str().into();
    }
    Ok((life, row))
}

async fn pending(call: &Call, license: &Locked) -> Result<Pending> {
    let Ok(key) = LicenseKey::parse(&license.key) else {
        return Ok(Pending::default());
    };
    call.count_object_call();
    let pending = license::pending(call.env(), &key).await;
    pending.map_err(Error::unavailable)
}
