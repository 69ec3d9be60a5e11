//! Examples and random histories of a caller.

use proptest::prelude::*;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use super::rules::{COUNTED, KNOWN, Machine};
use super::wire::{Answer, Ask, Supply};
use crate::shell::Behind;
use crate::storage::Effects;

const SESSION: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

fn raw(value: serde_json::Value) -> Box<RawValue> {
    to_raw_value(&value).unwrap()
}

/// A caller's object with its storage.
struct Object {
    machine: Machine,
    stored: Vec<(String, String)>,
    starts: u8,
}

impl Object {
    fn new() -> Self {
        Self {
            machine: Machine::new([0; 16]),
            stored: Vec::new(),
            starts: 0,
        }
    }

    fn store(&mut self, effects: &Effects) {
        for key in &effects.delete {
            self.stored.retain(|(known, _)| known != key);
        }
        for (key, text) in &effects.put {
            self.stored.retain(|(known, _)| known != key);
            self.stored.push((key.clone(), text.clone()));
        }
    }

    fn ask(&mut self, ask: &Ask<'_>, now: i64) -> Answer {
        let (answer, effects) = self.machine.ask(ask, now).unwrap();
        self.store(&effects);
        answer
    }

    /// What a worker does: asks, and reads `row` when it has to. Returns the answer and whether it read.
    fn call(&mut self, row: &serde_json::Value, session: Option<Uuid>, now: i64) -> (Answer, bool) {
        let ask = asking(session);
        match self.ask(&ask, now) {
            Answer::Need { token } => {
                let data = raw(row.clone());
                let supply = Some(Supply { token, data: &data });
                (self.ask(&Ask { supply, ..ask }, now), true)
            }
            answer => (answer, false),
        }
    }

    fn forget(&mut self, now: i64) {
        let effects = self.machine.forget(Uuid::new_v4(), now);
        self.store(&effects);
    }

    fn restart(&mut self) {
        self.starts += 1;
        self.machine = Machine::new([self.starts; 16]);
        self.machine.restore(&self.stored);
    }
}

fn asking(session: Option<Uuid>) -> Ask<'static> {
    Ask {
        session,
        limit: 10,
        max_age_s: 300,
        profile: false,
        supply: None,
    }
}

fn person(version: u32) -> serde_json::Value {
    json!({ "who": { "v": version }, "session": null })
}

fn version(answer: &Answer) -> Option<u64> {
    match answer {
        Answer::Known { who, .. } => {
            serde_json::from_str::<serde_json::Value>(who.get()).unwrap()["v"].as_u64()
        }
        _ => None,
    }
}

#[test]
fn read_once_and_known_until_something_changes() {
    let mut object = Object::new();
    let (first, read) = object.call(&person(1), Some(SESSION), 0);
    assert_eq!((version(&first), read), (Some(1), true));
    let (second, read) = object.call(&person(2), Some(SESSION), 1_000);
    assert_eq!((version(&second), read), (Some(1), false));
    object.forget(2_000);
    let (third, read) = object.call(&person(2), Some(SESSION), 2_000);
    assert_eq!((version(&third), read), (Some(2), true));
    // Another sign-in of the same person is asked about once.
    let (_, read) = object.call(&person(2), Some(OTHER), 3_000);
    assert!(read);
    assert!(!object.call(&person(2), Some(SESSION), 3_000).1);
    assert!(!object.call(&person(2), Some(OTHER), 3_000).1);
    // Everything is read again when it is old.
    assert!(object.call(&person(2), Some(SESSION), 302_000).1);
}

#[test]
fn what_was_read_before_a_change_is_not_used_after_it() {
    let mut object = Object::new();
    let Answer::Need { token } = object.ask(&asking(None), 0) else {
        panic!("known")
    };
    object.forget(0);
    let data = raw(person(1));
    let supply = Some(Supply { token, data: &data });
    let answer = object.ask(
        &Ask {
            supply,
            ..asking(None)
        },
        1,
    );
    assert!(matches!(answer, Answer::Need { token: new } if new != token));
    // Nor after a restart.
    let Answer::Need { token } = object.ask(&asking(None), 2) else {
        panic!("known")
    };
    object.restart();
    let supply = Some(Supply { token, data: &data });
    assert!(matches!(
        object.ask(
            &Ask {
                supply,
                ..asking(None)
            },
            3
        ),
        Answer::Need { .. }
    ));
}

