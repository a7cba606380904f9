//! What a refusal means for a program, told by its code. The status decides only where something other than Carnet
//! answered, a proxy say, which knows no codes.

use std::time::Duration;

use carnet_model::Code;

use crate::error::{Error, Refusal};

/// Why there is no answer, in the kinds between which a program chooses.
///
/// ```
/// use carnet_sdk::{Error, Reason};
///
/// fn advice(error: &Error) -> String {
///     match error.reason() {
///         Some(Reason::UserAuthorizationRequired { link: Some(link), .. }) => format!("open {link}"),
///         Some(Reason::UserAuthorizationRequired { .. }) => "start an authorization".to_owned(),
///         Some(Reason::RateLimited { retry_after } | Reason::Unavailable { retry_after }) => {
///             format!("try again in {:?}", retry_after.unwrap_or_default())
///         }
///         _ => format!("{error}"),
///     }
/// }
///
/// let nowhere = Error::NotConfigured("no server");
/// assert_eq!(advice(&nowhere), "no server");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason<'a> {
    /// The user has not consented yet, or must consent again. [`Client::start_authorization`] makes a page for that.
    ///
    /// [`Client::start_authorization`]: crate::Client::start_authorization
    UserAuthorizationRequired {
        /// A page that is waiting already, if the server made one. Always http or https.
        link: Option<&'a str>,
        /// Why consent that was there no longer counts.
        cause: Option<&'a str>,
    },
    /// The connector is not installed where the token is wanted.
    InstallationRequired {
        /// Where it can be installed, if the server knows. Always http or https.
        link: Option<&'a str>,
    },
    /// The person has a consent page before them and has not decided.
    AuthorizationPending {
        /// When to look again.
        retry_after: Option<Duration>,
    },
    /// The person said no.
    AuthorizationDenied,
    /// The consent page has expired or was used.
    AuthorizationExpired,
    /// A grant exists, and nothing usable can be issued from it.
    NoToken,
    /// The connector makes no tokens for this kind of subject.
    UnresolvedToken,
    /// The scopes asked for cannot be had.
    InvalidScope,
    /// The resource, audience or detail asked for cannot be had.
    InvalidTarget,
    /// There is no such connector, project or thing, or not for this caller.
    NotFound,
    /// A rule says no.
    Forbidden,
    /// The connector is not linked for the environment in which the caller runs.
    EnvironmentNotLinked,
    /// The credential is missing, has ended, or is not good.
    Unauthorized,
    /// An application has to be registered at the provider first, by a person.
    RegistrationRequired {
        /// The page where that is done.
        link: Option<&'a str>,
    },
    /// Too many requests.
    RateLimited {
        /// When to try again.
        retry_after: Option<Duration>,
    },
    /// The team's token requests of this month are used up; trying again helps when it is over.
    QuotaExceeded,
    /// The server, or the provider behind it, does not answer now. The same request may succeed later.
    Unavailable {
        /// When to try again.
        retry_after: Option<Duration>,
    },
    /// The connector is set up wrongly: somebody must mend it at the server.
    ConnectorBroken,
    /// The request cannot be read or conflicts with what is there.
    InvalidRequest,
    /// The provider refused for reasons of its own; `vendor` of the refusal has its words.
    ProviderRefused,
    /// A code that this version has no name for, or none at all.
    Other {
        /// The code; empty if something other than Carnet answered.
        code: &'a str,
    },
}

impl Error {
    /// Why the server gave no answer; `None` where the fault is on this side.
    pub fn reason(&self) -> Option<Reason<'_>> {
        match self {
            Self::Refused(refusal) => Some(refusal.reason()),
            Self::Unreachable { .. } => Some(Reason::Unavailable { retry_after: None }),
            _ => None,
        }
    }

    /// Whether the same request may succeed a little later with nothing changed.
    pub fn is_transient(&self) -> bool {
        match self.reason() {
            Some(Reason::RateLimited { .. } | Reason::Unavailable { .. }) => true,
            Some(Reason::Other { .. }) => {
                self.refusal().is_some_and(|refusal| refusal.status == 429 || refusal.status >= 500)
            }
            _ => false,
        }
    }
}

