//! The claims of a token: the registered ones (RFC 7519 §4.1), typed, and all of them, by path.

use carnet_model::Time;
use serde_json::{Map, Value};

use super::JwtError;
use crate::spiffe::{self, SpiffeId};

/// The registered claims that every accepted token has, in their one accepted form.
pub(super) struct Registered {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) audience: String,
    pub(super) issued: Time,
    pub(super) expires: Time,
    pub(super) not_before: Option<Time>,
}

/// The client of an OpenID provider, for which an identity token is.
#[derive(Clone, Copy)]
pub(super) struct Party<'a> {
    pub(super) client: &'a str,
    /// Other audiences that a token for the client may name as well.
    pub(super) beside: &'a [String],
}

impl Party<'_> {
    /// OpenID Connect Core §3.1.3.7 (3) to (5): the client is an audience, no other one is unknown to it, and the party
    /// that is authorized is the client.
    fn is_meant(self, audiences: &[Value], claims: &Map<String, Value>) -> bool {
        let known = |one: &Value| {
            one.as_str().is_some_and(|one| one == self.client || self.beside.iter().any(|other| other == one))
        };
        audiences.iter().all(known) && claims.get("azp").and_then(Value::as_str) == Some(self.client)
    }
}

impl Registered {
    pub(super) fn read(claims: &Map<String, Value>, party: Option<Party<'_>>) -> Result<Self, JwtError> {
        let audience = match (claims.get("aud"), party) {
            (Some(Value::Array(items)), _) if items.len() == 1 => items.first(),
            (Some(Value::Array(items)), Some(party)) if party.is_meant(items, claims) => {
                items.iter().find(|one| one.as_str() == Some(party.client))
            }
            (other, _) => other,
        };
        // Nobody here looks at it; a verifier that does refuses what is not text, and two must not disagree.
        if claims.get("jti").is_some_and(|id| !id.is_string()) {
            return Err(JwtError::TokenIdForm);
        }
        Ok(Self {
            issuer: issuer(claims)?,
            subject: text(claims.get("sub")).ok_or(JwtError::SubjectForm)?,
            audience: text(audience).ok_or(JwtError::AudienceForm)?,
            issued: seconds(claims.get("iat")).ok_or(JwtError::IssuedForm)?,
            expires: seconds(claims.get("exp")).ok_or(JwtError::ExpiryForm)?,
            not_before: match claims.get("nbf") {
                None => None,
                value => Some(seconds(value).ok_or(JwtError::NotBeforeForm)?),
            },
        })
    }
}

/// JWT-SVID §3 asks for no `iss`: whose keys are to be used follows from the trust domain of `sub`. A token that names a
/// trust domain as its issuer has a subject in it.
fn issuer(claims: &Map<String, Value>) -> Result<String, JwtError> {
    let trust_domain = || {
        let subject = claims.get("sub").and_then(Value::as_str)?;
        SpiffeId::of_workload(subject).map(|id| id.trust_domain)
    };
    let Some(written) = claims.get("iss") else {
        return trust_domain().map(str::to_owned).ok_or(JwtError::IssuerForm);
    };
    let issuer = text(Some(written)).ok_or(JwtError::IssuerForm)?;
    if issuer.starts_with(spiffe::SCHEME) && trust_domain() != Some(&issuer) {
        return Err(JwtError::TrustDomain);
    }
    Ok(issuer)
}

fn text(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str()?;
    let plain = !text.is_empty() && !text.chars().any(char::is_control);
    plain.then(|| text.to_owned())
}

fn seconds(value: Option<&Value>) -> Option<Time> {
    let seconds = value?.as_i64()?;
    (0..=Time::FAR_FUTURE.secs()).contains(&seconds).then(|| Time::from_secs(seconds))
}

/// Claims whose signature, issuer, audience and times were checked.
///
/// They are true in the words of the issuer; what they allow is for [`crate::TrustedIssuer::recognise`] to say.
pub struct VerifiedClaims {
    registered: Registered,
    all: Map<String, Value>,
}

impl VerifiedClaims {
    pub(super) const fn new(registered: Registered, all: Map<String, Value>) -> Self {
        Self { registered, all }
    }

    /// `iss`
    pub fn issuer(&self) -> &str {
        &self.registered.issuer
    }

    /// `sub`, for the record. Not an identifier to decide by: names in it change hands.
    pub fn subject(&self) -> &str {
        &self.registered.subject
    }

    /// `aud`
    pub fn audience(&self) -> &str {
        &self.registered.audience
    }

    /// `iat`
    pub const fn issued_at(&self) -> Time {
        self.registered.issued
    }

    /// `exp`
    pub const fn expires_at(&self) -> Time {
        self.registered.expires
    }

    /// The claim at a path of names with dots between them, `kubernetes.io.serviceaccount.uid` for instance.
    ///
    /// Names may themselves have dots, as the first one of the example has, so a path can have several readings. If
    /// more than one of them leads to a value, the answer is `None`: which was meant is not for us to guess.
    pub fn claim(&self, path: &str) -> Option<&Value> {
        at(&self.all, path)
    }
}

/// The one claim at a path.
pub(super) fn at<'a>(members: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let mut found = Vec::new();
    collect(members, path, &mut found);
    match found.as_slice() {
        [only] => Some(*only),
        _ => None,
    }
}

fn collect<'a>(members: &'a Map<String, Value>, path: &str, found: &mut Vec<&'a Value>) {
    found.extend(members.get(path));
    for (at, _) in path.match_indices('.') {
        let (Some(name), Some(rest)) = (path.get(..at), path.get(at + 1..)) else { continue };
        if let Some(Value::Object(inner)) = members.get(name) {
            collect(inner, rest, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(value: Value) -> VerifiedClaims {
        let Value::Object(all) = value else { panic!("an object") };
        let registered = Registered {
            issuer: String::new(),
            subject: String::new(),
            audience: String::new(),
            issued: Time::default(),
            expires: Time::default(),
            not_before: None,
        };
        VerifiedClaims::new(registered, all)
    }

    #[test]
    fn a_path_leads_through_names_with_dots() {
        let claims = claims(serde_json::json!({
            "plain": 1,
            "kubernetes.io": {"serviceaccount": {"uid": "u"}, "namespace": "n"},
            "https://example.org/role": "r",
            "two": {"ways": 1}, "two.ways": 2,
            "list": [{"a": 1}],
        }));
        for (path, want) in [
            ("plain", Some(serde_json::json!(1))),
            ("kubernetes.io.serviceaccount.uid", Some("u".into())),
            ("kubernetes.io.namespace", Some("n".into())),
            ("https://example.org/role", Some("r".into())),
            ("two.ways", None),
            ("list.0.a", None),
            ("list.a", None),
            ("kubernetes", None),
            ("", None),
            (".", None),
            ("plain.", None),
        ] {
            assert_eq!(claims.claim(path), want.as_ref(), "{path}");
        }
    }
}
