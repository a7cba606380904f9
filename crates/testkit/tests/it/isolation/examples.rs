//! One thing of each kind, and bodies with which each route can be called.
//!
//! A body that the description's schema does not determine well enough to be taken stands in [`body`]; all others are
//! made from the schema: what is required, as small as it may be.

use carnet_testkit::Kit;
use serde_json::{Map, Value, json};

use super::{Operation, of};
use crate::triggers;

/// What the names in paths stand for.
#[derive(Clone)]
pub(crate) struct Names(Vec<(&'static str, String)>);

/// The operator's recovery key; of the documentation of the format.
pub(crate) const RECOVERY_KEY: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

/// Routes that a person may call, with an example that is for workloads.
pub(crate) const IS_FOR_WORKLOADS: &[&str] = &[
    "POST /v1/connect/token/{connector}",
    "POST /v1/connect/authorize/{connector}",
    "POST /v1/connect/install/{connector}",
    "GET /v1/connect/result/{verifier}",
];

/// What no example makes succeed in this set-up.
pub(crate) const REFUSED_ALL_THE_SAME: &[&str] = &[
    // No connector of this build has anything to install.
    "POST /v1/connect/install/{connector}",
    // A code comes from the browser of a person who consented, at a connector that requires it: consent/completion.
    "POST /v1/connect/authorize/complete",
    // Only in `carnet dev` is there a service that is managed; the suites against the binary try these.
    "POST /v1/connect/connectors/managed",
    "POST /v1/connect/connectors/managed/oauth",
    "POST /v1/connect/connectors/{connector}/managed/eject",
    // No connector of this build has lines.
    "POST /v1/connect/connectors/{connector}/contacts",
    // It takes a picture, and the calls here are JSON.
    "POST /v2/files",
    // Who invites is in the team already: people/members.
    "POST /v1/invitations/accept",
    // The person of the example is in another team too: people/resets.
    "POST /v1/teams/{team}/members/{user}/passphrase-reset",
    // It waits, and only what has ended is replayed: triggers/tried.
    "POST /v1/connect/connectors/{connector}/deliveries/{delivery}/replay",
    // The digest is of what a server said at this moment: servers.
    "POST /v1/connect/connectors/{connector}/server",
];

impl Names {
    pub(crate) fn of(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        found.unwrap_or_else(|| panic!("say in isolation/examples.rs what {{{name}}} can stand for"))
    }

    /// The path with the names in it.
    pub(crate) fn fill(&self, path: &str) -> String {
        let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => self.of(name).to_owned(),
            None => part.to_owned(),
        };
        path.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    /// The same with another value for one of them.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut names = self.clone();
        names.0.iter_mut().filter(|(known, _)| *known == name).for_each(|(_, old)| value.clone_into(old));
        names
    }

    /// Identifiers of the same form that nothing has.
    pub(crate) fn of_nobody(&self) -> Self {
        let nothing = |(name, value): &(&'static str, String)| {
            let prefix = value.split_once('_').map(|(prefix, _)| prefix);
            let value = match (*name, prefix) {
                ("service" | "target", _) => value.clone(),
                ("verifier", _) => "0".repeat(value.len()),
                (_, Some(prefix)) => format!("{prefix}_0000000000000000000000"),
                _ => "nothing".to_owned(),
            };
            (*name, value)
        };
        Self(self.0.iter().map(nothing).collect())
    }

    /// The text with every name out of it.
    pub(crate) fn remove_from(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (_, value)| text.replace(value.as_str(), "NAME"))
    }

    /// The values that are secrets of the team, or say that it is there.
    pub(crate) fn values(&self) -> impl Iterator<Item = &str> {
        let kept = self.0.iter().filter(|(name, _)| !matches!(*name, "service" | "target"));
        kept.map(|(_, value)| value.as_str())
    }
}

