//! The head moves forward, from seal to seal, and back only when somebody answers for it.

use celaest_domain::audit::Head;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How often one chain goes on before its end: it is for restored databases, and each is kept.
pub const MOST_RESTARTS: usize = 100;

/// What is known outside PostgreSQL of one tenant's seals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The newest one.
    pub head: Option<Head>,
    /// Where the chain went on before its end, the first one first.
    pub restarts: Vec<Restart>,
}

/// Somebody said that the end of a log is gone for good, and the chain goes on with what is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// The head that is given up.
    pub lost: Head,
    /// The last seal that is there.
    pub kept: Option<Head>,
    /// When.
    pub at: DateTime<Utc>,
    /// Who said so.
    pub by: Uuid,
    /// Why.
    pub reason: String,
}

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

/// Whether the chain goes on so: from the very head that is given up, back to an older seal or none. Repeated
/// it does nothing.
pub fn restarts(known: &Known, restart: &Restart) -> bool {
    let end = restart.kept.as_ref().map(|head| head.last_sequence);
    known.head.as_ref() == Some(&restart.lost)
        && end.is_none_or(|end| end < restart.lost.last_sequence)
        && known.restarts.len() < MOST_RESTARTS
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

    #[test]
    fn the_chain_goes_on_before_its_end_when_somebody_says_so() {
        let restart = |lost, kept: Option<i64>| Restart {
            lost: head(lost),
            kept: kept.map(head),
            at: DateTime::UNIX_EPOCH,
            by: Uuid::nil(),
            reason: "restored".into(),
        };
        let known = |n: Option<i64>| Known {
            head: n.map(head),
            restarts: Vec::new(),
        };
        assert!(restarts(&known(Some(5)), &restart(5, Some(3))));
        assert!(restarts(&known(Some(5)), &restart(5, None)));
        assert!(!restarts(&known(Some(3)), &restart(5, Some(3))), "repeated");
        assert!(
            !restarts(&known(Some(6)), &restart(5, Some(3))),
            "another end"
        );
        assert!(
            !restarts(&known(Some(5)), &restart(5, Some(5))),
            "nothing is gone"
        );
        assert!(!restarts(&known(None), &restart(5, None)));
        let often = Known {
            restarts: vec![restart(5, None); MOST_RESTARTS],
            ..known(Some(5))
        };
        assert!(!restarts(&often, &restart(5, None)));
        // From there on it follows the chain as ever.
        assert_eq!(advanced(Some(&head(3)), &step(4)), Some(head(4)));
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
