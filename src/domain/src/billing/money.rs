//! Currencies and amounts.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The currencies that there are.
const KNOWN: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD CDF \
    CHF CLP CNY COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS \
    INR ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK MXN MYR \
    MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SEK SGD SHP SLE SOS SRD STN \
    SVC SZL THB TJS TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW";

/// Currencies without decimals.
const WHOLE: &[&str] = &[
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF",
    "XOF", "XPF",
];
/// Currencies with three decimals, of which the card networks take two: the last digit is 0.
const THOUSANDTHS: &[&str] = &["BHD", "JOD", "KWD", "OMR", "TND"];
/// Currencies without decimals that the gateway counts in hundredths all the same, ending in 00.
const WHOLE_IN_HUNDREDTHS: &[&str] = &["ISK", "UGX"];

/// What the columns for money hold, in hundredths of the major unit.
pub const MOST_HUNDREDTHS: i64 = 999_999_999_999;

/// A currency, with how its money is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Reads an ISO 4217 code in capitals.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        let bytes: [u8; 3] = code.as_bytes().try_into().ok()?;
        bytes
            .iter()
            .all(u8::is_ascii_uppercase)
            .then_some(Self(bytes))
    }

    /// Whether there is such a currency (ISO 4217, those that gateways take).
    #[must_use]
    pub fn is_known(&self) -> bool {
        KNOWN.split(' ').any(|code| code == self.as_str())
    }

    /// The ISO 4217 code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Decimals of the minor unit that the gateway counts in.
    #[must_use]
    pub fn exponent(self) -> u32 {
        let code = self.as_str();
        if WHOLE.contains(&code) {
            0
        } else if THOUSANDTHS.contains(&code) {
            3
        } else {
            2
        }
    }

    /// Decimals that people see.
    #[must_use]
    pub fn decimals(self) -> u32 {
        match WHOLE_IN_HUNDREDTHS.contains(&self.as_str()) {
            true => 0,
            false => self.exponent(),
        }
    }

    /// Amounts are multiples of so many minor units.
    #[must_use]
    pub fn step(self) -> i64 {
        let code = self.as_str();
        if THOUSANDTHS.contains(&code) {
            10
        } else if WHOLE_IN_HUNDREDTHS.contains(&code) {
            100
        } else {
            1
        }
    }

    /// The largest amount that is sold, in minor units.
    #[must_use]
    pub fn most(self) -> i64 {
        match self.exponent() {
            0 => MOST_HUNDREDTHS / 100,
            3 => MOST_HUNDREDTHS * 10,
            _ => MOST_HUNDREDTHS,
        }
    }

    /// Reads a decimal number of major units: `108.00`. None for one that is no amount of the currency.
    #[must_use]
    pub fn minor(self, text: &str) -> Option<i64> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return None;
        }
        let exponent = self.exponent() as usize;
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > exponent {
            return None;
        }
        let minor: i64 = format!("{whole}{fraction:0<exponent$}").parse().ok()?;
        (minor % self.step() == 0 && minor <= self.most()).then_some(minor)
    }

    /// The amount in major units, as the database has it and everybody reads it: `108.00`.
    #[must_use]
    pub fn major(self, minor: i64) -> String {
        decimal(minor, self.exponent(), self.decimals())
    }
}

/// `minor` with `shown` of its `exponent` decimals, which are never fewer than the amount needs.
fn decimal(minor: i64, exponent: u32, shown: u32) -> String {
    let base = 10_i64.pow(exponent);
    let sign = if minor < 0 { "-" } else { "" };
    let (whole, rest) = (
        minor.unsigned_abs() / base as u64,
        minor.unsigned_abs() % base as u64,
    );
    if shown == 0 && rest == 0 {
        return format!("{sign}{whole}");
    }
    format!("{sign}{whole}.{rest:0width$}", width = exponent as usize)
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::parse(&code).ok_or_else(|| serde::de::Error::custom("expected a currency, as USD"))
    }
}

/// `amount · numerator / denominator`, rounded half up to a multiple of `step`. All are positive or zero.
#[must_use]
pub fn share(amount: i64, numerator: i64, denominator: i64, step: i64) -> i64 {
    let unit = i128::from(denominator) * i128::from(step);
    if unit <= 0 {
        return 0;
    }
    let exact = i128::from(amount) * i128::from(numerator);
    let steps = (2 * exact + unit).div_euclid(2 * unit);
    i64::try_from(steps)
        .unwrap_or(i64::MAX)
        .saturating_mul(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    #[test]
    fn amounts_are_counted_as_the_gateway_counts() {
        for (code, text, minor, shown) in [
            ("USD", "108.00", 10_800, "108.00"),
            ("EUR", "0.5", 50, "0.50"),
            ("JPY", "500.00", 500, "500"),
            ("KWD", "5.12", 5_120, "5.120"),
            ("UGX", "5", 500, "5"),
            ("ISK", "1200.00", 120_000, "1200"),
            ("HUF", "175.50", 17_550, "175.50"),
        ] {
            assert_eq!(of(code).minor(text), Some(minor), "{code} {text}");
            assert_eq!(of(code).major(minor), shown);
        }
        for (code, text) in [
            ("USD", "0.001"),
            ("JPY", "1.5"),
            ("KWD", "5.124"),
            ("UGX", "5.50"),
            ("USD", "-1"),
            ("USD", ""),
            ("USD", ".5"),
            ("USD", "1e3"),
            ("USD", "10000000000.00"),
            ("USD", "99999999999999999999"),
        ] {
            assert_eq!(of(code).minor(text), None, "{code} {text}");
        }
        for code in ["usd", "US", "USDX", "", "U1D", "éa"] {
            assert_eq!(Currency::parse(code), None, "{code}");
        }
    }

    #[test]
    fn halves_are_rounded_up() {
        assert_eq!(share(5, 1, 2, 1), 3);
        assert_eq!(share(1, 1, 3, 1), 0);
        assert_eq!(share(1_000, 21, 100, 10), 210);
        assert_eq!(share(1_005, 1, 1, 10), 1_010);
        assert_eq!(share(1, 1, 0, 1), 0);
    }

    proptest! {
        #[test]
        fn an_amount_survives_its_text(code in prop::sample::select(vec!["USD", "JPY", "KWD", "UGX"]), steps in 0_i64..9_000_000) {
            let currency = of(code);
            let minor = steps * currency.step();
            prop_assert_eq!(currency.minor(&currency.major(minor)), Some(minor));
        }
    }
}
