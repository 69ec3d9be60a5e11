//! How products are found: the statement of a search, and what is shown of what it finds.

use super::model::{CatalogueProduct, Facets, Highlight, Hit, Match, SearchResult};
use super::queries::COLUMNS;
use crate::db::{Page, Query, Rows, Tx, sql};
use crate::error::Result;
use crate::http::params;
use crate::language::Language;
use celaest_domain::market::search::highlighted;
use serde::Deserialize;

/// Products that a search looks at: of more that match, the most popular.
const LOOKED_AT: u32 = 1000;
/// How much a text must have in common with what was typed to be taken for it.
const ALIKE: &str = "0.45";

/// What is looked for.
pub struct Asked<'a> {
    /// The words.
    pub words: &'a [String],
    /// Whose forms of them.
    pub language: Language,
    /// Which page.
    pub page: &'a Page,
}

impl Asked<'_> {
    /// The configuration of PostgreSQL, and the column that was made with it.
    fn stems(&self) -> (&'static str, &'static str) {
        match self.language {
            Language::Es => ("pg_catalog.spanish", "search_es"),
            Language::En => ("pg_catalog.english", "search_en"),
        }
    }

    fn text(&self) -> String {
        self.words.join(" ")
    }
}

/// What a search found.
#[derive(Debug, Deserialize)]
pub struct Found {
    total: u32,
    rows: Vec<Line>,
    facets: Facets,
}

#[derive(Debug, Deserialize)]
struct Line {
    #[serde(flatten)]
    product: CatalogueProduct,
    text: Option<String>,
}

impl Found {
    /// Whether there is nothing, on no page.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// What the caller sees of it.
    pub fn shown(self, asked: &Asked<'_>, matched: Match) -> SearchResult {
        let hits = self.rows.into_iter().map(|line| {
            let mark = |text: Option<&str>| highlighted(text?, asked.words);
            let highlight = Highlight {
                name: mark(Some(&line.product.name)),
                short_description: mark(line.product.short_description.as_deref()),
                description: mark(line.text.as_deref()),
            };
            Hit {
                product: line.product,
                highlight,
            }
        });
        SearchResult {
            hits: hits.collect(),
            facets: self.facets,
            matched,
            language: asked.language.tag().to_owned(),
            page: asked.page.page,
            per_page: asked.page.per_page,
            total: self.total.min(LOOKED_AT),
            has_more: self.total > LOOKED_AT,
        }
    }
}

/// What has all words, in any form or as a beginning.
///
/// # Errors
/// When the database fails.
pub async fn by_words(tx: &mut Tx, rows: Rows, asked: &Asked<'_>) -> Result<Found> {
    let (stems, column) = asked.stems();
    // Of constants alone: it is made once, and the planner knows how many match.
    let wanted = format!("search_query('{stems}', string_to_array({{}}, ' '))");
    let rows = rows.when(format!("c.{column} @@ {wanted}"), Some(asked.text()));
    let query = rows.read(&format!("c.product_id, c.{column} AS words, c.popularity"));
    let search = Statement {
        matching: query
            .wrapped(|rows| format!("{rows} ORDER BY c.popularity DESC, c.product_id DESC")),
        wanted: &wanted,
        rank: "ts_rank_cd('{0.1,0.3,0.6,1.0}', k.words, (SELECT wanted FROM asked))",
    };
    tx.value(search.query(asked)).await
}

/// What has words that look like those.
///
/// # Errors
/// When the database fails.
pub async fn by_likeness(mut tx: Tx, rows: Rows, asked: &Asked<'_>) -> Result<Found> {
    let threshold =
        sql("SELECT set_config('pg_trgm.word_similarity_threshold', $1, true)").bind(ALIKE);
    tx.execute(threshold).await?;
    let rows = rows.when("c.words %> folded({})", Some(asked.text()));
    let search = Statement {
        matching: rows.read("c.product_id, c.words, c.popularity"),
        wanted: "folded({})",
        rank: "word_similarity((SELECT wanted FROM asked), k.words)",
    };
    tx.only_value(search.query(asked)).await
}

