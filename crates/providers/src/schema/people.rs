//! What `data` of connectors holds by which people consent at one provider.

use serde_json::json;

use super::{DataSchema, flag, object, schema, secret, text, texts};

pub(super) fn google() -> DataSchema {
    let properties = json!({
        "clientId": text("The OAuth client: NUMBER-NAME.apps.googleusercontent.com."),
        "clientSecret": secret("Its secret."),
        "userScopes": texts("What people are asked for."),
        "hostedDomain": text("The one Workspace domain whose people are taken."),
        "testing": flag("Whether the project is in the state Testing, where refresh tokens end after seven days."),
    });
    DataSchema {
        schema: schema("An OAuth client of Google, for people.", properties),
        secrets: vec!["clientSecret"],
    }
}

pub(super) fn okta() -> DataSchema {
    let properties = json!({
        "domain": text("The organization's host: acme.okta.com."),
        "authorizationServer": text("A custom authorization server, like default; left out, the organization's own."),
        "clientId": text("The application's client identifier."),
        "clientSecret": secret("Its secret; left out, it proves itself by the connector's own key."),
        "userScopes": texts("What people are asked for; offline_access to renew it."),
        "appScopes": texts("What tokens of the application may do."),
        "rotation": object("What becomes of a refresh token that was used, as the application is set.", json!({
            "class": {"type": "string", "enum": ["none", "strict", "grace"]},
            "seconds": {"type": "integer", "minimum": 0, "maximum": 60},
        })),
        "idleDays": {
            "type": "integer", "minimum": 1, "maximum": 3650,
            "description": "After how many days without use a refresh token ends; 7 where nothing is said.",
        },
        "jwksUri": text("Where Okta finds the connector's key. Written by this server."),
        "webhookSecret": secret("The Authorization that event hooks are set up with."),
    });
    DataSchema {
        schema: schema("An application of an Okta organization.", properties),
        secrets: vec!["clientSecret", "webhookSecret"],
    }
}

pub(super) fn atlassian() -> DataSchema {
    let properties = json!({
        "clientId": text("The app's client identifier."),
        "clientSecret": secret("Its secret."),
        "userScopes": texts("What people are asked for; offline_access to renew it."),
        "site": text("The one site that it is for: acme, or acme.atlassian.net."),
    });
    DataSchema {
        schema: schema("An OAuth 2.0 (3LO) app of Atlassian.", properties),
        secrets: vec!["clientSecret"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::tests::{names, taken};

    #[test]
    fn each_schema_has_the_members_that_are_read() {
        for (schema, source) in [
            (google(), include_str!("../drivers/google.rs")),
            (okta(), include_str!("../drivers/okta.rs")),
            (atlassian(), include_str!("../drivers/atlassian.rs")),
        ] {
            let mut read = taken(source, "fields");
            read.extend(taken(include_str!("../drivers/dialect.rs"), "fields"));
            assert_eq!(names(&schema.schema), read);
        }
    }
}
