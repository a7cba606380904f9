//! What a server says about itself (RFC 8414, OpenID Connect Discovery), or what the owner of a connector says in its
//! place. Only what is used is kept.

use serde_json::{Map, Value};
use url::Url;

use super::authorization::is_reserved;
use crate::driver::failure::BadConfiguration;
use crate::fields::Fields;

/// The members of a metadata document that are used, as they stand there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Document {
    pub issuer: Option<String>,
    pub authorization_endpoint: Option<String>,
    pub token_endpoint: Option<String>,
    pub revocation_endpoint: Option<String>,
    pub scopes: Option<Vec<String>>,
    pub grant_types: Option<Vec<String>>,
    pub client_auth_methods: Option<Vec<String>>,
    pub challenge_methods: Option<Vec<String>>,
    pub detail_types: Option<Vec<String>>,
    /// Whether the server promises to name itself in its answers (RFC 9207 §3).
    pub names_itself: Option<bool>,
    pub registration_endpoint: Option<String>,
    /// Where the server registers clients, if that is at a host that is not the server's own: said, and never used or kept.
    pub registration_elsewhere: Option<String>,
    /// With what a client may sign that proves itself with a key (RFC 8414 §2). It decides once, when there is a client, and
    /// is not kept: a server that takes more later has not become another.
    pub signing_algorithms: Option<Vec<String>>,
    pub pushed_endpoint: Option<String>,
    /// Whether a person is sent to the server only with a request that was pushed before (RFC 9126 §5).
    pub wants_pushed: Option<bool>,
    pub device_endpoint: Option<String>,
    pub introspection_endpoint: Option<String>,
    /// Whether a client may be the address of a document about itself.
    pub reads_client_documents: Option<bool>,
}

impl Document {
    /// Takes what is used out of `fields`.
    pub(crate) fn read(fields: &mut Fields) -> Result<Self, BadConfiguration> {
        Ok(Self {
            issuer: fields.text("issuer")?,
            authorization_endpoint: fields.text("authorization_endpoint")?,
            token_endpoint: fields.text("token_endpoint")?,
            revocation_endpoint: fields.text("revocation_endpoint")?,
            // Some list every permission of every tenant; more than these nobody looks for.
            scopes: fields.first_texts("scopes_supported")?,
            grant_types: fields.texts("grant_types_supported")?,
            client_auth_methods: fields.texts("token_endpoint_auth_methods_supported")?,
            challenge_methods: fields.texts("code_challenge_methods_supported")?,
            detail_types: fields.texts("authorization_details_types_supported")?,
            names_itself: fields.flag("authorization_response_iss_parameter_supported")?,
            registration_endpoint: fields.text("registration_endpoint")?,
            registration_elsewhere: None,
            signing_algorithms: fields.texts("token_endpoint_auth_signing_alg_values_supported")?,
            pushed_endpoint: fields.text("pushed_authorization_request_endpoint")?,
            wants_pushed: fields.flag("require_pushed_authorization_requests")?,
            device_endpoint: fields.text("device_authorization_endpoint")?,
            introspection_endpoint: fields.text("introspection_endpoint")?,
            reads_client_documents: fields.flag("client_id_metadata_document_supported")?,
        })
    }

    /// Reads what the owner of a connector wrote: names as in the RFCs, or the same in camel case. What is registered
    /// and not used here is dropped; what is not registered is refused.
    pub(crate) fn read_manual(fields: Fields) -> Result<Self, BadConfiguration> {
        let mut fields = fields.renamed(snake_case)?;
        let document = Self::read(&mut fields)?;
        fields.skip(|name| REGISTERED_AND_UNUSED.contains(&name));
        fields.finish()?;
        Ok(document)
    }

