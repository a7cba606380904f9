//! Asking for consent, and asking what came of it.

mod allowed;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_model::access::Ask;
use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::caller::Caller;
use carnet_model::grant::Place;
use carnet_model::{Code, Fault, Id, ScopeRequest, SecretString, Subject, Time, kind};
use carnet_store::Write;
use carnet_store::consents::{self, Consent, ConsentState};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::ending::{ConsentEnd, NotYet};
use crate::audit::with_proof;
use crate::broker::Broker;
use crate::cache::sha256;
use crate::connectors::ConnectorView;
use crate::directory::Entry;
use crate::faults;
use crate::issue::TokenAsk;

use allowed::check_parameters;
pub(super) use allowed::{LONGEST_URL, life_of, return_url};

/// A request for consent, as it was asked.
#[derive(Clone, Debug, Default)]
pub struct AuthorizeAsk {
    /// What tokens will be asked for.
    pub token: TokenAsk,
    /// Where the browser goes afterwards.
    pub return_url: Option<String>,
    /// Told when it is over, whatever the outcome.
    pub webhook: Option<String>,
    /// Whether the person should compare a code.
    pub device_code: bool,
    /// How long the request can be used, in milliseconds: a minute to an hour.
    pub expires_in: Option<u64>,
    /// `prompt` for the provider.
    pub prompt: Option<String>,
    /// Further parameters for the provider.
    pub additional_params: BTreeMap<String, String>,
}

/// A request for consent that was made.
#[derive(Debug)]
pub struct AuthorizationStarted {
    /// Where to send the person.
    pub url: Url,
    /// `car_…`
    pub request: Id<kind::AuthorizationRequest>,
    /// What its maker can ask for the outcome with.
    pub verifier: SecretString,
    /// The code to show beside the link, if one was asked for.
    pub device_code: Option<String>,
    /// Until when it can be used.
    pub expires_at: Time,
    /// For which connector.
    pub connector: ConnectorView,
}

/// What came of a request so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The person has not finished.
    Pending,
    /// The provider gave what was asked for, and it waits to be confirmed.
    Confirming {
        /// The connector.
        connector: Id<kind::Connector>,
    },
    /// Consent was given.
    Success {
        /// The connector.
        connector: Id<kind::Connector>,
        /// The installation, where there is one.
        installation: Option<Id<kind::Installation>>,
    },
    /// The person said no.
    Canceled,
    /// It failed.
    Error {
        /// A stable code.
        code: String,
        /// A sentence.
        message: String,
    },
}

/// What is remembered of a request besides its columns.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Remembered {
    /// `None`: the connector's defaults as they are when the person decides.
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) resources: Vec<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) details: Vec<Value>,
    pub(crate) prompt: Option<String>,
    pub(crate) additional_params: BTreeMap<String, String>,
    pub(crate) return_url: Option<String>,
    pub(crate) webhook: Option<String>,
    /// The code that stands on the page, for the person to compare.
    pub(crate) device_code: Option<String>,
    /// Whether the page opens only where the code was entered.
    pub(crate) by_code: bool,
    /// Whether the application is to be installed, rather than a person to be acted for.
    pub(crate) installs: bool,
    /// At which tenant of the provider.
    pub(crate) tenant: Option<String>,
    /// The app to which the person signs in with this, if that is what it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sign_in: Option<AppSignIn>,
}

/// What an app said that sent somebody to sign in. [`crate::gateway`] tells about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AppSignIn {
    /// What it calls the connector.
    pub(crate) client: String,
    /// Where the code goes, as it wrote it.
    pub(crate) redirect_uri: String,
    /// What it wants back with the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<String>,
    /// What is to stand in the ID token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<String>,
    /// Its PKCE challenge, by S256.
    pub(crate) challenge: String,
    /// What it asked for, and `offline_access`.
    pub(crate) scope: String,
}

/// What a request that may be made is written down from.
pub(super) struct Opening {
    /// For whom.
    pub(super) place: Place,
    /// What was asked for.
    pub(super) remembered: Remembered,
    /// Of the verifier, where somebody else has drawn it.
    pub(super) code_digest: Option<[u8; 32]>,
    /// What is recorded of it.
    pub(super) event: AuditEvent,
}

