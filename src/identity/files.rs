//! Files that are made while they are sent, one statement after the other: how many at a time.
//!
//! They are counted in this isolate's memory, and so approximately across isolates: it is a guard of the connections
//! that all tenants share, and no limit that anybody pays for.

use crate::error::{Code, Error, Result};
use crate::platform::clock;
use std::cell::RefCell;
use uuid::Uuid;

/// Files of one organization, and of everybody.
const MOST_OF_ONE: usize = 3;
const MOST: usize = 8;
/// So long after a piece was begun its file counts, in milliseconds: a little longer than a statement may take. Whoever
/// does not fetch what is there keeps nobody busy; and of one that is broken off nothing may be heard.
const BUSY_MS: i64 = 20_000;
/// When it makes sense to ask again, in seconds.
const RETRY_AFTER_S: u32 = 5;

thread_local! {
    static FILES: RefCell<Files> = RefCell::default();
}

/// The files on their way.
#[derive(Debug, Default)]
struct Files {
    /// Each with its number, whose it is, and until when it counts.
    all: Vec<(u64, Option<Uuid>, i64)>,
    last: u64,
}

/// Why there is no place.
#[derive(Debug, PartialEq, Eq)]
enum Full {
    One,
    All,
}

impl Files {
    fn take(&mut self, organization: Option<Uuid>, now_ms: i64) -> std::result::Result<u64, Full> {
        self.all.retain(|(_, _, until)| *until > now_ms);
        let own = self.all.iter().filter(|(_, of, _)| *of == organization);
        if own.count() >= MOST_OF_ONE {
            return Err(Full::One);
        }
        if self.all.len() >= MOST {
            return Err(Full::All);
        }
        self.last += 1;
        self.keep(self.last, organization, now_ms);
        Ok(self.last)
    }

    fn keep(&mut self, number: u64, organization: Option<Uuid>, now_ms: i64) {
        self.end(number);
        self.all.push((number, organization, now_ms + BUSY_MS));
    }

    fn end(&mut self, number: u64) {
        self.all.retain(|(one, _, _)| *one != number);
    }
}

/// The place of a file that is on its way, until it is dropped.
#[derive(Debug)]
pub struct Place {
    number: u64,
    organization: Option<Uuid>,
}

impl Place {
    /// Takes one for a file of an organization, or of nobody's.
    ///
    /// # Errors
    /// 429 while the organization has as many on their way as it may, 503 while everybody together has.
    pub fn take(organization: Option<Uuid>) -> Result<Self> {
        let taken = FILES.with_borrow_mut(|files| files.take(organization, clock::now_ms()));
        let code = match taken {
            Ok(number) => {
                return Ok(Self {
                    number,
                    organization,
                });
            }
            Err(Full::One) => Code::FilesUnderWay,
            Err(Full::All) => Code::Unavailable,
        };
        Err(Error {
            retry_after: Some(RETRY_AFTER_S),
            ..Error::new(code)
        })
    }

    /// Its next piece begins.
    pub fn keep(&self) {
        FILES.with_borrow_mut(|files| files.keep(self.number, self.organization, clock::now_ms()));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        FILES.with_borrow_mut(|files| files.end(self.number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(number: u128) -> Option<Uuid> {
        Some(Uuid::from_u128(number))
    }

    #[test]
    fn an_organization_has_so_many_and_everybody_together() {
        let mut files = Files::default();
        for organization in [1, 1, 1, 2, 2, 2, 3, 3] {
            files.take(tenant(organization), 0).unwrap();
        }
        assert_eq!(files.take(tenant(1), 0), Err(Full::One));
        assert_eq!(files.take(tenant(3), 0), Err(Full::All));
        assert_eq!(files.take(None, 0), Err(Full::All));
        files.end(1);
        assert_eq!(files.take(tenant(1), 0), Ok(9));
    }

    #[test]
    fn one_that_nobody_fetches_counts_no_more() {
        let mut files = Files::default();
        let numbers = [0, 0, 0].map(|at| files.take(tenant(1), at).unwrap());
        files.keep(numbers[0], tenant(1), BUSY_MS - 1);
        assert_eq!(files.take(tenant(1), BUSY_MS - 1), Err(Full::One));
        assert!(files.take(tenant(1), BUSY_MS).is_ok());
        assert_eq!(files.all.len(), 2);
        // Fetched again it counts, whoever came meanwhile.
        files.keep(numbers[1], tenant(1), BUSY_MS);
        files.keep(numbers[2], tenant(1), BUSY_MS);
        assert_eq!(files.all.len(), 4);
    }
}
