//! Contexts: the servers that this person works with, and the sign-in at each. `logins.json` in the folder for settings,
//! readable by nobody else.
//!
//! A context has a name, a server, the team that is meant there if it is said, and a sign-in if there is one. A sign-in
//! belongs to its server, by origin, and is sent to no other. The current context says which server is meant where nothing
//! else does.

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
    current: Option<String>,
    contexts: BTreeMap<String, Kept>,
    #[serde(skip)]
    path: PathBuf,
}

/// One context.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<String>,
    /// Who signed in, for people to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<KeptLogin>,
}

/// What its server gave.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct KeptLogin {
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
}

/// A context that was found.
#[derive(Debug)]
pub(crate) struct Known {
    /// Its name.
    pub(crate) name: String,
    /// Its server, as an origin.
    pub(crate) url: String,
    /// The team that is meant there.
    pub(crate) team: Option<String>,
    /// Who signed in.
    pub(crate) user: Option<String>,
    /// The sign-in.
    pub(crate) login: Option<Login>,
}

/// A sign-in that was found.
#[derive(Debug)]
pub(crate) struct Login {
    /// Of this context.
    pub(crate) context: String,
    /// The access token.
    pub(crate) access: SecretString,
    /// With which another one is had; none for an access token that was brought.
    pub(crate) refresh: Option<SecretString>,
    /// When the access token ends, if that is known.
    pub(crate) expires_at: Option<Time>,
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

    /// The name of the current context.
    pub(crate) fn current(&self) -> Option<&str> {
        self.current.as_deref().filter(|name| self.contexts.contains_key(*name))
    }

    /// All contexts, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = Known> {
        self.contexts.iter().map(|(name, kept)| kept.known(name))
    }

    /// The context of this name.
    pub(crate) fn named(&self, name: &str) -> Option<Known> {
        self.contexts.get(name).map(|kept| kept.known(name))
    }

    /// The context of this name, or why there is none.
    pub(crate) fn expect(&self, name: &str) -> Result<Known, Failure> {
        self.named(name).ok_or_else(|| {
            Failure::new("not_found", format!("There is no context {name}."))
                .exit(Exit::NotFound)
                .next("carnet context list", "to see those there are")
                .next(format!("carnet context add {name} URL"), "to make it")
        })
    }

    /// The context of this server: the current one, or else the first with a sign-in.
    pub(crate) fn at(&self, url: &Url) -> Option<Known> {
        let here = origin(url)?;
        let current = self.current().and_then(|name| self.named(name));
        current.filter(|known| known.url == here).or_else(|| {
            let mut all: Vec<_> = self.all().filter(|known| known.url == here).collect();
            all.sort_by_key(|known| known.login.is_none());
            all.into_iter().next()
        })
    }

    /// What a context of this server is called unless somebody says otherwise: its host.
    pub(crate) fn usual_name(&self, url: &Url) -> Result<String, Failure> {
        let origin = origin(url).ok_or_else(no_server)?;
        let host = origin.split_once("://").map_or(origin.as_str(), |(_, host)| host);
        let is_others = self.named(host).is_some_and(|known| known.url != origin);
        Ok(if is_others { origin } else { host.to_owned() })
    }

    /// Keeps a sign-in in this context, which becomes the current one, and writes the file.
    pub(crate) fn keep(
        &mut self,
        name: &str,
        url: &Url,
        tokens: &LoginTokens,
        user: &str,
    ) -> Result<(), Failure> {
        let origin = origin(url).ok_or_else(no_server)?;
        let team = self.contexts.get(name).and_then(|kept| kept.team.clone());
        let user = Some(user.to_owned()).filter(|user| !user.is_empty());
        let kept = Kept { url: origin, team, user, login: Some(KeptLogin::of(tokens)) };
        self.contexts.insert(name.to_owned(), kept);
        self.current = Some(name.to_owned());
        self.write()
    }

    /// Puts what a sign-in was renewed with into its place, and writes the file.
    pub(crate) fn renewed(&mut self, name: &str, tokens: &LoginTokens) -> Result<(), Failure> {
        let Some(kept) = self.contexts.get_mut(name) else { return Ok(()) };
        kept.login = Some(KeptLogin::of(tokens));
        self.write()
    }

    /// Makes a context, with an access token that was brought if there is one, and writes the file. The first one becomes
    /// the current one.
    pub(crate) fn add(
        &mut self,
        name: &str,
        url: &Url,
        team: Option<String>,
        access: Option<&SecretString>,
    ) -> Result<(), Failure> {
        let origin = origin(url).ok_or_else(no_server)?;
        let login = access.map(|access| KeptLogin {
            access_token: access.expose().clone(),
            refresh_token: None,
            expires_at: None,
        });
        self.contexts.insert(name.to_owned(), Kept { url: origin, team, user: None, login });
        if self.current().is_none() {
            self.current = Some(name.to_owned());
        }
        self.write()
    }

    /// Makes a context the current one, and writes the file.
    pub(crate) fn choose(&mut self, name: &str) -> Result<(), Failure> {
        self.current = Some(name.to_owned());
        self.write()
    }

    /// Forgets the sign-in of a context, which stays, and writes the file.
    pub(crate) fn sign_out(&mut self, name: &str) -> Result<(), Failure> {
        let Some(kept) = self.contexts.get_mut(name) else { return Ok(()) };
        (kept.login, kept.user) = (None, None);
        self.write()
    }

    /// Forgets a context, and writes the file.
    pub(crate) fn remove(&mut self, name: &str) -> Result<(), Failure> {
        self.contexts.remove(name);
        if self.current.as_deref() == Some(name) {
            self.current = None;
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
                .next("export XDG_CONFIG_HOME=…", "with a folder of your own that can be written")
        })
    }
}

impl Kept {
    fn known(&self, name: &str) -> Known {
        let login = self.login.as_ref().map(|kept| Login {
            context: name.to_owned(),
            access: kept.access_token.clone().into(),
            refresh: kept.refresh_token.clone().map(SecretString::from),
            expires_at: kept.expires_at,
        });
        Known {
            name: name.to_owned(),
            url: self.url.clone(),
            team: self.team.clone(),
            user: self.user.clone(),
            login,
        }
    }
}

impl KeptLogin {
    fn of(tokens: &LoginTokens) -> Self {
        Self {
            access_token: tokens.access.expose().clone(),
            refresh_token: Some(tokens.refresh.expose().clone()),
            expires_at: Some(tokens.expires_at),
        }
    }
}

/// What a context may be called: something that a shell takes as one word, and no flag.
pub(crate) fn context_name(text: &str) -> Result<String, String> {
    let letter = |c: char| c.is_alphanumeric() || "._-:/@[]".contains(c);
    let sound =
        (1..=100).contains(&text.chars().count()) && !text.starts_with('-') && text.chars().all(letter);
    if sound { Ok(text.to_owned()) } else { Err("is up to 100 letters, digits and . _ - : / @".to_owned()) }
}

/// The server of a URL.
pub(crate) fn origin(url: &Url) -> Option<String> {
    Some(url.origin()).filter(Origin::is_tuple).map(|origin| origin.ascii_serialization())
}

fn no_server() -> Failure {
    Failure::usage("This address names no server.")
        .next("carnet login https://…", "with the address of the server")
}