/// How a request ended, as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "status")]
pub(super) enum Stored {
    Success {
        /// The account at the provider, in its words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// What was made, if it was an installation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        installation: Option<Id<kind::Installation>>,
    },
    Canceled,
    Error {
        code: String,
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vendor: Option<Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<NotYet>,
    },
}

impl Broker {
    /// Makes a request for a user's consent.
    pub async fn start_authorization(
        &self,
        caller: &Caller,
        ask: &AuthorizeAsk,
        request: Id<kind::Request>,
    ) -> Result<AuthorizationStarted, Fault> {
        self.start_authorization_under(caller, ask, None, request).await
    }

    /// The same under a code whose verifier somebody else has drawn.
    pub(super) async fn start_authorization_under(
        &self,
        caller: &Caller,
        ask: &AuthorizeAsk,
        code_digest: Option<[u8; 32]>,
        request: Id<kind::Request>,
    ) -> Result<AuthorizationStarted, Fault> {
        let inner = &self.inner;
        let now = inner.env.now();
        let entry = self.find_connector(caller, &ask.token.connector).await?;
        let connector = &entry.row.connector;
        let event = AuditEvent::of(caller, now, Action::AuthorizationStart, Some(request))
            .on(connector.id)
            .with("connector", connector.uid.as_str());
        let subject = ask.token.subject(caller, &entry.abilities)?;
        if let Err((fault, rule)) = self.permit(caller, &entry, Ask::Token(&subject)) {
            let event = with_proof(event, caller).with("subject", self.subject_key(&subject));
            return Err(self.refuse(event, Outcome::Denied, fault, Some(rule)).await?);
        }
        if !matches!(subject, Subject::User { .. }) {
            return Err(Fault::new(
                Code::UnresolvedToken,
                format!("Only a user can give consent; the subject {} needs none.", subject.kind().as_str()),
            ));
        }
        let wanted = ask.token.wanted(caller, &entry, &subject, self.subject_key(&subject))?;
        let remembered = Remembered {
            scopes: names_of(&wanted.scopes),
            resources: wanted.resources.clone(),
            audience: wanted.audience.clone(),
            details: wanted.details.clone(),
            ..Remembered::default()
        };
        let event = wanted.describe(event, caller);
        let opening = Opening { place: wanted.place, remembered, code_digest, event };
        self.open_request(caller, &entry, ask, opening).await
    }