/// A body that the route takes.
pub(crate) fn body(operation: &Operation, names: &Names) -> Value {
    let project = || names.of("project").to_owned();
    match operation.name().as_str() {
        "POST /v1/connect/token/{connector}" => json!({"subject": {"type": "app"}}),
        "POST /v1/connect/authorize/{connector}" => of("carol"),
        "POST /v1/connect/connectors" => json!({
            "service": "keys", "name": "made-by-an-example", "type": "api-key",
            "data": {"subjectType": "app", "values": [{"value": "key-of-an-example"}]},
        }),
        "POST /v1/connect/connectors/managed" => json!({"service": "demo", "name": "managed-by-an-example"}),
        "POST /v1/connect/connectors/{connector}/installations" => json!({"externalId": "T9"}),
        "POST /v1/connect/token/{connector}/import" => json!({"tokens": [{
            "accessToken": "imported", "expiresAt": 9_000_000_000_000_i64, "environment": "production",
            "subject": {"type": "user", "id": "dora"},
        }]}),
        "PATCH /v1/connect/connectors/{connector}" | "PATCH /v2/connect/connectors/{connector}" => {
            json!({"name": "apart"})
        }
        "POST /v1/connect/connectors/{connector}/contacts" => json!({"phoneNumber": "+12025551234"}),
        "PATCH /v1/connect/connectors/{connector}/consent-rules" => json!({"requireCompletion": false}),
        "PUT /v1/connect/connectors/{connector}/projects/{project}/redirect-uris" => {
            json!({"redirectUris": [{"uri": "https://app.example/callback", "environment": "production"}]})
        }
        "POST /v9/projects" => json!({"name": "made-by-an-example"}),
        "POST /v1/projects" => json!({"name": "made-for-a-folder", "buildCommand": null, "framework": null}),
        "POST /projects/{project}/custom-environments" => json!({"slug": "made-by-an-example"}),
        "POST /v9/projects/{project}/custom-environments" => json!({"slug": "made-by-another"}),
        "POST /v1/trusted-issuers" => issuer(&project(), "made-by-an-example"),
        "POST /v1/trusted-issuers/check" => json!({"trustedIssuer": issuer(&project(), "checked")}),
        "PUT /v1/projects/{project}/health-webhook" => json!({"url": "https://hooks.example.com/health"}),
        "PUT /v1/usage/budget" => json!({"requests": 1_000_000}),
        "POST /v1/export/secrets" => json!({"recoveryKey": RECOVERY_KEY}),
        "POST /v1/access-tokens" | "POST /v1/teams" => json!({"name": "Made by an example"}),
        "PATCH /v1/teams/{team}" => json!({"name": "Acme again"}),
        "PATCH /v1/teams/{team}/members/{user}" => json!({"role": "member"}),
        "POST /v1/teams/{team}/invitations" => json!({"role": "viewer"}),
        "POST /v1/invitations/show" | "POST /v1/invitations/accept" => {
            json!({"invitation": names.of("invited")})
        }
        "PATCH /v1/accounts/{user}" => json!({"disabled": true}),
        "POST /v1/managed-apps" => app("made-by-an-example"),
        "PATCH /v1/managed-apps/{app}" => json!({"goesAlong": true}),
        "POST /v1/keys/rotate" => json!({"kind": "team"}),
        "POST /v1/connect/connectors/{connector}/projects/{project}" => {
            json!({"environments": ["production", names.of("environment")]})
        }
        _ => {
            let schema = &operation.told["requestBody"]["content"]["application/json"]["schema"];
            smallest(schema)
        }
    }
}

/// The smallest value that a schema lets through, as far as it says.
fn smallest(schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return smallest(carnet_api::openapi().pointer(reference.trim_start_matches('#')).unwrap());
    }
    if let Some(first) = schema["enum"].get(0).or_else(|| schema.get("default")) {
        return first.clone();
    }
    if let Some(first) = schema["anyOf"].get(0) {
        return smallest(first);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"].get(0)?.as_str());
    match kind {
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            required
                .map(|name| (name.to_owned(), smallest(&schema["properties"][name])))
                .collect::<Map<_, _>>()
                .into()
        }
        Some("array") => json!([]),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(0)),
        Some("boolean") => json!(false),
        Some("string") => json!("x"),
        _ => Value::Null,
    }
}

