//! Which app asks: a connector, and the identity of a workload that may ask it, in the place of a secret.
//!
//! Everything that is wrong with a client looks the same from outside, but for the sentence: `invalid_client`, 401
//! (RFC 6749 §5.2).

use std::sync::Arc;

use carnet_model::access::Ask;
use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::caller::Caller;
use carnet_model::{Code, Fault, Id, SecretString, Subject, kind};
use carnet_store::gateway::Session;

use super::Asker;
use crate::broker::Broker;
use crate::callers::{Credential, TeamHint};
use crate::directory::Entry;

/// A client that has proved who it is, and may sign people in.
pub(crate) struct Client {
    pub(crate) caller: Arc<Caller>,
    pub(crate) entry: Arc<Entry>,
}

impl Client {
    /// Whether a session is this client's: of its connector, its project, its environment.
    pub(crate) fn has(&self, session: &Session) -> bool {
        session.team == self.caller.team()
            && session.connector == self.entry.row.connector.id
            && Some(session.project) == self.caller.project()
            && session.environment == self.caller.environment()
    }
}

impl Broker {
    /// Whether it is one that may sign people in; the refusal if not.
    pub async fn knows_gateway_client(
        &self,
        connector: &str,
        secret: &SecretString,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        self.gateway_client(connector, secret, request).await.map(drop)
    }

    /// Recognises a client by what stood in its `Authorization: Basic`, decoded.
    pub(crate) async fn gateway_client(
        &self,
        connector: &str,
        secret: &SecretString,
        request: Id<kind::Request>,
    ) -> Result<Client, Fault> {
        let inner = &self.inner;
        let credential = Credential::of(Some(secret.expose()), TeamHint::default())?;
        let caller = self.recognise(&credential).await.map_err(|fault| match fault.code {
            Code::Unauthorized | Code::Forbidden | Code::InvalidRequest => {
                Fault { code: Code::InvalidClient, ..fault }
            }
            _ => fault,
        })?;
        if caller.project().is_none() {
            return Err(Fault::new(
                Code::InvalidClient,
                "An app proves itself with the identity of its workload; this is a person's access token.",
            )
            .next("carnet env pull", "to get a workload identity for development"));
        }
        let event = || {
            AuditEvent::of(&caller, inner.env.now(), Action::GatewaySignIn, Some(request))
                .with("connector", connector.chars().take(200).collect::<String>())
        };
        let entry = match self.find_connector(&caller, connector).await {
            Ok(entry) => entry,
            Err(fault) if fault.code == Code::NotFound => {
                let fault = Fault { code: Code::InvalidClient, ..fault };
                return Err(self.refuse(event(), Outcome::Denied, fault, Some("connector-exists")).await?);
            }
            Err(fault) => return Err(fault),
        };
        let somebody = Subject::User { id: String::new(), issuer: None };
        if let Err((fault, rule)) = self.permit(&caller, &entry, Ask::Token(&somebody)) {
            let fault = Fault { code: Code::InvalidClient, ..fault };
            let event = event().on(entry.row.connector.id);
            return Err(self.refuse(event, Outcome::Denied, fault, Some(rule)).await?);
        }
        self.gateway_pace(Asker::Apps(entry.row.connector.id)).await?;
        Ok(Client { caller, entry })
    }
}
