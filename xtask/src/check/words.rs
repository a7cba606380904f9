//! Words that do not belong into what is committed.

use crate::tree::File;

/// Put together here, so that this file does not find itself.
fn unwanted() -> Vec<(String, &'static [&'static str])> {
    const ALL: &[&str] = &[];
    const JS: &[&str] = &["mjs", "js", "ts"];
    const PY: &[&str] = &["py"];
    const RS: &[&str] = &["rs"];
    [
        (["TO", "DO"], ALL),
        (["FIX", "ME"], ALL),
        (["XX", "X "], ALL),
        (["/ro", "ot/"], ALL),
        (["/ho", "me/"], ALL),
        (["/wo", "rk/"], ALL),
        (["/tm", "p/"], ALL),
        (["#[ig", "nore"], RS),
        ([".sk", "ip("], PY),
        (["unittest.sk", "ip"], PY),
        (["test.sk", "ip("], JS),
        (["test.on", "ly("], JS),
        (["{ sk", "ip:"], JS),
    ]
    .map(|(halves, endings)| (halves.concat(), endings))
    .to_vec()
}

/// An ignored test that is not switched off: another one starts it, because it needs a process of its own.
const STARTED_BY_ANOTHER: &str = "= \"run in a process of its own\"]";

pub(super) fn faults(files: &[File]) -> Vec<String> {
    let unwanted = unwanted();
    let mut wrong = Vec::new();
    for file in files {
        for (number, line) in file.lines() {
            for (word, endings) in &unwanted {
                let applies = endings.is_empty() || endings.contains(&file.extension());
                if applies && stands_in(line, word) && !line.contains(STARTED_BY_ANOTHER) {
                    wrong.push(format!("{}:{number}: “{}”", file.path, word.trim()));
                }
            }
        }
    }
    wrong
}

/// A mark that is the beginning of a longer name in capitals is none.
fn stands_in(line: &str, word: &str) -> bool {
    let goes_on = |rest: &str| {
        word.chars().all(|c| c.is_ascii_uppercase()) && rest.starts_with(|c: char| c.is_ascii_uppercase())
    };
    line.match_indices(word).any(|(at, _)| !goes_on(line.get(at + word.len()..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    #[test]
    fn marks_and_machine_paths_are_told_where_they_stand() {
        let mark = ["// TO", "DO later"].concat();
        let path = ["cp /ho", "me/me/x ."].concat();
        let files = [
            file("a.rs", &format!("fn a() {{}}\n{mark}\n")),
            file("b.md", &path),
            file("c.rs", "x.skip(1)"),
            file("d.toml", &["TO", "DOIST_TOKEN"].concat()),
        ];
        let told = faults(&files);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("a.rs:2") && told[1].starts_with("b.md:1"));
    }
}
