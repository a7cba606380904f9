//! `audit export`: the log as JSON lines, as a table, or as events of the Open Cybersecurity Schema Framework.

mod ocsf;
mod since;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use carnet_model::Time;
use carnet_sdk::{AuditFilter, AuditRecord, Client};
use serde_json::json;

use super::{actor, newest};
use crate::cli::args::ExportArgs;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::table::exact;
use crate::cli::teams::named;

/// Writes the events, oldest first, page by page.
pub(crate) async fn export(cx: &mut Context<'_>, args: ExportArgs) -> Result<(), Failure> {
    if cx.talk.wants_json() && args.output.is_none() {
        return Err(Failure::usage("The events are no single document; with --json they go into a file.")
            .next("carnet audit export --json --output FILE", "to write them there"));
    }
    let since = args.since.as_deref().map(|text| since::read(text, cx.now())).transpose()?;
    let client = cx.settings.client_without_project()?;
    // Of nothing else that is written is the team a part.
    let team = if args.format == "ocsf" { named(cx, &client).await? } else { String::new() };
    let path = args.output.as_ref().map(|file| cx.place.folder.join(file));
    let mut file = path.as_deref().map(create).transpose()?;
    let mut filter = AuditFilter {
        limit: Some(1000),
        after: Some(match since {
            Some(since) => beginning(&client, since).await?,
            None => 0,
        }),
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
                "ocsf" => ocsf::event(event, &team).to_string(),
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
        let file = path.to_string_lossy();
        return cx.talk.document(&json!({"file": file, "format": args.format, "events": written}));
    }
    cx.talk.success(&format!("{written} events written to {}", path.display()));
    Ok(())
}

/// Behind which event the first one is that can be of this time: looked for by halves, so that what is older is not fetched
/// to be left out. The log is in the order of its writing, which is not quite that of its times.
async fn beginning(client: &Client, since: Time) -> Result<i64, Failure> {
    let since = since.minus(APART);
    let (mut older, mut end) = (0, newest(client).await?);
    while older < end {
        let middle = older + (end - older) / 2;
        let filter = AuditFilter { after: Some(middle), limit: Some(1), ..AuditFilter::default() };
        match client.audit(&filter).await?.events.first() {
            Some(event) if event.at < since => older = event.seq,
            _ => end = middle,
        }
    }
    Ok(older)
}

/// How far apart the times of events can be from their order, with room for a clock that was set.
const APART: Duration = Duration::from_mins(10);

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
}
