//! Who asks: what both kinds of consent page say about a request, in the same words.

use std::time::Duration;

use carnet_model::{Environment, Slug};

use crate::form::Form;
use crate::label::Label;
use crate::monogram::Monogram;

/// A request for authorization, as far as the person who decides should know it.
#[derive(Debug)]
pub struct Request {
    /// `car_…`, to be quoted when something is wrong.
    pub id: String,
    /// The project that asks, by name.
    pub app: Label,
    /// The team that runs it.
    pub team: Label,
    /// Where it runs.
    pub stage: Stage,
    /// The third party, as people call it: "Linear".
    pub service: Label,
    /// Where the picture is that the team chose for the connector.
    pub picture: Option<String>,
    /// How the service's tile looks where there is no picture.
    pub monogram: Option<Monogram>,
    /// The connector's UID.
    pub connector: Label,
    /// Whose access it will be.
    pub whose: Whose,
    /// The code that the app shows, when the request began on another device.
    pub device_code: Option<Label>,
    /// Whether the person came here by entering a code.
    pub by_code: bool,
    /// How long ago it was made.
    pub age: Duration,
    /// Host of the page to which the browser returns afterwards.
    pub returns_to: Option<Label>,
    /// Host name of this server.
    pub host: Label,
    /// Where the answer goes.
    pub form: Form,
}

/// The environment of a request, with the name that the team gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// What serves real users.
    Production,
    /// A branch under review.
    Preview,
    /// A developer's machine.
    Development,
    /// One that the team made itself.
    Custom(Slug),
}

/// The person for whom the app asks.
#[derive(Clone, Debug)]
pub enum Whose {
    /// Somebody whom only the app knows: its own identifier of that user, shown as the app's words.
    NamedByApp(Label),
    /// Somebody who is signed in to this server, at a terminal say: the email address.
    Member(Label),
    /// Somebody whom the app will know by the account at the third party, because that is how they sign in.
    SigningIn,
}

impl Request {
    /// How long ago it was made, in words.
    pub(crate) fn ago(&self) -> String {
        ago(self.age)
    }
}

impl Stage {
    /// The stage for an environment; `slug` is the name of a custom one.
    pub fn of(environment: &Environment, slug: Option<Slug>) -> Option<Self> {
        match environment {
            Environment::Production => Some(Self::Production),
            Environment::Preview => Some(Self::Preview),
            Environment::Development => Some(Self::Development),
            Environment::Custom(_) => slug.map(Self::Custom),
        }
    }

    /// Its name within a sentence.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Production => "production",
            Self::Preview => "preview",
            Self::Development => "development",
            Self::Custom(slug) => slug.as_str(),
        }
    }

    /// What a person should know of one that is not production.
    pub(crate) fn notice(&self) -> Option<String> {
        match self {
            Self::Production => None,
            Self::Preview => {
                Some("This is a preview: a version under review, not the one in production.".to_owned())
            }
            Self::Development => {
                Some("This is development: it runs on a developer's machine, not in production.".to_owned())
            }
            Self::Custom(slug) => {
                Some(format!("This is the environment \u{201c}{slug}\u{201d}, not production."))
            }
        }
    }
}

/// How long ago, in words, rounded down.
pub(crate) fn ago(age: Duration) -> String {
    format!("{} ago", span(age))
}

/// A length of time in words, rounded down.
pub(crate) fn span(time: Duration) -> String {
    match time.as_secs() {
        0..60 => "less than a minute".to_owned(),
        60..120 => "a minute".to_owned(),
        seconds @ 120..7_200 => format!("{} minutes", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} hours", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// A length of time in words, rounded up, for "at most …".
pub(crate) fn at_most(life: Duration) -> String {
    let minutes = life.as_secs().div_ceil(60).max(1);
    let hours = minutes.div_ceil(60);
    match (minutes, hours) {
        (1, _) => "one minute".to_owned(),
        (60, _) => "one hour".to_owned(),
        (..120, _) => format!("{minutes} minutes"),
        (_, ..48) => format!("{hours} hours"),
        _ => format!("{} days", hours.div_ceil(24)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_never_said_to_be_longer_than_it_is() {
        for (seconds, want) in [
            (0, "less than a minute ago"),
            (119, "a minute ago"),
            (120, "2 minutes ago"),
            (3_599, "59 minutes ago"),
            (7_199, "119 minutes ago"),
            (7_200, "2 hours ago"),
            (172_799, "47 hours ago"),
            (172_800, "2 days ago"),
        ] {
            assert_eq!(ago(Duration::from_secs(seconds)), want, "{seconds}");
        }
    }

    #[test]
    fn a_life_is_never_said_to_be_shorter_than_it_is() {
        for (seconds, want) in [
            (0, "one minute"),
            (61, "2 minutes"),
            (600, "10 minutes"),
            (3_600, "one hour"),
            (3_601, "61 minutes"),
            (7_200, "2 hours"),
            (43_200, "12 hours"),
            (43_201, "13 hours"),
            (172_800, "2 days"),
            (7_776_000, "90 days"),
        ] {
            assert_eq!(at_most(Duration::from_secs(seconds)), want, "{seconds}");
        }
    }
}
