//! The log on its way to the queue: lines of validations, which the worker
//! keeps for a moment.

use std::borrow::Cow;
use std::collections::VecDeque;

use celaest_domain::license::rfc3339;
use celaest_domain::text::clip;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::wire::Logged;

/// Longest `device_info` that is logged, in bytes of JSON; a longer one is
/// logged as null.
pub const MAX_DEVICE_INFO: usize = 8_192;
/// Lines that are sent without waiting for company.
const FULL: usize = 100;
/// How often the queue is tried before the lines wait for the next validation. All attempts together stay
/// below what the platform lets an invocation outlast its answer.
pub const ATTEMPTS: u32 = 10;
const ALL_ATTEMPTS_MS: i64 = 25_000;
/// What is kept while the queue is away; then the oldest go.
const MAX_LINES: usize = 5_000;
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// One validation as it will be written. It becomes JSON when it is sent, many at a time.
#[derive(Debug, Clone)]
pub struct Line {
    /// Row id, ordered by time.
    pub id: Uuid,
    /// What the object said of it.
    pub logged: Logged,
    /// The address that was named, or else the connection's.
    pub ip: String,
    /// The address of the connection.
    pub connection_ip: String,
    /// Where the connection comes from, as the platform says: two letters, or none for unknown.
    pub country: Option<String>,
    /// Whatever the program told of its device.
    pub device_info: Option<Box<RawValue>>,
    /// The program's name of its machine.
    pub machine_id: Option<String>,
    /// Its host name.
    pub hostname: Option<String>,
    /// Its nonce.
    pub nonce: Option<String>,
    /// The program's own name.
    pub user_agent: Option<String>,
    /// In Unix milliseconds.
    pub at: i64,
}

/// A line with what the columns take.
#[derive(Serialize)]
struct Row<'a> {
    id: Uuid,
    license_id: Uuid,
    binding_id: Option<Uuid>,
    ip: &'a str,
    connection_ip: &'a str,
    country: Option<&'a str>,
    is_valid: bool,
    failure_reason: Option<&'a str>,
    device_info: Option<&'a RawValue>,
    machine_id: Option<Cow<'a, str>>,
    hostname: Option<Cow<'a, str>>,
    nonce: Option<Cow<'a, str>>,
    user_agent: Option<Cow<'a, str>>,
    created_at: String,
}

impl Line {
    /// About how many bytes it is.
    fn size(&self) -> usize {
        let texts = [
            &self.country,
            &self.machine_id,
            &self.hostname,
            &self.nonce,
            &self.user_agent,
        ];
        let info = self.device_info.as_ref().map_or(0, |info| info.get().len());
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        size_of::<Self>() + self.ip.len() + self.connection_ip.len() + info + texts
    }

    pub(super) fn to_json(&self) -> String {
        fn text(text: &Option<String>, length: usize) -> Option<Cow<'_, str>> {
            text.as_ref().map(|text| clip(text, length))
        }
        let row = Row {
            id: self.id,
            license_id: self.logged.license_id,
            binding_id: self.logged.binding_id,
            ip: &self.ip,
            connection_ip: &self.connection_ip,
            country: self.country.as_deref().filter(|code| is_country(code)),
            is_valid: self.logged.failure.is_none(),
            failure_reason: self.logged.failure.as_deref(),
            device_info: self
                .device_info
                .as_deref()
                .filter(|info| is_loggable(info.get())),
            machine_id: text(&self.machine_id, 255),
            hostname: text(&self.hostname, 255),
            nonce: text(&self.nonce, 255),
            user_agent: text(&self.user_agent, 500),
            created_at: rfc3339(self.at),
        };
        // A plain structure always serializes.
        serde_json::to_string(&row).unwrap_or_default()
    }
}

/// Postgres takes no NUL in text or jsonb, and one such line would fail the
/// whole batch it travels in.
fn is_loggable(json: &str) -> bool {
    json.len() <= MAX_DEVICE_INFO && !json.contains("\\u0000")
}

/// Two letters of ISO 3166, or `T1` for the Tor network. `XX` is what the platform says of what it does not know.
fn is_country(code: &str) -> bool {
    let letters = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    (letters && code != "XX") || code == "T1"
}

