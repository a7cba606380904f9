//! What a scope allows, in words.
//!
//! Some services name scopes after something of a customer's own, a role or a module, which no file can list. Such a scope
//! is written with a place for that name, `session:role:{role}`, and its words say the name in the same place. What stands
//! there is part of a sentence that a person trusts, so only a plain name fits; anything else has no words, and is shown as
//! it is.

use std::borrow::Cow;

use crate::entry::Entry;

impl Entry {
    /// What a scope allows, in plain words that follow "It will be able to"; `None` if nobody has said. Of a scope that is
    /// listed by its whole name and fits a place too, the whole name counts.
    pub fn describe_scope(&self, scope: &str) -> Option<Cow<'_, str>> {
        let own = self.scopes.iter().find(|(name, _)| name.as_str() == scope && !has_place(name.as_str()));
        if let Some((_, words)) = own {
            return Some(Cow::Borrowed(words.as_str()));
        }
        let fits = |(pattern, words): (&crate::text::Scope, &crate::text::Words)| {
            let (place, named) = named(pattern.as_str(), scope)?;
            Some(words.as_str().replace(place, named))
        };
        if let Some(words) = self.scopes.iter().find_map(fits) {
            return Some(Cow::Owned(words));
        }
        describe_standard_scope(scope).map(Cow::Borrowed)
    }
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

/// Whether a scope of a file has a place for a name, and why it cannot have this one.
pub(crate) fn sound_place(scope: &str, words: &str) -> Result<(), String> {
    if !has_place(scope) {
        return Ok(());
    }
    let (before, place, after) = parts(scope).ok_or("a scope has one place for a name, like {role}")?;
    // Otherwise it would have words for scopes that mean something else.
    if !before.ends_with(|c: char| !c.is_ascii_alphanumeric()) || before.len() < 4 {
        return Err(format!("{place} needs a prefix before it that ends in a sign, like session:role:"));
    }
    if !(after.is_empty() || after.starts_with(|c: char| !is_of_a_name(c) || c == '.')) {
        return Err(format!("{place} is followed by a sign, or by nothing"));
    }
    if words.matches(place).count() != 1 {
        return Err(format!("the words say {place} once, where the name stands"));
    }
    Ok(())
}

/// The place of a pattern, and what a scope has in it.
fn named<'a>(pattern: &'a str, scope: &'a str) -> Option<(&'a str, &'a str)> {
    let (before, place, after) = parts(pattern)?;
    let name = scope.strip_prefix(before)?.strip_suffix(after)?;
    let sound = (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_of_a_name);
    sound.then_some((place, name))
}

/// What stands before the place, the place with its braces, and what stands behind it.
fn parts(pattern: &str) -> Option<(&str, &str, &str)> {
    let (begin, end) = (pattern.find('{')?, pattern.find('}')? + 1);
    let place = pattern.get(begin..end)?;
    let (before, after) = (pattern.get(..begin)?, pattern.get(end..)?);
    let is_name =
        place.len() > 2 && place.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '{' | '}' | '_'));
    (is_name && !has_place(before) && !has_place(after) && place.matches(['{', '}']).count() == 2)
        .then_some((before, place, after))
}

fn has_place(text: &str) -> bool {
    text.contains(['{', '}'])
}

/// Of roles, modules and hosts.
fn is_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '$')
}

/// Longer ones would push the sentence off the page; identifiers of Snowflake have 255 at most, and few have fifty.
const LONGEST_NAME: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_into_its_place_and_nothing_else_does() {
        let role = "session:role:{role}";
        assert_eq!(named(role, "session:role:ANALYST"), Some(("{role}", "ANALYST")));
        assert_eq!(named("a.b.{x}.READ", "a.b.leads.READ"), Some(("{x}", "leads")));
        let long = format!("session:role:{}", "R".repeat(101));
        for scope in ["session:role:", "session:role-any", "session:role:A B", "session:role:A,B", "x", &long]
        {
            assert_eq!(named(role, scope), None, "{scope}");
        }
        for other in ["session:role:\u{202e}X", "session:role:{role}", "session:role:<b>", "session:role:a:b"]
        {
            assert_eq!(named(role, other), None, "{other}");
        }
    }

    #[test]
    fn a_place_that_takes_too_much_or_is_not_said_is_refused() {
        for (scope, words) in [
            ("session:role:{role}", "Act as the role {role}"),
            ("https://{host}/.default", "Do everything at {host}"),
            ("read", "Read"),
        ] {
            assert_eq!(sound_place(scope, words), Ok(()), "{scope}");
        }
        for (scope, words) in [
            ("{role}", "Act as {role}"),
            ("ab:{role}", "Act as {role}"),
            ("role{role}", "Act as {role}"),
            ("role:{role}admin", "Act as {role}"),
            ("role:{role}", "Act as somebody"),
            ("role:{role}", "Act as {role} or {role}"),
            ("role:{a}:{b}", "Act as {a} {b}"),
            ("role:{", "Act"),
            ("role:{}", "Act as {}"),
            ("role:}{x", "Act as }{x"),
        ] {
            assert!(sound_place(scope, words).is_err(), "{scope}");
        }
    }
}
