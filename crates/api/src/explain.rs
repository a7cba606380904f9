//! `GET /v1/connect/connectors/{connector}/explain`: why a caller may or may not get a token.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Broker, ExplainAsk, Explained, TokenAsk, rule_in_words};
use carnet_model::{Code, Fault, Subject};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::audit;
use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;
use crate::query::Query;
use crate::shape::{Shape, anything, flag, id, list_of, map, object_of, one_of, text};

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ExplainParams {
    project: Option<String>,
    environment: Option<String>,
    subject: Option<String>,
    user: Option<String>,
    scopes: Option<String>,
    installation_id: Option<String>,
}

impl ExplainParams {
    fn ask(self, connector: String) -> Result<ExplainAsk, Problem> {
        let invalid = |field: &str, why: &str| {
            Problem(Fault::new(Code::InvalidRequest, why.to_owned()).with("field", field))
        };
        let workload = match (self.project, self.environment) {
            (Some(project), Some(environment)) => Some((project, environment)),
            (None, None) => None,
            _ => {
                return Err(invalid("environment", "A workload is named by project and environment, both."));
            }
        };
        let subject = match (self.subject.as_deref(), self.user) {
            (None | Some("user"), Some(id)) => Some(json!({"type": "user", "id": id})),
            (Some("user"), None) => Some(json!({"type": "user"})),
            (Some("app"), None) => Some(json!({"type": "app"})),
            (None, None) => None,
            _ => {
                let why = "subject is app or user, and user the identifier of one.";
                return Err(invalid("subject", why));
            }
        };
        let scopes = self.scopes.map(|text| {
            text.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        });
        let token = TokenAsk {
            connector,
            subject,
            scopes,
            installation: self.installation_id,
            ..TokenAsk::default()
        };
        Ok(ExplainAsk { token, workload })
    }
}

pub(crate) fn shape() -> Shape {
    let step = object_of([("command", text()), ("when", text())]);
    let rule = object_of([
        ("rule", text()),
        ("asks", text()),
        ("outcome", one_of(&["passed", "denied", "not-reached"])),
        ("next", list_of(step)),
    ]);
    let identity = object_of([
        ("issuer", text()),
        ("trustedIssuerId", id("iss").or_null()),
        ("claims", map(anything()).or_null()),
        ("subjects", list_of(text())),
        ("allowed", flag()),
    ]);
    let subject = object_of([("type", text()), ("id?", text()), ("issuer?", text())]);
    object_of([
        ("connector", object_of([("id", id("scl")), ("uid", text())])),
        ("caller", audit::principal()),
        ("subject", subject.or_null()),
        ("allowed", flag()),
        ("decidedBy", text().or_null()),
        ("refusal", object_of([("code", text()), ("message", text())]).open().or_null()),
        ("providerDecides", list_of(text())),
        ("rules", list_of(rule)),
        ("identities", list_of(identity)),
    ])
    .named("Explanation")
}

pub(crate) async fn explain(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
    Query(params): Query<ExplainParams>,
) -> Result<Answer<Value>, Problem> {
    let explained = broker.explain(&call.caller, &params.ask(connector)?).await?;
    Ok(Answer(object(&explained)))
}

fn object(explained: &Explained) -> Value {
    let rules: Vec<Value> = explained
        .rules
        .iter()
        .map(|told| {
            json!({
                "rule": told.rule,
                "asks": rule_in_words(told.rule),
                "outcome": told.ruling.as_str(),
                "next": told.change,
            })
        })
        .collect();
    let identities: Vec<Value> = explained
        .identities
        .iter()
        .map(|identity| {
            json!({
                "issuer": identity.issuer,
                "trustedIssuerId": identity.trusted_issuer,
                "claims": identity.claims,
                "subjects": identity.subjects.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
                "allowed": identity.allowed,
            })
        })
        .collect();
    let decided = explained.rules.iter().find(|told| told.ruling == carnet_engine::Ruling::Denied);
    let refusal = explained.refusal.as_ref().map(|fault| {
        let mut body = fault.body();
        body.as_object_mut().and_then(|body| body.remove("error")).unwrap_or_default()
    });
    json!({
        "connector": {"id": explained.connector, "uid": explained.uid},
        "caller": explained.who,
        "subject": Subject::wire_of_key(&explained.subject),
        "allowed": explained.refusal.is_none(),
        "decidedBy": decided.map(|told| told.rule),
        "refusal": refusal,
        "providerDecides": explained.provider_decides,
        "rules": rules,
        "identities": identities,
    })
}
