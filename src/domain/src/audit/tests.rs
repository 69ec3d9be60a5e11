use chrono::{DateTime, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const SEED: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const OTHER_SEED: &str = "_____wQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn keys() -> Keys {
    Keys::parse(SEED).unwrap()
}

fn columns(sequence: i64) -> [Option<String>; COLUMNS.len()] {
    let mut columns: [Option<String>; COLUMNS.len()] =
        COLUMNS.map(|name| (name != "description").then(|| format!("{name} {sequence}")));
    columns[0] = Some(sequence.to_string());
    columns[1] = Some(Uuid::from_u128(sequence as u128).to_string());
    columns
}

fn row(sequence: i64) -> RowHash {
    row_hash(&columns(sequence)).unwrap()
}

fn time(n: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_790_000_000_000 + n).unwrap()
}

/// A tenant's log as a database and the world outside hold it.
#[derive(Clone, Debug)]
struct Log {
    rows: Vec<RowHash>,
    seals: Vec<Seal>,
    head: Option<Head>,
}

impl Log {
    /// Rows at `sequences`, sealed in stretches of `sizes`; what is left over
    /// stays unsealed.
    fn new(sequences: &[i64], sizes: &[usize]) -> Self {
        let rows: Vec<_> = sequences.iter().map(|sequence| row(*sequence)).collect();
        let mut log = Self {
            rows,
            seals: Vec::new(),
            head: None,
        };
        let mut at = 0;
        for size in sizes {
            let stretch = &log.rows[at.min(log.rows.len())..(at + size).min(log.rows.len())];
            at += size;
            let made = seal(None, log.head.as_ref(), stretch, time(at as i64), &keys());
            log.seals.extend(made);
            log.head = log.seals.last().map(Seal::head);
        }
        log
    }

    /// As the worker does it: seal by seal, with at most one row too many.
    fn verify(&self) -> Option<Break> {
        let newest = self.rows.iter().map(|row| row.sequence).max();
        let mut seals: Vec<_> = self.seals.iter().collect();
        seals.sort_by_key(|seal| seal.last_sequence);
        let mut last: Option<Head> = None;
        for seal in seals {
            let after = last.as_ref().map_or(i64::MIN, |head| head.last_sequence);
            let mut rows: Vec<_> = self
                .rows
                .iter()
                .filter(|row| row.sequence > after && row.sequence <= seal.last_sequence)
                .copied()
                .collect();
            rows.sort_by_key(|row| row.sequence);
            rows.truncate(seal.row_count as usize + 1);
            match check_seal(last.as_ref(), seal, &rows, newest, &keys()) {
                Ok(head) => last = Some(head),
                Err(found) => return Some(found),
            }
        }
        let known = self.head.as_ref().and_then(|head| {
            let ends_there = |seal: &&Seal| seal.last_sequence == head.last_sequence;
            self.seals
                .iter()
                .find(ends_there)
                .map(|seal| seal.digest.as_str())
        });
        check_end(last.as_ref(), self.head.as_ref(), known).err()
    }
}

