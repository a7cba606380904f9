//! One team sees nothing of another, and a credential that is none opens nothing: every route that is described, every
//! kind of stranger, every trick with a path.
//!
//! The routes are those of `/openapi.json`, so a new one is tried without anybody adding it here. Each is also called
//! by who may, and must succeed: a route that this test cannot call for want of an example ([`examples`]) fails it.

mod examples;
mod record;
mod strangers;
mod tricks;

use carnet_testkit::{Answer, Engine, Kit, Plan, Tenant, on_both_engines};
use serde_json::{Value, json};

use crate::of;
use examples::{Names, furnish};

on_both_engines!(
    no_stranger_gets_through_any_route,
    no_trick_with_a_path_gets_through_any_route,
    every_route_does_what_it_says_for_who_may_call_it,
);

/// A route as the description has it.
pub(crate) struct Operation {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) told: &'static Value,
}

/// Every route that wants a caller: what shows and changes first, what removes last, the innermost thing first.
pub(crate) fn operations() -> Vec<Operation> {
    let paths = carnet_api::openapi()["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, told)| Operation {
            method: method.to_uppercase(),
            path: path.clone(),
            told,
        })
    });
    let mut all: Vec<_> = all.filter(|one| one.told["security"] != json!([])).collect();
    all.sort_by_key(|one| {
        let removes = one.method == "DELETE";
        (removes, if removes { usize::MAX - one.path.matches('/').count() } else { 0 })
    });
    assert!(all.len() > 60, "the description has lost its routes");
    all
}

impl Operation {
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The names in its path.
    pub(crate) fn parameters(&self) -> Vec<&str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
    }

    /// Whether workloads may call it, and people.
    pub(crate) fn is_for(&self, scheme: &str) -> bool {
        self.told["security"].as_array().unwrap().iter().any(|one| one.get(scheme).is_some())
    }

    pub(crate) async fn call(&self, kit: &Kit, bearer: Option<&str>, names: &Names) -> Answer {
        let body = self.told.get("requestBody").map(|_| examples::body(self, names));
        kit.node.call(&self.method, &names.fill(&self.path), bearer, body.as_ref()).await
    }
}

fn plan() -> Plan {
    Plan { recovery_key: Some(examples::RECOVERY_KEY.to_owned()), ..Plan::default() }
}

async fn no_stranger_gets_through_any_route(engine: Engine) {
    let mut kit = Kit::start(engine, plan()).await;
    let names = furnish(&kit).await;
    strangers::without_a_credential_that_holds(&kit, &names).await;
    let other = kit.another_tenant("other").await;
    strangers::of_another_team(&kit, &names, &other).await;
    strangers::of_another_project_or_environment(&kit, &names).await;
    strangers::of_a_lower_role(&mut kit, &names).await;
    // Nothing was changed by all of it.
    kit.user_token("alice").await.token();
    let connector =
        kit.manage("GET", &format!("/v1/connect/connectors/{}", names.of("connector")), None).await;
    assert_eq!(connector.ok()["name"], "apart");
    let (workload, ask) = (kit.workload("production"), json!({"subject": {"type": "app"}}));
    kit.node.token(&workload, names.of("connector"), &ask).await.token();
}

async fn no_trick_with_a_path_gets_through_any_route(engine: Engine) {
    let kit = Kit::start(engine, plan()).await;
    let names = furnish(&kit).await;
    let other = kit.another_tenant("other").await;
    tricks::by(&kit, &names, "another team's owner", &other.token).await;
    tricks::by(&kit, &names, "another team's workload", &kit.workload_of(&other, "production")).await;
    tricks::by(&kit, &names, "the owner", &kit.tenant.token).await;
}

async fn every_route_does_what_it_says_for_who_may_call_it(engine: Engine) {
    let kit = Kit::start(engine, plan()).await;
    let names = furnish(&kit).await;
    let mut calls = Vec::new();
    for operation in operations() {
        let bearer = if operation.is_for("person")
            && !examples::IS_FOR_WORKLOADS.contains(&operation.name().as_str())
        {
            kit.tenant.token.clone()
        } else {
            kit.workload("production")
        };
        let twin = operation.name() == "DELETE /projects/{project}/custom-environments/{environment}";
        let named =
            if twin { names.with("environment", &another_environment(&kit).await) } else { names.clone() };
        let answer = operation.call(&kit, Some(&bearer), &named).await;
        if examples::REFUSED_ALL_THE_SAME.contains(&operation.name().as_str()) {
            assert!((400..500).contains(&answer.refusal().0), "{}: {}", operation.name(), answer.text());
        } else {
            assert!(
                (200..300).contains(&answer.status),
                "{} cannot be called with the examples of isolation/examples.rs: {} {}",
                operation.name(),
                answer.status,
                answer.text()
            );
        }
        calls.push((operation, answer));
    }
    record::of_changes(&kit, &calls).await;
}

/// What is removed by one of its two addresses is gone from the other, too.
async fn another_environment(kit: &Kit) -> String {
    let path = format!("/v9/projects/{}/custom-environments", kit.tenant.project);
    let made = kit.manage("POST", &path, Some(&json!({"slug": "another"}))).await.ok();
    made["id"].as_str().unwrap().to_owned()
}

/// Another project of the first team, with workloads of its own.
async fn second_project(kit: &Kit) -> Tenant {
    let made = kit.manage("POST", "/v9/projects", Some(&json!({"name": "second"}))).await.ok();
    let second = Tenant { project: made["id"].as_str().unwrap().to_owned(), ..kit.tenant.clone() };
    kit.trust(&second).await;
    second
}
