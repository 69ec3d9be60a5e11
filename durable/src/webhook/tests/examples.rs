//! By example.

use super::super::rules::MAX_PENDING;
use super::super::wire::Reason;
use super::*;

#[test]
fn an_event_is_sent_once_and_logged() {
    let mut object = Object::new();
    object.enqueue(active(), &[7, 8]);
    object.enqueue(active(), &[7]);
    let made = object.run(200);
    assert_eq!(made.len(), 2);
    assert_eq!(made[0].body, r#"{"n":7}"#);
    object.enqueue(active(), &[7, 8]);
    assert!(object.run(200).is_empty());
    assert_eq!(object.machine.next_due().unwrap(), None);
    let [report] = &object.reports()[..] else {
        panic!("one message");
    };
    assert_eq!(report.attempts.len(), 2);
    assert_eq!(report.attempts[0].attempt_number, 1);
    assert_eq!(report.attempts[0].response_body.as_deref(), Some("answer"));
    assert!(report.attempts[0].delivered_at.is_some());
    assert_eq!((report.disabled, report.consecutive_failures), (None, 0));
}

#[test]
fn ten_attempts_by_the_schedule_and_no_more() {
    let mut object = Object::new();
    object.enqueue(active(), &[7]);
    let mut pauses = Vec::new();
    while let Some(at) = object.machine.next_due().unwrap() {
        pauses.push((at - object.now) / 1_000);
        object.now = at;
        assert_eq!(object.run(500).len(), 1);
    }
    // Each with half of its jitter.
    assert_eq!(
        pauses,
        [
            0, 5, 314, 1_889, 7_559, 18_899, 37_799, 52_919, 75_599, 90_719
        ]
    );
    let attempts: Vec<_> = object
        .reports()
        .into_iter()
        .flat_map(|r| r.attempts)
        .collect();
    let numbers: Vec<_> = attempts
        .iter()
        .map(|attempt| attempt.attempt_number)
        .collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
    assert!(attempts[8].next_attempt_at.is_some() && attempts[9].next_attempt_at.is_none());
    // Given up is ended too.
    object.enqueue(active(), &[7]);
    assert!(object.run(200).is_empty());
    // Asked for again, it starts over, and the numbers go on.
    object.replay(active(), 7);
    assert_eq!(object.run(200)[0].number, 11);
}

#[test]
fn a_receiver_may_ask_for_patience() {
    let mut object = Object::new();
    object.enqueue(active(), &[7]);
    let due = object.take();
    object.settle(&due[0], Some(429), Some("120"));
    assert_eq!(object.machine.next_due().unwrap(), Some(START + 120_000));
    object.now += 119_999;
    assert!(object.take().is_empty());
    object.now += 1;
    assert_eq!(object.take().len(), 1);
}

#[test]
fn gone_ends_it_until_somebody_changes_it() {
    let mut object = Object::new();
    object.enqueue(active(), &[7, 8, 9]);
    let due = object.take();
    object.settle(&due[0], Some(410), None);
    // Already under way: logged, not tried again, and not disabled twice.
    object.settle(&due[1], Some(410), None);
    object.settle(&due[2], Some(200), None);
    object.crash();
    object.enqueue(active(), &[10]);
    assert!(object.take().is_empty());
    let reports = object.reports();
    let disabled: Vec<_> = reports.iter().map(|report| report.disabled).collect();
    assert_eq!(disabled, [Some(Reason::Gone), None]);
    // As long as the row does not say so, it is told again.
    assert!(object.reports().is_empty());
    object.now += 600_000;
    let again = object.reports();
    assert_eq!(again.len(), 1);
    assert_eq!(
        (again[0].disabled, again[0].attempts.len()),
        (Some(Reason::Gone), 0)
    );
    // A new name does not bring it back.
    object.enqueue(endpoint(2, Status::Active), &[10]);
    assert!(object.take().is_empty() && object.reports().is_empty());
    assert_eq!(reports[1].attempts.len(), 2);
    // The row follows, and then a person.
    object
        .machine
        .configure(endpoint(3, Status::Disabled), START)
        .unwrap();
    object.enqueue(endpoint(3, Status::Disabled), &[11]);
    object.enqueue(endpoint(4, Status::Active), &[12]);
    assert_eq!(object.run(200).len(), 1);
}

#[test]
fn five_days_of_failures_disable() {
    let mut object = Object::new();
    for n in 0..1_000 {
        object.enqueue(active(), &[n]);
        object.run(503);
        object.now += 3_600_000;
    }
    let reports = object.reports();
    let disabled: Vec<_> = reports
        .iter()
        .filter(|report| !report.attempts.is_empty())
        .filter_map(|report| report.disabled)
        .collect();
    assert_eq!(disabled, [Reason::Failing]);
    let stopping = reports
        .iter()
        .find(|report| report.disabled.is_some())
        .unwrap();
    let last = stopping.attempts.last().unwrap();
    assert_eq!(last.created_at.timestamp_millis() - START, 432_000_000);
    assert_eq!(object.machine.next_due().unwrap(), None);
    // Reactivated: the five days begin anew.
    let reactivated = Endpoint {
        generation: 2,
        ..endpoint(3, Status::Active)
    };
    object.enqueue(reactivated, &[2_000]);
    object.run(503);
    assert_eq!(object.reports()[0].disabled, None);
}

#[test]
fn a_success_ends_a_series_of_failures() {
    let mut object = Object::new();
    for (n, status) in [503, 503, 200, 503].into_iter().enumerate() {
        object.enqueue(active(), &[n as u128]);
        object.run(status);
        object.now += 300_000_000;
    }
    let reports = object.reports();
    assert!(reports.iter().all(|report| report.disabled.is_none()));
    // What had failed before comes as well.
    object.run(503);
    assert!(object.reports()[0].consecutive_failures > 1);
}

#[test]
fn paused_waits_and_older_configurations_are_ignored() {
    let mut object = Object::new();
    object.enqueue(endpoint(2, Status::Paused), &[7]);
    object.enqueue(endpoint(1, Status::Active), &[8]);
    object
        .machine
        .configure(endpoint(2, Status::Active), START)
        .unwrap();
    assert!(object.take().is_empty());
    assert_eq!(object.machine.next_due().unwrap(), None);
    object
        .machine
        .configure(endpoint(3, Status::Active), START)
        .unwrap();
    assert_eq!(object.run(200).len(), 2);
    object.enqueue(endpoint(4, Status::Deleted), &[9]);
    object.enqueue(endpoint(3, Status::Active), &[10]);
    assert!(object.take().is_empty());
}

#[test]
fn never_more_than_six_at_a_time() {
    let mut object = Object::new();
    object.enqueue(active(), &(0..20).collect::<Vec<_>>());
    let first = object.take();
    assert_eq!(first.len(), 6);
    assert!(object.take().is_empty());
    object.settle(&first[3], Some(200), None);
    let next = object.take();
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].event_id, Uuid::from_u128(6));
    object.machine.put_back(next[0].event_id);
    assert_eq!(object.take()[0].event_id, Uuid::from_u128(6));
}

