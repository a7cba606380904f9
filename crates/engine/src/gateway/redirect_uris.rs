//! To which addresses a code may go. A team registers them for a link: this project, in this environment, lets people sign
//! in with this connector, and has them back here.
//!
//! They are compared character by character (RFC 9700 §2.1). Only the port of an address on the person's own machine is
//! free, because a program that is being developed takes one that is (RFC 8252 §7.3); and such an address is for
//! development alone. An address belongs to one project and environment, so that a code says who may redeem it.

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Environment, Fault, Id, kind};
use carnet_store::redirect_uris::{self, RedirectUri};
use carnet_store::{DbError, Write, links};
use url::{Host, Url};

use crate::broker::Broker;
use crate::faults;

/// An address to be registered.
#[derive(Clone, Debug)]
pub struct NewRedirectUri {
    /// The address.
    pub uri: String,
    /// In which environment the app runs that is there, by name or identifier.
    pub environment: String,
}

/// An address that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredUri {
    /// The address; without a port if it is on the person's own machine, where any will do.
    pub uri: String,
    /// In which environment the app runs that is there.
    pub environment: Environment,
}

impl From<RedirectUri> for RegisteredUri {
    fn from(row: RedirectUri) -> Self {
        Self { uri: row.uri, environment: row.environment }
    }
}

impl Broker {
    /// The addresses to which codes may go that people of this project bring.
    pub async fn redirect_uris(
        &self,
        caller: &Caller,
        connector: &str,
        project: &str,
    ) -> Result<Vec<RegisteredUri>, Fault> {
        let entry = self.managed(caller, connector, Right::ConnectorRead).await?;
        let project = self.find_project(caller, project).await?;
        self.of_link(caller, entry.row.connector.id, project.id).await
    }

    /// Puts these in the place of those that there were.
    pub async fn set_redirect_uris(
        &self,
        caller: &Caller,
        connector: &str,
        project: &str,
        uris: &[NewRedirectUri],
        request: Id<kind::Request>,
    ) -> Result<Vec<RegisteredUri>, Fault> {
        let entry = self.managed(caller, connector, Right::LinkUpdate).await?;
        // The answer tells about both.
        self.may(caller, Right::ConnectorRead)?;
        let project = self.find_project(caller, project).await?;
        let id = entry.row.connector.id;
        let link = links::find(&self.inner.db, caller.team(), id, project.id).await.map_err(faults::store)?;
        let link = link.ok_or_else(|| {
            Fault::new(
                Code::NotFound,
                format!("The connector {connector} is not attached to {}.", project.name),
            )
            .next(format!("carnet attach {connector} -p {}", project.name), "to attach it")
        })?;
        if uris.len() > MOST {
            return Err(invalid(&format!("A link has at most {MOST} redirect URIs.")));
        }
        let mut read: Vec<(String, Environment)> = Vec::new();
        for new in uris {
            let named = std::slice::from_ref(&new.environment);
            let environment = self.environments_of(caller, project.id, named).await?;
            let environment =
                environment.first().copied().ok_or_else(|| invalid("An environment is missing."))?;
            if !link.environments.contains(&environment) {
                return Err(invalid(&format!(
                    "The project may not ask {connector} in the environment {}, so nobody can sign in there.",
                    new.environment.chars().take(64).collect::<String>()
                )));
            }
            let uri = to_register(&new.uri, environment)?;
            if read.iter().any(|(known, _)| *known == uri) {
                return Err(invalid("An address stands there twice. Each is for one environment."));
            }
            read.push((uri, environment));
        }
        let inner = &self.inner;
        let now = inner.env.now();
        let told: Vec<String> =
            read.iter().map(|(uri, environment)| format!("{environment} {uri}")).collect();
        let event = AuditEvent::of(caller, now, Action::RedirectUrisPut, Some(request))
            .on(id)
            .with("project", project.id.to_string())
            .with("redirectUris", told);
        let write = Write::new()
            .steps(redirect_uris::replace(caller.team(), id, project.id, &read, now))
            .event(&inner.env, &event)
            .revises();
        match inner.db.write(write).await {
            Ok(_) => self.of_link(caller, id, project.id).await,
            Err(DbError::Unmet(at)) => {
                // Before them stands the step that forgets those that there were.
                let taken =
                    at.checked_sub(1).and_then(|at| read.get(at)).map_or("an address", |(uri, _)| uri);
                Err(Fault::new(
                    Code::Conflict,
                    format!(
                        "Another project has {taken} for this connector already, and a code must go to one only. Use \
                         another path, or a connector of its own."
                    ),
                )
                .with("field", "redirectUris"))
            }
            Err(error) => Err(faults::store(error)),
        }
    }

