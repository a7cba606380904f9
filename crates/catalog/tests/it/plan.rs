//! What comes of a file for a connector.

use std::collections::BTreeMap;

use carnet_catalog::{Ask, Catalog, Plan, Unfit};
use carnet_model::connector::ConnectorType;
use serde_json::{Map, Value, json};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn ask(method: &str, params: &[(&str, &str)], data: Value) -> Ask {
    Ask {
        method: Some(method).filter(|method| !method.is_empty()).map(str::to_owned),
        params: params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        data: object(data),
        ..Ask::default()
    }
}

fn plan(service: &str, ask: &Ask) -> Result<Option<Plan>, Unfit> {
    Catalog::default().get(service).unwrap().plan(ask)
}

fn field(service: &str, ask: &Ask) -> String {
    plan(service, ask).unwrap_err().field
}

fn client() -> Value {
    json!({"clientId": "id", "clientSecret": "secret"})
}

#[test]
fn the_file_and_what_was_brought_make_a_whole_configuration() {
    let plan = plan("linear", &ask("oauth", &[], client())).unwrap().unwrap();
    assert_eq!((plan.driver, plan.method.as_str(), plan.address), (ConnectorType::Oauth, "oauth", None));
    assert_eq!(
        Value::from(plan.data),
        json!({
            "clientId": "id", "clientSecret": "secret", "tokenEndpointAuthMethod": "client_secret_post",
            "serverConfig": {
                "authorization_endpoint": "https://linear.app/oauth/authorize",
                "token_endpoint": "https://api.linear.app/oauth/token",
                "revocation_endpoint": "https://api.linear.app/oauth/revoke",
                "code_challenge_methods_supported": ["S256"],
            },
            "userAuthorization": {"enabled": true, "scopes": ["read", "write"]},
            "authorizationUrlParams": {"prompt": "consent"}, "scopeSeparator": ",", "defaultTokenExpiresIn": 86400,
            "rotation": {"class": "strict"},
            "account": {"endpoint": "https://api.linear.app/graphql", "query": "{ viewer { id name } }",
                "subject": "/data/viewer/id", "name": "/data/viewer/name"},
        })
    );
}

#[test]
fn a_refresh_token_that_ends_unused_is_kept_alive() {
    let data = plan("google", &ask("oauth", &[], client())).unwrap().unwrap().data;
    assert_eq!(data["refreshTokens"], json!({"enabled": true, "idleDays": 180}));
    // One that works once, and is replaced by one that lives as long again, ends only unused.
    let data = plan("github", &ask("github-app-user", &[], client())).unwrap().unwrap().data;
    assert_eq!(data["refreshTokens"], json!({"enabled": true, "idleDays": 183}));
    assert!(
        !plan("linear", &ask("oauth", &[], client())).unwrap().unwrap().data.contains_key("refreshTokens")
    );
}

#[test]
fn what_is_brought_goes_before_what_the_file_says_but_for_where_the_server_is() {
    let own = json!({"clientId": "id", "clientSecret": "s", "userAuthorization": {"scopes": ["read"]},
        "authorizationUrlParams": {"actor": "app"}, "rotation": {"class": "none"}});
    let plan = plan("linear", &ask("oauth", &[], own)).unwrap().unwrap();
    assert_eq!(plan.data["userAuthorization"], json!({"enabled": true, "scopes": ["read"]}));
    assert_eq!(plan.data["authorizationUrlParams"], json!({"prompt": "consent", "actor": "app"}));
    assert_eq!(plan.data["rotation"], json!({"class": "none"}));
    for server in ["serverConfig", "serverUrl", "discoveryServerUrl"] {
        let mut data = object(client());
        data.insert(server.to_owned(), "https://evil.example".into());
        assert_eq!(field("linear", &ask("oauth", &[], data.clone().into())), format!("data.{server}"));
        assert_eq!(self::plan("linear", &ask("", &[], data.into())), Ok(None), "it stands on its own");
    }
}

