//! How Stripe signs what it tells: `Stripe-Signature: t=<unix>,v1=<hex>[,v1=…]`.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::hex::hex;

/// How far the time of a signature may be from ours, in seconds, in the past and in the future.
pub const TOLERANCE_S: i64 = 300;
/// Signatures of one header that are looked at: there is one for each secret that is not yet retired.
const MOST: usize = 10;

/// Why an event is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no signature that could be checked.
    Malformed,
    /// None of the signatures is of this body by one of the secrets.
    Wrong,
    /// It is right, and was made too long ago, or is of the future.
    OutOfTime,
}

/// Whether `header` holds a signature of `body` by one of `secrets` (whole, with their `whsec_`).
///
/// # Errors
/// Why not.
pub fn verify<'a>(
    header: &str,
    body: &[u8],
    secrets: impl Iterator<Item = &'a str>,
    now_s: i64,
) -> Result<(), Refusal> {
    let mut time = None;
    let mut given = Vec::new();
    for (name, value) in header
        .split(',')
        .filter_map(|part| part.trim().split_once('='))
    {
        match name {
            "t" => time = value.parse::<i64>().ok(),
            "v1" if given.len() < MOST => given.push(value),
            _ => {}
        }
    }
    let time = time.ok_or(Refusal::Malformed)?;
    if given.is_empty() {
        return Err(Refusal::Malformed);
    }
    let mut right = false;
    for secret in secrets {
        for signature in &given {
            right |= is_of(secret, time, body, signature);
        }
    }
    if !right {
        return Err(Refusal::Wrong);
    }
    match now_s.checked_sub(time).map(i64::abs) {
        Some(apart) if apart <= TOLERANCE_S => Ok(()),
        _ => Err(Refusal::OutOfTime),
    }
}

fn mac(secret: &str, time: i64, body: &[u8]) -> Option<Hmac<Sha256>> {
    // HMAC takes a key of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(format!("{time}.").as_bytes());
    mac.update(body);
    Some(mac)
}

/// Compares in constant time.
fn is_of(secret: &str, time: i64, body: &[u8], signature: &str) -> bool {
    let Some(mac) = mac(secret, time, body) else {
        return false;
    };
    let expected = hex(&mac.finalize().into_bytes());
    subtle::ConstantTimeEq::ct_eq(expected.as_bytes(), signature.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_test_secret";
    const BODY: &[u8] = br#"{"id":"evt_1"}"#;
    const NOW: i64 = 1_700_000_000;

    fn signed(secret: &str, time: i64, body: &[u8]) -> String {
        let mac = mac(secret, time, body).unwrap();
        hex(&mac.finalize().into_bytes())
    }

    fn check(header: &str) -> Result<(), Refusal> {
        verify(header, BODY, [SECRET, "whsec_old"].into_iter(), NOW)
    }

    #[test]
    fn any_signature_by_any_secret_counts() {
        let good = signed(SECRET, NOW, BODY);
        let old = signed("whsec_old", NOW, BODY);
        for header in [
            format!("t={NOW},v1={good}"),
            format!("t={NOW},v1={}, v1={old},v0=x", "0".repeat(64)),
            format!("v1={good},t={NOW}"),
        ] {
            assert_eq!(check(&header), Ok(()), "{header}");
        }
    }

    #[test]
    fn what_is_refused() {
        let good = signed(SECRET, NOW, BODY);
        let other = signed(SECRET, NOW, b"{}");
        let stranger = signed("whsec_other", NOW, BODY);
        for (header, why) in [
            (String::new(), Refusal::Malformed),
            (format!("v1={good}"), Refusal::Malformed),
            (format!("t={NOW},v0={good}"), Refusal::Malformed),
            (format!("t=x,v1={good}"), Refusal::Malformed),
            (format!("t={NOW},v1={other}"), Refusal::Wrong),
            (format!("t={NOW},v1={stranger}"), Refusal::Wrong),
            (format!("t={},v1={good}", NOW - 1), Refusal::Wrong),
            (
                format!("t={NOW},v1={}", good.to_uppercase()),
                Refusal::Wrong,
            ),
        ] {
            assert_eq!(check(&header), Err(why), "{header}");
        }
        for (apart, outcome) in [
            (300, Ok(())),
            (-300, Ok(())),
            (301, Err(Refusal::OutOfTime)),
            (-301, Err(Refusal::OutOfTime)),
        ] {
            let time = NOW - apart;
            let header = format!("t={time},v1={}", signed(SECRET, time, BODY));
            assert_eq!(check(&header), outcome, "{apart}");
        }
        let extreme = format!("t={},v1={}", i64::MIN, signed(SECRET, i64::MIN, BODY));
        assert_eq!(check(&extreme), Err(Refusal::OutOfTime));
    }
}
