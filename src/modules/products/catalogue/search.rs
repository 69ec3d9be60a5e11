//! `GET /api/products/search`

use super::filters::Filters;
use super::found::{self, Asked};
use super::model::{Match, SearchResult};
use crate::error::{Error, Result};
use crate::http::params::{Browser, Ranked};
use crate::http::reply::{Data, Shared};
use crate::language::Language;
use celaest_domain::market::search::words;
use schemars::JsonSchema;
use serde::Deserialize;

/// The longest text to look for, in characters.
const MAX_TEXT: usize = 200;

/// A language whose word forms are known.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SearchLanguage")]
pub enum Lang {
    /// Spanish.
    Es,
    /// English.
    En,
}

/// What is looked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Search")]
pub struct Wanted {
    /// Words, up to eight of them; the last may be a beginning.
    pub q: String,
    /// Whose word forms are looked for. Default the language of the answer.
    pub lang: Option<Lang>,
}

/// Finds products by words in their texts: in any form, by their beginnings, and where nothing has them by
/// words that look like them. The best match comes first, among equals the most popular.
pub async fn search(
    Browser(call): Browser,
    Ranked(f, page): Ranked<Filters<Wanted>>,
) -> Result<Shared<Data<SearchResult>>> {
    let text = f.more.q.as_str();
    let wanted = words(text);
    if wanted.is_empty() || text.chars().count() > MAX_TEXT {
        return Err(Error::field(
            "q",
            "must be 1 to 200 characters with a word in them",
        ));
    }
    let language = match f.more.lang {
        Some(Lang::Es) => Language::Es,
        Some(Lang::En) => Language::En,
        None => call.language,
    };
    let asked = Asked {
        words: &wanted,
        language,
        page: &page,
    };
    let mut tx = call.begin_open();
    let found = found::by_words(&mut tx, f.rows(), &asked).await?;
    let (found, matched) = match found.is_empty() {
        false => (found, Match::Words),
        true => {
            let similar = found::by_likeness(tx, f.rows(), &asked).await?;
            let matched = if similar.is_empty() {
                Match::None
            } else {
                Match::Similar
            };
            (similar, matched)
        }
    };
    Ok(Shared(Data::of(&found.shown(&asked, matched))))
}
