//! Signing in with an account elsewhere: OpenID Connect, authorization code with PKCE (OpenID Connect Core §3.1).
//!
//! Which issuers there are is the operator's configuration. A person is known by issuer and subject, and by nothing else:
//! an e-mail address that an issuer tells joins nobody to anybody. A person links an account while signed in, or comes
//! by a first sign-in where the configuration says that newcomers of this issuer get a place in a team.
//!
//! State, nonce and verifier are one secret: the state is drawn at random, its digest is kept together with that of the
//! browser, and the other two are keyed hashes of it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use carnet_egress::{Call, Purpose as Errand};
use carnet_identity::{Algorithm, Expectation, KeySource, Presented, VerifiedClaims};
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::{Principal, Role};
use carnet_model::{Code, Fault, Id, SecretString, Slug, kind};
use carnet_store::people::{self, User};
use carnet_store::sign_in_links::{self, SignInLink, SignInWay, WayPurpose};
use carnet_store::{DbError, Write};
use carnet_vault::Purpose;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::SignInRefused;
use crate::broker::Broker;
use crate::cache::sha256;
use crate::consent::hex;
use crate::faults;
use crate::sessions::{Session, Visitor};

/// An issuer with whose accounts people may sign in.
#[derive(Clone, Debug)]
pub struct SignInIssuer {
    /// Its name in addresses.
    pub name: Slug,
    /// What people call it.
    pub label: String,
    /// The issuer, byte for byte as in its tokens.
    pub issuer: Url,
    /// The client that the operator registered there.
    pub client_id: String,
    /// That client's secret, if it has one.
    pub client_secret: Option<Arc<SecretString>>,
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

/// What is needed of an issuer's metadata (OpenID Connect Discovery §3).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: SecretString,
}

