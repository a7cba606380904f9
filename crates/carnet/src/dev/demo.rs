//! The demo provider of a development server, and the connector to it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use carnet_demo::{ClientRegistration, Demo, Options};
use carnet_engine::{Broker, ConnectorChange, ManagedService, NewConnectorAsk, Project};
use carnet_model::caller::Caller;
use carnet_model::connector::ConnectorType;
use carnet_model::{AccessToken, Code, Env, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::cli::args::DevArgs;
use crate::cli::folder;

/// `demo/hello`, with the address it has today.
pub(super) async fn demo_connector(
    broker: &Broker,
    caller: &Caller,
    project: &Project,
    url: &Url,
    client: &DemoClient,
) -> anyhow::Result<()> {
    let request = broker.request_id();
    match broker.connector(caller, "demo/hello", request).await {
        Ok(found) => {
            let issuer = found.connector.data.get("serverUrl").and_then(Value::as_str);
            if issuer != Some(demo_issuer(url).as_str()) || !found.connector.data.contains_key("account") {
                // The port is another than last time, or it was made before accounts were asked for: read the server's
                // description anew.
                let mut data = demo_data(url, client);
                data.insert("serverConfig".to_owned(), Value::Null);
                let change = ConnectorChange { data: Some(data), ..ConnectorChange::default() };
                broker.update_connector(caller, "demo/hello", change, request).await?;
            }
        }
        Err(fault) if fault.code == Code::NotFound => {
            let ask = NewConnectorAsk {
                service: "demo".to_owned(),
                name: Some("hello".to_owned()),
                data: demo_data(url, client),
                ..NewConnectorAsk::default()
            };
            broker.create_connector(caller, ask, request).await?;
        }
        Err(fault) => return Err(fault.into()),
    }
    match broker.link(caller, "demo/hello", &project.id.to_string()).await {
        Ok(_) => Ok(()),
        Err(fault) if fault.code == Code::NotFound => {
            let all = ["production", "preview", "development"].map(str::to_owned);
            broker.put_link(caller, "demo/hello", &project.id.to_string(), &all, request).await?;
            Ok(())
        }
        Err(fault) => Err(fault.into()),
    }
}

/// Which client Carnet is at the demo server. Kept, so that what people granted survives a restart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DemoClient {
    pub(super) client_id: String,
    client_secret: SecretString,
}

pub(super) fn demo_client(args: &DevArgs, env: &Env) -> anyhow::Result<DemoClient> {
    let file = args.data.join("demo-client.json");
    if let Ok(text) = std::fs::read_to_string(&file) {
        return serde_json::from_str(&text)
            .with_context(|| format!("{} cannot be read; delete it to make a new one", file.display()));
    }
    let secret = AccessToken::generate(env).expose().to_owned();
    let client = json!({"clientId": "carnet-dev", "clientSecret": secret});
    folder::replace(&file, client.to_string().as_bytes(), 0o600)
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(DemoClient { client_id: "carnet-dev".to_owned(), client_secret: secret.into() })
}

pub(super) fn demo_server(args: &DevArgs, url: &Url, client: &DemoClient, env: &Env) -> anyhow::Result<Demo> {
    let base = url.as_str().trim_end_matches('/');
    let mut options = Options::new(Url::parse(&demo_issuer(url))?);
    options.clients = vec![ClientRegistration {
        client_id: client.client_id.clone(),
        client_secret: client.client_secret.duplicate(),
        redirect_uris: vec![format!("{base}/callback")],
    }];
    options.state = (!args.memory).then(|| args.data.join("demo-provider.json"));
    Ok(Demo::new(options, env.clone())?)
}

fn demo_issuer(url: &Url) -> String {
    format!("{}/demo", url.as_str().trim_end_matches('/'))
}

fn demo_data(url: &Url, client: &DemoClient) -> Map<String, Value> {
    let data = json!({
        "serverUrl": demo_issuer(url),
        // Whose account it is: so people sign in to apps with it, and another account than before is noticed.
        "account": {"endpoint": format!("{}/api/me", demo_issuer(url)), "subject": "/sub", "name": "/name"},
        "clientId": client.client_id,
        "clientSecret": client.client_secret.expose(),
        "userAuthorization": {"enabled": true, "scopes": ["profile:read", "messages:read", "offline_access"]},
        "clientCredentials": {"enabled": true, "scopes": ["profile:read", "messages:read"]},
    });
    match data {
        Value::Object(data) => data,
        _ => Map::new(),
    }
}

/// The demo's client, as an application of the operator's.
pub(super) fn demo_app(url: &Url, client: &DemoClient) -> ManagedService {
    ManagedService {
        r#type: ConnectorType::Oauth,
        method: None,
        params: BTreeMap::new(),
        data: demo_data(url, client),
        teams: None,
        goes_along: true,
        one_callback: false,
    }
}
