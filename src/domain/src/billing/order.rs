//! Where an order is in its life, and what may become of it.

use serde::{Deserialize, Serialize};

/// Stored status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "OrderStatus"))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Made, nobody has begun to pay.
    Pending,
    /// A payment is under way.
    Processing,
    /// Paid, and what was bought is there.
    Completed,
    /// The last attempt to pay it failed; it can be paid still.
    Failed,
    /// Given up before it was paid, or never paid in time.
    Cancelled,
    /// Paid back in whole.
    Refunded,
}

impl Status {
    /// The value of the database's `order_status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
        }
    }

    /// Nobody has paid it, and somebody still can.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Processing | Self::Failed)
    }

    /// It was paid, whatever became of the money later.
    #[must_use]
    pub fn is_paid(self) -> bool {
        matches!(self, Self::Completed | Self::Refunded)
    }
}

/// What happens to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Somebody begins to pay.
    PaymentBegun,
    /// An attempt to pay failed.
    PaymentFailed,
    /// The money arrived.
    Paid,
    /// It is given up, or its time is over.
    GivenUp,
    /// All of it was paid back.
    PaidBack,
    /// A refund that seemed to have succeeded failed after all.
    RefundFailed,
}

/// Why an order does not change as wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is paid.
    Paid,
    /// It was given up.
    Cancelled,
    /// It was never paid.
    Unpaid,
}

/// What an order is after an event. What happened before, and what comes too late to matter, changes nothing:
/// gateways tell things twice and in any order.
///
/// # Errors
/// Why it cannot be: money for an order that was given up is for an operator to look at.
pub fn next(status: Status, event: Event) -> Result<Status, Refusal> {
    use Status::{Cancelled, Completed, Failed, Pending, Processing, Refunded};
    Ok(match (status, event) {
        (Pending | Failed | Processing, Event::PaymentBegun) => Processing,
        (Pending | Failed | Processing, Event::PaymentFailed) => Failed,
        (Pending | Failed | Processing, Event::Paid) => Completed,
        (Pending | Failed | Processing | Cancelled, Event::GivenUp) => Cancelled,
        (Pending | Failed | Processing, Event::PaidBack | Event::RefundFailed) => {
            return Err(Refusal::Unpaid);
        }
        // That an attempt failed is old news once another succeeded.
        (Completed | Refunded, Event::Paid | Event::PaymentFailed) => status,
        (Completed | Refunded, Event::PaidBack) => Refunded,
        (Completed | Refunded, Event::RefundFailed) => Completed,
        (Completed | Refunded, Event::PaymentBegun | Event::GivenUp) => return Err(Refusal::Paid),
        (Cancelled, Event::PaymentFailed) => Cancelled,
        (Cancelled, _) => return Err(Refusal::Cancelled),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVENTS: [Event; 6] = [
        Event::PaymentBegun,
        Event::PaymentFailed,
        Event::Paid,
        Event::GivenUp,
        Event::PaidBack,
        Event::RefundFailed,
    ];

    fn run(events: &[Event]) -> Status {
        events.iter().fold(Status::Pending, |status, event| {
            next(status, *event).unwrap_or(status)
        })
    }

    #[test]
    fn a_life() {
        use Event::*;
        assert_eq!(
            run(&[PaymentBegun, PaymentFailed, PaymentBegun, Paid]),
            Status::Completed
        );
        assert_eq!(run(&[Paid, PaymentFailed, Paid]), Status::Completed);
        assert_eq!(run(&[PaymentFailed, Paid]), Status::Completed);
        assert_eq!(run(&[GivenUp, Paid]), Status::Cancelled);
        assert_eq!(next(Status::Cancelled, Paid), Err(Refusal::Cancelled));
        assert_eq!(next(Status::Completed, GivenUp), Err(Refusal::Paid));
        assert_eq!(run(&[Paid, PaidBack, RefundFailed]), Status::Completed);
        assert_eq!(next(Status::Pending, PaidBack), Err(Refusal::Unpaid));
    }

    proptest! {
        #[test]
        fn what_is_told_twice_changes_nothing_more(events in prop::collection::vec(0..6_usize, 0..12), last in 0..6_usize) {
            let events: Vec<_> = events.into_iter().map(|index| EVENTS[index]).collect();
            let before = run(&events);
            let once = next(before, EVENTS[last]).unwrap_or(before);
            prop_assert_eq!(next(once, EVENTS[last]).unwrap_or(once), once);
        }

        #[test]
        fn what_is_paid_stays_paid(events in prop::collection::vec(0..6_usize, 0..12)) {
            let mut status = run(&[Event::Paid]);
            for index in events {
                status = next(status, EVENTS[index]).unwrap_or(status);
                prop_assert!(status.is_paid());
            }
        }
    }
}