#[test]
fn nothing_is_kept_while_a_change_is_under_way() {
    let mut object = Object::new();
    object.call(&person(1), None, 0);
    let effects = object.machine.announce(SESSION, 1_000);
    object.store(&effects);
    // Read each time: the change may be committed at any moment, and whoever announced it may have died.
    for now in [2_000, 30_000, 60_999] {
        object.restart();
        assert!(object.call(&person(1), None, now).1);
    }
    assert!(object.call(&person(2), None, 61_000).1);
    assert!(!object.call(&person(2), None, 62_000).1);
    // Another change's outcome ends nothing; its own does.
    let effects = object.machine.announce(SESSION, 70_000);
    object.store(&effects);
    let effects = object.machine.forget(OTHER, 71_000);
    object.store(&effects);
    assert!(object.call(&person(2), None, 71_000).1 && object.call(&person(2), None, 71_000).1);
    let effects = object.machine.forget(SESSION, 72_000);
    object.store(&effects);
    object.restart();
    assert!(object.call(&person(3), None, 72_000).1);
    assert!(!object.call(&person(3), None, 72_000).1);
    // Told once more, it is news to an object that was started again, and then no more.
    for _ in 0..2 {
        let effects = object.machine.forget(SESSION, 73_000);
        object.store(&effects);
        let read = object.call(&person(3), None, 73_000).1;
        assert_eq!(read, effects != Effects::default());
    }
    // However many there are, the last one is waited for.
    for change in 0..50 {
        object
            .machine
            .announce(Uuid::from_u128(change + 100), 80_000 + change as i64);
    }
    for change in 0..50 {
        object.machine.forget(Uuid::from_u128(change + 100), 81_000);
    }
    assert!(object.call(&person(4), None, 90_000).1 && object.call(&person(4), None, 90_000).1);
    assert!(object.call(&person(4), None, 141_000).1);
    assert!(!object.call(&person(4), None, 141_000).1);
}

#[test]
fn ended_sign_ins_and_keys_are_refused_without_being_counted() {
    let mut object = Object::new();
    let ended = json!({ "who": {}, "session": { "ended": true, "lately": false } });
    assert!(matches!(
        object.call(&ended, Some(SESSION), 0).0,
        Answer::Ended
    ));
    assert!(matches!(
        object.call(&ended, Some(SESSION), 1).0,
        Answer::Ended
    ));
    let mut object = Object::new();
    let key = json!({ "who": {}, "api_key_id": OTHER, "expires_ms": 5_000, "limit": 3 });
    let left = |answer| match answer {
        Answer::Known { decision, .. } => decision.remaining,
        _ => panic!("refused"),
    };
    assert_eq!(left(object.call(&key, None, 0).0), 2);
    assert_eq!(left(object.call(&key, None, 4_999).0), 1);
    assert!(matches!(object.call(&key, None, 5_000).0, Answer::Expired));
}

#[test]
fn a_sign_in_is_noted_once_a_minute() {
    let mut object = Object::new();
    let noted = |answer| matches!(answer, Answer::Known { note: true, .. });
    assert!(noted(object.call(&person(1), Some(SESSION), 100_000).0));
    assert!(!noted(object.call(&person(1), Some(SESSION), 159_999).0));
    assert!(noted(object.call(&person(1), Some(SESSION), 160_000).0));
    let lately = json!({ "who": {}, "session": { "ended": false, "lately": true } });
    assert!(!noted(object.call(&lately, Some(OTHER), 160_000).0));
}

