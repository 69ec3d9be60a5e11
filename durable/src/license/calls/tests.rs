//! The limits of AI calls, by example and by random histories with a pretended Postgres around them.

mod histories;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::{NoContext, Timestamp, Uuid};

use super::{
    CallAnswer, CallMeta, Confirmed, Ended, Limit, OUTCOME_UNKNOWN, Record, ReserveCall, Settle,
    SettleCall,
};
use crate::license::rules::Machine;
use crate::license::wire::{Outcome, Supply};
use crate::storage::Effects;
use world::World;

/// 2026-06-10: within the period of June.
const START: i64 = 1_781_049_600_000;
const JULY: i64 = 1_782_864_000_000;
const LICENSE: Uuid = Uuid::from_u128(4);
const VENDOR: Uuid = Uuid::from_u128(1);
const OWNER: Uuid = Uuid::from_u128(2);
const KEY: Uuid = Uuid::from_u128(5);
const ROTATED: Uuid = Uuid::from_u128(6);

#[test]
fn requests_end_at_the_limit_and_come_back_when_given_back() {
    let mut world =
        World::new(json!({ "max_ai_requests_per_month": 3, "max_concurrent_tasks": -1 }));
    world.requests = 1;
    let (one, two) = (world.reserve().unwrap(), world.reserve().unwrap());
    assert_eq!(world.reserve(), Err(Limit::Requests));
    world.settle(one, Settle::GivenBack);
    let three = world.reserve().unwrap();
    assert_eq!(world.reserve(), Err(Limit::Requests));
    let end = world.ended(false, None);
    world.settle(three, Settle::Ended(end));
    let last = world.reserve().unwrap();
    let end = world.ended(true, Some(7));
    world.settle(last, Settle::Ended(end.clone()));
    // Told twice, and told of what is not there.
    world.settle(last, Settle::GivenBack);
    world.settle(one, Settle::Ended(end));
    assert_eq!(world.reserve(), Err(Limit::Requests));
    world.settle(two, Settle::GivenBack);
    assert!(world.reserve().is_ok());
}

#[test]
fn so_many_at_a_time() {
    let mut world = World::new(json!({ "max_concurrent_tasks": 2 }));
    let one = world.reserve().unwrap();
    world.reserve().unwrap();
    assert_eq!(world.reserve(), Err(Limit::Concurrency));
    let end = world.ended(true, None);
    world.settle(one, Settle::Ended(end));
    world.reserve().unwrap();
    assert_eq!(world.reserve(), Err(Limit::Concurrency));
    world.restart();
    assert_eq!(world.reserve(), Err(Limit::Concurrency));
}

#[test]
fn a_limit_is_near_before_it_is_reached() {
    let near = |limits, used| {
        let mut world = World::new(limits);
        world.requests = used;
        let id = world.next_id();
        match world.ask(id, 5, Some(1_000)) {
            CallAnswer::Granted { near, .. } => near,
            other => panic!("{other:?}"),
        }
    };
    let limits = |requests, concurrent| json!({ "max_ai_requests_per_month": requests, "max_concurrent_tasks": concurrent });
    assert!(!near(limits(-1, -1), 0) && !near(limits(100, 20), 84));
    assert!(near(limits(100, 20), 85), "requests");
    assert!(near(limits(-1, 15), 0), "calls at a time");
    assert!(
        near(
            json!({ "max_concurrent_tasks": -1, "max_ai_requests_per_month": -1, "max_ai_cost_usd_per_month": 0.00007 }),
            0
        ),
        "money"
    );
}

#[test]
fn the_plan_counts_where_the_license_says_nothing() {
    let mut world = World::new(json!({ "max_concurrent_tasks": -1 }));
    world.requests = 9;
    world.reserve().unwrap();
    assert_eq!(world.reserve(), Err(Limit::Requests));
}

