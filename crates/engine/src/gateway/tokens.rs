//! What the token endpoint gives: for a code, once; for a refresh token, and then another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_model::audit::{Action, Outcome};
use carnet_model::{Code, Fault, Id, Scopes, SecretString, kind};
use carnet_store::gateway::{self, Session};
use carnet_store::{DbError, Step, Write};
use std::time::Duration;

use super::client::Client;
use super::session::{Turn, about, session_in};
use super::{ACCESS, UNUSED};
use crate::broker::Broker;
use crate::cache::sha256;
use crate::faults;
use crate::issue::ambient;

/// A code with what belongs to it (RFC 6749 §4.1.3, RFC 7636 §4.5).
#[derive(Debug)]
pub struct CodeAsk {
    /// The code.
    pub code: SecretString,
    /// Where it was sent.
    pub redirect_uri: String,
    /// The verifier of the challenge.
    pub verifier: SecretString,
}

/// For what tokens are asked.
#[derive(Debug)]
pub enum GatewayGrant {
    /// `authorization_code`
    Code(CodeAsk),
    /// `refresh_token`
    Refresh {
        /// The token.
        token: SecretString,
        /// No more than these scopes, where the app wants fewer.
        scope: Option<String>,
    },
}

/// What an app gets.
#[derive(Debug)]
pub struct GatewayTokens {
    /// A JWT for the app's own services.
    pub access: SecretString,
    /// How long it lives.
    pub expires_in: Duration,
    /// Good once.
    pub refresh: SecretString,
    /// Who it is; where the app gave a nonce.
    pub id_token: Option<SecretString>,
    /// What was asked for, without what the provider is known not to have given.
    pub scope: String,
}

