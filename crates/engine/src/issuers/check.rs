//! Trying a trusted issuer before it is trusted: what is weak about it, the rule that would be safe, and an example token
//! held against it. Nothing is stored, and nobody is recognised by it.

use carnet_identity::{
    ClaimMap, Comparison, JwtError, Presented, TrustedIssuer, TrustedIssuerConfig, fetch_keys,
};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Fault};
use serde_json::{Map, Value};

use super::safe_rules;
use crate::broker::Broker;

/// What would come of trusting an issuer.
#[derive(Debug)]
pub struct IssuerCheck {
    /// The configuration with every default filled in.
    pub config: TrustedIssuerConfig,
    /// Why it would be refused.
    pub weaknesses: Vec<String>,
    /// For each rule, its claims with what the platform asks for added; gaps are `<name>`.
    pub safe_rules: Vec<Option<ClaimMap>>,
    /// How the example token fares.
    pub token: Option<TokenCheck>,
}

/// How an example token fares. Everything of it but `signature` and `matched` may be somebody's invention.
#[derive(Debug)]
pub struct TokenCheck {
    /// Its claims.
    pub claims: Map<String, Value>,
    /// What is asked of every token of the issuer.
    pub compared: Vec<Comparison>,
    /// What each rule asks besides.
    pub rules: Vec<Vec<Comparison>>,
    /// What is known of its signature.
    pub signature: SignatureFound,
    /// The number of the rule that would recognise it, from 1.
    pub matched: Option<usize>,
    /// Why it would be refused.
    pub refusal: Option<String>,
}

/// What is known of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureFound {
    /// The issuer's.
    Good,
    /// Not the issuer's.
    Wrong,
    /// The issuer has no such key.
    NoKey,
    /// It was not looked at, and why.
    Unchecked(String),
}

impl Broker {
    /// What would come of trusting an issuer: what is weak about it, the rule that would be safe, and how an example of
    /// its tokens fares. Nothing is stored and nobody is recognised.
    pub async fn check_issuer(
        &self,
        caller: &Caller,
        config: &Value,
        token: Option<&str>,
    ) -> Result<IssuerCheck, Fault> {
        // It may make this server fetch keys from where the configuration says, as trusting does.
        let member = self.may(caller, Right::IssuerUpdate)?;
        let token = token.map(str::trim);
        let presented = token.map(Presented::parse).transpose().map_err(|error| {
            Fault::new(Code::InvalidRequest, format!("The example token cannot be read: {error}."))
                .with("field", "token")
        })?;
        let mut config = config.clone();
        if let (Some(token), Some(members)) = (&presented, config.as_object_mut())
            && !members.contains_key("issuer")
            && !members.contains_key("family")
        {
            members.insert("issuer".to_owned(), token.issuer().into());
        }
        let issuer = self.read_issuer(member.team, &config).await?;
        self.places_exist(&issuer).await?;
        let weaknesses = self.weaknesses(&issuer);
        let safe_rules = safe_rules(&issuer, presented.as_ref());
        let token = match presented {
            Some(token) => Some(self.check_token(&issuer, token).await),
            None => None,
        };
        Ok(IssuerCheck { config: issuer.to_config(), weaknesses, safe_rules, token })
    }

    async fn check_token(&self, issuer: &TrustedIssuer, token: Presented<'_>) -> TokenCheck {
        let now = self.inner.env.now();
        let claims = token.claims().clone();
        let compared = issuer.compare(&token, now);
        let rules = issuer.rules.iter().map(|rule| rule.compare(&token)).collect();
        let fetched =
            fetch_keys(self.inner.egress.clone(), issuer.team, issuer.issuer.clone(), issuer.source.clone());
        let keys = match fetched.await {
            Ok(keys) => keys,
            Err(error) => {
                let signature = SignatureFound::Unchecked(error.to_string());
                return TokenCheck { claims, compared, rules, signature, matched: None, refusal: None };
            }
        };
        let (signature, matched, refusal) = match token.verify(&keys, &issuer.expectation(), now) {
            Ok(verified) => match issuer.recognise(&verified) {
                Ok(rule) => {
                    let place = issuer.rules.iter().position(|other| other == rule);
                    (SignatureFound::Good, place.map(|place| place + 1), None)
                }
                Err(no_rule) => (SignatureFound::Good, None, Some(no_rule.to_string())),
            },
            Err(error) => (SignatureFound::of(error), None, Some(error.to_string())),
        };
        TokenCheck { claims, compared, rules, signature, matched, refusal }
    }
}

impl SignatureFound {
    /// What a refusal tells about the signature: what is looked at after it, is looked at because it was good.
    fn of(error: JwtError) -> Self {
        match error {
            JwtError::Signature => Self::Wrong,
            JwtError::UnknownKey => Self::NoKey,
            JwtError::Issuer
            | JwtError::Audience
            | JwtError::Expired
            | JwtError::NotYet
            | JwtError::IssuedInFuture
            | JwtError::Life
            | JwtError::TooOld => Self::Good,
            _ => Self::Unchecked(error.to_string()),
        }
    }
}