impl SignInIssuer {
    /// The issuer as it stands in tokens.
    pub fn text(&self) -> &str {
        // `Url` writes a slash behind a bare host, and nearly no issuer does.
        let text = self.issuer.as_str();
        if self.issuer.path() == "/" { text.trim_end_matches('/') } else { text }
    }
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
            issuer: issuer.text().to_owned(),
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
            .filter(|way| way.issuer == issuer.text())
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
        let (subject, text) = (claims.subject().to_owned(), issuer.text());
        let link = sign_in_links::find(&inner.db, text, &subject).await.map_err(faults::store)?;
        let back = way.back.clone();
        match (way.purpose, link) {
            (WayPurpose::SignIn, Some(link)) => {
                let cookie = self.begin_session(link.user, text, visitor, Vec::new()).await?;
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

    /// The accounts elsewhere of this person.
    pub async fn sign_in_links(&self, session: &Session) -> Result<Vec<SignInLink>, Fault> {
        sign_in_links::of_user(&self.inner.db, session.user.id).await.map_err(faults::store)
    }

    /// Takes an account off this person. The last way to sign in stays.
    pub async fn remove_sign_in_link(
        &self,
        session: &Session,
        issuer: &str,
        subject: &str,
    ) -> Result<(), SignInRefused> {
        if !session.login().is_fresh(self.inner.env.now()) {
            return Err(SignInRefused::Wrong);
        }
        let links = self.sign_in_links(session).await?;
        if links.len() < 2 && !self.has_passphrase(session).await? {
            let message = "This is the only way in which you can sign in. Choose a passphrase first.";
            return Err(Fault::new(Code::Conflict, message).into());
        }
        let user = session.user.id;
        let write = Write::new().step(sign_in_links::remove(user, issuer, subject));
        match self.write_of(user, write, Action::SignInUnlink, &user.to_string(), None).await {
            Err(DbError::Unmet(_)) => Err(faults::not_found("linked account", issuer).into()),
            other => other.map_err(|error| faults::store(error).into()),
        }
    }

    /// Exchanges the code and verifies what came for it.
    async fn sign_in_claims(
        &self,
        issuer: &SignInIssuer,
        query: &CallbackQuery,
        state: &str,
        way: &SignInWay,
    ) -> Result<VerifiedClaims, SignInRefused> {
        let inner = &self.inner;
        let metadata = self.metadata(issuer).await?;
        // RFC 9207 §2.4: who says that it names itself must, and nobody else's answer is taken.
        let named = query.iss.as_deref().is_none_or(|iss| iss == issuer.text());
        if !named || (query.iss.is_none() && metadata.authorization_response_iss_parameter_supported) {
            return Err(SignInRefused::OtherBrowser);
        }
        let code = query.code.as_ref().ok_or(SignInRefused::OtherBrowser)?;
        let (_, nonce, verifier) = self.made_of(&state.to_owned().into(), Some(way.key_version))?;
        let token = self.redeem_sign_in(issuer, &metadata, code, &verifier).await?;
        let now = inner.env.now();
        let bad = |error| unusable(issuer, "its identity token is not accepted").because(error);
        let presented = Presented::parse(token.expose()).map_err(bad)?;
        let keys = inner
            .keys
            .keys_for(key_of(issuer), NO_TEAM, issuer.text(), &KeySource::Discovery, presented.kid())
            .await
            .map_err(|error| unusable(issuer, "its keys cannot be had").because(error))?;
        let (audiences, types) = ([issuer.client_id.clone()], ["JWT".to_owned(), String::new()]);
        let expect = Expectation {
            issuer: issuer.text(),
            audiences: &audiences,
            algorithms: &[Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa],
            types: &types,
            max_life: Duration::from_hours(24),
            max_age: Some(LIFE),
            skew: Duration::from_secs(30),
        };
        let claims = presented.verify(&keys, &expect, now).map_err(bad)?;
        let said = claims.claim("nonce").and_then(Value::as_str).unwrap_or_default();
        if !carnet_vault::equal(said.as_bytes(), nonce.expose().as_bytes()) {
            return Err(unusable(issuer, "its identity token is for another sign-in").into());
        }
        if claims.claim("azp").is_some_and(|azp| azp.as_str() != Some(&issuer.client_id)) {
            return Err(unusable(issuer, "its identity token is for another client").into());
        }
        if matches!(way.purpose, WayPurpose::Again(_)) {
            // OpenID Connect Core §3.1.2.1: where `max_age` was asked, `auth_time` is there.
            let at = claims.claim("auth_time").and_then(Value::as_i64).unwrap_or_default();
            if at < now.minus(LIFE).secs() {
                return Err(unusable(issuer, "it did not ask you again who you are").into());
            }
        }
        Ok(claims)
    }

    async fn redeem_sign_in(
        &self,
        issuer: &SignInIssuer,
        metadata: &Metadata,
        code: &SecretString,
        verifier: &SecretString,
    ) -> Result<SecretString, Fault> {
        let inner = &self.inner;
        let endpoint = inner
            .egress
            .check(&metadata.token_endpoint, Errand::ProviderToken)
            .map_err(|error| unusable(issuer, "its token endpoint cannot be used").because(error))?;
        let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
        let basic = methods.is_none_or(|all| all.iter().any(|one| one == "client_secret_basic"));
        // Gone before anything is waited for: it cannot be sent between threads.
        let form: SecretString = {
            let mut form = Serializer::new(String::new());
            form.append_pair("grant_type", "authorization_code")
                .append_pair("code", code.expose())
                .append_pair("redirect_uri", &self.redirect_uri(issuer))
                .append_pair("code_verifier", verifier.expose());
            match &issuer.client_secret {
                Some(_) if basic => {}
                secret => {
                    form.append_pair("client_id", &issuer.client_id);
                    if let Some(secret) = secret {
                        form.append_pair("client_secret", secret.expose());
                    }
                }
            }
            form.finish().into()
        };
        let mut call = Call::post_form(endpoint, form, Errand::ProviderToken, NO_TEAM);
        if let (Some(secret), true) = (&issuer.client_secret, basic) {
            // RFC 6749 §2.3.1: both halves are encoded as in a form first.
            let half = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let both = format!("{}:{}", half(&issuer.client_id), half(secret.expose()));
            let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(both)))
                .map_err(faults::internal)?;
            value.set_sensitive(true);
            call = call.header(AUTHORIZATION, value);
        }
        let answer = inner
            .egress
            .send(call)
            .await
            .map_err(|error| unusable(issuer, "its token endpoint does not answer").because(error))?;
        if answer.status != http::StatusCode::OK {
            return Err(unusable(issuer, "it does not take the code that it gave"));
        }
        let tokens: Tokens = serde_json::from_slice(&answer.body)
            .map_err(|_| unusable(issuer, "it gives no identity token"))?;
        Ok(tokens.id_token)
    }

    async fn metadata(&self, issuer: &SignInIssuer) -> Result<Metadata, Fault> {
        let egress = &self.inner.egress;
        let place = format!("{}/.well-known/openid-configuration", issuer.text().trim_end_matches('/'));
        let url = egress
            .check(&place, Errand::Discovery)
            .map_err(|error| unusable(issuer, "its address cannot be used").because(error))?;
        let answer = egress
            .send(Call::get(url, Errand::Discovery, NO_TEAM))
            .await
            .map_err(|error| unusable(issuer, "it does not answer").because(error))?;
        let metadata: Metadata = serde_json::from_slice(&answer.body)
            .map_err(|_| unusable(issuer, "it does not describe itself as an OpenID provider does"))?;
        if metadata.issuer != issuer.text() {
            return Err(unusable(issuer, "it calls itself by another name than the configuration does"));
        }
        Ok(metadata)
    }

