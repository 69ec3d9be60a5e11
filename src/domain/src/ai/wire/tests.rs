mod answers;
mod failures;
mod requests;
mod streams;

use super::*;

pub(super) const NOW: i64 = 1_795_651_200_000; // 2026-11-26T00:00:00Z

pub(super) fn head(status: u16, headers: &[(&str, &str)]) -> Head {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Head {
        status,
        headers: headers.iter().map(own).collect(),
    }
}
