//! The messages to the queue: what the log and the objects send, in as few as it takes.

use std::collections::VecDeque;

use serde::Serialize;
use uuid::Uuid;

use super::journal::Line;
use super::wire::{CollisionRecord, PendingBinding};

/// Below the queue's 128 KB with room for its own framing.
const MAX_MESSAGE: usize = 96_000;

/// The bodies of the messages that carry these lines.
#[must_use]
pub fn pack_lines(lines: &VecDeque<Line>) -> Vec<String> {
    let mut packer = Packer::new(None);
    for line in lines {
        packer.add(VALIDATIONS, &line.to_json());
    }
    packer.finish()
}

/// The bodies of the messages that carry what an object made, bindings first:
/// the rest refers to them.
pub fn pack_made<'a>(
    license: Uuid,
    bindings: impl Iterator<Item = &'a PendingBinding>,
    collisions: impl Iterator<Item = &'a CollisionRecord>,
) -> Vec<String> {
    let mut packer = Packer::new(Some(license));
    for binding in bindings {
        packer.add(BINDINGS, &json(binding));
    }
    for record in collisions {
        packer.add(COLLISIONS, &json(record));
    }
    packer.finish()
}

fn json(row: &impl Serialize) -> String {
    // A plain structure always serializes.
    serde_json::to_string(row).unwrap_or_default()
}

const BINDINGS: usize = 0;
const COLLISIONS: usize = 1;
const VALIDATIONS: usize = 2;

struct Packer {
    license: String,
    full: Vec<String>,
    sections: [String; 3],
}

impl Packer {
    fn new(license: Option<Uuid>) -> Self {
        Self {
            license: license.map_or_else(|| "null".to_owned(), |id| format!("\"{id}\"")),
            full: Vec::new(),
            sections: Default::default(),
        }
    }

    /// Puts `json` into a section of the open message, opening a new one when
    /// it would grow too large.
    fn add(&mut self, section: usize, json: &str) {
        let size: usize = self.sections.iter().map(String::len).sum();
        if size > 0 && size + json.len() + 512 > MAX_MESSAGE {
            self.close();
        }
        let text = &mut self.sections[section];
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(json);
    }

    fn close(&mut self) {
        let [bindings, collisions, validations] = std::mem::take(&mut self.sections);
        let license = &self.license;
        self.full.push(format!(
            r#"{{"license_id":{license},"bindings":[{bindings}],"collisions":[{collisions}],"validations":[{validations}]}}"#
        ));
    }

    fn finish(mut self) -> Vec<String> {
        if self.sections.iter().any(|section| !section.is_empty()) {
            self.close();
        }
        self.full
    }
}