    /// What is missing here is taken from `other`.
    #[must_use]
    pub(crate) fn filled_from(self, other: Self) -> Self {
        Self {
            issuer: self.issuer.or(other.issuer),
            authorization_endpoint: self.authorization_endpoint.or(other.authorization_endpoint),
            token_endpoint: self.token_endpoint.or(other.token_endpoint),
            revocation_endpoint: self.revocation_endpoint.or(other.revocation_endpoint),
            scopes: self.scopes.or(other.scopes),
            grant_types: self.grant_types.or(other.grant_types),
            client_auth_methods: self.client_auth_methods.or(other.client_auth_methods),
            challenge_methods: self.challenge_methods.or(other.challenge_methods),
            detail_types: self.detail_types.or(other.detail_types),
            names_itself: self.names_itself.or(other.names_itself),
            registration_endpoint: self.registration_endpoint.or(other.registration_endpoint),
            registration_elsewhere: self.registration_elsewhere.or(other.registration_elsewhere),
            signing_algorithms: self.signing_algorithms.or(other.signing_algorithms),
            pushed_endpoint: self.pushed_endpoint.or(other.pushed_endpoint),
            wants_pushed: self.wants_pushed.or(other.wants_pushed),
            device_endpoint: self.device_endpoint.or(other.device_endpoint),
            introspection_endpoint: self.introspection_endpoint.or(other.introspection_endpoint),
            reads_client_documents: self.reads_client_documents.or(other.reads_client_documents),
        }
    }

    /// Leaves out the endpoints that a server can do without, where `is_at_home` says no. What would be sent there is
    /// confidential, and a connector works without.
    pub(crate) fn drop_strays(&mut self, is_at_home: impl Fn(&str) -> bool) {
        self.registration_elsewhere =
            self.registration_endpoint.clone().filter(|endpoint| !is_at_home(endpoint));
        for endpoint in [
            &mut self.registration_endpoint,
            &mut self.pushed_endpoint,
            &mut self.device_endpoint,
            &mut self.introspection_endpoint,
        ] {
            if endpoint.as_deref().is_some_and(|text| !is_at_home(text)) {
                *endpoint = None;
            }
        }
    }

    /// Whether whoever has no client can come by one here.
    pub(crate) fn gives_clients(&self) -> bool {
        self.registration_endpoint.is_some() || self.reads_client_documents == Some(true)
    }

    /// The addresses in it that no server can do without, with their names.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("authorization_endpoint", &self.authorization_endpoint),
            ("token_endpoint", &self.token_endpoint),
            ("revocation_endpoint", &self.revocation_endpoint),
        ]
        .into_iter()
        .filter_map(|(name, endpoint)| Some((name, endpoint.as_deref()?)))
    }

    /// As stored and shown, in the names of the RFCs.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let text = |text: &Option<String>| text.clone().map(Value::from);
        let list = |list: &Option<Vec<String>>| list.clone().map(Value::from);
        [
            ("issuer", text(&self.issuer)),
            ("authorization_endpoint", text(&self.authorization_endpoint)),
            ("token_endpoint", text(&self.token_endpoint)),
            ("revocation_endpoint", text(&self.revocation_endpoint)),
            ("scopes_supported", list(&self.scopes)),
            ("grant_types_supported", list(&self.grant_types)),
            ("token_endpoint_auth_methods_supported", list(&self.client_auth_methods)),
            ("code_challenge_methods_supported", list(&self.challenge_methods)),
            ("authorization_details_types_supported", list(&self.detail_types)),
            ("authorization_response_iss_parameter_supported", self.names_itself.map(Value::from)),
            ("registration_endpoint", text(&self.registration_endpoint)),
            ("pushed_authorization_request_endpoint", text(&self.pushed_endpoint)),
            ("require_pushed_authorization_requests", self.wants_pushed.map(Value::from)),
            ("device_authorization_endpoint", text(&self.device_endpoint)),
            ("introspection_endpoint", text(&self.introspection_endpoint)),
            ("client_id_metadata_document_supported", self.reads_client_documents.map(Value::from)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
    }
}

/// A server that can be used: its addresses were read and found allowed.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub document: Document,
    pub authorization: Option<Url>,
    pub token: Url,
    pub revocation: Option<Url>,
    pub registration: Option<Url>,
    pub pushed: Option<Url>,
    pub device: Option<Url>,
    pub introspection: Option<Url>,
}

