//! The models that can be called, as this isolate knows them.
//!
//! Remembered like the settings: renewed behind an answer, so that no call waits or spends a statement for
//! them, and a change is felt everywhere within a minute, in its own isolate at once.

use crate::db::facts::Actor;
use crate::db::{Scope, sql};
use crate::error::Result;
use crate::log;
use crate::modules::ai::host::Host;
use crate::platform::clock;
use celaest_domain::ai::cost::Prices;
use celaest_domain::ai::provider::Provider;
use serde::{Deserialize, Deserializer};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Age in milliseconds at which the catalogue is read again, behind an answer.
const RENEW_AFTER_MS: i64 = 25_000;
/// Age in milliseconds at which nobody goes by it any more.
const OLD_AFTER_MS: i64 = 55_000;
/// Pause in milliseconds between two attempts to read it behind an answer.
const ATTEMPT_EVERY_MS: i64 = 10_000;
/// So many models are known; of more, those of the highest priority.
const MOST_MODELS: u32 = 1_000;

/// What a model can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// It sees images.
    pub vision: bool,
    /// It can ask for functions to be called.
    pub function_calling: bool,
    /// Its answer can come piece by piece.
    pub streaming: bool,
    /// Its answer can be made to be JSON.
    pub json_mode: bool,
    /// Its answer can be made to fit a schema.
    pub json_schema: bool,
    /// It thinks before it answers.
    pub reasoning: bool,
}

/// A model that can be called.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Model {
    /// Identifier.
    pub id: Uuid,
    /// Whose.
    pub provider: Provider,
    /// The provider's name for it.
    pub model_id: String,
    /// Its name for people.
    pub display_name: String,
    /// Other names for it; several models may share one.
    pub aliases: Vec<String>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Tokens that a question may have.
    pub max_tokens_input: Option<u32>,
    /// Tokens that an answer may have.
    pub max_tokens_output: Option<u32>,
    /// Tokens that both may have together.
    pub context_window: Option<u32>,
    /// What its tokens cost.
    pub prices: Prices,
    /// It is called when nothing else is said.
    pub is_default: bool,
    /// The higher, the sooner it is called.
    pub priority: i32,
    /// When it was made known, in Unix seconds.
    pub created_s: i64,
}

/// The models that can be called: the default first, then by priority.
#[derive(Debug, Default, PartialEq, Deserialize)]
pub struct Catalogue {
    /// All of them.
    #[serde(deserialize_with = "shared")]
    pub models: Vec<Arc<Model>>,
}

fn shared<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Vec<Arc<Model>>, D::Error> {
    let models = Vec::<Model>::deserialize(from)?;
    Ok(models.into_iter().map(Arc::new).collect())
}

impl Catalogue {
    /// The models that a name stands for, the first to be called first: an id, the provider's own name
    /// (`provider/name` where two providers share it), or an alias.
    pub fn named(&self, name: &str) -> Vec<Arc<Model>> {
        let id = Uuid::try_parse(name).ok();
        let exact: Vec<_> = self
            .of(|model| id == Some(model.id) || model.model_id == name || model.is_called(name));
        match exact.is_empty() {
            false => exact,
            true => self.of(|model| model.aliases.iter().any(|alias| alias == name)),
        }
    }

    /// The model with this id.
    pub fn by_id(&self, id: Uuid) -> Option<&Arc<Model>> {
        self.models.iter().find(|model| model.id == id)
    }

    /// The models of a provider.
    pub fn of_provider(&self, provider: Provider) -> Vec<Arc<Model>> {
        self.of(|model| model.provider == provider)
    }

    fn of(&self, wanted: impl Fn(&Model) -> bool) -> Vec<Arc<Model>> {
        let found = self.models.iter().filter(|model| wanted(model));
        found.cloned().collect()
    }
}

impl Model {
    fn is_called(&self, name: &str) -> bool {
        let rest = name.strip_prefix(self.provider.as_str());
        rest.and_then(|rest| rest.strip_prefix('/')) == Some(&self.model_id)
    }
}

/// The catalogue as one read showed it.
#[derive(Clone)]
struct Known {
    catalogue: Arc<Catalogue>,
    /// When the reading began, in Unix milliseconds: every change committed before is in it.
    read_at: i64,
}

static KNOWN: Mutex<Option<Known>> = Mutex::new(None);
static NEXT_ATTEMPT: AtomicI64 = AtomicI64::new(0);
/// What was read before is not what counts now.
static FORGOTTEN_AT: AtomicI64 = AtomicI64::new(0);

