//! `audit export`: the log as JSON lines, as a table, or as events of the Open Cybersecurity Schema Framework.

mod since;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use carnet_sdk::{AuditFilter, AuditRecord};
use serde_json::{Value, json};

use super::actor;
use crate::cli::args::ExportArgs;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::table::exact;

/// Writes the events, oldest first, page by page.
pub(crate) async fn export(cx: &mut Context<'_>, args: ExportArgs) -> Result<(), Failure> {
    if cx.talk.wants_json() && args.output.is_none() {
        return Err(Failure::usage("The events are no single document; with --json they go into a file.")
            .next("carnet audit export --json --output FILE", "to write them there"));
    }
    let since = args.since.as_deref().map(|text| since::read(text, cx.now())).transpose()?;
    let client = cx.settings.client_without_project()?;
    let path = args.output.as_ref().map(|file| cx.place.folder.join(file));
    let mut file = path.as_deref().map(create).transpose()?;
    let mut filter = AuditFilter {
        limit: Some(1000),
        after: Some(0),
        action: args.action,
        connector: args.connector,
        outcome: args.outcome,
        ..AuditFilter::default()
    };
    if args.format == "csv" {
        put(cx, &mut file, HEADINGS)?;
    }
    let mut written = 0_u64;
    loop {
        let page = client.audit(&filter).await?;
        for event in page.events.iter().filter(|event| since.is_none_or(|since| event.at >= since)) {
            let line = match args.format.as_str() {
                "csv" => csv(event),
                "ocsf" => ocsf(event).to_string(),
                _ => serde_json::to_string(event).map_err(|error| {
                    Failure::new("internal", "An event cannot be written as JSON.").because(&error)
                })?,
            };
            put(cx, &mut file, &line)?;
            written += 1;
        }
        // On stdout the lines say it.
        if file.is_some() {
            cx.talk.progress(&format!("{written} events"));
        }
        match page.next.filter(|next| Some(*next) > filter.after) {
            Some(next) => filter.after = Some(next),
            None => break,
        }
    }
    cx.talk.progress("");
    let Some((mut file, path)) = file.zip(path) else { return Ok(()) };
    file.flush().and_then(|()| file.get_ref().sync_all()).map_err(|error| unwritable(&path, &error))?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({"file": path, "format": args.format, "events": written}));
    }
    cx.talk.success(&format!("{written} events written to {}", path.display()));
    Ok(())
}

/// A new file that only its owner can read: the log says who did what. One that is there is not replaced.
fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    file.map(BufWriter::new).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new("file_failed", format!("{} cannot be written.", path.display()))
        .because(error)
        .next("carnet audit export --output FILE", "to write another file")
}

fn put(cx: &mut Context<'_>, file: &mut Option<BufWriter<File>>, line: &str) -> Result<(), Failure> {
    match file {
        None => cx.talk.answer(line),
        Some(file) => writeln!(file, "{line}").map_err(|error| {
            Failure::new("file_failed", "The file cannot be written any further.")
                .because(&error)
                .next("df -h .", "to see whether the disk is full")
        }),
    }
}

const HEADINGS: &str = "seq,time,outcome,action,actor,target,request,detail";

/// RFC 4180. A cell that a spreadsheet would take for a formula begins with an apostrophe.
fn csv(event: &AuditRecord) -> String {
    let cell = |text: &str| {
        let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
        let text = format!("{guard}{text}");
        if text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text
        }
    };
    [
        event.seq.to_string(),
        exact(event.at),
        cell(&event.outcome),
        cell(&event.action),
        cell(&actor(&event.actor)),
        cell(event.target.as_deref().unwrap_or_default()),
        cell(event.request_id.as_deref().unwrap_or_default()),
        cell(&event.detail.to_string()),
    ]
    .join(",")
}