impl Server {
    /// Reads the addresses, each with `read`, which says why if it refuses one.
    pub(crate) fn new(
        document: Document,
        read: impl Fn(&str) -> Result<Url, String>,
    ) -> Result<Self, BadConfiguration> {
        let url = |name: &str, text: &Option<String>| {
            text.as_deref().map(&read).transpose().map_err(|why| bad(name, why))
        };
        let authorization = url("authorization_endpoint", &document.authorization_endpoint)?;
        let reserved = |url: &Url| url.query_pairs().any(|(name, _)| is_reserved(&name));
        if authorization.as_ref().is_some_and(reserved) {
            return Err(bad("authorization_endpoint", "must not set a parameter of the protocol itself"));
        }
        let token = url("token_endpoint", &document.token_endpoint)?
            .ok_or_else(|| bad("token_endpoint", "is missing: no token can be had without it"))?;
        let revocation = url("revocation_endpoint", &document.revocation_endpoint)?;
        let registration = url("registration_endpoint", &document.registration_endpoint)?;
        let pushed = url("pushed_authorization_request_endpoint", &document.pushed_endpoint)?;
        let device = url("device_authorization_endpoint", &document.device_endpoint)?;
        let introspection = url("introspection_endpoint", &document.introspection_endpoint)?;
        if document.wants_pushed == Some(true) && pushed.is_none() {
            return Err(bad(
                "pushed_authorization_request_endpoint",
                "is missing or not the server's own, and the server takes no request that was not pushed there",
            ));
        }
        if document.names_itself == Some(true) && document.issuer.is_none() {
            return Err(bad(
                "issuer",
                "is missing: the server promises to name itself, and this is what to compare with",
            ));
        }
        Ok(Self { document, authorization, token, revocation, registration, pushed, device, introspection })
    }

    /// The issuer, if it is known.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.document.issuer.as_deref()
    }

    /// What an assertion names as its audience: the server itself (draft-ietf-oauth-rfc7523bis §4), or the token endpoint
    /// of one whose issuer is not known (RFC 7523 §3).
    pub(crate) fn audience(&self) -> &str {
        self.issuer().unwrap_or(self.token.as_str())
    }

    /// Whether the server promises to name itself in its answers.
    pub(crate) fn names_itself(&self) -> bool {
        self.document.names_itself == Some(true)
    }

    /// The addresses to which secrets are sent: the client's, or those of its grants.
    pub(crate) fn confidants(&self) -> impl Iterator<Item = &Url> {
        let others = [&self.revocation, &self.registration, &self.pushed, &self.device, &self.introspection];
        std::iter::once(&self.token).chain(others.into_iter().flatten())
    }

    /// Whether a client may be the address of a document about itself.
    pub(crate) fn reads_client_documents(&self) -> bool {
        self.document.reads_client_documents == Some(true)
    }

    /// Whether the server says which grant types it knows, and this is not among them.
    pub(crate) fn lacks_grant_type(&self, name: &str) -> bool {
        self.document.grant_types.as_ref().is_some_and(|known| !known.iter().any(|known| known == name))
    }
}

fn bad(name: &str, why: impl Into<String>) -> BadConfiguration {
    BadConfiguration { field: format!("serverConfig.{name}"), why: why.into() }
}

