//! From when to when a certificate holds: the one thing that is read of it here (RFC 5280 §4.1).

use std::time::Duration;

use carnet_model::Time;

/// Both ends of the validity of a certificate in DER; none if it is not one.
pub fn validity(der: &[u8]) -> Option<(Time, Time)> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut rest, _) = element(certificate, SEQUENCE)?;
    if let Some((_, behind)) = element(rest, VERSION) {
        rest = behind;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        // Serial number, algorithm, issuer.
        (_, rest) = element(rest, tag)?;
    }
    let (validity, _) = element(rest, SEQUENCE)?;
    let (from, behind) = time(validity)?;
    let (until, _) = time(behind)?;
    Some((from, until))
}

/// The content of the first element, if it has this tag, and what is behind it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length))?
}

/// `YYMMDDHHMMSSZ`, or with four digits of the year.
fn time(bytes: &[u8]) -> Option<(Time, &[u8])> {
    let (text, short, rest) = match (element(bytes, UTC_TIME), element(bytes, GENERALIZED_TIME)) {
        (Some((text, rest)), _) => (text, true, rest),
        (None, Some((text, rest))) => (text, false, rest),
        (None, None) => return None,
    };
    let text = str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, text) = text.split_at_checked(if short { 2 } else { 4 })?;
    if text.len() != 10 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let year: i64 = year.parse().ok()?;
    let year = match (short, year) {
        (true, 0..50) => 2000 + year,
        (true, _) => 1900 + year,
        (false, _) => year,
    };
    let part = |at: usize| text.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day) = (part(0)?, part(2)?);
    let seconds = part(4)? * 3600 + part(6)? * 60 + part(8)?;
    let days = days(year, month, day);
    let since = Time::from_secs(days.checked_mul(86_400)?);
    Some((since.plus(Duration::from_secs(u64::try_from(seconds).ok()?)), rest))
}

/// Days since 1970 in the Gregorian calendar: years begin in March, so that the odd day is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(from: (i32, u8, u8), until: (i32, u8, u8)) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn both_ways_of_writing_a_time_are_read() {
        for (from, until, seconds) in [
            ((1970, 1, 1), (2049, 12, 31), (0, 2_524_521_600)),
            ((2024, 2, 29), (2050, 1, 1), (1_709_164_800, 2_524_608_000)),
            ((1999, 12, 31), (2100, 3, 1), (946_598_400, 4_107_542_400)),
        ] {
            let found = validity(&certificate(from, until)).unwrap();
            assert_eq!((found.0.secs(), found.1.secs()), seconds);
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused_wherever_it_breaks_off() {
        let whole = certificate((2024, 1, 1), (2025, 1, 1));
        for end in 0..whole.len() {
            assert_eq!(validity(&whole[..end]), None, "{end}");
        }
        for at in 0..whole.len().min(120) {
            for byte in [0, 0x7f, 0x84, 0xff] {
                let mut changed = whole.clone();
                changed[at] = byte;
                // It ends, whatever it finds.
                let _ = validity(&changed);
            }
        }
    }
}
