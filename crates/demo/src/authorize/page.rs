//! The pages for people: consent, and why there is none. HTML without script, readable by a screen reader.

use std::time::Duration;

use askama::Template;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::request::Asked;
use super::seal;
use crate::Server;
use crate::person::Person;
use crate::scope;

/// Why the page is shown again instead of doing what was chosen.
#[derive(Clone, Copy)]
pub(super) enum Notice {
    OutOfDate,
    NobodyChosen,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct Consent<'a> {
    base: &'a str,
    query: &'a str,
    seal: &'a str,
    notice: Option<&'static str>,
    client: &'a str,
    people: [Choice; 2],
    can: Vec<(&'static str, &'static str)>,
    cannot: Vec<&'static str>,
    access: String,
    /// How long a refresh token lives, if there will be one.
    kept: Option<String>,
    /// Whether every renewal begins that time anew.
    rotates: bool,
    place: String,
}

struct Choice {
    person: Person,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Problem<'a> {
    base: &'a str,
    why: &'a str,
}

impl Notice {
    pub(super) const fn event(self) -> &'static str {
        match self {
            Self::OutOfDate => "page_out_of_date",
            Self::NobodyChosen => "nobody_chosen",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::OutOfDate => StatusCode::FORBIDDEN,
            Self::NobodyChosen => StatusCode::BAD_REQUEST,
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::OutOfDate => "That page was out of date, so nothing was decided. Please choose again.",
            Self::NobodyChosen => "Please choose who you are.",
        }
    }
}

/// The page on which a person decides.
pub(super) fn consent(
    server: &Server,
    headers: &HeaderMap,
    query: &str,
    asked: &Asked,
    notice: Option<Notice>,
) -> Response {
    // Shown again, the page chooses nobody: what was chosen before is not to be trusted, and not to be guessed.
    let chosen = asked.chosen.filter(|_| notice.is_none());
    let known = seal::cookie(headers).map(str::to_owned);
    let cookie = known.clone().unwrap_or_else(|| seal::fresh_cookie(&server.env));
    let (can, cannot): (Vec<_>, Vec<_>) =
        scope::ALL.into_iter().partition(|(name, _)| asked.scopes.contains(name));
    let cannot = cannot.into_iter().filter(|(name, _)| *name != scope::OFFLINE_ACCESS);
    let page = Consent {
        base: server.issuer.path(),
        query,
        seal: &server.seal.set(server.env.now(), &cookie, query),
        notice: notice.map(Notice::sentence),
        client: &asked.back.client,
        people: Person::ALL.map(|person| Choice { person, chosen: chosen == Some(person) }),
        can,
        cannot: cannot.map(|(_, sentence)| sentence).chain(["Delete anything, or see a password"]).collect(),
        access: words(server.terms.access),
        kept: asked.scopes.contains(scope::OFFLINE_ACCESS).then(|| words(server.terms.refresh)),
        rotates: server.terms.rotates(),
        place: asked.back.place(),
    };
    let mut response = html(notice.map_or(StatusCode::OK, Notice::status), &page);
    let set = seal::set_cookie(&cookie, server.issuer.path(), server.issuer.secure());
    if known.is_none()
        && let Ok(set) = HeaderValue::try_from(set)
    {
        response.headers_mut().insert(SET_COOKIE, set);
    }
    response
}

/// Says why nobody can be asked and nobody can be sent back.
pub(super) fn problem(server: &Server, why: &str) -> Response {
    html(StatusCode::BAD_REQUEST, &Problem { base: server.issuer.path(), why })
}

/// `GET /style.css`
pub(crate) async fn style() -> Response {
    asset("text/css; charset=utf-8", include_str!("../../templates/style.css"))
}

/// `GET /icon.svg`
pub(crate) async fn icon() -> Response {
    asset("image/svg+xml", include_str!("../../templates/icon.svg"))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, text).into_response()
}

fn html(status: StatusCode, page: &impl Template) -> Response {
    let Ok(text) = page.render() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    (status, headers, text).into_response()
}

/// A duration as people say it, in the largest unit that it fills.
fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let (size, unit) =
        units.into_iter().find(|(size, _)| seconds.is_multiple_of(*size)).unwrap_or((1, "second"));
    let count = seconds / size;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// `form-action` names schemes only: Chromium holds every hop after the POST against it, and where the client sends
/// the browser after its own callback is not ours to know.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action http: https:; \
    base-uri 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_as_people_say_them() {
        for (seconds, said) in [
            (1, "1 second"),
            (90, "90 seconds"),
            (60, "1 minute"),
            (7_200, "2 hours"),
            (2_592_000, "30 days"),
        ] {
            assert_eq!(words(Duration::from_secs(seconds)), said);
        }
    }
}