#[test]
fn what_is_filled_in_stays_within_the_hosts_of_the_service() {
    let made = |value: &str| plan("zendesk", &ask("oauth", &[("subdomain", value)], client()));
    let plan = made("Acme").unwrap().unwrap();
    assert_eq!(plan.data["serverConfig"]["token_endpoint"], "https://acme.zendesk.com/oauth/tokens");
    for value in
        ["", " ", "acme.evil.example/", "acme/", "evil.example#", "a@evil.example", "a:443", "a?b", "a%2eb"]
    {
        let unfit = made(value).unwrap_err();
        assert_eq!(unfit.field, "params.subdomain", "{value}");
        assert!(unfit.why.contains("acme"), "{unfit:?}");
    }
    let okta = |domain: &str| field("okta", &ask("org-server", &[("domain", domain)], client()));
    for domain in
        ["evil.example", "okta.com", "acme.okta.com.evil.example", "https://acme.okta.com", "127.0.0.1"]
    {
        assert_eq!(okta(domain), "params.domain", "{domain}");
    }
    let custom = ask("custom-server", &[("domain", "acme.okta.com")], client());
    let data = self::plan("okta", &custom).unwrap().unwrap().data;
    assert_eq!(data["serverConfig"]["issuer"], "https://acme.okta.com/oauth2/default");
    assert_eq!(data["serverConfig"]["token_endpoint"], "https://acme.okta.com/oauth2/default/v1/token");
    assert_eq!(field("zendesk", &ask("oauth", &[("subdomain", "a"), ("port", "1")], client())), "params");
    assert_eq!(field("linear", &ask("oauth", &[("x", "y")], client())), "params");
}

#[test]
fn what_is_missing_is_named_with_the_page_where_it_is_had() {
    let unfit = plan("linear", &ask("oauth", &[], json!({"clientId": "id"}))).unwrap_err();
    assert_eq!(unfit.field, "data.clientSecret");
    assert_eq!(unfit.page.unwrap().0, "https://linear.app/settings/api/applications/new");
    let unfit = plan("openai", &ask("api-key", &[], json!({}))).unwrap_err();
    assert_eq!(unfit.field, "data.values");
    assert_eq!(unfit.page.unwrap().0, "https://platform.openai.com/api-keys");
    let unfit = plan("datadog", &ask("api-key", &[], json!({}))).unwrap_err();
    assert!(unfit.why.contains("application-key"), "{unfit:?}");
    // A key of two parts is described as what it is.
    let unfit = plan("twilio", &ask("api-key", &[], json!({}))).unwrap_err();
    assert!(unfit.why.contains("SID:SECRET"), "{unfit:?}");
    let unfit = plan("figma", &ask("oauth", &[], client())).unwrap_err();
    assert!(unfit.why.contains("another address"), "{unfit:?}");
}

#[test]
fn a_server_that_registers_clients_needs_nothing() {
    let plan = plan("linear", &ask("mcp", &[], json!({}))).unwrap().unwrap();
    assert_eq!(plan.address.as_deref(), Some("https://mcp.linear.app/mcp"));
    assert!(!plan.data.contains_key("serverConfig"));
    let catalog = Catalog::default();
    let linear = catalog.get("linear").unwrap();
    let alone: Vec<bool> = linear.methods.iter().map(carnet_catalog::Method::registers_itself).collect();
    assert_eq!(alone, [false, false, false, true, false]);
}

#[test]
fn a_server_that_registers_nobody_is_brought_a_client() {
    let catalog = Catalog::default();
    for service in ["asana", "box"] {
        let unfit = plan(service, &ask("mcp", &[], json!({}))).unwrap_err();
        assert_eq!(unfit.field, "data.clientId", "{service}: {unfit:?}");
        let made = plan(service, &ask("mcp", &[], client())).unwrap().unwrap();
        assert!(made.address.is_some() && !made.data.contains_key("serverConfig"), "{service}");
        let ways = &catalog.get(service).unwrap().methods;
        assert!(!ways.iter().any(carnet_catalog::Method::registers_itself), "{service}");
    }
}

