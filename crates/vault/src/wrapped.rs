//! A wrapped key: one row of the table `keys`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use carnet_model::{Env, Id, Secret, Time, kind};

use crate::envelope::{Aad, SealError, Suite, open, seal};
use crate::key::{Key, KeyId};
use crate::keyring::AdmitError;

/// What a keyed hash is for. Each purpose has its own keys, so that a hash made for one never passes for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Access tokens are stored as this hash.
    TokenPepper,
    /// Values that the audit log may recognise and not show.
    AuditHmac,
    /// Page cursors of the API.
    Cursor,
    /// The `state` of a browser ceremony.
    State,
    /// Tokens against cross-site request forgery.
    Csrf,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::TokenPepper, Self::AuditHmac, Self::Cursor, Self::State, Self::Csrf];

    /// The name in a column.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenPepper => "token-pepper",
            Self::AuditHmac => "audit-hmac",
            Self::Cursor => "cursor",
            Self::State => "state",
            Self::Csrf => "csrf",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyRole {
    /// Wraps the others, and seals what belongs to no team.
    Root,
    /// Seals the records of a team.
    Team(Id<kind::Team>),
    /// Makes keyed hashes.
    Purpose(Purpose),
}

/// Text that names no [`KeyRole`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a key role is root, team:team_… or purpose: and the name of a purpose")]
pub struct InvalidRole;

impl KeyRole {
    /// Reads what [`KeyRole::as_str`] wrote.
    pub fn parse(text: &str) -> Result<Self, InvalidRole> {
        if text == ROOT {
            return Ok(Self::Root);
        }
        match text.split_once(':') {
            Some((TEAM, id)) => Id::parse(id).map(Self::Team).map_err(|_| InvalidRole),
            Some((PURPOSE, name)) => Purpose::ALL
                .into_iter()
                .find(|purpose| purpose.as_str() == name)
                .map(Self::Purpose)
                .ok_or(InvalidRole),
            _ => Err(InvalidRole),
        }
    }

    /// The text of the column: `root`, `team:team_…`, `purpose:csrf`.
    pub fn as_str(&self) -> Cow<'static, str> {
        match self {
            Self::Root => Cow::Borrowed(ROOT),
            Self::Team(id) => Cow::Owned(format!("{TEAM}:{id}")),
            Self::Purpose(purpose) => Cow::Owned(format!("{PURPOSE}:{purpose}")),
        }
    }

    /// The team, for a team key.
    pub const fn team(&self) -> Option<Id<kind::Team>> {
        match self {
            Self::Team(team) => Some(*team),
            Self::Root | Self::Purpose(_) => None,
        }
    }
}

impl fmt::Display for KeyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_str())
    }
}

const ROOT: &str = "root";
const TEAM: &str = "team";
const PURPOSE: &str = "purpose";

/// One row of the table `keys`. Nothing in it is secret.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The key's name.
    pub id: KeyId,
    /// What it is for.
    pub role: KeyRole,
    /// From 1, counted per role.
    pub version: i64,
    /// For a root key, the label of the provider; for the others, the id of the root key in hex.
    pub wrapped_by: String,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created_at: Time,
    /// From when it seals or hashes; before, it is only known. Not bound: who changes it decides which of two good keys
    /// is used, and nothing else.
    pub activates_at: Time,
}

/// A key below the root key, opened.
pub(crate) enum Opened {
    Team(Id<kind::Team>, Key),
    Purpose(Purpose, Key),
}

impl Opened {
    pub(crate) const fn key(&self) -> &Key {
        match self {
            Self::Team(_, key) | Self::Purpose(_, key) => key,
        }
    }
}

impl WrappedKey {
    /// Draws a team or purpose key and wraps it with `root`.
    pub(crate) fn draw(
        env: &Env,
        deployment: Id<kind::Deployment>,
        root: &Key,
        role: KeyRole,
        version: i64,
    ) -> Result<(Self, Key), SealError> {
        let key = Key::generate(env);
        let mut row = Self {
            id: key.id(),
            role,
            version,
            wrapped_by: root.id().to_string(),
            wrapped: Vec::new(),
            created_at: env.now(),
            activates_at: env.now(),
        };
        let role = row.role.as_str();
        let place = row.place(deployment, &role).ok_or(SealError::TooLong)?;
        row.wrapped = seal(env, Suite::Aes256Gcm, root, &place, key.bytes().expose())?;
        Ok((row, key))
    }

    /// The same key wrapped by another root key.
    pub(crate) fn rewrap(
        &self,
        env: &Env,
        deployment: Id<kind::Deployment>,
        key: &Key,
        root: &Key,
    ) -> Result<Self, SealError> {
        let mut row = Self { wrapped_by: root.id().to_string(), ..self.clone() };
        let role = self.role.as_str();
        let place = self.place(deployment, &role).ok_or(SealError::TooLong)?;
        row.wrapped = seal(env, Suite::Aes256Gcm, root, &place, key.bytes().expose())?;
        Ok(row)
    }

    /// Opens it with the root key it names, which `root` looks up.
    pub(crate) fn open(
        &self,
        deployment: Id<kind::Deployment>,
        root: impl FnOnce(KeyId) -> Option<Arc<Key>>,
    ) -> Result<Opened, AdmitError> {
        let key = || {
            let root = KeyId::parse(&self.wrapped_by).ok().and_then(root);
            let root = root.ok_or(AdmitError::UnknownRoot(self.id))?;
            let role = self.role.as_str();
            self.place(deployment, &role)
                .and_then(|place| open(&root, &place, &self.wrapped).ok())
                .and_then(|bytes| <[u8; 32]>::try_from(bytes.expose().as_slice()).ok())
                .map(|bytes| Key::new(self.id, Secret::new(bytes)))
                .ok_or(AdmitError::Altered(self.id))
        };
        match self.role {
            KeyRole::Root => Err(AdmitError::IsRoot(self.id)),
            KeyRole::Team(team) => Ok(Opened::Team(team, key()?)),
            KeyRole::Purpose(purpose) => Ok(Opened::Purpose(purpose, key()?)),
        }
    }

    /// `None` for a version that was never given out.
    fn place<'a>(&'a self, deployment: Id<kind::Deployment>, role: &'a str) -> Option<Aad<'a>> {
        let version = u64::try_from(self.version).ok()?;
        Some(place(deployment, self.role.team(), &self.id, role, version))
    }
}

/// Where a wrapped key stands: its row, with what it is for as the subject.
pub(crate) fn place<'a>(
    deployment: Id<kind::Deployment>,
    team: Option<Id<kind::Team>>,
    id: &'a KeyId,
    subject: &'a str,
    version: u64,
) -> Aad<'a> {
    Aad {
        deployment,
        team,
        table: "keys",
        column: "wrapped",
        row: id.bytes(),
        project: None,
        environment: None,
        connector: None,
        subject: Some(subject),
        version,
    }
}

impl fmt::Debug for WrappedKey {
    /// Without the wrapped bytes: no secret, but no use in a log either.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrappedKey")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("version", &self.version)
            .field("wrapped_by", &self.wrapped_by)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_reads_back() {
        let team = KeyRole::Team(Id::from_bytes([1; 16]));
        let roles = Purpose::ALL.map(KeyRole::Purpose).into_iter().chain([KeyRole::Root, team]);
        for role in roles {
            assert_eq!(KeyRole::parse(&role.as_str()), Ok(role));
        }
        for text in
            ["", "Root", "team:", "team:prj_0000000000000000000000", "purpose:", "purpose:root", "root:"]
        {
            assert_eq!(KeyRole::parse(text), Err(InvalidRole), "{text}");
        }
    }
}
