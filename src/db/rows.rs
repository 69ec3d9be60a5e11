//! Rows of a table: which ones, said once, and then read, paged through, locked, changed or deleted.

use super::page::{Cursor, MOST_COUNTED, Page};
use super::query::{Bind, Query, sql};
use crate::error::{Code, Result};

/// A piece of SQL whose `{}` stand for its value.
#[derive(Debug, Clone)]
struct Piece {
    text: String,
    value: Option<Option<String>>,
}

impl Piece {
    /// The piece as it stands in `query`, which takes its value. An empty object or array of SQL, `'{}'`,
    /// stays what it is.
    fn put(self, query: &mut Query) -> String {
        match self.value {
            None => self.text,
            Some(value) => {
                let place = query.push(value);
                self.text.replace("'{}'", "'{ }'").replace("{}", &place)
            }
        }
    }
}

/// Which rows of a table. The first conditions are the tenant's: each module has one function that
/// begins its `Rows`, and no other way to its table.
#[derive(Debug, Clone)]
pub struct Rows {
    table: &'static str,
    alias: &'static str,
    identity: &'static str,
    conditions: Vec<Piece>,
    joins: &'static str,
    parent: Option<Box<Parent>>,
    key: Option<Key>,
    search: Vec<Search>,
}

/// A condition that no index serves, with the names of its values.
#[derive(Debug, Clone)]
pub struct Search {
    /// The condition.
    pub condition: String,
    /// What stands for its names.
    pub values: Vec<(&'static str, String)>,
}

impl Search {
    fn put(self, query: &mut Query) -> String {
        let mut condition = self.condition;
        for (name, value) in self.values {
            condition = condition.replace(name, &query.push(Some(value)));
        }
        condition
    }
}

/// Rows that a search looks at in one read: more are left to the next page.
const LOOKED_AT: u32 = 10_000;

/// The rows of a page end here, in bytes, or after the first.
const PAGE_BYTES: u32 = 1_000_000;

/// What the rows belong to.
#[derive(Debug, Clone)]
struct Parent {
    rows: Rows,
    column: &'static str,
    missing: Code,
}

/// The columns that order a table that grows without end, with their types.
pub type Key = &'static [(&'static str, &'static str)];

/// Assignments of an UPDATE.
#[derive(Debug, Clone, Default)]
pub struct Set {
    pieces: Vec<Piece>,
    along: Vec<Piece>,
}

impl Set {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// An assignment without a value from outside: `suspended_at = now()`.
    pub fn fixed(mut self, assignment: &str) -> Self {
        self.pieces.push(Piece {
            text: assignment.into(),
            value: None,
        });
        self
    }

    /// `column = {}::type`, with a value; `None` is NULL.
    pub fn to(mut self, assignment: &str, value: impl Bind) -> Self {
        self.pieces.push(Piece {
            text: assignment.into(),
            value: Some(value.text()),
        });
        self
    }

    /// [`Set::to`] for what goes along with a change, as who made it: rows for which everything else is
    /// set already are left alone, and not read.
    pub fn along(mut self, assignment: &str, value: impl Bind) -> Self {
        self.along.push(Piece {
            text: assignment.into(),
            value: Some(value.text()),
        });
        self
    }

    /// Inserts a row with these columns, and reads it; the other columns have their defaults.
    pub fn insert(self, table: &str, alias: &str, columns: &str) -> Query {
        let mut query = sql("");
        let (names, values): (Vec<_>, Vec<_>) = self
            .pieces
            .into_iter()
            .chain(self.along)
            .map(|one| one.put(&mut query))
            .filter_map(|text| {
                let (name, value) = text.split_once(" = ")?;
                Some((name.to_owned(), value.to_owned()))
            })
            .unzip();
        let (names, values) = (names.join(", "), values.join(", "));
        query.of(format!(
            "INSERT INTO {table} AS {alias} ({names}) VALUES ({values}) RETURNING {columns}"
        ))
    }

    /// [`Set::to`] where there is something to set.
    pub fn when(self, assignment: &str, value: Option<impl Bind>) -> Self {
        match value {
            Some(value) => self.to(assignment, value),
            None => self,
        }
    }
}

impl Rows {
    /// All rows of `table`, which conditions and columns call `alias`.
    pub fn of(table: &'static str, alias: &'static str) -> Self {
        Self {
            table,
            alias,
            identity: "id",
            conditions: Vec::new(),
            joins: "",
            parent: None,
            key: None,
            search: Vec::new(),
        }
    }

    /// A condition without a value from outside.
    pub fn only(mut self, condition: impl Into<String>) -> Self {
        self.conditions.push(Piece {
            text: condition.into(),
            value: None,
        });
        self
    }

    /// A condition whose `{}` stand for the value; without one there is no condition.
    pub fn when(mut self, condition: impl Into<String>, value: Option<impl Bind>) -> Self {
        if let Some(value) = value {
            self.conditions.push(Piece {
                text: condition.into(),
                value: Some(value.text()),
            });
        }
        self
    }

