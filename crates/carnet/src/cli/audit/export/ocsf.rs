//! An event as one of the Open Cybersecurity Schema Framework, version 1.6.0 (<https://schema.ocsf.io/1.6.0>).
//!
//! What people do to prove who they are is Authentication, what is done to their accounts Account Change, what they are
//! in a team Group Management and User Access Management; everything else is API Activity. An action that this command
//! line does not know, of a newer server, is API Activity of another kind.

use carnet_sdk::AuditRecord;
use serde_json::{Map, Value, json};

/// A class of events. Its number is the category times a thousand and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Category 3, Identity & Access Management.
    AccountChange = 3001,
    Authentication = 3002,
    UserAccess = 3005,
    GroupManagement = 3006,
    /// Category 6, Application Activity.
    ApiActivity = 6003,
}

/// What a class calls the activity; `OTHER` in each of them.
const OTHER: u64 = 99;

/// The event, of a team.
pub(super) fn event(event: &AuditRecord, team: &str) -> Value {
    let (class, activity) = activity(event);
    let class_uid = class as u64;
    let is_done = event.outcome == "success";
    let user = actor(event);
    let target = event.target.as_deref();
    let mut told = json!({
        "category_uid": class_uid / 1000,
        "class_uid": class_uid,
        "activity_id": activity,
        // The class times a hundred and the activity.
        "type_uid": class_uid * 100 + activity,
        // Informational, or low where something was refused or failed.
        "severity_id": if is_done { 1 } else { 2 },
        "severity": if is_done { "Informational" } else { "Low" },
        "time": event.at.millis(),
        "status": if is_done { "Success" } else { "Failure" },
        "status_id": if is_done { 1 } else { 2 },
        "actor": {"user": user},
        "src_endpoint": source(event),
        "metadata": {
            "version": "1.6.0",
            "uid": event.seq.to_string(),
            "sequence": event.seq,
            "event_code": event.action,
            "product": {"name": "Carnet", "vendor_name": "Carnet", "version": env!("CARGO_PKG_VERSION")},
        },
        "unmapped": {
            "outcome": event.outcome,
            "target": event.target,
            "environment": event.actor.get("environment"),
            "detail": event.detail,
        },
    });
    let more = match class {
        Class::ApiActivity => json!({
            "api": {"operation": event.action, "request": {"uid": event.request_id.as_deref().unwrap_or_default()}},
            "resources": target.iter().map(|target| json!({"uid": target})).collect::<Vec<_>>(),
        }),
        Class::Authentication => json!({
            // A wrong try has nobody but the account that was tried.
            "user": if event.action == "sign-in.reject" { person(target) } else { user },
            "service": {"name": "Carnet"},
            "is_remote": true,
            "auth_protocol": event.detail.get("means"),
            "session": target.filter(|target| target.starts_with("ses_")).map(|uid| json!({"uid": uid})),
        }),
        Class::AccountChange => json!({"user": person(target.filter(|target| target.starts_with("usr_")))}),
        Class::UserAccess => json!({
            "user": person(target),
            "privileges": event.detail.get("to").into_iter().collect::<Vec<_>>(),
            "resources": [{"uid": team, "type": "team"}],
        }),
        Class::GroupManagement => json!({
            "user": if event.action == "member.remove" { person(target) } else { user },
            "group": {"uid": team, "type": "team"},
        }),
    };
    if let (Value::Object(told), Value::Object(more)) = (&mut told, more) {
        told.extend(more);
        told.extend(event.detail.get("code").map(|code| ("status_code".to_owned(), code.clone())));
        // What an event does not tell is left out: a null is no value of any attribute.
        told.retain(|_, value| !value.is_null());
    }
    // Where the account is not the target, it is the actor's own.
    if class == Class::AccountChange && told.pointer("/user/uid").is_some_and(|uid| uid == "unknown") {
        let own = told.pointer("/actor/user").cloned();
        if let (Some(user), Some(own)) = (told.get_mut("user"), own) {
            *user = own;
        }
    }
    told
}

