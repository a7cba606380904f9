//! The link that a command line opens in a browser: a person who is signed in there asks for their own consent, or for
//! an installation.
//!
//! The command line draws a verifier, puts its digest into the link as `request_code`, and asks with the verifier what
//! came of it. So the outcome is kept under that code: the request for consent, or why there is none. A link that is
//! opened again leads to the same request. While the person has yet to sign in there is no request, only the note that
//! the link was opened; whoever polls is told to wait.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_model::audit::Action;
use carnet_model::caller::Caller;
use carnet_model::grant::Place;
use carnet_model::rights::Right;
use carnet_model::{Code, Fault, Id, Time, kind};
use carnet_store::consents::{self, Consent};
use carnet_store::{Write, audit, sign_in_tries};

use super::AuthorizeAsk;
use super::install::InstallAsk;
use super::request::{Remembered, Stored};
use crate::broker::Broker;
use crate::faults;
use crate::issue::TokenAsk;
use crate::tries::{LONGEST_WINDOW, Limit, NoTry};

/// What stands in the link.
#[derive(Clone, Debug, Default)]
pub struct LinkAsk {
    /// Identifier or UID of the connector.
    pub connector: String,
    /// The digest of the verifier that the command line has, in base64url.
    pub request_code: Option<String>,
    /// Which installation.
    pub installation: Option<String>,
    /// Scopes with commas between them; `*` or nothing for the connector's own.
    pub scopes: Option<String>,
}

impl Broker {
    /// Notes that a link was opened in a browser in which nobody is signed in. It says nothing about whether the link is
    /// good for anything, and is forgotten by itself; a network from which too many are opened is not listened to.
    pub async fn link_opened(&self, code: &str, address: Option<IpAddr>) -> Result<(), Fault> {
        let ask = LinkAsk { request_code: Some(code.to_owned()), ..LinkAsk::default() };
        let Some(digest) = ask.digest()? else { return Ok(()) };
        let from = Limit { digest: self.tries_from("link-network", address), most: MOST, window: WINDOW };
        let this = Limit { digest: self.tries_by("link", &digest), most: i64::MAX, window: WINDOW };
        match self.count_within(&[from, this]).await {
            Ok(_) | Err(NoTry::Wait(_)) => Ok(()),
            Err(NoTry::Store(error)) => Err(faults::store(error)),
        }
    }

    /// Whether the link with the digest of this verifier was opened a while ago.
    pub(super) async fn is_link_open(&self, digest: [u8; 32]) -> Result<bool, Fault> {
        let found = sign_in_tries::find(&self.inner.db, self.tries_by("link", &digest)).await;
        let over = self.inner.env.now().minus(WINDOW);
        Ok(found.map_err(faults::store)?.is_some_and(|found| found.since > over))
    }

    /// Whether a link with this verifier may still be opened: a person's command line draws one as soon as their request
    /// for a token was refused for want of a consent or an installation, and polls before anybody has opened the link.
    /// Once somebody of the team has consented since, it is no longer assumed.
    pub(super) async fn is_link_expected(&self, caller: &Caller, verifier: &str) -> Result<bool, Fault> {
        let drawn = URL_SAFE_NO_PAD.decode(verifier).is_ok_and(|bytes| bytes.len() == DRAWN);
        if !drawn || !matches!(caller, Caller::Member(_)) {
            return Ok(false);
        }
        let (db, team) = (&self.inner.db, caller.team());
        let since = self.inner.env.now().minus(EXPECTED);
        let failed =
            audit::failed_tokens(db, team, &caller.principal(), since).await.map_err(faults::store)?;
        let wants_a_link = |event: &&audit::Recorded| {
            let code = event.detail.as_ref().and_then(|detail| detail.get("code")?.as_str());
            matches!(
                code.and_then(Code::parse),
                Some(Code::UserAuthorizationRequired | Code::InstallationRequired)
            )
        };
        let Some(refused) = failed.iter().find(wants_a_link) else { return Ok(false) };
        let consented = audit::Filter {
            action: Some(Action::AuthorizationComplete.as_str().to_owned()),
            ..audit::Filter::default()
        };
        let later = audit::after(db, team, refused.seq, &consented, 1).await.map_err(faults::store)?;
        Ok(later.events.is_empty())
    }

    /// Makes the request for the person's own consent, or finds the one of this link.
    pub async fn consent_by_link(
        &self,
        caller: &Caller,
        link: &LinkAsk,
        request: Id<kind::Request>,
    ) -> Result<Id<kind::AuthorizationRequest>, Fault> {
        let member = self.may(caller, Right::TokenOwn)?;
        let digest = link.digest()?;
        if let Some(found) = self.opened_before(caller, digest).await? {
            return Ok(found);
        }
        let subject = serde_json::json!({"type": "user", "id": member.user});
        let ask = AuthorizeAsk { token: link.ask(Some(subject)), ..AuthorizeAsk::default() };
        match self.start_authorization_under(caller, &ask, digest, request).await {
            Ok(started) => Ok(started.request),
            Err(fault) => Err(self.told_to_who_polls(caller, link, digest, fault).await),
        }
    }