    /// Somebody whose account is linked to nobody signs in.
    async fn newcomer(
        &self,
        issuer: &SignInIssuer,
        claims: &VerifiedClaims,
        visitor: &Visitor,
    ) -> Result<SecretString, SignInRefused> {
        let inner = &self.inner;
        let Some(newcomers) = &issuer.newcomers else {
            let message = format!(
                "Nobody here has linked this account of {}. Sign in another way and link it on the page of your account.",
                issuer.label
            );
            return Err(Fault::new(Code::Forbidden, message).into());
        };
        let team = people::team_by_slug(&inner.db, &newcomers.team).await.map_err(faults::store)?;
        let team =
            team.ok_or_else(|| unusable(issuer, "its newcomers belong to a team that there is not"))?;
        let now = inner.env.now();
        let host = issuer.issuer.host_str().unwrap_or("elsewhere");
        let email = told(claims, "email").unwrap_or_else(|| format!("{}@{host}", claims.subject()));
        let name = told(claims, "name").unwrap_or_else(|| email.clone());
        let user = User { id: inner.env.id(), email, name, created_at: now, disabled_at: None };
        let by = Principal::User { id: user.id };
        let event = AuditEvent { actor: by, ..AuditEvent::of_system(now, Action::UserCreate) }
            .in_team(team.id)
            .on(user.id)
            .with("issuer", issuer.text());
        // The address is a name like any other: who has it here already is somebody else, or says so while signed in.
        let steps = vec![
            people::insert_user(&user),
            people::insert_member(team.id, user.id, newcomers.role, now),
            sign_in_links::insert(&self.link_of(user.id, issuer, claims)),
        ];
        match inner.db.write(Write::new().steps(steps).event(&inner.env, &event).revises()).await {
            Ok(_) => {}
            Err(DbError::Conflict) => return Err(taken().into()),
            Err(error) => return Err(faults::store(error).into()),
        }
        Ok(self.begin_session(user.id, issuer.text(), visitor, Vec::new()).await?)
    }

    async fn add_sign_in_link(
        &self,
        user: Id<kind::User>,
        issuer: &SignInIssuer,
        claims: &VerifiedClaims,
        visitor: &Visitor,
    ) -> Result<(), SignInRefused> {
        let link = self.link_of(user, issuer, claims);
        let write = Write::new().step(sign_in_links::insert(&link));
        let by = Some((issuer.text(), visitor));
        match self.write_of(user, write, Action::SignInLink, &user.to_string(), by).await {
            Err(DbError::Conflict) => Err(taken().into()),
            other => other.map_err(|error| faults::store(error).into()),
        }
    }

    fn link_of(&self, user: Id<kind::User>, issuer: &SignInIssuer, claims: &VerifiedClaims) -> SignInLink {
        let subject = claims.subject().to_owned();
        SignInLink {
            issuer: issuer.text().to_owned(),
            shown: told(claims, "email").or_else(|| told(claims, "name")).unwrap_or_else(|| subject.clone()),
            subject,
            user,
            created_at: self.inner.env.now(),
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

/// What an issuer tells of a person, as far as it can stand in a column.
fn told(claims: &VerifiedClaims, name: &str) -> Option<String> {
    let text = claims.claim(name)?.as_str()?.trim();
    (!text.is_empty() && text.len() <= 200 && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

/// Under which name the keys of an issuer are remembered.
fn key_of(issuer: &SignInIssuer) -> Id<kind::TrustedIssuer> {
    let digest = sha256(format!("sign-in/1 {}", issuer.text()).as_bytes());
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(digest) {
        *to = from;
    }
    Id::from_bytes(id)
}

fn taken() -> Fault {
    let message = "Somebody here has this account or its address already. If that is you, sign in as you did before, and \
                   link the account on the page of your account.";
    Fault::new(Code::Conflict, message)
}

fn unusable(issuer: &SignInIssuer, why: &str) -> Fault {
    Fault::new(Code::ProviderAnswerInvalid, format!("{} cannot sign you in: {why}.", issuer.label))
}

/// How long somebody may be away, and how old an identity token may be.
const LIFE: Duration = Duration::from_mins(10);
/// On behalf of no team: the operator wrote the issuer down.
const NO_TEAM: Id<kind::Team> = Id::from_bytes([0; 16]);
