//! `[[sign_in]]` of the configuration: issuers with whose accounts people may sign in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use carnet_engine::{Newcomers, SignInIssuer};
use carnet_model::caller::Role;
use carnet_model::{SecretString, Slug};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::cli::failure::Failure;
use crate::config::wrong;
use crate::secret_file;

/// An issuer, as it is written down.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignInSource {
    /// Its name in addresses: `google`. Its redirect address is `{url}/login/with/{name}/callback`.
    pub(crate) name: String,
    /// What people call it; the name if left out.
    pub(crate) label: Option<String>,
    /// The issuer, byte for byte as in its tokens.
    pub(crate) issuer: String,
    /// The client that is registered there.
    pub(crate) client_id: String,
    /// A file whose first line is the client's secret.
    pub(crate) client_secret_file: Option<PathBuf>,
    /// Audiences that its identity tokens may name besides the client; then they must say that they are for the client
    /// (`azp`).
    #[serde(default)]
    pub(crate) other_audiences: Vec<String>,
    /// What somebody gets who was never here: the team's short name, and the role in it. Left out, nobody comes in who
    /// has not linked the account before.
    pub(crate) newcomers: Option<NewcomersSource>,
}

/// The place of somebody who was never here.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewcomersSource {
    /// The team's short name.
    pub(crate) team: String,
    /// The role.
    pub(crate) role: String,
}

/// The file of `carnet dev --sign-in`: nothing but `[[sign_in]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sign_in: Vec<SignInSource>,
}

/// Reads the file of a development server, whose issuers may be on this machine.
pub(crate) fn read_file(path: &Path) -> Result<Vec<SignInIssuer>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| wrong(format!("Cannot read {}: {error}.", path.display())))?;
    let file: File = toml::from_str(&text)
        .map_err(|error| wrong(format!("{}: {}.", path.display(), error.message().trim_end_matches('.'))))?;
    read(&file.sign_in, true).map_err(|unfit| unfit.failure)
}

/// An issuer that cannot be used.
#[derive(Debug)]
pub(crate) struct Unfit {
    /// Where in the list, and which member: `0.issuer`.
    pub(crate) member: String,
    /// Why.
    pub(crate) failure: Failure,
}

/// Reads what is written down. `local` is whether an issuer may be on this machine, without TLS.
pub(crate) fn read(sources: &[SignInSource], local: bool) -> Result<Vec<SignInIssuer>, Unfit> {
    let unfit = |at: usize, member: &str, failure| Unfit { member: format!("{at}.{member}"), failure };
    let read = |(at, source)| {
        one(source, local).map_err(|(member, failure): (&str, Failure)| unfit(at, member, failure))
    };
    let issuers: Vec<SignInIssuer> = sources.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    for (at, issuer) in issuers.iter().enumerate() {
        // Two that differ in a slash at the end are the same one, written right and wrong.
        let bare = |issuer: &SignInIssuer| issuer.issuer.trim_end_matches('/').to_owned();
        let same = |other: &SignInIssuer| other.name == issuer.name || bare(other) == bare(issuer);
        if let Some(again) = issuers.iter().skip(at + 1).position(same) {
            let failure =
                wrong(format!("sign_in: {} stands there twice, by name or by issuer.", issuer.name));
            return Err(unfit(at + 1 + again, "name", failure));
        }
    }
    Ok(issuers)
}

/// The issuer, or which member is wrong and why.
fn one(source: &SignInSource, local: bool) -> Result<SignInIssuer, (&'static str, Failure)> {
    let bad =
        |what: &'static str, why: &str| (what, wrong(format!("sign_in {:?}: {what} {why}.", source.name)));
    let name = Slug::parse(&source.name).map_err(|_| bad("name", "has small letters, digits and dashes"))?;
    let address = Url::parse(&source.issuer).map_err(|_| bad("issuer", "is no address"))?;
    let plain = address.query().is_none() && address.fragment().is_none() && address.username().is_empty();
    if !plain || !(address.scheme() == "https" || (local && address.scheme() == "http")) {
        return Err(bad("issuer", "is an https address without query"));
    }
    if source.client_id.is_empty() {
        return Err(bad("client_id", "is empty"));
    }
    let client_secret = match &source.client_secret_file {
        Some(path) => Some(Arc::new(secret(path).map_err(|failure| ("client_secret_file", failure))?)),
        None => None,
    };
    let newcomers = match &source.newcomers {
        None => None,
        Some(place) => {
            let role = Role::parse(&place.role).ok_or_else(|| bad("newcomers.role", "is no role"))?;
            if role == Role::Owner {
                return Err(bad("newcomers.role", "is not owner: nobody becomes that by coming"));
            }
            let team = Slug::parse(&place.team).map_err(|_| bad("newcomers.team", "is no short name"))?;
            Some(Newcomers { team, role })
        }
    };
    let label = source.label.clone().unwrap_or_else(|| source.name.clone());
    let (issuer, client_id) = (source.issuer.clone(), source.client_id.clone());
    let other_audiences = source.other_audiences.clone();
    Ok(SignInIssuer { name, label, issuer, client_id, client_secret, other_audiences, newcomers })
}

fn secret(path: &Path) -> Result<SecretString, Failure> {
    let text = secret_file::read("client_secret_file", path)?;
    match text.expose().lines().next().map(str::trim) {
        Some(line) if !line.is_empty() => Ok(SecretString::new(line.to_owned())),
        _ => Err(wrong(format!("client_secret_file {} is empty.", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, local: bool) -> Result<Vec<SignInIssuer>, Unfit> {
        let file: File = toml::from_str(text).unwrap();
        read(&file.sign_in, local)
    }

    #[test]
    fn what_would_let_strangers_in_or_cannot_work_is_refused() {
        let good = "[[sign_in]]\nname = 'acme'\nissuer = 'https://accounts.acme.dev'\nclient_id = 'x'\n";
        let read = read_text(good, false).unwrap();
        assert_eq!((read[0].issuer.as_str(), read[0].label.as_str()), ("https://accounts.acme.dev", "acme"));
        let with_slash = read_text(&good.replace(".dev'", ".dev/'"), false).unwrap();
        assert_eq!(with_slash[0].issuer, "https://accounts.acme.dev/", "as in its tokens");
        assert!(read[0].newcomers.is_none());
        let member = format!("{good}newcomers = {{ team = 'acme', role = 'member' }}\n");
        assert_eq!(read_text(&member, false).unwrap()[0].newcomers.as_ref().unwrap().role, Role::Member);
        let plain = good.replace("https", "http");
        assert!(read_text(&plain, true).is_ok());
        for (bad, says) in [
            (plain.clone(), "https address"),
            (good.replace("'acme'", "'Acme Inc'"), "small letters"),
            (good.replace(".dev'", ".dev/?x=1'"), "https address"),
            (good.replace("'x'", "''"), "client_id"),
            (format!("{good}newcomers = {{ team = 'acme', role = 'owner' }}\n"), "not owner"),
            (format!("{good}newcomers = {{ team = 'acme', role = 'king' }}\n"), "no role"),
            (format!("{good}client_secret_file = '/nowhere/at/all'\n"), "Cannot read"),
            (format!("{good}{good}"), "twice"),
            (format!("{good}{}", good.replace("'acme'", "'again'").replace(".dev'", ".dev/'")), "twice"),
        ] {
            let failure = read_text(&bad, false).unwrap_err().failure;
            assert!(failure.message.contains(says), "{says}: {}", failure.message);
        }
    }
}
