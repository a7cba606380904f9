//! Reading a file: its form first, then that its parts agree. The first thing wrong is told with its line.

use std::ops::Range;

use carnet_model::connector::ConnectorType;
use toml::Spanned;

use crate::entry::{Entry, Field, FieldKind, Method, Oauth, RefreshClass};
use crate::template::Template;
use crate::text::Scope;

/// A file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} line {line}: {why}")]
pub struct Invalid {
    /// Which.
    pub file: String,
    /// Where it goes wrong, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub why: String,
}

impl Entry {
    /// Reads the text of a file whose name, without `.toml`, is `stem`. `file` is how it is called in an error.
    pub fn read(file: &str, stem: &str, text: &str) -> Result<Self, Invalid> {
        let invalid = |place: Option<Range<usize>>, why: &str| {
            let before = place.and_then(|place| text.get(..place.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            Invalid { file: file.to_owned(), line, why: why.trim().trim_end_matches('.').to_owned() }
        };
        let entry: Self = toml::from_str(text).map_err(|error| invalid(error.span(), error.message()))?;
        if entry.slug.as_str() != stem {
            let at = text.find("slug").map(|at| at..at);
            return Err(invalid(
                at,
                &format!("slug is {:?}, and the file is called {stem:?}", entry.slug.as_str()),
            ));
        }
        entry.agree().map_err(|Wrong { at, why }| {
            let place = match at {
                At::Here(place) => Some(place),
                At::Mention(word) => text.find(&word).map(|at| at..at),
            };
            invalid(place, &why)
        })?;
        Ok(entry)
    }

    fn agree(&self) -> Result<(), Wrong> {
        if self.methods.is_empty() {
            return Err(wrong("methods", "there is no way to connect it"));
        }
        if self.source.is_empty() {
            return Err(wrong("source", "say where the facts were read"));
        }
        if self.monogram.as_ref().is_some_and(|letters| letters.as_str().chars().count() > 2) {
            return Err(wrong("monogram", "monogram has one or two letters"));
        }
        let names: Vec<&str> = self.methods.iter().map(|method| method.method.as_str()).collect();
        if let Some(twice) = twice(&names) {
            return Err(wrong(format!("method = \"{twice}\""), format!("there are two methods {twice}")));
        }
        let targets: Vec<&str> = self.targets.iter().map(|target| target.target.as_str()).collect();
        if let Some(twice) = twice(&targets) {
            return Err(wrong(format!("target = \"{twice}\""), format!("there are two targets {twice}")));
        }
        for (scope, words) in &self.scopes {
            let sound = crate::words::sound_place(scope.as_str(), words.as_str());
            sound.map_err(|why| wrong(format!("\"{scope}\""), why))?;
        }
        for target in &self.targets {
            self.has_words(target.scopes.iter().map(Scope::as_str))?;
        }
        self.methods.iter().try_for_each(|method| self.agrees(method, &targets))
    }

    fn agrees(&self, method: &Method, targets: &[&str]) -> Result<(), Wrong> {
        let name = method.method.as_str();
        let mention = || format!("method = \"{name}\"");
        if let Some(unknown) = method.targets.iter().find(|target| !targets.contains(&target.as_str())) {
            return Err(wrong(
                mention(),
                format!("{name} serves {unknown}, which is no target of this file"),
            ));
        }
        let fits = if method.driver == ConnectorType::ApiKey {
            method.oauth.is_none()
        } else {
            method.keys.is_empty() && (method.oauth.is_none() || method.driver == ConnectorType::Oauth)
        };
        if !fits {
            let driver = method.driver.as_str();
            return Err(wrong(
                mention(),
                format!("{name} has facts that the driver {driver} has no use for"),
            ));
        }
        let fields: Vec<Field> = method.fields().cloned().collect();
        let keys: Vec<&str> = fields.iter().map(|field| field.key.as_str()).collect();
        if let Some(twice) = twice(&keys) {
            return Err(wrong(mention(), format!("{name} has two fields {twice}")));
        }
        method.fields.iter().try_for_each(sound)?;
        let addresses = method.oauth.iter().flat_map(Oauth::addresses).map(|(_, address)| address);
        let addresses: Vec<_> = addresses.chain(&method.api).collect();
        for address in &addresses {
            self.reaches(address, &fields)?;
        }
        let written = self.data_agrees(method, &fields)?;
        let used = |key: &str| {
            addresses.iter().any(|address| address.get_ref().fields().any(|name| name == key))
                || written.iter().any(|text| text.contains(&format!("{{{key}}}")))
        };
        if let Some(idle) = method.fields.iter().find(|field| !used(field.get_ref().key.as_str())) {
            return Err(Wrong {
                at: At::Here(idle.span()),
                why: format!("no address has a place for {{{}}}", idle.get_ref().key),
            });
        }
        if method.keys.len() > 1 && method.keys.iter().any(|key| key.name.is_none()) {
            return Err(wrong(mention(), format!("{name} has several keys, so each needs a name")));
        }
        if let Some(place) = method.keys.iter().find(|key| {
            usize::from(key.header.is_some())
                + usize::from(key.query.is_some())
                + usize::from(key.basic.is_some())
                > 1
        }) {
            let name = place.name.as_ref().map_or(name, |name| name.as_str());
            return Err(wrong(
                mention(),
                format!("the key {name} is presented in one place: header, query or basic"),
            ));
        }
        method.oauth.as_ref().map_or(Ok(()), |oauth| self.oauth_agrees(name, oauth))
    }

    /// What a file writes into `data` leads nowhere else either, and asks for nothing without words. The texts in it.
    fn data_agrees<'a>(&self, method: &'a Method, fields: &[Field]) -> Result<Vec<&'a str>, Wrong> {
        let mut texts = Vec::new();
        let mut scopes = Vec::new();
        for (name, value) in &method.data {
            if crate::plan::SERVER.contains(&name.as_str()) {
                return Err(wrong(format!("{name} ="), format!("{name} is not written into data")));
            }
            collect(name, value, &mut texts, &mut scopes);
        }
        for text in &texts {
            let at = || At::Mention((*text).to_owned());
            if text.starts_with("https://") {
                // Where a key is filled in, nothing else is.
                let template = Template::try_from(text.replace("{key}", "key"));
                let template = template.map_err(|why| Wrong { at: at(), why })?;
                self.stays(&template, fields).map_err(|why| Wrong { at: at(), why })?;
            } else if text.contains("://") {
                return Err(Wrong { at: at(), why: format!("{text:?} must begin with https://") });
            }
        }
        self.has_words(scopes.into_iter())?;
        Ok(texts)
    }

