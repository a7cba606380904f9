//! The passphrase of a person who signs in: stretched with Argon2id (RFC 9106), as [`crate::PassphraseKey`] stretches
//! that of an operator, at a cost that a server can bear at every sign-in.
//!
//! Making and comparing take a quarter of a second and 64 MiB on purpose: call them from a thread that may block, and
//! never many at once.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use carnet_model::{Env, Secret, SecretString};

use crate::hash::equal;
use crate::root_key::{Cost, PassphraseError, PassphraseKey};

/// A passphrase as it is kept: `$argon2id$v=19$m=65536,t=3,p=1$<salt>$<hash>`, the PHC string format.
#[derive(Debug)]
pub struct StretchedPassphrase(SecretString);

impl StretchedPassphrase {
    /// Stretches a new passphrase, with a fresh salt. Refused if it has fewer than 15 characters; its bytes are taken
    /// as they are.
    pub fn of(env: &Env, passphrase: &SecretString) -> Result<Self, PassphraseError> {
        let key = PassphraseKey::create(env, passphrase, COST)?;
        Ok(Self::join(key.made_with(), key.stretched()))
    }

    /// One that no passphrase fits, and with which comparing takes as long: for accounts that are not there.
    pub fn of_nobody(env: &Env) -> Self {
        Self::join(&PassphraseKey::parameters_of(COST, &env.bytes()), &env.bytes())
    }

    /// Reads what [`StretchedPassphrase::expose`] gave; what it is not is found out by [`StretchedPassphrase::fits`].
    pub fn read(text: SecretString) -> Self {
        Self(text)
    }

    /// What is to be sealed.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Whether this is the passphrase.
    pub fn fits(&self, passphrase: &SecretString) -> Result<bool, PassphraseError> {
        let (parameters, hash) = self.0.expose().rsplit_once('$').ok_or(PassphraseError::Parameters)?;
        let hash = Secret::new(STANDARD_NO_PAD.decode(hash).map_err(|_| PassphraseError::Parameters)?);
        let key = PassphraseKey::open(parameters, passphrase)?;
        Ok(equal(key.stretched(), hash.expose()))
    }

    fn join(parameters: &str, hash: &[u8; 32]) -> Self {
        Self(format!("{parameters}${}", STANDARD_NO_PAD.encode(hash)).into())
    }
}

/// 64 MiB, 3 passes, 1 lane: the floor of [`Cost`], a quarter of a second. Above what OWASP asks for at the least
/// (Password Storage Cheat Sheet, 2025: 46 MiB and one pass, or the like).
const COST: Cost = Cost::FLOOR;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_fits_what_was_made_of_it_and_nothing_else_does() {
        let env = Env::system();
        let passphrase = SecretString::new("correct horse battery".to_owned());
        let kept = StretchedPassphrase::of(&env, &passphrase).unwrap();
        assert!(kept.expose().starts_with("$argon2id$v=19$m=65536,t=3,p=1$"));
        assert!(!format!("{kept:?}").contains("argon2id"));
        let read = StretchedPassphrase::read(kept.expose().to_owned().into());
        assert_eq!(read.fits(&passphrase), Ok(true));
        for other in ["correct horse batterz", "correct horse battery ", "", "Correct horse battery"] {
            assert_eq!(read.fits(&other.to_owned().into()), Ok(false), "{other}");
        }
        assert_eq!(StretchedPassphrase::of_nobody(&env).fits(&passphrase), Ok(false));
        let again = StretchedPassphrase::of(&env, &passphrase).unwrap();
        assert_ne!(kept.expose(), again.expose(), "every salt is another");
    }

    #[test]
    fn what_is_too_short_or_was_never_stretched_is_refused() {
        let env = Env::system();
        let short = SecretString::new("fourteen chars".to_owned());
        assert_eq!(StretchedPassphrase::of(&env, &short).err(), Some(PassphraseError::TooShort));
        for text in ["", "$", "plain", "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA"] {
            let kept = StretchedPassphrase::read(text.to_owned().into());
            assert!(kept.fits(&short).is_err(), "{text}");
        }
    }
}
