//! What a webhook object keeps. Everything the rules write in one step is
//! written together: storage is synchronous, and a step never waits.

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use worker::{Error, Result, SqlStorage, SqlStorageValue};

use super::wire::{Attempt, Endpoint, Reason};
use crate::call;

/// The small facts of an object.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Core {
    /// Known since the first call.
    pub endpoint: Option<Endpoint>,
    /// Failed attempts since the last success.
    pub consecutive_failures: u32,
    /// When those began, in Unix milliseconds, later by the time in which nothing was tried.
    pub failing_since: Option<i64>,
    /// Since when nothing is tried: it is paused, or nothing waits.
    #[serde(default)]
    pub quiet_since: Option<i64>,
    /// The object stopped sending; the row does not say so yet.
    #[serde(default)]
    pub disabled: Option<Disabled>,
    /// Events are being thrown away, step by step.
    #[serde(default)]
    pub dropping: bool,
    /// When the webhook was deleted.
    #[serde(default)]
    pub deleted_at: Option<i64>,
}

/// Why and when the object stopped sending.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disabled {
    /// Why.
    pub reason: Reason,
    /// In which generation of the webhook.
    pub generation: i64,
    /// When the queue was told last, in Unix milliseconds.
    pub told_at: i64,
}

/// An event and how far it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The event.
    pub event_id: Uuid,
    /// Its name.
    pub event_type: String,
    /// What is sent; empty once it has ended.
    pub body: String,
    /// Attempts of the running schedule.
    pub tried: usize,
    /// Attempts ever.
    pub attempts: u32,
    /// When it is tried next.
    pub due_at: i64,
    /// When it was delivered or given up.
    pub ended_at: Option<i64>,
}

/// An attempt that the queue has not taken yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What is to be told.
    pub attempt: Attempt,
    /// It made the object stop, in this generation.
    pub disabled: Option<(Reason, i64)>,
}

/// The storage of one object.
pub trait Store {
    /// Reads what an earlier instance knew.
    fn core(&self) -> Result<Core>;
    /// Replaces it.
    fn set_core(&self, core: &Core) -> Result<()>;
    /// One event.
    fn delivery(&self, event_id: Uuid) -> Result<Option<Delivery>>;
    /// Writes one event.
    fn set_delivery(&self, delivery: &Delivery) -> Result<()>;
    /// How many events have not ended, and the bytes of their bodies.
    fn pending(&self) -> Result<(usize, usize)>;
    /// Removes some of the events that have not ended; returns how many.
    fn drop_pending(&self, limit: usize) -> Result<usize>;
    /// Removes some of the events that ended before; returns how many.
    fn drop_ended(&self, before: i64, limit: usize) -> Result<usize>;
    /// Events due at `now`, the longest waiting first.
    fn due(&self, now: i64, limit: usize) -> Result<Vec<Delivery>>;
    /// When the next event is due.
    fn next_due(&self) -> Result<Option<i64>>;
    /// Adds to the journal.
    fn log(&self, entry: &Entry) -> Result<()>;
    /// The oldest entries of the journal, with their numbers.
    fn journal(&self, limit: usize) -> Result<Vec<(i64, Entry)>>;
    /// Removes entries up to this number.
    fn drop_journal(&self, through: i64) -> Result<()>;
}

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS core (id INTEGER PRIMARY KEY CHECK (id = 1), value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
  sequence INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, event_type TEXT NOT NULL, body TEXT NOT NULL,
  tried INTEGER NOT NULL, attempts INTEGER NOT NULL, due_at INTEGER NOT NULL, ended_at INTEGER);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due_at, sequence) WHERE ended_at IS NULL;
CREATE INDEX IF NOT EXISTS deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS journal (sequence INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL)";

const COLUMNS: &str = "event_id, event_type, body, tried, attempts, due_at, ended_at";

/// The object's own SQLite.
pub struct Sqlite(SqlStorage);

impl Sqlite {
    /// Opens it, making its tables at the first time.
    pub fn open(sql: SqlStorage) -> Result<Self> {
        sql.exec(SCHEMA, None)?;
        Ok(Self(sql))
    }

    fn rows(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<Vec<Vec<SqlStorageValue>>> {
        self.0.exec(query, values)?.raw().collect()
    }

    fn drop_where(
        &self,
        condition: &str,
        mut values: Vec<SqlStorageValue>,
        limit: usize,
    ) -> Result<usize> {
        values.push((limit as i64).into());
        let query = format!(
            "DELETE FROM deliveries WHERE sequence IN (
               SELECT sequence FROM deliveries WHERE {condition} LIMIT ?) RETURNING 1"
        );
        Ok(self.rows(&query, values)?.len())
    }

    fn run(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<()> {
        self.0.exec(query, values).map(|_| ())
    }
}

impl Store for Sqlite {
    fn core(&self) -> Result<Core> {
        match self.rows("SELECT value FROM core", Vec::new())?.pop() {
            // One that cannot be read comes again with the next call.
            Some(row) => Ok(call::read(&Columns::of(row).text()?).unwrap_or_default()),
            None => Ok(Core::default()),
        }
    }

