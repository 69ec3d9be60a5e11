//! The one statement that answers a report.
//!
//! It cuts the period (and the one it is compared with) into buckets, lets the report find its facts in each, and works
//! out every measure three times from the same expression: by bucket, over the whole, and by kinds of things.

use super::{Form, Group, Measure, Report, Whose};
use crate::db::{Query, sql};
use crate::error::Error;
use crate::modules::analytics::question::{self, Asked};
use crate::modules::analytics::reports::licenses;
use celaest_domain::settings::Key;

/// Things of a group that are shown, and that a file has.
const SHOWN: u32 = 100;
const FILED: u32 = 10_000;
/// Lines of a report that is split.
const LINES: u32 = 10;

/// The period, what it is compared with, and their buckets. `$1` from, `$2` to, `$3` granularity, `$4` zone, `$5` compare,
/// `$6` organization, `$7` person, `$8` currency, `$9` product, `$10` plan, `$11` provider.
const BUCKETS: &str = "asked AS MATERIALIZED (
  SELECT f.from_at, t.to_at FROM (
    SELECT CASE WHEN $2 IS NULL THEN (date_trunc('day', now() AT TIME ZONE $4) + interval '1 day') AT TIME ZONE $4
      WHEN length($2) = 10 THEN $2::timestamp AT TIME ZONE $4 ELSE $2::timestamptz END AS to_at) AS t, LATERAL (
    SELECT CASE WHEN $1 IS NULL THEN (date_trunc('day', (t.to_at - interval '1 second') AT TIME ZONE $4) - interval '29 days') AT TIME ZONE $4
      WHEN length($1) = 10 THEN $1::timestamp AT TIME ZONE $4 ELSE $1::timestamptz END AS from_at) AS f
  WHERE is_zone_as_written($4)
), spans AS MATERIALIZED (
  SELECT 0 AS which, from_at, to_at FROM asked WHERE from_at < to_at
  UNION ALL
  SELECT 1, (l.from_at - s.step) AT TIME ZONE $4, (l.to_at - s.step) AT TIME ZONE $4 FROM asked a, LATERAL (
    SELECT a.from_at AT TIME ZONE $4 AS from_at, a.to_at AT TIME ZONE $4 AS to_at) AS l, LATERAL (
    SELECT CASE WHEN $5 = 'year' THEN interval '1 year'
      WHEN l.from_at = date_trunc('month', l.from_at) AND l.to_at = date_trunc('month', l.to_at) THEN make_interval(months =>
        ((extract(year FROM l.to_at) - extract(year FROM l.from_at)) * 12
          + extract(month FROM l.to_at) - extract(month FROM l.from_at))::integer)
      ELSE l.to_at - l.from_at END AS step) AS s
  WHERE $5 IS NOT NULL AND a.from_at < a.to_at
), cuts AS (
  SELECT DISTINCT s.which, s.to_at, greatest(c.at, s.from_at) AS from_at FROM spans s, LATERAL (
    SELECT date_trunc('hour', q, $4) AS at FROM generate_series(s.from_at, s.to_at - interval '1 second', interval '15 minutes') AS q
    WHERE $3 = 'hour'
    UNION ALL
    SELECT q AT TIME ZONE $4 FROM generate_series(date_trunc($3, s.from_at AT TIME ZONE $4), s.to_at AT TIME ZONE $4, ('1 ' || $3)::interval) AS q
    WHERE $3 <> 'hour') AS c
  WHERE c.at < s.to_at
), buckets AS MATERIALIZED (
  SELECT which, from_at, lead(from_at, 1, to_at) OVER of_span AS to_at, row_number() OVER of_span AS place
  FROM cuts WINDOW of_span AS (PARTITION BY which ORDER BY from_at)
), edges AS MATERIALIZED (
  SELECT which, array_agg(from_at ORDER BY place) AS cuts, min(from_at) AS from_at, max(to_at) AS to_at
  FROM buckets GROUP BY which
)";

/// Settings that a report takes at their default where they are not set, by what stands for it.
const DEFAULTS: [(&str, Key); 3] = [
    ("{manual_minutes}", Key::AnalyticsManualMinutesPerTask),
    ("{hourly_rate}", Key::AnalyticsHourlyRateUsd),
    (
        "{infrastructure}",
        Key::AnalyticsInfrastructureCostUsdPerMonth,
    ),
];