/// A search: what matches, what is wanted of it (`{}` stand for what was typed), and how good it is.
struct Statement<'a> {
    matching: Query,
    wanted: &'a str,
    rank: &'a str,
}

impl Statement<'_> {
    /// Of what matches the page, and what all of it has in common.
    fn query(self, asked: &Asked<'_>) -> Query {
        let matching = self.matching.bind(asked.text());
        let wanted = self
            .wanted
            .replace("{}", &format!("${}", matching.places()));
        found(matching, asked.page, &wanted, self.rank)
    }
}

fn found(matching: Query, page: &Page, wanted: &str, rank: &str) -> Query {
    let (limit, offset) = (page.per_page, params::offset(page.page, page.per_page));
    let most = LOOKED_AT + 1;
    let facet = |value: &str, from: &str| {
        format!(
            "(SELECT coalesce(json_agg(json_build_object('value', f.value, 'name', NULL, 'count', f.count)
                ORDER BY f.count DESC, f.value), '[]')
              FROM (SELECT {value} AS value, count(*) AS count FROM {from} GROUP BY 1
                    ORDER BY 2 DESC, 1 LIMIT 20) AS f)"
        )
    };
    let (kinds, paid, currencies, tags) = (
        facet("c.product_type::text", "chosen c"),
        facet("c.is_subscription::text", "chosen c"),
        facet("c.currency::text", "chosen c"),
        facet("t.tag", "chosen c, unnest(c.tags) AS t(tag)"),
    );
    matching.wrapped(|matching| {
        format!(
            "WITH asked AS (SELECT {wanted} AS wanted), candidates AS MATERIALIZED ({matching} LIMIT {most}),
             looked AS MATERIALIZED (SELECT * FROM candidates LIMIT {LOOKED_AT}),
             ranked AS (SELECT k.product_id, {rank} AS rank, k.popularity FROM looked k),
             chosen AS MATERIALIZED (
               SELECT c.product_id, c.category_id, c.product_type, c.is_subscription, c.currency, c.rating, c.tags
               FROM looked k JOIN catalogue_products c ON c.product_id = k.product_id
             ), page AS (
               SELECT * FROM ranked ORDER BY rank DESC, popularity DESC, product_id LIMIT {limit} OFFSET {offset}
             ), shown AS (
               SELECT {COLUMNS}, left(c.description, 5000) AS text, p.rank AS place, p.popularity AS then_by
               FROM page p JOIN catalogue_products c ON c.product_id = p.product_id
             )
             SELECT json_build_object(
               'total', (SELECT count(*) FROM candidates),
               'rows', (SELECT coalesce(json_agg(s ORDER BY s.place DESC, s.then_by DESC, s.id), '[]') FROM shown s),
               'facets', json_build_object(
                 'product_type', {kinds}, 'is_subscription', {paid}, 'currency', {currencies}, 'tag', {tags},
                 'category_id', (SELECT coalesce(json_agg(json_build_object('value', f.id, 'name', f.name, 'count', f.count)
                     ORDER BY f.count DESC, f.name), '[]')
                   FROM (SELECT g.id, g.name, count(*) AS count FROM chosen c
                         JOIN product_categories g ON g.id = c.category_id AND g.is_active
                         GROUP BY g.id ORDER BY 3 DESC, 2 LIMIT 20) AS f),
                 'min_rating', (SELECT coalesce(json_agg(json_build_object('value', n::text, 'name', NULL, 'count', f.count)
                     ORDER BY n DESC), '[]')
                   FROM generate_series(1, 4) AS n,
                     LATERAL (SELECT count(*) AS count FROM chosen c WHERE c.rating >= n) AS f WHERE f.count > 0)))::text"
        )
    })
}
