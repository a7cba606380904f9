//! What `data` of a new connector holds, as JSON Schema (draft 2020-12): for forms, for `create --help`, for editors.
//!
//! It says what the readers of `data` take, member by member; what depends on the server, or on another member, is said
//! by them alone. A test compares the two.

mod apps;
mod keyed;
mod people;

use carnet_model::connector::ConnectorType;
use serde_json::{Value, json};

/// What a type's `data` holds.
#[derive(Clone, Debug)]
pub struct DataSchema {
    /// The JSON Schema.
    pub schema: Value,
    /// The members that are sealed and never shown again.
    pub secrets: Vec<&'static str>,
}

/// What the `data` of connectors of this type holds.
pub fn data_schema(r#type: ConnectorType) -> DataSchema {
    match r#type {
        ConnectorType::Oauth => oauth(),
        ConnectorType::ApiKey => api_key(),
        ConnectorType::Github => apps::github(),
        ConnectorType::Slack => apps::slack(),
        ConnectorType::Salesforce => keyed::salesforce(),
        ConnectorType::Snowflake => keyed::snowflake(),
        ConnectorType::GoogleServiceAccount => keyed::google_service_account(),
        ConnectorType::MicrosoftEntra => keyed::microsoft_entra(),
        ConnectorType::Google => people::google(),
        ConnectorType::Okta => people::okta(),
        ConnectorType::Atlassian => people::atlassian(),
    }
}

fn text(description: &str) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 2048, "description": description})
}

fn secret(description: &str) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 16384, "writeOnly": true, "description": description})
}

fn not_checked(provider: &str) -> Value {
    let description = format!("The fields about which {provider} gave no answer. Written by this server.");
    json!({"type": "array", "readOnly": true, "items": {"type": "string"}, "description": description})
}

fn flag(description: &str) -> Value {
    json!({"type": "boolean", "description": description})
}

fn texts(description: &str) -> Value {
    json!({"type": "array", "items": {"type": "string"}, "maxItems": 500, "description": description})
}

/// Of `tokenExchange.trustedIssuers`.
fn inbound() -> Value {
    object(
        "Whose tokens are taken.",
        json!({
            "issuer": text("`iss`, byte for byte."),
            "audiences": one_or_more("The audiences of which a token names one."),
            "jwksUri": text("Where its keys are, if not where its discovery document says."),
            "oneTime": {"type": "boolean", "description": "Each token, by its jti, is taken once."},
        }),
    )
}

fn one_or_more(description: &str) -> Value {
    json!({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}], "description": description})
}

fn object(description: &str, properties: Value) -> Value {
    json!({"type": "object", "additionalProperties": false, "description": description, "properties": properties})
}

fn switch(description: &str) -> Value {
    object(description, json!({"enabled": {"type": "boolean"}}))
}

fn grant_type(description: &str) -> Value {
    object(
        description,
        json!({"enabled": {"type": "boolean"}, "scopes": texts("The scopes that are meant where a caller names none.")}),
    )
}

fn probe(description: &str) -> Value {
    object(
        description,
        json!({
            "url": text("A call that changes nothing; {key} in the path stands for the key."),
            "header": text("The header that holds the key, if not Authorization."),
            "scheme": text("What stands before the key in the header."),
            "account": text("Where the identifier of its holder stands in the answer: a JSON pointer."),
            "name": text("Where the name of its holder stands."),
        }),
    )
}