/// What whoever has added a line, or could not send some, has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Somebody else will send it.
    Nothing,
    /// Send what there is at once.
    Send,
    /// Wait for company and then send what there is.
    Care,
}

/// Lines not yet handed to the queue, of any license. There is always somebody who will send them, but for those
/// that the queue refused for longer than an invocation lasts.
#[derive(Debug, Default)]
pub struct Journal {
    lines: VecDeque<Line>,
    bytes: usize,
    dropped: u64,
    /// Until then somebody waits who will send what there is, in Unix milliseconds.
    cared_until: i64,
    is_queue_away: bool,
}

impl Journal {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            lines: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            cared_until: 0,
            is_queue_away: false,
        }
    }

    /// Adds a line.
    pub fn push(&mut self, line: Line, now: i64) -> Due {
        self.bytes += line.size();
        self.lines.push_back(line);
        self.shrink();
        match self.lines.len() >= FULL && !self.is_queue_away {
            true => Due::Send,
            false => self.care(now),
        }
    }

    fn care(&mut self, now: i64) -> Due {
        if now < self.cared_until {
            return Due::Nothing;
        }
        self.cared_until = now.saturating_add(ALL_ATTEMPTS_MS);
        Due::Care
    }

    /// Lines lost for want of room since this was last asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Takes every line: they were [`Journal::sent`], or they come back through [`Journal::restore`].
    pub fn take(&mut self) -> VecDeque<Line> {
        self.bytes = 0;
        std::mem::take(&mut self.lines)
    }

    /// Takes every line for whoever has waited for company. What comes while these are on their way is
    /// somebody else's care: it would be left behind if they arrive.
    pub fn take_after_care(&mut self) -> VecDeque<Line> {
        self.cared_until = 0;
        self.take()
    }

    /// Whoever was to send what came back has tried often enough: whoever comes next takes care of it.
    pub const fn give_up(&mut self) {
        self.cared_until = 0;
    }

    /// The queue took what was taken.
    pub const fn sent(&mut self) {
        self.is_queue_away = false;
    }

    /// Takes back what was not sent; it goes first the next time.
    pub fn restore(&mut self, mut lines: VecDeque<Line>, now: i64) -> Due {
        self.is_queue_away = true;
        self.bytes += lines.iter().map(Line::size).sum::<usize>();
        lines.append(&mut self.lines);
        self.lines = lines;
        self.shrink();
        self.care(now)
    }

    fn shrink(&mut self) {
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.lines.pop_front() else {
                return;
            };
            self.bytes -= oldest.size();
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::license::packing::pack_lines;
    use crate::license::wire::LogBatch;
    use std::collections::HashSet;

    fn line(n: u128, info: Option<&RawValue>) -> Line {
        Line {
            id: Uuid::from_u128(n),
            logged: Logged {
                license_id: Uuid::from_u128(7),
                binding_id: None,
                failure: None,
            },
            ip: "192.0.2.1".into(),
            connection_ip: "2001:db8::1".into(),
            country: Some("AR".into()),
            device_info: info.map(ToOwned::to_owned),
            machine_id: Some("m-1".into()),
            hostname: Some("a\0b".into()),
            nonce: None,
            user_agent: None,
            at: 1_780_272_000_000,
        }
    }

    fn read(lines: &VecDeque<Line>) -> Vec<LogBatch> {
        let bodies = pack_lines(lines);
        assert!(bodies.iter().all(|body| body.len() < 100_000));
        let bodies = bodies.iter();
        bodies
            .map(|body| serde_json::from_str(body).unwrap())
            .collect()
    }

    #[test]
    fn a_failing_queue_loses_nothing_and_messages_stay_small() {
        let mut journal = Journal::new();
        let info = RawValue::from_string(format!("\"{}\"", "x".repeat(8_000))).unwrap();
        for n in 0..250 {
            journal.push(line(n, Some(&info)), 0);
            if n % 60 == 0 {
                let unsent = journal.take();
                journal.restore(unsent, 0);
            }
        }
        let batches = read(&journal.take());
        assert!(batches.len() > 20 && journal.take().is_empty());
        let ids: Vec<_> = batches
            .iter()
            .flat_map(|one| &one.validations)
            .map(|one| one.id)
            .collect();
        assert_eq!(
            (ids.len(), ids.iter().collect::<HashSet<_>>().len()),
            (250, 250)
        );
        assert!(ids.is_sorted());
    }

    #[test]
    fn every_line_is_somebodys() {
        let mut journal = Journal::new();
        let push = |journal: &mut Journal, now| journal.push(line(1, None), now);
        assert_eq!(push(&mut journal, 1_000), Due::Care);
        assert_eq!(push(&mut journal, 1_001), Due::Nothing);
        // What comes while others are on their way has somebody of its own.
        assert_eq!(journal.take_after_care().len(), 2);
        assert_eq!(push(&mut journal, 3_000), Due::Care);
        journal.sent();
        assert_eq!(push(&mut journal, 3_001), Due::Nothing);
        // What comes back is cared for by whoever waits already, or else by whoever brings it back.
        let unsent = journal.take_after_care();
        assert_eq!(push(&mut journal, 5_000), Due::Care);
        assert_eq!(journal.restore(unsent, 5_001), Due::Nothing);
        let unsent = journal.take_after_care();
        assert_eq!(journal.restore(unsent, 7_000), Due::Care);
        assert_eq!(journal.take_after_care().len(), 3);
        // Whoever died is not waited for.
        assert_eq!(push(&mut journal, 9_000), Due::Care);
        assert_eq!(push(&mut journal, 9_000 + ALL_ATTEMPTS_MS), Due::Care);
        // Nor is whoever has given up.
        let unsent = journal.take_after_care();
        assert_eq!(journal.restore(unsent, 90_000), Due::Care);
        journal.give_up();
        assert_eq!(push(&mut journal, 90_001), Due::Care);
    }

    #[test]
    fn many_lines_go_at_once_unless_the_queue_is_away() {
        let mut journal = Journal::new();
        let mut due = [Due::Care, Due::Nothing, Due::Send]
            .map(|due| (due, 0))
            .to_vec();
        for n in 0..FULL as u128 + 10 {
            let next = journal.push(line(n, None), 0);
            due.iter_mut().find(|one| one.0 == next).unwrap().1 += 1;
        }
        assert_eq!(
            due,
            [(Due::Care, 1), (Due::Nothing, FULL - 2), (Due::Send, 11)]
        );
        let unsent = journal.take();
        assert_eq!(journal.restore(unsent, 0), Due::Nothing);
        assert_eq!(journal.push(line(0, None), 0), Due::Nothing);
        journal.sent();
        assert_eq!(journal.push(line(0, None), 0), Due::Send);
    }

    #[test]
    fn a_country_is_a_country() {
        for (said, known) in [
            ("AR", true),
            ("T1", true),
            ("XX", false),
            ("ar", false),
            ("ARG", false),
            ("A1", false),
            ("", false),
        ] {
            assert_eq!(is_country(said), known, "{said}");
        }
    }

    #[test]
    fn what_postgres_cannot_take_is_left_out() {
        let mut journal = Journal::new();
        let nul = RawValue::from_string(r#"{"a":"\u0000"}"#.to_owned()).unwrap();
        let long = "é".repeat(600);
        let line = Line {
            user_agent: Some(long),
            ..line(1, Some(&nul))
        };
        journal.push(line, 0);
        let row = read(&journal.take()).remove(0).validations.remove(0);
        assert_eq!(
            (row.device_info, row.hostname.as_deref()),
            (None, Some("ab"))
        );
        assert_eq!(row.user_agent.map(|text| text.chars().count()), Some(500));
    }

    #[test]
    fn a_full_journal_drops_the_oldest_and_counts_them() {
        let mut journal = Journal::new();
        for n in 0..5_010 {
            journal.push(line(n, None), 0);
        }
        assert_eq!(journal.take_dropped(), 10);
        let batches = read(&journal.take());
        assert_eq!(batches[0].validations[0].id, Uuid::from_u128(10));
        assert_eq!(
            batches
                .iter()
                .map(|one| one.validations.len())
                .sum::<usize>(),
            5_000
        );
    }
}
