//! One order, from the account to the certificate (RFC 8555 §7).

use std::time::Duration;

use carnet_egress::EgressError;
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::{Secret, SecretBytes, Time};
use carnet_store::certificates::{self, AccountRow};
use carnet_store::{DbError, Write};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount, NewOrder,
    Order, OrderStatus, Problem, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::ParsedCertificate;

use super::wire::Wire;
use super::{Acme, certified, chain, refused, validity};
use crate::broker::Broker;
use crate::consent::hex;

/// A certificate that fits.
pub(super) struct Obtained {
    /// PEM.
    pub(super) chain: String,
    /// Its key.
    pub(super) pkcs8: SecretBytes,
    pub(super) not_before: Time,
    pub(super) not_after: Time,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    #[error("the authority cannot be reached: {0}")]
    Unreachable(EgressError),
    #[error("{cause}")]
    Refused { cause: String, problem: Box<Problem>, wait: Option<Duration> },
    #[error("the authority did not come to an end in time")]
    TooSlow,
    #[error("the authority does not offer TLS-ALPN-01 for {0}")]
    NoChallenge(String),
    #[error("the authority's answer is not what ACME says: {0}")]
    Odd(String),
    #[error("what the authority gave is not a certificate for {0} and for the key that was made")]
    Unfit(String),
    #[error("the store fails: {0}")]
    Store(#[from] DbError),
    #[error("what is sealed for the authority does not open")]
    Sealed,
}

impl OrderError {
    /// How long the authority wants to be left alone, if it said so.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Refused { wait, .. } => *wait,
            _ => None,
        }
    }

    /// What the authority said itself.
    pub(super) fn said(&self) -> Option<String> {
        match self {
            Self::Refused { problem, .. } => refused::said(problem),
            _ => None,
        }
    }
}

impl Broker {
    /// Asks the authority for a certificate for all names, and proves them.
    pub(super) async fn obtain(&self, acme: &Acme) -> Result<Obtained, OrderError> {
        let wire = Wire::new(self.inner.egress.clone());
        let told = |error| told(error, &wire, None);
        let account = self.account(acme, &wire).await?;
        let names: Vec<_> = acme.domains.iter().cloned().map(Identifier::Dns).collect();
        let mut order = match account.new_order(&NewOrder::new(&names)).await {
            Err(Error::Api(problem)) if refused::kind(&problem) == "accountDoesNotExist" => {
                // It was removed there, or the authority lost it. The next try makes another one.
                let forget = Write::new().step(certificates::remove_account(acme.directory.as_str()));
                self.inner.db.write(forget).await?;
                return Err(told(Error::Api(problem)));
            }
            order => order.map_err(told)?,
        };
        self.prove_names(acme, &mut order, &wire).await?;
        match order.poll_ready(&PATIENCE).await {
            Ok(OrderStatus::Ready) => {}
            Ok(_) => {
                let unsaid = || OrderError::Odd("the order is invalid, and nothing says why".to_owned());
                return Err(why_invalid(acme, &mut order, &wire).await.unwrap_or_else(unsaid));
            }
            // What is wrong with one of the names says more than what follows for the order.
            Err(error @ Error::Api(_)) => {
                return Err(why_invalid(acme, &mut order, &wire).await.unwrap_or_else(|| told(error)));
            }
            Err(error) => return Err(told(error)),
        }
        let key = KeyPair::generate().map_err(|error| OrderError::Odd(error.to_string()))?;
        let csr = request(&acme.domains, &key)?;
        order.finalize_csr(&csr).await.map_err(told)?;
        let pem = order.poll_certificate(&PATIENCE).await.map_err(told)?;
        let pkcs8 = Secret::new(key.serialize_der());
        fitting(&acme.domains, &pem, pkcs8).ok_or_else(|| OrderError::Unfit(acme.domains.join(", ")))
    }