impl Refusal {
    /// What the refusal means, by its code.
    pub fn reason(&self) -> Reason<'_> {
        let retry_after = self.retry_after.map(Duration::from_secs);
        if let Some(code) = self.known_code() {
            return self.meaning(code, retry_after);
        }
        match self.code.as_str() {
            // Words that later servers, and the contract of the official clients, use besides.
            "connector_installation_required" => self.installation_required(),
            "authorization_pending" | "slow_down" => Reason::AuthorizationPending { retry_after },
            "access_denied" => Reason::AuthorizationDenied,
            "expired_token" => Reason::AuthorizationExpired,
            "temporarily_unavailable" => Reason::Unavailable { retry_after },
            "" if self.status == 429 => Reason::RateLimited { retry_after },
            "" if matches!(self.status, 502..=504) => Reason::Unavailable { retry_after },
            code => Reason::Other { code },
        }
    }

    fn meaning(&self, code: Code, retry_after: Option<Duration>) -> Reason<'_> {
        match code {
            Code::UserAuthorizationRequired => Reason::UserAuthorizationRequired {
                link: self.link("authorizationUrl"),
                cause: self.text("cause").or_else(|| self.text("reason")),
            },
            Code::InstallationRequired => self.installation_required(),
            Code::RegistrationRequired => Reason::RegistrationRequired { link: self.link("registerUrl") },
            Code::NoToken | Code::InvalidGrant => Reason::NoToken,
            Code::UnresolvedToken => Reason::UnresolvedToken,
            Code::InvalidScope => Reason::InvalidScope,
            Code::InvalidTarget => Reason::InvalidTarget,
            Code::NotFound => Reason::NotFound,
            Code::Gone => Reason::AuthorizationExpired,
            Code::Forbidden => Reason::Forbidden,
            Code::EnvironmentNotLinked => Reason::EnvironmentNotLinked,
            Code::Unauthorized | Code::InvalidClient => Reason::Unauthorized,
            Code::RateLimited => Reason::RateLimited { retry_after },
            Code::QuotaExceeded => Reason::QuotaExceeded,
            Code::ProviderUnavailable
            | Code::ProviderAnswerInvalid
            | Code::StoreUnavailable
            | Code::Unavailable => Reason::Unavailable { retry_after },
            Code::InvalidConnector | Code::ConnectorCredentialsRejected => Reason::ConnectorBroken,
            Code::ProviderRefused => Reason::ProviderRefused,
            Code::InvalidRequest
            | Code::MethodNotAllowed
            | Code::Conflict
            | Code::TooLarge
            | Code::UnsupportedGrantType
            | Code::UnsupportedMediaType => Reason::InvalidRequest,
            Code::Internal => Reason::Other { code: code.as_str() },
        }
    }

    fn installation_required(&self) -> Reason<'_> {
        Reason::InstallationRequired { link: self.link("installationUrl") }
    }

    /// A browser may be sent there: whoever answers in the place of the server gets no `javascript:` through.
    fn link(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|link| link.starts_with("https://") || link.starts_with("http://"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refused(status: u16, error: &Value) -> Error {
        let body = json!({ "error": error }).to_string();
        Error::Refused(Box::new(Refusal::read(status, body.as_bytes(), None, None)))
    }

    #[test]
    fn the_code_decides_whatever_the_status_is() {
        let link = Some("https://carnet.example/authorize/car_1");
        let wait = Some(Duration::from_secs(7));
        for (error, reason) in [
            (
                json!({"code": "user_authorization_required", "authorizationUrl": link, "cause": "expired"}),
                Reason::UserAuthorizationRequired { link, cause: Some("expired") },
            ),
            (
                json!({"code": "user_authorization_required", "authorizationUrl": "javascript:alert(1)"}),
                Reason::UserAuthorizationRequired { link: None, cause: None },
            ),
            (
                json!({"code": "client_installation_required", "installationUrl": link}),
                Reason::InstallationRequired { link },
            ),
            (
                json!({"code": "registration_required", "registerUrl": link}),
                Reason::RegistrationRequired { link },
            ),
            (json!({"code": "connector_installation_required"}), Reason::InstallationRequired { link: None }),
            (json!({"code": "no_token"}), Reason::NoToken),
            (json!({"code": "not_found"}), Reason::NotFound),
            (json!({"code": "forbidden"}), Reason::Forbidden),
            (json!({"code": "environment_not_linked"}), Reason::EnvironmentNotLinked),
            (json!({"code": "unauthorized"}), Reason::Unauthorized),
            (json!({"code": "quota_exceeded"}), Reason::QuotaExceeded),
            (json!({"code": "rate_limited", "retryAfter": 7}), Reason::RateLimited { retry_after: wait }),
            (
                json!({"code": "provider_unavailable", "retryAfter": 7}),
                Reason::Unavailable { retry_after: wait },
            ),
            (json!({"code": "store_unavailable"}), Reason::Unavailable { retry_after: None }),
            (json!({"code": "slow_down"}), Reason::AuthorizationPending { retry_after: None }),
            (json!({"code": "access_denied"}), Reason::AuthorizationDenied),
            (json!({"code": "connector_credentials_rejected"}), Reason::ConnectorBroken),
            (json!({"code": "of_tomorrow"}), Reason::Other { code: "of_tomorrow" }),
        ] {
            for status in [400, 403, 404, 422, 429, 500, 503] {
                assert_eq!(refused(status, &error).reason(), Some(reason), "{status} {error}");
            }
        }
    }

    #[test]
    fn every_code_of_the_server_has_a_reason_of_its_own_kind() {
        for code in Code::ALL {
            let error = refused(code.status(), &json!({"code": code.as_str()}));
            let named = !matches!(error.reason(), Some(Reason::Other { .. }));
            assert_eq!(named, *code != Code::Internal, "{code:?}");
        }
    }

    #[test]
    fn what_a_proxy_says_is_judged_by_its_status() {
        for (status, transient) in
            [(400, false), (403, false), (404, false), (422, false), (429, true), (500, true), (503, true)]
        {
            assert_eq!(refused(status, &json!({})).is_transient(), transient, "{status}");
        }
        assert_eq!(refused(404, &json!({})).reason(), Some(Reason::Other { code: "" }));
        assert!(!refused(503, &json!({"code": "not_found"})).is_transient());
    }
}
