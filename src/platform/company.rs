//! Things that wait a moment for others, so that they leave together: whoever comes first sends what has come by then.

/// How long the first one waits, in milliseconds.
pub const WAIT_MS: u64 = 50;
/// After so many milliseconds the one that was to send is gone, and the next one sends.
const LATE_MS: i64 = 1_000;

/// Those that wait.
#[derive(Debug)]
pub struct Company<T> {
    waiting: Vec<T>,
    late_at: i64,
}

impl<T> Default for Company<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Company<T> {
    /// Nobody.
    pub const fn new() -> Self {
        Self {
            waiting: Vec::new(),
            late_at: i64::MIN,
        }
    }

    /// One comes, at `now` in Unix milliseconds. Whether it is to send all, after [`WAIT_MS`].
    pub fn join(&mut self, one: T, now: i64) -> bool {
        self.waiting.push(one);
        let is_first = now >= self.late_at;
        if is_first {
            self.late_at = now + LATE_MS;
        }
        is_first
    }

    /// All that wait, which they do no longer.
    pub fn leave(&mut self) -> Vec<T> {
        self.late_at = i64::MIN;
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sends_all_and_another_if_it_does_not() {
        let mut company = Company::new();
        assert!(company.join(1, 1_000));
        assert!(!company.join(2, 1_040));
        assert_eq!(company.leave(), [1, 2]);
        assert!(company.join(3, 1_050));
        assert!(!company.join(4, 2_049));
        assert!(company.join(5, 2_050), "whoever was to send is gone");
        assert_eq!(company.leave(), [3, 4, 5]);
        assert!(company.leave().is_empty());
    }
}