fn oauth() -> DataSchema {
    let ttl = json!({"type": "integer", "minimum": 10, "maximum": 600, "description": "Seconds that an assertion lives."});
    let properties = json!({
        "clientId": text("The client's identifier at the server. Without it the server is asked to register a client."),
        "clientSecret": secret("The client's secret."),
        "webhookSecret": secret(WEBHOOK_SECRET),
        "tokenEndpointAuthMethod": {
            "type": "string",
            "enum": crate::oauth::client_auth::ClientAuth::ALL.map(crate::oauth::client_auth::ClientAuth::as_str),
            "description": "How the client proves itself.",
        },
        "serverUrl": text("The server's issuer, or the address of an API that says who guards it."),
        "discoveryServerUrl": text("Where the metadata is, if not at serverUrl."),
        "serverConfig": {
            "type": "object",
            "description": "The server's metadata by hand, by the names of RFC 8414, where it publishes none.",
            "additionalProperties": true,
        },
        "userAuthorization": grant_type("Tokens of people, who consent."),
        "clientCredentials": grant_type("Tokens of the application itself."),
        "refreshTokens": switch("Whether refresh tokens are asked for and used."),
        "rotation": object("What becomes of a refresh token that was used.", json!({
            "class": {"type": "string", "enum": ["none", "strict", "grace"]},
            "seconds": {"type": "integer", "minimum": 1, "maximum": 86400},
        })),
        "pkceRequired": flag("Whether the authorization code is protected by PKCE."),
        "authorizationUrlParams": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "Further parameters of the authorization request.",
        },
        "tokenRequestParams": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "Further parameters of the request that redeems a code.",
        },
        "scopeSeparator": {"type": "string", "enum": [" ", ","], "description": "What stands between two scopes."},
        "forwardedClaims": object("Claims of the ID token that are told beside a token.", json!({
            "idToken": texts("Names of claims of the ID token."),
            "tokenResponse": texts("Names of members of the token endpoint's answer, which become metadata."),
        })),
        "defaultAudience": text("The audience where a caller names none."),
        "defaultTokenExpiresIn": {
            "type": "integer", "minimum": 60, "maximum": 315_360_000,
            "description": "Seconds that a token lives where the server does not say.",
        },
        "resource": text("What tokens are for (RFC 8707) where a caller names nothing."),
        "deviceAuthorization": switch("Whether people enter a code at the server (RFC 8628)."),
        "clientName": text("What the client is called at the server, if not like the connector."),
        "initialAccessToken": secret("What the server asks for before it registers a client (RFC 7591). Used and not kept."),
        "signingAlgorithm": {"type": "string", "enum": ["RS256", "ES256", "PS256", "ES384", "EdDSA"], "description": "With what the connector signs."},
        "clientAssertion": object("How a client of the method private_key_jwt writes its assertions.", json!({
            "type": {"type": "string"},
            "ttl": ttl,
            "claims": {"type": "object", "additionalProperties": true},
            "federated": object("An issuer of the connector's own that the server trusts, and as whom it signs.", json!({
                "issuer": text("The address of the connector's keys."),
                "subject": text("As whom."),
            })),
        })),
        "jwtBearer": object("Tokens of identities that a caller asserts (RFC 7523).", json!({
            "enabled": {"type": "boolean"},
            "scopes": texts("The scopes that are meant where a caller names none."),
            "sub": one_or_more("Who may be asserted."),
            "iss": one_or_more("As whose assertion."),
            "aud": one_or_more("For whom."),
            "additionalClaims": {"type": "object", "additionalProperties": true},
            "ttl": ttl,
            "useClientCredentials": {"type": "boolean"},
        })),
        "tokenExchange": object("Tokens in exchange for one that the caller has (RFC 8693).", json!({
            "enabled": {"type": "boolean"},
            "scopes": texts("The scopes that are meant where a caller names none."),
            "subjectTokenType": {"type": "string"},
            "requestedTokenType": {"type": "string"},
            "audience": one_or_more("For whom the new token is."),
            "resource": one_or_more("For which API."),
            "actorToken": {"type": "boolean"},
            "trustedIssuers": {"type": "array", "items": inbound()},
        })),
        "tokenRequestFormat": {
            "type": "string",
            "enum": crate::oauth::client::Format::ALL.map(crate::oauth::client::Format::as_str),
            "description": "How requests to the token endpoint are written; a form where nothing is said.",
        },
        "account": object("Where it stands whose tokens are, if no ID token says so: JSON pointers.", json!({
            "endpoint": text("Who is asked with the token; the token endpoint's own answer where nobody is."),
            "query": text("What is asked there by GraphQL."),
            "subject": text("Where the account's identifier stands: /user/id."),
            "name": text("Where its name stands."),
            "tenant": text("Where the identifier of its tenant stands."),
            "tenantName": text("Where the name of its tenant stands."),
        })),
        "installation": object("The application is installed at a tenant by consent, and its tokens are the tenant's.", json!({
            "enabled": {"type": "boolean"},
            "scopes": texts("What an installation asks for."),
            "authorizationUrlParams": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "Further parameters of the request of an installation.",
            },
            "tenantParam": text("The parameter that names the tenant where one is asked for."),
            "token": secret("The one token that the application has everywhere, if it has one, such as that of a bot."),
            "ownToken": flag("Whether there is one. Written by this server."),
            "scheme": text("How that token is presented, if not as a bearer."),
            "probe": probe("How that token is tried before it is kept."),
        })),
        "disconnection": object("Where the connection to an account is ended, if no single token is.", json!({
            "endpoint": text("The address, which takes the client's secret as a bearer."),
            "accountParam": text("The parameter that names the account."),
        })),
        "revocationEndsAll": flag("Whether ending one token ends whatever the person granted to the client."),
        "clientRegistration": {
            "type": "object",
            "readOnly": true,
            "description": "What the server registered. Written by this server.",
        },
        "responseType": {"type": "string", "enum": ["code"]},
        "codeChallengeMethod": {"type": "string", "enum": ["S256"]},
    });
    DataSchema {
        schema: schema("An OAuth 2.0 or OpenID Connect client.", properties),
        secrets: vec!["clientSecret", "initialAccessToken", "installation.token", "webhookSecret"],
    }
}