/// An application for all teams.
fn app(service: &str) -> Value {
    let server = "https://apps.example";
    json!({"service": service, "data": {
        "clientId": "of-an-example", "clientSecret": "s3cret-of-an-example",
        "serverConfig": {"token_endpoint": format!("{server}/token"), "authorization_endpoint": format!("{server}/authorize")},
        "userAuthorization": {"enabled": true, "scopes": ["read"]},
    }})
}

/// A trusted issuer that nobody's token comes from.
fn issuer(project: &str, name: &str) -> Value {
    json!({
        "issuer": format!("https://{name}.example"),
        "audiences": ["https://carnet.example/acme"],
        "rules": [{"project": project, "environment": "production", "claims": {"workload_project": "a-job"}}],
    })
}

/// One thing of each kind in the first team, apart from what makes its own callers known: it may all be removed.
pub(crate) async fn furnish(kit: &Kit) -> Names {
    let id = |answer: Value| answer["id"].as_str().unwrap().to_owned();
    kit.consent("alice").await;
    kit.user_token("alice").await.token();
    let connector = triggers::connector(kit, "apart", json!({"signingAlgorithm": "ES256"})).await;
    let project = kit.tenant.project.clone();
    triggers::destinations(kit, &connector, json!([{"projectId": project}])).await.ok();
    triggers::sent(kit, &connector, &triggers::event("Ev-of-an-example")).await;
    let deliveries = triggers::deliveries(kit, &connector, "").await;
    let link = format!("/v1/connect/connectors/{connector}/projects/{project}");
    let environments = format!("/v9/projects/{project}/custom-environments");
    let qa = id(kit.manage("POST", &environments, Some(&json!({"slug": "qa"}))).await.ok());
    kit.manage("POST", &link, Some(&json!({"environments": ["production", qa]}))).await.ok();
    let installations = format!("/v1/connect/connectors/{connector}/installations");
    let installation = json!({"externalId": "T1", "default": false});
    let issuers = Some(issuer(&project, "apart"));
    let started = kit.authorize("bob", Value::Null).await;
    let invitations = format!("/v1/teams/{}/invitations", kit.tenant.team);
    let invite = async || kit.manage("POST", &invitations, Some(&json!({"role": "viewer"}))).await.ok();
    let colleague = kit.another_tenant("colleague").await;
    let accept = Some(json!({"invitation": invite().await["invitation"]}));
    kit.node.call("POST", "/v1/invitations/accept", Some(&colleague.token), accept.as_ref()).await.ok();
    let open = invite().await;
    kit.manage("POST", "/v1/managed-apps", Some(&app("kept-by-an-example"))).await.ok();
    Names(vec![
        ("app", "kept-by-an-example".to_owned()),
        ("connector", connector),
        ("delivery", deliveries[0]["id"].as_str().unwrap().to_owned()),
        ("environment", qa),
        ("grant", kit.grants().await[0]["id"].as_str().unwrap().to_owned()),
        ("installation", id(kit.manage("POST", &installations, Some(&installation)).await.ok())),
        ("issuer", id(kit.manage("POST", "/v1/trusted-issuers", issuers.as_ref()).await.ok())),
        ("invitation", open["id"].as_str().unwrap().to_owned()),
        ("invited", open["invitation"].as_str().unwrap().to_owned()),
        ("project", project),
        ("service", "slack".to_owned()),
        ("target", "development".to_owned()),
        ("team", kit.tenant.team.clone()),
        ("token", id(kit.manage("POST", "/v1/access-tokens", Some(&json!({"name": "apart"}))).await.ok())),
        ("user", colleague.user),
        ("verifier", started["verifier"].as_str().unwrap().to_owned()),
    ])
}