/// What it is, and which activity of that.
fn activity(event: &AuditRecord) -> (Class, u64) {
    match event.action.as_str() {
        "session.start" | "session.prove" | "sign-in.reject" | "command-line.start" => {
            (Class::Authentication, 1)
        }
        "session.end" | "command-line.end" => (Class::Authentication, 2),
        "command-line.allow" | "command-line.deny" | "command-line.renew" => (Class::Authentication, OTHER),
        "user.create" => (Class::AccountChange, 1),
        "account.enable" => (Class::AccountChange, 2),
        "passphrase.set" if event.detail.get("means").is_some_and(|means| means == "reset-link") => {
            (Class::AccountChange, 4)
        }
        "passphrase.set" => (Class::AccountChange, 3),
        "passphrase-reset.create" => (Class::AccountChange, 4),
        "account.disable" => (Class::AccountChange, 5),
        // What the schema calls a factor: anything by which the account is opened.
        "passkey.add" | "sign-in.link" => (Class::AccountChange, 10),
        "passkey.remove" | "sign-in.unlink" => (Class::AccountChange, 11),
        "invitation.accept" => (Class::GroupManagement, 3),
        "member.remove" => (Class::GroupManagement, 4),
        "member.update" => (Class::UserAccess, 1),
        action => (Class::ApiActivity, crud(action)),
    }
}

/// 1 create, 2 read, 3 update, 4 delete, 99 anything else.
fn crud(action: &str) -> u64 {
    let verb = match action {
        "connect-import-tokens" => "create",
        "grant.refresh.start" => "refresh",
        _ => action.rsplit('.').next().unwrap_or_default(),
    };
    match verb {
        "create" | "issue" | "start" => 1,
        "read" | "export" | "check" => 2,
        "update" | "put" | "set" | "rotate" | "refresh" | "reseal" | "accept" | "adopt" | "eject"
        | "park" | "complete" | "approve" | "restore" | "end" => 3,
        "delete" | "remove" | "revoke" | "withdraw" | "drop" | "undo" => 4,
        _ => OTHER,
    }
}

/// Who acted: 1 is a user, 3 the system itself, 99 another kind, which here is a workload.
fn actor(event: &AuditRecord) -> Value {
    let text = |name: &str| event.actor.get(name).and_then(Value::as_str);
    let (kind, kind_id) = match text("type") {
        Some("user") => ("User", 1),
        Some("system") | None => ("System", 3),
        Some(_) => ("Workload", OTHER),
    };
    json!({"uid": text("id").unwrap_or("system"), "type": kind, "type_id": kind_id})
}

/// A person by identifier. An account that was tried and does not exist has none.
fn person(uid: Option<&str>) -> Value {
    json!({"uid": uid.unwrap_or("unknown"), "type": "User", "type_id": 1})
}

/// Required by the class API Activity, and recorded only where people sign in.
fn source(event: &AuditRecord) -> Value {
    match event.detail.get("address").and_then(Value::as_str) {
        Some(ip) => Value::Object(Map::from_iter([("ip".to_owned(), ip.into())])),
        None => json!({"name": "unknown"}),
    }
}

#[cfg(test)]
mod tests {
    use carnet_model::audit::Action;

    use super::*;

    fn told(action: &str, more: Value) -> Value {
        let mut record = json!({
            "seq": 7, "at": 1_784_065_923_000_i64, "action": action, "target": "scl_1", "outcome": "success",
            "requestId": "req_1", "actor": {"type": "user", "id": "usr_1"}, "detail": {}
        });
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event(&serde_json::from_value(record).unwrap(), "team_1")
    }