enum Failed {
    Fault(Fault),
    /// The rules changed, or another process was faster: once more, with things as they are now.
    Again,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Broker {
    /// Tokens for a client that proves itself with the identity of a workload.
    pub async fn gateway_tokens(
        &self,
        connector: &str,
        secret: &SecretString,
        grant: &GatewayGrant,
        request: Id<kind::Request>,
    ) -> Result<GatewayTokens, Fault> {
        for _ in 0..TRIES {
            let client = self.gateway_client(connector, secret, request).await?;
            let given = match grant {
                GatewayGrant::Code(ask) => self.redeem_code(&client, ask, request).await,
                GatewayGrant::Refresh { token, scope } => {
                    self.renew_sign_in(&client, token, scope.as_deref(), request).await
                }
            };
            match given {
                Ok(tokens) => return Ok(tokens),
                Err(Failed::Fault(fault)) => return Err(fault),
                Err(Failed::Again) => {
                    self.inner.db.refresh_revision().await.map_err(faults::store)?;
                }
            }
        }
        Err(Fault::new(Code::Unavailable, "The rules change faster than they can be read.").retry_after(1))
    }

    async fn redeem_code(
        &self,
        client: &Client,
        ask: &CodeAsk,
        request: Id<kind::Request>,
    ) -> Result<GatewayTokens, Failed> {
        let inner = &self.inner;
        let now = inner.env.now();
        let digest = sha256(ask.code.expose().as_bytes());
        let found = gateway::by_code(&inner.db, client.caller.team(), digest).await.map_err(faults::store)?;
        let Some(session) = found.filter(|session| client.has(session)) else { return Err(no_code().into()) };
        let event = || about(&client.caller, &session, Action::GatewaySignIn, now, request);
        let no = async |rule| -> Result<GatewayTokens, Failed> {
            Err(self.refuse(event(), Outcome::Denied, no_code(), Some(rule)).await?.into())
        };
        if session.redeemed_at.is_some() {
            // Somebody else has had it, or has it now: nobody keeps what came of it (RFC 6749 §4.1.2).
            self.end_gateway_session(client, &session, "a code was used twice", request).await?;
            return Err(no_code().recorded().into());
        }
        if session.ended_at.is_some() || session.code_expires_at <= now {
            return no("code-expired").await;
        }
        if session.redirect_uri != ask.redirect_uri {
            return no("code-redirect-uri").await;
        }
        let challenge = URL_SAFE_NO_PAD.encode(sha256(ask.verifier.expose().as_bytes()));
        if !carnet_vault::equal(challenge.as_bytes(), session.challenge.as_bytes()) {
            return no("code-verifier").await;
        }
        let refresh = self.fresh_gateway_refresh(session.id);
        let kept = self.gateway_refresh_digest(&refresh);
        let step = gateway::redeem(session.team, session.id, kept, now, now.plus(UNUSED));
        let scope = scopes_of(&session);
        self.give_tokens(client, &session, scope, refresh, step, Action::GatewaySignIn, request).await
    }

    async fn renew_sign_in(
        &self,
        client: &Client,
        token: &SecretString,
        narrower: Option<&str>,
        request: Id<kind::Request>,
    ) -> Result<GatewayTokens, Failed> {
        let inner = &self.inner;
        let now = inner.env.now();
        let Some(id) = session_in(token) else { return Err(no_refresh().into()) };
        let found = gateway::find(&inner.db, client.caller.team(), id).await.map_err(faults::store)?;
        let Some(session) = found.filter(|session| client.has(session)) else {
            return Err(no_refresh().into());
        };
        if session.ended_at.is_some() || session.expires_at <= now || session.redeemed_at.is_none() {
            return Err(no_refresh().into());
        }
        let all = scopes_of(&session);
        let scope = match narrower {
            None => all,
            Some(text) => {
                let asked = Scopes::parse_joined(text).ok().filter(|asked| asked.is_within(&all));
                asked.ok_or_else(|| {
                    // RFC 6749 §6
                    Fault::new(Code::InvalidScope, "A refresh gives no scope that the sign-in did not have.")
                })?
            }
        };
        let next = self.next_gateway_refresh(session.id, token);
        let kept = self.gateway_refresh_digest(&next);
        let step = match self.turn_of(&session, token, now) {
            Turn::Present(was) => gateway::turn(session.team, session.id, was, kept, now, now.plus(UNUSED)),
            // The other process has the same one. A pepper that was turned in between has made another of it.
            Turn::JustNow if session.digest == Some(kept) => {
                gateway::still_lasts(session.team, session.id, now)
            }
            Turn::JustNow => return Err(no_refresh().into()),
            Turn::Old => {
                self.end_gateway_session(client, &session, "a replaced refresh token was used", request)
                    .await?;
                return Err(no_refresh().recorded().into());
            }
        };
        self.give_tokens(client, &session, scope, next, step, Action::GatewayRenew, request).await
    }

    /// Signs, records, and only then hands out.
    #[expect(clippy::too_many_arguments, reason = "all of it stands in the answer or on the record")]
    async fn give_tokens(
        &self,
        client: &Client,
        session: &Session,
        scope: Scopes,
        refresh: SecretString,
        step: Step,
        action: Action,
        request: Id<kind::Request>,
    ) -> Result<GatewayTokens, Failed> {
        let inner = &self.inner;
        let now = inner.env.now();
        let mut event = about(&client.caller, session, action, now, request);
        let Some(standing) = self.gateway_standing(session).await? else {
            let fault = if action == Action::GatewaySignIn { no_code() } else { no_refresh() };
            return Err(self.refuse(event, Outcome::Denied, fault, Some("grant-active")).await?.into());
        };
        let scope = match &standing.granted {
            Some(granted) => scope.both(&granted.union(&ambient())),
            None => scope,
        };
        let access = self.access_token(session, &standing.person, &client.entry, &scope, now)?;
        let id_token = match &session.nonce {
            Some(_) if scope.contains("openid") => {
                Some(self.id_token(session, &standing, &access, &scope, now)?)
            }
            _ => None,
        };
        event = event.with("scopes", scope.to_string());
        if let carnet_model::caller::Caller::Workload(workload) = &*client.caller {
            event = event
                .with("issuer", workload.proof.issuer.clone())
                .with("sub", workload.proof.subject.clone());
        }
        let write = Write::new().step(step).event(&inner.env, &event).only_at(client.entry.revision);
        match inner.db.write(write).await {
            Ok(_) => {
                Ok(GatewayTokens { access, expires_in: ACCESS, refresh, id_token, scope: scope.to_string() })
            }
            Err(DbError::Stale(_) | DbError::Unmet(_)) => Err(Failed::Again),
            Err(error) => Err(faults::store(error).into()),
        }
    }
}

fn scopes_of(session: &Session) -> Scopes {
    Scopes::parse_joined(&session.scope).unwrap_or_default()
}

fn no_code() -> Fault {
    Fault::new(
        Code::InvalidGrant,
        "The code is not good: it is good once, within a minute, for the app, redirect_uri and code_verifier it was made \
         for. Let the person sign in again.",
    )
}

fn no_refresh() -> Fault {
    Fault::new(
        Code::InvalidGrant,
        "The refresh token is not good any more: it was used, its sign-in has ended, or what the person granted was taken \
         back. Let the person sign in again.",
    )
}

const TRIES: usize = 8;
