//! What differs between two versions of a prompt, line by line.

use serde::{Deserialize, Serialize};

/// The most pairs of lines that are compared; beyond it everything between the common beginning and the common
/// end counts as changed.
const MAX_PAIRS: usize = 1_000_000;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiDiffChange"))]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is in both.
    Same,
    /// It is in the older one alone.
    Removed,
    /// It is in the newer one alone.
    Added,
}

/// A line of either version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiDiffLine"))]
pub struct Line {
    /// What became of it.
    pub change: Change,
    /// The line, without its end.
    pub text: String,
}

/// The lines of both versions in order, what was removed before what was added.
#[must_use]
pub fn lines(old: &str, new: &str) -> Vec<Line> {
    let (old, new): (Vec<&str>, Vec<&str>) = (split(old), split(new));
    let common =
        |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| pairs.take_while(|(a, b)| a == b).count();
    let start = common(&mut old.iter().zip(&new));
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let end = common(&mut old_rest.iter().rev().zip(new_rest.iter().rev()));
    let middle = (
        &old_rest[..old_rest.len() - end],
        &new_rest[..new_rest.len() - end],
    );
    let mut out = Vec::with_capacity(old.len() + new.len());
    let mut put = |change, text: &str| {
        out.push(Line {
            change,
            text: text.to_owned(),
        });
    };
    old[..start].iter().for_each(|line| put(Change::Same, line));
    between(middle.0, middle.1, &mut put);
    old[old.len() - end..]
        .iter()
        .for_each(|line| put(Change::Same, line));
    out
}

/// An empty text has no line.
fn split(text: &str) -> Vec<&str> {
    match text.is_empty() {
        true => Vec::new(),
        false => text.split('\n').collect(),
    }
}

/// The longest common subsequence, by its table of lengths.
fn between(old: &[&str], new: &[&str], put: &mut impl FnMut(Change, &str)) {
    let width = new.len() + 1;
    let small = (old.len() + 1)
        .checked_mul(width)
        .is_some_and(|pairs| pairs <= MAX_PAIRS);
    let mut longest = vec![0_u32; if small { (old.len() + 1) * width } else { 0 }];
    if small {
        for (i, a) in old.iter().enumerate().rev() {
            for (j, b) in new.iter().enumerate().rev() {
                longest[i * width + j] = match a == b {
                    true => longest[(i + 1) * width + j + 1] + 1,
                    false => longest[(i + 1) * width + j].max(longest[i * width + j + 1]),
                };
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    while small && i < old.len() && j < new.len() {
        if old[i] == new[j] {
            put(Change::Same, old[i]);
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            put(Change::Removed, old[i]);
            i += 1;
        } else {
            put(Change::Added, new[j]);
            j += 1;
        }
    }
    old[i..].iter().for_each(|line| put(Change::Removed, line));
    new[j..].iter().for_each(|line| put(Change::Added, line));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn short(old: &str, new: &str) -> String {
        let mark = |line: Line| {
            let sign = match line.change {
                Change::Same => ' ',
                Change::Removed => '-',
                Change::Added => '+',
            };
            format!("{sign}{}", line.text)
        };
        lines(old, new)
            .into_iter()
            .map(mark)
            .collect::<Vec<_>>()
            .join("|")
    }

    #[test]
    fn examples() {
        assert_eq!(short("", ""), "");
        assert_eq!(short("a\nb\nc", "a\nB\nc"), " a|-b|+B| c");
        assert_eq!(short("a", "a\nb"), " a|+b");
        assert_eq!(short("a\nb\nc\nd", "b\nx\nd"), "-a| b|-c|+x| d");
        assert_eq!(short("", "a"), "+a");
    }

    #[test]
    fn what_is_too_long_is_changed_whole() {
        let many = |prefix: &str| {
            (0..1_500)
                .map(|n| format!("{prefix}{n}\n"))
                .collect::<String>()
        };
        assert_eq!(lines(&many("a"), &many("b")).len(), 3_001);
    }

    proptest! {
        #[test]
        fn both_versions_are_in_it(old in "[ab\n]{0,40}", new in "[ab\n]{0,40}") {
            let found = lines(&old, &new);
            let side = |without: Change| {
                let kept: Vec<&str> = found.iter().filter(|line| line.change != without)
                    .map(|line| line.text.as_str()).collect();
                kept.join("\n")
            };
            prop_assert_eq!(side(Change::Added), old);
            prop_assert_eq!(side(Change::Removed), new);
        }
    }
}
