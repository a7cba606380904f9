//! What a token of an installation may do, and where: as a caller asks for it, as it is told to GitHub, and whether what
//! GitHub gave is that and no more.
//!
//! A caller says it by scopes, `contents:read`, or by one authorization detail
//! `{"type":"github_app_installation","org"?,"permissions"?,"repositories"?}`, where permissions are texts of the same
//! form or an object, and repositories are names with or without their owner.

use std::collections::{BTreeMap, BTreeSet};

use carnet_model::Scopes;
use serde_json::{Map, Value, json};

use crate::driver::failure::DriverError;
use crate::driver::installed::Installed;

/// Permissions of an app and their levels ("Permissions required for GitHub Apps"): `contents` to `read`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Permissions(BTreeMap<String, Level>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Read,
    Write,
    Admin,
}

impl Level {
    const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// What it lets a token do with the thing it is about.
    const fn verb(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "change",
            Self::Admin => "manage",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }
}

impl Permissions {
    /// What scopes of the form `contents:read` say. The error is a sentence about the scopes.
    pub(super) fn of_scopes(scopes: &Scopes) -> Result<Self, String> {
        Self::of_texts(scopes.iter())
    }

    fn of_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut all = BTreeMap::new();
        for text in texts {
            let parsed = text.split_once(':').and_then(|(name, level)| Some((name, Level::parse(level)?)));
            let Some((name, level)) = parsed.filter(|(name, _)| is_name(name)) else {
                return Err(format!(
                    "{:?} is not a permission and its level, like contents:read or issues:write",
                    text.chars().take(64).collect::<String>()
                ));
            };
            if all.insert(name.to_owned(), level).is_some_and(|before| before != level) {
                return Err(format!("{name} is there at two levels"));
            }
        }
        Ok(Self(all))
    }

    /// What an object of GitHub's says.
    pub(super) fn of_json(value: &Value) -> Result<Self, String> {
        let object = value.as_object().ok_or("is not an object of permissions")?;
        let each = object.iter().map(|(name, level)| {
            let level = level.as_str().and_then(Level::parse);
            level.map(|level| (name.clone(), level)).ok_or("has a level that is not read, write or admin")
        });
        Ok(Self(each.collect::<Result<_, _>>()?))
    }

    /// As GitHub writes it.
    pub(super) fn to_json(&self) -> Value {
        self.0
            .iter()
            .map(|(name, level)| (name.clone(), Value::from(level.as_str())))
            .collect::<Map<_, _>>()
            .into()
    }

    /// As scopes.
    pub(super) fn to_scopes(&self) -> Option<Scopes> {
        Scopes::parse(self.0.iter().map(|(name, level)| format!("{name}:{}", level.as_str()))).ok()
    }

    /// The first of them that goes beyond these, and what there is in its place, as the end of a sentence.
    fn why_beyond(&self, most: &Self) -> Option<String> {
        let within = |name: &String, level: &Level| most.0.get(name).is_some_and(|most| level <= most);
        let (name, level) = self.0.iter().find(|(name, level)| !within(name, level))?;
        let may = most.0.get(name).map_or_else(
            || format!("tokens may not reach {name} at all"),
            |most| format!("tokens may {} {name} at most", most.verb()),
        );
        Some(format!("{name}:{} goes beyond {LIMIT}, by which {may}", level.as_str()))
    }

    /// The first of these that goes beyond `most`, and how far `most` goes there. Reading metadata is never beyond.
    pub(super) fn beyond(&self, most: &Self) -> Option<(String, Option<&'static str>)> {
        let implied = |name: &str, level: Level| name == "metadata" && level == Level::Read;
        let mut each = self.0.iter().filter(|(name, level)| !implied(name, **level));
        each.find_map(|(name, level)| match most.0.get(name) {
            Some(allowed) if level <= allowed => None,
            allowed => Some((format!("{name}:{}", level.as_str()), allowed.map(|level| level.as_str()))),
        })
    }

    /// What is wrong with what was given, where this was asked. Reading metadata comes with every permission on a
    /// repository, asked or not ("Choosing permissions for a GitHub App").
    fn judge(&self, given: &Self) -> Option<String> {
        for (name, level) in &given.0 {
            let implied = name == "metadata" && *level == Level::Read;
            match self.0.get(name) {
                Some(asked) if level > asked => return Some(format!("it may {} {name}", level.verb())),
                None if !implied => return Some(format!("it may {} {name}", level.verb())),
                _ => {}
            }
        }
        let fewer = self.0.iter().find(|(name, asked)| given.0.get(*name).is_none_or(|level| level < asked));
        fewer.map(|(name, level)| format!("it may not {} {name}", level.verb()))
    }
}

/// What is asked of one token.
#[derive(Debug, Default)]
pub(super) struct Narrowing {
    permissions: Option<Permissions>,
    /// Names without their owner.
    repositories: Option<BTreeSet<String>>,
    /// Whether the permissions are those that the scopes say.
    by_scopes: bool,
}

