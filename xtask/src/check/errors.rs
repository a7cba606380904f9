//! `docs/errors/` and the codes of the model are one list: a page per code, with its status and its meaning.

use std::collections::BTreeSet;

use carnet_model::Code;

use super::at;
use crate::tree::File;

const FOLDER: &str = "docs/errors/";
const INDEX: &str = "docs/errors/README.md";

/// Codes with which no answer refuses, but a request for consent ends: told in its result, to its `returnUrl` and to its
/// webhook. They have pages too.
const ENDINGS: [&str; 2] = ["account_changed", "expired_token"];

pub(super) fn faults(files: &[File]) -> Vec<String> {
    let mut wrong: Vec<String> = Code::ALL.iter().flat_map(|code| page_faults(files, *code)).collect();
    let known: BTreeSet<String> =
        Code::ALL.iter().map(|code| path(*code)).chain(endings()).chain([INDEX.to_owned()]).collect();
    wrong.extend(endings().filter(|path| at(files, path).is_none()).map(|path| format!("{path} is missing")));
    wrong.extend(
        files
            .iter()
            .filter(|file| file.path.starts_with(FOLDER) && !known.contains(&file.path))
            .map(|file| format!("{}: no such code", file.path)),
    );
    wrong
}

fn endings() -> impl Iterator<Item = String> {
    ENDINGS.iter().map(|code| format!("{FOLDER}{code}.md"))
}

fn page_faults(files: &[File], code: Code) -> Vec<String> {
    let path = path(code);
    let Some(page) = at(files, &path) else { return vec![format!("{path} is missing")] };
    let said = one_line(&page.text);
    let mut wrong = Vec::new();
    for (what, text) in [
        ("title", format!("# `{}`", code.as_str())),
        ("status", format!("HTTP {}", code.status())),
        ("meaning", one_line(code.meaning())),
    ] {
        if !said.contains(&text) {
            wrong.push(format!("{path}: its {what} must be “{text}”"));
        }
    }
    let listed =
        at(files, INDEX).is_some_and(|index| index.text.contains(&format!("({}.md)", code.as_str())));
    if !listed {
        wrong.push(format!("{INDEX} does not lead to {}", code.as_str()));
    }
    wrong
}

fn path(code: Code) -> String {
    format!("{FOLDER}{}.md", code.as_str())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    #[test]
    fn a_missing_page_a_page_too_many_and_a_wrong_status_are_told() {
        let gone = Code::Gone;
        let text = format!("# `gone`\n\nHTTP 409\n\n{}", gone.meaning());
        let told = faults(&[
            file(&path(gone), &text),
            file("docs/errors/martian.md", ""),
            file(INDEX, "[gone](gone.md)"),
        ]);
        assert!(told.contains(&format!("{}: its status must be “HTTP 410”", path(gone))));
        assert!(told.contains(&"docs/errors/martian.md: no such code".to_owned()));
        assert!(told.contains(&format!("{} is missing", path(Code::Forbidden))));
        assert!(told.contains(&"docs/errors/expired_token.md is missing".to_owned()));
        assert_eq!(told.len(), Code::ALL.len() + ENDINGS.len() + 1);
    }
}
