//! Finding the first break of a log.

use serde::Serialize;
use uuid::Uuid;

use super::{Head, Keys, RowHash, Seal};

/// How a log can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A row is not what it was when it was sealed.
    Changed,
    /// A sealed row is gone from the middle.
    Removed,
    /// A row stands in a sealed stretch that was not there.
    Added,
    /// The end is gone: rows, seals or both.
    CutOff,
    /// A seal was not made by us, or not in this place.
    Forged,
}

/// Where a log is broken first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Break {
    /// How.
    pub kind: Kind,
    /// The sequence number of the row, or the first one that the seal covers.
    pub sequence: i64,
    /// The row, when there is one.
    pub row_id: Option<Uuid>,
    /// The seal that tells, when there is one.
    pub seal_id: Option<Uuid>,
}

/// Checks one seal and its stretch. `rows` are the tenant's rows after
/// `previous` up to the seal's last sequence, in order; one more than the seal
/// counts is enough. `newest` is the sequence of the tenant's newest row.
///
/// # Errors
/// The first break in the stretch.
pub fn check_seal(
    previous: Option<&Head>,
    seal: &Seal,
    rows: &[RowHash],
    newest: Option<i64>,
    keys: &Keys,
) -> Result<Head, Break> {
    let broken = |kind, sequence, row_id| Break {
        kind,
        sequence,
        row_id,
        seal_id: Some(seal.id),
    };
    let forged = || broken(Kind::Forged, seal.first_sequence, None);
    let follows = seal.previous_digest.as_ref() == previous.map(|head| &head.digest)
        && previous.is_none_or(|head| head.last_sequence < seal.first_sequence);
    if !follows || !seal.is_genuine(keys) {
        return Err(forged());
    }
    let listed = seal.listed().ok_or_else(forged)?;
    match first_difference(&listed, rows) {
        None => Ok(seal.head()),
        Some((Kind::Removed, sequence, _)) if newest.is_none_or(|newest| newest < sequence) => {
            Err(broken(Kind::CutOff, sequence, None))
        }
        Some((kind, sequence, row_id)) => Err(broken(kind, sequence, row_id)),
    }
}

/// Checks, after the last seal, that it is as far as the log ever went.
/// `last` is that seal, `head` what the world outside knows, and `known` the
/// digest of the seal that ends where `head` does.
///
/// # Errors
/// The end is cut off, or the chain is another one than was made.
pub fn check_end(
    last: Option<&Head>,
    head: Option<&Head>,
    known: Option<&str>,
) -> Result<(), Break> {
    let Some(head) = head else {
        return Ok(());
    };
    let kind = match last {
        Some(last) if last.last_sequence >= head.last_sequence => {
            if known == Some(head.digest.as_str()) {
                return Ok(());
            }
            Kind::Forged
        }
        _ => Kind::CutOff,
    };
    Err(Break {
        kind,
        sequence: head.last_sequence,
        row_id: None,
        seal_id: None,
    })
}

/// Walks list and rows side by side. Rows that share a sequence number (nobody
/// but the owner can make them) are told apart by their hashes.
fn first_difference(
    listed: &[(i64, [u8; 32])],
    rows: &[RowHash],
) -> Option<(Kind, i64, Option<Uuid>)> {
    let (mut listed, mut rows) = (listed, rows);
    loop {
        let next = match (listed.first(), rows.first()) {
            (None, None) => return None,
            (Some((sequence, _)), None) => *sequence,
            (None, Some(row)) => row.sequence,
            (Some((sequence, _)), Some(row)) => row.sequence.min(*sequence),
        };
        let (was, later) = split(listed, |(sequence, _)| *sequence == next);
        let (is, others) = split(rows, |row| row.sequence == next);
        let mut missing: Vec<[u8; 32]> = was.iter().map(|(_, hash)| *hash).collect();
        let mut strange = Vec::new();
        for row in is {
            match missing.iter().position(|hash| *hash == row.hash) {
                Some(place) => drop(missing.swap_remove(place)),
                None => strange.push(row.id),
            }
        }
        match (missing.is_empty(), strange.first()) {
            (true, None) => {}
            (true, Some(id)) => return Some((Kind::Added, next, Some(*id))),
            (false, Some(id)) => return Some((Kind::Changed, next, Some(*id))),
            (false, None) => return Some((Kind::Removed, next, None)),
        }
        (listed, rows) = (later, others);
    }
}

fn split<T>(list: &[T], belongs: impl Fn(&T) -> bool) -> (&[T], &[T]) {
    list.split_at(list.iter().take_while(|item| belongs(item)).count())
}
