//! Random histories.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::super::rules::MAX_IN_FLIGHT;
use super::*;

#[derive(Debug, Clone)]
enum Step {
    Enqueue(Vec<u128>),
    Replay(u128),
    Wait(i64),
    Take,
    /// The receiver has it, and the answer arrives.
    Answer(usize, u16),
    /// The receiver has it, but nobody learns that.
    Lose(usize),
    Crash,
    Pause,
    Resume,
    /// Whether the queue takes it, and whether the object survives to know.
    Report {
        taken: bool,
        noted: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let ids = proptest::collection::vec(0..12_u128, 1..5);
    let status = prop_oneof![3 => Just(200_u16), 2 => Just(500), 1 => Just(302), 1 => Just(429)];
    prop_oneof![
        4 => ids.prop_map(Step::Enqueue),
        1 => (0..12_u128).prop_map(Step::Replay),
        4 => prop_oneof![0..6_000_i64, 0..90_000_000_i64].prop_map(Step::Wait),
        6 => Just(Step::Take),
        8 => (0..MAX_IN_FLIGHT, status).prop_map(|(n, status)| Step::Answer(n, status)),
        1 => (0..MAX_IN_FLIGHT).prop_map(Step::Lose),
        1 => Just(Step::Crash),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        3 => (any::<bool>(), any::<bool>()).prop_map(|(taken, noted)| Step::Report { taken, noted }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: everything accepted arrives, nothing
    /// arrives again without a reason, and every attempt is logged once.
    #[test]
    fn histories(steps in proptest::collection::vec(step(), 1..120)) {
        let mut object = Object::new();
        // Being disabled drops what is pending; that is another story.
        object.settings.disable_after_s = u32::MAX;
        let mut version = 1;
        let mut status = Status::Active;
        let mut flying: Vec<Due> = Vec::new();
        // Of each event: received, and reasons to receive it.
        let mut received: BTreeMap<Uuid, usize> = BTreeMap::new();
        let mut reasons: BTreeMap<Uuid, usize> = BTreeMap::new();
        let mut logged: HashSet<Uuid> = HashSet::new();
        let mut settled = 0_usize;
        for step in steps {
            match step {
                Step::Enqueue(ids) => {
                    for n in &ids {
                        let id = Uuid::from_u128(*n);
                        let row = object.memory.delivery(id).unwrap();
                        if row.is_none() { *reasons.entry(id).or_default() += 1; }
                    }
                    object.enqueue(endpoint(version, status), &ids);
                }
                Step::Replay(n) => {
                    *reasons.entry(Uuid::from_u128(n)).or_default() += 1;
                    object.replay(endpoint(version, status), n);
                }
                Step::Wait(ms) => object.now += ms,
                Step::Take => {
                    let taken = object.take();
                    prop_assert!(status == Status::Active || taken.is_empty());
                    flying.extend(taken);
                    prop_assert!(flying.len() <= MAX_IN_FLIGHT);
                    let distinct: HashSet<_> = flying.iter().map(|due| due.event_id).collect();
                    prop_assert_eq!(distinct.len(), flying.len());
                }
                Step::Answer(n, answer) if n < flying.len() => {
                    let due = flying.swap_remove(n);
                    object.settle(&due, Some(answer), None);
                    settled += 1;
                    let entry = received.entry(due.event_id).or_default();
                    if answer == 200 {
                        *entry += 1;
                    }
                    // Never sooner than five seconds after a failure.
                    let row = object.memory.delivery(due.event_id).unwrap().unwrap();
                    prop_assert!(row.ended_at.is_some() || row.due_at >= object.now + 5_000);
                }
                Step::Lose(n) if n < flying.len() => {
                    // Its outcome is lost together with the instance.
                    let due = &flying[n];
                    *received.entry(due.event_id).or_default() += 1;
                    *reasons.entry(due.event_id).or_default() += 1;
                    object.crash();
                    flying.clear();
                }
                Step::Crash => {
                    object.crash();
                    flying.clear();
                }
                Step::Pause | Step::Resume => {
                    version += 1;
                    status = if matches!(step, Step::Pause) { Status::Paused } else { Status::Active };
                    object.machine.configure(endpoint(version, status), object.now).unwrap();
                }
                Step::Report { taken, noted } => {
                    if let Some(message) = object.machine.message(object.now).unwrap() && taken {
                        let report: Report = serde_json::from_str(&message.body).unwrap();
                        logged.extend(report.attempts.iter().map(|attempt| attempt.id));
                        if noted { object.machine.sent(&message, object.now).unwrap(); }
                    }
                }
                Step::Answer(..) | Step::Lose(_) => {}
            }
            object.machine.tidy(object.now).unwrap();
        }
        // Then all goes well.
        object.machine.configure(endpoint(version + 1, Status::Active), object.now).unwrap();
        for due in std::mem::take(&mut flying) {
            object.settle(&due, Some(200), None);
            settled += 1;
            *received.entry(due.event_id).or_default() += 1;
        }
        while let Some(at) = object.machine.next_due().unwrap() {
            object.now = object.now.max(at);
            for due in object.run(200) {
                settled += 1;
                *received.entry(due.event_id).or_default() += 1;
            }
        }
        for report in object.reports() {
            logged.extend(report.attempts.iter().map(|attempt| attempt.id));
        }
        prop_assert_eq!(logged.len(), settled);
        for (id, count) in &reasons {
            let given_up = {
                let row = object.memory.delivery(*id).unwrap();
                row.is_none_or(|row| row.tried >= 10)
            };
            let times = received.get(id).copied().unwrap_or(0);
            prop_assert!(times > 0 || given_up, "{id} was never received");
            prop_assert!(times <= *count, "{id}: {times} of {count}");
        }
    }
}