#[test]
fn the_way_is_the_one_that_fits_where_none_is_named() {
    let method = |service: &str, data: Value| plan(service, &ask("", &[], data)).unwrap().unwrap().method;
    assert_eq!(method("linear", client()), "oauth");
    assert_eq!(method("linear", json!({"values": [{"value": "k"}]})), "api-key");
    assert_eq!(method("openai", json!({"values": [{"value": "k"}]})), "api-key");
    assert_eq!(method("api-key", json!({"values": [{"value": "k"}]})), "api-key");
    let unknown = plan("linear", &ask("smoke-signals", &[], client())).unwrap_err();
    assert!(unknown.why.contains("oauth, agent, client-credentials, mcp, api-key"), "{unknown:?}");
    let wrong = Ask { driver: Some(ConnectorType::ApiKey), ..ask("oauth", &[], client()) };
    assert_eq!(field("linear", &wrong), "type");
}

#[test]
fn what_a_driver_needs_is_filled_in_or_named_with_its_page() {
    let brought = json!({"consumerKey": "3MVG9", "appUsername": "bot@acme.example", "privateKeyPem": "PEM"});
    let jwt = plan("salesforce", &ask("jwt", &[("login_host", "Acme.my.salesforce.com")], brought.clone()));
    let jwt = jwt.unwrap().unwrap();
    assert_eq!(
        (jwt.driver, jwt.data["loginHost"].as_str()),
        (ConnectorType::Salesforce, Some("Acme.my.salesforce.com"))
    );
    assert_eq!(jwt.data["appUsername"], "bot@acme.example");
    // Where no way is named, what was brought tells.
    let made = |service: &str, data: Value| {
        plan(service, &ask("", &[("login_host", "acme.my.salesforce.com")], data))
    };
    assert_eq!(
        made("salesforce", json!({"consumerKey": "k", "consumerSecret": "s"})).unwrap().unwrap().method,
        "oauth"
    );
    let unfit = plan("salesforce", &ask("jwt", &[], json!({"consumerKey": "k"}))).unwrap_err();
    assert_eq!(unfit.field, "data.appUsername");
    assert!(unfit.why.contains("appUsername and privateKeyPem"), "{unfit:?}");
    assert_eq!(unfit.page.unwrap().0, "https://login.salesforce.com");
    for (service, method, params, first) in [
        ("github", "app", &[][..], "data.appId"),
        ("slack", "app", &[], "data.clientId"),
        ("snowflake", "key-pair", &[("account", "acme-prod")], "data.username"),
        ("google", "service-account", &[], "data.key"),
        ("microsoft", "entra", &[("tenant", "4a6b0a1e-6c1c-4b5f-9a0e-2f3d6c1b7a55")], "data.clientId"),
        ("discord", "bot", &[], "data.clientId"),
    ] {
        assert_eq!(field(service, &ask(method, params, json!({}))), first, "{service} {method}");
    }
    // Slack gives the client for another thing.
    for (method, more) in [("app", json!({})), ("", json!({"botScopes": ["chat:write"]}))] {
        let mut brought = more;
        brought["configurationToken"] = "xoxe.xoxp-1".into();
        assert_eq!(plan("slack", &ask(method, &[], brought)).unwrap().unwrap().method, "app");
    }
    let snowflake = ask("key-pair", &[("account", "acme-prod.evil.example/")], json!({"username": "u"}));
    assert_eq!(field("snowflake", &snowflake), "params.account");
    let token = json!({"clientId": "1", "clientSecret": "s", "installation": {"token": "t"}});
    let bot = plan("discord", &ask("bot", &[], token)).unwrap().unwrap().data;
    assert_eq!((&bot["installation"]["token"], &bot["installation"]["scheme"]), (&json!("t"), &json!("Bot")));
    assert_eq!(bot["installation"]["scopes"], json!(["bot", "applications.commands"]));
}

