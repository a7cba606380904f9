//! Taking over an application that was registered: the browser's return with a code, or the token with which the
//! provider makes it at once. Whatever becomes of it, the registration is over, or open again for another try.

use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::caller::Caller;
use carnet_model::{Code, Fault, Id, SecretString, Time, kind};
use carnet_providers::{CallbackFault, DriverError, Redeem, Redeemed};
use carnet_store::registrations::{self, Registration, RegistrationState};
use carnet_store::{DbError, Write};

use super::{CANCELED, RegistrationChoice, Wish, is_whose, over, scopes_of, unknown};
use crate::broker::Broker;
use crate::cache::sha256;
use crate::connectors::ConnectorView;
use crate::faults;

impl Broker {
    /// The browser came back from the provider. The connector, when it is made.
    pub async fn registration_callback(
        &self,
        caller: &Caller,
        params: &[(String, String)],
        browser: Option<&SecretString>,
        request: Id<kind::Request>,
    ) -> Result<ConnectorView, Fault> {
        let inner = &self.inner;
        let one = |name: &str| {
            let mut all = params.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
            all.next().filter(|_| all.next().is_none())
        };
        let state = one("state").ok_or_else(unknown)?;
        let found =
            registrations::by_state(&inner.db, sha256(state.as_bytes())).await.map_err(faults::store)?;
        let registration = found.filter(|found| is_whose(found, caller)).ok_or_else(unknown)?;
        let bound = registration.browser_digest.zip(browser).is_some_and(|(bound, browser)| {
            carnet_vault::equal(&bound, &sha256(browser.expose().as_bytes()))
        });
        if !bound {
            return Err(unknown());
        }
        if let Some(connector) = registration.connector {
            // The browser was reloaded.
            return self.connector(caller, &connector.to_string(), request).await;
        }
        if registration.state != RegistrationState::Sent {
            return Err(over(&registration.service));
        }
        let code = one("code").ok_or_else(|| {
            Fault::new(
                Code::InvalidRequest,
                format!(
                    "{} sent you back without an application. Nothing was made; try once more.",
                    registration.service
                ),
            )
        })?;
        let code = code.to_owned();
        self.take(&registration, RegistrationState::Sent).await?;
        let (broker, caller) = (self.clone(), caller.clone());
        let work =
            self.track(async move { broker.take_over_app(&caller, &registration, &code, request).await });
        work.await.map_err(faults::internal)?
    }

    /// Has the provider make the application with a token of the person's, which is kept nowhere.
    pub async fn register_with_token(
        &self,
        caller: &Caller,
        id: &str,
        choice: &RegistrationChoice,
        token: &SecretString,
        request: Id<kind::Request>,
    ) -> Result<ConnectorView, Fault> {
        let (registration, wish) = self.open_registration(caller, id).await?;
        let scopes = scopes_of(&choice.scopes)?;
        self.take(&registration, registration.state).await?;
        let mut data = wish.data.clone();
        data.insert("botScopes".to_owned(), serde_json::to_value(&scopes).map_err(faults::internal)?);
        data.insert("appName".to_owned(), choice.name.trim().into());
        data.insert("configurationToken".to_owned(), token.expose().trim().into());
        let ask = wish.ask((self.inner.settings.base(), choice.quiet), &registration.code, data);
        let (broker, caller) = (self.clone(), caller.clone());
        // A person who closes the tab leaves nobody without the end of it.
        let work = self.track(async move {
            match broker.create_connector(&caller, ask, request).await {
                Ok(made) => {
                    broker.end_registration(&registration, Ok(made.connector.id)).await?;
                    Ok(made)
                }
                Err(fault) => {
                    // Nothing was made, or the person is told to look; either way another try is another application.
                    let now = broker.inner.env.now();
                    let write = Write::new().step(registrations::reopen(&registration, now));
                    broker.inner.db.write(write).await.map_err(faults::store)?;
                    Err(fault)
                }
            }
        });
        work.await.map_err(faults::internal)?
    }

    async fn take_over_app(
        &self,
        caller: &Caller,
        registration: &Registration,
        code: &str,
        request: Id<kind::Request>,
    ) -> Result<ConnectorView, Fault> {
        let wish: Wish = serde_json::from_value(registration.ask.clone()).map_err(faults::internal)?;
        let choice: RegistrationChoice = registration
            .chosen
            .clone()
            .and_then(|chosen| serde_json::from_value(chosen).ok())
            .unwrap_or_default();
        let made = match self.redeemed(registration, &wish, &choice, code).await {
            Ok(redeemed) => {
                let mut data = wish.data.clone();
                data.extend(redeemed.data);
                let ask = wish.ask((self.inner.settings.base(), choice.quiet), &registration.code, data);
                self.create_connector(caller, ask, request).await
            }
            Err(fault) => Err(fault),
        };
        match made {
            Ok(made) => {
                self.end_registration(registration, Ok(made.connector.id)).await?;
                Ok(made)
            }
            Err(fault) => {
                self.end_registration(registration, Err(&fault)).await?;
                Err(fault)
            }
        }
    }

