//! Which version of a prompt a caller gets while two or more are compared.

use sha2::{Digest, Sha256};

/// The place of the arm for this caller: always the same one, in the proportion of the weights over all
/// callers. A changed weight moves only as many callers as it must (weighted rendezvous hashing). `arms` are
/// names and weights; `None` when none has a weight.
#[must_use]
pub fn arm(experiment: &str, caller: &str, arms: &[(&str, u32)]) -> Option<usize> {
    let score = |name: &str, weight: u32| {
        let mut hash = Sha256::new();
        for text in [experiment, caller, name] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        let digest = hash.finalize();
        let bits = digest
            .iter()
            .take(8)
            .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        // 53 bits, in the middle of their interval: never 0, never 1.
        let uniform = ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        f64::from(weight) / -uniform.ln()
    };
    arms.iter()
        .enumerate()
        .filter(|(_, (_, weight))| *weight > 0)
        .map(|(place, (name, weight))| (place, score(name, *weight)))
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::arm;

    fn shares(arms: &[(&str, u32)]) -> Vec<usize> {
        let mut counts = vec![0; arms.len()];
        for caller in 0..4_000 {
            counts[arm("greeting", &format!("caller {caller}"), arms).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn in_proportion() {
        let counts = shares(&[("one", 25), ("two", 75), ("three", 0)]);
        // 3 σ of 4,000 draws at a quarter are 82.
        assert!(
            counts[0].abs_diff(1_000) < 82 && counts[2] == 0,
            "{counts:?}"
        );
        assert_eq!(arm("greeting", "caller", &[("one", 0)]), None);
        assert_eq!(arm("greeting", "caller", &[]), None);
    }

    #[test]
    fn sticky() {
        let (before, after) = ([("one", 50), ("two", 50)], [("two", 60), ("one", 50)]);
        for caller in 0..1_000 {
            let caller = caller.to_string();
            let was = before[arm("greeting", &caller, &before).unwrap()].0;
            assert_eq!(before[arm("greeting", &caller, &before).unwrap()].0, was);
            let is = after[arm("greeting", &caller, &after).unwrap()].0;
            // Whoever had the arm that grew keeps it.
            assert!(was == "one" || is == "two");
        }
        let other = |experiment| {
            let side = |caller: i32| arm(experiment, &caller.to_string(), &before);
            (0..100).map(side).collect::<Vec<_>>()
        };
        assert_ne!(other("greeting"), other("farewell"));
    }
}