impl Report {
    /// The statement that answers `asked`, a JSON document; it has none for a period that ends before it begins.
    pub fn statement(&self, asked: &Asked, whose: Whose, form: Form) -> Query {
        let question = &asked.question;
        let text = self.text(asked, whose, form);
        let edge =
            |edge: Option<celaest_domain::analytics::period::Edge>| edge.map(|edge| edge.text());
        sql(text)
            .bind(edge(asked.period.from))
            .bind(edge(asked.period.to))
            .bind(asked.period.granularity.as_str())
            .bind(&asked.timezone)
            .bind(question.compare.as_deref())
            .bind(whose.organization)
            .bind(whose.person)
            .bind(question.currency.as_deref())
            .bind(question.product_id)
            .bind(question.plan_id)
            .bind(question.provider.as_deref())
            .on(UNKNOWN_ZONE, question::unknown_zone())
            .on(NO_QUARTERS, question::no_quarters())
            .on(
                TOO_SLOW,
                Error {
                    retry_after: Some(RETRY_SECONDS),
                    ..Error::unavailable("too much is not added up yet")
                },
            )
    }

    /// Its measures for whoever asks.
    pub fn shown<'a>(
        &'a self,
        metric: Option<&'a str>,
        is_own: bool,
    ) -> impl Iterator<Item = &'static Measure> + 'a {
        self.measures.iter().copied().filter(move |measure| {
            !(is_own && measure.is_shared) && metric.is_none_or(|metric| metric == measure.name)
        })
    }

    fn text(&self, asked: &Asked, whose: Whose, form: Form) -> String {
        let metric = asked.question.metric.as_deref();
        let measures: Vec<_> = self.shown(metric, whose.person.is_some()).collect();
        let limit = match form {
            Form::Answer => SHOWN,
            _ => FILED,
        };
        let values = list(&measures, |measure| match measure.is_timeless {
            true => "NULL::bigint",
            false => measure.sql,
        });
        let mut text = format!(
            "WITH {BUCKETS}, {},
             cells AS MATERIALIZED (SELECT b.which, b.place, b.from_at{values}
               FROM buckets b LEFT JOIN facts f ON f.which = b.which AND f.place = b.place GROUP BY b.which, b.place, b.from_at),
             totals AS MATERIALIZED (SELECT s.which, s.from_at, s.to_at{values}
               FROM spans s LEFT JOIN facts f ON f.which = s.which GROUP BY s.which, s.from_at, s.to_at)",
            self.facts
        );
        // Each group with the measures it has, and where it is.
        let mut groups = Vec::new();
        let question = &asked.question;
        let able = |group: &&Group| {
            (group.by_person || whose.person.is_none())
                && (group.by_product
                    || (question.product_id.is_none() && question.plan_id.is_none()))
        };
        for group in self.groups.iter().filter(able) {
            let own: Vec<_> = measures
                .iter()
                .copied()
                .filter(|measure| group.measures.contains(&measure.name))
                .collect();
            let first = group.measures.iter().find_map(|name| {
                let found = own.iter().find(|measure| measure.name == *name);
                found.map(|measure| measure.sql)
            });
            let Some(first) = first else { continue };
            let values = list(&measures, |measure| {
                match group.measures.contains(&measure.name) {
                    true => measure.sql,
                    false => "NULL::numeric",
                }
            });
            let (key, from, label, index) = (group.key, group.from, group.label, groups.len());
            text.push_str(&format!(
                ", g{index} AS MATERIALIZED (SELECT k.*, ({label})::text AS label FROM (
                   SELECT {key}::text AS key, row_number() OVER (ORDER BY {first} DESC NULLS LAST, {key}) AS place,
                     count(*) OVER () AS of{values}
                   FROM {from} GROUP BY {key}) AS k WHERE k.place <= {limit})"
            ));
            // What is of no time cannot be compared.
            let before = from.replace(ASKED, COMPARED);
            let is_compared = question.compare.is_some() && before != from;
            if is_compared {
                text.push_str(&format!(
                    ", h{index} AS MATERIALIZED (SELECT {key}::text AS key{values} FROM {before} GROUP BY {key})"
                ));
            }
            groups.push((group, own, first, is_compared));
        }
        let whole = match form {
            Form::Answer => self.answer(&measures, &groups),
            _ => table(&measures, &groups, form),
        };
        text.push_str(&format!(
            " SELECT CASE WHEN EXISTS (SELECT FROM spans) THEN ({whole}) END::text"
        ));
        let (mine, seller) = match whose.organization {
            Some(_) => ("organization_id = $6::uuid", "seller_id = $6::uuid"),
            None => ("organization_id IS NOT NULL", "seller_id IS NOT NULL"),
        };
        let (validations, collisions) = match whose.person {
            Some(_) => (licenses::OWN_VALIDATIONS, licenses::OWN_COLLISIONS),
            None => (licenses::VALIDATIONS, licenses::COLLISIONS),
        };
        let text = sourced(&text, "{validations ", validations);
        let text = sourced(&text, "{collisions ", collisions)
            .replace("{mine}", mine)
            .replace("{seller}", seller);
        DEFAULTS.iter().fold(text, |text, (place, key)| {
            text.replace(place, &key.default_value().to_string())
        })
    }

    /// [`Answer`](crate::modules::analytics::model::Answer) as an expression.
    fn answer(&self, measures: &[&'static Measure], groups: &[Grouped]) -> String {
        let measures = measures.iter().copied();
        let measures: Vec<_> = measures.filter(|measure| !measure.is_timeless).collect();
        let measures = measures.as_slice();
        let (name, kinds) = (self.name, self.kinds);
        let (currency, currencies) = match self.currencies {
            Some(cte) => (
                "$8",
                format!(
                    "(SELECT coalesce(json_agg(DISTINCT c.currency), '[]') FROM {cte} c WHERE c.which = 0)"
                ),
            ),
            None => ("NULL", "'[]'::json".to_owned()),
        };
        let (totals, reasons) = (object(measures, "t"), reasons_of(measures, "t"));
        let lines = lines(measures, "t.which");
        let series = match (groups.first(), self.split) {
            (Some(group), Some(from)) => split(group, from),
            _ => lines.clone(),
        };
        let groups: Vec<_> = groups
            .iter()
            .enumerate()
            .map(|(index, (group, own, _, is_compared))| {
                let (values, reasons) = (object(own, "k"), reasons_of(own, "k"));
                let by = group.by;
                let compare = match is_compared {
                    true => format!(
                        "(SELECT {} FROM h{index} c WHERE c.key IS NOT DISTINCT FROM k.key)",
                        object(own, "c")
                    ),
                    false => "NULL".to_owned(),
                };
                format!(
                    "json_build_object('by', '{by}', 'rows', (SELECT coalesce(json_agg(json_build_object('key', k.key,
                       'label', coalesce(k.label, k.key), 'values', {values}, 'reasons', {reasons}, 'compare', {compare}) ORDER BY k.place), '[]') FROM g{index} k),
                     'more', coalesce((SELECT max(k.of) - count(*) FROM g{index} k), 0))"
                )
            })
            .collect();
        let groups = groups.join(", ");
        format!(
            "SELECT json_build_object('report', '{name}', 'period', json_build_object('from', t.from_at, 'to', t.to_at,
               'granularity', $3, 'timezone', $4, 'compare', $5,
               'closed', t.to_at <= now() AND NOT EXISTS (SELECT FROM analytics_marks m WHERE m.{{mine}}
                 AND m.kind = ANY (string_to_array('{kinds}', ',')) AND m.quarter >= t.from_at AND m.quarter < t.to_at)),
             'filters', json_build_object('organization_id', $6::uuid, 'user_id', $7::uuid, 'product_id', $9::uuid,
               'plan_id', $10::uuid, 'provider', $11),
             'as_of', now(), 'currency', {currency}, 'currencies', {currencies},
             'totals', {totals}, 'reasons', {reasons},
             'compare', (SELECT json_build_object('from', t.from_at, 'to', t.to_at, 'totals', {totals}, 'reasons', {reasons},
               'series', {lines}) FROM totals t WHERE t.which = 1),
             'series', {series}, 'groups', json_build_array({groups})) FROM totals t WHERE t.which = 0"
        )
    }
}