/// `tokenEndpoint` → `token_endpoint`; what is in snake case stays.
fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Members registered for authorization server metadata (IANA, "OAuth Authorization Server Metadata") and for OpenID
/// Connect Discovery §3 that nothing here needs. A whole document can be pasted into `serverConfig`.
const REGISTERED_AND_UNUSED: &[&str] = &[
    "acr_values_supported",
    "authorization_encryption_alg_values_supported",
    "authorization_encryption_enc_values_supported",
    "authorization_signing_alg_values_supported",
    "backchannel_authentication_endpoint",
    "backchannel_authentication_request_signing_alg_values_supported",
    "backchannel_logout_session_supported",
    "backchannel_logout_supported",
    "backchannel_token_delivery_modes_supported",
    "backchannel_user_code_parameter_supported",
    "check_session_iframe",
    "claim_types_supported",
    "claims_locales_supported",
    "claims_parameter_supported",
    "claims_supported",
    "display_values_supported",
    "dpop_signing_alg_values_supported",
    "end_session_endpoint",
    "frontchannel_logout_session_supported",
    "frontchannel_logout_supported",
    "id_token_encryption_alg_values_supported",
    "id_token_encryption_enc_values_supported",
    "id_token_signing_alg_values_supported",
    "introspection_encryption_alg_values_supported",
    "introspection_encryption_enc_values_supported",
    "introspection_endpoint_auth_methods_supported",
    "introspection_endpoint_auth_signing_alg_values_supported",
    "introspection_signing_alg_values_supported",
    "jwks",
    "jwks_uri",
    "mtls_endpoint_aliases",
    "nfv_token_encryption_alg_values_supported",
    "nfv_token_encryption_enc_values_supported",
    "nfv_token_signing_alg_values_supported",
    "op_policy_uri",
    "op_tos_uri",
    "prompt_values_supported",
    "protected_resources",
    "pushed_authorization_request_endpoint",
    "request_object_encryption_alg_values_supported",
    "request_object_encryption_enc_values_supported",
    "request_object_signing_alg_values_supported",
    "request_parameter_supported",
    "request_uri_parameter_supported",
    "require_request_uri_registration",
    "require_signed_request_object",
    "response_modes_supported",
    "response_types_supported",
    "revocation_endpoint_auth_methods_supported",
    "revocation_endpoint_auth_signing_alg_values_supported",
    "service_documentation",
    "signed_metadata",
    "subject_types_supported",
    "tls_client_certificate_bound_access_tokens",
    "ui_locales_supported",
    "userinfo_encryption_alg_values_supported",
    "userinfo_encryption_enc_values_supported",
    "userinfo_endpoint",
    "userinfo_signing_alg_values_supported",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manual(value: Value) -> Result<Document, String> {
        let Value::Object(members) = json!({ "serverConfig": value }) else { unreachable!() };
        let inner = Fields::new(members).object("serverConfig").unwrap().unwrap();
        Document::read_manual(inner).map_err(|bad| bad.field)
    }

    fn server(document: Value) -> Result<Server, String> {
        let read = |text: &str| Url::parse(text).map_err(|_| "no".to_owned());
        manual(document).and_then(|document| Server::new(document, read).map_err(|bad| bad.field))
    }

    #[test]
    fn both_spellings_mean_the_same_and_only_one_may_be_there() {
        let snake =
            manual(json!({"token_endpoint": "https://a/t", "code_challenge_methods_supported": ["S256"]}));
        let camel =
            manual(json!({"tokenEndpoint": "https://a/t", "codeChallengeMethodsSupported": ["S256"]}));
        assert_eq!(snake, camel);
        assert_eq!(
            manual(json!({"tokenEndpoint": "https://a/t", "token_endpoint": "https://a/t"})),
            Err("serverConfig.token_endpoint".to_owned())
        );
    }

    #[test]
    fn a_whole_document_can_be_pasted_and_a_misspelt_name_is_refused() {
        let document = manual(
            json!({"token_endpoint": "https://a/t", "jwks_uri": "https://a/j", "userinfoEndpoint": 1}),
        );
        assert_eq!(
            document.map(|d| Value::Object(d.to_json())),
            Ok(json!({"token_endpoint": "https://a/t"}))
        );
        assert_eq!(manual(json!({"tokenEndpiont": "x"})), Err("serverConfig.token_endpiont".to_owned()));
    }

    #[test]
    fn a_server_without_what_is_needed_is_refused_by_the_name_of_the_member() {
        for (document, field) in [
            (json!({}), "serverConfig.token_endpoint"),
            (json!({"token_endpoint": "nonsense"}), "serverConfig.token_endpoint"),
            (
                json!({"token_endpoint": "https://a/t", "authorization_endpoint": "https://a/?client_id=evil"}),
                "serverConfig.authorization_endpoint",
            ),
            (
                json!({"token_endpoint": "https://a/t", "authorization_response_iss_parameter_supported": true}),
                "serverConfig.issuer",
            ),
        ] {
            assert_eq!(server(document).map(|_| ()), Err(field.to_owned()));
        }
        assert!(server(json!({"token_endpoint": "https://a/t?v=2"})).is_ok());
    }
}
