//! Teams, members and access tokens, as the command line uses them.

use carnet_model::caller::Role;
use carnet_sdk::{AccessTokenRequest, AskedAccess, Client, Code, Credential};
use carnet_testkit::Kit;
use serde_json::json;

use crate::{builder, kit};

fn person(kit: &Kit, token: &str) -> Client {
    builder(kit).credential(Credential::AccessToken(token.to_owned().into())).build().unwrap()
}

#[tokio::test]
async fn a_person_is_invited_joins_is_given_another_role_and_is_removed() {
    let kit = kit().await;
    let (owner, team) = (person(&kit, &kit.tenant.token), kit.tenant.team.as_str());
    let ada = kit.another_tenant("ada").await;
    let invited = owner.invite(team, Role::Viewer, Some("owner@ada.example"), Some(3_600_000)).await.unwrap();
    let open = owner.invitations(team).await.unwrap();
    assert_eq!(open.iter().map(|open| open.id).collect::<Vec<_>>(), [invited.info.id]);
    let home = person(&kit, &ada.token);
    let to = home.invited_to(invited.invitation.expose()).await.unwrap();
    assert_eq!((to.team.slug.as_str(), to.role.as_str()), ("acme", "viewer"));
    let joined = home.accept_invitation(invited.invitation.expose()).await.unwrap();
    let here = person(&kit, joined.access_token.token.expose());
    let teams = here.teams().await.unwrap();
    assert_eq!((teams[0].id.to_string().as_str(), teams[0].role.as_deref()), (team, Some("viewer")));
    let refused = here.update_team(team, None, Some(true)).await.unwrap_err();
    assert!(refused.is(Code::Forbidden), "{refused}");

    let changed = owner.update_member(team, "owner@ada.example", Role::ConnectorManager).await.unwrap();
    assert_eq!(changed.role, "connector-manager");
    assert!(owner.update_team(team, Some("Acme & Co"), Some(true)).await.unwrap().strict_connectors.unwrap());
    assert_eq!(owner.members(team).await.unwrap().len(), 2);
    owner.remove_member(team, &ada.user).await.unwrap();
    assert!(here.user().await.unwrap_err().is(Code::Unauthorized));

    let other = owner.invite(team, Role::Member, None, None).await.unwrap();
    owner.withdraw_invitation(team, &other.info.id.to_string()).await.unwrap();
    assert!(home.accept_invitation(other.invitation.expose()).await.unwrap_err().is(Code::Gone));
    let made = owner.create_team("Another", None).await.unwrap();
    assert_eq!(made.team.slug, "another");
    assert_eq!(person(&kit, made.access_token.token.expose()).members("another").await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_access_token_is_made_narrow_seen_and_ended() {
    let kit = kit().await;
    let owner = person(&kit, &kit.tenant.token);
    let ask = AccessTokenRequest {
        name: "audit".to_owned(),
        access: Some(AskedAccess::Rights(vec!["audit.read".to_owned()])),
        ..AccessTokenRequest::default()
    };
    let made = owner.create_access_token(&ask).await.unwrap();
    assert_eq!(made.info.access, json!(["audit.read"]));
    let narrow = person(&kit, made.token.expose());
    narrow.audit(&carnet_sdk::AuditFilter::default()).await.unwrap();
    assert!(narrow.projects(None, None).await.unwrap_err().is(Code::Forbidden));
    let ask = AccessTokenRequest {
        name: "one".to_owned(),
        access: Some(AskedAccess::Word("read".to_owned())),
        project_id: Some("acme-app".to_owned()),
        expires_in_ms: Some(60_000),
    };
    let one = owner.create_access_token(&ask).await.unwrap();
    assert_eq!(one.info.project_id.unwrap().to_string(), kit.tenant.project);
    for everybody in [false, true] {
        let seen = owner.access_tokens(everybody).await.unwrap();
        assert!(seen.iter().any(|token| token.id == one.info.id), "{seen:?}");
    }
    owner.delete_access_token(&made.info.id.to_string()).await.unwrap();
    assert!(narrow.user().await.unwrap_err().is(Code::Unauthorized));
}
