//! What `data` of connectors holds whose application proves itself by a key that it was given.

use serde_json::json;

use super::apps::pem;
use super::{DataSchema, flag, not_checked, schema, secret, text, texts};

pub(super) fn salesforce() -> DataSchema {
    let properties = json!({
        "consumerKey": text("The connected app's consumer key."),
        "consumerSecret": secret("The connected app's consumer secret."),
        "loginHost": text("login.salesforce.com, test.salesforce.com, or NAME.my.salesforce.com."),
        "userScopes": texts("What people are asked for; refresh_token is needed to renew it."),
        "clientCredentials": flag("Whether the application acts as the app's run-as user, by its secret."),
        "appUsername": text("As which user the application acts, by the key."),
        "privateKeyPem": pem("The key whose certificate the connected app has."),
        "assertableUsernames": texts("Who may be asserted; * at the beginning or end stands for anything."),
        "sessionSeconds": {
            "type": "integer", "minimum": 900, "maximum": 86400,
            "description": "How long a session lasts, by the organization's settings; left out, Salesforce is asked about each token.",
        },
        "confidential": flag("Whether the app has a secret. Written by this server."),
    });
    DataSchema {
        schema: schema("A connected app of Salesforce.", properties),
        secrets: vec!["consumerSecret", "privateKeyPem"],
    }
}

pub(super) fn snowflake() -> DataSchema {
    let properties = json!({
        "accountIdentifier": text("ORGANIZATION-ACCOUNT, or a locator with its region and cloud."),
        "clientId": text("The client of a security integration, for tokens of people."),
        "clientSecret": secret("Its secret."),
        "userScopes": texts("What people are asked for; refresh_token where nothing is said."),
        "defaultSessionRole": text("The role that people are asked for."),
        "singleUseRefreshTokens": flag("Whether the integration requires refresh tokens to be used once."),
        "username": text("The service user as which the application acts."),
        "privateKeyPem": pem("The private key of that user."),
        "workloadIdentity": flag("Whether that user trusts the connector's own issuer, instead of a key pair."),
        "federatedCredential": {
            "type": "object", "readOnly": true,
            "description": "What the user's workload identity at Snowflake has to say. Written by this server.",
        },
        "externalOauth": {
            "type": "object",
            "additionalProperties": true,
            "description": "A client at another authorization server whose tokens the account takes, as data of the type oauth.",
        },
        "clientName": text("A name for people."),
        "notChecked": not_checked("Snowflake"),
    });
    DataSchema {
        schema: schema("A Snowflake account.", properties),
        secrets: vec!["clientSecret", "privateKeyPem", "externalOauth.clientSecret"],
    }
}

pub(super) fn google_service_account() -> DataSchema {
    let properties = json!({
        "key": {"type": ["object", "string"], "writeOnly": true, "description": "The account's key file, whole, as Google gives it: the object, or its text."},
        "clientEmail": text("The account, if not by the file."),
        "privateKeyId": text("The name of the key."),
        "projectId": text("The account's project."),
        "privateKeyPem": pem("The account's private key, if not by the file."),
        "scopes": texts("What tokens may do, at most."),
        "assertableUsers": texts("People of a domain who may be asserted: an address, or *@DOMAIN."),
    });
    DataSchema {
        schema: schema("A service account of Google.", properties),
        secrets: vec!["key", "privateKeyPem"],
    }
}

pub(super) fn microsoft_entra() -> DataSchema {
    let properties = json!({
        "tenantId": text("The directory's identifier."),
        "clientId": text("The application's identifier."),
        "clientSecret": secret("A secret of the application, instead of the federated credential."),
        "certificatePem": {"type": "string", "minLength": 1, "maxLength": 16384, "contentMediaType": "application/x-pem-file",
            "description": "A certificate that the application has at Entra, instead of the federated credential; shown."},
        "privateKeyPem": pem("The certificate's private key."),
        "appScopes": texts("What tokens of the application are for: one RESOURCE/.default."),
        "userScopes": texts("What people are asked for; offline_access to renew it."),
        "federatedCredential": {
            "type": "object", "readOnly": true,
            "description": "What the application's federated credential at Entra has to say. Written by this server.",
        },
        "hasSecret": flag("Whether the application has a secret. Written by this server."),
        "adminConsentUrl": text("Where an administrator consents for the directory. Written by this server."),
    });
    DataSchema {
        schema: schema("An application in one directory of Microsoft Entra.", properties),
        secrets: vec!["clientSecret", "privateKeyPem"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::tests::{names, taken};

    #[test]
    fn each_schema_has_the_members_that_are_read() {
        for (schema, source) in [
            (salesforce(), include_str!("../drivers/salesforce/settings.rs")),
            (snowflake(), include_str!("../drivers/snowflake/settings.rs")),
            (microsoft_entra(), include_str!("../drivers/microsoft_entra/settings.rs")),
            (google_service_account(), include_str!("../drivers/google_service_account.rs")),
        ] {
            assert_eq!(names(&schema.schema), taken(source, "fields"));
        }
    }
}
