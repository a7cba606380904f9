//! What the person sees. What comes of it is told by [`super::decide`].

use carnet_catalog::{Entry as KnownService, Verified, describe_standard_scope};
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Principal;
use carnet_model::{ConnectorRef, Environment, Fault, Id, Scopes, SecretString, Slug, Time, kind};
use carnet_providers::{ConnectorSecrets, ConsentAsk, Way};
use carnet_store::consents::{self, Consent, ConsentState};
use carnet_store::{DbError, grants, people, projects};
use carnet_vault::Purpose;
use std::sync::Arc;
use url::Url;

use super::elsewhere::Elsewhere;
use super::ending::ConsentEnd;
use super::request::{EXPIRED, Remembered, Stored, result_of};
use crate::broker::Broker;
use crate::cache::sha256;
use crate::directory::Entry;
use crate::faults;

/// What the person is asked.
#[derive(Debug)]
pub struct ConsentPage {
    /// `car_…`
    pub request: Id<kind::AuthorizationRequest>,
    /// The team that runs the application.
    pub team: String,
    /// The project that asks; `None` when a person asks for itself.
    pub project: Option<Slug>,
    /// Where it runs.
    pub environment: Environment,
    /// The name of a custom environment.
    pub environment_name: Option<Slug>,
    /// Who the person is to the application: its own identifier.
    pub subject: String,
    /// The e-mail address of the member whose own consent this is.
    pub member: Option<String>,
    /// The connector's name.
    pub connector: String,
    /// The service in words.
    pub service: String,
    /// The picture that the team chose for the connector, by connector and SHA-1.
    pub picture: Option<(Id<kind::Connector>, String)>,
    /// The colour that the team chose for the connector, or else that of the service: `#rrggbb`.
    pub color: Option<String>,
    /// Where the person goes next.
    pub kind: PageKind,
    /// Whether the application is to be installed, rather than the person to be acted for.
    pub installs: bool,
    /// Whether the person signs in to the application with this.
    pub signs_in: bool,
    /// What is asked for.
    pub scopes: Vec<ScopeLine>,
    /// What was granted before, if anything.
    pub already: Option<Scopes>,
    /// The code to compare.
    pub device_code: Option<String>,
    /// Whether the person came here by entering a code.
    pub by_code: bool,
    /// When it was asked for.
    pub asked_at: Time,
    /// Where the browser goes afterwards.
    pub returns_to: Option<Url>,
    /// Proves that a decision came from this page in this browser.
    pub form_token: SecretString,
}

/// Where the person goes next.
#[derive(Debug)]
pub enum PageKind {
    /// To the provider.
    Provider(Url),
    /// Nowhere: a key is pasted.
    Paste {
        /// Where the key is found.
        instructions: Option<String>,
    },
    /// To a page of the provider's, with a code that comes next.
    Code,
    /// There now, or to be: the code was given.
    Elsewhere(Elsewhere),
}

/// A scope and what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeLine {
    /// As the provider names it.
    pub scope: String,
    /// In words, if they are known.
    pub words: Option<String>,
    /// Whether the words were read at the service itself, or mean the same everywhere.
    pub sure: bool,
}

impl Broker {
    /// The page of a request, for a browser that has, or will get, this binding secret.
    pub async fn consent_page(
        &self,
        request: &str,
        browser: &SecretString,
    ) -> Result<ConsentPage, ConsentEnd> {
        let (consent, entry, remembered) = self.open_consent(request, browser).await?;
        self.describe_consent(&consent, &entry, &remembered, browser).await
    }