    /// The column that tells the rows apart, where that is not `id`.
    pub fn known_by(mut self, column: &'static str) -> Self {
        self.identity = column;
        self
    }

    /// The row with this id.
    pub fn id(self, id: uuid::Uuid) -> Self {
        let condition = format!("{}.{} = {{}}::uuid", self.alias, self.identity);
        self.when(condition, Some(id))
    }

    /// What is joined to the rows once they are chosen.
    pub fn joined(mut self, joins: &'static str) -> Self {
        self.joins = joins;
        self
    }

    /// Rows that belong to one of `parent`, by their `column`. Without a parent a page is `missing`.
    pub fn within(mut self, parent: Rows, column: &'static str, missing: Code) -> Self {
        self.parent = Some(Box::new(Parent {
            rows: parent,
            column,
            missing,
        }));
        self
    }

    /// What a page is without a parent.
    pub(super) fn missing(&self) -> Code {
        self.parent
            .as_ref()
            .map_or(Code::NotFound, |parent| parent.missing)
    }

    /// The table grows without end: pages follow `key`, and not all rows are counted.
    pub fn growing(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    /// A condition that no index serves: it is looked for in a bounded stretch of the rows at a time, by
    /// [`Rows::page`] and [`Rows::stretch`].
    pub fn searched(mut self, search: Option<Search>) -> Self {
        self.search.extend(search);
        self
    }

    /// [`Rows::searched`] for one value that `{}` stand for; without one there is no condition.
    pub fn sought(self, condition: &str, value: Option<impl Bind>) -> Self {
        let search = value.and_then(|value| value.text()).map(|value| Search {
            condition: condition.into(),
            values: vec![("{}", value)],
        });
        self.searched(search)
    }

    /// The next rows in an order, as two parts of a WITH: `looked` at, and `chosen` of them. Without a search
    /// as many are looked at as are wanted.
    pub fn stretch(mut self, order: &str, wanted: u32) -> Query {
        let mut query = sql("");
        let (table, alias) = (self.table, self.alias);
        let (limit, search) = match self.search(&mut query) {
            None => (wanted, "true".into()),
            Some(search) => (LOOKED_AT, search),
        };
        let conditions = self.conditions(&mut query);
        query.of(format!(
            "looked AS MATERIALIZED (
               SELECT {alias}.* FROM {table} {alias} WHERE {conditions} ORDER BY {order} LIMIT {limit}
             ), chosen AS (SELECT {alias}.* FROM looked {alias} WHERE {search})"
        ))
    }

    /// Reads the rows.
    pub fn read(self, columns: &str) -> Query {
        let mut query = sql("");
        let (table, alias, joins) = (self.table, self.alias, self.joins);
        let conditions = self.conditions(&mut query);
        query.of(format!(
            "SELECT {columns} FROM {table} {alias} {joins} WHERE {conditions}"
        ))
    }

    /// Reads the rows and holds them until the transaction ends. Others may still refer to them.
    pub fn lock(self, columns: &str) -> Query {
        let alias = self.alias;
        self.lock_as(alias, columns)
    }

    /// [`Rows::lock`] for something that is joined to the rows.
    pub fn lock_as(self, alias: &str, columns: &str) -> Query {
        let read = self.read(columns);
        read.and(&format!(" FOR NO KEY UPDATE OF {alias}"))
    }

    /// Changes the rows and reads what became of them; with nothing to set it only reads.
    pub fn set(self, set: Set, columns: &str) -> Query {
        if set.pieces.is_empty() {
            return self.read(columns);
        }
        let mut query = sql("");
        let (table, alias) = (self.table, self.alias);
        let mut conditions = self.conditions(&mut query);
        let mut put = |pieces: Vec<Piece>| -> Vec<String> {
            pieces.into_iter().map(|one| one.put(&mut query)).collect()
        };
        let (mut assignments, along) = (put(set.pieces), put(set.along));
        if !along.is_empty() {
            let differing: Vec<_> = assignments
                .iter()
                .filter_map(|one| one.split_once(" = "))
                .map(|(name, value)| format!("{alias}.{name} IS DISTINCT FROM {value}"))
                .collect();
            conditions = format!("{conditions} AND ({})", differing.join(" OR "));
            assignments.extend(along);
        }
        let assignments = assignments.join(", ");
        query.of(format!(
            "UPDATE {table} {alias} SET {assignments} WHERE {conditions} RETURNING {columns}"
        ))
    }

    /// Deletes the rows and reads what they were.
    pub fn delete(self, columns: &str) -> Query {
        let mut query = sql("");
        let (table, alias) = (self.table, self.alias);
        let conditions = self.conditions(&mut query);
        query.of(format!(
            "DELETE FROM {table} {alias} WHERE {conditions} RETURNING {columns}"
        ))
    }

