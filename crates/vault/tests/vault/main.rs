//! What the vault promises, seen from outside.

#[cfg(test)]
mod envelope;
#[cfg(test)]
mod file_key;
mod generate;
#[cfg(test)]
mod passphrase;
#[cfg(test)]
mod place;
#[cfg(test)]
mod primitives;
mod reference;
#[cfg(test)]
mod theft;
#[cfg(test)]
mod vectors;