    /// Writes a request down that may be made, and says what its maker needs to know.
    pub(super) async fn open_request(
        &self,
        caller: &Caller,
        entry: &Arc<Entry>,
        ask: &AuthorizeAsk,
        opening: Opening,
    ) -> Result<AuthorizationStarted, Fault> {
        let Opening { place, remembered, code_digest, event } = opening;
        let inner = &self.inner;
        let now = inner.env.now();
        let connector = &entry.row.connector;
        let installs = remembered.installs;
        let return_url = self.return_url_for(caller, ask.return_url.as_deref()).await?;
        let webhook = ask.webhook.as_deref().map(|text| self.completion_url(caller, text)).transpose()?;
        check_parameters(ask)?;
        // Who installs is known to the provider, and acts for nobody here.
        if entry.consent_rules.require_completion && !installs && return_url.is_none() {
            return Err(Fault::new(
                Code::InvalidRequest,
                format!(
                    "{} requires that the application completes a consent with a code that comes to its return address, \
                     so returnUrl is needed.",
                    connector.uid
                ),
            )
            .with("field", "returnUrl"));
        }
        let code = if ask.device_code { Some(self.new_device_code(entry)?) } else { None };
        let by_code = code.is_some() && return_url.is_none();
        let life = life_of(ask.expires_in, code.is_some())?;
        let remembered = Remembered {
            prompt: ask.prompt.clone(),
            additional_params: ask.additional_params.clone(),
            return_url: return_url.map(String::from),
            webhook: webhook.map(String::from),
            device_code: code.as_ref().filter(|_| !by_code).map(ToString::to_string),
            by_code,
            ..remembered
        };
        // What the provider cannot be asked for is said now, and not to whoever opens the link.
        if let Err(ConsentEnd::Fault(fault)) = self.way(entry, &remembered) {
            return Err(self.refuse(event, Outcome::Failed, fault, None).await?);
        }
        let asked = serde_json::to_value(&remembered).map_err(faults::internal)?;
        let consent = Consent::pending(inner.env.id(), place, caller.principal(), asked, now, now.plus(life));
        let digests = code.as_ref().filter(|_| by_code).map(|code| self.digests_of(code));
        let verifier = URL_SAFE_NO_PAD.encode(inner.env.bytes::<37>());
        let event = event.with("request", consent.id.to_string());
        let write = Write::new()
            .step(consents::insert(
                &consent,
                code_digest.unwrap_or_else(|| sha256(verifier.as_bytes())),
                digests,
            ))
            .event(&inner.env, &event);
        inner.db.write(write).await.map_err(faults::store)?;
        // A link that held the code could be sent to somebody who would see only a question (RFC 8628 §5.4).
        let url = if by_code {
            format!("{}/device", inner.settings.base())
        } else {
            let page = if installs { "install" } else { "authorize" };
            format!("{}/{page}/{}", inner.settings.base(), consent.id)
        };
        Ok(AuthorizationStarted {
            url: Url::parse(&url).map_err(faults::internal)?,
            request: consent.id,
            verifier: verifier.into(),
            device_code: code.map(|code| code.to_string()),
            expires_at: consent.expires_at,
            connector: entry.view(),
        })
    }

    /// What came of the request whose verifier this is.
    pub async fn authorization_result(&self, caller: &Caller, verifier: &str) -> Result<Progress, Fault> {
        let found = consents::by_code(&self.inner.db, caller.team(), sha256(verifier.as_bytes())).await;
        let Some(consent) = found.map_err(faults::store)? else {
            // Making a connector is asked about in the same way.
            if let Some(connector) = self.made_by_verifier(caller, verifier).await? {
                return Ok(Progress::Success { connector, installation: None });
            }
            return match self.registration_progress(caller, verifier).await? {
                Some(progress) => Ok(progress),
                // The person is at the page to sign in; the request is made behind it.
                None if self.is_link_open(sha256(verifier.as_bytes())).await? => Ok(Progress::Pending),
                None if self.is_link_expected(caller, verifier).await? => Ok(Progress::Pending),
                None => Err(Fault::new(
                    Code::NotFound,
                    "There is no request for consent with this verifier, or it ended long ago.",
                )),
            };
        };
        Ok(match result_of(&consent) {
            Some(Stored::Success { installation, .. }) => Progress::Success {
                connector: consent.connector,
                installation: installation.or(consent.installation),
            },
            Some(Stored::Canceled) => Progress::Canceled,
            Some(Stored::Error { code, message, .. }) => Progress::Error { code, message },
            // Recorded with the next round; until then it is told as it will be.
            None if consent.state != ConsentState::Exchanging
                && consent.expires_at <= self.inner.env.now() =>
            {
                Progress::Error { code: EXPIRED.0.to_owned(), message: EXPIRED.1.to_owned() }
            }
            None if consent.state == ConsentState::Parked => {
                Progress::Confirming { connector: consent.connector }
            }
            None => Progress::Pending,
        })
    }
}

/// The scopes as they are remembered.
pub(super) fn names_of(scopes: &ScopeRequest) -> Option<Vec<String>> {
    match scopes {
        ScopeRequest::Defaults => None,
        ScopeRequest::Unscoped => Some(Vec::new()),
        ScopeRequest::Exactly(scopes) => Some(scopes.iter().map(str::to_owned).collect()),
    }
}

pub(super) fn result_of(consent: &Consent) -> Option<Stored> {
    serde_json::from_value(consent.result.clone()?).ok()
}

/// Code and sentence of a request whose time is over.
pub(super) const EXPIRED: (&str, &str) =
    ("expired_token", "The request for consent has expired; make a new one.");
