//! Our OAuth client against a hostile authorization server: one table of cases, over real HTTP.
//!
//! A case is something that a server, or whoever stands between, can say, and what must come of it. The cases are
//! gathered first and judged together, so that one run shows all that is wrong. Names with hyphens are those of the
//! client tests of the OpenID Foundation; `docs/oauth-client-tests.md` tells which of them apply, and a test compares.

mod answers;
mod callbacks;
mod metadata;
mod people;
mod requests;

use std::collections::BTreeSet;

/// One case, tried.
pub(crate) struct Case {
    /// What the server did.
    name: String,
    want: String,
    got: String,
}

/// The cases of one table.
#[derive(Default)]
pub(crate) struct Cases(Vec<Case>);

impl Cases {
    fn add(&mut self, name: impl Into<String>, got: impl Into<String>, want: impl Into<String>) {
        self.0.push(Case { name: name.into(), want: want.into(), got: got.into() });
    }
}

/// As many as were promised.
const AT_LEAST: usize = 250;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_server_says_the_client_does_the_right_thing() {
    let mut all = Vec::new();
    for (table, cases) in [
        ("token answers", Box::pin(answers::cases()).await),
        ("callbacks", Box::pin(callbacks::cases()).await),
        ("metadata", Box::pin(metadata::cases()).await),
        ("id tokens", Box::pin(people::cases()).await),
        ("requests", Box::pin(requests::cases()).await),
    ] {
        println!("{table}: {} cases", cases.0.len());
        all.extend(cases.0.into_iter().map(|case| (table, case)));
    }
    println!("{} cases in all", all.len());
    let names: BTreeSet<_> = all.iter().map(|(table, case)| (*table, case.name.as_str())).collect();
    assert_eq!(names.len(), all.len(), "a case counts once");
    assert!(all.len() >= AT_LEAST, "only {} cases", all.len());
    let wrong: Vec<_> = all
        .iter()
        .filter(|(_, case)| case.got != case.want)
        .map(|(table, case)| format!("{table}: {}: {} and not {}", case.name, case.got, case.want))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));

    // The checklist of the documentation and the cases are one.
    let page = include_str!("../../../../docs/oauth-client-tests.md");
    let is_test = |name: &str| name.starts_with("oidcc-client-test") || name.starts_with("fapi");
    for (_, case) in all.iter().filter(|(_, case)| is_test(&case.name)) {
        let test = case.name.split(' ').next().unwrap_or_default();
        assert!(page.contains(&format!("| `{test}` | yes |")), "{test} is not in the checklist");
    }
    for row in page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | yes |")) {
        let tried = all.iter().any(|(_, case)| case.name.split(' ').next() == Some(row.0));
        assert!(tried, "{} is in the checklist and not in the table", row.0);
    }
}
