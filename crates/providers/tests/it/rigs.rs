//! One connector of every way that the drivers know, at a scripted provider that takes it.

use carnet_model::connector::ConnectorType;
use carnet_model::grant::Rotation;
use carnet_providers::{Bound, Held, Import};
use serde_json::{Map, Value, json};

use crate::bench::{Bench, Made, object};
use crate::key::PEM;
use crate::server::Reply;

pub(crate) const TENANT: &str = "11111111-2222-3333-4444-555555555555";
pub(crate) const APPLICATION: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";

/// What is needed for one way.
pub(crate) struct Rig {
    pub name: &'static str,
    pub kind: ConnectorType,
    origins: &'static [&'static str],
    /// What the provider says while the connector is made.
    pub answers: Vec<(String, Reply)>,
    pub data: Value,
    /// Where tokens of people are renewed, and what comes back; `None` where there are no people.
    pub renewal: Option<Renewal>,
}

pub(crate) struct Renewal {
    pub path: String,
    pub fine: Value,
    /// How the provider says that a refresh token is dead.
    pub dead: Reply,
    pub rotation: Rotation,
    /// Days after which an unused refresh token is dead.
    pub idle: Option<u64>,
}

impl Rig {
    pub(crate) fn bench(&self) -> Bench {
        let bench = Bench::instead_of(self.origins);
        for (path, reply) in &self.answers {
            bench.server.on(path, reply.clone());
        }
        bench
    }

    /// The data with these members instead.
    pub(crate) fn with(&self, more: &Value) -> Value {
        let mut data = self.data.clone();
        data.as_object_mut().unwrap().extend(object(more.clone()));
        data
    }
}

/// A grant that somebody brought: `at0` and `rt0`.
pub(crate) fn brought(made: &Made<'_>) -> Held {
    let import = Import {
        access: "at0".to_owned().into(),
        access_expires_at: None,
        refresh: Some("rt0".to_owned().into()),
        refresh_expires_at: None,
        scopes: None,
        bound: Bound::default(),
        external_subject: None,
        name: None,
        metadata: Map::new(),
    };
    made.driver.import(&made.at(), import).unwrap().held
}

fn error(status: u16, code: &str) -> Reply {
    Reply::json(status, json!({"error": code, "error_description": "because"}))
}

fn fine(more: Value) -> Value {
    let mut body =
        json!({"access_token": "at1", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "rt1"});
    body.as_object_mut().unwrap().extend(object(more));
    body
}