fn api_key() -> DataSchema {
    let value = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["value"],
        "properties": {
            "value": secret("The key."),
            "scope": text("By which label a caller asks for this one of several keys."),
            "expiresAt": {"type": "integer", "minimum": 0, "description": "When it ends, in milliseconds since 1970."},
            "account": {"type": "object", "readOnly": true, "description": "Whose it is. Written by this server."},
        },
    });
    let properties = json!({
        "subjectType": {
            "type": "string", "enum": ["app", "user"],
            "description": "app: the keys are stored here. user: each person pastes a key.",
        },
        "values": {"type": "array", "minItems": 1, "maxItems": 100, "items": value, "description": "The stored keys."},
        "serviceUrls": texts("The addresses at which the key is used."),
        "instructions": {
            "type": "string", "minLength": 1, "maxLength": 10_000,
            "description": "Where a person finds a key to paste, in Markdown.",
        },
        "probe": probe("How a key is tried before it is kept."),
        "webhookSecret": secret(WEBHOOK_SECRET),
    });
    DataSchema {
        schema: schema("Keys that do not change by themselves.", properties),
        secrets: vec!["values[].value", "webhookSecret"],
    }
}

fn schema(description: &str, properties: Value) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "description": description,
        "properties": properties,
    })
}

const WEBHOOK_SECRET: &str =
    "With what the service's webhooks are verified; at Discord the application's public key.";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The members that a reader takes: the names that stand in its source behind one of the readers of [`crate::fields`].
    pub(super) fn taken(source: &str, by: &str) -> BTreeSet<String> {
        let source = source.split("#[cfg(test)]").next().unwrap();
        let mut found = BTreeSet::new();
        for reader in [
            "text",
            "secret",
            "flag",
            "number",
            "texts",
            "text_or_texts",
            "scopes",
            "object",
            "objects",
            "pairs",
            "prose",
            "pem",
            "any",
        ] {
            for after in source.split(&format!("{by}.{reader}(\"")).skip(1) {
                found.insert(after.split('"').next().unwrap().to_owned());
            }
        }
        found
    }

    pub(super) fn names(value: &Value) -> BTreeSet<String> {
        value["properties"].as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn the_schema_of_oauth_has_the_members_that_are_read() {
        let settings = concat!(
            include_str!("drivers/oauth/settings.rs"),
            include_str!("drivers/oauth/settings/members.rs"),
        );
        let mut read = taken(settings, "fields");
        // Read by a function or a loop that is given the name.
        for name in [
            "userAuthorization",
            "clientCredentials",
            "refreshTokens",
            "deviceAuthorization",
            "responseType",
            "codeChallengeMethod",
        ] {
            assert!(settings.contains(&format!("\"{name}\"")), "{name}");
            read.insert(name.to_owned());
        }
        let parts = [
            include_str!("drivers/oauth/client_assertion.rs"),
            include_str!("drivers/oauth/jwt_bearer.rs"),
            include_str!("drivers/oauth/exchange.rs"),
            include_str!("drivers/oauth/registration.rs"),
            include_str!("drivers/oauth/account.rs"),
            include_str!("drivers/oauth/installation.rs"),
            include_str!("drivers/oauth/disconnection.rs"),
        ];
        for part in parts {
            read.extend(taken(part, "fields").into_iter().filter(|name| {
                [
                    "clientAssertion",
                    "jwtBearer",
                    "tokenExchange",
                    "clientRegistration",
                    "account",
                    "installation",
                    "disconnection",
                ]
                .contains(&name.as_str())
            }));
        }
        let schema = oauth().schema;
        assert_eq!(names(&schema), read);
        for (member, source, elsewhere) in [
            ("clientAssertion", parts[0], &["ttl"][..]),
            ("jwtBearer", parts[1], &["ttl"]),
            ("tokenExchange", parts[2], &["subjectTokenType", "requestedTokenType"]),
            // The places stand in a list.
            ("account", parts[4], &["subject", "name", "tenant", "tenantName"]),
            ("installation", parts[5], &["probe"]),
            ("disconnection", parts[6], &[]),
        ] {
            let mut read = taken(source, "inner");
            read.extend(elsewhere.iter().map(|name| (*name).to_owned()));
            assert_eq!(names(&schema["properties"][member]), read, "{member}");
        }
    }

    #[test]
    fn the_schema_of_keys_has_the_members_that_are_read() {
        let (source, probes) =
            (include_str!("drivers/api_key/settings.rs"), include_str!("drivers/probe.rs"));
        let schema = api_key().schema;
        let with = |mut read: BTreeSet<String>, name: &str| {
            assert!(probes.contains(&format!("fields.object(\"{name}\")")), "{name}");
            read.insert(name.to_owned());
            read
        };
        assert_eq!(names(&schema), with(taken(source, "fields"), "probe"));
        let items = names(&schema["properties"]["values"]["items"]);
        assert_eq!(items, with(taken(source, "value"), "account"));
        let mut members = taken(probes, "inner");
        members.retain(|name| !name.starts_with("account") || name == "account");
        assert_eq!(names(&schema["properties"]["probe"]), members);
    }
}
