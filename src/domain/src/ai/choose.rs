//! Which key, or which model, is tried next.

/// Somebody who may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Only the highest there is comes into question.
    pub priority: i32,
    /// How often among those of one priority; what is not above 0 is chosen only where nothing is.
    pub weight: i32,
}

/// The place of the one to be tried, by a uniform `random` number. `None`: there are none.
#[must_use]
pub fn pick(candidates: &[Candidate], random: u64) -> Option<usize> {
    let weighty = candidates.iter().any(|it| it.weight > 0);
    let eligible = |it: &&Candidate| it.weight > 0 || !weighty;
    let highest = candidates
        .iter()
        .filter(eligible)
        .map(|it| it.priority)
        .max()?;
    // Where nobody has a weight all have the same.
    let weight = |it: &Candidate| match (it.priority == highest, weighty) {
        (true, true) => u64::try_from(it.weight).unwrap_or(0),
        (true, false) => 1,
        (false, _) => 0,
    };
    let total: u64 = candidates.iter().map(weight).sum();
    let mut point = ((u128::from(random) * u128::from(total)) >> 64) as u64;
    candidates.iter().position(|it| {
        let share = weight(it);
        let hit = point < share;
        point = point.saturating_sub(share);
        hit
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(pairs: &[(i32, i32)]) -> Vec<Candidate> {
        pairs
            .iter()
            .map(|&(priority, weight)| Candidate { priority, weight })
            .collect()
    }

    #[test]
    fn examples() {
        assert_eq!(pick(&[], 0), None);
        for random in [0, u64::MAX / 2, u64::MAX] {
            assert_eq!(pick(&of(&[(0, -100), (0, 1)]), random), Some(1));
            assert_eq!(pick(&of(&[(0, 100), (5, 1)]), random), Some(1));
            assert_eq!(pick(&of(&[(9, 0), (5, 1)]), random), Some(1));
            assert_eq!(pick(&of(&[(0, 0), (1, -3)]), random), Some(1));
        }
        let quarter = of(&[(0, 25), (0, 75)]);
        assert_eq!(pick(&quarter, u64::MAX / 4 - 1), Some(0));
        assert_eq!(pick(&quarter, u64::MAX / 4 + 2), Some(1));
    }

    #[test]
    fn in_proportion() {
        let keys = of(&[(0, 10), (0, 10), (0, 5), (0, 3)]);
        let mut chosen = [0_u64; 4];
        for step in 0..28_000_u64 {
            chosen[pick(&keys, step * (u64::MAX / 28_000)).unwrap()] += 1;
        }
        for (count, weight) in chosen.into_iter().zip([10, 10, 5, 3]) {
            assert!(count.abs_diff(weight * 1_000) <= 2, "{chosen:?}");
        }
    }

    proptest! {
        #[test]
        fn somebody_eligible(pairs in proptest::collection::vec((-3..3_i32, any::<i32>()), 1..8), random: u64) {
            let all = of(&pairs);
            let chosen = all[pick(&all, random).unwrap()];
            let weighty = all.iter().any(|it| it.weight > 0);
            prop_assert!(!weighty || chosen.weight > 0);
            prop_assert!(all.iter().all(|it| it.priority <= chosen.priority || (weighty && it.weight <= 0)));
        }
    }
}
