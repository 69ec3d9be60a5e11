//! Whatever happens, in any order.

use super::*;

/// What may happen, in any order.
#[derive(Debug, Clone)]
enum Step {
    Reserve,
    /// The oldest open lease ends so.
    Settle(Verdict, Option<i64>, bool),
    /// The key with this place is taken out, or put back.
    Turn(usize),
    Restart,
    Behind,
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![
        Just(Verdict::Good),
        Just(Verdict::Caller),
        Just(Verdict::Key),
        Just(Verdict::Capacity),
        Just(Verdict::Fault),
        Just(Verdict::Unknown),
    ];
    prop_oneof![
        6 => Just(Step::Reserve),
        5 => (verdict, proptest::option::of(0..50_000_i64), proptest::bool::weighted(0.2))
            .prop_map(|(verdict, until, disables)| Step::Settle(verdict, until, disables)),
        1 => (0..3_usize).prop_map(Step::Turn),
        1 => Just(Step::Restart),
        1 => Just(Step::Behind),
        3 => (0..20_000_i64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever happens: nobody exceeds a limit, no deadline gets shorter, what is taken out or disabled is not
    /// given out, and what is kept is bounded.
    #[test]
    fn any_history(steps in proptest::collection::vec(step(), 1..150)) {
        let group = |number: u128| if number == 3 { "own" } else { "shared" };
        let mut active = [true; 3];
        let rows = |active: &[bool; 3]| -> Vec<serde_json::Value> {
            (1..=3).map(|number: u128| key(number, json!({
                "group": group(number), "rpm": 4, "active": active[number as usize - 1],
            }))).collect()
        };
        let mut pool = Pool::new(&rows(&active));
        let (mut now, mut seed, mut open) = (0_i64, 0_u8, Vec::<Lease>::new());
        let (mut given_at, mut rests, mut off) = (Vec::<(String, i64)>::new(), BTreeMap::<u128, i64>::new(), Vec::new());
        for step in steps {
            match step {
                Step::Reserve => if let Reserved::Key(given) = pool.reserve(now) {
                    let number = given.lease.key_id.as_u128();
                    prop_assert!(active[number as usize - 1]);
                    prop_assert!(!off.contains(&number));
                    prop_assert!(rests.get(&number).is_none_or(|until| *until <= now));
                    given_at.push((given.lease.group.clone(), now));
                    let lately = given_at.iter().filter(|(of, at)| *of == given.lease.group && *at > now - 60_000);
                    prop_assert!(lately.count() <= 4);
                    open.push(given.lease);
                },
                Step::Settle(verdict, until, disables) if !open.is_empty() => {
                    let lease = open.remove(0);
                    let until = until.map(|ms| now + ms);
                    pool.settle_as(&lease, verdict, ("x", until, disables), now);
                    let number = lease.key_id.as_u128();
                    if verdict == Verdict::Key && disables {
                        off.push(number);
                    }
                    let rests_until = |number| match verdict {
                        Verdict::Key if !disables => until.map(|until| (vec![number], until)),
                        Verdict::Fault => until.map(|until| (vec![number], until)),
                        Verdict::Capacity => {
                            let all = (1..=3).filter(|other| group(*other) == lease.group).collect();
                            until.map(|until| (all, until))
                        }
                        _ => None,
                    };
                    if let Some((numbers, until)) = rests_until(number) {
                        for number in numbers {
                            let known = rests.entry(number).or_default();
                            *known = until.max(*known);
                        }
                    }
                    if verdict == Verdict::Good && lease.at_ms >= now {
                        off.retain(|other| *other != number);
                    }
                }
                Step::Settle(..) => {}
                Step::Turn(place) => {
                    active[place] = !active[place];
                    pool.change(&rows(&active), now);
                }
                Step::Restart => {
                    seed = seed.wrapping_add(1);
                    pool.restart(seed);
                }
                Step::Behind => {
                    let behind = pool.machine.write_behind(now);
                    prop_assert!(behind.again.is_none_or(|again| again > 0));
                    pool.store(behind.effects);
                }
                Step::Wait(ms) => now += ms,
            }
            prop_assert!(pool.stored.len() < 20);
        }
    }
}