    /// The account, made if there is none yet.
    async fn account(&self, acme: &Acme, wire: &Wire) -> Result<Account, OrderError> {
        let (inner, directory) = (&self.inner, acme.directory.as_str());
        let told = |error| told(error, wire, None);
        let contact: Vec<String> = acme.contact.iter().map(|to| format!("mailto:{to}")).collect();
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let builder = || Account::builder_with_http(Box::new(wire.clone()));
        if let Some(row) = certificates::account(&inner.db, directory).await? {
            let plain = inner.open_account(directory, &row.sealed).map_err(|_| OrderError::Sealed)?;
            let credentials: AccountCredentials =
                serde_json::from_slice(plain.expose()).map_err(|_| OrderError::Sealed)?;
            let account = builder().from_credentials(credentials).await.map_err(told)?;
            if row.contact != acme.contact {
                account.update_contacts(&contact).await.map_err(told)?;
                let event = AuditEvent::of_system(inner.env.now(), Action::AcmeAccountUpdate).on(directory);
                let write = Write::new()
                    .step(certificates::set_contact(directory, &acme.contact))
                    .event(&inner.env, &event);
                inner.db.write(write).await?;
            }
            return Ok(account);
        }
        let new =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) =
            builder().create(&new, directory.to_owned(), None).await.map_err(told)?;
        let plain = serde_json::to_vec(&credentials).map_err(|_| OrderError::Sealed)?;
        let sealed = inner.seal_account(directory, Secret::new(plain)).map_err(|_| OrderError::Sealed)?;
        let now = inner.env.now();
        let row = AccountRow {
            directory: directory.to_owned(),
            contact: acme.contact.clone(),
            sealed,
            created_at: now,
        };
        let event =
            AuditEvent::of_system(now, Action::AcmeAccountCreate).on(directory).with("account", account.id());
        inner.db.write(Write::new().step(certificates::add_account(&row)).event(&inner.env, &event)).await?;
        Ok(account)
    }

    /// Puts what is to be shown where every process finds it, and tells the authority to look.
    async fn prove_names(&self, acme: &Acme, order: &mut Order, wire: &Wire) -> Result<(), OrderError> {
        let inner = &self.inner;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|error| told(error, wire, None))?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let name = named(acme, authorization.identifier().identifier)
                .ok_or_else(|| OrderError::Odd("it is about a name that was not asked for".to_owned()))?;
            let mut challenge = authorization
                .challenge(ChallengeType::TlsAlpn01)
                .ok_or_else(|| OrderError::NoChallenge(name.clone()))?;
            let digest = hex(challenge.key_authorization().digest().as_ref());
            let ends = inner.env.now().plus(SHOWN);
            inner.db.write(Write::new().step(certificates::challenge(&name, &digest, ends))).await?;
            challenge.set_ready().await.map_err(|error| told(error, wire, Some(&name)))?;
        }
        Ok(())
    }
}

/// What the authority found when it looked.
async fn why_invalid(acme: &Acme, order: &mut Order, wire: &Wire) -> Option<OrderError> {
    let mut authorizations = order.authorizations();
    while let Some(Ok(authorization)) = authorizations.next().await {
        let problem = authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = problem.cloned() {
            let name = named(acme, authorization.identifier().identifier);
            return Some(told(Error::Api(problem), wire, name.as_deref()));
        }
    }
    None
}

/// Which of our names the authority means. Another one is its word, and neither shown nor said.
fn named(acme: &Acme, identifier: &Identifier) -> Option<String> {
    let Identifier::Dns(name) = identifier else { return None };
    acme.domains.iter().find(|known| known.eq_ignore_ascii_case(name)).cloned()
}

fn told(error: Error, wire: &Wire, name: Option<&str>) -> OrderError {
    match error {
        Error::Api(problem) => OrderError::Refused {
            cause: refused::cause(&problem, name),
            wait: wire.wait(),
            problem: Box::new(problem),
        },
        Error::Timeout(_) => OrderError::TooSlow,
        Error::Other(error) => match error.downcast::<EgressError>() {
            Ok(error) => OrderError::Unreachable(*error),
            Err(_) => OrderError::Odd("it cannot be read".to_owned()),
        },
        Error::Unsupported(_) | Error::Str(_) => OrderError::Odd(error.to_string()),
        _ => OrderError::Odd("it cannot be read".to_owned()),
    }
}

/// The request for all names (RFC 2986), DER.
fn request(names: &[String], key: &KeyPair) -> Result<Vec<u8>, OrderError> {
    let odd = |error: rcgen::Error| OrderError::Odd(error.to_string());
    let mut params = CertificateParams::new(names).map_err(odd)?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(key).map_err(odd)?.der().to_vec())
}

/// The same as what can be served, if it is for every name and for the key.
fn fitting(names: &[String], pem: &str, pkcs8: SecretBytes) -> Option<Obtained> {
    let chain = chain(pem)?;
    let leaf = chain.first()?.clone();
    let parsed = ParsedCertificate::try_from(&leaf).ok()?;
    for name in names {
        verify_server_name(&parsed, &ServerName::try_from(name.as_str()).ok()?).ok()?;
    }
    let (not_before, not_after) = validity(&leaf)?;
    certified(chain, pkcs8.expose())?;
    Some(Obtained { chain: pem.to_owned(), pkcs8, not_before, not_after })
}

/// Authorities look from several places, one after the other.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(90));
/// Longer than one order takes.
const SHOWN: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_another_name_or_another_key_is_not_taken() {
        let key = KeyPair::generate().unwrap();
        let names = ["a.example".to_owned(), "b.example".to_owned()];
        let pem = |names: &[String]| {
            CertificateParams::new(names.to_vec()).unwrap().self_signed(&key).unwrap().pem()
        };
        let of = |key: &KeyPair| Secret::new(key.serialize_der());
        assert!(fitting(&names, &pem(&names), of(&key)).is_some());
        assert!(fitting(&names, &pem(&names[..1]), of(&key)).is_none(), "a name is missing");
        assert!(fitting(&names[..1], &pem(&names), of(&key)).is_some());
        assert!(fitting(&names, &pem(&names), of(&KeyPair::generate().unwrap())).is_none(), "another key");
        assert!(fitting(&names, "nothing", of(&key)).is_none());
    }
}