/// There are no quarters of an hour that far back (`analytics_has_quarters()`).
const NO_QUARTERS: &str = "CA001";
/// PostgreSQL knows no such zone.
const UNKNOWN_ZONE: &str = "22023";
/// PostgreSQL gave up, as it does while a long time waits to be added up: the job that does so runs each minute.
const TOO_SLOW: &str = "57014";
const RETRY_SECONDS: u32 = 60;

/// What says in a group's `from` that facts are of the period, and that they are of the one it is compared with.
const ASKED: &str = "which = 0";
const COMPARED: &str = "which = 1";

/// A group with those of its measures that are shown, what it is ordered by, and whether it is compared.
type Grouped<'a> = (&'a Group, Vec<&'static Measure>, &'static str, bool);

/// `, … AS "revenue", … AS "orders"`.
fn list(measures: &[&Measure], value: impl Fn(&Measure) -> &'static str) -> String {
    let columns = measures.iter();
    columns
        .map(|measure| format!(", {} AS \"{}\"", value(measure), measure.name))
        .collect()
}

/// Puts a source of facts wherever the text names it with a breakdown and what has `from_at` and `to_at`:
/// `{validations total b}`.
fn sourced(text: &str, opening: &str, source: &str) -> String {
    let mut pieces = text.split(opening);
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (arguments, rest) = piece.split_once('}').unwrap_or((piece, ""));
        let (breakdown, range) = arguments.split_once(' ').unwrap_or((arguments, "b"));
        let found = source.replace("{breakdown}", breakdown);
        whole.push_str(&found.replace("{range}", range));
        whole.push_str(rest);
    }
    whole
}

