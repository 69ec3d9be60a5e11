//! Random histories: what PostgreSQL, the object and the truth say is the same in the end.

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Reserve,
    GiveBack(usize),
    /// Ends a call; its record goes to the queue, or is lost.
    End {
        which: usize,
        counts: bool,
        cost: u8,
        lost: bool,
    },
    /// The consumer stores a record and tells the object, or dies in between.
    Consume {
        which: usize,
        tells: bool,
    },
    Alarm,
    Drain,
    Wait(u8),
    Restart,
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Reserve),
        2 => any::<usize>().prop_map(Step::GiveBack),
        4 => (any::<usize>(), any::<bool>(), 0..20_u8, any::<bool>())
            .prop_map(|(which, counts, cost, lost)| Step::End { which, counts, cost, lost }),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(which, tells)| Step::Consume { which, tells }),
        1 => Just(Step::Alarm),
        1 => Just(Step::Drain),
        1 => any::<u8>().prop_map(Step::Wait),
        1 => Just(Step::Restart),
        1 => Just(Step::Forget),
    ]
}

proptest! {
    /// Never more than the limit, never a request lost or counted twice, whatever happens in whatever order.
    #[test]
    fn limits_are_exact(steps in proptest::collection::vec(step(), 1..120)) {
        const MOST: i64 = 12;
        const AT_ONCE: usize = 4;
        let limits = json!({ "max_ai_requests_per_month": MOST, "max_concurrent_tasks": AT_ONCE });
        let mut world = World::new(limits);
        let mut open: Vec<Uuid> = Vec::new();
        let mut sent: Vec<(Uuid, bool, i64)> = Vec::new();
        // By call: it counts. What is given back is gone from it.
        let mut truth: BTreeMap<Uuid, bool> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Reserve => {
                    let used = truth.values().filter(|counts| **counts).count() as i64;
                    match world.reserve() {
                        Ok(id) => {
                            prop_assert!(used < MOST && open.len() < AT_ONCE);
                            truth.insert(id, true);
                            open.push(id);
                        }
                        Err(Limit::Requests) => prop_assert_eq!(used, MOST),
                        Err(limit) => {
                            prop_assert_eq!(limit, Limit::Concurrency);
                            prop_assert_eq!(open.len(), AT_ONCE);
                        }
                    }
                }
                Step::GiveBack(which) if !open.is_empty() => {
                    let id = open.remove(which % open.len());
                    truth.remove(&id);
                    world.settle(id, Settle::GivenBack);
                }
                Step::End { which, counts, cost, lost } if !open.is_empty() => {
                    let id = open.remove(which % open.len());
                    truth.insert(id, counts);
                    let end = world.ended(counts, Some(i64::from(cost)));
                    if !lost {
                        sent.push((id, counts, i64::from(cost)));
                    }
                    // The record may be stored before the object hears of the end.
                    if cost % 2 == 0 && !lost {
                        world.consume(id, counts, i64::from(cost));
                    }
                    world.settle(id, Settle::Ended(end));
                }
                Step::Consume { which, tells } if !sent.is_empty() => {
                    let (id, counts, cost) = sent[which % sent.len()];
                    let fresh = world.consume(id, counts, cost);
                    if tells {
                        world.confirm(id, fresh);
                    }
                }
                Step::Alarm => world.alarm(),
                Step::Drain => {
                    for record in world.drain() {
                        if record.ended.error_code.is_some() {
                            open.retain(|id| *id != record.call.id);
                        }
                    }
                }
                Step::Wait(seconds) => {
                    world.now += i64::from(seconds) * 100;
                }
                Step::Restart => world.restart(),
                Step::Forget => {
                    let effects = world.machine.forget(Outcome::default(), world.now);
                    world.apply(effects);
                }
                _ => {}
            }
            // Those that were waited for too long ended by themselves.
            let unknown: BTreeSet<Uuid> = world.queue.iter()
                .map(|body| serde_json::from_str::<Record>(body).unwrap())
                .filter(|record| record.ended.error_code.is_some())
                .map(|record| record.call.id).collect();
            open.retain(|id| !unknown.contains(id));
        }
        // In the end everything is in Postgres, once.
        for id in std::mem::take(&mut open) {
            truth.remove(&id);
            world.settle(id, Settle::GivenBack);
        }
        for _ in 0..3 {
            world.now += 1_000_000;
            world.alarm();
            world.drain();
        }
        prop_assert!(world.rows.keys().all(|key| !key.starts_with("r:")));
        prop_assert_eq!(world.requests, truth.values().filter(|counts| **counts).count() as i64);
        prop_assert_eq!(world.records.len(), truth.len());
        let stored: BTreeSet<_> = world.records.keys().collect();
        prop_assert_eq!(stored, truth.keys().collect());
    }
}
