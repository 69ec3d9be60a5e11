//! `GET /api/ai/providers`

use super::model::ProviderStatus;
use crate::db::facts::Actor;
use crate::db::{Scope, sql};
use crate::error::Result;
use crate::http::permit::{AiRead, Permit};
use crate::http::reply::Data;
use celaest_domain::ai::provider::Provider;
use serde::Deserialize;

/// What one statement finds of a provider.
#[derive(Deserialize)]
struct Found {
    provider: Provider,
    models: i64,
    own_keys: i64,
    has_platform_keys: bool,
    well: bool,
}

/// The providers, and which of them can be called now.
pub async fn list(permit: Permit<AiRead>) -> Result<Data<Vec<ProviderStatus>>> {
    // The platform's keys are seen by no tenant; what is said of them here is that there are any.
    let found: Vec<Found> = permit
        .call
        .database
        .begin(Scope::System, Actor::default())
        .only_rows(
            sql("SELECT p.provider,
                   (SELECT count(*) FROM ai_models m WHERE m.provider = p.provider AND m.is_active) AS models,
                   count(k.id) FILTER (WHERE k.organization_id IS NOT NULL) AS own_keys,
                   count(k.id) FILTER (WHERE k.organization_id IS NULL AND k.is_active) > 0 AS has_platform_keys,
                   coalesce(bool_or(k.is_active AND (k.is_healthy OR k.cooling_until <= now())
                     AND (k.expires_at IS NULL OR k.expires_at > now())), false) AS well
                 FROM unnest(enum_range(NULL::ai_provider)) AS p(provider)
                 LEFT JOIN ai_api_pool k ON k.provider = p.provider
                   AND (k.organization_id IS NULL OR k.organization_id = $1::uuid)
                 GROUP BY p.provider ORDER BY p.provider")
            .bind(permit.principal.organization_id),
        )
        .await?;
    let shown: Vec<_> = found
        .into_iter()
        .map(|found| ProviderStatus {
            provider: found.provider,
            name: name_of(found.provider).to_owned(),
            is_available: found.models > 0 && found.well,
            models: found.models,
            own_keys: found.own_keys,
            has_platform_keys: found.has_platform_keys,
        })
        .collect();
    Ok(Data::of(&shown))
}

fn name_of(provider: Provider) -> &'static str {
    match provider {
        Provider::Gemini => "Google Gemini",
        Provider::OpenAi => "OpenAI",
        Provider::Groq => "Groq",
        Provider::DeepSeek => "DeepSeek",
        Provider::Anthropic => "Anthropic",
        Provider::Local => "Ollama",
    }
}
