//! What a connector looks like in an answer.

use carnet_engine::ConnectorView;
use carnet_model::SubjectKind;
use carnet_model::connector::ConnectorType;
use serde_json::{Value, json};

use crate::audit;
use crate::servers;
use crate::shape::{Shape, anything, count, flag, id, list_of, map, object_of, one_of, text, time};
use crate::trigger_destinations;

/// `type`, as official clients know it.
pub(crate) fn kind() -> Shape {
    let mut words = ConnectorType::ALL.map(ConnectorType::on_the_wire).to_vec();
    words.sort_unstable();
    words.dedup();
    one_of(&words)
}

fn driver() -> Shape {
    one_of(&ConnectorType::ALL.map(ConnectorType::as_str))
        .said("What runs it: `type`, and more exactly where that is `custom`.")
}

/// The shape of a connector.
pub(crate) fn shape() -> Shape {
    described([]).named("Connector")
}

/// The same after a change that its provider may have to hear of.
pub(crate) fn changed_shape() -> Shape {
    described([
        ("serviceSync?", servers::sync_shape()),
        ("reinstallNeeded?", flag()),
        ("grantsEnded?", count()),
    ])
    .named("ChangedConnector")
}

fn described<const N: usize>(more: [(&str, Shape); N]) -> Shape {
    let abilities = |more: Vec<(&'static str, Shape)>| {
        object_of([
            ("crossInstallation", flag()),
            ("supportsRefinement", flag()),
            ("supportsResources", flag()),
            ("scopes", list_of(text())),
            ("supportedAuthorizationDetails", list_of(text())),
        ])
        .with(more)
    };
    let project =
        object_of([("projectId", id("prj")), ("project", object_of([("id", id("prj")), ("name", text())]))]);
    let projects = object_of([("items", list_of(project)), ("hasMore", flag()), ("cursor?", text())]);
    object_of([
        ("id", id("scl")),
        ("uid", text()),
        ("name", text()),
        ("displayName", text()),
        ("type", kind()),
        ("driver", driver()),
        ("typeName", text()),
        ("service", text()),
        ("createdAt", time()),
        ("updatedAt", time()),
        ("createdBy", audit::principal()),
        ("updatedBy", audit::principal()),
        ("creationMode", one_of(&["manual", "managed"])),
        ("supportedSubjectTypes", list_of(one_of(&["app", "user", "jwt-bearer", "token"]))),
        ("supportsInstallation", flag()),
        ("supportsRevocation", flag()),
        ("supportsTriggers", flag()),
        ("supportsIcon", text()),
        ("data", map(anything())),
        ("redirectUri?", text()),
        ("redirectUriNow?", text()),
        ("managed?", map(anything())),
        ("connectionMethod?", text()),
        ("target?", text()),
        ("tokenVariable?", text()),
        ("defaultInstallationId?", text()),
        ("icon?", text()),
        ("backgroundColor?", text()),
        ("accentColor?", text()),
        ("appTokens?", abilities(Vec::new())),
        ("userTokens?", abilities(vec![("manualCredentialInput", flag())])),
        ("triggers?", object_of([("enabled", flag())])),
        ("triggerUrl?", text()),
        ("events?", list_of(text())),
        ("triggerDestinations?", list_of(trigger_destinations::shape())),
        ("includes?", object_of([("projects", projects)])),
    ])
    .with(more)
}

pub(crate) fn list_v1_shape() -> Shape {
    object_of([("clients", list_of(shape())), ("cursor?", text())])
}

pub(crate) fn list_v2_shape() -> Shape {
    let pagination = object_of([("next", text().or_null())]);
    object_of([("connectors", list_of(shape())), ("pagination", pagination)])
}

/// The connector object. Never a secret: there is none in a view.
pub(crate) fn connector(view: &ConnectorView) -> Value {
    let ConnectorView { connector: c, abilities, projects, way, variable, triggers, receives, moved } = view;
    let subjects: Vec<&str> = abilities.subjects.iter().map(|kind| kind.as_str()).collect();
    let mut out = json!({
        "id": c.id,
        "uid": c.uid,
        "name": c.name,
        "displayName": c.name,
        "type": c.r#type.on_the_wire(),
        "driver": c.r#type,
        "typeName": c.r#type.label(),
        "service": c.service,
        "createdAt": c.created_at,
        "updatedAt": c.updated_at,
        "createdBy": c.created_by,
        "updatedBy": c.updated_by,
        "creationMode": if c.managed { "managed" } else { "manual" },
        "supportedSubjectTypes": subjects,
        "supportsInstallation": abilities.installation,
        "supportsRevocation": abilities.revocation,
        "supportsTriggers": receives,
        "supportsIcon": "maybe",
        "data": c.data,
    });
    let Some(object) = out.as_object_mut() else { return out };
    let mut put = |name: &str, value: Option<Value>| value.map(|value| object.insert(name.to_owned(), value));
    if let Some((method, target)) = way {
        put("connectionMethod", Some(method.clone().into()));
        put("target", target.clone().map(Value::from));
    }
    put("tokenVariable", variable.clone().map(Value::from));
    put("redirectUri", c.redirect_uri.clone().map(Value::from));
    put("redirectUriNow", moved.clone().map(Value::from));
    put("defaultInstallationId", c.default_installation.map(|id| id.to_string().into()));
    put("managed", c.managed.then(|| json!({})));
    put("icon", c.branding.icon.clone().map(Value::from));
    put("backgroundColor", c.branding.background_color.clone().map(Value::from));
    put("accentColor", c.branding.accent_color.clone().map(Value::from));
    for (name, kind, tokens) in
        [("appTokens", SubjectKind::App, &abilities.app), ("userTokens", SubjectKind::User, &abilities.user)]
    {
        put(
            name,
            tokens.as_ref().map(|tokens| {
                let mut value = json!({
                    "crossInstallation": tokens.cross_installation,
                    "supportsRefinement": tokens.refinement,
                    "supportsResources": tokens.resources.can_be_named(),
                    "scopes": tokens.scopes,
                    "supportedAuthorizationDetails": tokens.details,
                });
                if let (SubjectKind::User, Some(value)) = (kind, value.as_object_mut()) {
                    value.insert("manualCredentialInput".to_owned(), tokens.manual_credential.into());
                }
                value
            }),
        );
    }
    if let Some(triggers) = triggers {
        // Only where they are received: that is how the clients know.
        put("triggers", triggers.enabled.then(|| json!({"enabled": true})));
        put("triggerUrl", triggers.enabled.then(|| triggers.url.clone().into()));
        put("events", (!triggers.events.is_empty()).then(|| triggers.events.clone().into()));
        let destinations: Vec<_> = triggers.destinations.iter().map(trigger_destinations::object).collect();
        put("triggerDestinations", (!destinations.is_empty()).then(|| destinations.into()));
    }
    put("includes", projects.as_ref().map(|projects| {
        let items: Vec<Value> = projects
            .items
            .iter()
            .map(|project| json!({"projectId": project.id, "project": {"id": project.id, "name": project.name}}))
            .collect();
        let mut shown = json!({"items": items, "hasMore": projects.more.is_some()});
        if let (Some(cursor), Some(shown)) = (&projects.more, shown.as_object_mut()) {
            shown.insert("cursor".to_owned(), cursor.clone().into());
        }
        json!({"projects": shown})
    }));
    out
}