#[test]
fn long_journals_travel_in_parts() {
    let mut object = Object::new();
    object.enqueue(active(), &(0..300).collect::<Vec<_>>());
    loop {
        let due = object.take();
        if due.is_empty() {
            break;
        }
        for due in &due {
            let outcome = Outcome {
                started_at: object.now,
                status: Some(200),
                // Six bytes each once written as JSON.
                body: Some("\u{1}".repeat(1_024)),
                ..Outcome::default()
            };
            object.attempts += 1;
            let fresh = (Uuid::from_u128(object.attempts), 0);
            object
                .machine
                .settle(due, outcome, SETTINGS, START, fresh)
                .unwrap();
        }
    }
    let reports = object.reports();
    assert!(reports.len() > 10);
    assert_eq!(
        reports
            .iter()
            .map(|report| report.attempts.len())
            .sum::<usize>(),
        300
    );
    assert!(
        reports
            .windows(2)
            .all(|pair| pair[0].sequence < pair[1].sequence)
    );
}

#[test]
fn an_answer_is_kept_as_the_database_takes_it() {
    use super::super::send::text;
    assert_eq!(text(b"a\0b"), "ab");
    assert_eq!(text(&[b'x'; 2_000]).len(), 1_024);
    // Broken in the middle of a character.
    assert_eq!(text("é".as_bytes().split_at(1).0), "\u{fffd}");
    assert!(text("é".repeat(1_000).as_bytes()).len() <= 1_024);
    assert!(text(&[0xff; 1_024]).len() <= 1_024);
}

