//! What a person reads before consenting: in plain words, and *delete* where things can be deleted.

use carnet_catalog::{Catalog, describe_standard_scope};

#[test]
fn what_deletes_is_said_to_delete() {
    let catalog = Catalog::default();
    for (service, scope) in [
        ("github", "repo"),
        ("github", "public_repo"),
        ("github", "gist"),
        ("github", "delete_repo"),
        ("github", "delete:packages"),
        ("github", "admin:repo_hook"),
        ("github", "actions:write"),
        ("github", "administration:write"),
        ("github", "contents:write"),
        ("github", "issues:write"),
        ("github", "packages:write"),
        ("github", "secrets:write"),
        ("github", "organization_administration:write"),
        ("google", "https://mail.google.com/"),
        ("google", "https://www.googleapis.com/auth/calendar"),
        ("google", "https://www.googleapis.com/auth/drive"),
        ("google", "https://www.googleapis.com/auth/gmail.modify"),
        ("google", "https://www.googleapis.com/auth/gmail.compose"),
        ("microsoft", "Mail.ReadWrite"),
        ("microsoft", "Files.ReadWrite.All"),
        ("microsoft", "Chat.ReadWrite"),
        ("microsoft-teams", "Chat.ReadWrite"),
        ("microsoft", "https://graph.microsoft.com/.default"),
        ("slack", "chat:write"),
        ("slack", "files:write"),
        ("linear", "write"),
        ("gitlab", "api"),
        ("asana", "tasks:delete"),
        ("hubspot", "crm.objects.contacts.write"),
        ("zendesk", "write"),
        ("salesforce", "full"),
        ("salesforce", "web"),
        ("bitbucket", "repository:write"),
        ("databricks", "sql"),
        ("snowflake", "session:role-any"),
        ("zapier", "action:run"),
        ("stripe", "read_write"),
        ("sentry", "project:admin"),
    ] {
        let words = catalog.get(service).unwrap().describe_scope(scope);
        let told = words.as_ref().is_some_and(|words| words.to_lowercase().contains("delete"));
        assert!(told, "{service} {scope}: {words:?}");
    }
}

#[test]
fn what_may_do_everything_is_said_to_delete_and_to_manage() {
    let catalog = Catalog::default();
    for (service, scope) in [
        ("snowflake", "session:role-any"),
        ("snowflake", "session:role:PUBLIC"),
        ("snowflake", "session:role:ANALYST"),
        ("salesforce", "full"),
        ("databricks", "all-apis"),
        ("microsoft", "https://graph.microsoft.com/.default"),
        ("microsoft", "https://vault.azure.net/.default"),
        ("microsoft", "https://management.azure.com/user_impersonation"),
        ("microsoft-teams", "https://graph.microsoft.com/.default"),
    ] {
        let words = catalog.get(service).unwrap().describe_scope(scope).unwrap_or_default().to_lowercase();
        assert!(words.contains("delete") && words.contains("manage"), "{service} {scope}: {words:?}");
    }
}

#[test]
fn a_scope_that_is_named_after_something_of_the_customers_says_its_name() {
    let catalog = Catalog::default();
    for (service, scope, says) in [
        ("snowflake", "session:role:ANALYST", "the role ANALYST"),
        ("snowflake", "session:role:My_Role$1", "the role My_Role$1"),
        ("zoho-crm", "ZohoCRM.modules.leads.READ", "Read leads"),
        ("zoho-crm", "ZohoCRM.modules.leads.DELETE", "Delete leads"),
        ("microsoft", "https://vault.azure.net/.default", "vault.azure.net"),
    ] {
        let words = catalog.get(service).unwrap().describe_scope(scope);
        assert!(words.as_deref().is_some_and(|words| words.contains(says)), "{service} {scope}: {words:?}");
    }
    let snowflake = catalog.get("snowflake").unwrap();
    for scope in ["session:role:", "session:role:A<b>", "session:role:A:B", "session:roles:A"] {
        assert_eq!(snowflake.describe_scope(scope), None, "{scope}");
    }
}