    fn set_core(&self, core: &Core) -> Result<()> {
        let query =
            "INSERT INTO core VALUES (1, ?) ON CONFLICT DO UPDATE SET value = excluded.value";
        self.run(query, vec![serde_json::to_string(core)?.into()])
    }

    fn delivery(&self, event_id: Uuid) -> Result<Option<Delivery>> {
        let query = format!("SELECT {COLUMNS} FROM deliveries WHERE event_id = ?");
        let row = self.rows(&query, vec![event_id.to_string().into()])?.pop();
        row.map(delivery).transpose()
    }

    fn set_delivery(&self, delivery: &Delivery) -> Result<()> {
        let query = format!(
            "INSERT INTO deliveries ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (event_id) DO UPDATE SET body = excluded.body, tried = excluded.tried,
               attempts = excluded.attempts, due_at = excluded.due_at, ended_at = excluded.ended_at"
        );
        let values = vec![
            delivery.event_id.to_string().into(),
            delivery.event_type.as_str().into(),
            delivery.body.as_str().into(),
            (delivery.tried as i64).into(),
            i64::from(delivery.attempts).into(),
            delivery.due_at.into(),
            delivery.ended_at.into(),
        ];
        self.run(&query, values)
    }

    fn pending(&self) -> Result<(usize, usize)> {
        let query = "SELECT count(*), coalesce(sum(length(body)), 0) FROM deliveries WHERE ended_at IS NULL";
        let Some(row) = self.rows(query, Vec::new())?.pop() else {
            return Ok((0, 0));
        };
        let mut columns = Columns::of(row);
        let mut size = || usize::try_from(columns.number()?).map_err(|_| unreadable());
        Ok((size()?, size()?))
    }

    fn drop_pending(&self, limit: usize) -> Result<usize> {
        self.drop_where("ended_at IS NULL", Vec::new(), limit)
    }

    fn drop_ended(&self, before: i64, limit: usize) -> Result<usize> {
        self.drop_where("ended_at < ?", vec![before.into()], limit)
    }

    fn due(&self, now: i64, limit: usize) -> Result<Vec<Delivery>> {
        let query = format!(
            "SELECT {COLUMNS} FROM deliveries WHERE ended_at IS NULL AND due_at <= ?
             ORDER BY due_at, sequence LIMIT ?"
        );
        let rows = self.rows(&query, vec![now.into(), (limit as i64).into()])?;
        rows.into_iter().map(delivery).collect()
    }

    fn next_due(&self) -> Result<Option<i64>> {
        let query = "SELECT min(due_at) FROM deliveries WHERE ended_at IS NULL";
        match self.rows(query, Vec::new())?.pop() {
            Some(row) => Columns::of(row).optional_number(),
            None => Ok(None),
        }
    }

    fn log(&self, entry: &Entry) -> Result<()> {
        let query = "INSERT INTO journal (entry) VALUES (?)";
        self.run(query, vec![serde_json::to_string(entry)?.into()])
    }

    fn journal(&self, limit: usize) -> Result<Vec<(i64, Entry)>> {
        let query = "SELECT sequence, entry FROM journal ORDER BY sequence LIMIT ?";
        let rows = self.rows(query, vec![(limit as i64).into()])?;
        rows.into_iter()
            .map(|row| {
                let mut columns = Columns::of(row);
                Ok((columns.number()?, call::read(&columns.text()?)?))
            })
            .collect()
    }

    fn drop_journal(&self, through: i64) -> Result<()> {
        self.run(
            "DELETE FROM journal WHERE sequence <= ?",
            vec![through.into()],
        )
    }
}

fn delivery(row: Vec<SqlStorageValue>) -> Result<Delivery> {
    let mut columns = Columns::of(row);
    Ok(Delivery {
        event_id: columns.text()?.parse().map_err(|_| unreadable())?,
        event_type: columns.text()?,
        body: columns.text()?,
        tried: usize::try_from(columns.number()?).map_err(|_| unreadable())?,
        attempts: u32::try_from(columns.number()?).map_err(|_| unreadable())?,
        due_at: columns.number()?,
        ended_at: columns.optional_number()?,
    })
}

/// The columns of one row, in order.
struct Columns(std::vec::IntoIter<SqlStorageValue>);

impl Columns {
    fn of(row: Vec<SqlStorageValue>) -> Self {
        Self(row.into_iter())
    }

    fn text(&mut self) -> Result<String> {
        match self.0.next() {
            Some(SqlStorageValue::String(text)) => Ok(text),
            _ => Err(unreadable()),
        }
    }

    fn number(&mut self) -> Result<i64> {
        self.optional_number()?.ok_or_else(unreadable)
    }

    fn optional_number(&mut self) -> Result<Option<i64>> {
        match self.0.next() {
            Some(SqlStorageValue::Integer(number)) => Ok(Some(number)),
            Some(SqlStorageValue::Null) => Ok(None),
            _ => Err(unreadable()),
        }
    }
}

fn unreadable() -> Error {
    Error::RustError("a stored row cannot be read".to_owned())
}
