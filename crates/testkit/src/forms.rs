//! In which forms a secret could stand somewhere.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A secret as it is, in hexadecimal digits of either case, and in base64 of either alphabet, wherever in a longer text
/// it may begin. They are text, so that they can be looked for in bytes that were made text, whatever those were: that
/// search is a fast one.
pub fn written_forms(secret: &str) -> Vec<String> {
    assert!(secret.is_ascii() && secret.len() >= 8, "shorter, it could stand anywhere by chance");
    let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let mut forms = vec![secret.to_owned(), hex.to_uppercase(), hex];
    for before in 0..3 {
        let mut padded = vec![0; before];
        padded.extend_from_slice(secret.as_bytes());
        // Characters that its neighbours have a part in say nothing.
        let from = (before * 8).div_ceil(6);
        let to = padded.len() * 8 / 6;
        for text in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            forms.push(text[from..to].to_owned());
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_wherever_it_begins() {
        let secret = "canary-secret-4711?>";
        let found = |text: &str| written_forms(secret).iter().any(|form| text.contains(form));
        for before in 0..6 {
            for after in 0..6 {
                let text = [&"xyzxyz"[..before], secret, &"abcabc"[..after]].concat();
                for written in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    assert!(found(&written), "{before} {after} {written}");
                }
            }
        }
        assert!(found("..canary-secret-4711?>..") && found("63616e6172792d7365637265742d343731313f3e"));
        assert!(!found("canary-secret-4712?>"));
    }
}
