//! What a credit note takes off.

use super::money::share;

/// What a refund of `amount` takes off the taxes, when `taken` was taken off each of them by what `before` of `total`
/// was refunded with: each tax its share of all that is refunded then, as far as nothing is below zero, neither a tax
/// nor the rest of `amount`, which comes off the net. Refunds of everything in parts take off exactly what was charged,
/// also where some of them failed after all.
#[must_use]
pub fn credited(
    total: i64,
    taxes: &[i64],
    taken: &[i64],
    (before, amount): (i64, i64),
    step: i64,
) -> Vec<i64> {
    let refunded = before + amount;
    let mut left = amount;
    let mut parts: Vec<i64> = taxes
        .iter()
        .zip(taken)
        .map(|(tax, taken)| {
            let until = match refunded >= total {
                true => *tax,
                false => share(*tax, refunded, total, step).min(*tax),
            };
            let part = (until - taken).clamp(0, left);
            left -= part;
            part
        })
        .collect();
    // No more is left for the net than it was charged.
    let net = total - taxes.iter().sum::<i64>() - (before - taken.iter().sum::<i64>());
    let mut over = (left - net).max(0);
    for ((part, tax), taken) in parts.iter_mut().zip(taxes).zip(taken) {
        let more = over.min(tax - taken - *part).max(0);
        *part += more;
        over -= more;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn refunds_in_parts_credit_exactly_what_was_charged(
            net in 0_i64..1_000,
            taxes in prop::collection::vec(0_i64..200, 0..4),
            cuts in prop::collection::vec((1_i64..100, any::<bool>()), 1..20),
            step in prop::sample::select(vec![1_i64, 10]),
        ) {
            let taxes: Vec<i64> = taxes.into_iter().map(|tax| tax * step).collect();
            let total = net * step + taxes.iter().sum::<i64>();
            let (mut before, mut taken, mut given) = (0, vec![0; taxes.len()], 0);
            for (cut, fails) in cuts.into_iter().chain([(i64::MAX / step, false)]) {
                let amount = (cut * step).min(total - before);
                let parts = credited(total, &taxes, &taken, (before, amount), step);
                let of_net = amount - parts.iter().sum::<i64>();
                prop_assert!(of_net >= 0 && parts.iter().all(|part| *part >= 0 && part % step == 0), "{} {:?}", of_net, parts);
                // What failed after all was not taken.
                if !fails {
                    before += amount;
                    given += of_net;
                    taken.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
                }
            }
            prop_assert_eq!((before, given, taken), (total, net * step, taxes));
        }
    }
}
