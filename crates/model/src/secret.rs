//! Values that must not leak.

use zeroize::Zeroize;

/// A value that cannot be printed, compared, cloned or serialized, and is wiped when dropped.
///
/// [`Secret::expose`] is the only way to the value; every use of it is a place to look at in a review.
pub struct Secret<T: Zeroize>(T);

/// Secret text: a token, a client secret, a PKCE verifier.
pub type SecretString = Secret<String>;

/// Secret bytes: a key, a plaintext on its way into an envelope.
pub type SecretBytes = Secret<Vec<u8>>;

impl<T: Zeroize> Secret<T> {
    /// Takes charge of `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the moment it is needed.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl SecretString {
    /// A second copy, for the few places that must hold one (a waiter on a shared flight, say).
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl From<String> for SecretString {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl<'de> serde::Deserialize<'de> for SecretString {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl<T: Zeroize> std::fmt::Debug for Secret<T> {
    /// Always the same word, so that a struct holding a secret can be printed safely.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}
