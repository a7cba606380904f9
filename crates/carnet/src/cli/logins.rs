//! Contexts: the servers that this person works with, and the sign-in at each. `logins.json` in the folder for settings,
//! readable by nobody else.
//!
//! A context has a name, a server, the team that is meant there if it is said, and a sign-in if there is one. A sign-in
//! belongs to its server, by origin, and is sent to no other. The current context says which server is meant where nothing
//! else does.
//!
//! Several commands may run at once. Who changes the file holds a lock beside it, reads it anew and changes what stands
//! there then, so that nothing of the others is lost. Who renews a sign-in holds the lock for as long: a refresh token is
//! good once, and whoever comes second finds what the first one got.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// The right to change the file. It goes with its process, however that ends.
pub(crate) struct Turn {
    _held: File,
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
        let user = Some(user.to_owned()).filter(|user| !user.is_empty());
        self.change(|now| {
            let team = now.contexts.get(name).and_then(|kept| kept.team.clone());
            let kept = Kept { url: origin, team, user, login: Some(KeptLogin::of(tokens)) };
            now.contexts.insert(name.to_owned(), kept);
            now.current = Some(name.to_owned());
            Ok(())
        })
    }

    /// Puts what a sign-in was renewed with into its place, and writes the file. What was signed out meanwhile stays so.
    pub(crate) fn renewed(&mut self, name: &str, tokens: &LoginTokens, turn: &Turn) -> Result<(), Failure> {
        self.change_in(turn, |now| {
            if let Some(kept) = now.contexts.get_mut(name).filter(|kept| kept.login.is_some()) {
                kept.login = Some(KeptLogin::of(tokens));
            }
            Ok(())
        })
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
        self.change(|now| {
            now.lacks(name)?;
            now.contexts.insert(name.to_owned(), Kept { url: origin, team, user: None, login });
            if now.current().is_none() {
                now.current = Some(name.to_owned());
            }
            Ok(())
        })
    }

    /// Fails if there is a context of this name.
    pub(crate) fn lacks(&self, name: &str) -> Result<(), Failure> {
        let Some(known) = self.named(name) else { return Ok(()) };
        let message = format!("There is a context {} already: {}.", known.name, known.url);
        Err(Failure::new("conflict", message)
            .exit(Exit::Conflict)
            .next(format!("carnet context remove {}", known.name), "to forget it")
            .next(format!("carnet login {} --context {}", known.url, known.name), "to sign in to it"))
    }

    /// Makes a context the current one, and writes the file.
    pub(crate) fn choose(&mut self, name: &str) -> Result<(), Failure> {
        self.change(|now| {
            now.expect(name)?;
            now.current = Some(name.to_owned());
            Ok(())
        })
    }

    /// Forgets the sign-in of a context, which stays, and writes the file.
    pub(crate) fn sign_out(&mut self, name: &str) -> Result<(), Failure> {
        self.change(|now| {
            if let Some(kept) = now.contexts.get_mut(name) {
                (kept.login, kept.user) = (None, None);
            }
            Ok(())
        })
    }

    /// Forgets a context, and writes the file.
    pub(crate) fn remove(&mut self, name: &str) -> Result<(), Failure> {
        self.change(|now| {
            now.contexts.remove(name);
            if now.current.as_deref() == Some(name) {
                now.current = None;
            }
            Ok(())
        })
    }

    /// Whether the file can be changed, before something is asked for that has to be kept in it.
    pub(crate) fn try_out(&self) -> Result<(), Failure> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let trial = self.path.with_extension(format!("{}.trial", std::process::id()));
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.and_then(|()| replace(&trial, b"", 0o600))
            .and_then(|()| fs::remove_file(&trial))
            .map_err(|error| self.unwritable(&error))
    }

    /// Waits for the turn to change the file; none if others hold it for too long.
    pub(crate) async fn turn(&self) -> Result<Option<Turn>, Failure> {
        for _ in 0..TRIES {
            if let Some(turn) = self.try_turn()? {
                return Ok(Some(turn));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(None)
    }

    /// Changes what stands in the file now, in a turn of its own.
    fn change(&mut self, edit: impl FnOnce(&mut Self) -> Result<(), Failure>) -> Result<(), Failure> {
        for _ in 0..TRIES {
            if let Some(turn) = self.try_turn()? {
                return self.change_in(&turn, edit);
            }
            std::thread::sleep(PAUSE);
        }
        Err(Failure::new(
            "busy",
            format!("Another command has been changing {} for long.", self.path.display()),
        )
        .exit(Exit::Later)
        .next("the same command again", "a moment later"))
    }

    fn change_in(
        &mut self,
        _turn: &Turn,
        edit: impl FnOnce(&mut Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut now = Self::read(folder)?;
        edit(&mut now)?;
        let text = serde_json::to_vec_pretty(&now).map_err(io::Error::from);
        text.and_then(|text| replace(&now.path, &text, 0o600)).map_err(|error| now.unwritable(&error))?;
        *self = now;
        Ok(())
    }

    /// The turn, if nobody has it. A file of its own is locked: that of the sign-ins is another one with every change.
    fn try_turn(&self) -> Result<Option<Turn>, Failure> {
        let opened = (|| {
            if let Some(folder) = self.path.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            let lock = self.path.with_extension("lock");
            let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(lock)?;
            match file.try_lock() {
                Ok(()) => Ok(Some(Turn { _held: file })),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(error),
            }
        })();
        opened.map_err(|error| self.unwritable(&error))
    }

    fn unwritable(&self, error: &io::Error) -> Failure {
        Failure::new("credential_file_unusable", format!("{} cannot be written.", self.path.display()))
            .because(error)
            .next("export XDG_CONFIG_HOME=…", "with a folder of your own that can be written")
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

/// How often somebody who waits looks whether it is its turn.
const PAUSE: Duration = Duration::from_millis(20);
/// For twenty seconds: longer than a server may take to renew a sign-in, and shorter than anybody waits.
const TRIES: u32 = 1000;
