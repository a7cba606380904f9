//! Signing in with an account elsewhere: OpenID Connect, authorization code with PKCE (OpenID Connect Core §3.1).
//!
//! Which issuers there are is the operator's configuration. A person is known by issuer and subject, and by nothing else:
//! an e-mail address that an issuer tells joins nobody to anybody. A person links an account while signed in, or comes
//! by a first sign-in where the configuration says that newcomers of this issuer get a place in a team ([`links`]).
//! Here the browser leaves and comes back; what the issuer is asked meanwhile is told by [`exchange`].
//!
//! State, nonce and verifier are one secret: the state is drawn at random, its digest is kept together with that of the
//! browser, and the other two are keyed hashes of it.

mod exchange;
mod links;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_egress::Purpose as Errand;
use carnet_model::caller::Role;
use carnet_model::{Code, Fault, SecretString, Slug};
use carnet_store::sign_in_links::{self, SignInWay, WayPurpose};
use carnet_store::{DbError, Write};
use carnet_vault::Purpose;
use serde::Deserialize;
use url::Url;

use super::SignInRefused;
use crate::broker::Broker;
use crate::cache::sha256;
use crate::consent::hex;
use crate::faults;
use crate::sessions::{Session, Visitor};

use exchange::asked_at;
use links::taken;

/// An issuer with whose accounts people may sign in.
#[derive(Clone, Debug)]
pub struct SignInIssuer {
    /// Its name in addresses.
    pub name: Slug,
    /// What people call it.
    pub label: String,
    /// The issuer, byte for byte as in its tokens: some end in a slash, most do not.
    pub issuer: String,
    /// The client that the operator registered there.
    pub client_id: String,
    /// That client's secret, if it has one.
    pub client_secret: Option<Arc<SecretString>>,
    /// Audiences that its tokens may name besides the client.
    pub other_audiences: Vec<String>,
    /// What somebody gets who was never here; nothing if left out.
    pub newcomers: Option<Newcomers>,
}

/// The place of somebody who was never here.
#[derive(Clone, Debug)]
pub struct Newcomers {
    /// The team.
    pub team: Slug,
    /// The role in it.
    pub role: Role,
}

/// What a browser is sent to an issuer for.
#[derive(Debug)]
pub enum SignInFor<'a> {
    /// To sign in.
    Entry,
    /// The person adds the account to the own one; this needs a proof that is fresh.
    Link(&'a Session),
    /// The person proves again who it is.
    Again(&'a Session),
}

/// Somebody who came back.
#[derive(Debug)]
pub struct CameBack {
    /// What goes into the cookie of the session; none where an account was linked.
    pub cookie: Option<SecretString>,
    /// Where to go.
    pub back: String,
}

/// What came back with the browser.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct CallbackQuery {
    /// The code.
    pub code: Option<SecretString>,
    /// The state.
    pub state: Option<String>,
    /// The issuer (RFC 9207).
    pub iss: Option<String>,
    /// The issuer's refusal.
    pub error: Option<String>,
}

impl Broker {
    /// The issuers with whose accounts people may sign in.
    pub fn sign_in_issuers(&self) -> &[SignInIssuer] {
        &self.inner.settings.sign_in
    }

