//! People in a team: what each role may do, how they come and go, and what their access tokens carry.

mod invited;
mod members;
mod resets;
mod roles;
mod tokens;

use carnet_testkit::{Kit, Tenant};
use serde_json::json;

/// A person in the first team.
struct Person {
    /// `usr_…`
    user: String,
    /// By which the person is invited.
    email: String,
    /// An access token for the first team.
    token: String,
    /// The person's own team, where the account came from.
    home: Tenant,
}

/// A person with an account who joins the first team by an invitation.
async fn join(kit: &Kit, name: &str, role: &str) -> Person {
    let home = kit.another_tenant(name).await;
    let path = format!("/v1/teams/{}/invitations", kit.tenant.team);
    let invited = kit.manage("POST", &path, Some(&json!({"role": role}))).await.ok();
    let body = json!({"invitation": invited["invitation"]});
    let joined = kit.node.call("POST", "/v1/invitations/accept", Some(&home.token), Some(&body)).await.ok();
    assert_eq!(
        (joined["team"]["id"].as_str(), joined["role"].as_str()),
        (Some(kit.tenant.team.as_str()), Some(role))
    );
    Person {
        user: home.user.clone(),
        email: format!("owner@{name}.example"),
        token: joined["accessToken"]["token"].as_str().unwrap().to_owned(),
        home,
    }
}
