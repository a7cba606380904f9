//! `docs/api.md` and the routes of the server are one list of paths.

use std::collections::BTreeSet;

use super::at;
use crate::tree::File;

const PAGE: &str = "docs/api.md";
const ROUTER: &str = "crates/api/src/router.rs";
/// One file per group of routes.
const GROUPS: &str = "crates/api/src/router/";

pub(super) fn faults(files: &[File]) -> Vec<String> {
    let (Some(page), Some(router)) = (at(files, PAGE), at(files, ROUTER)) else {
        return vec![format!("{PAGE} or {ROUTER} is missing")];
    };
    let groups: Vec<&File> = files.iter().filter(|file| file.path.starts_with(GROUPS)).collect();
    if groups.is_empty() {
        return vec![format!("{GROUPS} has no routes")];
    }
    let told = quoted(&page.text, '`');
    let served: BTreeSet<String> =
        groups.into_iter().chain([router]).flat_map(|file| quoted(&file.text, '"')).collect();
    // Pages for people are routed by another crate.
    let sources: Vec<&File> =
        files.iter().filter(|file| file.extension() == "rs" && file.path.starts_with("crates/")).collect();
    let anywhere = |path: &str| sources.iter().any(|file| file.text.contains(&format!("\"{path}\"")));
    let missing = served.difference(&told).map(|path| format!("{PAGE}: {path} is served and not told"));
    let stale =
        told.iter().filter(|path| !anywhere(path)).map(|path| format!("{PAGE}: {path} is not served"));
    missing.chain(stale).collect()
}

/// The paths that stand between two of these marks, with or without words around them.
fn quoted(text: &str, mark: char) -> BTreeSet<String> {
    let inside = text.lines().flat_map(|line| line.split(mark).skip(1).step_by(2));
    let words = inside.flat_map(|words| words.split([' ', ',']));
    words.filter(|word| word.starts_with('/')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    #[test]
    fn a_path_that_is_served_and_not_told_and_the_other_way_round_are_told() {
        let router = file(ROUTER, ".route(\"/v1/a/{b}\", get(x))\n");
        let group = file("crates/api/src/router/one.rs", ".route(\n    \"/v1/c\",\n");
        let pages = file("crates/dashboard/src/pages.rs", ".route(\"/page\", get(x))");
        let page = file(PAGE, "| `GET POST /v1/a/{b}`, `/page` | x |\n| `DELETE /v1/gone` | y |");
        let told = faults(&[router, group, pages, page]);
        assert_eq!(
            told,
            [format!("{PAGE}: /v1/c is served and not told"), format!("{PAGE}: /v1/gone is not served")]
        );
    }
}