    /// Where the browser is sent.
    pub async fn leave_to_sign_in(
        &self,
        name: &str,
        purpose: SignInFor<'_>,
        browser: &SecretString,
        back: &str,
    ) -> Result<Url, SignInRefused> {
        let inner = &self.inner;
        inner.fresh_keys().await.map_err(faults::store)?;
        let issuer = self.sign_in_issuer(name)?;
        let now = inner.env.now();
        let kept = match &purpose {
            SignInFor::Entry => WayPurpose::SignIn,
            SignInFor::Link(session) if !session.login().is_fresh(now) => return Err(SignInRefused::Wrong),
            SignInFor::Link(session) => WayPurpose::Link(session.user.id),
            SignInFor::Again(session) => WayPurpose::Again(session.user.id),
        };
        let metadata = self.metadata(issuer).await?;
        let state = SecretString::new(hex(&inner.env.bytes::<32>()));
        let (version, nonce, verifier) = self.made_of(&state, None)?;
        let way = SignInWay {
            browser_digest: sha256(browser.expose().as_bytes()),
            key_version: version,
            issuer: issuer.issuer.clone(),
            back: back.to_owned(),
            purpose: kept,
            expires_at: now.plus(LIFE),
        };
        let steps = sign_in_links::leave(&way, sha256(state.expose().as_bytes()), now);
        inner.db.write(Write::new().steps(steps)).await.map_err(faults::store)?;
        let mut page = inner
            .egress
            .check(&metadata.authorization_endpoint, Errand::ProviderToken)
            .map_err(|error| unusable(issuer, "its authorization endpoint cannot be used").because(error))?;
        let challenge = URL_SAFE_NO_PAD.encode(sha256(verifier.expose().as_bytes()));
        {
            let mut query = page.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &issuer.client_id)
                .append_pair("redirect_uri", &self.redirect_uri(issuer))
                .append_pair("scope", "openid email profile")
                .append_pair("state", state.expose())
                .append_pair("nonce", nonce.expose())
                .append_pair("code_challenge", &challenge)
                .append_pair("code_challenge_method", "S256");
            if matches!(purpose, SignInFor::Again(_)) {
                query.append_pair("prompt", "login").append_pair("max_age", "0");
            }
        }
        Ok(page)
    }

    /// The browser is back.
    pub async fn come_back_signed_in(
        &self,
        name: &str,
        query: &CallbackQuery,
        browser: Option<&SecretString>,
        session: Option<&Session>,
        visitor: &Visitor,
    ) -> Result<CameBack, SignInRefused> {
        let inner = &self.inner;
        inner.fresh_keys().await.map_err(faults::store)?;
        let issuer = self.sign_in_issuer(name)?;
        let state = query.state.as_deref().ok_or(SignInRefused::OtherBrowser)?;
        let digest = sha256(state.as_bytes());
        let now = inner.env.now();
        let found = sign_in_links::way(&inner.db, digest, now).await.map_err(faults::store)?;
        let browser = browser.ok_or(SignInRefused::OtherBrowser)?;
        let way = found
            .filter(|way| carnet_vault::equal(&way.browser_digest, &sha256(browser.expose().as_bytes())))
            .filter(|way| way.issuer == issuer.issuer)
            .ok_or(SignInRefused::OtherBrowser)?;
        // Before the code is sent anywhere: a second one with the same state finds nothing.
        match inner.db.write(Write::new().step(sign_in_links::arrive(digest))).await {
            Ok(_) => {}
            Err(DbError::Unmet(_)) => return Err(SignInRefused::OtherBrowser),
            Err(error) => return Err(faults::store(error).into()),
        }
        if query.error.is_some() {
            return Err(SignInRefused::Wrong);
        }
        let claims = self.sign_in_claims(issuer, query, state, &way).await?;
        let (subject, text) = (claims.subject().to_owned(), issuer.issuer.as_str());
        let link = sign_in_links::find(&inner.db, text, &subject).await.map_err(faults::store)?;
        let back = way.back.clone();
        match (way.purpose, link) {
            (WayPurpose::SignIn, Some(link)) => {
                // A session at the issuer is no proof of this moment: it is as old as what the issuer says of it.
                let proved_at = asked_at(&claims).map_or(now, |at| at.min(now));
                let cookie =
                    self.begin_session_proved(link.user, text, visitor, Vec::new(), proved_at).await?;
                Ok(CameBack { cookie: Some(cookie), back })
            }
            (WayPurpose::SignIn, None) => {
                let cookie = self.newcomer(issuer, &claims, visitor).await?;
                Ok(CameBack { cookie: Some(cookie), back })
            }
            (WayPurpose::Again(user), Some(link)) if link.user == user => {
                let session = session.filter(|session| session.user.id == user);
                let session = session.ok_or(SignInRefused::OtherBrowser)?;
                let cookie = self.renew_session(session, text, visitor).await?;
                Ok(CameBack { cookie: Some(cookie), back })
            }
            (WayPurpose::Again(_), _) => Err(SignInRefused::Wrong),
            (WayPurpose::Link(user), link) => {
                let session = session.filter(|session| session.user.id == user);
                let session = session.ok_or(SignInRefused::OtherBrowser)?;
                match link {
                    Some(link) if link.user == user => {}
                    Some(_) => return Err(taken().into()),
                    None => self.add_sign_in_link(session.user.id, issuer, &claims, visitor).await?,
                }
                Ok(CameBack { cookie: None, back })
            }
        }
    }

    fn sign_in_issuer(&self, name: &str) -> Result<&SignInIssuer, Fault> {
        let found = self.sign_in_issuers().iter().find(|issuer| issuer.name.as_str() == name);
        found.ok_or_else(|| faults::not_found("issuer to sign in with", name))
    }

    fn redirect_uri(&self, issuer: &SignInIssuer) -> String {
        format!("{}/login/with/{}/callback", self.inner.settings.base(), issuer.name)
    }

    /// Nonce and verifier, with a version of the key or the present one.
    fn made_of(
        &self,
        state: &SecretString,
        version: Option<i64>,
    ) -> Result<(i64, SecretString, SecretString), SignInRefused> {
        let keyring = &self.inner.keyring;
        let labelled = |label: &str| [label.as_bytes(), state.expose().as_bytes()].concat();
        let version = version.unwrap_or_else(|| keyring.hash(Purpose::State, b"").version);
        let made = |label: &str| {
            let all = keyring.hashes(Purpose::State, &labelled(label));
            let found = all.iter().find(|hash| hash.version == version);
            found.map(|hash| SecretString::new(hex(&hash.digest))).ok_or(SignInRefused::OtherBrowser)
        };
        Ok((version, made("sign-in-nonce/1")?, made("sign-in-verifier/1")?))
    }
}

fn unusable(issuer: &SignInIssuer, why: &str) -> Fault {
    Fault::new(Code::ProviderAnswerInvalid, format!("{} cannot sign you in: {why}.", issuer.label))
}

/// How long somebody may be away, and how old an identity token may be.
const LIFE: Duration = Duration::from_mins(10);