    /// Of each class: its activities, and what it requires besides what every event does (schema.ocsf.io/1.6.0/classes).
    const CLASSES: [(u64, &[u64], &[&str]); 5] = [
        (3001, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 99], &["user"]),
        (3002, &[1, 2, 3, 4, 5, 6, 99], &["user", "service"]),
        (3005, &[1, 2, 99], &["user", "privileges"]),
        (3006, &[1, 2, 3, 4, 5, 6, 99], &["group", "user"]),
        (6003, &[1, 2, 3, 4, 99], &["actor", "api", "src_endpoint"]),
    ];

    #[test]
    fn every_action_is_an_event_of_a_class_that_has_what_the_class_requires() {
        let mut others = Vec::new();
        for action in Action::ALL {
            let told = told(action.as_str(), json!({"detail": {"to": "member"}}));
            let class = told["class_uid"].as_u64().unwrap();
            let (_, activities, required) = CLASSES.iter().find(|(known, ..)| *known == class).unwrap();
            let activity = told["activity_id"].as_u64().unwrap();
            assert!(activities.contains(&activity), "{}: {activity} of {class}", action.as_str());
            assert_eq!(told["category_uid"], class / 1000);
            assert_eq!(told["type_uid"], class * 100 + activity);
            let of_all = ["metadata", "severity_id", "time", "type_uid", "activity_id", "category_uid"];
            for name in of_all.iter().chain(*required) {
                assert!(!told[*name].is_null(), "{}: {name}", action.as_str());
            }
            for name in ["product", "version"] {
                assert!(!told["metadata"][name].is_null());
            }
            assert!(told.as_object().unwrap().values().all(|value| !value.is_null()), "{told}");
            if class == 6003 && activity == OTHER {
                others.push(action.as_str());
            }
        }
        // A new action is either given a place above, or belongs to these.
        assert_eq!(
            others,
            [
                "grant.needs-consent",
                "grant.brake.pull",
                "grant.brake.release",
                "authorization.enter-code",
                "completion.deliver",
                "connector.moved",
                "health.deliver",
                "trigger.receive",
                "trigger.reject",
                "trigger.deliver",
                "trigger.disable",
                "trigger.replay",
                // Somebody signs in to an app, not here, and it is the app that asks.
                "gateway.sign-in",
                "gateway.renew",
                "keys.shut",
                "keys.open",
                "caller.reject",
                "management.reject",
                "limit.reach",
                "budget.reach",
                "budget.deliver",
            ]
        );
    }

    #[test]
    fn the_event_says_who_did_what_to_whom() {
        let denied = told("connector.delete", json!({"outcome": "denied", "detail": {"code": "forbidden"}}));
        assert_eq!((&denied["type_uid"], &denied["status_code"]), (&json!(600_304), &json!("forbidden")));
        assert_eq!((&denied["status_id"], &denied["severity_id"]), (&json!(2), &json!(2)));
        assert_eq!(denied["resources"], json!([{"uid": "scl_1"}]));

        let detail = json!({"means": "passphrase", "address": "203.0.113.7"});
        let signed_in = told("session.start", json!({"target": "ses_1", "detail": detail}));
        assert_eq!((&signed_in["type_uid"], &signed_in["user"]["uid"]), (&json!(300_201), &json!("usr_1")));
        assert_eq!(
            (&signed_in["src_endpoint"], &signed_in["session"]),
            (&json!({"ip": "203.0.113.7"}), &json!({"uid": "ses_1"}))
        );
        let nobody = json!({"target": null, "outcome": "denied", "actor": {"type": "system"}});
        let rejected = told("sign-in.reject", nobody);
        assert_eq!((&rejected["type_uid"], &rejected["user"]["uid"]), (&json!(300_201), &json!("unknown")));
        assert_eq!(rejected["status_id"], 2);

        let disabled = told("account.disable", json!({"target": "usr_2"}));
        assert_eq!((&disabled["type_uid"], &disabled["user"]["uid"]), (&json!(300_105), &json!("usr_2")));
        let passkey = told("passkey.add", json!({"target": "pky_1"}));
        assert_eq!((&passkey["type_uid"], &passkey["user"]["uid"]), (&json!(300_110), &json!("usr_1")));
        let reset = told("passphrase.set", json!({"target": "usr_1", "detail": {"means": "reset-link"}}));
        assert_eq!(reset["type_uid"], 300_104);
        let removed = told("member.remove", json!({"target": "usr_2"}));
        assert_eq!((&removed["type_uid"], &removed["user"]["uid"]), (&json!(300_604), &json!("usr_2")));
        assert_eq!(removed["group"]["uid"], "team_1");
        let promoted =
            told("member.update", json!({"target": "usr_2", "detail": {"from": "viewer", "to": "owner"}}));
        assert_eq!((&promoted["type_uid"], &promoted["privileges"]), (&json!(300_501), &json!(["owner"])));
        let unheard_of = told("moon.land", json!({}));
        assert_eq!(unheard_of["type_uid"], 600_399);
    }
}
