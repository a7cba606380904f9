//! The variables by which a program finds its server and proves who it is.
//!
//! | variable | |
//! |---|---|
//! | `CARNET_URL` | the server |
//! | `CARNET_TOKEN` | a person's access token |
//! | `CARNET_OIDC_TOKEN` | the identity of a workload |
//! | `CARNET_OIDC_TOKEN_FILE` | a file with that identity, which somebody keeps fresh |
//! | `CARNET_TEAM` | the team that a person's requests are about |
//! | `CARNET_ALLOW_HTTP` | `1` if the credential may go over the network without TLS, to a server on another machine |
//!
//! Of the three credentials the first in this order counts. An empty variable counts as absent.

use carnet_model::SecretString;
use url::Url;

use crate::client::{Builder, Client, TeamRef};
use crate::credential::{Credential, IdentityFile};
use crate::error::Error;

impl Client {
    /// A client as the environment variables of this process say: `CARNET_URL`, and one of `CARNET_TOKEN`,
    /// `CARNET_OIDC_TOKEN`, `CARNET_OIDC_TOKEN_FILE`.
    pub fn from_env() -> Result<Self, Error> {
        Builder::from_env()?.build()
    }
}

impl Builder {
    /// What the environment variables say, for more to be set.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_variables(|name| {
            #[expect(
                clippy::disallowed_methods,
                reason = "the one place where the client reads the environment"
            )]
            std::env::var(name).ok()
        })
    }

    fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let read = |name| read(name).filter(|value| !value.is_empty());
        let url =
            read("CARNET_URL").ok_or(Error::NotConfigured("CARNET_URL does not say which server to ask"))?;
        let url = Url::parse(&url).map_err(|_| Error::NotConfigured("CARNET_URL is not a URL"))?;
        let credential = if let Some(token) = read("CARNET_TOKEN") {
            Credential::AccessToken(SecretString::from(token))
        } else if let Some(token) = read("CARNET_OIDC_TOKEN") {
            Credential::Identity(SecretString::from(token))
        } else if let Some(path) = read("CARNET_OIDC_TOKEN_FILE") {
            Credential::IdentityFile(IdentityFile::new(path))
        } else {
            return Err(Error::NotConfigured(
                "none of CARNET_TOKEN, CARNET_OIDC_TOKEN and CARNET_OIDC_TOKEN_FILE says who calls",
            ));
        };
        let plain = read("CARNET_ALLOW_HTTP").is_some_and(|value| value == "1");
        let builder = Client::builder(url).credential(credential).allow_plain_http(plain);
        Ok(match read("CARNET_TEAM") {
            Some(team) => builder.team(TeamRef::parse(&team)),
            None => builder,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(variables: &[(&str, &str)]) -> Result<Client, Error> {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Builder::from_variables(find)?.build()
    }

    #[test]
    fn the_first_credential_in_the_order_counts() {
        let all = [
            ("CARNET_URL", "https://carnet.example"),
            ("CARNET_OIDC_TOKEN_FILE", "/var/run/secrets/carnet/token"),
            ("CARNET_OIDC_TOKEN", "a.b.c"),
            ("CARNET_TOKEN", "crn_x"),
            ("CARNET_TEAM", "acme"),
        ];
        let credential = |count: usize| built(&all[..count]).unwrap().credential.unwrap();
        assert!(matches!(&*credential(2), Credential::IdentityFile(file) if file.path().ends_with("token")));
        assert!(matches!(&*credential(3), Credential::Identity(_)));
        assert!(matches!(&*credential(4), Credential::AccessToken(_)));
        assert_eq!(built(&all).unwrap().team, Some(TeamRef::Slug("acme".to_owned())));
    }

    #[test]
    fn what_is_missing_is_named_and_what_is_there_is_not_quoted() {
        for (variables, named) in [
            (&[][..], "CARNET_URL"),
            (&[("CARNET_URL", ""), ("CARNET_TOKEN", "crn_x")], "CARNET_URL"),
            (&[("CARNET_URL", "crn_secret"), ("CARNET_TOKEN", "crn_x")], "CARNET_URL"),
            (&[("CARNET_URL", "https://carnet.example"), ("CARNET_TOKEN", "")], "CARNET_OIDC_TOKEN_FILE"),
        ] {
            let error = built(variables).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(named) && !text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn a_credential_goes_without_tls_to_this_machine_alone_unless_that_is_allowed() {
        let at = |url: &str, allow: &str| {
            built(&[("CARNET_URL", url), ("CARNET_TOKEN", "crn_x"), ("CARNET_ALLOW_HTTP", allow)])
        };
        for url in ["http://connect.example", "http://192.0.2.2:7070", "http://localhost.example:7070"] {
            for allow in ["", "0", "yes"] {
                let error = at(url, allow).unwrap_err();
                assert!(matches!(&error, Error::PlainHttp { origin } if *origin == url), "{url}: {error}");
            }
            at(url, "1").unwrap();
        }
        for url in
            ["http://127.0.0.1:7070", "http://[::1]:7070", "http://localhost", "https://connect.example"]
        {
            at(url, "").unwrap();
        }
    }

    /// Built as nobody's, a client takes a credential later, and signs people in.
    #[tokio::test]
    async fn nor_does_one_that_comes_later() {
        let url = Url::parse("http://192.0.2.2:7070").unwrap();
        let nobody = Client::builder(url).build().unwrap();
        let somebody = nobody.with_credential(Credential::AccessToken("crn_x".to_owned().into()));
        assert!(matches!(somebody.user().await.unwrap_err(), Error::PlainHttp { .. }));
        assert!(matches!(nobody.start_device_login().await.unwrap_err(), Error::PlainHttp { .. }));
    }
}
