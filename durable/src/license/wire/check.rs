//! A validation on its way to its license's object.

use std::borrow::Cow;
use std::fmt::Write;

use celaest_domain::json;
use celaest_domain::license::{AddressSource, Lang, Settings};
use uuid::Uuid;

use super::{CurrentSettings, Supply};

/// One validation, as the worker passes it on.
#[derive(Debug, Clone)]
pub struct Check<'a> {
    /// The address the program named, in canonical text.
    pub reported_ip: Option<&'a str>,
    /// The address of the connection, in canonical text.
    pub connection_ip: &'a str,
    /// The organization whose server asks, when it proved that it may speak for
    /// others: what it reports of its own licenses is believed.
    pub vendor: Option<Uuid>,
    /// The program's name of its machine.
    pub machine_id: Option<Cow<'a, str>>,
    /// Its host name; only noted with a new binding.
    pub hostname: Option<Cow<'a, str>>,
    /// Returned as it came.
    pub nonce: Option<Cow<'a, str>>,
    /// Language of the reason.
    pub lang: Lang,
    /// Validations of this license per minute; 0 for no limit.
    pub limit_per_minute: u32,
    /// Age at which a snapshot is read again, in seconds.
    pub snapshot_ttl_s: u32,
    /// The system's settings as the worker knows them; a snapshot can be older.
    pub settings: Option<CurrentSettings>,
    /// The answer to an earlier [`Answer::NeedSnapshot`].
    pub supply: Option<Supply<'a>>,
}

impl<'a> Check<'a> {
    /// The check as one text: a line for each fact, empty where there is none, and below them what was read of the
    /// license. It is written and read for every validation, and JSON would take several times as long.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(256);
        let line = |text: &mut String, fact: Option<&str>| {
            if let Some(fact) = fact {
                text.push('=');
                match fact.contains(['\n', '\\']) {
                    true => text.push_str(&fact.replace('\\', "\\\\").replace('\n', "\\n")),
                    false => text.push_str(fact),
                }
            }
            text.push('\n');
        };
        line(&mut text, self.reported_ip);
        line(&mut text, Some(self.connection_ip));
        line(&mut text, self.machine_id.as_deref());
        line(&mut text, self.hostname.as_deref());
        line(&mut text, self.nonce.as_deref());
        let (lang, limit, ttl) = (self.lang.tag(), self.limit_per_minute, self.snapshot_ttl_s);
        // Writing to a String cannot fail.
        let _ = write!(text, "{lang} {limit} {ttl}");
        if let Some(CurrentSettings { values, read_at }) = &self.settings {
            let (most, may) = (values.collision_threshold, values.collision_auto_revoke);
            let by_connection = values.address_source == AddressSource::Connection;
            let _ = write!(text, " {read_at} {most} {may} {by_connection}");
        }
        text.push('\n');
        if let Some(vendor) = &self.vendor {
            let _ = write!(text, "{vendor}");
        }
        text.push('\n');
        if let Some(supply) = &self.supply {
            // A plain structure always serializes.
            text.push_str(&serde_json::to_string(supply).unwrap_or_default());
        }
        text
    }

    /// Reads what [`Check::encode`] made.
    #[must_use]
    pub fn decode(text: &'a str) -> Option<Self> {
        let mut lines = text.splitn(8, '\n');
        let reported_ip = plain(lines.next()?);
        let connection_ip = plain(lines.next()?)?;
        let [machine_id, hostname, nonce] = [lines.next()?, lines.next()?, lines.next()?].map(told);
        let mut numbers = lines.next()?.split(' ');
        let lang = Lang::of_tag(numbers.next()?)?;
        let limit_per_minute = numbers.next()?.parse().ok()?;
        let snapshot_ttl_s = numbers.next()?.parse().ok()?;
        let settings = match numbers.next() {
            None => None,
            Some(read_at) => Some(CurrentSettings {
                read_at: read_at.parse().ok()?,
                values: Settings {
                    collision_threshold: numbers.next()?.parse().ok()?,
                    collision_auto_revoke: numbers.next()?.parse().ok()?,
                    address_source: match numbers.next()?.parse().ok()? {
                        true => AddressSource::Connection,
                        false => AddressSource::Reported,
                    },
                },
            }),
        };
        let vendor = match lines.next()? {
            "" => None,
            vendor => Some(vendor.parse().ok()?),
        };
        let supply = match lines.next()? {
            "" => None,
            supply => Some(json::read(supply).ok()?),
        };
        Some(Self {
            reported_ip,
            connection_ip,
            vendor,
            machine_id,
            hostname,
            nonce,
            lang,
            limit_per_minute,
            snapshot_ttl_s,
            settings,
            supply,
        })
    }
}

/// What a line has that needs no escapes.
fn plain(line: &str) -> Option<&str> {
    line.strip_prefix('=')
}

/// What a line says.
fn told(line: &str) -> Option<Cow<'_, str>> {
    let fact = plain(line)?;
    if !fact.contains('\\') {
        return Some(fact.into());
    }
    let mut text = String::with_capacity(fact.len());
    let mut rest = fact.chars();
    while let Some(next) = rest.next() {
        text.push(match next {
            '\\' if rest.next() == Some('n') => '\n',
            next => next,
        });
    }
    Some(text.into())
}
