//! Random histories.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Event {
    Validate(u8),
    Wait(i64),
    Forget,
    /// A change of the status: told before, committed, and, unless the worker
    /// died, told after.
    Status {
        active: bool,
        dies: bool,
    },
    Report {
        fails: bool,
        consumed: bool,
        confirmed: bool,
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
        3 => (any::<bool>(), any::<bool>()).prop_map(|(active, dies)| Event::Status { active, dies }),
        3 => any::<[bool; 3]>().prop_map(|[fails, consumed, confirmed]| Event::Report { fails, consumed, confirmed }),
        1 => Just(Event::Restart),
        1 => (0..9_u8).prop_map(Event::Reserve),
        1 => (0..9_u8).prop_map(Event::ManualBind),
        1 => (0..9_u8).prop_map(Event::Unbind),
        1 => Just(Event::ReadSlowly),
        1 => Just(Event::UseSlowRead),
    ]
}

/// A read that is used late.
struct Slow {
    token: u64,
    data: Box<RawValue>,
    /// The license has been suspended all the time since.
    suspended: bool,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: never more addresses than slots, and
    /// never VALID for a validation that began after a suspension was committed,
    /// whether or not the worker lived to tell.
    #[test]
    fn histories(events in proptest::collection::vec(event(), 1..80), max in 0..4_usize) {
        let mut object = Object::new();
        let mut row = Row::limits(json!({"max_ips": max}));
        let mut slow: Option<Slow> = None;
        let mut change = 0_u128;
        for event in events {
            match event {
                Event::Validate(n) => {
                    let data = object.validate(&ip(n), &row);
                    if row.status == "suspended" {
                        prop_assert_eq!(&data["code"], "SUSPENDED");
                        prop_assert_eq!(&data["license"], &Value::Null);
                    } else {
                        prop_assert!(data["code"] != "SUSPENDED");
                    }
                    if data["valid"] == true {
                        prop_assert!(data["remaining_ips"].as_i64().unwrap() >= 0);
                    }
                }
                Event::Wait(ms) => object.now += ms,
                Event::Forget => object.forget(),
                Event::Status { active, dies } => {
                    change += 1;
                    object.announce(change);
                    match active {
                        true => row.reactivate(),
                        false => row.status = "suspended",
                    }
                    if let Some(slow) = &mut slow {
                        slow.suspended &= !active;
                    }
                    if !dies {
                        object.told(Outcome { change: Some(Uuid::from_u128(change)), ended: false });
                    }
                }
                Event::Report { fails: true, .. } => {
                    let outgoing = object.machine.take(object.now);
                    object.machine.unsent(&outgoing);
                }
                Event::Report { consumed, confirmed, .. } => {
                    for batch in object.report() {
                        if consumed {
                            let ids = row.consume(&batch);
                            if confirmed { object.confirm(&ids); }
                        }
                    }
                }
                Event::Restart => object.restart(),
                Event::Reserve(n) => {
                    change += 1;
                    object.reserve(Uuid::from_u128(change), &ip(n), &row);
                }
                Event::ManualBind(n) => {
                    change += 1;
                    let id = Uuid::from_u128(change);
                    if object.reserve(id, &ip(n), &row) == Reservation::Held {
                        object.announce(change);
                        row.bindings.insert(id, (ip(n), true));
                        object.told(Outcome { change: Some(id), ended: false });
                    }
                }
                Event::Unbind(n) => {
                    change += 1;
                    // As the handler does it: what the object has comes first.
                    for binding in object.machine.pending().bindings {
                        let address = binding.ip.to_string();
                        if !row.bindings.values().any(|(other, active)| *active && *other == address) {
                            row.bindings.entry(binding.id).or_insert((address, true));
                        }
                    }
                    object.announce(change);
                    for (address, active) in row.bindings.values_mut() {
                        *active &= *address != ip(n);
                    }
                    object.told(Outcome { change: Some(Uuid::from_u128(change)), ended: false });
                }
                Event::ReadSlowly => if let Answer::NeedSnapshot(Wanted { token, waiting }) = object.ask(&ip(0)) {
                    slow = Some(Slow { token, data: row.json(&waiting), suspended: row.status == "suspended" });
                },
                Event::UseSlowRead => if let Some(Slow { token, data, suspended }) = slow.take() {
                    let check = Check { supply: Some(Supply::Data { token, data: &data }), ..check("192.0.2.0") };
                    if let Answer::Verdict { data, .. } = object.raw(&check) {
                        prop_assert!(!suspended || data.contains("SUSPENDED"));
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
    }
}
