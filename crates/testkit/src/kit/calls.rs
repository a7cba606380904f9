//! What the team's owner, its workloads and its people ask of the broker.

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{Kit, user_subject};
use crate::browser::Browser;
use crate::http::{Answer, Http};

impl Kit {
    /// A call by the first team's owner.
    pub async fn manage(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.node.call(method, path, Some(&self.tenant.token), body).await
    }

    /// A token request at the first connector, by a workload in production.
    pub async fn ask(&self, body: &Value) -> Answer {
        self.node.token(&self.workload("production"), &self.connector, body).await
    }

    /// The same as a request of its own, which goes on, or can be cut off, while the test does something else.
    pub fn asking(&self, body: &Value) -> JoinHandle<Answer> {
        let path = format!("{}/v1/connect/token/{}", self.url(), self.connector);
        let (http, bearer, body) = (Http::default(), self.workload("production"), body.clone());
        let work = async move { http.json("POST", &path, Some(&bearer), Some(&body)).await };
        self.node.broker().spawn(work)
    }

    /// A token of this user, by a workload in production.
    pub async fn user_token(&self, user: &str) -> Answer {
        self.ask(&json!({"subject": user_subject(user)})).await
    }

    /// Starts a consent of this user, by a workload in production; `more` are further members of the request.
    pub async fn authorize(&self, user: &str, more: Value) -> Value {
        let mut body = json!({"subject": user_subject(user)});
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        let path = format!("/v1/connect/authorize/{}", self.connector);
        let bearer = self.workload("production");
        self.node.call("POST", &path, Some(&bearer), Some(&body)).await.ok()
    }

    /// The whole consent of this user, as Ada at the provider.
    pub async fn consent(&self, user: &str) {
        self.consent_to(user, Value::Null).await;
    }

    /// The same, to what `more` of a request to authorize says besides.
    pub async fn consent_to(&self, user: &str, more: Value) {
        let started = self.authorize(user, more).await;
        let url = started["url"].as_str().unwrap();
        let done = Browser::default().consent(url, "ada").await;
        assert_eq!(done.status, 200, "{}", done.text());
        assert!(done.text().contains("is connected to"), "{}", done.text());
    }

    /// The grants of the first connector, as its owner sees them.
    pub async fn grants(&self) -> Vec<Value> {
        let path = format!("/v1/connect/connectors/{}/grants", self.connector);
        self.manage("GET", &path, None).await.ok()["grants"].as_array().unwrap().clone()
    }

    /// The team's audit events, oldest first.
    pub async fn events(&self) -> Vec<Value> {
        let mut all = Vec::new();
        let mut after = 0;
        loop {
            let page = self.manage("GET", &format!("/v1/audit?after={after}&limit=1000"), None).await.ok();
            all.extend(page["events"].as_array().unwrap().clone());
            match page["next"].as_i64() {
                Some(next) => after = next,
                None => return all,
            }
        }
    }

    /// The events of this action.
    pub async fn events_of(&self, action: &str) -> Vec<Value> {
        self.events().await.into_iter().filter(|event| event["action"] == action).collect()
    }
}
