//! Trying a key without a question of anybody's.

use super::keys;
use super::lending::{Outcome, name_of, settle_in, unreadable};
use crate::db::{Query, Rows};
use crate::error::Result;
use crate::modules::ai::host::Host;
use crate::modules::ai::models::Model;
use crate::platform::clock;
use crate::platform::fetch::{self, Beginning};
use celaest_domain::ai::chat::{ChatRequest, Message, Options, Role};
use celaest_domain::ai::failure::Failure;
use celaest_domain::ai::provider::Provider;
use celaest_domain::ai::wire::{self, Head, HttpRequest, Target};
use celaest_durable::key_pool::Lease;
use serde::Deserialize;
use std::time::Duration;
use uuid::Uuid;
use worker::Method;

/// How long a provider may take, and how much of its answer is read, in bytes.
const PATIENCE: Duration = Duration::from_secs(10);
const MOST_BYTES: usize = 64 * 1024;
/// Tokens of the answer to the question of a test: room to think, for models that always do.
const TOKENS: u32 = 64;

/// A key to be tried.
#[derive(Debug, Deserialize)]
pub struct Tried {
    /// Which one.
    pub id: Uuid,
    /// Whose models it opens.
    pub provider: Provider,
    organization_id: Option<Uuid>,
    generation: u32,
    group: String,
    sealed: String,
    key_version: u32,
}

/// What came of it.
#[derive(Debug)]
pub struct Finding {
    /// The status that the provider answered with.
    pub status: Option<u16>,
    /// What is wrong.
    pub failure: Option<Failure>,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
}

/// Reads keys as [`Tried`].
pub fn read(rows: Rows) -> Query {
    rows.read(
        "k.id, k.provider, k.organization_id, k.generation, k.encryption_key_version AS key_version,
         translate(encode(k.key_value_encrypted, 'base64'), E'\\n', '') AS sealed,
         coalesce('=' || (k.metadata->>'quota_group'),
           CASE WHEN k.provider IN ('groq', 'gemini') THEN k.provider::text END, k.id::text) AS \"group\"",
    )
}

/// Tries a key and tells its pool: with a short question to `model` if there is one, which proves everything,
/// else by asking for the list of models, which costs nothing.
///
/// # Errors
/// 503 when there is no key to decrypt with, or the pool is away.
pub async fn try_it(host: &impl Host, key: &Tried, model: Option<&Model>) -> Result<Finding> {
    let config = host.config()?;
    let began = clock::now_ms();
    let secret = match keys::open(config, key.id, &key.sealed, key.key_version) {
        Ok(secret) => Some(secret),
        Err(error) if config.encryption_key.is_none() => return Err(error),
        Err(_) => None,
    };
    let (status, failure) = match secret {
        None => (None, Some(unreadable())),
        Some(secret) => {
            let target = Target {
                provider: key.provider,
                base_url: config.ai_base_url(key.provider),
                secret: secret.expose(),
                model: model.map_or("", |model| &model.model_id),
                max_output: model.and_then(|model| model.max_tokens_output),
                json_schema: None,
            };
            match model {
                Some(_) => question(&target).await,
                None => listing(&target).await,
            }
        }
    };
    let latency_ms = u64::try_from(clock::now_ms() - began).unwrap_or_default();
    let lease = Lease {
        id: 0,
        key_id: key.id,
        generation: key.generation,
        group: key.group.clone(),
        model: String::new(),
        tokens: 0,
        at_ms: began,
    };
    let outcome = Outcome {
        failure: failure.as_ref(),
        latency_ms,
        ..Outcome::default()
    };
    let pool = name_of(key.provider, key.organization_id);
    settle_in(host, &pool, &lease, &outcome).await?;
    Ok(Finding {
        status,
        failure,
        latency_ms,
    })
}

type Found = (Option<u16>, Option<Failure>);

async fn question(target: &Target<'_>) -> Found {
    match wire::request(target, &ping(), false) {
        Ok(HttpRequest { url, headers, body }) => {
            judged(target, Method::Post, &url, &headers, Some(body)).await
        }
        Err(failure) => (None, Some(failure)),
    }
}

async fn listing(target: &Target<'_>) -> Found {
    let path = match target.provider {
        Provider::Local => "/api/tags",
        _ => "/models",
    };
    // The key goes where it goes with a question.
    match wire::request(target, &ping(), false) {
        Ok(HttpRequest { mut headers, .. }) => {
            headers.retain(|(name, _)| *name != "content-type");
            let url = format!("{}{path}", target.base_url);
            judged(target, Method::Get, &url, &headers, None).await
        }
        Err(failure) => (None, Some(failure)),
    }
}

fn ping() -> ChatRequest {
    ChatRequest {
        messages: vec![Message::text(Role::User, "ping")],
        how: Options {
            max_tokens: Some(TOKENS),
            ..Options::default()
        },
    }
}

async fn judged(
    target: &Target<'_>,
    method: Method,
    url: &str,
    headers: &[(&'static str, String)],
    body: Option<String>,
) -> Found {
    let answer = fetch::beginning(method, url, headers, body, PATIENCE, MOST_BYTES).await;
    let Ok(Beginning {
        status,
        headers,
        body,
    }) = answer
    else {
        return (None, Some(Failure::unreachable()));
    };
    let failure = match status {
        200..300 => None,
        _ => {
            let head = Head { status, headers };
            wire::answer(target.provider, &head, &body, clock::now_ms()).err()
        }
    };
    (Some(status), failure)
}