/// The measures of a row as an object.
fn object(measures: &[&Measure], row: &str) -> String {
    let fields: Vec<_> = measures
        .iter()
        .map(|measure| format!("'{0}', {row}.\"{0}\"", measure.name))
        .collect();
    format!("json_build_object({})", fields.join(", "))
}

/// Why measures of a row are not there.
fn reasons_of(measures: &[&Measure], row: &str) -> String {
    let fields: Vec<_> = measures
        .iter()
        .filter_map(|measure| {
            let missing = measure.missing?;
            let name = measure.name;
            Some(format!(
                "'{name}', CASE WHEN {row}.\"{name}\" IS NULL THEN '{missing}' END"
            ))
        })
        .collect();
    format!("json_strip_nulls(json_build_object({}))", fields.join(", "))
}

/// The measures of a span as lines.
fn lines(measures: &[&Measure], which: &str) -> String {
    let lines: Vec<_> = measures
        .iter()
        .map(|measure| {
            let (name, unit) = (measure.name, measure.unit.text());
            format!(
                "json_build_object('name', '{name}', 'key', NULL, 'unit', {unit}, 'points', (SELECT json_agg(
                   json_build_object('at', c.from_at, 'value', c.\"{name}\") ORDER BY c.place) FROM cells c WHERE c.which = {which}))"
            )
        })
        .collect();
    format!("json_build_array({})", lines.join(", "))
}

/// The largest things of a group as lines of what they are ordered by.
fn split((group, own, first, _): &Grouped, from: &str) -> String {
    let unit = own.iter().find(|measure| measure.sql == *first);
    let unit = unit.map_or("'count'", |measure| measure.unit.text());
    let key = group.key;
    format!(
        "(WITH parts AS MATERIALIZED (SELECT b.place, {key}::text AS key, {first} AS value FROM {from} GROUP BY b.place, {key})
         SELECT coalesce(json_agg(json_build_object('name', coalesce(k.label, k.key, 'none'), 'key', k.key, 'unit', {unit}, 'points', (
           SELECT json_agg(json_build_object('at', b.from_at, 'value', coalesce(c.value, 0)) ORDER BY b.place)
           FROM buckets b LEFT JOIN parts c ON c.place = b.place AND c.key IS NOT DISTINCT FROM k.key
           WHERE b.which = 0)) ORDER BY k.place), '[]') FROM g0 k WHERE k.place <= {LINES})"
    )
}

/// What the columns of a file are called.
pub fn header<'a>(measures: impl Iterator<Item = &'a Measure>) -> Vec<&'a str> {
    let measures = measures.map(|measure| measure.name);
    ["section", "key", "label"]
        .into_iter()
        .chain(measures)
        .collect()
}

/// The rows of a file: by period, the whole, and by kinds of things.
fn table(measures: &[&Measure], groups: &[Grouped], form: Form) -> String {
    let row = |row: &str, section: &str, key: &str, label: &str| {
        let fields: String = measures
            .iter()
            .map(|measure| match form {
                Form::Texts => format!(", {row}.\"{}\"::text", measure.name),
                _ => format!(", '{0}', {row}.\"{0}\"", measure.name),
            })
            .collect();
        match form {
            Form::Texts => format!("json_build_array('{section}', {key}, {label}{fields})"),
            _ => format!(
                "json_build_object('section', '{section}', 'key', {key}, 'label', {label}{fields})"
            ),
        }
    };
    let mut rows = vec![
        format!(
            "SELECT 0 AS part, c.place, {} AS line FROM cells c WHERE c.which = 0",
            row("c", "period", "to_json(c.from_at) #>> '{}'", "NULL")
        ),
        format!(
            "SELECT 1, 0, {} FROM totals t WHERE t.which = 0",
            row("t", "total", "NULL", "NULL")
        ),
        // The same of the other period, where one was asked for.
        format!(
            "SELECT 2, c.place, {} FROM cells c WHERE c.which = 1",
            row("c", "compare_period", "to_json(c.from_at) #>> '{}'", "NULL")
        ),
        format!(
            "SELECT 3, 0, {} FROM totals t WHERE t.which = 1",
            row("t", "compare_total", "NULL", "NULL")
        ),
    ];
    for (index, (group, _, _, is_compared)) in groups.iter().enumerate() {
        let (part, by) = (2 * index + 4, group.by);
        rows.push(format!(
            "SELECT {part}, k.place, {} FROM g{index} k",
            row("k", by, "k.key", "k.label")
        ));
        if *is_compared {
            let compared = row("c", &format!("compare_{by}"), "k.key", "k.label");
            rows.push(format!(
                "SELECT {}, k.place, {compared} FROM g{index} k JOIN h{index} c ON c.key IS NOT DISTINCT FROM k.key",
                part + 1
            ));
        }
    }
    format!(
        "SELECT json_agg(r.line ORDER BY r.part, r.place) FROM ({}) AS r",
        rows.join(" UNION ALL ")
    )
}
