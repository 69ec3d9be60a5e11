//! What a version's texts say: the templates they are with all that they include, and whether the declared
//! variables are theirs. `{{> slug}}` stands for the system prompt of another prompt's active version.

use super::model::PromptChanges;
use super::queries::Facts;
use crate::db::{Tx, sql};
use crate::error::{Error, Result};
use crate::http::types::Patch;
use celaest_domain::ai::template::{self, Flaw, MAX_DEPTH, Template};
use serde::Deserialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The texts of a version, with everything they include in them.
#[derive(Debug, Clone)]
pub struct Texts {
    /// What the model is told first.
    pub system: Template,
    /// What it is asked; `None`: the input as it comes.
    pub user: Option<Template>,
}

impl Texts {
    /// Both.
    pub fn all(&self) -> Vec<&Template> {
        [&self.system].into_iter().chain(&self.user).collect()
    }
}

/// A text that others include.
#[derive(Deserialize)]
struct Included {
    slug: String,
    system_prompt: String,
}

/// Reads the texts of a version of `owner`'s prompt `slug`, and what they include.
///
/// # Errors
/// 422 naming the text that is no template, includes itself, or includes what is not there.
pub async fn read(
    tx: &mut Tx,
    owner: Option<Uuid>,
    slug: &str,
    system_prompt: &str,
    user_prompt_template: Option<&str>,
) -> Result<Texts> {
    let flawed = |field: &'static str| move |flaw: Flaw| Error::field(field, &flaw.to_string());
    let (first, second) = (flawed("system_prompt"), flawed("user_prompt_template"));
    let system = Template::parse(system_prompt).map_err(first)?;
    let user = user_prompt_template.map(Template::parse);
    let user = user.transpose().map_err(second)?;
    let mut known: BTreeMap<String, Template> = BTreeMap::new();
    let mut wanted: BTreeSet<String> = [&system]
        .into_iter()
        .chain(&user)
        .flat_map(|text| text.includes())
        .map(str::to_owned)
        .collect();
    // What includes itself is found by `expand`, as the text that it would become.
    known.insert(slug.to_owned(), system.clone());
    for _ in 0..MAX_DEPTH {
        wanted.retain(|slug| !known.contains_key(slug));
        if wanted.is_empty() {
            break;
        }
        let found: Vec<Included> = tx
            .rows(
                // The organization's own stand before the platform's.
                sql("SELECT DISTINCT ON (p.slug) p.slug, p.system_prompt FROM prompts_master p
                     WHERE p.slug IN (SELECT jsonb_array_elements_text($1::jsonb)) AND p.is_active AND p.deleted_at IS NULL
                       AND (p.organization_id = $2::uuid OR p.organization_id IS NULL)
                     ORDER BY p.slug, p.organization_id NULLS LAST, p.weight DESC, p.version DESC")
                .bind(json!(wanted))
                .bind(owner),
            )
            .await?;
        wanted.clear();
        for one in found {
            // It was a template when it was stored.
            let text = Template::parse(&one.system_prompt).map_err(Error::internal)?;
            wanted.extend(text.includes().into_iter().map(str::to_owned));
            known.insert(one.slug, text);
        }
    }
    let known = &known;
    let find = |slug: &str| known.get(slug);
    let expand = |text| template::expand(slug, text, &find);
    Ok(Texts {
        system: expand(&system).map_err(first)?,
        user: user.as_ref().map(expand).transpose().map_err(second)?,
    })
}

/// The variables of these texts: exactly those that are declared, if any are.
///
/// # Errors
/// 422 naming those that are declared and not used, or used and not declared.
pub fn variables(texts: &Texts, declared: Option<&[String]>) -> Result<Vec<String>> {
    let all = texts.all();
    if let Some(declared) = declared {
        let names = declared.iter().map(String::as_str);
        template::check_declared(&all, names)
            .map_err(|flaw| Error::field("variables", &flaw.to_string()))?;
    }
    let names: BTreeSet<&str> = all.iter().flat_map(|text| text.variables()).collect();
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// The variables of a version once it is changed; `None` when its texts stay as they are.
///
/// # Errors
/// As [`read`] and [`variables`].
pub async fn after(
    tx: &mut Tx,
    before: &Facts,
    wanted: &PromptChanges,
) -> Result<Option<Vec<String>>> {
    if !is_reworded(wanted) {
        return Ok(None);
    }
    let system = wanted
        .system_prompt
        .value()
        .unwrap_or(&before.system_prompt);
    let user = match &wanted.user_prompt_template {
        Patch::Absent => before.user_prompt_template.as_deref(),
        Patch::Null => None,
        Patch::Value(text) => Some(text.as_str()),
    };
    let texts = read(tx, before.organization_id, &before.slug, system, user).await?;
    let declared = wanted.variables.value().map(Vec::as_slice);
    variables(&texts, declared).map(Some)
}

fn is_reworded(wanted: &PromptChanges) -> bool {
    wanted.system_prompt.is_present()
        || wanted.user_prompt_template.is_present()
        || wanted.variables.is_present()
}

/// Whether the model would be told something else.
pub fn is_other(wanted: &PromptChanges) -> bool {
    is_reworded(wanted)
        || wanted.preferred_model_id.is_present()
        || wanted.temperature.is_present()
        || wanted.max_tokens.is_present()
        || wanted.top_p.is_present()
}
