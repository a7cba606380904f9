//! What a token of the demo provider may do.

use carnet_model::Scopes;

/// Read one's own profile.
pub(crate) const PROFILE_READ: &str = "profile:read";
/// Read the board.
pub(crate) const MESSAGES_READ: &str = "messages:read";
/// Write on the board.
pub(crate) const MESSAGES_WRITE: &str = "messages:write";
/// Get a refresh token (OpenID Connect Core 1.0 §11).
pub(crate) const OFFLINE_ACCESS: &str = "offline_access";

/// Every scope with its sentence for the consent page.
pub(crate) const ALL: [(&str, &str); 4] = [
    (PROFILE_READ, "Read your demo profile"),
    (MESSAGES_READ, "Read messages on the demo board"),
    (MESSAGES_WRITE, "Write messages on the demo board, in your name"),
    (OFFLINE_ACCESS, "Keep this access while you are away"),
];

/// Reads a `scope` parameter (RFC 6749 §3.3). Without one, the default; `None` for a name that is not ours.
pub(crate) fn parse(text: Option<&str>) -> Option<Scopes> {
    let names = text.unwrap_or(PROFILE_READ).split(' ').filter(|name| !name.is_empty());
    let scopes = Scopes::parse(names).ok()?;
    let ours = scopes.iter().all(|name| ALL.iter().any(|(known, _)| *known == name));
    (ours && !scopes.is_empty()).then_some(scopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_scopes_are_read() {
        for (text, read) in [
            (None, Some("profile:read")),
            (Some("messages:write profile:read"), Some("messages:write profile:read")),
            (Some("profile:read  profile:read"), Some("profile:read")),
            (Some("profile:read admin"), None),
            (Some("profile:read,messages:read"), None),
            (Some(" "), None),
        ] {
            assert_eq!(parse(text).map(|scopes| scopes.to_string()).as_deref(), read, "{text:?}");
        }
    }
}
