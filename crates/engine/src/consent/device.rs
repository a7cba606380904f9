//! Device codes: for an application that cannot send a browser anywhere, and shows eight letters instead.
//!
//! The page `/device` takes them. A code opens its request in one browser, once; it ends with its request, after ten
//! minutes at the latest; five wrong codes that begin like it make it worthless; and an address that guesses has to wait.
//! What is wrong, over, used or worthless is answered alike. Switched off for a connector or for the deployment, no
//! request can have one.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use carnet_model::audit::Action;
use carnet_model::{Code, Env, Fault, Id, SecretString, kind};
use carnet_store::consents::{self, DeviceDigests};
use carnet_store::{DbError, Write};
use carnet_vault::Purpose;

use super::page::{event, hex};
use crate::broker::Broker;
use crate::cache::sha256;
use crate::directory::Entry;
use crate::faults;
use crate::tries::NoTry;

/// Eight letters of twenty that are hard to confuse and spell nothing (RFC 8628 §6.1).
pub(crate) struct DeviceCode([u8; 8]);

/// Why a device code does not lead on.
#[derive(Debug)]
pub enum CodeRefused {
    /// It is not known, was used or is over: which of these is not said.
    Unknown,
    /// Too many wrong ones were tried.
    Wait(Duration),
    /// The form is not from our page in this browser.
    OtherBrowser,
    /// There are no device codes on this server.
    Off,
    /// Something failed.
    Fault(Fault),
}

impl DeviceCode {
    pub(crate) fn generate(env: &Env) -> Self {
        let mut out = [b'B'; 8];
        let mut rest = out.iter_mut();
        'all: loop {
            for byte in env.bytes::<16>() {
                // 240 = 12 × 20, so the rest fall evenly.
                let Some(letter) = LETTERS.get(usize::from(byte % 20)).filter(|_| byte < 240) else {
                    continue;
                };
                let Some(place) = rest.next() else { break 'all };
                *place = *letter;
            }
        }
        Self(out)
    }

    /// As people type it: any case, with or without dash and spaces.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let letters: Vec<u8> = text
            .bytes()
            .filter(|byte| !matches!(byte, b' ' | b'-' | b'\t'))
            .map(|byte| byte.to_ascii_uppercase())
            .take(9)
            .collect();
        let code: [u8; 8] = letters.try_into().ok()?;
        code.iter().all(|letter| LETTERS.contains(letter)).then_some(Self(code))
    }

    pub(crate) const fn letters(&self) -> &[u8; 8] {
        &self.0
    }

    /// By which wrong tries are counted.
    fn first_half(&self) -> &[u8] {
        self.0.first_chunk::<4>().map_or(&[], |half| half.as_slice())
    }
}

impl fmt::Display for DeviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, letter) in self.0.iter().enumerate() {
            let dash = if place == 4 { "-" } else { "" };
            write!(f, "{dash}{}", char::from(*letter))?;
        }
        Ok(())
    }
}

impl Broker {
    /// The form token of the page that takes codes, for this browser.
    pub fn device_form(&self, browser: &SecretString) -> Result<SecretString, CodeRefused> {
        if !self.inner.settings.device_codes {
            return Err(CodeRefused::Off);
        }
        let mut bound = b"device/1".to_vec();
        bound.extend_from_slice(browser.expose().as_bytes());
        Ok(hex(&self.inner.keyring.hash(Purpose::Csrf, &bound).digest).into())
    }

