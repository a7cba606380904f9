//! Just enough DER to read an RSA public key: `SEQUENCE { INTEGER n, INTEGER e }` (RFC 8017 §A.1.1).
//!
//! The bytes come from our own crypto library, which does not offer the two numbers apart.

/// Modulus and exponent, big-endian, without leading zeros.
pub(super) fn rsa_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    let (sequence, after) = element(der, SEQUENCE)?;
    let (n, rest) = element(sequence, INTEGER)?;
    let (e, end) = element(rest, INTEGER)?;
    (after.is_empty() && end.is_empty()).then(|| (unsigned(n), unsigned(e)))
}

/// A positive INTEGER has a zero in front if its highest bit is set.
fn unsigned(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(&[0]).unwrap_or(bytes)
}

/// Content of the first element, which has `tag`, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [first, length, rest @ ..] = bytes else { return None };
    if *first != tag {
        return None;
    }
    let (length, rest) = match *length {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            if digits.len() > 4 {
                return None;
            }
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_numbers_are_read_and_nothing_else_is() {
        let der = [0x30, 0x0a, 0x02, 0x03, 0x00, 0x81, 0x01, 0x02, 0x03, 0x01, 0x00, 0x01];
        assert_eq!(rsa_numbers(&der), Some((&[0x81, 0x01][..], &[1, 0, 1][..])));
        for cut in 0..der.len() {
            assert_eq!(rsa_numbers(&der[..cut]), None, "{cut}");
        }
        assert_eq!(rsa_numbers(&[&der[..], &[0]].concat()), None);
        assert_eq!(rsa_numbers(&[0x30, 0x85, 1, 1, 1, 1, 1, 0]), None);
    }
}