impl Narrowing {
    /// What scopes and details ask for at this installation. `most` is what the connector lets anybody ask for, and what is
    /// meant where nothing is said; nothing in it for all that the installation allows.
    pub(super) fn read(
        most: &Scopes,
        scopes: Option<&Scopes>,
        details: &[Value],
        place: &Installed,
    ) -> Result<Self, DriverError> {
        let unsupported = |why: String| DriverError::Unsupported(why);
        let of = |scopes: &Scopes| {
            if scopes.is_empty() {
                return Ok(None);
            }
            Permissions::of_scopes(scopes).map(Some).map_err(|why| unsupported(format!("scope {why}")))
        };
        let most = of(most)?;
        let by_scopes = of(scopes.unwrap_or(&Scopes::empty()))?;
        if let (Some(asked), Some(most)) = (&by_scopes, &most)
            && let Some(why) = asked.why_beyond(most)
        {
            return Err(DriverError::Forbidden(why));
        }
        let by_scopes = by_scopes.or(most);
        let detail = match details {
            [] => {
                return Ok(Self {
                    by_scopes: by_scopes.is_some(),
                    permissions: by_scopes,
                    repositories: None,
                });
            }
            [Value::Object(detail)] => detail,
            _ => return Err(unsupported("GitHub takes one authorization detail at a time".to_owned())),
        };
        if let Some(name) = detail.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
            return Err(unsupported(format!(
                "{name} is not a member of {DETAIL}, and would not narrow anything"
            )));
        }
        if let Some(org) = detail.get("org") {
            let named = org.as_str().zip(place.name.as_deref());
            if !named.is_some_and(|(org, name)| org.eq_ignore_ascii_case(name)) {
                return Err(unsupported("org is not the account at which this installation is".to_owned()));
            }
        }
        let asked = detail.get("permissions").map(permissions).transpose().map_err(unsupported)?;
        if let (Some(asked), Some(most)) = (&asked, &by_scopes)
            && let Some(why) = asked.why_beyond(most)
        {
            return Err(DriverError::Forbidden(why));
        }
        let repositories = detail.get("repositories").map(|value| repositories(value, place)).transpose();
        Ok(Self {
            by_scopes: asked.is_none() && by_scopes.is_some(),
            permissions: asked.or(by_scopes),
            repositories: repositories.map_err(unsupported)?,
        })
    }

    /// The body of the request; empty for all that the installation allows.
    pub(super) fn to_json(&self) -> Value {
        let mut body = Map::new();
        if let Some(permissions) = &self.permissions {
            body.insert("permissions".to_owned(), permissions.to_json());
        }
        if let Some(repositories) = &self.repositories {
            body.insert("repositories".to_owned(), json!(repositories));
        }
        body.into()
    }

    /// What is wrong with an answer, if it is another reach than was asked for.
    pub(super) fn judge(&self, answer: &Map<String, Value>) -> Option<String> {
        if let Some(asked) = &self.permissions {
            let given = answer.get("permissions").and_then(|value| Permissions::of_json(value).ok());
            let Some(given) = given else { return Some("it does not say what it may do".to_owned()) };
            if let Some(why) = asked.judge(&given) {
                return Some(why);
            }
        }
        let Some(asked) = &self.repositories else { return None };
        let selected = answer.get("repository_selection").and_then(Value::as_str) == Some("selected");
        let given: Option<BTreeSet<String>> =
            answer.get("repositories").and_then(Value::as_array).and_then(|all| {
                all.iter().map(|one| Some(one.get("name")?.as_str()?.to_ascii_lowercase())).collect()
            });
        let Some(given) = given.filter(|_| selected) else {
            return Some("it reaches other repositories than were asked for".to_owned());
        };
        let asked: BTreeSet<String> = asked.iter().map(|name| name.to_ascii_lowercase()).collect();
        match (given.is_subset(&asked), asked.is_subset(&given)) {
            (true, true) => None,
            (false, _) => Some("it reaches more repositories than were asked for".to_owned()),
            (true, false) => Some("it reaches fewer repositories than were asked for".to_owned()),
        }
    }

    /// The scopes of a token that was found to be what was asked: those that were named, for the engine to compare. A
    /// token that a detail narrowed was compared here.
    pub(super) fn scopes(&self) -> Option<Scopes> {
        self.permissions.as_ref().filter(|_| self.by_scopes).and_then(Permissions::to_scopes)
    }
}

/// One text, a list of them, or an object as GitHub writes it.
fn permissions(value: &Value) -> Result<Permissions, String> {
    match value {
        Value::Object(members) if !members.is_empty() => {
            Permissions::of_json(value).map_err(|why| format!("permissions {why}"))
        }
        _ => {
            let texts = texts(value).ok_or("permissions are texts like contents:read")?;
            Permissions::of_texts(texts.into_iter()).map_err(|why| format!("permission {why}"))
        }
    }
}

fn repositories(value: &Value, place: &Installed) -> Result<BTreeSet<String>, String> {
    let texts = texts(value).ok_or("repositories are names")?;
    // "The repository names that the token should have access to": 500 at most.
    if texts.len() > 500 {
        return Err("GitHub takes 500 repositories at most".to_owned());
    }
    texts
        .into_iter()
        .map(|text| {
            let name = match text.split_once('/') {
                None => text,
                Some((owner, name))
                    if place.name.as_deref().is_some_and(|at| at.eq_ignore_ascii_case(owner)) =>
                {
                    name
                }
                Some(_) => {
                    return Err("a repository belongs to another account than the installation".to_owned());
                }
            };
            let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            if name.is_empty() || name.len() > 100 || !name.bytes().all(sound) {
                return Err("a repository has a name of letters, digits, -, _ and .".to_owned());
            }
            Ok(name.to_owned())
        })
        .collect()
}

/// One text or several; none at all is no narrowing and not taken for one.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(one) => Some(vec![one.as_str()]),
        Value::Array(all) if !all.is_empty() => all.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// The type of authorization detail, as the official clients write it.
pub(super) const DETAIL: &str = "github_app_installation";
/// What permissions are held against.
const LIMIT: &str = "the scopes that are asked for or, where none are, the connector's appScopes";
const KNOWN: [&str; 4] = ["type", "org", "permissions", "repositories"];

#[cfg(test)]
mod tests;