    /// Counts the rows.
    pub fn count(self) -> Query {
        let mut query = sql("");
        let (table, alias) = (self.table, self.alias);
        let conditions = self.conditions(&mut query);
        query.of(format!(
            "SELECT to_json(count(*))::text FROM {table} {alias} WHERE {conditions}"
        ))
    }

    /// One page, as [`super::page::Found`]. The rows are chosen before anything is joined to them. `by` is
    /// what an ORDER BY says, with `{}` where the direction goes.
    ///
    /// # Errors
    /// 422 for a page that is too far away, 400 for a cursor that is none.
    pub fn page(mut self, columns: &str, by: &str, page: &Page) -> Result<Query> {
        let mut query = sql("");
        let (table, alias, joins, key) = (self.table, self.alias, self.joins, self.key);
        let parent = self.parent.clone();
        let with = match &parent {
            None => String::new(),
            Some(parent) => {
                let (table, alias, id) =
                    (parent.rows.table, parent.rows.alias, parent.rows.identity);
                let conditions = parent.rows.clone().conditions(&mut query);
                format!(
                    "parent AS (SELECT {alias}.{id} AS id FROM {table} {alias} WHERE {conditions}), "
                )
            }
        };
        let search = self.search(&mut query);
        let conditions = self.conditions(&mut query);
        let (beyond, next) = match key {
            None => (String::new(), "NULL".to_owned()),
            Some(key) => (
                page.beyond(key, alias, |value| query.push(value))?,
                Cursor::column(key, alias, page),
            ),
        };
        let order = page.direction().applied(by);
        let (limit, offset) = (page.per_page, page.offset(key.is_some())?);
        let capped = key.is_some() && search.is_none();
        // What is paged through, and how many there are.
        let (looked, from, total, partly, next) = match search {
            None => {
                let most = key.map_or_else(String::new, |_| format!("LIMIT {}", MOST_COUNTED + 1));
                (
                    String::new(),
                    format!("SELECT {alias}.* FROM {table} {alias} WHERE {conditions}{beyond}"),
                    format!("SELECT 1 FROM {table} {alias} WHERE {conditions} {most}"),
                    "false".to_owned(),
                    next,
                )
            }
            Some(search) => {
                let from = format!("SELECT {alias}.* FROM looked {alias} WHERE {search}");
                let end = key.map(|key| Cursor::end(key, alias, page, LOOKED_AT));
                (
                    format!(
                        "looked AS MATERIALIZED (
                           SELECT {alias}.* FROM {table} {alias} WHERE {conditions}{beyond}
                           ORDER BY {order} LIMIT {LOOKED_AT}
                         ), "
                    ),
                    from.clone(),
                    from,
                    format!("(SELECT count(*) FROM looked) = {LOOKED_AT}"),
                    format!("coalesce({next}, {})", end.as_deref().unwrap_or("NULL")),
                )
            }
        };
        let listed = format!(
            "json_build_object('total', (SELECT count(*) FROM ({total}) counted), 'capped', {capped}, 'partly', {partly},
               'rows', (SELECT coalesce(json_agg(line ORDER BY place), '[]') FROM kept),
               'cut', (SELECT count(*) FROM kept) < (SELECT count(*) FROM sized), 'next', {next})"
        );
        let listed = match parent {
            None => listed,
            Some(_) => format!("CASE WHEN EXISTS (SELECT 1 FROM parent) THEN {listed} END"),
        };
        Ok(query.of(format!(
            "WITH {with}{looked}chosen AS (
               {from} ORDER BY {order} LIMIT {limit} OFFSET {offset}
             ), shown AS (
               SELECT {columns} FROM chosen {alias} {joins} ORDER BY {order}
             ), sized AS (
               SELECT line, row_number() OVER () AS place,
                 sum(octet_length(line::text)) OVER (ROWS UNBOUNDED PRECEDING) AS bytes
               FROM (SELECT row_to_json(shown) AS line FROM shown) AS made
             ), kept AS (
               SELECT line, place FROM sized WHERE place = 1 OR bytes <= {PAGE_BYTES}
             ) SELECT {listed}::text"
        )))
    }

    fn search(&mut self, query: &mut Query) -> Option<String> {
        let all = std::mem::take(&mut self.search).into_iter();
        let all: Vec<_> = all.map(|one| one.put(query)).collect();
        (!all.is_empty()).then(|| all.join(" AND "))
    }

    fn conditions(self, query: &mut Query) -> String {
        let mut all: Vec<String> = self
            .conditions
            .into_iter()
            .map(|one| one.put(query))
            .collect();
        if let Some(parent) = self.parent {
            // One, whatever becomes of its conditions: so the planner looks for one.
            all.push(format!(
                "{} = (SELECT id FROM parent LIMIT 1)",
                parent.column
            ));
        }
        match all.is_empty() {
            true => "true".into(),
            false => all.join(" AND "),
        }
    }
}

#[cfg(test)]
mod tests;
