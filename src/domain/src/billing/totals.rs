//! What an order comes to.
//!
//! The discount comes off before tax is taken. Each line is rounded for itself, half up: its discount, then
//! each of its taxes; the totals are sums of lines and are rounded no further. So a line's amounts on the
//! invoice are exactly what was charged for it, and a full credit note is the exact negation.

use super::money::{Currency, share};

/// Parts of a rate: 16 % is 160,000.
pub const PARTS: i64 = 1_000_000;
/// Parts of a percentage off: 100 % is 10,000.
const WHOLE_DISCOUNT: i64 = 10_000;

/// So many of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Price of one, in minor units.
    pub unit: i64,
    /// How many.
    pub quantity: u32,
    /// The discount is for this line too.
    pub discounted: bool,
}

/// What comes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discount {
    /// Nothing.
    None,
    /// Hundredths of a percent.
    Percent(i64),
    /// Minor units, at most what the discounted lines come to.
    Fixed(i64),
}

/// A tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Millionths: 16 % is 160,000.
    pub parts: i64,
    /// Prices include it.
    pub inclusive: bool,
    /// It is not charged to this buyer; where prices include it, it comes off.
    pub exempt: bool,
}

/// One line as it is charged. All in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    /// Price of all, before the discount, without taxes.
    pub list: i64,
    /// What came off of that.
    pub discount: i64,
    /// What remains: the base of the taxes.
    pub net: i64,
    /// Each of the rates in turn.
    pub taxes: Vec<i64>,
}

/// An order as it is charged. `total = subtotal − discount + tax`. All in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// Before the discount, without taxes.
    pub subtotal: i64,
    /// What came off.
    pub discount: i64,
    /// All taxes.
    pub tax: i64,
    /// What is paid.
    pub total: i64,
    /// Each of the rates in turn.
    pub taxes: Vec<i64>,
    /// Line by line.
    pub lines: Vec<Priced>,
}

/// The amounts are beyond what can be sold in one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// Prices an order.
///
/// # Errors
/// [`TooLarge`] when a line or the whole is beyond [`Currency::most`].
pub fn price(
    currency: Currency,
    lines: &[Line],
    discount: Discount,
    rates: &[Rate],
) -> Result<Totals, TooLarge> {
    let fits = |amount: i64| (0..=currency.most()).contains(&amount).then_some(amount);
    let mut gross = Vec::with_capacity(lines.len());
    for line in lines {
        let amount = line.unit.checked_mul(i64::from(line.quantity));
        gross.push(amount.and_then(fits).ok_or(TooLarge)?);
    }
    let sum = gross
        .iter()
        .try_fold(0_i64, |sum, one| sum.checked_add(*one));
    sum.and_then(fits).ok_or(TooLarge)?;
    let step = currency.step();
    let off = discounts(lines, &gross, discount, step);
    let priced: Vec<Priced> = gross
        .iter()
        .zip(off)
        .map(|(gross, off)| priced(*gross, off, rates, step))
        .collect();
    let taxes: Vec<i64> = (0..rates.len())
        .map(|index| priced.iter().map(|line| line.taxes[index]).sum())
        .collect();
    let subtotal = priced.iter().map(|line| line.list).sum::<i64>();
    let discount = priced.iter().map(|line| line.discount).sum::<i64>();
    let tax = taxes.iter().sum::<i64>();
    let total = subtotal - discount + tax;
    fits(total).and(fits(subtotal)).ok_or(TooLarge)?;
    Ok(Totals {
        subtotal,
        discount,
        tax,
        total,
        taxes,
        lines: priced,
    })
}

