//! Random histories.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Event {
    Validate(u8),
    Wait(i64),
    Forget,
    Revoke,
    Reactivate,
    Flush {
        fails: bool,
        consumed: bool,
    },
    Restart,
    Reserve(u8),
    ManualBind(u8),
    Unbind(u8),
    /// Read now, use after the other events.
    ReadSlowly,
    UseSlowRead,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..9_u8).prop_map(Event::Validate),
        3 => prop_oneof![0..5_000_i64, 0..400_000_i64].prop_map(Event::Wait),
        1 => Just(Event::Forget),
        1 => Just(Event::Revoke),
        1 => Just(Event::Reactivate),
        3 => (any::<bool>(), any::<bool>()).prop_map(|(fails, consumed)| Event::Flush { fails, consumed }),
        1 => Just(Event::Restart),
        1 => (0..9_u8).prop_map(Event::Reserve),
        1 => (0..9_u8).prop_map(Event::ManualBind),
        1 => (0..9_u8).prop_map(Event::Unbind),
        1 => Just(Event::ReadSlowly),
        1 => Just(Event::UseSlowRead),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: never more addresses than slots,
    /// never VALID after a revocation was told, every validation logged once.
    #[test]
    fn histories(events in proptest::collection::vec(event(), 1..80), max in 0..4_usize) {
        let mut object = Object::new();
        let mut row = Row::limits(json!({"max_ips": max}));
        let mut slow: Option<(u64, Box<RawValue>)> = None;
        let (mut judged, mut logged, mut unlogged_at_restart) = (0, HashMap::<Uuid, usize>::new(), 0);
        let mut reserved = 0_u128;
        for event in events {
            match event {
                Event::Validate(n) => {
                    let data = object.validate(&ip(n), &row);
                    judged += 1;
                    if row.status == "suspended" {
                        prop_assert_eq!(&data["code"], "SUSPENDED");
                        prop_assert_eq!(&data["license"], &Value::Null);
                    }
                    if data["valid"] == true {
                        prop_assert!(data["remaining_ips"].as_i64().unwrap() >= 0);
                    }
                }
                Event::Wait(ms) => object.now += ms,
                Event::Forget => object.forget(),
                Event::Revoke => { row.status = "suspended"; object.forget(); }
                Event::Reactivate => { row.status = "active"; object.forget(); }
                Event::Flush { fails: true, .. } => {
                    for message in object.machine.take_messages() {
                        object.machine.unsent(message);
                    }
                }
                Event::Flush { consumed, .. } => {
                    for batch in object.flush() {
                        for entry in &batch.validations {
                            *logged.entry(entry.id).or_default() += 1;
                        }
                        if consumed { row.consume(&batch); }
                    }
                }
                Event::Restart => {
                    for batch in object.machine.take_messages() {
                        let batch: LogBatch = serde_json::from_str(&batch.body).unwrap();
                        unlogged_at_restart += batch.validations.len();
                    }
                    object.restart();
                }
                Event::Reserve(n) => {
                    reserved += 1;
                    object.reserve(Uuid::from_u128(reserved), &ip(n), &row);
                }
                Event::ManualBind(n) => {
                    reserved += 1;
                    let id = Uuid::from_u128(reserved);
                    if object.reserve(id, &ip(n), &row) == Reservation::Held {
                        row.bindings.insert(id, (ip(n), true));
                        object.forget();
                    }
                }
                Event::Unbind(n) => {
                    // As the handler does it: what the object has comes first.
                    for binding in object.machine.pending().bindings {
                        let address = binding.ip.to_string();
                        if !row.bindings.values().any(|(other, active)| *active && *other == address) {
                            row.bindings.entry(binding.id).or_insert((address, true));
                        }
                    }
                    for (address, active) in row.bindings.values_mut() {
                        *active &= *address != ip(n);
                    }
                    object.forget();
                }
                Event::ReadSlowly => match object.ask(&ip(0)) {
                    Answer::NeedSnapshot { token } => slow = Some((token, row.json())),
                    _ => judged += 1,
                },
                Event::UseSlowRead => if let Some((token, data)) = slow.take() {
                    let check = Check { supply: Some(Supply::Data { token, data: &data }), ..check("192.0.2.0") };
                    if let Answer::Verdict(data) = object.raw(&check) {
                        judged += 1;
                        prop_assert!(row.status != "suspended" || data.contains("SUSPENDED"));
                    }
                },
            }
            // The slots: what Postgres shows and what the object gave since.
            let active = row.bindings.values().filter(|(_, active)| *active).map(|(ip, _)| ip.clone());
            let pending = object.machine.pending().bindings;
            let own = pending.iter().filter(|b| !row.bindings.contains_key(&b.id)).map(|b| b.ip.to_string());
            let slots: HashSet<String> = active.chain(own).collect();
            prop_assert!(slots.len() <= max, "{slots:?}");
        }
        for batch in object.flush() {
            for entry in &batch.validations {
                *logged.entry(entry.id).or_default() += 1;
            }
        }
        prop_assert!(logged.values().all(|times| *times == 1));
        prop_assert_eq!(logged.len() + unlogged_at_restart, judged);
    }
}