#[test]
fn whoever_names_a_driver_and_brings_its_data_is_asked_for_nothing_twice() {
    let own = |driver, data| Ask { driver: Some(driver), ..ask("", &[], data) };
    let entra = "4a6b0a1e-6c1c-4b5f-9a0e-2f3d6c1b7a55";
    for (service, driver, data) in [
        (
            "snowflake",
            ConnectorType::Snowflake,
            json!({"accountIdentifier": "acme-prod", "workloadIdentity": true}),
        ),
        (
            "snowflake",
            ConnectorType::Snowflake,
            json!({"accountIdentifier": "acme-prod", "externalOauth": {}}),
        ),
        (
            "salesforce",
            ConnectorType::Salesforce,
            json!({"loginHost": "test.salesforce.com", "consumerKey": "k"}),
        ),
        ("microsoft", ConnectorType::MicrosoftEntra, json!({"tenantId": entra, "clientId": entra})),
        ("okta", ConnectorType::Okta, json!({"domain": "login.acme.example", "clientId": "c"})),
        ("microsoft-teams", ConnectorType::MicrosoftEntra, json!({"tenantId": entra, "clientId": entra})),
    ] {
        assert_eq!(plan(service, &own(driver, data.clone())), Ok(None), "{service} {data}");
    }
    // The same where the way is named: what it would fill in is there.
    for (service, method, data) in [
        ("microsoft", "entra", json!({"tenantId": entra, "clientId": entra})),
        ("microsoft-teams", "bot", json!({"tenantId": entra, "clientId": entra})),
        ("snowflake", "workload-identity", json!({"accountIdentifier": "acme-prod"})),
        (
            "salesforce",
            "oauth",
            json!({"loginHost": "test.salesforce.com", "consumerKey": "k", "consumerSecret": "s"}),
        ),
    ] {
        let made = plan(service, &ask(method, &[], data.clone())).unwrap().unwrap();
        for (name, value) in data.as_object().unwrap() {
            assert_eq!(&made.data[name], value, "{service} {method}");
        }
        let left = made.data.values().filter_map(Value::as_str).find(|text| text.contains('{'));
        assert_eq!(left, None, "{service} {method}");
    }
    assert_eq!(
        field("microsoft", &ask("entra", &[], json!({"tenantId": null, "clientId": entra}))),
        "params.tenant"
    );
    // What the file fills in is not there; the way is the file's.
    let salesforce = own(ConnectorType::Salesforce, json!({"consumerKey": "k", "consumerSecret": "s"}));
    assert_eq!(plan("salesforce", &salesforce).unwrap().unwrap().data["loginHost"], "login.salesforce.com");
    let named = ask("workload-identity", &[("account", "acme-prod")], json!({}));
    let made = plan("snowflake", &named).unwrap().unwrap();
    assert_eq!(Value::from(made.data), json!({"accountIdentifier": "acme-prod", "workloadIdentity": true}));
    let google = Ask { driver: Some(ConnectorType::Google), ..ask("", &[], client()) };
    assert_eq!(plan("google", &google).unwrap().unwrap().method, "client");
    assert_eq!(plan("google", &ask("", &[], client())).unwrap().unwrap().method, "oauth");
    for service in ["jira", "confluence"] {
        let app = plan(service, &ask("app", &[], client())).unwrap().unwrap();
        assert_eq!(app.driver, ConnectorType::Atlassian, "{service}");
    }
}

#[test]
fn a_server_that_is_connected_by_its_address_is_known_by_it() {
    let catalog = Catalog::default();
    let slug = |address: &str| catalog.of_server(address).map(|entry| entry.slug.to_string());
    assert_eq!(slug("mcp.linear.app/mcp").as_deref(), Some("linear"));
    assert_eq!(slug("mcp.linear.app"), None);
    assert_eq!(slug("linear.app"), None);
}

