//! `usage`: how many token requests the team has had, who had them, and what they cost by the plan.

use carnet_sdk::{Usage, UsageFilter, UsageShare};

use super::args::UsageArgs;
use super::context::Context;
use super::failure::Failure;
use super::table::{sheet, table};

/// Shows the present month, or all since one.
pub(crate) async fn usage(cx: &mut Context<'_>, args: UsageArgs) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let filter = UsageFilter { since: args.since, by: Some(args.by) };
    let usage = client.usage(&filter).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&usage);
    }
    for line in sheet(&summary(&usage)) {
        cx.talk.answer(&line)?;
    }
    if usage.months.len() > 1 || usage.months.first().is_some_and(|first| first.month != usage.month.month) {
        let row = |month: &carnet_sdk::UsageMonth| {
            vec![month.month.clone(), month.requests.to_string(), dollars(month.estimated_cents)]
        };
        let rows: Vec<_> = usage.months.iter().map(row).collect();
        lines(cx, &["Month", "Token requests", "Estimated cost"], &rows)?;
    }
    if usage.shares.is_empty() {
        cx.talk.say("No token requests yet.");
        return Ok(());
    }
    let (heading, nobody) = match usage.by.as_str() {
        "project" => ("Project", "(people, by access token)"),
        "user" => ("Person", "(workloads)"),
        _ => ("Connector", "(none)"),
    };
    let row = |share: &UsageShare| {
        let name = share.name.clone().unwrap_or_else(|| match &share.id {
            Some(_) => "(removed)".to_owned(),
            None => nobody.to_owned(),
        });
        vec![name, share.id.clone().unwrap_or_default(), share.requests.to_string()]
    };
    let rows: Vec<_> = usage.shares.iter().map(row).collect();
    lines(cx, &[heading, "ID", "Token requests"], &rows)
}

fn lines(cx: &mut Context<'_>, headings: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    cx.talk.answer("")?;
    for line in table(headings, rows) {
        cx.talk.answer(&line)?;
    }
    Ok(())
}

fn summary(usage: &Usage) -> Vec<(&'static str, String)> {
    let of_all = match usage.plan.included.filter(|included| *included > 0) {
        Some(included) if usage.plan.stops => format!(" of {included}, then refused"),
        Some(included) => format!(", {included} of them included"),
        None => String::new(),
    };
    let mut rows = vec![
        ("Plan", usage.plan.name.clone()),
        ("Month", format!("{} (UTC)", usage.month.month)),
        ("Token requests", format!("{}{of_all}", usage.month.requests)),
    ];
    if usage.plan.price.is_some() {
        rows.push(("Estimated cost", dollars(usage.month.estimated_cents)));
    }
    if let Some(budget) = &usage.budget {
        let reached = budget.reached_in.as_ref().is_some_and(|month| *month == usage.month.month);
        let reached = if reached { ", reached" } else { "" };
        rows.push(("Budget", format!("{}{reached}", budget.requests)));
    }
    rows
}

fn dollars(cents: u64) -> String {
    format!("${}.{:02}", cents / 100, cents % 100)
}
