//! Asking for an installation: what an administrator at the provider does once, so that the application has tokens of its
//! own at that tenant.
//!
//! Decided and recorded here for every connector. It goes the way of a consent, from the link over our page to the
//! provider and back, and [ends](super::installed) in an installation. A connector that has tokens of the application
//! without it says so.

use carnet_model::access::Ask;
use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::caller::Caller;
use carnet_model::grant::Place;
use carnet_model::{Code, Fault, Id, ScopeRequest, SecretString, Subject, kind};

use super::request::{Opening, Remembered, life_of, names_of};
use super::{AuthorizationStarted, AuthorizeAsk, page};
use crate::audit::with_proof;
use crate::broker::Broker;
use crate::faults;
use crate::installations::nothing_to_install;

/// A request for an installation, as it was asked. The subject in it is always the application.
#[derive(Clone, Debug, Default)]
pub struct InstallAsk {
    /// The same as for a consent.
    pub ask: AuthorizeAsk,
    /// At which tenant of the provider.
    pub tenant: Option<String>,
}

impl Broker {
    /// Makes a request for an installation, or says why none can be made.
    pub async fn start_installation(
        &self,
        caller: &Caller,
        install: &InstallAsk,
        request: Id<kind::Request>,
    ) -> Result<AuthorizationStarted, Fault> {
        self.start_installation_under(caller, install, None, request).await
    }

    /// The same under a code whose verifier somebody else has drawn.
    pub(super) async fn start_installation_under(
        &self,
        caller: &Caller,
        install: &InstallAsk,
        code_digest: Option<[u8; 32]>,
        request: Id<kind::Request>,
    ) -> Result<AuthorizationStarted, Fault> {
        let InstallAsk { ask, tenant } = install;
        let entry = self.find_connector(caller, &ask.token.connector).await?;
        let connector = &entry.row.connector;
        let event = AuditEvent::of(caller, self.inner.env.now(), Action::InstallationStart, Some(request))
            .on(connector.id)
            .with("connector", connector.uid.as_str());
        if let Err((fault, rule)) = self.permit(caller, &entry, Ask::Install) {
            let event = with_proof(event, caller);
            return Err(self.refuse(event, Outcome::Denied, fault, Some(rule)).await?);
        }
        // What cannot be read is said before what cannot be done.
        self.return_url_for(caller, ask.return_url.as_deref()).await?;
        ask.webhook.as_deref().map(|text| self.completion_url(caller, text)).transpose()?;
        life_of(ask.expires_in, ask.device_code)?;
        if ask.device_code {
            self.new_device_code(&entry)?;
        }
        let scopes = ScopeRequest::parse(ask.token.scopes.as_deref())
            .map_err(|error| Fault::new(Code::InvalidRequest, format!("{error}.")).with("field", "scopes"))?;
        let sound =
            |text: &String| (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if tenant.as_ref().is_some_and(|text| !sound(text)) {
            return Err(Fault::new(Code::InvalidRequest, "tenantId has 1 to 200 characters.")
                .with("field", "tenantId"));
        }
        if !entry.abilities.installation {
            let fault = nothing_to_install(connector);
            return Err(self.refuse(event, Outcome::Failed, fault, None).await?);
        }
        let remembered = Remembered {
            scopes: names_of(&scopes),
            resources: ask.token.resources.clone(),
            audience: ask.token.audience.clone(),
            details: ask.token.details.clone(),
            installs: true,
            tenant: tenant.clone(),
            ..Remembered::default()
        };
        // What the provider cannot be asked for is said now, and not to whoever opens the link.
        let secrets = self.inner.secrets(&entry).map_err(faults::internal)?;
        let state = SecretString::new(String::new());
        let way =
            entry.driver().way(&self.inner.at(&entry, &secrets), &page::ask(&entry, &remembered, &state));
        if let Err(error) = way {
            let fault = faults::driver(&error, connector.uid.as_str());
            return Err(self.refuse(event, Outcome::Failed, fault, None).await?);
        }
        let place = Place {
            team: caller.team(),
            connector: connector.id,
            project: caller.project(),
            environment: caller.environment(),
            subject: Subject::App.key().unwrap_or_default(),
            installation: None,
        };
        self.open_request(caller, &entry, ask, Opening { place, remembered, code_digest, event }).await
    }
}