#[test]
fn budgets_hold_what_a_call_may_cost_and_keep_what_it_did() {
    let limits = json!({ "max_ai_cost_usd_per_month": 0.0001, "max_concurrent_tasks": -1 });
    let mut world = World::new(limits);
    world.cost = 40;
    let (one, two, three) = (world.next_id(), world.next_id(), world.next_id());
    assert!(matches!(
        world.ask(one, 60, None),
        CallAnswer::Granted { .. }
    ));
    let full = CallAnswer::Full {
        limit: Limit::Budget,
        most: 100,
        used: 100,
        resets_at: JULY,
    };
    assert_eq!(world.ask(two, 1, None), full);
    let end = world.ended(true, Some(20));
    world.settle(one, Settle::Ended(end));
    assert!(matches!(
        world.ask(two, 40, None),
        CallAnswer::Granted { .. }
    ));
    assert!(matches!(
        world.ask(three, 1, None),
        CallAnswer::Full {
            limit: Limit::Budget,
            used: 100,
            ..
        }
    ));
    world.settle(two, Settle::GivenBack);
    assert!(matches!(
        world.ask(three, 10, Some(65)),
        CallAnswer::Full {
            limit: Limit::KeyBudget,
            used: 60,
            most: 65,
            ..
        }
    ));
    assert!(matches!(
        world.ask(three, 5, Some(65)),
        CallAnswer::Granted { .. }
    ));
}

#[test]
fn a_call_is_let_in_once() {
    let mut world = World::new(json!({}));
    let id = world.reserve().unwrap();
    assert_eq!(world.ask(id, 0, None), CallAnswer::Repeated);
    let end = world.ended(true, None);
    world.settle(id, Settle::Ended(end));
    assert_eq!(world.ask(id, 0, None), CallAnswer::Repeated);
}