/// Every way.
pub(crate) fn rigs() -> Vec<Rig> {
    let renewal = |path: &str, rotation: Rotation, idle: Option<u64>| Renewal {
        path: path.to_owned(),
        fine: fine(json!({})),
        dead: error(400, "invalid_grant"),
        rotation,
        idle,
    };
    let found = |path: &str, body: Value| (path.to_owned(), Reply::json(200, body));
    let no_code = |path: &str| (path.to_owned(), error(400, "invalid_grant"));
    let server = json!({"issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/authorize",
        "token_endpoint": "https://idp.example/token"});
    let entra = format!("/{TENANT}/oauth2/v2.0/token");
    let login = found("/session/v1/login-request", json!({"success": false, "code": "390100"}));
    let directory = format!("/{TENANT}/v2.0/.well-known/openid-configuration");
    vec![
        Rig {
            name: "oauth",
            kind: ConnectorType::Oauth,
            origins: &["https://idp.example"],
            answers: vec![found(
                "/.well-known/openid-configuration",
                json!({"issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/authorize",
                    "token_endpoint": "https://idp.example/token", "code_challenge_methods_supported": ["S256"]}),
            )],
            data: json!({"clientId": "c", "clientSecret": "s3cret", "serverUrl": "https://idp.example"}),
            renewal: Some(renewal("/token", Rotation::Strict, None)),
        },
        Rig {
            name: "api-key",
            kind: ConnectorType::ApiKey,
            origins: &[],
            answers: vec![],
            data: json!({"values": [{"value": "k"}]}),
            renewal: None,
        },
        Rig {
            name: "github",
            kind: ConnectorType::Github,
            origins: &["https://github.com", "https://api.github.com"],
            answers: vec![
                found(
                    "/app",
                    json!({"id": 4242, "slug": "broker", "client_id": "Iv1.broker", "name": "Broker",
                        "owner": {"id": 7, "login": "acme", "type": "Organization"}, "permissions": {"contents": "write"}}),
                ),
                found("/login/oauth/access_token", json!({"error": "bad_verification_code"})),
            ],
            data: json!({"appId": 4242, "privateKeyPem": PEM.text, "clientSecret": "s3cret"}),
            renewal: Some(Renewal {
                dead: error(200, "bad_refresh_token"),
                ..renewal("/login/oauth/access_token", Rotation::Strict, Some(183))
            }),
        },
        Rig {
            name: "slack",
            kind: ConnectorType::Slack,
            origins: &["https://slack.com"],
            answers: vec![found("/api/oauth.v2.access", json!({"ok": false, "error": "invalid_code"}))],
            data: json!({"clientId": "1.2", "clientSecret": "s3cret", "userScopes": ["users:read"]}),
            renewal: Some(Renewal {
                fine: json!({"ok": true, "access_token": "at1", "refresh_token": "rt1", "expires_in": 43200,
                    "token_type": "user", "scope": "users:read", "team": {"id": "T1"}}),
                dead: Reply::json(200, json!({"ok": false, "error": "invalid_refresh_token"})),
                ..renewal("/api/oauth.v2.access", Rotation::Strict, None)
            }),
        },
        Rig {
            name: "salesforce for people",
            kind: ConnectorType::Salesforce,
            origins: &["https://login.salesforce.com"],
            answers: vec![
                found("/.well-known/openid-configuration", json!({"token_endpoint": "https://x"})),
                no_code("/services/oauth2/token"),
            ],
            data: json!({"consumerKey": "3MVG9", "consumerSecret": "s3cret", "loginHost": "login.salesforce.com",
                "userScopes": ["api", "refresh_token"]}),
            renewal: Some(Renewal {
                fine: fine(json!({"instance_url": "https://acme.my.salesforce.com", "expires_in": null})),
                ..renewal("/services/oauth2/token", Rotation::Strict, Some(30))
            }),
        },
        Rig {
            name: "salesforce by a key",
            kind: ConnectorType::Salesforce,
            origins: &["https://test.salesforce.com"],
            answers: vec![
                found("/.well-known/openid-configuration", json!({"token_endpoint": "https://x"})),
                found(
                    "/services/oauth2/token",
                    json!({"access_token": "at", "instance_url": "https://acme.my.salesforce.com"}),
                ),
            ],
            data: json!({"consumerKey": "3MVG9", "loginHost": "test.salesforce.com", "privateKeyPem": PEM.text,
                "appUsername": "bot@acme.example"}),
            renewal: None,
        },
        Rig {
            name: "snowflake for people",
            kind: ConnectorType::Snowflake,
            origins: &["https://acme-prod.snowflakecomputing.com"],
            answers: vec![login.clone(), no_code("/oauth/token-request")],
            data: json!({"accountIdentifier": "acme-prod", "clientId": "c", "clientSecret": "s3cret"}),
            renewal: Some(renewal("/oauth/token-request", Rotation::None, None)),
        },
        Rig {
            name: "snowflake for people, single use",
            kind: ConnectorType::Snowflake,
            origins: &["https://acme-prod.snowflakecomputing.com"],
            answers: vec![login.clone(), no_code("/oauth/token-request")],
            data: json!({"accountIdentifier": "acme-prod", "clientId": "c", "clientSecret": "s3cret",
                "singleUseRefreshTokens": true}),
            renewal: Some(renewal("/oauth/token-request", Rotation::Strict, None)),
        },
        Rig {
            name: "snowflake by a key",
            kind: ConnectorType::Snowflake,
            origins: &["https://acme-prod.snowflakecomputing.com"],
            answers: vec![found("/session/v1/login-request", json!({"success": true}))],
            data: json!({"accountIdentifier": "acme-prod", "username": "svc", "privateKeyPem": PEM.text}),
            renewal: None,
        },
        Rig {
            name: "snowflake by workload identity",
            kind: ConnectorType::Snowflake,
            origins: &["https://acme-prod.snowflakecomputing.com"],
            answers: vec![login.clone()],
            data: json!({"accountIdentifier": "acme-prod", "workloadIdentity": true}),
            renewal: None,
        },
        Rig {
            name: "snowflake by another server",
            kind: ConnectorType::Snowflake,
            origins: &["https://acme-prod.snowflakecomputing.com", "https://idp.example"],
            answers: vec![login.clone()],
            data: json!({"accountIdentifier": "acme-prod", "externalOauth": {"clientId": "c", "clientSecret": "s3cret",
                "serverConfig": server, "userAuthorization": {"scopes": ["session:role:ANALYST"]},
                "refreshTokens": {"idleDays": 7}, "rotation": {"class": "grace", "seconds": 30}}}),
            renewal: Some(renewal("/token", Rotation::Grace { seconds: 30 }, Some(7))),
        },
        Rig {
            name: "google-service-account",
            kind: ConnectorType::GoogleServiceAccount,
            origins: &["https://oauth2.googleapis.com"],
            answers: vec![found("/token", json!({"access_token": "at", "expires_in": 3599}))],
            data: json!({"clientEmail": "bot@acme.iam.gserviceaccount.com", "privateKeyPem": PEM.text,
                "scopes": ["https://www.googleapis.com/auth/drive.readonly"]}),
            renewal: None,
        },
        Rig {
            name: "microsoft-entra",
            kind: ConnectorType::MicrosoftEntra,
            origins: &["https://login.microsoftonline.com"],
            answers: vec![
                found(&directory, json!({"token_endpoint": "https://x"})),
                found(&entra, json!({"access_token": "at", "expires_in": 3599})),
            ],
            data: json!({"tenantId": TENANT, "clientId": APPLICATION, "clientSecret": "s3cret",
                "userScopes": ["User.Read", "offline_access"]}),
            renewal: Some(renewal(&entra, Rotation::None, Some(90))),
        },
        Rig {
            name: "microsoft-entra by a certificate",
            kind: ConnectorType::MicrosoftEntra,
            origins: &["https://login.microsoftonline.com"],
            answers: vec![
                found(&directory, json!({"token_endpoint": "https://x"})),
                found(&entra, json!({"access_token": "at", "expires_in": 3599})),
            ],
            data: json!({"tenantId": TENANT, "clientId": APPLICATION, "certificatePem": PEM.certificate().0,
                "privateKeyPem": PEM.text, "userScopes": ["User.Read", "offline_access"]}),
            renewal: Some(renewal(&entra, Rotation::None, Some(90))),
        },
        Rig {
            name: "google",
            kind: ConnectorType::Google,
            origins: &["https://accounts.google.com", "https://oauth2.googleapis.com"],
            answers: vec![no_code("/token")],
            data: json!({"clientId": "1-a.apps.googleusercontent.com", "clientSecret": "s3cret",
                "userScopes": ["openid", "email"]}),
            renewal: Some(Renewal {
                fine: fine(json!({"refresh_token": null})),
                ..renewal("/token", Rotation::None, Some(180))
            }),
        },
        Rig {
            name: "okta",
            kind: ConnectorType::Okta,
            origins: &["https://acme.okta.com"],
            answers: vec![
                found(
                    "/oauth2/default/.well-known/openid-configuration",
                    json!({"issuer": "https://acme.okta.com/oauth2/default"}),
                ),
                no_code("/oauth2/default/v1/token"),
            ],
            data: json!({"domain": "acme.okta.com", "authorizationServer": "default", "clientId": "0oa1",
                "clientSecret": "s3cret", "userScopes": ["openid", "offline_access"],
                "rotation": {"class": "grace"}}),
            renewal: Some(renewal("/oauth2/default/v1/token", Rotation::Grace { seconds: 30 }, Some(7))),
        },
        Rig {
            name: "atlassian",
            kind: ConnectorType::Atlassian,
            origins: &[
                "https://auth.atlassian.com",
                "https://api.atlassian.com",
                "https://acme.atlassian.net",
            ],
            answers: vec![
                no_code("/oauth/token"),
                found("/_edge/tenant_info", json!({"cloudId": "c1"})),
                found(
                    "/oauth/token/accessible-resources",
                    json!([{"id": "c1", "url": "https://acme.atlassian.net", "name": "acme", "scopes": []}]),
                ),
            ],
            data: json!({"clientId": "c", "clientSecret": "s3cret", "userScopes": ["read:jira-work", "offline_access"],
                "site": "acme"}),
            renewal: Some(Renewal {
                dead: Reply::json(
                    403,
                    json!({"error": "unauthorized_client", "error_description": "refresh_token is invalid"}),
                ),
                ..renewal("/oauth/token", Rotation::Grace { seconds: 600 }, Some(90))
            }),
        },
    ]
}
