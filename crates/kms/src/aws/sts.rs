//! The security token service: temporary credentials in exchange for a web identity.
//!
//! AWS Security Token Service API Reference (2011-06-15), "AssumeRoleWithWebIdentity": a form, not signed, because the
//! identity is the proof; an answer in XML, of which four members are read.

use std::time::Duration;

use carnet_egress::Answer;
use carnet_model::{SecretString, Time};
use url::{Url, form_urlencoded};

use super::credentials::Session;
use crate::service::{ConfigError, Service, ServiceError, form, unusable, url};

/// Where the service of a region is asked. The global address is answered from one region alone.
pub(super) fn endpoint(given: Option<&Url>, region: &str) -> Result<Url, ConfigError> {
    match given {
        Some(given) => Ok(given.clone()),
        None => url("aws_kms.region", &format!("https://sts.{region}.amazonaws.com/")),
    }
}

/// The forms of the reference.
pub(super) fn check(role: &str, session_name: &str) -> Result<(), ConfigError> {
    let field = |field, why: &str| ConfigError::Field { field, why: why.to_owned() };
    if !(20..=2048).contains(&role.len()) || !role.starts_with("arn:") || !role.is_ascii() {
        return Err(field("AWS_ROLE_ARN", "the ARN of a role, as arn:aws:iam::111122223333:role/carnet"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "_=,.@-".contains(c);
    if !(2..=64).contains(&session_name.len()) || !session_name.chars().all(plain) {
        return Err(field("AWS_ROLE_SESSION_NAME", "2 to 64 letters, digits and _ = , . @ -"));
    }
    Ok(())
}

/// Credentials of the role, for an hour, or for as long as the role allows if that is shorter.
pub(super) async fn assume(
    service: &Service,
    endpoint: &Url,
    role: &str,
    session_name: &str,
    identity: &SecretString,
) -> Result<Session, ServiceError> {
    let body = SecretString::new(
        form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", "AssumeRoleWithWebIdentity")
            .append_pair("Version", "2011-06-15")
            .append_pair("RoleArn", role)
            .append_pair("RoleSessionName", session_name)
            .append_pair("WebIdentityToken", identity.expose())
            .finish(),
    );
    let answer = service.ask(form(endpoint.clone(), body.expose().clone())).await?;
    let text = str::from_utf8(&answer.body).unwrap_or_default();
    if !answer.status.is_success() {
        return Err(refused(endpoint, &answer, text));
    }
    let read = |name: &str| element(text, name).ok_or_else(|| unusable(endpoint, &answer, "no credentials"));
    let ends = read("Expiration")?.expose().parse::<jiff::Timestamp>();
    let ends = ends.map_err(|_| unusable(endpoint, &answer, "credentials with an unreadable end"))?;
    let ends = Time::from_millis(ends.as_millisecond());
    if ends <= service.env.now().plus(SHORTEST) {
        return Err(unusable(endpoint, &answer, "credentials that have ended; look at the clock"));
    }
    Ok(Session {
        key_id: read("AccessKeyId")?.expose().clone(),
        secret: read("SecretAccessKey")?,
        token: Some(read("SessionToken")?),
        ends,
    })
}

/// `ExpiredTokenException`, `InvalidIdentityToken`, `AccessDenied` and so on. The message may quote the identity.
fn refused(endpoint: &Url, answer: &Answer, text: &str) -> ServiceError {
    let code = element(text, "Code");
    unusable(endpoint, answer, code.as_ref().map_or("no credentials", |code| code.expose()))
}

/// The text of the one element of this name. What is read holds neither `<` nor `&`, so there is nothing to decode; the
/// reference's own sample has line ends in it.
fn element(text: &str, name: &str) -> Option<SecretString> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let (_, rest) = text.split_once(&open)?;
    let (inside, rest) = rest.split_once(&close)?;
    let sound = !inside.contains(['<', '&']) && !rest.contains(&open);
    let inside = SecretString::new(inside.split_ascii_whitespace().collect());
    Some(inside).filter(|inside| sound && !inside.expose().is_empty())
}

/// What ends sooner is of no use for a call.
const SHORTEST: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_read_only_where_there_is_one_and_nothing_in_it() {
        let read = |text: &str| element(text, "A").map(|found| found.expose().clone());
        assert_eq!(read("<x><A>\n  one\n  two==\n</A></x>").as_deref(), Some("onetwo=="));
        for text in
            ["", "<A>", "<A></A>", "<A>x</A><A>y</A>", "<A><B>x</B></A>", "<A>a&amp;b</A>", "<AA>x</AA>"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn roles_and_names_have_the_forms_of_the_reference() {
        let role = "arn:aws:iam::111122223333:role/carnet";
        check(role, "carnet@node-1").unwrap();
        for (role, name) in [("carnet", "carnet"), (role, "c"), (role, "a b"), (role, &"x".repeat(65))] {
            assert!(check(role, name).is_err(), "{role} {name}");
        }
        let url = endpoint(None, "eu-central-1").unwrap();
        assert_eq!(url.as_str(), "https://sts.eu-central-1.amazonaws.com/");
    }
}
