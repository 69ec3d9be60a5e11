//! The versions that serve calls. Each isolate remembers those of a prompt for a little while, so that a call
//! after another one costs no statement; a change is felt everywhere once that is over.

use super::wording::{self, Texts};
use crate::db::facts::Actor;
use crate::db::{Database, Scope, Tx, sql};
use crate::error::{Code, Result};
use crate::platform::clock;
use celaest_domain::ai::split;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// How long the versions of a prompt are remembered, in milliseconds.
const REMEMBERED_MS: i64 = 15_000;
/// Prompts that an isolate remembers: beyond that it forgets all.
const MOST_REMEMBERED: usize = 500;

/// A version as a call uses it.
#[derive(Debug, Clone)]
pub struct Version {
    /// Identifier.
    pub id: Uuid,
    /// Its name for programs.
    pub slug: String,
    /// Counted from 1.
    pub version: i64,
    /// Its texts, with all that they include.
    pub texts: Texts,
    /// The model to ask unless another is named.
    pub preferred_model_id: Option<Uuid>,
    /// How freely it is answered.
    pub temperature: f64,
    /// The most tokens of an answer.
    pub max_tokens: u32,
    /// The share of probability that tokens are drawn from.
    pub top_p: f64,
    weight: u32,
}

/// A version as it is stored.
#[derive(Deserialize)]
struct Stored {
    id: Uuid,
    organization_id: Option<Uuid>,
    slug: String,
    version: i64,
    system_prompt: String,
    user_prompt_template: Option<String>,
    preferred_model_id: Option<Uuid>,
    temperature: f64,
    max_tokens: u32,
    top_p: f64,
    weight: u32,
}

const COLUMNS: &str =
    "p.id, p.organization_id, p.slug, p.version, p.system_prompt, p.user_prompt_template,
    p.preferred_model_id, p.temperature, p.max_tokens, p.top_p, p.weight";

/// The versions of a prompt that serve an organization's calls, and when they were read.
type Known = HashMap<(Option<Uuid>, String), (Arc<[Version]>, i64)>;

static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

/// The version of the prompt `slug` that serves `caller`: always the same one while the weights are. An
/// organization's own prompt stands before the platform's of the same name.
///
/// # Errors
/// 404 when no version is active.
pub async fn for_caller(
    database: &Database,
    organization: Option<Uuid>,
    slug: &str,
    caller: &str,
) -> Result<Version> {
    let versions = all(database, organization, slug).await?;
    let names: Vec<String> = versions.iter().map(|one| one.id.to_string()).collect();
    let arms: Vec<(&str, u32)> = names
        .iter()
        .zip(versions.iter())
        .map(|(name, version)| (name.as_str(), version.weight))
        .collect();
    // Where nobody has a weight the newest serves all.
    let place = split::arm(slug, caller, &arms).or((!arms.is_empty()).then_some(0));
    place
        .map(|place| versions[place].clone())
        .ok_or_else(|| Code::PromptNotFound.into())
}

async fn all(
    database: &Database,
    organization: Option<Uuid>,
    slug: &str,
) -> Result<Arc<[Version]>> {
    let name = (organization, slug.to_owned());
    let now = clock::now_ms();
    let remembered = with_known(|known| known.get(&name).cloned());
    if let Some((versions, _)) = remembered.filter(|(_, read_at)| now - read_at < REMEMBERED_MS) {
        return Ok(versions);
    }
    let mut tx = database.begin(
        organization.map_or(Scope::System, |organization| Scope::Tenant {
            organization,
            owner: None,
        }),
        Actor::system("prompts"),
    );
    let stored: Vec<Stored> = tx
        .rows(
            sql(format!(
                "SELECT {COLUMNS} FROM prompts_master p
                 WHERE p.slug = $1 AND p.is_active AND p.deleted_at IS NULL
                   AND p.organization_id IS NOT DISTINCT FROM (
                     SELECT o.organization_id FROM prompts_master o
                     WHERE o.slug = $1 AND o.is_active AND o.deleted_at IS NULL
                       AND (o.organization_id = $2::uuid OR o.organization_id IS NULL)
                     ORDER BY o.organization_id NULLS LAST LIMIT 1)
                 ORDER BY p.version DESC LIMIT 50"
            ))
            .bind(slug)
            .bind(organization),
        )
        .await?;
    let mut versions = Vec::with_capacity(stored.len());
    for one in stored {
        versions.push(whole(&mut tx, organization, one).await?);
    }
    tx.commit().await?;
    let versions: Arc<[Version]> = versions.into();
    with_known(|known| {
        if known.len() >= MOST_REMEMBERED {
            known.clear();
        }
        known.insert(name, (versions.clone(), now));
    });
    Ok(versions)
}

fn with_known<T>(work: impl FnOnce(&mut Known) -> T) -> T {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    work(known.get_or_insert_with(Known::new))
}

/// Forgets what this isolate remembers of a prompt: it changed.
pub fn forget(slug: &str) {
    with_known(|known| known.retain(|(_, known), _| known != slug));
}

/// One version, active or not, that the transaction may use.
///
/// # Errors
/// 404.
pub async fn by_id(tx: &mut Tx, id: Uuid) -> Result<Version> {
    let organization = tx.scope().organization();
    let query = super::queries::usable(tx).id(id).read(COLUMNS);
    let stored: Stored = tx.one(query, Code::PromptNotFound).await?;
    // Whoever sees all prompts uses each as its own organization does.
    let home = organization.or(stored.organization_id);
    whole(tx, home, stored).await
}

/// The version that an organization's task was handed in with, deleted or not by now.
///
/// # Errors
/// 404.
pub async fn handed_in(tx: &mut Tx, organization: Uuid, id: Uuid) -> Result<Version> {
    let query = sql(format!(
        "SELECT {COLUMNS} FROM prompts_master p
         WHERE p.id = $1::uuid AND (p.organization_id = $2::uuid OR p.organization_id IS NULL)"
    ));
    let query = query.bind(id).bind(organization);
    let stored: Stored = tx.one(query, Code::PromptNotFound).await?;
    whole(tx, Some(organization), stored).await
}

/// A version of `organization`'s calls with its texts read.
async fn whole(tx: &mut Tx, organization: Option<Uuid>, stored: Stored) -> Result<Version> {
    let texts = wording::read(
        tx,
        organization,
        &stored.slug,
        &stored.system_prompt,
        stored.user_prompt_template.as_deref(),
    )
    .await?;
    Ok(Version {
        id: stored.id,
        slug: stored.slug,
        version: stored.version,
        texts,
        preferred_model_id: stored.preferred_model_id,
        temperature: stored.temperature,
        max_tokens: stored.max_tokens,
        top_p: stored.top_p,
        weight: stored.weight,
    })
}
