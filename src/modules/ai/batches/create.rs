//! `POST /api/ai/batches`

use super::model::{Batch, NewBatch};
use super::queries::{BATCH, COLUMNS};
use crate::db::{Raw, Set};
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{AiUse, Permit};
use crate::http::reply::Accepted;
use crate::modules::ai::asking::who;
use crate::modules::ai::tasks::asking::{self, Asked, Item};
use crate::modules::ai::tasks::drain;
use crate::modules::ai::tasks::license;
use crate::modules::ai::tasks::queries::{self, Handed, New, TOPIC};
use crate::modules::ai::tasks::turns::Common;
use crate::modules::ai::{engine, models};
use serde_json::json;

/// The largest body, in bytes.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Tasks that one statement hands in.
const STEP: usize = 1_000;

/// Takes a batch of tasks in, all or none; their answers are there later.
pub async fn create(
    permit: Permit<AiUse>,
    Once(key, Body(new)): Once<Body<NewBatch, MAX_BYTES>>,
) -> Outcome<Accepted<Batch>> {
    let license = license::of(&permit, new.license_id.map(|id| id.0)).await?;
    if new.items.len() > license.batch {
        let problem = format!(
            "has more than the {} entries that the license allows",
            license.batch
        );
        return Err(Error::field("items", &problem).into());
    }
    let prompt = new.prompt_id.map(|id| id.0);
    let version = asking::version(&permit, new.prompt_slug.as_deref(), prompt).await?;
    let common = Common {
        variables: new.variables,
        options: new.options,
    };
    let (who, catalogue) = (who(&permit), models::catalogue(&*permit.call).await?);
    let at = queries::now();
    let mut tasks = Vec::with_capacity(new.items.len());
    let mut cheapest = None;
    for (place, item) in new.items.into_iter().enumerate() {
        let path = format!("items[{place}].");
        let mut variables = common.variables.clone();
        variables.extend(item.variables.clone());
        let asked = Item {
            prompt: item.prompt.clone(),
            messages: item.messages.clone(),
            input_text: item.input_text.clone(),
            variables,
        };
        let options = common.options.clone();
        let ask = asking::ask(who.clone(), options, version.as_ref(), asked, &path)?;
        let cost_micro = engine::judge(&*permit.call, &catalogue, &ask, &path)?;
        if cheapest
            .as_ref()
            .is_none_or(|(_, least)| cost_micro < *least)
        {
            cheapest = Some((ask, cost_micro));
        }
        tasks.push(New {
            id: queries::id(at, place)?,
            batch_index: Some(place),
            input_text: item.prompt.or(item.input_text),
            request: Asked {
                messages: item.messages.unwrap_or_default(),
                variables: item.variables,
                ..Asked::default()
            },
            metadata: item.metadata,
        });
    }

    let admitted = match &cheapest {
        Some((ask, cost_micro)) => license.admits(&permit, ask, *cost_micro).await,
        None => Ok(()),
    };
    let mut tx = permit.begin_once(key).await?;
    admitted?;
    let id = queries::id(at, 0)?;
    let version = version.map(|version| version.id);
    let set = Set::new()
        .to("id = {}::uuid", id)
        .to("organization_id = {}::uuid", license.organization)
        .to("user_id = {}::uuid", permit.principal.user_id)
        .to("license_id = {}::uuid", license.id)
        .to("prompt_id = {}::uuid", version)
        .to("name = {}", new.name)
        .to("total_tasks = {}::integer", tasks.len())
        .to("notify_each = {}::boolean", new.notify_each)
        .to("request = {}::jsonb", json!(common))
        .to("metadata = {}::jsonb", json!(new.metadata));
    let query = set.insert("task_batches", "b", COLUMNS);
    let batch: Raw<Batch> = tx.one(query, Code::Internal).await?;
    let call = permit.call.clone();
    let handed = Handed {
        organization: license.organization,
        user: permit.principal.user_id,
        key: permit.principal.api_key_id,
        license: license.id,
        prompt: version,
        batch: Some(id),
        at,
        request_id: &call.request_id,
        ip: &call.ip,
        user_agent: call.user_agent.as_deref(),
    };
    for part in tasks.chunks(STEP) {
        tx.execute(queries::insert(part, &handed)).await?;
    }
    for _ in 0..drain::runners(tasks.len()) {
        tx.tell(TOPIC, json!({}));
    }
    tx.record_new(&BATCH, "ai.batch.created", &batch);
    permit.commit(tx, Accepted::raw(&batch)).await
}
