//! Where this person is signed in: `logins.json` in the folder for settings, readable by nobody else.
//!
//! A sign-in belongs to one server, by its origin, and is sent to no other. The one made last says which server is meant
//! where nothing else does.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use carnet_model::{SecretString, Time};
use carnet_sdk::LoginTokens;
use serde::{Deserialize, Serialize};
use url::{Origin, Url};

use super::failure::{Exit, Failure};
use super::folder::{read_private, replace};

/// The file.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Logins {
    /// The server of the last sign-in.
    current: Option<String>,
    servers: BTreeMap<String, Kept>,
    #[serde(skip)]
    path: PathBuf,
}

/// What one server gave.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    access_token: String,
    refresh_token: String,
    expires_at: Time,
}

/// A sign-in that was found.
#[derive(Debug)]
pub(crate) struct Login {
    /// The access token.
    pub(crate) access: SecretString,
    /// With which another one is had.
    pub(crate) refresh: SecretString,
    /// When the access token ends.
    pub(crate) expires_at: Time,
}

impl Logins {
    /// The file's name in the folder for settings.
    pub(crate) const NAME: &'static str = "logins.json";

    /// Reads it; empty if it is not there.
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(Self::NAME);
        if fs::symlink_metadata(&path).is_err() {
            return Ok(Self { path, ..Self::default() });
        }
        let text = read_private(&path, "carnet login URL")?;
        // The reader's own message could quote a token.
        let logins: Self = serde_json::from_str(&text).map_err(|_| {
            Failure::new(
                "credential_file_unusable",
                format!("{} cannot be used: it is not the file that `login` writes.", path.display()),
            )
            .exit(Exit::SignIn)
            .next(format!("rm '{}'; carnet login URL", path.display()), "to write it anew")
        })?;
        Ok(Self { path, ..logins })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The server of the last sign-in.
    pub(crate) fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// The sign-in at a server.
    pub(crate) fn at(&self, url: &Url) -> Option<Login> {
        let kept = self.servers.get(&key(url)?)?;
        Some(Login {
            access: kept.access_token.clone().into(),
            refresh: kept.refresh_token.clone().into(),
            expires_at: kept.expires_at,
        })
    }

    /// Puts a sign-in in the place of the one before, and writes the file.
    pub(crate) fn keep(&mut self, url: &Url, tokens: &LoginTokens) -> Result<(), Failure> {
        let kept = Kept {
            access_token: tokens.access.expose().clone(),
            refresh_token: tokens.refresh.expose().clone(),
            expires_at: tokens.expires_at,
        };
        let Some(key) = key(url) else { return Err(Failure::usage("This address names no server.")) };
        self.current = Some(key.clone());
        self.servers.insert(key, kept);
        self.write()
    }

    /// Removes the sign-in at a server, and writes the file.
    pub(crate) fn forget(&mut self, url: &Url) -> Result<(), Failure> {
        let Some(key) = key(url) else { return Ok(()) };
        self.servers.remove(&key);
        if self.current.as_deref() == Some(&key) {
            self.current = self.servers.keys().next().cloned();
        }
        self.write()
    }

    fn write(&self) -> Result<(), Failure> {
        let written = (|| {
            if let Some(folder) = self.path.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            replace(&self.path, &serde_json::to_vec_pretty(self)?, 0o600)
        })();
        written.map_err(|error| {
            Failure::new("credential_file_unusable", format!("{} cannot be written.", self.path.display()))
                .because(&error)
        })
    }
}

fn key(url: &Url) -> Option<String> {
    Some(url.origin()).filter(Origin::is_tuple).map(|origin| origin.ascii_serialization())
}