#[test]
fn only_time_in_which_something_is_tried_counts() {
    // Nothing waits for a week after the receiver was given up.
    let mut object = Object::new();
    object.enqueue(active(), &[7]);
    while let Some(at) = object.machine.next_due().unwrap() {
        object.now = at;
        object.run(500);
    }
    object.now += 7 * 86_400_000;
    object.crash();
    object.enqueue(active(), &[8]);
    object.run(500);
    assert!(
        object
            .reports()
            .iter()
            .all(|report| report.disabled.is_none())
    );
    // Paused for a week in the middle of failures.
    let mut object = Object::new();
    object.enqueue(active(), &[7]);
    object.run(500);
    object
        .machine
        .configure(endpoint(2, Status::Paused), object.now)
        .unwrap();
    object.now += 7 * 86_400_000;
    object
        .machine
        .configure(endpoint(3, Status::Active), object.now)
        .unwrap();
    assert_eq!(object.run(500).len(), 1);
    let reports = object.reports();
    assert!(reports.iter().all(|report| report.disabled.is_none()));
    let since = reports.last().unwrap().failing_since_ms;
    assert_eq!(since, Some(START + 7 * 86_400_000));
}

#[test]
fn what_was_given_up_is_kept_until_the_row_says_so() {
    let mut object = Object::new();
    object.enqueue(active(), &[7, 8]);
    let due = object.take();
    object.settle(&due[0], Some(410), None);
    object.settle(&due[1], Some(500), None);
    // Somebody activates it before the report has arrived.
    object.now += 600_000;
    let activated = Endpoint {
        generation: 2,
        ..endpoint(2, Status::Active)
    };
    object.machine.configure(activated, object.now).unwrap();
    assert_eq!(object.run(200).len(), 2);
}

#[test]
fn what_an_address_of_before_answers_says_nothing_of_the_one_of_now() {
    let mut object = Object::new();
    object.enqueue(active(), &[7, 8]);
    let due = object.take();
    let moved = Endpoint {
        generation: 2,
        url: "https://example.org/hook".to_owned(),
        ..endpoint(2, Status::Active)
    };
    object.machine.configure(moved, object.now).unwrap();
    object.settle(&due[0], Some(410), None);
    object.settle(&due[1], Some(503), None);
    let reports = object.reports();
    let last = reports.last().unwrap();
    assert_eq!((last.disabled, last.consecutive_failures), (None, 0));
    // Both are tried again there, and what that says counts.
    object.now = object.machine.next_due().unwrap().unwrap();
    assert_eq!(object.run(410).len(), 2);
    let stopped = object
        .reports()
        .into_iter()
        .find_map(|report| report.disabled);
    assert_eq!(stopped, Some(Reason::Gone));
}

#[test]
fn too_much_that_waits_disables_and_goes_in_steps() {
    let mut object = Object::new();
    let paused = endpoint(1, Status::Paused);
    let many: Vec<_> = (0..MAX_PENDING as u128 + 5).collect();
    for part in many.chunks(10_000) {
        object.enqueue(paused.clone(), part);
    }
    assert_eq!(object.memory.pending().unwrap().0, MAX_PENDING);
    let reports = object.reports();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].disabled, Some(Reason::Backlog));
    object
        .machine
        .configure(endpoint(2, Status::Disabled), object.now)
        .unwrap();
    let mut runs = 0;
    while object.machine.next_chore().is_some() {
        object.crash();
        object.machine.tidy(object.now).unwrap();
        runs += 1;
    }
    assert!(runs > 5, "{runs}");
    assert_eq!(object.memory.pending().unwrap(), (0, 0));
    // Brought back in the middle of it, nothing of the old comes out.
    object.enqueue(endpoint(3, Status::Active), &many[..20_000]);
    object
        .machine
        .configure(endpoint(4, Status::Disabled), object.now)
        .unwrap();
    object.enqueue(endpoint(5, Status::Active), &[1_000_000]);
    assert_eq!(object.run(200).len(), 1);
}

#[test]
fn a_deleted_webhook_ends_once_nothing_is_on_its_way_to_it() {
    let mut object = Object::new();
    object.enqueue(active(), &[7, 8]);
    let due = object.take();
    object.settle(&due[0], Some(200), None);
    object.enqueue(endpoint(2, Status::Deleted), &[]);
    object.machine.tidy(object.now + 1).unwrap();
    object.enqueue(active(), &[9]);
    assert!(object.memory.0.borrow().deliveries.is_empty());
    let at = object.machine.next_chore().unwrap();
    object.now = at;
    assert!(
        !object.machine.is_over(at).unwrap(),
        "the journal is not empty"
    );
    object.reports();
    assert!(object.machine.is_over(at).unwrap() && !object.machine.is_over(at - 1).unwrap());
}

#[test]
fn odd_answers_have_a_reason() {
    let mut object = Object::new();
    object.enqueue(active(), &[7]);
    let due = object.take();
    object.settle(&due[0], Some(600), None);
    let attempt = &object.reports()[0].attempts[0];
    assert_eq!(attempt.response_status, None);
    assert!(attempt.error.as_deref().unwrap().contains("600"));
}