#[test]
fn a_call_of_a_task_is_joined_and_counts_once() {
    let mut world = World::new(json!({ "max_concurrent_tasks": 1 }));
    let (id, task) = (world.next_id(), Some(Uuid::from_u128(9)));
    let requests = |answer| match answer {
        CallAnswer::Granted { left, .. } => left.requests.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(requests(world.ask_for(id, 0, None, task)), 9);
    world.now += 30_000;
    // Its time is renewed.
    assert_eq!(requests(world.ask_for(id, 0, None, task)), 9);
    assert_eq!(
        world.machine.next_alarm(world.now),
        Some(world.now + 40_000)
    );
    world.now += 40_000;
    world.alarm();
    assert!(
        world.queue.is_empty() && world.reserve().is_ok(),
        "given back"
    );
    let mut world = World::new(json!({}));
    let id = world.next_id();
    world.ask_for(id, 0, None, task);
    let end = world.ended(true, Some(3));
    world.settle(id, Settle::Ended(end.clone()));
    assert_eq!(requests(world.ask_for(id, 0, None, task)), 9);
    world.settle(id, Settle::Ended(end.clone()));
    world.consume(id, true, 3);
    world.confirm(id, true);
    // Its consumer never heard, and runs it once more: Postgres knows better than to count it again.
    assert_eq!(requests(world.ask_for(id, 0, None, task)), 8);
    world.settle(id, Settle::Ended(end));
    let fresh = world.consume(id, true, 3);
    world.confirm(id, fresh);
    let other = world.next_id();
    assert_eq!(requests(world.ask_for(other, 0, None, None)), 8);
}

#[test]
fn only_a_license_in_force_that_is_the_callers() {
    for (status, code) in [
        ("suspended", "SUSPENDED"),
        ("expired", "EXPIRED"),
        ("cancelled", "CANCELLED"),
    ] {
        let mut world = World::new(json!({}));
        world.status = status;
        let id = world.next_id();
        assert_eq!(world.ask(id, 0, None), CallAnswer::Refused(code.into()));
    }
    let mut world = World::new(json!({}));
    world.reserve().unwrap();
    let ask = |license_id, organization_id, owner_id| ReserveCall {
        call: CallMeta {
            id: Uuid::from_u128(99),
            user_id: OWNER,
            caller_key_id: None,
            account_id: None,
            kind: "chat".into(),
            task_id: None,
            prompt_id: None,
            request_id: "r".into(),
        },
        license_id,
        organization_id,
        owner_id,
        cost_micro: 0,
        key_budget_micro: None,
        patience_ms: 1,
        snapshot_ttl_s: 300,
        supply: None,
    };
    let stranger = Some(Uuid::from_u128(77));
    for foreign in [
        ask(Uuid::from_u128(8), Some(VENDOR), None),
        ask(LICENSE, stranger, None),
        ask(LICENSE, Some(VENDOR), stranger),
    ] {
        let (answer, _) = world.machine.reserve_call(&foreign, START).unwrap();
        assert_eq!(answer, CallAnswer::Missing);
    }
    let own = ask(LICENSE, None, Some(OWNER));
    let (answer, _) = world.machine.reserve_call(&own, START).unwrap();
    assert!(matches!(answer, CallAnswer::Granted { .. }));
}

#[test]
fn what_nobody_told_the_end_of_ends_as_a_record_of_its_own() {
    let mut world = World::new(json!({}));
    let id = world.reserve().unwrap();
    world.restart();
    assert_eq!(
        world.machine.next_alarm(world.now),
        Some(world.now + 40_000)
    );
    world.now += 39_999;
    world.alarm();
    assert!(world.drain().is_empty());
    world.now += 1;
    world.alarm();
    let records = world.drain();
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!((record.call.id, record.license_id), (id, LICENSE));
    assert_eq!(record.ended.error_code.as_deref(), Some(OUTCOME_UNKNOWN));
    assert_eq!((record.ended.cost_micro, record.started_at), (None, START));
    assert_eq!(world.requests, 1);
    assert_eq!(world.machine.next_alarm(world.now), None);
    // Whoever comes late with the real end is heard no more.
    let end = world.ended(true, Some(5));
    world.settle(id, Settle::Ended(end));
    world.now += 1_000_000;
    world.alarm();
    assert!(world.drain().is_empty());
}

#[test]
fn a_record_that_the_queue_lost_is_sent_by_the_object() {
    let mut world = World::new(json!({}));
    let id = world.reserve().unwrap();
    let end = world.ended(true, Some(5));
    world.settle(id, Settle::Ended(end));
    world.now += 90_000;
    world.alarm();
    // The queue loses this one too.
    assert_eq!(std::mem::take(&mut world.queue).len(), 1);
    world.alarm();
    assert!(world.queue.is_empty());
    world.now += 90_000;
    world.alarm();
    assert_eq!(world.drain().len(), 1);
    assert_eq!((world.requests, world.cost), (1, 5));
    assert!(world.rows.keys().all(|key| !key.starts_with("r:")));
}

#[test]
fn a_new_period_begins_with_nothing_used() {
    let mut world = World::new(json!({ "max_ai_requests_per_month": 2 }));
    let late = world.reserve().unwrap();
    world.reserve().unwrap();
    assert_eq!(world.reserve(), Err(Limit::Requests));
    world.now = JULY - 1;
    assert_eq!(world.reserve(), Err(Limit::Requests));
    world.now = JULY;
    world.reserve().unwrap();
    // What ends now began in June and counts there.
    let end = world.ended(true, None);
    world.settle(late, Settle::Ended(end));
    world.reserve().unwrap();
    assert_eq!(world.reserve(), Err(Limit::Requests));
}

#[test]
fn of_a_cancelled_license_nothing_is_kept_once_the_records_are_in() {
    let mut world = World::new(json!({}));
    let id = world.reserve().unwrap();
    let ended = Outcome {
        ended: true,
        ..Outcome::default()
    };
    let effects = world.machine.forget(ended, world.now);
    world.apply(effects);
    assert!(!world.rows.is_empty());
    let end = world.ended(true, None);
    world.settle(id, Settle::Ended(end));
    world.consume(id, true, 0);
    world.confirm(id, true);
    assert!(world.rows.is_empty(), "{:?}", world.rows);
}