    /// What the provider gave for the code, if it is what was asked for.
    async fn redeemed(
        &self,
        registration: &Registration,
        wish: &Wish,
        choice: &RegistrationChoice,
        code: &str,
    ) -> Result<Redeemed, Fault> {
        let inner = &self.inner;
        let service = &registration.service;
        let kind = wish.kind().ok_or_else(|| over(service))?;
        let ask = Redeem { code, http: &inner.egress, env: &inner.env, tenant: registration.team };
        let redeemed = match carnet_providers::driver(kind).redeem(&ask).await {
            Ok(redeemed) => redeemed,
            Err(DriverError::Callback(CallbackFault::CodeRefused { vendor })) => {
                let fault = Fault::new(
                    Code::ProviderRefused,
                    format!(
                        "{service} does not accept the code that came back: it was used, or is older than an hour."
                    ),
                );
                return Err(match serde_json::to_value(vendor) {
                    Ok(vendor) => fault.with("vendor", vendor),
                    Err(_) => fault,
                }
                .next(format!("carnet create {service} --name NAME"), "to begin anew"));
            }
            Err(error) if error.in_doubt() => {
                return Err(Fault::new(
                    Code::ProviderUnavailable,
                    format!(
                        "The application {:?} is registered at {service}, but the answer with its secrets was lost, and \
                         it is given once. Make a new key and secret on its page there, or delete it and begin anew.",
                        choice.name.trim()
                    ),
                )
                .next(
                    format!("carnet create {service} --name NAME --data @file.json"),
                    "with appId, privateKeyPem and clientSecret from its page",
                )
                .next(format!("carnet create {service} --name NAME"), "to begin anew"));
            }
            Err(error) => return Err(faults::driver(&error, &wish.uid)),
        };
        let wanted = choice.owner.trim();
        let owner = redeemed.owner.as_deref();
        if !wanted.is_empty() && !owner.is_some_and(|owner| owner.eq_ignore_ascii_case(wanted)) {
            let page = redeemed.page.clone();
            let fault = Fault::new(
                Code::InvalidConnector,
                format!(
                    "The application was registered for {:?} at {service}, not for {wanted:?} as was chosen, so no \
                     connector is made of it. Delete it there and begin anew.",
                    owner.unwrap_or_default()
                ),
            )
            .with("field", "owner");
            return Err(match page {
                Some(page) => fault.next(page, "to delete it"),
                None => fault,
            });
        }
        Ok(redeemed)
    }

    /// The person does not want it: whoever polls hears so, and nothing is registered.
    pub async fn cancel_registration(
        &self,
        caller: &Caller,
        id: &str,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let (registration, _) = self.open_registration(caller, id).await?;
        let now = self.inner.env.now();
        let event = AuditEvent::of(caller, now, Action::RegistrationEnd, Some(request))
            .on(registration.id)
            .with("service", registration.service.clone())
            .with("code", CANCELED)
            .ended(Outcome::Denied);
        let end = Err((CANCELED, "It was canceled on the page."));
        let write = Write::new()
            .step(registrations::take(&registration, registration.state, now))
            .step(registrations::finish(&registration, end, now))
            .event(&self.inner.env, &event);
        match self.inner.db.write(write).await {
            Ok(_) => Ok(()),
            Err(DbError::Unmet(_)) => Err(over(&registration.service)),
            Err(error) => Err(faults::store(error)),
        }
    }

    async fn end_registration(
        &self,
        registration: &Registration,
        end: Result<Id<kind::Connector>, &Fault>,
    ) -> Result<(), Fault> {
        let inner = &self.inner;
        let now = inner.env.now();
        let event = ended(registration, end.map_err(|fault| fault.code.as_str()), now);
        let end = end.map_err(|fault| (fault.code.as_str(), fault.message.as_str()));
        let write =
            Write::new().step(registrations::finish(registration, end, now)).event(&inner.env, &event);
        match inner.db.write(write).await {
            Ok(_) | Err(DbError::Unmet(_)) => Ok(()),
            Err(error) => Err(faults::store(error)),
        }
    }
}

/// How it ended, for the log: with a connector, or with the code of why there is none.
pub(super) fn ended(
    registration: &Registration,
    end: Result<Id<kind::Connector>, &str>,
    now: Time,
) -> AuditEvent {
    let event = AuditEvent {
        actor: registration.requested_by,
        ..AuditEvent::of_system(now, Action::RegistrationEnd).in_team(registration.team)
    }
    .on(registration.id)
    .with("service", registration.service.clone());
    match end {
        Ok(connector) => event.with("connector", connector.to_string()),
        Err(code) => event.ended(Outcome::Failed).with("code", code),
    }
}
