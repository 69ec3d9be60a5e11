//! Several files in one, as PKWARE's APPNOTE 6.3 has it: stored as they are, names in UTF-8, up to what the
//! classic format can hold (65,535 files, 4 GiB).

use chrono::{DateTime, Datelike, Timelike, Utc};

/// Names are UTF-8 (APPNOTE, 4.4.4, bit 11).
const UTF8_NAMES: u16 = 1 << 11;
/// What it takes to read a stored file: version 2.0.
const VERSION: u16 = 20;

/// A file that is written piece by piece.
#[derive(Debug, Default)]
pub struct Zip {
    directory: Vec<u8>,
    files: u16,
    written: u32,
}

impl Zip {
    /// The next file, whole, as it is in the archive.
    pub fn file(&mut self, name: &str, content: &[u8], at: DateTime<Utc>) -> Vec<u8> {
        let size = content.len() as u32;
        let mut head = Vec::with_capacity(26);
        push(&mut head, &[VERSION, UTF8_NAMES, 0, time(at), date(at)]);
        head.extend(crc32(content).to_le_bytes());
        head.extend(size.to_le_bytes());
        head.extend(size.to_le_bytes());
        push(&mut head, &[name.len() as u16, 0]);

        self.directory.extend(b"PK\x01\x02");
        push(&mut self.directory, &[VERSION]);
        self.directory.extend(&head);
        // No comment, on the first disk, of no particular kind.
        push(&mut self.directory, &[0, 0, 0, 0, 0]);
        self.directory.extend(self.written.to_le_bytes());
        self.directory.extend(name.as_bytes());

        let mut piece = b"PK\x03\x04".to_vec();
        piece.extend(&head);
        piece.extend(name.as_bytes());
        piece.extend(content);
        self.files += 1;
        self.written += piece.len() as u32;
        piece
    }

    /// What comes after the last file: where each of them is.
    #[must_use]
    pub fn end(mut self) -> Vec<u8> {
        let size = self.directory.len() as u32;
        self.directory.extend(b"PK\x05\x06");
        push(&mut self.directory, &[0, 0, self.files, self.files]);
        self.directory.extend(size.to_le_bytes());
        self.directory.extend(self.written.to_le_bytes());
        push(&mut self.directory, &[0]);
        self.directory
    }
}

fn push(out: &mut Vec<u8>, numbers: &[u16]) {
    out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

fn time(at: DateTime<Utc>) -> u16 {
    ((at.hour() << 11) | (at.minute() << 5) | (at.second() / 2)) as u16
}

fn date(at: DateTime<Utc>) -> u16 {
    let years = at.year().clamp(1980, 2107) as u32 - 1980;
    ((years << 9) | (at.month() << 5) | at.day()) as u16
}

/// CRC-32 as in ISO 3309.
fn crc32(bytes: &[u8]) -> u32 {
    let rest = bytes.iter().fold(u32::MAX, |rest, byte| {
        (0..8).fold(rest ^ u32::from(*byte), |rest, _| {
            let polynomial = (rest & 1).wrapping_neg() & 0xEDB8_8320;
            (rest >> 1) ^ polynomial
        })
    });
    !rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_known_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn the_end_says_where_everything_is() {
        let at = DateTime::from_timestamp(1_772_000_000, 0).unwrap();
        let mut zip = Zip::default();
        let first = zip.file("a.csv", b"x", at);
        let second = zip.file("ñ.csv", b"", at);
        let start = first.len() + second.len();
        let end = zip.end();
        let tail = &end[end.len() - 22..];
        let number = |at: usize| u32::from_le_bytes(tail[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!(&tail[..4], b"PK\x05\x06");
        assert_eq!((tail[8], tail[10]), (2, 2));
        assert_eq!((number(12), number(16)), (end.len() - 22, start));
        // The second entry begins where the second file does.
        let entry = &end[46 + 5..];
        assert_eq!(&entry[..4], b"PK\x01\x02");
        assert_eq!(entry[42..46], (first.len() as u32).to_le_bytes());
        assert_eq!(&first[30..35], b"a.csv");
        assert_eq!(first[35..], *b"x");
    }
}