    /// Opens the request of a code in this browser. `address` is the visitor's, as far as it is known.
    pub async fn enter_device_code(
        &self,
        typed: &str,
        browser: &SecretString,
        form_token: &str,
        address: Option<IpAddr>,
    ) -> Result<Id<kind::AuthorizationRequest>, CodeRefused> {
        let expected = self.device_form(browser)?;
        if !carnet_vault::equal(expected.expose().as_bytes(), form_token.as_bytes()) {
            return Err(CodeRefused::OtherBrowser);
        }
        let inner = &self.inner;
        let now = inner.env.now();
        // Counted before it is looked up: tries that come at the same moment do not slip through.
        let counted = self.count_code(address).await?;
        let code = DeviceCode::parse(typed).ok_or(CodeRefused::Unknown)?;
        let digests = self.digests_of(&code);
        let found = consents::by_device_code(&inner.db, digests.whole, MOST_TRIES, now).await?;
        let Some(consent) = found else {
            inner.db.write(Write::new().step(consents::miss(digests, now))).await?;
            return Err(CodeRefused::Unknown);
        };
        let write = Write::new()
            .step(consents::enter(consent.id, sha256(browser.expose().as_bytes()), MOST_TRIES, now))
            .steps(counted.taken_back())
            .event(&inner.env, &event(&consent, now, Action::AuthorizationEnter));
        match inner.db.write(write).await {
            Ok(_) => Ok(consent.id),
            Err(DbError::Unmet(_)) => Err(CodeRefused::Unknown),
            Err(error) => Err(error.into()),
        }
    }

    /// A code for a request, if the connector and this server have them.
    pub(super) fn new_device_code(&self, entry: &Entry) -> Result<DeviceCode, Fault> {
        let off = |what: &str| {
            Fault::new(
                Code::InvalidRequest,
                format!("Device codes are switched off for {what}; send the person to the link instead."),
            )
            .with("field", "deviceCode")
        };
        if !self.inner.settings.device_codes {
            return Err(off("this server"));
        }
        if !entry.consent_rules.device_codes {
            return Err(off(entry.row.connector.uid.as_str()));
        }
        Ok(DeviceCode::generate(&self.inner.env))
    }

    /// Keyed, so that a stolen copy of the store does not give away codes that still hold.
    pub(super) fn digests_of(&self, code: &DeviceCode) -> DeviceDigests {
        let digest = |label: &[u8], letters: &[u8]| {
            let text = [label, letters].concat();
            sha256(&self.inner.keyring.hash(Purpose::State, &text).digest)
        };
        DeviceDigests {
            whole: digest(b"device-code/1", &code.0),
            half: digest(b"device-code-half/1", code.first_half()),
        }
    }
}

impl From<NoTry> for CodeRefused {
    fn from(why: NoTry) -> Self {
        match why {
            NoTry::Wait(wait) => Self::Wait(wait),
            NoTry::Store(error) => error.into(),
        }
    }
}

impl From<DbError> for CodeRefused {
    fn from(error: DbError) -> Self {
        Self::Fault(faults::store(error))
    }
}

const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Wrong codes with the same first half, after which a code is worth nothing.
const MOST_TRIES: i64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back_however_it_is_typed() {
        let env = Env::system();
        for _ in 0..200 {
            let code = DeviceCode::generate(&env);
            let shown = code.to_string();
            assert!(shown.len() == 9 && shown.as_bytes()[4] == b'-', "{shown}");
            for typed in [
                shown.clone(),
                shown.to_lowercase(),
                shown.replace('-', ""),
                format!("  {} ", shown.replace('-', " ")),
            ] {
                assert_eq!(DeviceCode::parse(&typed).unwrap().0, code.0, "{typed:?}");
            }
        }
        for odd in [
            "",
            "BCDF",
            "BCDF-GHJ",
            "BCDF-GHJKL",
            "BCDF-GHJA",
            "BCDF-GHJ1",
            "BCDF_GHJK",
            "ＢCDF-GHJK",
            &"B".repeat(5000),
        ] {
            assert!(DeviceCode::parse(odd).is_none(), "{odd:?}");
        }
    }

    #[test]
    fn codes_use_every_letter_about_as_often() {
        let env = Env::system();
        let mut counts = [0_u32; 256];
        for _ in 0..2000 {
            for letter in DeviceCode::generate(&env).0 {
                counts[usize::from(letter)] += 1;
            }
        }
        for letter in LETTERS {
            assert!((600..1000).contains(&counts[usize::from(*letter)]), "{}", char::from(*letter));
        }
    }
}
