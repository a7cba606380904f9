//! What is data about a service: its name, its pages, how a connector to it can be made, and what each scope allows
//! in plain words. One file per service in `catalog/`, compiled in.
//!
//! What a file may hold is all here, and what it does not know is refused: a misspelt field is found by the tests, not
//! by a user. A scope that a file does not describe is shown by its own name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use carnet_model::connector::ConnectorType;
use serde::Deserialize;

/// What is known about one service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Definition {
    /// Its short name: the first part of a connector's UID.
    pub service: String,
    /// What people call it.
    pub name: String,
    /// What it is, in a sentence.
    pub description: String,
    /// Its own site.
    pub website: Option<String>,
    /// Its pages for developers.
    pub docs: Option<String>,
    /// The ways to make a connector to it, the usual one first.
    pub methods: Vec<Method>,
    /// What each scope allows, in plain words that follow "it will be able to".
    #[serde(default)]
    pub scopes: BTreeMap<String, String>,
}

/// One way to make a connector.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Method {
    /// Its name on the wire, `connectionMethod`.
    pub method: String,
    /// What people call it.
    pub label: String,
    /// When it is the right one.
    pub description: String,
    /// The driver that runs such connectors.
    pub driver: ConnectorType,
    /// Where the person finds what has to be filled in, in Markdown.
    pub instructions: Option<String>,
}

impl Definition {
    /// What a scope allows, in plain words; `None` if nobody has said.
    pub fn describe_scope(&self, scope: &str) -> Option<&str> {
        self.scopes.get(scope).map(String::as_str).or_else(|| describe_standard_scope(scope))
    }
}

/// The definition of the service of this short name.
pub fn service(slug: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.service == slug)
}

/// All definitions, by short name.
pub fn services() -> &'static [Definition] {
    &DEFINITIONS
}

/// What a scope of OpenID Connect Core (§5.4, §11) allows, which is the same everywhere; `None` for any other.
pub fn describe_standard_scope(scope: &str) -> Option<&'static str> {
    Some(match scope {
        "openid" => "Know which account is yours",
        "profile" => "See your name and your public profile",
        "email" => "See your e-mail address",
        "address" => "See your postal address",
        "phone" => "See your phone number",
        "offline_access" => "Keep this access while you are away",
        _ => return None,
    })
}

// A file that cannot be read is left out here, and fails the test below.
static DEFINITIONS: LazyLock<Vec<Definition>> =
    LazyLock::new(|| FILES.iter().filter_map(|(_, text)| toml::from_str(text).ok()).collect());

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../catalog/", $name, ".toml")))),*]
    };
}

/// The files of `catalog/`, in order.
const FILES: &[(&str, &str)] = files!["api-key", "demo", "oauth"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_catalog_is_compiled_in_and_can_be_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalog");
        let mut found: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
            .collect();
        found.sort();
        assert_eq!(found, FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        for (name, text) in FILES {
            let definition: Definition = toml::from_str(text).unwrap_or_else(|e| panic!("{name}.toml: {e}"));
            assert_eq!(&definition.service, name);
            assert!(!definition.methods.is_empty(), "{name}.toml has no method");
            for page in [&definition.website, &definition.docs].into_iter().flatten() {
                assert!(page.starts_with("https://"), "{name}.toml: {page}");
            }
            for words in definition.scopes.values() {
                assert!(words.chars().next().is_some_and(char::is_uppercase), "{name}.toml: {words}");
            }
        }
        assert_eq!(services().len(), FILES.len());
    }

    #[test]
    fn a_scope_is_told_in_plain_words() {
        let demo = service("demo").unwrap();
        assert_eq!(demo.describe_scope("profile:read"), Some("Read your demo profile"));
        assert_eq!(demo.describe_scope("email"), Some("See your e-mail address"));
        assert_eq!(demo.describe_scope("made:up"), None);
        assert!(service("nobody").is_none());
    }

    #[test]
    fn the_demo_provider_and_its_file_tell_the_same_about_its_scopes() {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/src/scope.rs");
        let source = std::fs::read_to_string(source).unwrap();
        let demo = service("demo").unwrap();
        assert_eq!(source.matches(": &str = \"").count(), demo.scopes.len() + 1, "all but offline_access");
        for (scope, words) in &demo.scopes {
            assert!(
                source.contains(&format!("{scope:?}")) && source.contains(&format!("{words:?}")),
                "{scope}"
            );
        }
    }

    #[test]
    fn a_field_that_the_catalog_does_not_know_is_refused() {
        let text = "service = 'x'\nname = 'X'\ndescription = 'x'\nmethods = []\nwebsit = 'https://x'";
        assert!(toml::from_str::<Definition>(text).is_err());
    }
}
