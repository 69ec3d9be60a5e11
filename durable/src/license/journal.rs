//! The log buffer, and its packing into queue messages.

use std::collections::{HashMap, VecDeque};

use celaest_domain::license::rfc3339;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::stored::Owner;
use super::wire::{Check, CollisionRecord, PendingBinding};

/// Longest `device_info` that is logged, in bytes of JSON; a longer one is
/// logged as null.
pub const MAX_DEVICE_INFO: usize = 8_192;
/// Entries that are sent without waiting for the alarm.
pub const FLUSH_AT: usize = 100;
/// What the buffer holds while the queue is away; then the oldest go.
const MAX_ENTRIES: usize = 5_000;
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Below the queue's 128 KB with room for its own framing.
const MAX_MESSAGE: usize = 96_000;

/// One validation as it will be written, borrowed from the check.
#[derive(Serialize)]
pub struct Entry<'a> {
    id: Uuid,
    binding_id: Option<Uuid>,
    ip: &'a str,
    connection_ip: Option<&'a str>,
    is_valid: bool,
    failure_reason: Option<&'a str>,
    device_info: Option<&'a RawValue>,
    machine_id: Option<String>,
    hostname: Option<String>,
    nonce: Option<String>,
    user_agent: Option<String>,
    created_at: String,
}

impl<'a> Entry<'a> {
    /// The entry of `check`; `failure` is the code of a refusal.
    pub fn new(
        id: Uuid,
        check: &'a Check<'_>,
        binding_id: Option<Uuid>,
        failure: Option<&'a str>,
        now: i64,
    ) -> Self {
        Self {
            id,
            binding_id,
            ip: check.ip,
            connection_ip: check.connection_ip,
            is_valid: failure.is_none(),
            failure_reason: failure,
            device_info: check.device_info.filter(|info| is_loggable(info.get())),
            machine_id: check.machine_id.as_deref().map(|text| clip(text, 255)),
            hostname: check.hostname.as_deref().map(|text| clip(text, 255)),
            nonce: check.nonce.as_deref().map(|text| clip(text, 255)),
            user_agent: check.user_agent.as_deref().map(|text| clip(text, 500)),
            created_at: rfc3339(now),
        }
    }
}

/// Postgres takes no NUL in text or jsonb, and one such entry would fail the
/// whole batch it travels in.
fn is_loggable(json: &str) -> bool {
    json.len() <= MAX_DEVICE_INFO && !json.contains("\\u0000")
}

/// At most `length` characters, without NUL: what the column takes.
pub fn clip(text: &str, length: usize) -> String {
    text.chars().filter(|c| *c != '\0').take(length).collect()
}

/// A message ready for the queue, and what it takes off the object's hands.
#[derive(Debug, Default)]
pub struct Message {
    /// The JSON text.
    pub body: String,
    /// Bindings in it.
    pub bindings: Vec<Uuid>,
    /// Collisions in it.
    pub collisions: Vec<CollisionRecord>,
    seen: Vec<(Uuid, i64)>,
    entries: Vec<String>,
    sections: [String; 4],
}

/// Validations not yet handed to the queue.
#[derive(Debug, Default)]
pub struct Journal {
    entries: VecDeque<String>,
    bytes: usize,
    seen: HashMap<Uuid, i64>,
    dropped: u64,
}

impl Journal {
    /// Adds an entry. Returns how many there are now.
    pub fn push(&mut self, entry: &Entry<'_>) -> usize {
        let text = serde_json::to_string(entry).unwrap_or_default();
        self.bytes += text.len();
        self.entries.push_back(text);
        self.shrink();
        self.entries.len()
    }

    /// Notes that a binding was used.
    pub fn saw(&mut self, binding: Uuid, now: i64) {
        self.seen.insert(binding, now);
    }

    /// Nothing to send.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.seen.is_empty()
    }

    /// Entries lost for want of room since this was last asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Takes everything and packs it, with these bindings and collisions first.
    pub fn pack(
        &mut self,
        owner: Owner,
        bindings: &[&PendingBinding],
        collisions: Vec<CollisionRecord>,
    ) -> Vec<Message> {
        let mut packer = Packer {
            owner,
            full: Vec::new(),
            open: Message::default(),
        };
        for binding in bindings {
            let json = serde_json::to_string(binding).unwrap_or_default();
            packer.add(BINDINGS, &json).bindings.push(binding.id);
        }
        for record in collisions {
            let json = serde_json::to_string(&record).unwrap_or_default();
            packer.add(COLLISIONS, &json).collisions.push(record);
        }
        for (binding, at) in self.seen.drain() {
            let json = format!(
                r#"{{"binding_id":"{binding}","last_seen_at":"{}"}}"#,
                rfc3339(at)
            );
            packer.add(SEEN, &json).seen.push((binding, at));
        }
        self.bytes = 0;
        for entry in self.entries.drain(..) {
            packer.add(VALIDATIONS, &entry).entries.push(entry);
        }
        packer.finish()
    }

    /// Takes back what a message that was not sent carried.
    pub fn restore(&mut self, message: &mut Message) {
        for entry in message.entries.drain(..).rev() {
            self.bytes += entry.len();
            self.entries.push_front(entry);
        }
        for (binding, at) in message.seen.drain(..) {
            let latest = self.seen.entry(binding).or_insert(at);
            *latest = at.max(*latest);
        }
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.entries.len() > MAX_ENTRIES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                return;
            };
            self.bytes -= oldest.len();
            self.dropped += 1;
        }
    }
}

const BINDINGS: usize = 0;
const SEEN: usize = 1;
const COLLISIONS: usize = 2;
const VALIDATIONS: usize = 3;

struct Packer {
    owner: Owner,
    full: Vec<Message>,
    open: Message,
}

impl Packer {
    /// Puts `json` into a section of the open message, opening a new one when
    /// it would grow too large.
    fn add(&mut self, section: usize, json: &str) -> &mut Message {
        let size: usize = self.open.sections.iter().map(String::len).sum();
        if size > 0 && size + json.len() + 512 > MAX_MESSAGE {
            self.close();
        }
        let text = &mut self.open.sections[section];
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(json);
        &mut self.open
    }

    fn close(&mut self) {
        let mut message = std::mem::take(&mut self.open);
        let [bindings, seen, collisions, validations] = std::mem::take(&mut message.sections);
        let Owner {
            license_id,
            organization_id,
        } = self.owner;
        message.body = format!(
            r#"{{"license_id":"{license_id}","organization_id":"{organization_id}","bindings":[{bindings}],"seen":[{seen}],"collisions":[{collisions}],"validations":[{validations}]}}"#
        );
        self.full.push(message);
    }

    fn finish(mut self) -> Vec<Message> {
        if self.open.sections.iter().any(|section| !section.is_empty()) {
            self.close();
        }
        self.full
    }
}