#[test]
fn a_lone_request_writes_nothing_and_many_survive_silence() {
    let mut object = Object::new();
    let row = json!({ "who": {}, "limit": 600 });
    object.call(&row, None, 0);
    let (answer, effects) = object.machine.ask(&asking(None), 1).unwrap();
    assert!(matches!(answer, Answer::Known { .. }));
    assert_eq!(effects, Effects::default());
    let mut passed = 2;
    let mut armed = false;
    for at in 0..700 {
        let (answer, effects) = object.machine.ask(&asking(None), 2 + at).unwrap();
        armed |= effects.arm;
        passed += u32::from(matches!(answer, Answer::Known { .. }));
    }
    assert_eq!((passed, armed), (600, true));
    let Behind {
        effects, report, ..
    } = object.machine.write_behind();
    assert!(report.is_none());
    object.store(&effects);
    object.restart();
    assert!(matches!(
        object.call(&row, None, 30_000).0,
        Answer::Limited(_)
    ));
    assert!(matches!(
        object.call(&row, None, 60_001).0,
        Answer::Known { .. }
    ));
}

#[test]
fn uses_of_a_key_are_reported_as_totals() {
    let mut object = Object::new();
    let key = json!({ "who": {}, "api_key_id": OTHER, "limit": 100 });
    for at in 0..5 {
        object.call(&key, None, at);
    }
    let Behind {
        effects, report, ..
    } = object.machine.write_behind();
    object.store(&effects);
    assert!(report.unwrap().contains("\"usage_count\":5"));
    assert!(object.machine.write_behind().report.is_none());
    object.call(&key, None, 10);
    let Behind {
        effects, report, ..
    } = object.machine.write_behind();
    object.store(&effects);
    assert!(report.unwrap().contains("\"usage_count\":6"));
    object.machine.report_again();
    assert!(object.machine.write_behind().report.is_some());
    object.restart();
    object.call(&key, None, 20);
    assert!(
        object
            .machine
            .write_behind()
            .report
            .unwrap()
            .contains("\"usage_count\":7")
    );
}

#[test]
fn rows_that_cannot_be_read_are_as_if_they_were_not_there() {
    let mut object = Object::new();
    for key in [KNOWN, COUNTED, "what"] {
        object.stored.push((key.to_owned(), "{".to_owned()));
    }
    object.restart();
    assert!(matches!(object.ask(&asking(None), 0), Answer::Need { .. }));
    let data = raw(json!([]));
    let Answer::Need { token } = object.ask(&asking(None), 0) else {
        panic!("known")
    };
    let supply = Some(Supply { token, data: &data });
    assert!(
        object
            .machine
            .ask(
                &Ask {
                    supply,
                    ..asking(None)
                },
                0
            )
            .is_err()
    );
}

/// What may happen, in any order.
#[derive(Debug, Clone)]
enum Step {
    /// A request begins: it asks, and reads if it has to.
    Ask(bool),
    /// The oldest request that has read asks again with what it read.
    Supply,
    /// A change is committed, and the object forgets before the answer.
    Change,
    Restart,
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<bool>().prop_map(Step::Ask),
        4 => Just(Step::Supply),
        2 => Just(Step::Change),
        1 => Just(Step::Restart),
        2 => (0..400_000_i64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// No request that begins after a change was answered sees what was before it.
    #[test]
    fn the_very_next_request_sees_a_change(steps in proptest::collection::vec(step(), 1..120)) {
        let mut object = Object::new();
        let (mut now, mut current) = (0, 0);
        // Requests on their way: token, what they read, the version when they began.
        let mut reading: Vec<(u64, u32, u32, bool)> = Vec::new();
        for step in steps {
            match step {
                Step::Ask(session) => match object.ask(&asking(session.then_some(SESSION)), now) {
                    Answer::Need { token } => reading.push((token, current, current, session)),
                    answer => {
                        if let Some(seen) = version(&answer) {
                            prop_assert_eq!(seen, u64::from(current));
                        }
                    }
                },
                Step::Supply if !reading.is_empty() => {
                    let (token, read, began, session) = reading.remove(0);
                    let data = raw(person(read));
                    let supply = Some(Supply { token, data: &data });
                    let ask = Ask { supply, ..asking(session.then_some(SESSION)) };
                    match object.ask(&ask, now) {
                        Answer::Need { token } => reading.push((token, current, began, session)),
                        answer => {
                            if let Some(seen) = version(&answer) {
                                prop_assert!(seen >= u64::from(began));
                            }
                        }
                    }
                }
                Step::Supply => {}
                Step::Change => {
                    current += 1;
                    object.forget(now);
                }
                Step::Restart => object.restart(),
                Step::Wait(ms) => now += ms,
            }
        }
    }
}