    fn oauth_agrees(&self, name: &str, oauth: &Oauth) -> Result<(), Wrong> {
        let mention = || format!("method = \"{name}\"");
        let described = oauth.addresses().any(|(name, _)| name != "server");
        if oauth.server.is_some() && described {
            return Err(wrong(
                mention(),
                format!("{name} has a server to ask, so no other address is written down"),
            ));
        }
        if oauth.separator.as_ref().is_some_and(|separator| !matches!(separator.as_str(), " " | ",")) {
            return Err(wrong("separator", "separator is a space or a comma"));
        }
        if oauth.life.is_some_and(|life| !(60..=315_360_000).contains(&life)) {
            return Err(wrong("life", "life is 60 seconds to ten years"));
        }
        let grace = oauth.refresh.class == RefreshClass::Grace;
        if grace != oauth.refresh.seconds.is_some() || matches!(oauth.refresh.seconds, Some(0 | 86_401..)) {
            return Err(wrong(
                mention(),
                format!("{name}: the class grace, and no other, has seconds, 1 to 86400"),
            ));
        }
        let app = oauth.app.iter().flat_map(|app| &app.scopes);
        self.has_words(oauth.scopes.iter().chain(app).map(Scope::as_str))
    }

    fn has_words<'a>(&self, mut scopes: impl Iterator<Item = &'a str>) -> Result<(), Wrong> {
        match scopes.find(|scope| self.describe_scope(scope).is_none()) {
            Some(mute) => Err(wrong(
                format!("\"{mute}\""),
                format!("{mute} is asked for by default, and [scopes] has no words for it"),
            )),
            None => Ok(()),
        }
    }

    fn reaches(&self, address: &Spanned<Template>, fields: &[Field]) -> Result<(), Wrong> {
        let stays = self.stays(address.get_ref(), fields);
        stays.map_err(|why| Wrong { at: At::Here(address.span()), why })
    }

    /// Whether whatever is filled into an address stays within the hosts of the file.
    fn stays(&self, address: &Template, fields: &[Field]) -> Result<(), String> {
        let reached = address.reach(fields)?;
        let stray = reached.iter().find(|host| !self.hosts.iter().any(|known| known.covers(host)));
        stray.map_or(Ok(()), |host| Err(format!("{host} is not among the hosts of this file")))
    }
}

/// The texts of a value, and which of them are scopes.
fn collect<'a>(name: &str, value: &'a toml::Value, texts: &mut Vec<&'a str>, scopes: &mut Vec<&'a str>) {
    match value {
        toml::Value::String(text) => {
            texts.push(text);
            if name.to_lowercase().ends_with("scopes") {
                scopes.push(text);
            }
        }
        toml::Value::Array(items) => items.iter().for_each(|item| collect(name, item, texts, scopes)),
        toml::Value::Table(members) => {
            members.iter().for_each(|(name, value)| collect(name, value, texts, scopes));
        }
        _ => {}
    }
}

/// What a field offers must be what it takes.
fn sound(field: &Spanned<Field>) -> Result<(), Wrong> {
    let at = || At::Here(field.span());
    let this = field.get_ref();
    for value in std::iter::once(&this.example).chain(&this.default) {
        this.check(value).map_err(|why| Wrong { at: at(), why: format!("{value:?}: {} {why}", this.key) })?;
    }
    let host = this.kind == FieldKind::Host;
    let choice = this.kind == FieldKind::Choice;
    if host == this.within.is_empty() || choice == this.choices.is_empty() {
        let why = format!(
            "{}: a host says what it is within, a choice has choices, and nothing else has",
            this.key
        );
        return Err(Wrong { at: at(), why });
    }
    let word = |choice: &String| {
        let sound = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
        !choice.is_empty() && choice.len() <= 64 && choice.bytes().all(sound) && !choice.contains("..")
    };
    if !this.choices.iter().all(word) {
        return Err(Wrong { at: at(), why: format!("{}: choices are words of a-z, 0-9, - and .", this.key) });
    }
    Ok(())
}

/// What is wrong, and where.
struct Wrong {
    at: At,
    why: String,
}

enum At {
    Here(Range<usize>),
    /// Where this first stands.
    Mention(String),
}

fn wrong(mention: impl Into<String>, why: impl Into<String>) -> Wrong {
    Wrong { at: At::Mention(mention.into()), why: why.into() }
}

fn twice<'a>(names: &[&'a str]) -> Option<&'a str> {
    names
        .iter()
        .enumerate()
        .find(|(at, name)| names.iter().take(*at).any(|other| other == *name))
        .map(|(_, name)| *name)
}