/// The models that can be called. Only after a minute of silence, or a change, there is something to wait for.
///
/// # Errors
/// When there is nothing known, and the database fails.
pub async fn catalogue(host: &impl Host) -> Result<Arc<Catalogue>> {
    let now = clock::now_ms();
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match known {
        Some(known) if now - known.read_at < OLD_AFTER_MS => {
            if now - known.read_at >= RENEW_AFTER_MS {
                renew_behind(host, now);
            }
            Ok(known.catalogue)
        }
        old => match read(host.database()).await {
            Ok(catalogue) => Ok(learn(catalogue, now)),
            // What was known stands until PostgreSQL is back.
            Err(error) => match old {
                Some(known) => {
                    log::warn(host.name(), "the models were not read", &error);
                    Ok(known.catalogue)
                }
                None => Err(error),
            },
        },
    }
}

/// Makes this isolate read the models again. Call it after the commit of a change.
pub fn forget() {
    FORGOTTEN_AT.store(clock::now_ms(), Ordering::Relaxed);
    *KNOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

fn learn(catalogue: Catalogue, read_at: i64) -> Arc<Catalogue> {
    let catalogue = Arc::new(catalogue);
    // What began to be read before a change may not show it.
    if read_at > FORGOTTEN_AT.load(Ordering::Relaxed) {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| known.read_at <= read_at) {
            *known = Some(Known {
                catalogue: catalogue.clone(),
                read_at,
            });
        }
    }
    catalogue
}

/// Reads the models after the answer, on a connection of its own.
fn renew_behind(host: &impl Host, now: i64) {
    if NEXT_ATTEMPT.load(Ordering::Relaxed) > now {
        return;
    }
    NEXT_ATTEMPT.store(now + ATTEMPT_EVERY_MS, Ordering::Relaxed);
    let (database, name) = (host.another_database(), host.name().to_owned());
    (host.background())(Box::pin(async move {
        match read(&database).await {
            Ok(catalogue) => drop(learn(catalogue, now)),
            Err(error) => log::warn(&name, "the models were not read", &error),
        }
        database.close();
    }));
}

async fn read(database: &crate::db::Database) -> Result<Catalogue> {
    let query = sql(
        "SELECT json_build_object('models', (SELECT coalesce(json_agg(m), '[]') FROM (
           SELECT id, provider, model_id, display_name, aliases, capabilities, max_tokens_input, max_tokens_output,
             context_window, is_default, priority, floor(extract(epoch FROM created_at))::bigint AS created_s,
             json_build_object('input', (cost_per_1k_input * 1000000000)::bigint,
               'cached', (cost_per_1k_cached * 1000000000)::bigint,
               'output', (cost_per_1k_output * 1000000000)::bigint,
               'surcharges', coalesce(metadata->'pricing', '{}')) AS prices
           FROM ai_models WHERE is_active
           ORDER BY is_default DESC, priority DESC, provider, model_id LIMIT $1::bigint) m))::text",
    );
    database
        .begin(Scope::System, Actor::default())
        .only_value(query.bind(MOST_MODELS))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn model(number: u128, provider: &str, name: &str, aliases: &[&str]) -> serde_json::Value {
        json!({
            "id": Uuid::from_u128(number), "provider": provider, "model_id": name, "display_name": name,
            "aliases": aliases, "capabilities": { "vision": true, "text_generation": true },
            "max_tokens_input": null, "max_tokens_output": 5, "context_window": 10,
            "prices": { "input": 1, "cached": null, "output": 2 }, "is_default": false, "priority": 1, "created_s": 1,
        })
    }

    #[test]
    fn a_name_is_an_id_a_model_or_an_alias() {
        let catalogue: Catalogue = serde_json::from_value(json!({ "models": [
            model(1, "groq", "openai/gpt-oss-20b", &["fast"]),
            model(2, "openai", "gpt-6-luna", &["fast", "gpt"]),
            model(3, "local", "gpt-6-luna", &[]),
        ] }))
        .unwrap();
        let named = |name: &str| -> Vec<u128> {
            let found = catalogue.named(name);
            found.iter().map(|model| model.id.as_u128()).collect()
        };
        assert_eq!(named("fast"), [1, 2]);
        assert_eq!(named("gpt-6-luna"), [2, 3]);
        assert_eq!(named("local/gpt-6-luna"), [3]);
        assert_eq!(named("openai/gpt-oss-20b"), [1]);
        assert_eq!(named("groq/openai/gpt-oss-20b"), [1]);
        assert_eq!(named(&Uuid::from_u128(3).to_string()), [3]);
        assert!(named("openai").is_empty() && named("").is_empty());
        assert!(
            catalogue
                .by_id(Uuid::from_u128(2))
                .unwrap()
                .capabilities
                .vision
        );
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
        forget();
        let before = FORGOTTEN_AT.load(Ordering::Relaxed);
        learn(Catalogue::default(), before);
        assert!(KNOWN.lock().unwrap().is_none());
        learn(Catalogue::default(), before + 1);
        assert!(KNOWN.lock().unwrap().is_some());
        forget();
    }
}
