//! Categories are a tree: nothing is inside itself, and nothing is too deep.

use std::collections::HashMap;
use std::hash::Hash;

/// Levels of the tree.
pub const MAX_DEPTH: usize = 6;
/// Categories that there may be: all of them are one answer.
pub const MAX_CATEGORIES: usize = 500;

/// Why a category cannot be somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misplaced {
    /// It would be inside itself.
    Cycle,
    /// It, or something inside it, would be too deep.
    TooDeep,
    /// There is no such place.
    NoParent,
}

/// Checks that `child` may be inside `parent`, where `parents` says of every
/// category what it is inside of.
///
/// # Errors
/// Why it may not.
pub fn place<I: Copy + Eq + Hash>(
    parents: &HashMap<I, Option<I>>,
    child: I,
    parent: Option<I>,
) -> Result<(), Misplaced> {
    let mut depth = 1;
    let mut at = parent;
    while let Some(id) = at {
        if id == child {
            return Err(Misplaced::Cycle);
        }
        depth += 1;
        at = *parents.get(&id).ok_or(Misplaced::NoParent)?;
        if depth > MAX_DEPTH {
            return Err(Misplaced::TooDeep);
        }
    }
    let below = parents
        .keys()
        .filter_map(|id| steps_up(parents, *id, child))
        .max()
        .unwrap_or_default();
    if depth + below > MAX_DEPTH {
        return Err(Misplaced::TooDeep);
    }
    Ok(())
}

/// How many levels `id` is below `above`; none where it is somewhere else.
fn steps_up<I: Copy + Eq + Hash>(
    parents: &HashMap<I, Option<I>>,
    id: I,
    above: I,
) -> Option<usize> {
    let mut at = id;
    for steps in 0..=parents.len() {
        if at == above {
            return Some(steps);
        }
        at = (*parents.get(&at)?)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(pairs: &[(u32, u32)]) -> HashMap<u32, Option<u32>> {
        let found = pairs.iter();
        found
            .map(|(id, parent)| (*id, Some(*parent).filter(|parent| *parent > 0)))
            .collect()
    }

    #[test]
    fn nothing_is_inside_itself() {
        let parents = tree(&[(1, 0), (2, 1), (3, 2), (4, 0)]);
        assert_eq!(place(&parents, 1, Some(1)), Err(Misplaced::Cycle));
        assert_eq!(place(&parents, 1, Some(3)), Err(Misplaced::Cycle));
        assert_eq!(place(&parents, 1, Some(9)), Err(Misplaced::NoParent));
        assert_eq!(place(&parents, 1, Some(4)), Ok(()));
        assert_eq!(place(&parents, 3, None), Ok(()));
    }

    #[test]
    fn what_is_inside_goes_along() {
        let deep = tree(&[
            (1, 0),
            (2, 1),
            (3, 2),
            (4, 3),
            (5, 4),
            (6, 5),
            (10, 0),
            (11, 10),
        ]);
        assert_eq!(place(&deep, 7, Some(6)), Err(Misplaced::TooDeep));
        assert_eq!(place(&deep, 7, Some(5)), Ok(()));
        assert_eq!(place(&deep, 10, Some(5)), Err(Misplaced::TooDeep));
        assert_eq!(place(&deep, 10, Some(4)), Ok(()));
    }

    proptest! {
        #[test]
        fn moves_never_make_a_cycle(moves in proptest::collection::vec((1_u32..12, 0_u32..12), 1..80)) {
            let mut parents: HashMap<u32, Option<u32>> = (1..12).map(|id| (id, None)).collect();
            for (child, parent) in moves {
                let parent = Some(parent).filter(|parent| *parent > 0);
                if place(&parents, child, parent).is_ok() {
                    parents.insert(child, parent);
                }
                for id in 1..12 {
                    let mut at = parents[&id];
                    let mut depth = 1;
                    while let Some(up) = at {
                        depth += 1;
                        prop_assert!(depth <= MAX_DEPTH);
                        at = parents[&up];
                    }
                }
            }
        }
    }
}