/// An event of the class API Activity (<https://schema.ocsf.io/1.6.0/classes/api_activity>): `type_uid` is the class
/// times a hundred and the activity.
fn ocsf(event: &AuditRecord) -> Value {
    const CLASS: u64 = 6003;
    let activity = activity(&event.action);
    let text = |name: &str| event.actor.get(name).and_then(Value::as_str);
    // 1 is a user, 3 the system itself, 99 another kind: here a workload.
    let (kind, kind_id) = match text("type") {
        Some("user") => ("User", 1),
        Some("system") | None => ("System", 3),
        Some(_) => ("Workload", 99),
    };
    let (status, status_id) = if event.outcome == "success" { ("Success", 1) } else { ("Failure", 2) };
    // Informational, or low where something was refused or failed.
    let severity = if event.outcome == "success" { 1 } else { 2 };
    json!({
        "category_uid": 6,
        "class_uid": CLASS,
        "activity_id": activity,
        "type_uid": CLASS * 100 + activity,
        "severity_id": severity,
        "time": event.at.millis(),
        "status": status,
        "status_id": status_id,
        "status_code": event.detail.get("code"),
        "actor": {"user": {"uid": text("id").unwrap_or("system"), "type": kind, "type_id": kind_id}},
        "api": {"operation": event.action, "request": {"uid": event.request_id.as_deref().unwrap_or_default()}},
        // Required by the class, and not recorded.
        "src_endpoint": {"name": "unknown"},
        "resources": event.target.iter().map(|target| json!({"uid": target})).collect::<Vec<_>>(),
        "metadata": {
            "version": "1.6.0",
            "uid": event.seq.to_string(),
            "sequence": event.seq,
            "event_code": event.action,
            "product": {"name": "Carnet", "vendor_name": "Carnet", "version": env!("CARGO_PKG_VERSION")},
        },
        "unmapped": {"outcome": event.outcome, "environment": text("environment"), "detail": event.detail},
    })
}

/// 1 create, 2 read, 3 update, 4 delete, 99 anything else.
fn activity(action: &str) -> u64 {
    let verb = action.rsplit(['.', '-']).next().unwrap_or_default();
    match verb {
        "create" | "issue" | "start" | "import" => 1,
        "read" => 2,
        "update" | "put" | "rotate" | "refresh" | "accept" => 3,
        "delete" | "revoke" | "drop" => 4,
        _ => 99,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: &str, outcome: &str) -> AuditRecord {
        serde_json::from_value(json!({
            "seq": 7, "at": 1_784_065_923_000_i64, "action": action, "target": "scl_1", "outcome": outcome,
            "requestId": "req_1", "actor": {"type": "user", "id": "=usr,\"1\""}, "detail": {"code": "forbidden"}
        }))
        .unwrap()
    }

    #[test]
    fn a_spreadsheet_gets_cells_and_no_formulas() {
        assert_eq!(
            csv(&event("token.issue", "denied")),
            r#"7,2026-07-14T21:52:03Z,denied,token.issue,"'=usr,""1""",scl_1,req_1,"{""code"":""forbidden""}""#
        );
    }

    #[test]
    fn an_event_of_the_framework_has_what_its_class_requires() {
        let told = ocsf(&event("connector.delete", "denied"));
        assert_eq!((&told["type_uid"], &told["activity_id"]), (&json!(600_304), &json!(4)));
        assert_eq!((&told["status_id"], &told["severity_id"]), (&json!(2), &json!(2)));
        for required in [
            "activity_id",
            "actor",
            "api",
            "category_uid",
            "class_uid",
            "metadata",
            "severity_id",
            "src_endpoint",
            "time",
            "type_uid",
        ] {
            assert!(!told[required].is_null(), "{required}");
        }
        for (action, id) in [
            ("token.issue", 1),
            ("connector.read", 2),
            ("link.put", 3),
            ("token.revoke", 4),
            ("keys.shut", 99),
        ] {
            assert_eq!(activity(action), id, "{action}");
        }
    }
}
