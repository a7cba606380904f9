//! What a scope allows, in words.

use crate::entry::Entry;

impl Entry {
    /// What a scope allows, in plain words that follow "It will be able to"; `None` if nobody has said.
    pub fn describe_scope(&self, scope: &str) -> Option<&str> {
        let own = self.scopes.iter().find(|(name, _)| name.as_str() == scope);
        own.map(|(_, words)| words.as_str()).or_else(|| describe_standard_scope(scope))
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
