//! `POST /api/audit-logs/acknowledge`
//!
//! After an older backup was restored the heads of the seals are ahead of the database, and the logs are
//! sealed no further. Whoever runs the system says that this is known: the chain goes on with the last seal
//! that is there. What was said stays in the log, and in the object, where nobody who owns the database can
//! take it away again.

use super::model::{AcknowledgedBreak, Acknowledgement};
use super::queries::of_tenant;
use crate::db::facts::{Action, Fact, Message};
use crate::db::sql;
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{Permit, SystemWrite};
use crate::http::reply::Data;
use crate::modules::organizations::queries::named;
use crate::platform::clock;
use crate::run::Run;
use celaest_domain::audit::Head;
use celaest_durable::seal_head::{self, Restart, restarts};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;
use worker::Env;

/// The topic of outbox rows that repeat what an object was told.
const TOPIC: &str = "audit.acknowledged";

/// What an outbox row says.
#[derive(Serialize, Deserialize)]
struct Told {
    organization: Option<Uuid>,
    restart: Restart,
}

/// Accepts that the end of a log is gone, and lets it be sealed again from what is left.
pub async fn acknowledge(
    permit: Permit<SystemWrite>,
    Once(key, Body(wanted)): Once<Body<Acknowledgement>>,
) -> Outcome<Data<AcknowledgedBreak>> {
    let organization = wanted.organization_id.map(|id| id.0);
    let mut tx = permit.begin_once(key).await?;
    if let Some(id) = organization {
        tx.one::<IgnoredAny>(named(id), Code::OrganizationNotFound)
            .await?;
    }
    // Before the seals are read, as everywhere: what the object knows was there.
    permit.call.count_object_call();
    let known = seal_head::read(permit.call.env(), organization)
        .await
        .map_err(Error::unavailable)?;
    let mine = of_tenant(organization);
    let query = sql(format!(
        "SELECT last_sequence, digest FROM audit_seals WHERE {mine} ORDER BY last_sequence DESC LIMIT 1"
    ));
    let kept: Option<Head> = tx.row(query.bind(organization)).await?;
    let cut = known.head.clone().map(|lost| Restart {
        lost,
        kept,
        at: clock::now(),
        by: permit.principal.user_id,
        reason: wanted.reason,
    });
    let restart = cut
        .filter(|one| one.lost.last_sequence == wanted.sequence && restarts(&known, one))
        .ok_or_else(|| Error::new(Code::NotCutOff))?;
    let end = |head: Option<&Head>| json!({ "sealed_to": head.map(|head| head.last_sequence), "digest": head.map(|head| &head.digest) });
    let mut after = end(restart.kept.as_ref());
    after["reason"] = json!(restart.reason);
    tx.record(Fact {
        organization_id: organization,
        action: Action::Update,
        event: "audit.break_acknowledged",
        resource_type: "audit_log",
        resource_id: organization.unwrap_or_default(),
        changes: json!({ "before": end(Some(&restart.lost)), "after": after }),
        payload: None,
    });
    let told = Told {
        organization,
        restart: restart.clone(),
    };
    tx.tell(TOPIC, json!(told));
    let call = permit.call.clone();
    tx.after_commit(async move {
        call.count_object_call();
        told.pass_on(call.env()).await
    });
    permit.commit(tx, Data::of(&restart.into())).await
}

impl Told {
    async fn pass_on(&self, env: &Env) -> Result<()> {
        let told = seal_head::restart(env, self.organization, &self.restart).await;
        told.map(|_| ()).map_err(Error::unavailable)
    }
}

/// Repeats what the object was told before the answer, for the request that died in between.
///
/// # Errors
/// When the object cannot be reached; the message comes again then.
pub async fn told(run: &Run, message: &Message) -> Result<()> {
    if message.topic != TOPIC {
        return Ok(());
    }
    let told: Told = serde_json::from_value(message.payload.clone()).map_err(Error::internal)?;
    told.pass_on(&run.env).await
}
