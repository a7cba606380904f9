//! Which process this is, as the holder of leases, and which one it follows.
//!
//! The process's identifier is kept in a file beside the spilled tokens, which is locked for as long as the process
//! lives. Who starts and gets the lock knows that the process before it is gone, and need not wait for its leases to run
//! out: what that one left open is known at once. Without a folder, or where the folder did not survive, or where two
//! processes share it, nothing is known, and leases run out by themselves.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use carnet_model::Env;

use crate::consent::hex;

/// The place of a process among those that come and go.
pub(crate) struct Seat {
    /// This process.
    pub(crate) node: [u8; 16],
    /// The one that had the place before, which is gone.
    pub(crate) before: Option<[u8; 16]>,
    /// Held as long as the process lives; the lock goes with the file.
    _held: Option<File>,
}

impl Seat {
    /// Takes the place in this folder.
    pub(crate) fn take(folder: Option<&Path>, env: &Env) -> Self {
        let node = env.bytes();
        match folder.map(|folder| sit(folder, node)) {
            Some(Ok((before, held))) => Self { node, before, _held: Some(held) },
            Some(Err(error)) => {
                tracing::info!(%error, "leases of the process before this one are waited for");
                Self { node, before: None, _held: None }
            }
            None => Self { node, before: None, _held: None },
        }
    }
}

fn sit(folder: &Path, node: [u8; 16]) -> std::io::Result<(Option<[u8; 16]>, File)> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(folder.join("process"))?;
    file.try_lock()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(hex(&node).as_bytes())?;
    // Before the first lease is taken under this name.
    file.sync_all()?;
    Ok((read(&text), file))
}

fn read(text: &str) -> Option<[u8; 16]> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_gets_the_place_knows_who_had_it() {
        let (env, folder) = (Env::system(), tempfile::tempdir().unwrap());
        let place = folder.path().join("spill");
        let first = Seat::take(Some(&place), &env);
        assert_eq!(first.before, None);
        let beside = Seat::take(Some(&place), &env);
        assert_eq!(beside.before, None, "the first one lives");
        let node = first.node;
        drop((first, beside));
        let next = Seat::take(Some(&place), &env);
        assert_eq!(next.before, Some(node));
        drop(next);
        std::fs::write(place.join("process"), b"half").unwrap();
        assert_eq!(Seat::take(Some(&place), &env).before, None);
        assert_eq!(Seat::take(None, &env).before, None);
    }
}