#[test]
fn a_bot_of_teams_asks_for_its_token_where_it_is_registered() {
    let tenant = "11111111-2222-3333-4444-555555555555";
    let bot = plan("microsoft-teams", &ask("bot", &[("tenant", tenant)], client())).unwrap().unwrap();
    assert_eq!(bot.driver, ConnectorType::MicrosoftEntra);
    assert_eq!(bot.data["tenantId"], tenant);
    assert_eq!(bot.data["appScopes"], json!(["https://api.botframework.com/.default"]));
    assert!(!bot.data.contains_key("userScopes"), "nobody consents to a bot");
    let many = plan("microsoft-teams", &ask("bot-of-many", &[], client())).unwrap().unwrap();
    assert_eq!(
        many.data["serverConfig"]["token_endpoint"],
        "https://login.microsoftonline.com/botframework.com/oauth2/v2.0/token"
    );
    assert_eq!(field("microsoft-teams", &ask("bot", &[], client())), "params.tenant");
}

#[test]
fn a_target_has_scopes_of_its_own() {
    let gmail = Ask { target: Some("gmail".to_owned()), ..ask("oauth", &[], client()) };
    let plan = plan("google", &gmail).unwrap().unwrap();
    assert_eq!(plan.target.as_deref(), Some("gmail"));
    let scopes = plan.data["userAuthorization"]["scopes"].as_array().unwrap();
    assert!(scopes.contains(&json!("https://www.googleapis.com/auth/gmail.send")));
    // By a driver of its own as well, and what is brought along goes before both.
    let gmail = Ask { target: Some("gmail".to_owned()), ..ask("client", &[], client()) };
    let data = self::plan("google", &gmail).unwrap().unwrap().data;
    assert!(
        data["userScopes"].as_array().unwrap().contains(&json!("https://www.googleapis.com/auth/gmail.send"))
    );
    let mut brought = client();
    brought["userScopes"] = json!(["openid"]);
    let own = Ask { target: Some("gmail".to_owned()), ..ask("client", &[], brought) };
    assert_eq!(self::plan("google", &own).unwrap().unwrap().data["userScopes"], json!(["openid"]));
    let other = Ask { target: Some("mail".to_owned()), ..ask("oauth", &[], client()) };
    assert_eq!(field("google", &other), "target");
    let served = Ask { target: Some("api".to_owned()), ..ask("mcp", &[], json!({})) };
    assert_eq!(field("notion", &served), "target");
}

#[test]
fn keys_that_people_paste_come_with_words_about_where_they_are_made() {
    let plan = plan("openai", &ask("api-key", &[], json!({"subjectType": "user"}))).unwrap().unwrap();
    assert!(plan.data["instructions"].as_str().unwrap().contains("https://platform.openai.com/api-keys"));
    assert_eq!(plan.data["serviceUrls"], json!(["https://api.openai.com/v1"]));
}

#[test]
fn every_way_comes_to_a_configuration_or_says_why_not() {
    for entry in Catalog::default().all() {
        for method in &entry.methods {
            let params: BTreeMap<String, String> =
                method.fields().map(|field| (field.key.to_string(), field.example.clone())).collect();
            let keys = method.driver == ConnectorType::ApiKey;
            let mut data = if keys { json!({"values": [{"value": "k"}]}) } else { client() };
            for need in &method.needs {
                let mut steps = need.as_str().split('.');
                let top = steps.next().unwrap();
                data[top] = steps.fold("x".into(), |inner: Value, name| json!({name: inner}));
            }
            let ask = Ask { params, ..ask(method.method.as_str(), &[], data) };
            let at = format!("{} {}", entry.slug, method.method);
            match entry.plan(&ask) {
                Ok(plan) => {
                    let data = plan.unwrap().data;
                    let config = data.get("serverConfig").and_then(Value::as_object);
                    for address in config.into_iter().flatten().filter_map(|(_, value)| value.as_str()) {
                        let url = url::Url::parse(address).unwrap();
                        assert!(
                            url.scheme() == "https" && entry.has_host(url.host_str().unwrap()),
                            "{at}: {address}"
                        );
                    }
                }
                Err(unfit) => {
                    assert!(
                        method.oauth.as_ref().is_some_and(|oauth| oauth.beyond.is_some()),
                        "{at}: {unfit:?}"
                    );
                }
            }
        }
    }
}
