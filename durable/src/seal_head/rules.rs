//! The head moves forward, from seal to seal.

use celaest_domain::audit::Head;
use serde::{Deserialize, Serialize};

/// A move to the next seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The digest that the next seal is chained to.
    pub previous_digest: Option<String>,
    /// The next seal.
    pub next: Head,
}

/// The head after `step`; `None` when it stays where it is. Only the seal that
/// follows the head moves it, so two jobs at once cannot make it name a fork. A
/// tenant that is not known yet begins wherever its chain is.
pub fn advanced(head: Option<&Head>, step: &Step) -> Option<Head> {
    let follows = head.is_none_or(|head| {
        step.previous_digest.as_deref() == Some(head.digest.as_str())
            && step.next.last_sequence > head.last_sequence
    });
    follows.then(|| step.next.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(n: i64) -> Head {
        Head {
            last_sequence: n * 10,
            digest: format!("d{n}"),
        }
    }

    fn step(n: i64) -> Step {
        Step {
            previous_digest: (n > 1).then(|| format!("d{}", n - 1)),
            next: head(n),
        }
    }

    #[test]
    fn the_head_only_follows_the_chain() {
        assert_eq!(advanced(None, &step(1)), Some(head(1)));
        assert_eq!(advanced(None, &step(5)), Some(head(5)));
        assert_eq!(advanced(Some(&head(1)), &step(2)), Some(head(2)));
        assert_eq!(advanced(Some(&head(1)), &step(1)), None, "repeated");
        assert_eq!(advanced(Some(&head(1)), &step(3)), None, "one left out");
        assert_eq!(advanced(Some(&head(2)), &step(1)), None, "overtaken");
        let mut fork = step(2);
        fork.previous_digest = None;
        assert_eq!(advanced(Some(&head(1)), &fork), None);
        let mut back = step(2);
        back.next.last_sequence = 10;
        assert_eq!(advanced(Some(&head(1)), &back), None);
    }

    proptest! {
        #[test]
        fn any_order_and_any_repeats_end_within_the_chain(steps in proptest::collection::vec(1..8_i64, 0..40)) {
            let mut now: Option<Head> = None;
            for n in steps {
                let before = now.clone();
                now = advanced(now.as_ref(), &step(n)).or(now);
                if let (Some(before), Some(now)) = (before, &now) {
                    prop_assert!(now.last_sequence >= before.last_sequence);
                }
            }
        }
    }
}