/// What comes off each line, of its price as it is told.
fn discounts(lines: &[Line], gross: &[i64], discount: Discount, step: i64) -> Vec<i64> {
    let eligible: Vec<i64> = lines
        .iter()
        .zip(gross)
        .map(|(line, gross)| if line.discounted { *gross } else { 0 })
        .collect();
    match discount {
        Discount::None => vec![0; gross.len()],
        Discount::Percent(percent) => eligible
            .iter()
            .map(|amount| {
                share(
                    *amount,
                    percent.clamp(0, WHOLE_DISCOUNT),
                    WHOLE_DISCOUNT,
                    step,
                )
            })
            .collect(),
        Discount::Fixed(amount) => {
            let whole = eligible.iter().sum::<i64>();
            let amount = amount.clamp(0, whole) / step * step;
            // What has come off the lines so far is always the share of what was looked at so far: so the
            // parts sum up to the whole.
            let (mut seen, mut given) = (0, 0);
            eligible
                .iter()
                .map(|line| {
                    seen += line;
                    let until = share(amount, seen, whole.max(1), step).min(amount);
                    let part = until - given;
                    given = until;
                    part
                })
                .collect()
        }
    }
}

fn priced(gross: i64, off: i64, rates: &[Rate], step: i64) -> Priced {
    let list = without_tax(gross, rates, step);
    let left = gross - off;
    let net = without_tax(left, rates, step);
    let mut included = left - net;
    let mut inside: i64 = inclusive(rates);
    let taxes = rates
        .iter()
        .map(|rate| match (rate.inclusive, rate.exempt) {
            (true, exempt) => {
                // The last one has what the others leave.
                let part = share(included, rate.parts, inside.max(1), step).min(included);
                included -= part;
                inside -= rate.parts;
                if exempt { 0 } else { part }
            }
            (false, true) => 0,
            (false, false) => share(net, rate.parts, PARTS, step),
        })
        .collect();
    Priced {
        list,
        discount: list - net,
        net,
        taxes,
    }
}

fn inclusive(rates: &[Rate]) -> i64 {
    let inside = rates.iter().filter(|rate| rate.inclusive);
    inside.map(|rate| rate.parts).sum()
}

