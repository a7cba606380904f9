//! What `data` of connectors holds whose driver knows one provider.

use serde_json::json;

use super::{DataSchema, flag, object, schema, secret, text, texts};

pub(super) fn github() -> DataSchema {
    let said = "Said by GitHub; written by this server.";
    let mut properties = json!({
        "appId": {"type": ["integer", "string"], "description": "The app's number at GitHub."},
        "privateKeyPem": pem("A private key of the app, as GitHub gives it."),
        "clientSecret": secret("The app's client secret: for tokens of people, and to know who installs."),
        "webhookSecret": secret("The secret of the app's webhook."),
        "appSlug": text("The last part of the app's address at GitHub, which says it itself."),
        "clientId": text("The app's client identifier; GitHub says it itself."),
        "appScopes": texts("What tokens of the app may do where nothing is asked, and at most: contents:read."),
        "userTokens": flag(said),
        "deviceFlow": flag("Whether people enter a code on GitHub's own page, for a server to which no browser can come back."),
        "appName": {"type": "string", "readOnly": true, "description": said},
    });
    if let Some(properties) = properties.as_object_mut() {
        properties.insert("notChecked".to_owned(), super::not_checked("GitHub"));
        for name in ["owner", "permissions", "extras"] {
            properties
                .insert(name.to_owned(), json!({"type": "object", "readOnly": true, "description": said}));
        }
    }
    DataSchema {
        schema: schema("A GitHub App.", properties),
        secrets: vec!["privateKeyPem", "clientSecret", "webhookSecret"],
    }
}

pub(super) fn slack() -> DataSchema {
    let properties = json!({
        "clientId": text("The app's client identifier."),
        "clientSecret": secret("The app's client secret."),
        "botScopes": texts("What an installation asks for; chat:write, channels:read and users:read where userScopes are left out too."),
        "userScopes": texts("What people are asked for."),
        "slackTeam": object("The one workspace, or organization, that it is for.", json!({
            "id": text("T… or E…"), "name": text("What it is called."), "domain": text("The first part of its address."),
        })),
        "tokenRotation": flag("Whether token rotation is switched on in the app's settings at Slack; tokens from before are then exchanged."),
        "signingSecret": secret("With what Slack signs what it sends."),
        "verificationToken": secret("With what Slack marked what it sent, before it signed."),
        "configurationToken": secret("An app configuration token, with which Slack makes the app. Used and not kept."),
        "appId": text("The app's identifier: A…"),
        "appName": text("What the app is called."),
    });
    DataSchema {
        schema: schema("A Slack app.", properties),
        secrets: vec!["clientSecret", "configurationToken", "signingSecret", "verificationToken"],
    }
}

pub(super) fn pem(description: &str) -> serde_json::Value {
    json!({"type": "string", "minLength": 1, "maxLength": 16384, "writeOnly": true, "contentMediaType": "application/x-pem-file",
        "description": description})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::schema::tests::{names, taken};

    #[test]
    fn each_schema_has_the_members_that_are_read() {
        let github_source = include_str!("../drivers/github/settings.rs");
        let mut read = taken(github_source, "fields");
        for name in ["appName", "owner", "permissions", "extras", "notChecked"] {
            assert!(github_source.contains(&format!("\"{name}\"")), "{name}");
            read.insert(name.to_owned());
        }
        assert_eq!(names(&github().schema), read);

        let slack_source = include_str!("../drivers/slack/settings.rs");
        let schema = slack().schema;
        assert_eq!(names(&schema), taken(slack_source, "fields"));
        let team: BTreeSet<String> = ["id", "name", "domain"].map(str::to_owned).into();
        assert_eq!(names(&schema["properties"]["slackTeam"]), team);
    }

    #[test]
    fn what_is_secret_is_named_so_and_marked_so() {
        for DataSchema { schema, secrets } in [github(), slack()] {
            let properties = schema["properties"].as_object().unwrap();
            let marked: BTreeSet<&str> = properties
                .iter()
                .filter(|(_, member)| member["writeOnly"] == true)
                .map(|(name, _)| name.as_str())
                .collect();
            assert_eq!(marked, secrets.into_iter().collect());
        }
    }
}
