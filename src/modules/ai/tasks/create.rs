//! `POST /api/ai/tasks`

use super::asking::{self, Asked, Item};
use super::license;
use super::model::{NewTask, Task};
use super::queries::{self, COLUMNS, Handed, New, TOPIC};
use crate::db::Raw;
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{AiUse, Permit};
use crate::http::reply::Accepted;
use crate::modules::ai::asking::who;
use crate::modules::ai::{engine, models};
use serde_json::json;

/// The largest body, in bytes: a conversation with images in it.
pub const MAX_BYTES: usize = 2 * 1024 * 1024;

/// Takes a task in; its answer is there later.
pub async fn create(
    permit: Permit<AiUse>,
    Once(key, Body(new)): Once<Body<NewTask, MAX_BYTES>>,
) -> Outcome<Accepted<Task>> {
    let license = license::of(&permit, new.license_id.map(|id| id.0)).await?;
    let prompt = new.prompt_id.map(|id| id.0);
    let version = asking::version(&permit, new.prompt_slug.as_deref(), prompt).await?;
    let item = Item {
        prompt: new.prompt.clone(),
        messages: new.messages.clone(),
        input_text: new.input_text.clone(),
        variables: new.variables.clone(),
    };
    let options = new.options.clone();
    let ask = asking::ask(who(&permit), options, version.as_ref(), item, "")?;
    let catalogue = models::catalogue(&*permit.call).await?;
    let cost_micro = engine::judge(&*permit.call, &catalogue, &ask, "")?;
    let admitted = license.admits(&permit, &ask, cost_micro).await;

    let at = queries::now();
    let id = queries::id(at, 0)?;
    let task = New {
        id,
        batch_index: None,
        input_text: new.prompt.or(new.input_text),
        request: Asked {
            messages: new.messages.unwrap_or_default(),
            variables: new.variables,
            options: new.options,
        },
        metadata: new.metadata,
    };
    let mut tx = permit.begin_once(key).await?;
    admitted?;
    let call = &permit.call;
    let handed = Handed {
        organization: license.organization,
        user: permit.principal.user_id,
        key: permit.principal.api_key_id,
        license: license.id,
        prompt: version.map(|version| version.id),
        batch: None,
        at,
        request_id: &call.request_id,
        ip: &call.ip,
        user_agent: call.user_agent.as_deref(),
    };
    tx.execute(queries::insert(&[task], &handed)).await?;
    let query = queries::mine(&tx).id(id).read(COLUMNS);
    let task: Raw<Task> = tx.one(query, Code::Internal).await?;
    tx.tell(TOPIC, json!({}));
    permit.commit(tx, Accepted::raw(&task)).await
}
