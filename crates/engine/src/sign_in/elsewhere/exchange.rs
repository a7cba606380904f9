//! What an issuer says of itself, and of the person who comes back with a code.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carnet_egress::{Call, Purpose as Errand};
use carnet_identity::{Algorithm, Expectation, KeySource, Presented, VerifiedClaims};
use carnet_model::{Fault, Id, SecretString, Time, kind};
use carnet_store::sign_in_links::{SignInWay, WayPurpose};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::{CallbackQuery, LIFE, SignInIssuer, unusable};
use crate::broker::Broker;
use crate::cache::sha256;
use crate::faults;
use crate::sign_in::SignInRefused;

/// What is needed of an issuer's metadata (OpenID Connect Discovery §3).
#[derive(Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) authorization_endpoint: String,
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

impl Broker {
    /// Exchanges the code and verifies what came for it.
    pub(super) async fn sign_in_claims(
        &self,
        issuer: &SignInIssuer,
        query: &CallbackQuery,
        state: &str,
        way: &SignInWay,
    ) -> Result<VerifiedClaims, SignInRefused> {
        let inner = &self.inner;
        let metadata = self.metadata(issuer).await?;
        // RFC 9207 §2.4: who says that it names itself must, and nobody else's answer is taken.
        let named = query.iss.as_deref().is_none_or(|iss| iss == issuer.issuer);
        if !named || (query.iss.is_none() && metadata.authorization_response_iss_parameter_supported) {
            return Err(SignInRefused::OtherBrowser);
        }
        let code = query.code.as_ref().ok_or(SignInRefused::OtherBrowser)?;
        let (_, nonce, verifier) = self.made_of(&state.to_owned().into(), Some(way.key_version))?;
        let token = self.redeem_sign_in(issuer, &metadata, code, &verifier).await?;
        let now = inner.env.now();
        let bad = |error| unusable(issuer, "its identity token is not accepted").because(error);
        let presented = Presented::parse_id_token(token.expose(), &issuer.client_id, &issuer.other_audiences)
            .map_err(bad)?;
        let keys = inner
            .keys
            .keys_for(key_of(issuer), NO_TEAM, &issuer.issuer, &KeySource::Discovery, presented.kid())
            .await
            .map_err(|error| unusable(issuer, "its keys cannot be had").because(error))?;
        let (audiences, types) = ([issuer.client_id.clone()], ["JWT".to_owned(), String::new()]);
        let expect = Expectation {
            issuer: &issuer.issuer,
            audiences: &audiences,
            algorithms: &Algorithm::ALL,
            types: &types,
            max_life: Duration::from_hours(24),
            max_age: Some(LIFE),
            skew: SKEW,
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
            // OpenID Connect Core §3.1.2.1: where `max_age` was asked, `auth_time` is there. Asked since the person left:
            // what was proved before that proves nothing again.
            let left = way.expires_at.minus(LIFE + SKEW);
            if asked_at(&claims).is_none_or(|at| at < left) {
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

    pub(super) async fn metadata(&self, issuer: &SignInIssuer) -> Result<Metadata, Fault> {
        let egress = &self.inner.egress;
        let place = format!("{}/.well-known/openid-configuration", issuer.issuer.trim_end_matches('/'));
        let url = egress
            .check(&place, Errand::Discovery)
            .map_err(|error| unusable(issuer, "its address cannot be used").because(error))?;
        let answer = egress
            .send(Call::get(url, Errand::Discovery, NO_TEAM))
            .await
            .map_err(|error| unusable(issuer, "it does not answer").because(error))?;
        let metadata: Metadata = serde_json::from_slice(&answer.body)
            .map_err(|_| unusable(issuer, "it does not describe itself as an OpenID provider does"))?;
        if metadata.issuer != issuer.issuer {
            return Err(unusable(issuer, "it calls itself by another name than the configuration does"));
        }
        Ok(metadata)
    }
}

/// When the issuer last asked the person who it is, if it says so. A session there can be older than a session here.
pub(super) fn asked_at(claims: &VerifiedClaims) -> Option<Time> {
    claims.claim("auth_time").and_then(Value::as_i64).map(Time::from_secs)
}

/// Under which name the keys of an issuer are remembered.
fn key_of(issuer: &SignInIssuer) -> Id<kind::TrustedIssuer> {
    let digest = sha256(format!("sign-in/1 {}", issuer.issuer).as_bytes());
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(digest) {
        *to = from;
    }
    Id::from_bytes(id)
}

/// On behalf of no team: the operator wrote the issuer down.
const NO_TEAM: Id<kind::Team> = Id::from_bytes([0; 16]);
/// By which clocks may differ.
const SKEW: Duration = Duration::from_secs(30);
