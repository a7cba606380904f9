//! Names and short texts from outside, made fit to be shown.
//!
//! Escaping is the templates' business. Here goes what would still deceive after escaping: control characters, the
//! ones that turn the direction of writing round, invisible ones, towers of accents, and sheer length.

use std::fmt;

pub(crate) use carnet_model::shown::clean;
use carnet_model::shown::is_joiner;
use url::Url;

/// A cleaned text on one line, with something to see in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label(String);

impl Label {
    /// A name: at most 80 characters.
    pub fn name(text: &str) -> Self {
        Self::cut(text, 80, "(no name)")
    }

    /// A sentence of somebody else's: at most 200 characters.
    pub fn words(text: &str) -> Self {
        Self::cut(text, 200, "(no text)")
    }

    /// Several sentences of our own, in which names of others may stand: at most 600 characters.
    pub fn sentences(text: &str) -> Self {
        Self::cut(text, 600, "(no text)")
    }

    /// Host and port of a URL as a browser shows them, names outside ASCII in their encoded form.
    pub fn host(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        Self::name(&url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    }

    /// One or two letters that stand for the name in a tile.
    pub(crate) fn initials(&self) -> String {
        let mut words = self.0.split(|c: char| !c.is_alphanumeric()).filter_map(|word| word.chars().next());
        let letters: String = words.by_ref().take(2).flat_map(char::to_uppercase).take(2).collect();
        if letters.is_empty() { "?".to_owned() } else { letters }
    }

    fn cut(text: &str, most: usize, fallback: &str) -> Self {
        let cleaned = clean(text, most);
        // Joiners alone would be an empty name that passes for one.
        let seen = cleaned.chars().any(|c| !c.is_whitespace() && !is_joiner(c));
        Self(if seen { cleaned } else { fallback.to_owned() })
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use carnet_model::shown::is_hidden;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_deceives_is_gone_and_what_is_spelled_so_stays() {
        for (from, to) in [
            ("my-app", "my-app"),
            ("  Support \t\n Agent  ", "Support Agent"),
            ("nep\u{202e}gnp.exe", "nepgnp.exe"),
            ("a\u{0}b\u{1b}[31mc", "a b [31mc"),
            ("pay\u{200b}pal\u{feff}", "paypal"),
            ("Z\u{300}\u{301}\u{302}\u{303}a", "Z\u{300}\u{301}a"),
            ("Nguyễn Thị", "Nguyễn Thị"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("<b>bold</b>", "<b>bold</b>"),
            ("", "(no name)"),
            ("\u{200d}\u{3164}\u{2800} ", "(no name)"),
            ("\u{e0041}\u{e0042}", "(no name)"),
        ] {
            assert_eq!(Label::name(from).to_string(), to, "{from:?}");
        }
    }

    #[test]
    fn initials_come_from_the_first_two_words() {
        for (name, want) in [
            ("my-app", "MA"),
            ("Demo", "D"),
            ("mcp.linear.app", "ML"),
            ("ßa", "SS"),
            ("***", "?"),
            ("Ωmega", "Ω"),
        ] {
            assert_eq!(Label::name(name).initials(), want, "{name}");
        }
    }

    #[test]
    fn a_host_is_shown_as_the_browser_shows_it() {
        for (url, want) in [
            ("https://connect.acme.dev/x", "connect.acme.dev"),
            ("http://127.0.0.1:7070/", "127.0.0.1:7070"),
            ("https://аррӏе.com/", "xn--80ak6aa92e.com"),
        ] {
            assert_eq!(Label::host(&Url::parse(url).unwrap()).to_string(), want);
        }
    }

    proptest! {
        #[test]
        fn a_label_is_one_short_line_and_cleaning_it_again_changes_nothing(text in "\\PC{0,300}|[\\s\\S]{0,300}") {
            let label = Label::words(&text).to_string();
            prop_assert!(label.chars().count() <= 201);
            prop_assert!(!label.is_empty());
            prop_assert!(!label.chars().any(|c| c.is_control() || is_hidden(c)));
            prop_assert_eq!(clean(&label, 201), label);
        }
    }
}