    async fn describe_consent(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
        browser: &SecretString,
    ) -> Result<ConsentPage, ConsentEnd> {
        let inner = &self.inner;
        let connector = &entry.row.connector;
        let (remembered, held) = &self.beside_held(consent, entry, remembered).await?;
        let scopes = listed_scopes(remembered, entry);
        let kind = match self.elsewhere(consent)? {
            Some(elsewhere) => PageKind::Elsewhere(elsewhere),
            None => self.way(entry, remembered)?,
        };
        let team = people::team(&inner.db, consent.team).await?.ok_or(ConsentEnd::Unknown)?;
        let project = match consent.project {
            Some(id) => {
                Some(projects::find(&inner.db, consent.team, id).await?.ok_or(ConsentEnd::Unknown)?.name)
            }
            None => None,
        };
        let environment_name = match consent.environment {
            Environment::Custom(id) => {
                projects::environment(&inner.db, consent.team, id).await?.map(|e| e.slug)
            }
            _ => None,
        };
        let member = match consent.requested_by {
            Principal::User { id } if consent.project.is_none() => {
                people::user(&inner.db, id).await?.map(|u| u.email)
            }
            _ => None,
        };
        let known = inner.entry_of(connector);
        let before = grants::at(&inner.db, &place(consent)).await?;
        let named = Some(held.clone()).filter(|held| !held.is_empty());
        Ok(ConsentPage {
            request: consent.id,
            team: team.name,
            project,
            environment: consent.environment,
            environment_name,
            subject: consent
                .subject
                .rsplit_once(':')
                .map_or_else(|| consent.subject.clone(), |_| shown(&consent.subject)),
            member,
            connector: connector.name.clone(),
            picture: connector.branding.icon.clone().map(|sha1| (connector.id, sha1)),
            color: connector
                .branding
                .background_color
                .clone()
                .or_else(|| known.and_then(|entry| entry.color.as_ref()).map(ToString::to_string)),
            service: inner.service_name(connector),
            kind,
            installs: remembered.installs,
            signs_in: remembered.sign_in.is_some(),
            scopes: scopes
                .iter()
                .map(|scope| ScopeLine {
                    scope: scope.to_owned(),
                    words: describe(known, scope),
                    sure: known.is_none_or(|entry| entry.verified != Verified::Unverified),
                })
                .collect(),
            already: before.and_then(|row| row.grant.scopes).map(|granted| granted.union(held)).or(named),
            device_code: remembered.device_code.clone(),
            by_code: remembered.by_code,
            asked_at: consent.created_at,
            returns_to: remembered.return_url.as_deref().and_then(|text| Url::parse(text).ok()),
            form_token: {
                let token = self.form_token(consent.id, browser);
                SecretString::new(format!("{}.{}", token.expose(), shown_scopes(remembered, entry)))
            },
        })
    }

    /// Where the person would go next. Nobody is told yet.
    pub(super) fn way(&self, entry: &Arc<Entry>, remembered: &Remembered) -> Result<PageKind, ConsentEnd> {
        let secrets = self.opened(entry)?;
        let state = SecretString::new(String::new());
        let way = entry.driver().way(&self.inner.at(entry, &secrets), &ask(entry, remembered, &state));
        let connector = entry.row.connector.uid.as_str();
        Ok(match way.map_err(|error| faults::driver(&error, connector))? {
            Way::Redirect { page } => PageKind::Provider(page),
            Way::PasteKey { instructions } => PageKind::Paste { instructions },
            Way::Device => PageKind::Code,
        })
    }

    pub(super) fn opened(&self, entry: &Entry) -> Result<ConnectorSecrets, ConsentEnd> {
        self.inner.secrets(entry).map_err(|error| ConsentEnd::Fault(faults::internal(error)))
    }

    /// A request that can still be decided in this browser, with its connector as it is now.
    pub(super) async fn open_consent(
        &self,
        request: &str,
        browser: &SecretString,
    ) -> Result<(Consent, Arc<Entry>, Remembered), ConsentEnd> {
        let id = Id::parse(request).map_err(|_| ConsentEnd::Unknown)?;
        let consent = consents::find(&self.inner.db, id).await?.ok_or(ConsentEnd::Unknown)?;
        let remembered = remembered(&consent)?;
        // Its address is not told to anybody; whoever guesses it learns nothing.
        if remembered.by_code && consent.browser_digest.is_none() {
            return Err(ConsentEnd::Unknown);
        }
        match consent.state {
            ConsentState::Pending | ConsentState::Sent => {}
            ConsentState::Parked if consent.completion_digest.is_none() => {
                return Err(ConsentEnd::AnotherAccount);
            }
            // That nobody came in time was recorded meanwhile.
            ConsentState::Done if has_expired(&consent) => return Err(ConsentEnd::Expired),
            ConsentState::Exchanging | ConsentState::Parked | ConsentState::Done => {
                return Err(ConsentEnd::Used);
            }
        }
        if consent.expires_at <= self.inner.env.now() {
            return Err(ConsentEnd::Expired);
        }
        self.same_browser(&consent, browser)?;
        let entry = self.entry_of(&consent).await?;
        Ok((consent, entry, remembered))
    }

    pub(super) async fn entry_of(&self, consent: &Consent) -> Result<Arc<Entry>, ConsentEnd> {
        let reference = ConnectorRef::Id(consent.connector);
        let entry = self.inner.entry(consent.team, &reference).await?.ok_or(ConsentEnd::Unknown)?;
        self.is_offered(&entry)?;
        Ok(entry)
    }

    pub(super) async fn why_ended(&self, id: Id<kind::AuthorizationRequest>) -> ConsentEnd {
        match consents::find(&self.inner.db, id).await {
            Ok(Some(consent)) if consent.state == ConsentState::Sent => ConsentEnd::OtherBrowser,
            Ok(Some(consent)) if consent.state == ConsentState::Pending => ConsentEnd::Expired,
            Ok(Some(consent)) if has_expired(&consent) => ConsentEnd::Expired,
            Ok(Some(_)) => ConsentEnd::Used,
            Ok(None) => ConsentEnd::Unknown,
            Err(error) => error.into(),
        }
    }

