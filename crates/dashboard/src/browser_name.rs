//! What a browser calls itself, in words that its person knows it by: "Firefox on Windows".
//!
//! Every browser names others that it is like (RFC 9110 §10.1.5 leaves the text free), so the more particular name is
//! looked for first. What is said is one of few words: nothing of the text itself stands among them. A text that names
//! none of these is shown as it is.

use crate::label::Label;

/// A browser, for its person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserName {
    pub(crate) words: Label,
    /// What it says itself.
    pub(crate) raw: Label,
}

impl BrowserName {
    /// Of what it calls itself.
    pub fn read(agent: &str) -> Self {
        if agent.trim().is_empty() {
            let unnamed = Label::words("An unnamed browser");
            return Self { words: unnamed.clone(), raw: unnamed };
        }
        let (browser, system) = (first(agent, BROWSERS), first(agent, SYSTEMS));
        let words = match (browser, system) {
            (Some(browser), Some(system)) => format!("{browser} on {system}"),
            (Some(browser), None) => browser.to_owned(),
            (None, Some(system)) => format!("A browser on {system}"),
            (None, None) => agent.to_owned(),
        };
        Self { words: Label::words(&words), raw: Label::words(agent) }
    }
}

fn first(agent: &str, known: &[(&str, &'static str)]) -> Option<&'static str> {
    known.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
}

const BROWSERS: &[(&str, &str)] = &[
    ("carnet/", "Carnet command line"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edg/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("OPiOS/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("YaBrowser/", "Yandex Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("FxiOS/", "Firefox"),
    ("Focus/", "Firefox Focus"),
    ("Firefox/", "Firefox"),
    ("HeadlessChrome/", "Chrome without a window"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Version/", "Safari"),
    ("curl/", "curl"),
];
const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Mac OS X", "macOS"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("Linux", "Linux"),
    ("X11", "Linux"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_known_by_what_they_say_of_themselves() {
        for (agent, words) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
                "Firefox on Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 \
                 Safari/537.36 Edg/142.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                "Chrome on Linux",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/26.0 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 CriOS/142.0.0.0 Mobile/15E148 Safari/604.1",
                "Chrome on iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 \
                 Chrome/130.0.0.0 Mobile Safari/537.36",
                "Samsung Internet on Android",
            ),
            (
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 \
                 Safari/537.36",
                "Chrome on ChromeOS",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64) Something/1", "A browser on Linux"),
            ("curl/8.14.1", "curl"),
        ] {
            let name = BrowserName::read(agent);
            assert_eq!((name.words.to_string().as_str(), name.raw), (words, Label::words(agent)), "{agent}");
        }
        for (agent, words) in
            [("Teapot/1", "Teapot/1"), ("", "An unnamed browser"), (" ", "An unnamed browser")]
        {
            let name = BrowserName::read(agent);
            assert_eq!(
                (name.words.to_string().as_str(), name.raw),
                (words, Label::words(words)),
                "{agent:?}"
            );
        }
    }

    #[test]
    fn nothing_of_a_hostile_text_is_among_the_words() {
        let name = BrowserName::read("<script>alert(1)</script> Firefox/1 \u{202e}Windows");
        assert_eq!(name.words.to_string(), "Firefox on Windows");
        assert!(!name.raw.to_string().contains('\u{202e}'));
    }
}