#[test]
fn the_canonical_form_is_fixed() {
    let mut columns = columns(7);
    columns[10] = Some("a \"quoted\" é\n\u{1}\u{7f}/\\".into());
    let text = canonical(&columns);
    assert!(text.starts_with(r#"["7","00000000-0000-0000-0000-000000000007","#));
    // As JSON.stringify writes it.
    assert!(text.contains("\"a \\\"quoted\\\" é\\n\\u0001\u{7f}/\\\\\""));
    columns[10] = None;
    assert!(canonical(&columns).contains(r#""resource_id 7",null,"changes 7""#));
}

#[test]
fn a_known_seal() {
    let rows = [row(3), row(5)];
    let sealed = seal(None, None, &rows, time(0), &keys()).unwrap();
    assert_eq!(
        (
            sealed.first_sequence,
            sealed.last_sequence,
            sealed.row_count
        ),
        (3, 5, 2)
    );
    let text = format!(
        r#"[null,null,"3","5","2","2026-09-21T14:13:20.000000Z","3:{}\n5:{}"]"#,
        hex(&rows[0].hash),
        hex(&rows[1].hash)
    );
    use sha2::Digest;
    assert_eq!(sealed.digest, hex(&sha2::Sha256::digest(text)));
    assert_eq!(sealed.id.simple().to_string(), sealed.digest[..32]);
    // RFC 8032's way from seed to public key, computed with another implementation.
    assert_eq!(
        keys().public_key(),
        "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    );
    assert_eq!(keys().key_id(), "56475aa75463474c");
    assert!(sealed.is_genuine(&keys()));
    assert_eq!(seal(None, None, &[], time(0), &keys()), None);
}

#[test]
fn keys_rotate() {
    let sealed = seal(None, None, &[row(1)], time(0), &keys()).unwrap();
    let rotated = Keys::parse(&format!("{SEED}, {OTHER_SEED}=")).unwrap();
    assert!(sealed.is_genuine(&rotated));
    assert_ne!(rotated.key_id(), keys().key_id());
    assert!(!sealed.is_genuine(&Keys::parse(OTHER_SEED).unwrap()));
    for wrong in ["", ",", "AAAA", "not base64!", &format!("{SEED},")] {
        assert!(Keys::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_end_is_missed() {
    let log = Log::new(&[1, 2, 3, 4, 5, 6], &[2, 2]);
    assert_eq!(log.verify(), None);
    // Rows to the end, seals untouched.
    let mut cut = log.clone();
    cut.rows.truncate(3);
    let found = cut.verify().unwrap();
    assert_eq!((found.kind, found.sequence), (Kind::CutOff, 4));
    // Seals, or seals and rows, or everything.
    for (rows, seals) in [(6, 1), (2, 1), (0, 0), (6, 0)] {
        let mut cut = log.clone();
        cut.rows.truncate(rows);
        cut.seals.truncate(seals);
        let found = cut.verify().unwrap();
        assert_eq!((found.kind, found.sequence), (Kind::CutOff, 4));
    }
    // A job that died between writing a seal and telling so.
    let mut behind = log.clone();
    behind.head = Some(behind.seals[0].head());
    assert_eq!(behind.verify(), None);
    behind.head = None;
    assert_eq!(behind.verify(), None);
}

#[test]
fn a_log_sealed_again_is_another_one() {
    let mut log = Log::new(&[1, 2, 3, 4], &[2, 2]);
    let head = log.head.clone();
    log = Log::new(&[1, 3, 4], &[1, 2]);
    log.head = head;
    assert_eq!(log.verify().map(|found| found.kind), Some(Kind::Forged));
}

#[derive(Debug, Clone)]
enum Tampering {
    Change(usize, usize),
    Remove(usize),
    Move(usize),
    AddBefore(usize),
    AddBeside(usize),
    DropSeal(usize),
    EditSeal(usize, u8),
    SwapSeals(usize),
    Resign(usize),
    InsertSeal(usize),
    CutRows(usize),
}

fn tampering() -> impl Strategy<Value = Tampering> {
    let at = 0..1000_usize;
    prop_oneof![
        (at.clone(), 2..COLUMNS.len()).prop_map(|(at, column)| Tampering::Change(at, column)),
        at.clone().prop_map(Tampering::Remove),
        at.clone().prop_map(Tampering::Move),
        at.clone().prop_map(Tampering::AddBefore),
        at.clone().prop_map(Tampering::AddBeside),
        at.clone().prop_map(Tampering::DropSeal),
        (at.clone(), 0..10_u8).prop_map(|(at, field)| Tampering::EditSeal(at, field)),
        at.clone().prop_map(Tampering::SwapSeals),
        at.clone().prop_map(Tampering::Resign),
        at.clone().prop_map(Tampering::InsertSeal),
        at.prop_map(Tampering::CutRows),
    ]
}

/// Tampers with sealed things; says what is to be found, or `None` when there
/// was nothing to tamper with.
fn tamper(log: &mut Log, tampering: &Tampering) -> Option<(Kind, Option<i64>)> {
    let sealed = log
        .rows
        .iter()
        .filter(|row| {
            log.head
                .as_ref()
                .is_some_and(|head| row.sequence <= head.last_sequence)
        })
        .count();
    if sealed == 0 {
        return None;
    }
    let place = |at: usize| at % sealed;
    let nth = |at: usize| at % log.seals.len();
    Some(match *tampering {
        Tampering::Change(at, column) => {
            let sequence = log.rows[place(at)].sequence;
            let mut columns = columns(sequence);
            columns[column] = match &columns[column] {
                Some(_) => None,
                None => Some(String::new()),
            };
            log.rows[place(at)] = row_hash(&columns)?;
            (Kind::Changed, Some(sequence))
        }
        Tampering::Remove(at) => {
            let is_last = place(at) + 1 == log.rows.len();
            let gone = log.rows.remove(place(at));
            let kind = if is_last { Kind::CutOff } else { Kind::Removed };
            (kind, Some(gone.sequence))
        }
        Tampering::Move(at) => {
            // To the end of the log, as a new row.
            let is_last = place(at) + 1 == log.rows.len();
            let gone = log.rows.remove(place(at));
            let newest = log.rows.last().map_or(0, |row| row.sequence);
            if !is_last {
                log.rows.push(row(newest.max(gone.sequence) + 1_000));
            }
            let kind = if is_last { Kind::CutOff } else { Kind::Removed };
            (kind, Some(gone.sequence))
        }
        Tampering::AddBefore(at) => {
            let sequence = log.rows[place(at)].sequence - 1;
            if log.rows.iter().any(|row| row.sequence == sequence) {
                return None;
            }
            log.rows.push(row(sequence));
            (Kind::Added, Some(sequence))
        }
        Tampering::AddBeside(at) => {
            let sequence = log.rows[place(at)].sequence;
            let mut columns = columns(sequence);
            columns[1] = Some(Uuid::from_u128(u128::MAX).to_string());
            log.rows.push(row_hash(&columns)?);
            (Kind::Added, Some(sequence))
        }
        Tampering::DropSeal(at) => {
            let place = nth(at);
            let is_last = place + 1 == log.seals.len();
            log.seals.remove(place);
            if is_last {
                (Kind::CutOff, log.head.as_ref().map(|h| h.last_sequence))
            } else {
                (Kind::Forged, Some(log.seals[place].first_sequence))
            }
        }
        Tampering::EditSeal(at, field) => {
            let place = nth(at);
            let seal = &mut log.seals[place];
            match field {
                0 => seal.organization_id = Some(Uuid::from_u128(9)),
                1 => seal.first_sequence -= 1,
                2 => seal.row_count += 1,
                3 => seal.row_hashes = seal.row_hashes.replace(':', ":0"),
                4 => seal.digest = seal.digest.replace(['0', '1', '2', '3'], "4"),
                5 => seal.previous_digest = Some(seal.digest.clone()),
                6 => seal.sealed_at += chrono::TimeDelta::microseconds(1),
                7 => seal.signature = seal.signature.replace(['0', '1', '2', '3'], "4"),
                8 => seal.id = Uuid::from_u128(9),
                _ => seal.key_id = "0000000000000000".into(),
            }
            (Kind::Forged, Some(seal.first_sequence))
        }
        Tampering::SwapSeals(at) => {
            let (one, other) = (nth(at), nth(at + 1));
            if one == other {
                return None;
            }
            let list = log.seals[one].row_hashes.clone();
            log.seals[one].row_hashes = log.seals[other].row_hashes.clone();
            log.seals[other].row_hashes = list;
            (Kind::Forged, Some(log.seals[one.min(other)].first_sequence))
        }
        Tampering::Resign(at) => {
            // What somebody without the key would do to hide a change.
            let place = nth(at);
            let previous = place.checked_sub(1).map(|before| log.seals[before].head());
            let old = &log.seals[place];
            let rows: Vec<_> = log
                .rows
                .iter()
                .filter(|row| (old.first_sequence..=old.last_sequence).contains(&row.sequence))
                .copied()
                .collect();
            let other = Keys::parse(OTHER_SEED).unwrap();
            let mut made = seal(None, previous.as_ref(), &rows, old.sealed_at, &other)?;
            made.key_id = old.key_id.clone();
            log.seals[place] = made;
            (Kind::Forged, Some(log.seals[place].first_sequence))
        }
        Tampering::InsertSeal(at) => {
            let place = nth(at);
            let mut copy = log.seals[place].clone();
            copy.first_sequence = copy.last_sequence + 1;
            copy.last_sequence += 1;
            let sequence = copy.first_sequence;
            if log.seals.iter().any(|s| s.last_sequence == sequence) {
                return None;
            }
            log.seals.push(copy);
            (Kind::Forged, Some(sequence))
        }
        Tampering::CutRows(at) => {
            let first = log.rows[place(at)].sequence;
            log.rows.truncate(place(at));
            (Kind::CutOff, Some(first))
        }
    })
}

proptest! {
    #[test]
    fn any_tampering_is_found_and_named(
        steps in proptest::collection::vec(1..4_i64, 1..40),
        sizes in proptest::collection::vec(1..9_usize, 0..8),
        tampering in tampering(),
    ) {
        let mut sequence = 1;
        let sequences: Vec<i64> = steps.iter().map(|step| { sequence += step; sequence }).collect();
        let mut log = Log::new(&sequences, &sizes);
        prop_assert_eq!(log.verify(), None);
        if let Some((kind, sequence)) = tamper(&mut log, &tampering) {
            let found = log.verify();
            prop_assert_eq!(found.as_ref().map(|found| found.kind), Some(kind), "{:?}", found);
            prop_assert_eq!(found.map(|found| found.sequence), sequence);
        }
    }

    #[test]
    fn rows_of_any_text_have_distinct_forms(one in "\\PC{0,8}", other in "\\PC{0,8}") {
        let with = |text: &str| {
            let mut columns = columns(1);
            columns[7] = Some(text.to_owned());
            canonical(&columns)
        };
        prop_assert_eq!(with(&one) == with(&other), one == other);
        let back: Vec<Option<String>> = serde_json::from_str(&with(&one)).unwrap();
        prop_assert_eq!(back[7].as_deref(), Some(one.as_str()));
    }
}