    /// Once a browser has said yes, or entered the code, no other one sees the page or decides.
    fn same_browser(&self, consent: &Consent, browser: &SecretString) -> Result<(), ConsentEnd> {
        match &consent.browser_digest {
            Some(bound) if !carnet_vault::equal(bound, &sha256(browser.expose().as_bytes())) => {
                Err(ConsentEnd::OtherBrowser)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn is_form_token(
        &self,
        request: Id<kind::AuthorizationRequest>,
        browser: &SecretString,
        token: &str,
    ) -> bool {
        let expected = self.form_token(request, browser);
        carnet_vault::equal(expected.expose().as_bytes(), token.as_bytes())
    }

    pub(super) fn form_token(
        &self,
        request: Id<kind::AuthorizationRequest>,
        browser: &SecretString,
    ) -> SecretString {
        let mut bound = request.bytes().to_vec();
        bound.extend_from_slice(browser.expose().as_bytes());
        hex(&self.inner.keyring.hash(Purpose::Csrf, &bound).digest).into()
    }
}

/// Whether the end of a request is that nobody came in time.
pub(super) fn has_expired(consent: &Consent) -> bool {
    matches!(result_of(consent), Some(Stored::Error { code, .. }) if code == EXPIRED.0)
}

/// An event about a request, made by nobody we know: the person at the browser.
pub(super) fn event(consent: &Consent, now: carnet_model::Time, action: Action) -> AuditEvent {
    AuditEvent { actor: consent.requested_by, ..AuditEvent::of_system(now, action).in_team(consent.team) }
        .on(consent.connector)
        .with("request", consent.id.to_string())
        .with("subject", consent.subject.clone())
        .with("environment", consent.environment.to_string())
}

pub(crate) fn place(consent: &Consent) -> carnet_model::grant::Place {
    carnet_model::grant::Place {
        team: consent.team,
        connector: consent.connector,
        project: consent.project,
        environment: consent.environment,
        subject: consent.subject.clone(),
        installation: consent.installation,
    }
}

pub(super) fn remembered(consent: &Consent) -> Result<Remembered, ConsentEnd> {
    serde_json::from_value(consent.ask.clone()).map_err(|error| ConsentEnd::Fault(faults::internal(error)))
}

/// What the driver is asked for.
pub(super) fn ask<'a>(entry: &Entry, remembered: &Remembered, state: &'a SecretString) -> ConsentAsk<'a> {
    ConsentAsk {
        scopes: wanted_scopes(remembered, entry),
        resources: remembered.resources.clone(),
        audience: remembered.audience.clone(),
        details: remembered.details.clone(),
        prompt: remembered.prompt.clone(),
        additional_params: remembered.additional_params.clone(),
        installs: remembered.installs,
        tenant: remembered.tenant.clone(),
        ..ConsentAsk::new(state)
    }
}

/// The scopes to ask the provider for; none means no scope parameter.
pub(super) fn wanted_scopes(remembered: &Remembered, entry: &Entry) -> Option<Scopes> {
    let scopes = match &remembered.scopes {
        None if remembered.installs && !entry.scopes_of_installation() => Scopes::empty(),
        None => {
            let abilities = &entry.abilities;
            let whose = if remembered.installs { &abilities.app } else { &abilities.user };
            whose.as_ref().map(|tokens| tokens.scopes.clone()).unwrap_or_default()
        }
        Some(names) => Scopes::parse(names).unwrap_or_default(),
    };
    Some(scopes).filter(|scopes| !scopes.is_empty())
}

/// The scopes that the page lists: what is asked for or, where an installation allows the same whatever is asked, that.
fn listed_scopes(remembered: &Remembered, entry: &Entry) -> Scopes {
    match wanted_scopes(remembered, entry) {
        Some(asked) => asked,
        None if remembered.installs => entry.driver().installs(&entry.row.connector),
        None => Scopes::empty(),
    }
}

/// What a page asks for, in short: told back with the answer, so that it answers just that.
pub(super) fn shown_scopes(remembered: &Remembered, entry: &Entry) -> String {
    let scopes = listed_scopes(remembered, entry);
    hex(&sha256(scopes.joined(" ").as_bytes())).chars().take(16).collect()
}

fn describe(known: Option<&KnownService>, scope: &str) -> Option<String> {
    match known {
        Some(entry) => entry.describe_scope(scope).map(std::borrow::Cow::into_owned),
        None => describe_standard_scope(scope).map(str::to_owned),
    }
}

/// The application's own identifier of the person, out of the subject's key.
fn shown(subject: &str) -> String {
    match subject.strip_prefix("user:") {
        Some(id) => id.to_owned(),
        None => subject.rsplit_once(':').map_or_else(|| subject.to_owned(), |(_, id)| id.to_owned()),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        use std::fmt::Write as _;
        let _ = write!(out, "{byte:02x}");
        out
    })
}

impl From<DbError> for ConsentEnd {
    fn from(error: DbError) -> Self {
        Self::Fault(faults::store(error))
    }
}

impl From<Fault> for ConsentEnd {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