fn without_tax(gross: i64, rates: &[Rate], step: i64) -> i64 {
    share(gross, PARTS, PARTS + inclusive(rates), step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd() -> Currency {
        Currency::parse("USD").unwrap()
    }

    fn line(unit: i64, quantity: u32) -> Line {
        Line {
            unit,
            quantity,
            discounted: true,
        }
    }

    fn tax(percent: i64) -> Rate {
        Rate {
            parts: percent * 10_000,
            inclusive: false,
            exempt: false,
        }
    }

    #[test]
    fn the_discount_comes_off_before_tax() {
        let totals = price(
            usd(),
            &[line(10_000, 1)],
            Discount::Fixed(1_000),
            &[tax(20)],
        )
        .unwrap();
        assert_eq!(
            (totals.subtotal, totals.discount, totals.tax, totals.total),
            (10_000, 1_000, 1_800, 10_800)
        );
        let percent = price(
            usd(),
            &[line(10_000, 1)],
            Discount::Percent(1_000),
            &[tax(20)],
        );
        assert_eq!(percent.unwrap(), totals);
    }

    #[test]
    fn prices_may_include_tax() {
        let inside = Rate {
            inclusive: true,
            ..tax(21)
        };
        let totals = price(
            usd(),
            &[line(12_100, 1)],
            Discount::Percent(1_000),
            &[inside],
        )
        .unwrap();
        assert_eq!(
            (totals.subtotal, totals.discount, totals.tax, totals.total),
            (10_000, 1_000, 1_890, 10_890)
        );
        let exempt = Rate {
            exempt: true,
            ..inside
        };
        let totals = price(usd(), &[line(12_100, 1)], Discount::None, &[exempt]).unwrap();
        assert_eq!((totals.tax, totals.total), (0, 10_000));
    }

    #[test]
    fn country_and_state_both_tax() {
        let quebec = Rate {
            parts: 99_750,
            ..tax(0)
        };
        let totals = price(usd(), &[line(10_000, 1)], Discount::None, &[tax(5), quebec]).unwrap();
        assert_eq!(totals.taxes, [500, 998]);
        assert_eq!(totals.total, 11_498);
    }

    #[test]
    fn lines_are_rounded_one_by_one() {
        let lines = [line(333, 1), line(333, 1), line(333, 1)];
        let totals = price(usd(), &lines, Discount::None, &[tax(20)]).unwrap();
        assert_eq!(totals.tax, 3 * 67);
        let totals = price(usd(), &lines, Discount::Fixed(100), &[]).unwrap();
        let off: Vec<_> = totals.lines.iter().map(|line| line.discount).collect();
        assert_eq!(off.iter().sum::<i64>(), 100);
        assert!(off.iter().all(|one| (33..=34).contains(one)), "{off:?}");
    }

    #[test]
    fn currencies_without_decimals_and_with_three() {
        let yen = Currency::parse("JPY").unwrap();
        let totals = price(yen, &[line(999, 1)], Discount::Percent(1_000), &[tax(10)]).unwrap();
        assert_eq!((totals.discount, totals.tax, totals.total), (100, 90, 989));
        let dinar = Currency::parse("KWD").unwrap();
        let totals = price(
            dinar,
            &[line(5_120, 1)],
            Discount::Percent(3_333),
            &[tax(5)],
        )
        .unwrap();
        assert!(totals.total % 10 == 0 && totals.tax % 10 == 0, "{totals:?}");
    }

    #[test]
    fn what_is_not_discounted_keeps_its_price() {
        let lines = [
            line(1_000, 1),
            Line {
                discounted: false,
                ..line(5_000, 1)
            },
        ];
        for discount in [Discount::Percent(5_000), Discount::Fixed(99_999)] {
            let totals = price(usd(), &lines, discount, &[]).unwrap();
            assert_eq!(totals.lines[1].discount, 0);
            assert!(totals.discount <= 1_000);
        }
    }

    #[test]
    fn what_is_too_large_is_refused() {
        for lines in [
            vec![line(i64::MAX, 2)],
            vec![line(999_999_999_999, 1), line(1, 1)],
            vec![line(-1, 1)],
        ] {
            assert_eq!(price(usd(), &lines, Discount::None, &[]), Err(TooLarge));
        }
        let most = [line(999_999_999_999, 1)];
        assert!(price(usd(), &most, Discount::None, &[]).is_ok());
        assert_eq!(
            price(usd(), &most, Discount::None, &[tax(1)]),
            Err(TooLarge)
        );
    }

    fn rates() -> impl Strategy<Value = Vec<Rate>> {
        prop::collection::vec(
            (0_i64..=400_000, any::<bool>(), any::<bool>()).prop_map(
                |(parts, inclusive, exempt)| Rate {
                    parts,
                    inclusive,
                    exempt,
                },
            ),
            0..4,
        )
    }

    fn discount() -> impl Strategy<Value = Discount> {
        prop_oneof![
            Just(Discount::None),
            (0_i64..=10_000).prop_map(Discount::Percent),
            (0_i64..=5_000_000).prop_map(Discount::Fixed),
        ]
    }

    proptest! {
        #[test]
        fn the_sums_are_right(
            code in prop::sample::select(vec!["USD", "JPY", "KWD", "UGX"]),
            units in prop::collection::vec((0_i64..1_000_000, 1_u32..20, any::<bool>()), 1..6),
            discount in discount(),
            rates in rates(),
        ) {
            let currency = Currency::parse(code).unwrap();
            let step = currency.step();
            let lines: Vec<_> = units.iter()
                .map(|(unit, quantity, discounted)| Line { unit: unit * step, quantity: *quantity, discounted: *discounted })
                .collect();
            let totals = price(currency, &lines, discount, &rates).unwrap();
            prop_assert_eq!(totals.total, totals.subtotal - totals.discount + totals.tax);
            prop_assert!(totals.discount >= 0 && totals.discount <= totals.subtotal && totals.tax >= 0);
            prop_assert_eq!(totals.total, totals.lines.iter().map(|l| l.net + l.taxes.iter().sum::<i64>()).sum::<i64>());
            for amount in [totals.subtotal, totals.discount, totals.tax, totals.total] {
                prop_assert_eq!(amount % step, 0);
            }
            // Where prices include every tax, exactly the price is paid.
            if rates.iter().all(|rate| rate.inclusive && !rate.exempt) && matches!(discount, Discount::None) {
                prop_assert_eq!(totals.total, lines.iter().map(|l| l.unit * i64::from(l.quantity)).sum::<i64>());
            }
        }
    }
}