#[test]
fn what_manages_people_and_settings_is_said_to() {
    let catalog = Catalog::default();
    for (service, scope) in [
        ("github", "repo"),
        ("github", "admin:org"),
        ("github", "write:org"),
        ("github", "administration:write"),
        ("github", "members:write"),
        ("github", "organization_administration:write"),
        ("linear", "admin"),
        ("gitlab", "api"),
        ("google", "https://www.googleapis.com/auth/drive"),
        ("dropbox", "sharing.write"),
        ("box", "root_readwrite"),
        ("salesforce", "api"),
        ("zendesk", "write"),
        ("stripe", "read_write"),
        ("docusign", "signature"),
        ("snowflake", "session:role-any"),
        ("okta", "okta.users.manage"),
        ("microsoft", "Group.ReadWrite.All"),
        ("sentry", "org:admin"),
    ] {
        let words = catalog.get(service).unwrap().describe_scope(scope);
        assert!(
            words.as_ref().is_some_and(|words| words.to_lowercase().contains("manage")),
            "{service} {scope}: {words:?}"
        );
    }
}

#[test]
fn a_scope_named_after_deleting_or_reading_means_that() {
    let reads = ["readonly", ":read", ".read", "_read", "read:", "read_"];
    let more = ["write", "manage", "admin", "delete", "all", "edit", "modify", "create"];
    for entry in Catalog::default().all() {
        for (scope, words) in &entry.scopes {
            let name = scope.as_str().to_lowercase();
            let (words, at) = (words.as_str(), format!("{}: {scope}", entry.slug));
            if name.contains("delete") || name.contains("destroy") {
                assert!(words.to_lowercase().contains("delete"), "{at} says {words:?}");
            }
            let only_reads =
                reads.iter().any(|part| name.contains(part)) && !more.iter().any(|part| name.contains(part));
            if only_reads {
                assert!(!words.contains("delete") && !words.contains("hange"), "{at} says {words:?}");
            }
        }
    }
}

/// The permissions of GitHub's own description of its API, "App Permissions", and the levels that each has.
const OF_A_GITHUB_APP: &[(&str, &str)] = &[
    (
        "read write",
        "actions administration artifact_metadata attestations checks codespaces contents dependabot_secrets deployments \
         discussions environments issues merge_queues packages pages pull_requests repository_custom_properties \
         repository_hooks secret_scanning_alerts secrets security_events single_file statuses vulnerability_alerts \
         custom_properties_for_organizations members organization_administration organization_announcement_banners \
         organization_copilot_agent_settings organization_custom_org_roles organization_custom_roles organization_hooks \
         organization_packages organization_personal_access_token_requests organization_personal_access_tokens \
         organization_secrets organization_self_hosted_runners organization_user_blocking team_discussions \
         email_addresses followers git_ssh_keys gpg_keys interaction_limits starring",
    ),
    (
        "read write admin",
        "repository_projects organization_custom_properties organization_projects \
         enterprise_custom_properties_for_organizations",
    ),
    ("read", "metadata organization_events organization_plan"),
    ("write", "workflows organization_copilot_seat_management profile"),
];

#[test]
fn what_a_github_app_may_do_is_told_level_by_level() {
    let catalog = Catalog::default();
    let github = catalog.get("github").unwrap();
    let does = [
        "Create", "create", "Change", "change", "delete", "Publish", "Manage", "Start", "Add", "Set", "End",
        "Block", "Decide", "Follow", "Star ",
    ];
    for (levels, names) in OF_A_GITHUB_APP {
        for name in names.split_whitespace() {
            let mut before = String::new();
            for level in levels.split(' ') {
                let words = github.describe_scope(&format!("{name}:{level}"));
                let words = words.unwrap_or_else(|| panic!("{name}:{level} has words")).into_owned();
                assert_ne!(words, before, "{name}:{level} is more than the level below it");
                let is_told = does.iter().any(|verb| words.contains(verb));
                assert_eq!(is_told, level != "read", "{name}:{level} says {words:?}");
                before = words;
            }
        }
    }
}

#[test]
fn the_demo_provider_and_its_file_tell_the_same_about_its_scopes() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/src/scope.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let catalog = Catalog::default();
    let demo = catalog.get("demo").unwrap();
    assert_eq!(source.matches(": &str = \"").count(), demo.scopes.len() + 1, "all but offline_access");
    for (scope, words) in &demo.scopes {
        let told = [scope.as_str(), words.as_str()].map(|text| source.contains(&format!("{text:?}")));
        assert_eq!(told, [true, true], "{scope}");
    }
}

#[test]
fn the_scopes_of_openid_connect_mean_the_same_everywhere() {
    let catalog = Catalog::default();
    let github = catalog.get("github").unwrap();
    assert_eq!(github.describe_scope("email").as_deref(), Some("See your e-mail address"));
    assert_eq!(github.describe_scope("made:up"), None);
    assert_eq!(describe_standard_scope("repo"), None);
}