    /// Makes the request for an installation, or finds the one of this link.
    pub async fn installation_by_link(
        &self,
        caller: &Caller,
        link: &LinkAsk,
        request: Id<kind::Request>,
    ) -> Result<Id<kind::AuthorizationRequest>, Fault> {
        let digest = link.digest()?;
        if let Some(found) = self.opened_before(caller, digest).await? {
            return Ok(found);
        }
        let ask = AuthorizeAsk { token: link.ask(None), ..AuthorizeAsk::default() };
        let install = InstallAsk { ask, tenant: None };
        match self.start_installation_under(caller, &install, digest, request).await {
            Ok(started) => Ok(started.request),
            Err(fault) => Err(self.told_to_who_polls(caller, link, digest, fault).await),
        }
    }

    /// The request that this link made when it was opened before.
    async fn opened_before(
        &self,
        caller: &Caller,
        digest: Option<[u8; 32]>,
    ) -> Result<Option<Id<kind::AuthorizationRequest>>, Fault> {
        let Some(digest) = digest else { return Ok(None) };
        match consents::by_code(&self.inner.db, caller.team(), digest).await.map_err(faults::store)? {
            None => Ok(None),
            Some(found) if found.requested_by == caller.principal() => Ok(Some(found.id)),
            Some(_) => Err(Fault::new(Code::Conflict, "This link was opened by somebody else already.")),
        }
    }

    /// Keeps why there is no request under the code, so that whoever polls does not wait for nothing.
    async fn told_to_who_polls(
        &self,
        caller: &Caller,
        link: &LinkAsk,
        digest: Option<[u8; 32]>,
        fault: Fault,
    ) -> Fault {
        let Some(digest) = digest else { return fault };
        // What is not the team's has no place in a table of the team's connectors.
        let Ok(entry) = self.find_connector(caller, &link.connector).await else { return fault };
        let now = self.inner.env.now();
        let result = Stored::Error {
            code: fault.code.as_str().to_owned(),
            message: fault.message.clone(),
            vendor: None,
            reason: None,
        };
        let (Ok(ask), Ok(result)) =
            (serde_json::to_value(Remembered::default()), serde_json::to_value(result))
        else {
            return fault;
        };
        let place = Place {
            team: caller.team(),
            connector: entry.row.connector.id,
            project: None,
            environment: caller.environment(),
            subject: String::new(),
            installation: None,
        };
        let end = Time::from_millis(now.millis() + 1);
        let consent = Consent::pending(self.inner.env.id(), place, caller.principal(), ask, now, end);
        // The refusal itself is in the audit log already.
        let write = Write::new()
            .step(consents::insert(&consent, digest, None))
            .step(consents::finish_pending(consent.id, &result, now));
        match self.inner.db.write(write).await {
            Ok(_) => fault,
            Err(error) => {
                tracing::warn!(%error, "whoever polls for this link waits until its own end");
                fault
            }
        }
    }
}

impl LinkAsk {
    fn digest(&self) -> Result<Option<[u8; 32]>, Fault> {
        let Some(code) = self.request_code.as_deref().filter(|code| !code.is_empty()) else {
            return Ok(None);
        };
        let bytes = URL_SAFE_NO_PAD.decode(code).ok().and_then(|bytes| bytes.try_into().ok());
        let wrong = || {
            Fault::new(
                Code::InvalidRequest,
                "request_code is a SHA-256 digest in base64url, as the command line makes it.",
            )
            .with("field", "request_code")
        };
        bytes.map(Some).ok_or_else(wrong)
    }

    fn ask(&self, subject: Option<serde_json::Value>) -> TokenAsk {
        let scopes = self.scopes.as_deref().filter(|text| !text.is_empty());
        TokenAsk {
            connector: self.connector.clone(),
            subject,
            installation: self.installation.clone().filter(|text| !text.is_empty()),
            scopes: scopes.map(|text| text.split(',').map(str::to_owned).collect()),
            ..TokenAsk::default()
        }
    }
}

/// How many bytes a command line draws for a verifier.
const DRAWN: usize = 37;
/// How long somebody may take to open a link that they were told to open, before whoever polls is told that there is none.
const EXPECTED: Duration = Duration::from_hours(1);
/// How long somebody may take to sign in, before whoever polls is told that there is no request.
const WINDOW: Duration = LONGEST_WINDOW;
/// Links opened from one network in that time by people who are not signed in.
const MOST: i64 = 60;