    async fn of_link(
        &self,
        caller: &Caller,
        connector: Id<kind::Connector>,
        project: Id<kind::Project>,
    ) -> Result<Vec<RegisteredUri>, Fault> {
        let found = redirect_uris::of_link(&self.inner.db, caller.team(), connector, project).await;
        Ok(found.map_err(faults::store)?.into_iter().map(RegisteredUri::from).collect())
    }
}

/// As what an address would be registered: itself, or without its port on the person's own machine. `None` if it cannot be.
pub(crate) fn known_as(text: &str) -> Option<String> {
    known(text).map(|(url, _)| url)
}

fn known(text: &str) -> Option<(String, bool)> {
    let odd = |c: char| !matches!(c, '!'..='~') || matches!(c, '\\' | '*' | '#');
    if text.len() > 2048 || text.chars().any(odd) {
        return None;
    }
    let mut url = Url::parse(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.as_str().strip_suffix('/') == Some(text);
    let as_written = url.as_str() == text || bare;
    if !as_written || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    let own_machine = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address == std::net::Ipv4Addr::LOCALHOST,
        Host::Ipv6(address) => address == std::net::Ipv6Addr::LOCALHOST,
    };
    match url.scheme() {
        "https" => Some((text.to_owned(), false)),
        "http" if own_machine => {
            url.set_port(None).ok()?;
            Some((url.into(), true))
        }
        _ => None,
    }
}

fn to_register(text: &str, environment: Environment) -> Result<String, Fault> {
    let (uri, own_machine) = known(text).ok_or_else(|| {
        invalid(
            "A redirect URI is an https address as a browser writes it, without user name, fragment and pattern; or, in \
             the environment development, http on localhost, 127.0.0.1 or [::1], where any port will do.",
        )
    })?;
    if own_machine && environment != Environment::Development {
        return Err(invalid(
            "An http address on the person's own machine is for the environment development only: anybody can listen \
             there.",
        ));
    }
    let taken = |name: &str| matches!(name, "code" | "state" | "error" | "error_description" | "iss");
    if Url::parse(&uri).is_ok_and(|url| url.query_pairs().any(|(name, _)| taken(&name))) {
        return Err(invalid("A redirect URI has no parameter that the answer has: code, state, error, iss."));
    }
    Ok(uri)
}

fn invalid(why: &str) -> Fault {
    Fault::new(Code::InvalidRequest, why).with("field", "redirectUris")
}

/// Of one link.
const MOST: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_as_it_is_written() {
        for text in [
            "https://app.example",
            "https://app.example/",
            "https://app.example/cb?tab=2",
            "https://app.example:8443/cb",
        ] {
            assert_eq!(known_as(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn any_port_will_do_on_the_persons_own_machine() {
        for (text, want) in [
            ("http://localhost:3000/cb", "http://localhost/cb"),
            ("http://127.0.0.1:49152/cb", "http://127.0.0.1/cb"),
            ("http://[::1]:1/cb?x=1", "http://[::1]/cb?x=1"),
            ("http://localhost/cb", "http://localhost/cb"),
            // That of https is not: it could be anybody's certificate.
            ("https://localhost:3000/cb", "https://localhost:3000/cb"),
        ] {
            assert_eq!(known_as(text).as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_address() {
        for text in [
            "",
            "/cb",
            "//app.example/cb",
            "http://app.example/cb",
            "http://127.0.0.2/cb",
            "http://localhost.evil.example/cb",
            "http://localhost@evil.example/cb",
            "http://user@localhost/cb",
            "http://localhost:3000\\@evil.example/cb",
            "https://app.example/cb#",
            "https://app.example/cb#x",
            "https://APP.example/cb",
            "https://app.example:443/cb",
            "https://app.example/a/../cb",
            "https://app.example/a/%2e%2e/cb",
            "https://app.example/cb ",
            " https://app.example/cb",
            "https://app.example/cb\n",
            "https://*.example/cb",
            "https://app.example/cb*",
            "https://bücher.example/cb",
            "https://user:pw@app.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "com.example.app:/cb",
            "https:app.example/cb",
            "https:///cb",
        ] {
            assert_eq!(known_as(text), None, "{text}");
        }
    }

    #[test]
    fn an_answer_cannot_be_confused_with_what_stands_in_the_address() {
        assert!(to_register("https://app.example/cb?code=x", Environment::Production).is_err());
        assert!(to_register("https://app.example/cb?mode=x", Environment::Production).is_ok());
        assert!(to_register("http://localhost/cb", Environment::Production).is_err());
        assert!(to_register("http://localhost/cb", Environment::Development).is_ok());
    }
}
